//! The proxy between here and a server, if there is one: the one that the configuration names for that side, or else the
//! environment's. It is chosen here and not by the HTTP library, so that a name that cannot be read is an error, and what
//! goes wrong at the proxy is said of the proxy.

use std::borrow::Cow;
use std::ffi::OsString;
use std::net::IpAddr;

use url::{Host, Url};

use crate::secrets::{Secret, learn};
use crate::urls;

/// In this order, the first that is set.
const PROXY: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// What the configuration says of the proxy on the way to a side.
#[derive(Debug, Clone, Default)]
pub enum ProxyChoice {
    /// Nothing: the environment's variables decide.
    #[default]
    Environment,
    /// There is none, whatever the environment says.
    None,
    /// This one, whatever the environment says.
    Address(Url),
    /// The same, with an address that may hold a user name and password.
    Secret(Secret),
}

/// How requests get to a server.
#[derive(Debug, Clone)]
pub(super) enum Passage {
    /// Straight, for this reason.
    Direct(String),
    Through(Proxy),
}

impl Passage {
    pub(super) fn proxy(&self) -> Option<&Proxy> {
        match self {
            Self::Direct(_) => None,
            Self::Through(proxy) => Some(proxy),
        }
    }
}

/// A proxy between here and a server.
#[derive(Debug, Clone)]
pub(super) struct Proxy {
    /// The variable, or the key of the configuration, that names it.
    pub(super) named_by: Cow<'static, str>,
    /// Whether that is a variable, beside which `NO_PROXY` counts.
    pub(super) of_environment: bool,
    /// Its address, with the user name and password for it, if there are any.
    pub(super) address: Url,
}

impl Proxy {
    /// For messages: without user name and password.
    pub(super) fn origin(&self) -> String {
        urls::origin(&self.address)
    }

    /// What to do where a server is reached without it.
    pub(super) fn without(&self, server: &str) -> String {
        let named_by = &self.named_by;
        if self.of_environment {
            format!("if {server} is reached without a proxy, add it to NO_PROXY")
        } else {
            format!("if {server} is reached without a proxy, set {named_by} = \"none\"")
        }
    }
}

impl std::fmt::Display for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the proxy {} ({})", self.origin(), self.named_by)
    }
}

/// What is to name a proxy, and names none. What it says is not repeated, for it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) named_by: Cow<'static, str>,
    pub(super) why: &'static str,
}

/// The way to a server by what the configuration says under a key, and by these variables.
pub(super) fn choose(
    server: &Url,
    key: &str,
    choice: &ProxyChoice,
    variable: impl Fn(&'static str) -> Option<OsString>,
) -> Result<Passage, Unreadable> {
    if server.scheme() == "http" {
        return Ok(Passage::Direct("it is this machine".to_owned()));
    }
    match choice {
        ProxyChoice::None => Ok(Passage::Direct(format!("{key} is \"none\""))),
        ProxyChoice::Address(address) => Ok(Passage::Through(named(key.to_owned().into(), false, address.clone()))),
        ProxyChoice::Secret(address) => {
            let named_by = Cow::from(key.to_owned());
            match urls::proxy(address.expose()) {
                Ok(address) => Ok(Passage::Through(named(named_by, false, address))),
                Err(why) => Err(Unreadable { named_by, why }),
            }
        }
        ProxyChoice::Environment => of_environment(server, variable),
    }
}

fn of_environment(server: &Url, variable: impl Fn(&'static str) -> Option<OsString>) -> Result<Passage, Unreadable> {
    let set = |name: &'static str| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(|value| (name, value))
    };
    let Some((name, value)) = PROXY.into_iter().find_map(set) else {
        return Ok(Passage::Direct("no proxy is named".to_owned()));
    };
    let unreadable = |name: &'static str, why| Unreadable {
        named_by: name.into(),
        why,
    };
    if let Some((name, value)) = NO_PROXY.into_iter().find_map(set) {
        let list = value.to_str().ok_or(unreadable(name, "is no text"))?;
        if server.host().is_some_and(|host| is_exempt(&host, list)) {
            return Ok(Passage::Direct(format!("{name} lists it")));
        }
    }
    let text = value.to_str().ok_or(unreadable(name, "is no text"))?;
    let address = urls::proxy(text).map_err(|why| unreadable(name, why))?;
    Ok(Passage::Through(named(name.into(), true, address)))
}

fn named(named_by: Cow<'static, str>, of_environment: bool, address: Url) -> Proxy {
    if let Some(password) = address.password() {
        learn(password);
        for (decoded, _) in url::form_urlencoded::parse(password.replace('+', "%2B").as_bytes()) {
            learn(&decoded);
        }
    }
    Proxy {
        named_by,
        of_environment,
        address,
    }
}

/// Whether the list names the host: by a domain, which holds for all below it, by an address, by a network of
/// addresses, or by `*`, which is every host.
fn is_exempt(host: &Host<&str>, list: &str) -> bool {
    let entries = list.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty());
    entries.into_iter().any(|entry| match host {
        _ if entry == "*" => true,
        Host::Domain(name) => is_within(name, entry),
        Host::Ipv4(address) => holds(entry, (*address).into()),
        Host::Ipv6(address) => holds(entry, (*address).into()),
    })
}

fn is_within(name: &str, domain: &str) -> bool {
    let domain = domain.trim_start_matches('.').to_ascii_lowercase();
    let above = name.to_ascii_lowercase();
    above
        .strip_suffix(&domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        && !domain.is_empty()
}

fn holds(entry: &str, address: IpAddr) -> bool {
    let (network, length) = match entry.split_once('/') {
        Some((network, length)) => (network, length.parse::<u32>().ok()),
        None => (entry, Some(128)),
    };
    let network = network.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let (Ok(network), Some(length)) = (network, length) else {
        return false;
    };
    let same = |one: u128, other: u128, bits: u32| (one ^ other).checked_shr(bits - length.min(bits)).unwrap_or(0) == 0;
    match (network, address) {
        (IpAddr::V4(one), IpAddr::V4(other)) => same(u32::from(one).into(), u32::from(other).into(), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => same(one.into(), other.into(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Passage, ProxyChoice, Unreadable, choose};
    use crate::secrets::Secret;
    use url::Url;

    fn passage(server: &str, choice: &ProxyChoice, variables: &[(&str, &str)]) -> Result<Passage, Unreadable> {
        let server = Url::parse(server).unwrap();
        choose(&server, "gitlab.proxy", choice, |name| {
            let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
            Some((*value).into())
        })
    }

    fn proxy(server: &str, variables: &[(&str, &str)]) -> Result<Option<String>, Unreadable> {
        let found = passage(server, &ProxyChoice::Environment, variables)?;
        Ok(found.proxy().map(ToString::to_string))
    }

    #[test]
    fn what_the_configuration_says_comes_before_the_environment() {
        let server = "https://gitlab.example.com";
        let variables = [("HTTPS_PROXY", "http://other.example.com:3128"), ("NO_PROXY", "*")];
        let named = |text: &str| ProxyChoice::Secret(Secret::new(text));
        let found = passage(
            server,
            &named("http://me:canary-of-it@proxy.example.com:8080"),
            &variables,
        )
        .unwrap();
        let Passage::Through(proxy) = found else {
            panic!("{found:?}");
        };
        assert_eq!(
            proxy.to_string(),
            "the proxy http://proxy.example.com:8080 (gitlab.proxy)"
        );
        assert!(
            proxy
                .without("gitlab.example.com")
                .ends_with("set gitlab.proxy = \"none\"")
        );
        assert_eq!(crate::secrets::redact("canary-of-it"), "***");
        let direct = |server, choice, variables: &[(&str, &str)]| match passage(server, &choice, variables).unwrap() {
            Passage::Direct(why) => why,
            Passage::Through(proxy) => panic!("{proxy}"),
        };
        assert_eq!(
            direct(server, ProxyChoice::None, &variables[..1]),
            "gitlab.proxy is \"none\""
        );
        assert_eq!(
            direct(server, ProxyChoice::Environment, &variables),
            "NO_PROXY lists it"
        );
        assert_eq!(direct(server, ProxyChoice::Environment, &[]), "no proxy is named");
        let here = "http://127.0.0.1:1";
        let written = ProxyChoice::Address("http://proxy.example.com:3128".parse().unwrap());
        let found = passage(server, &written, &variables).unwrap();
        assert_eq!(
            found.proxy().unwrap().to_string(),
            "the proxy http://proxy.example.com:3128 (gitlab.proxy)"
        );
        assert_eq!(
            direct(here, named("http://proxy.example.com"), &variables),
            "it is this machine"
        );
        let error = passage(server, &named("socks5://canary.example.com"), &[]).unwrap_err();
        assert_eq!(error.named_by, "gitlab.proxy");
    }

    #[test]
    fn the_first_variable_that_is_set_names_it() {
        let server = "https://gitlab.example.com";
        assert_eq!(proxy(server, &[]), Ok(None));
        assert_eq!(proxy(server, &[("HTTPS_PROXY", "")]), Ok(None));
        for (variables, expected) in [
            (
                &[("HTTPS_PROXY", "http://proxy.example.com:3128")][..],
                "the proxy http://proxy.example.com:3128 (HTTPS_PROXY)",
            ),
            (
                &[("https_proxy", "proxy.example.com:3128")],
                "the proxy http://proxy.example.com:3128 (https_proxy)",
            ),
            (
                &[("ALL_PROXY", "https://proxy.example.com"), ("HTTPS_PROXY", "")],
                "the proxy https://proxy.example.com (ALL_PROXY)",
            ),
            (
                &[("HTTPS_PROXY", "http://me:canary-password@proxy.example.com:80/x")],
                "the proxy http://proxy.example.com (HTTPS_PROXY)",
            ),
        ] {
            assert_eq!(proxy(server, variables), Ok(Some(expected.to_owned())));
        }
        assert_eq!(crate::secrets::redact("canary-password"), "***");
    }

    #[test]
    fn a_variable_that_names_none_is_an_error_that_does_not_repeat_it() {
        for value in [
            "http://",
            "http://me:canary@:1",
            "socks5://canary.example.com",
            "http://canary host",
            "canary:x",
        ] {
            let error = proxy("https://gitlab.example.com", &[("HTTPS_PROXY", value)]).unwrap_err();
            assert_eq!(error.named_by, "HTTPS_PROXY", "{value}");
        }
    }

    #[test]
    fn hosts_of_the_list_are_reached_without_it() {
        let is_free = |server: &str, list: &str| {
            proxy(server, &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", list)])
                .unwrap()
                .is_none()
        };
        for (server, list) in [
            ("https://gitlab.example.com", "example.com"),
            ("https://gitlab.example.com", ".example.com"),
            ("https://gitlab.example.com:8443", "a.example.org, GITLAB.Example.com"),
            ("https://gitlab.example.com", "*"),
            ("https://10.1.2.3", "10.1.0.0/16"),
            ("https://10.1.2.3", "x 10.1.2.3"),
            ("https://[fd00::1]", "fd00::/8"),
            ("https://[fd00::1]", "[fd00::1]"),
            ("https://10.1.2.3", "0.0.0.0/0"),
        ] {
            assert!(is_free(server, list), "{server} {list}");
        }
        for (server, list) in [
            ("https://gitlab.example.com", "lab.example.com"),
            ("https://gitlab.example.com", "."),
            ("https://gitlab.example.com", "gitlab.example.com.evil.example"),
            ("https://10.1.2.3", "10.2.0.0/16"),
            ("https://10.1.2.3", "10.1.2.3/x"),
            ("https://10.1.2.3", "::/0"),
        ] {
            assert!(!is_free(server, list), "{server} {list}");
        }
    }
}
