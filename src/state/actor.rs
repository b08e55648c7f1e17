//! Who runs this: a person on a host, or a CI job.

#[cfg(unix)]
use std::path::Path;

use serde::{Deserialize, Serialize};

#[cfg(unix)]
use crate::files;

/// Who runs Setpoint, for locks, attestations and the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The account: of the operating system, or in CI the GitLab user who started the job. Where a variable of the
    /// environment says it, which anybody can set, the variable is named behind it in parentheses.
    pub user: String,
    pub host: String,
    /// The CI job's page, in CI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_url: Option<String>,
}

impl Actor {
    /// In CI from `CI`, `GITLAB_USER_LOGIN` and `CI_JOB_URL` (GitLab: predefined CI/CD variables); else the account that
    /// the process runs as.
    pub fn from_env() -> Self {
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        Self::from_variables(|name| std::env::var(name).ok(), account(), host)
    }

    /// The same with the environment and the account given.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>, account: Option<String>, host: String) -> Self {
        let clean = |value: String| value.chars().filter(|c| !c.is_control()).collect::<String>();
        let get = |name: &str| variable(name).map(clean).filter(|value| !value.is_empty());
        let said = |name: &str| get(name).map(|value| format!("{value} (by {name})"));
        let in_ci = get("CI").is_some_and(|value| value != "false" && value != "0");
        let ci_user = in_ci.then(|| said("GITLAB_USER_LOGIN")).flatten();
        let user = ci_user
            .or_else(|| account.map(clean).filter(|account| !account.is_empty()))
            .or_else(|| ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(said))
            .unwrap_or_else(|| "unknown".to_owned());
        Self {
            user,
            host,
            job_url: in_ci.then(|| get("CI_JOB_URL")).flatten(),
        }
    }

    /// `user@host`, or in CI the user and the job's page.
    pub fn who(&self) -> String {
        match &self.job_url {
            Some(url) => format!("{} in {url}", self.user),
            None => match self.user.split_once(" (by ") {
                Some((user, variable)) => format!("{user}@{} (by {variable}", self.host),
                None => format!("{}@{}", self.user, self.host),
            },
        }
    }
}

/// The account that the process runs as: its name, or its number where the machine has no name for it, as in a container
/// that was given one.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
fn account() -> Option<String> {
    let id = rustix::process::getuid().as_raw();
    let named = files::read(Path::new("/etc/passwd"), MAX_ACCOUNTS)
        .ok()
        .and_then(|file| name_of(&String::from_utf8_lossy(&file), id));
    Some(named.unwrap_or_else(|| format!("uid {id}")))
}

/// More bytes of local accounts than any machine has.
#[cfg(unix)]
const MAX_ACCOUNTS: u64 = 16 * 1024 * 1024;

/// Elsewhere the system's own variables are asked.
#[cfg(not(unix))]
fn account() -> Option<String> {
    None
}

/// The first account of a `passwd` file with this number (passwd(5)).
#[cfg(unix)]
fn name_of(passwd: &str, id: u32) -> Option<String> {
    let number = id.to_string();
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, found) = (fields.next()?, fields.next()?, fields.next()?);
        (found == number && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::Actor;

    fn actor(variables: &[(&str, &str)], account: Option<&str>) -> Actor {
        let get = |name: &str| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Actor::from_variables(get, account.map(str::to_owned), "host.example.com".to_owned())
    }

    #[test]
    fn the_machine_is_believed_before_its_variables() {
        assert_eq!(actor(&[("USER", "eve")], Some("ada")).who(), "ada@host.example.com");
        assert_eq!(actor(&[], Some("uid 1001")).who(), "uid 1001@host.example.com");
        assert_eq!(actor(&[("USER", "ada")], None).who(), "ada@host.example.com (by USER)");
        assert_eq!(actor(&[], None).who(), "unknown@host.example.com");
    }

    #[test]
    fn of_a_job_it_is_said_which_variable_has_the_name() {
        let job = actor(
            &[
                ("CI", "true"),
                ("USER", "root"),
                ("GITLAB_USER_LOGIN", "ada"),
                ("CI_JOB_URL", "https://gitlab.example.com/a/-/jobs/1"),
            ],
            Some("root"),
        );
        assert_eq!(
            job.who(),
            "ada (by GITLAB_USER_LOGIN) in https://gitlab.example.com/a/-/jobs/1"
        );
        assert_eq!(
            actor(&[("CI", "true")], Some("runner")).who(),
            "runner@host.example.com"
        );
    }

    #[test]
    fn ci_variables_mean_nothing_outside_of_ci() {
        let variables = [("GITLAB_USER_LOGIN", "eve"), ("CI_JOB_URL", "x")];
        assert_eq!(actor(&variables, Some("ada")).who(), "ada@host.example.com");
    }

    #[cfg(unix)]
    #[test]
    fn an_account_is_known_by_its_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n# a remark\nada:x:1001:1001::/home/ada:/bin/sh\n:x:7:7::/:\n";
        assert_eq!(super::name_of(passwd, 1001).as_deref(), Some("ada"));
        assert_eq!(super::name_of(passwd, 7), None);
        assert_eq!(super::name_of(passwd, 100), None);
    }
}
