//! Who runs this: a person on a host, or a CI job.

use serde::{Deserialize, Serialize};

/// Who runs Setpoint, for locks, attestations and the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The account: of the operating system, or in CI the GitLab user who started the job.
    pub user: String,
    /// The host's name.
    pub host: String,
    /// The CI job's page, in CI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_url: Option<String>,
}

impl Actor {
    /// From the environment: `CI`, `GITLAB_USER_LOGIN` and `CI_JOB_URL` (GitLab: predefined CI/CD variables), else
    /// `USER` or `LOGNAME`.
    pub fn from_env() -> Self {
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        Self::from_variables(|name| std::env::var(name).ok(), host)
    }

    /// The same with the environment given.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>, host: String) -> Self {
        let get = |name: &str| {
            variable(name)
                .map(|value| value.chars().filter(|c| !c.is_control()).collect::<String>())
                .filter(|value| !value.is_empty())
        };
        let in_ci = get("CI").is_some_and(|value| value != "false" && value != "0");
        let ci = |name: &str| in_ci.then(|| get(name)).flatten();
        let user = ci("GITLAB_USER_LOGIN")
            .or_else(|| get("USER"))
            .or_else(|| get("LOGNAME"))
            .or_else(|| get("USERNAME"))
            .unwrap_or_else(|| "unknown".to_owned());
        Self {
            user,
            host,
            job_url: ci("CI_JOB_URL"),
        }
    }

    /// `user@host`, or in CI the user and the job's page.
    pub fn who(&self) -> String {
        match &self.job_url {
            Some(url) => format!("{} in {url}", self.user),
            None => format!("{}@{}", self.user, self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Actor;

    fn actor(variables: &[(&str, &str)]) -> Actor {
        let get = |name: &str| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Actor::from_variables(get, "host.example.com".to_owned())
    }

    #[test]
    fn a_person_and_a_job() {
        assert_eq!(actor(&[("USER", "ada")]).who(), "ada@host.example.com");
        assert_eq!(actor(&[]).who(), "unknown@host.example.com");
        let job = actor(&[
            ("CI", "true"),
            ("USER", "root"),
            ("GITLAB_USER_LOGIN", "ada"),
            ("CI_JOB_URL", "https://gitlab.example.com/a/-/jobs/1"),
        ]);
        assert_eq!(job.who(), "ada in https://gitlab.example.com/a/-/jobs/1");
    }

    #[test]
    fn ci_variables_mean_nothing_outside_of_ci() {
        let actor = actor(&[("USER", "ada"), ("GITLAB_USER_LOGIN", "eve"), ("CI_JOB_URL", "x")]);
        assert_eq!(actor.who(), "ada@host.example.com");
    }
}
