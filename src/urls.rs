//! The one place that builds URLs and takes them apart. Segments are joined onto a base that may have a path of its own
//! (GitLab's relative URL root), and each is percent-encoded as a whole, so that `a/b` as an id is `a%2Fb`. Final slashes
//! of a base mean nothing.

use url::{Host, Url};

/// The base with these path segments after its own path. Its query and fragment are dropped.
pub(crate) fn join(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// Scheme, host and port, which a credential belongs to.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// The origin for a message, such as `https://gitlab.example.com:8443`.
pub(crate) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The address as people write it: without final slashes.
pub(crate) fn bare(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

/// The relative URL root: the path without final slashes, empty where there is none.
pub(crate) fn root(url: &Url) -> &str {
    url.path().trim_end_matches('/')
}

/// Whether the host is this machine, where alone `http://` is accepted: `localhost`, `*.localhost`, 127.0.0.0/8, `[::1]`.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The address of a proxy, with or without its scheme, which is `http` where it is left out.
pub(crate) fn proxy(text: &str) -> Result<Url, &'static str> {
    let text = text.trim();
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let address = Url::parse(&with_scheme).map_err(|_| "is no address")?;
    match address.scheme() {
        "http" | "https" => Ok(address),
        _ => Err("names a proxy that speaks neither http:// nor https://"),
    }
}

#[cfg(test)]
mod tests {
    use super::{bare, is_loopback, join, root, same_origin};
    use url::Url;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn a_relative_root_stays_and_ids_are_one_segment() {
        let ids = ["api", "v4", "projects", "a/b c%"];
        for base in ["https://g.example.com/git", "https://g.example.com/git/?x=1#y"] {
            assert_eq!(
                join(&url(base), &ids).as_str(),
                "https://g.example.com/git/api/v4/projects/a%2Fb%20c%25"
            );
        }
        assert_eq!(
            join(&url("https://g.example.com"), &["oauth"]).as_str(),
            "https://g.example.com/oauth"
        );
    }

    #[test]
    fn final_slashes_mean_nothing() {
        for text in ["https://g.example.com/git", "https://g.example.com/git//"] {
            assert_eq!(
                (bare(&url(text)), root(&url(text))),
                ("https://g.example.com/git", "/git")
            );
        }
        assert_eq!(bare(&url("https://g.example.com")), "https://g.example.com");
        assert_eq!(root(&url("https://g.example.com")), "");
    }

    #[test]
    fn the_port_is_part_of_the_origin() {
        let base = url("https://g.example.com/git");
        assert!(same_origin(&base, &url("https://G.example.com:443/other")));
        for other in [
            "http://g.example.com/git",
            "https://g.example.com:8443/git",
            "https://g.example.com.evil.example.com/git",
            "https://g.example.com@evil.example.com/git",
        ] {
            assert!(!same_origin(&base, &url(other)), "{other}");
        }
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for here in [
            "http://127.0.0.1:1",
            "http://[::1]/",
            "http://localhost",
            "http://gitlab.localhost",
            "http://127.9.9.9",
        ] {
            assert!(is_loopback(&url(here)), "{here}");
        }
        for there in ["http://10.0.0.1", "http://localhost.example.com", "http://gitlab"] {
            assert!(!is_loopback(&url(there)), "{there}");
        }
    }
}
