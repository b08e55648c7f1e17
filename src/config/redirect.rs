//! The redirect URIs that Factory uses: the one place that knows their generations and regions. Should Factory move its
//! hosts, this and [`Region`] are what changes.

use super::types::Region;
use super::uri;

/// What a declared redirect URI is compared with: those that Factory's guide has named for self-hosted GitLab, the one
/// since 27 January 2026, on the API's host, and the one before, on the web application's. For other hosts than
/// Factory's own by analogy. Which of the two an organization has is seen in the address of its popup; GitLab takes both
/// in one application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    region: Region,
    /// Of the region, with the hosts of the configuration where it names some.
    uris: [String; 2],
    /// The same of the other region.
    elsewhere: [String; 2],
}

impl Expected {
    /// For a region, and for the hosts that are given in place of its own; its own may be given, too.
    pub fn new(region: Region, api: Option<&str>, web_app: Option<&str>) -> Self {
        let api = api.filter(|api| !same(api, region.api_url()));
        let web_app = web_app.filter(|app| !same(app, region.app_url()));
        let on = |host: &str, path: &str| format!("{}/api/integrations/redirect/{path}", host.trim_end_matches('/'));
        let of = |region: Region| {
            [
                on(api.unwrap_or(region.api_url()), "gitlab-sh/callback"),
                on(web_app.unwrap_or(region.app_url()), "gitlab-sh"),
            ]
        };
        Self {
            region,
            uris: of(region),
            elsewhere: of(region.other()),
        }
    }

    /// The one that Factory's guide names today.
    pub fn now(&self) -> &str {
        &self.uris[0]
    }

    /// The one that it named before.
    pub fn before(&self) -> &str {
        &self.uris[1]
    }

    /// Those of the two that are not declared.
    pub fn missing(&self, declared: &[&str]) -> Vec<&str> {
        let listed = |uri: &str| declared.iter().any(|declared| same(declared, uri));
        self.uris
            .iter()
            .map(String::as_str)
            .filter(|uri| !listed(uri))
            .collect()
    }

    /// What is wrong with a declared one, as the end of a sentence about it; nothing where Factory is known to use it.
    pub fn fault(&self, declared: &str) -> Option<String> {
        let among = |uris: &[String; 2]| uris.iter().any(|uri| same(declared, uri));
        if among(&self.uris) {
            None
        } else if among(&self.elsewhere) {
            Some(format!(
                "is of the region `{}`, and `factory.region` is `{}`",
                self.region.other().as_str(),
                self.region.as_str()
            ))
        } else {
            Some("has an address that Factory is not known to use".to_owned())
        }
    }

    /// What to do about one with a fault.
    pub fn hint(&self) -> String {
        format!(
            "write {}, or both that and {}: the popup's address shows which one your organization has",
            self.now(),
            self.before()
        )
    }
}

/// Whether two are one address. What is no address is like none.
fn same(one: &str, other: &str) -> bool {
    match (uri::redirect(one), uri::redirect(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Expected, Region};

    #[test]
    fn what_is_nearly_right_is_told_from_what_is() {
        let expected = Expected::new(Region::Us, None, None);
        for right in [
            "https://api.factory.ai/api/integrations/redirect/gitlab-sh/callback",
            "https://API.factory.ai:443/api/integrations/redirect/gitlab-sh/callback",
            "https://app.factory.ai/api/integrations/redirect/gitlab-sh",
        ] {
            assert_eq!(expected.fault(right), None, "{right}");
        }
        for wrong in [
            "https://api.factory.ai/api/integrations/redirect/gitlab-sh",
            "https://app.factory.ai/api/integrations/redirect/gitlab-sh/callback",
            "https://api.factory.ai/api/integrations/redirect/gitlab/callback",
            "https://api.factory.ai/",
            "https://api.factory.example.com/api/integrations/redirect/gitlab-sh/callback",
            "http://api.factory.ai/api/integrations/redirect/gitlab-sh/callback",
            "",
        ] {
            let fault = expected.fault(wrong).unwrap();
            assert!(fault.contains("not known"), "{wrong}: {fault}");
        }
        let european = "https://api.eu.factory.ai/api/integrations/redirect/gitlab-sh/callback";
        for expected in [
            expected,
            Expected::new(
                Region::Us,
                Some("https://api.factory.ai/"),
                Some("https://app.factory.ai"),
            ),
        ] {
            let other = expected.fault(european);
            assert_eq!(other.unwrap(), "is of the region `eu`, and `factory.region` is `us`");
        }
    }

    #[test]
    fn hosts_of_its_own_count_and_not_the_regions() {
        let expected = Expected::new(Region::Eu, Some("https://factory.example.com/"), None);
        assert_eq!(
            expected.now(),
            "https://factory.example.com/api/integrations/redirect/gitlab-sh/callback"
        );
        assert_eq!(
            expected.before(),
            "https://app.eu.factory.ai/api/integrations/redirect/gitlab-sh"
        );
        assert!(
            expected
                .fault("https://api.eu.factory.ai/api/integrations/redirect/gitlab-sh/callback")
                .is_some()
        );
        assert_eq!(expected.missing(&[expected.now()]), [expected.before()]);
    }
}
