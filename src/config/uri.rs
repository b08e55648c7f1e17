//! What counts as an address in the configuration. The same functions serve the checks and the conversion.

use std::net::IpAddr;

use url::{Host, Url};

use crate::urls;

/// Why a text is no address of the kind that is wanted: what is wrong, and what to do. Neither holds the text, which
/// may have a password in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) what: &'static str,
    pub(super) hint: &'static str,
}

const fn problem(what: &'static str, hint: &'static str) -> Problem {
    Problem { what, hint }
}

/// The address of a server, perhaps with a relative URL root.
pub(super) fn base(text: &str) -> Result<Url, Problem> {
    let url = server(text)?;
    if url.query().is_some() {
        return Err(problem("a query after the address", "end the address before the `?`"));
    }
    let path = urls::root(&url);
    if path.ends_with("/api/v4") || path.ends_with("/api/v0") || path.ends_with("/api/graphql") {
        return Err(problem(
            "the address of an API",
            "end the address before `/api`; what follows is added to it",
        ));
    }
    Ok(url)
}

/// An address at a server: path and query as it likes, but no fragment and no credentials.
pub(super) fn server(text: &str) -> Result<Url, Problem> {
    let url = absolute(text)?;
    if url.fragment().is_some() {
        return Err(problem(
            "a fragment after the address",
            "end the address before the `#`",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(problem(
            "credentials within the address",
            "remove what stands before the `@`; credentials are given as secret references",
        ));
    }
    Ok(url)
}

/// What stands in the place of a proxy's address where there is to be none.
pub(super) const NO_PROXY: &str = "none";

/// The address of a proxy, which holds no credentials where it is written out.
pub(super) fn proxy(text: &str) -> Result<Url, Problem> {
    const HINT: &str = "write an address such as http://proxy.example.com:3128, or \"none\"";
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(problem("not the address of a proxy", HINT));
    }
    let url = urls::proxy(text).map_err(|_| problem("not the address of a proxy that speaks http or https", HINT))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(problem(
            "credentials within the address",
            "keep the whole address where a reference finds it, such as proxy = { env = \"NAME\" }",
        ));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(problem(
            "a proxy's address with a path",
            "end the address after the port",
        ));
    }
    Ok(url)
}

/// A redirect URI, as OAuth wants it (RFC 6749, 3.1.2: absolute, no fragment). GitLab keeps several in one text, split
/// at white space.
pub(super) fn redirect(text: &str) -> Result<Url, Problem> {
    server(text)
}

fn absolute(text: &str) -> Result<Url, Problem> {
    const HINT: &str = "write a whole address, such as https://gitlab.example.com";
    if text.is_empty() {
        return Err(problem("an empty address", HINT));
    }
    // The parser would drop or repair these silently.
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(problem(
            "white space within an address",
            "remove it; several addresses go into an array",
        ));
    }
    if text.contains('\\') {
        return Err(problem("a backslash within an address", "write `/`"));
    }
    let url = Url::parse(text).map_err(|_| problem("not an absolute URI", HINT))?;
    let scheme = url.scheme();
    if scheme != "http" && scheme != "https" {
        return Err(problem("not an https address", HINT));
    }
    if !text[scheme.len()..].starts_with("://") || url.host_str().is_none_or(str::is_empty) {
        return Err(problem("not an absolute URI", HINT));
    }
    if scheme == "http" && !urls::is_loopback(&url) {
        return Err(problem(
            "plain http to a host other than this machine",
            "use https; http is accepted for loopback hosts only",
        ));
    }
    Ok(url)
}

/// What keeps an address from being public, where its text alone tells: private, link-local and loopback addresses, and
/// names that no public resolver knows (RFC 6761, 6762, 8375; ICANN's `.internal`).
pub fn not_public(url: &Url) -> Option<&'static str> {
    match url.host()? {
        Host::Ipv4(address) => not_public_address(address.into()),
        Host::Ipv6(address) => not_public_address(address.into()),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            let within = |end: &str| name == end || name.strip_suffix(end).is_some_and(|rest| rest.ends_with('.'));
            if within("localhost") {
                Some("a name of this machine")
            } else if ["internal", "local", "home.arpa", "lan", "intranet", "corp"]
                .into_iter()
                .any(within)
            {
                Some("a name that only your own network knows")
            } else {
                None
            }
        }
    }
}

/// What keeps an IP address from being public (RFC 1918, 3927, 4193, 6598).
pub fn not_public_address(address: IpAddr) -> Option<&'static str> {
    let address = address.to_canonical();
    if address.is_loopback() || address.is_unspecified() {
        return Some("an address of this machine");
    }
    match address {
        IpAddr::V4(address) if address.is_private() => Some("a private address"),
        IpAddr::V4(address) if address.is_link_local() => Some("a link-local address"),
        // 100.64.0.0/10, which carriers and overlay networks use.
        IpAddr::V4(address) if address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64 => {
            Some("a private address")
        }
        IpAddr::V6(address) if address.is_unique_local() => Some("a private address"),
        IpAddr::V6(address) if address.is_unicast_link_local() => Some("a link-local address"),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// The host of an address in the form that computers use (`xn--…`), where as it is written it has letters of several
/// scripts that have letters of one look in common.
pub(super) fn look_alike(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("://")?;
    let written = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let mut scripts = written.chars().filter_map(script);
    let first = scripts.next()?;
    scripts.any(|script| script != first).then_some(())?;
    Some(base(text).ok()?.host_str()?.to_owned())
}

/// The script of a letter, if letters of it look like those of others (Unicode: Scripts, confusables). Latin, Greek,
/// Cyrillic, Armenian, Cherokee, Coptic and Lisu, by number.
fn script(letter: char) -> Option<u8> {
    match letter {
        'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' | '\u{250}'..='\u{2af}' | '\u{1e00}'..='\u{1eff}' => Some(0),
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => Some(1),
        '\u{400}'..='\u{52f}' | '\u{1c80}'..='\u{1c8f}' | '\u{2de0}'..='\u{2dff}' | '\u{a640}'..='\u{a69f}' => Some(2),
        '\u{530}'..='\u{58f}' => Some(3),
        '\u{13a0}'..='\u{13ff}' | '\u{ab70}'..='\u{abbf}' => Some(4),
        '\u{2c80}'..='\u{2cff}' => Some(5),
        '\u{a4d0}'..='\u{a4ff}' => Some(6),
        _ => None,
    }
}

/// Whether this is GitLab-managed Terraform state (GitLab: lib/api/terraform/state.rb), whatever the URL root.
pub(super) fn is_gitlab_state(url: &Url) -> bool {
    let segments: Vec<&str> = url.path().trim_matches('/').split('/').collect();
    matches!(
        segments.as_slice(),
        [.., "api", "v4", "projects", project, "terraform", "state", name]
            if !project.is_empty() && !name.is_empty()
    )
}

/// The address one segment below.
pub(super) fn below(url: &Url, segment: &str) -> Url {
    let mut below = url.clone();
    if let Ok(mut segments) = below.path_segments_mut() {
        segments.pop_if_empty().push(segment);
    }
    below
}

#[cfg(test)]
mod tests {
    use super::{base, below, is_gitlab_state, look_alike, not_public, redirect, server};

    #[test]
    fn a_host_of_several_scripts_is_shown_as_computers_see_it() {
        for (text, shown) in [
            ("https://gitl\u{430}b.example.com/x", "xn--gitlb-7ve.example.com"),
            ("https://\u{3bf}ps.example.com", "xn--ps-ibc.example.com"),
        ] {
            assert_eq!(look_alike(text).as_deref(), Some(shown), "{text}");
        }
        for text in [
            "https://gitlab.example.com",
            "https://xn--gitlb-7ve.example.com",
            "https://m\u{fc}nchen.example.com",
            "https://\u{65e5}\u{672c}.example.com",
            "https://127.0.0.1:8080",
            "no address",
        ] {
            assert_eq!(look_alike(text), None, "{text}");
        }
    }

    #[test]
    fn addresses_of_servers() {
        for good in [
            "https://gitlab.example.com",
            "https://example.com:8443/gitlab/",
            "http://localhost:3000",
            "http://gitlab.localhost",
            "http://127.0.0.2:80/x",
            "http://[::1]:8080",
            "HTTPS://gitlab.example.com",
        ] {
            assert!(base(good).is_ok(), "{good}");
        }
        for (bad, what) in [
            ("", "an empty address"),
            ("gitlab.example.com", "not an absolute URI"),
            ("/api", "not an absolute URI"),
            ("https:gitlab.example.com", "not an absolute URI"),
            ("https://", "not an absolute URI"),
            ("localhost:3000", "not an https address"),
            ("javascript:alert(1)", "not an https address"),
            ("ssh://gitlab.example.com", "not an https address"),
            (
                "http://gitlab.example.com",
                "plain http to a host other than this machine",
            ),
            (
                "http://127.0.0.1.example.com",
                "plain http to a host other than this machine",
            ),
            (
                "http://localhost.example.com",
                "plain http to a host other than this machine",
            ),
            ("https://gitlab.example.com?x", "a query after the address"),
            ("https://gitlab.example.com#x", "a fragment after the address"),
            ("https://gitlab.example.com/api/v4", "the address of an API"),
            ("https://example.com/gitlab/api/v4/", "the address of an API"),
            ("https://root:pw@gitlab.example.com", "credentials within the address"),
            ("https://gitlab.example.com ", "white space within an address"),
            ("https:\\\\gitlab.example.com", "a backslash within an address"),
        ] {
            assert_eq!(base(bad).unwrap_err().what, what, "{bad}");
        }
        assert!(server("https://gitlab.example.com/state?name=x").is_ok());
        assert!(redirect("https://app.example.com/callback\nhttps://b.example.com").is_err());
    }

    #[test]
    fn what_factory_cannot_reach_is_known_by_its_text() {
        let of = |text: &str| not_public(&base(text).unwrap());
        for private in [
            "https://10.1.2.3",
            "https://192.168.0.9:8443/gitlab",
            "https://169.254.1.1",
            "https://[fe80::1]",
            "https://[fd00::1]",
            "https://127.0.0.1",
            "https://gitlab.internal",
            "https://GitLab.corp.LOCAL.",
            "https://localhost",
        ] {
            assert!(of(private).is_some(), "{private}");
        }
        for public in [
            "https://gitlab.example.com",
            "https://203.0.113.7",
            "https://local.example.com",
            "https://notlocal",
        ] {
            assert_eq!(of(public), None, "{public}");
        }
    }

    #[test]
    fn state_kept_by_gitlab_is_recognized() {
        let url = |text: &str| server(text).unwrap();
        let state = url("https://gitlab.example.com/root/api/v4/projects/42/terraform/state/setpoint");
        assert!(is_gitlab_state(&state));
        assert_eq!(
            below(&state, "lock").as_str(),
            "https://gitlab.example.com/root/api/v4/projects/42/terraform/state/setpoint/lock"
        );
        assert!(!is_gitlab_state(&url("https://state.example.com/setpoint")));
    }
}
