//! What counts as an address in the configuration. The same functions serve the checks and the conversion.

use url::{Host, Url};

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
    if scheme == "http" && !is_loopback(&url) {
        return Err(problem(
            "plain http to a host other than this machine",
            "use https; http is accepted for loopback hosts only",
        ));
    }
    Ok(url)
}

/// Whether an address is on this machine: `localhost`, `*.localhost`, 127.0.0.0/8 and `[::1]`.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
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
    use super::{base, below, is_gitlab_state, redirect, server};

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
