//! The proxy that the environment names, if one is between here and a server. It is chosen here and not by the HTTP
//! library, so that a variable that cannot be read is an error, and what goes wrong at the proxy is said of the proxy.

use std::ffi::OsString;
use std::net::IpAddr;

use url::{Host, Url};

use crate::secrets::learn;

/// In this order, the first that is set.
const PROXY: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// A proxy between here and a server.
#[derive(Debug, Clone)]
pub(super) struct Proxy {
    /// The variable that names it.
    pub(super) variable: &'static str,
    /// Its address, with the user name and password for it, if there are any.
    pub(super) address: Url,
}

impl Proxy {
    /// For messages: without user name and password.
    pub(super) fn origin(&self) -> String {
        crate::urls::origin(&self.address)
    }
}

impl std::fmt::Display for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the proxy {} ({})", self.origin(), self.variable)
    }
}

/// A variable that is set and names no proxy. What it says is not repeated, for it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) variable: &'static str,
    pub(super) why: &'static str,
}

/// The proxy that stands before a server, by these variables.
pub(super) fn before(
    server: &Url,
    variable: impl Fn(&'static str) -> Option<OsString>,
) -> Result<Option<Proxy>, Unreadable> {
    let set = |name: &'static str| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(|value| (name, value))
    };
    let Some((name, value)) = PROXY.into_iter().find_map(set) else {
        return Ok(None);
    };
    if let Some((name, value)) = NO_PROXY.into_iter().find_map(set) {
        let list = value.to_str().ok_or(Unreadable {
            variable: name,
            why: "is no text",
        })?;
        if server.host().is_some_and(|host| is_exempt(&host, list)) {
            return Ok(None);
        }
    }
    let unreadable = |why| Unreadable { variable: name, why };
    let text = value.to_str().ok_or(unreadable("is no text"))?.trim();
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let address = Url::parse(&with_scheme).map_err(|_| unreadable("is no address"))?;
    if !matches!(address.scheme(), "http" | "https") {
        return Err(unreadable("names a proxy that speaks neither http:// nor https://"));
    }
    if let Some(password) = address.password() {
        learn(password);
        for (decoded, _) in url::form_urlencoded::parse(password.replace('+', "%2B").as_bytes()) {
            learn(&decoded);
        }
    }
    Ok(Some(Proxy {
        variable: name,
        address,
    }))
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
    use super::{Unreadable, before};
    use url::Url;

    fn proxy(server: &str, variables: &[(&str, &str)]) -> Result<Option<String>, Unreadable> {
        let server = Url::parse(server).unwrap();
        let found = before(&server, |name| {
            let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
            Some((*value).into())
        })?;
        Ok(found.map(|proxy| proxy.to_string()))
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
            assert_eq!(error.variable, "HTTPS_PROXY", "{value}");
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
