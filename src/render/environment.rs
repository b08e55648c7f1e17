//! Where a plan was made and where it would write: the first thing that is read of a plan, a question or a report.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::link::link;
use super::text::{sanitize, wrap};
use crate::config::{Driver, Region};
use crate::model::Address;

/// How much of a path, and of what GitLab calls its version, is shown, in characters.
const LONGEST_PATH: usize = 120;
const LONGEST_VERSION: usize = 40;

/// What a plan was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    pub created_at: Timestamp,
    /// `sha256:` and the digest of the configuration file.
    pub config_digest: String,
    /// The configuration file, as it was named.
    #[serde(default)]
    pub config_file: String,
    /// Where GitLab was asked.
    pub gitlab_url: String,
    /// The version that answered, as GitLab spells it, once it was asked.
    #[serde(default)]
    pub gitlab_version: Option<String>,
    /// Where Factory was asked.
    pub factory_url: String,
    /// Who does Factory's half.
    #[serde(default)]
    pub factory_driver: Driver,
    /// Whether the embedded sandbox stood in for both sides.
    #[serde(default)]
    pub sandbox: bool,
}

impl Environment {
    /// Both sides and the file, in a line such as
    /// `GitLab gitlab.example.com (18.5.1-ee), Factory us (assisted), setpoint.toml`.
    pub fn line(&self) -> String {
        self.line_with(&self.host())
    }

    fn line_with(&self, host: &str) -> String {
        let version = self.gitlab_version.as_ref().map_or_else(String::new, |version| {
            let short: String = sanitize(version).chars().take(LONGEST_VERSION).collect();
            format!(" ({short})")
        });
        let driver = self.factory_driver.as_str();
        let sides = if self.sandbox {
            format!("Sandbox: GitLab{version}, Factory ({driver})")
        } else {
            let factory = sanitize(self.factory());
            format!("GitLab {host}{version}, Factory {factory} ({driver})")
        };
        match end_of(&sanitize(&self.config_file)) {
            file if file.is_empty() => sides,
            file => format!("{sides}, {file}"),
        }
    }

    /// As [`Self::line`], broken into lines of at most so many columns, with a line feed at its end; GitLab's host leads
    /// there.
    pub fn lines(&self, width: usize) -> String {
        wrap(&self.line_with(&link(&self.gitlab_url, &self.host())), width, "", "  ") + "\n"
    }

    /// Whose integration it is, for questions and reports: GitLab's host, or `the sandbox`.
    pub fn host(&self) -> String {
        if self.sandbox {
            "the sandbox".to_owned()
        } else {
            sanitize(bare(&self.gitlab_url)).into_owned()
        }
    }

    /// An address of a plan as a link to its page in GitLab. Factory's pages, and those of the sandbox, which is gone when
    /// the plan is read, have none.
    pub(super) fn link_to(&self, address: &Address) -> String {
        let text = sanitize(&address.to_string()).into_owned();
        let page = match address {
            _ if self.sandbox => return text,
            Address::Application => "admin/applications",
            Address::User => "admin/users",
            Address::Membership(path) | Address::Repository(path) => path.as_str(),
            Address::Connection | Address::Authorization => return text,
        };
        link(&format!("{}/{page}", self.gitlab_url.trim_end_matches('/')), &text)
    }

    /// Of a plan for the hosts of examples.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn example() -> Self {
        Self {
            created_at: Timestamp::UNIX_EPOCH,
            config_digest: "sha256:0".to_owned(),
            config_file: "setpoint.toml".to_owned(),
            gitlab_url: "https://gitlab.example.com".to_owned(),
            gitlab_version: Some("18.5.1-ee".to_owned()),
            factory_url: "https://api.factory.ai".to_owned(),
            factory_driver: Driver::Assisted,
            sandbox: false,
        }
    }

    /// Factory's region, or its host where that is of no region.
    fn factory(&self) -> &str {
        let region = [Region::Us, Region::Eu]
            .into_iter()
            .find(|region| bare(region.api_url()) == bare(&self.factory_url));
        region.map_or_else(|| bare(&self.factory_url), |region| region.as_str())
    }
}

/// The end of a path, which tells files apart where it is a long one.
fn end_of(path: &str) -> String {
    let chars = path.chars().count();
    if chars <= LONGEST_PATH {
        return path.to_owned();
    }
    let end: String = path.chars().skip(chars - LONGEST_PATH).collect();
    format!("…{end}")
}

/// Host, port and path.
fn bare(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::Environment;
    use crate::config::Driver;

    #[test]
    fn a_region_has_its_name_and_other_hosts_theirs() {
        let mut environment = Environment::example();
        assert_eq!(
            environment.line(),
            "GitLab gitlab.example.com (18.5.1-ee), Factory us (assisted), setpoint.toml"
        );
        environment.gitlab_url = "https://dev.example.com:8443/git".to_owned();
        environment.gitlab_version = None;
        environment.factory_url = "https://factory.example.com".to_owned();
        environment.factory_driver = Driver::Api;
        assert_eq!(
            environment.line(),
            "GitLab dev.example.com:8443/git, Factory factory.example.com (api), setpoint.toml"
        );
        assert_eq!(environment.host(), "dev.example.com:8443/git");
    }

    #[test]
    fn the_sandbox_is_never_taken_for_a_host() {
        let mut environment = Environment::example();
        environment.sandbox = true;
        environment.gitlab_url = "http://127.0.0.1:4711".to_owned();
        assert_eq!(
            environment.line(),
            "Sandbox: GitLab (18.5.1-ee), Factory (assisted), setpoint.toml"
        );
        assert_eq!(environment.host(), "the sandbox");
    }

    #[test]
    fn what_has_a_page_in_gitlab_leads_there() {
        let mut environment = Environment::example();
        let led = |environment: &Environment, address: &str| environment.link_to(&address.parse().unwrap());
        assert!(led(&environment, "gitlab.membership[\"web/a\"]").contains("https://gitlab.example.com/web/a\u{1b}"));
        assert!(led(&environment, "gitlab.application").contains("/admin/applications\u{1b}"));
        assert_eq!(led(&environment, "factory.connection"), "factory.connection");
        environment.sandbox = true;
        assert_eq!(led(&environment, "gitlab.user"), "gitlab.user");
    }
}
