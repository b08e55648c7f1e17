//! Who holds a lock, as the loser is shown it.

use serde::{Deserialize, Serialize};

use crate::secrets::RemoteText;

/// The holder of a lock. Serialized with the field names of Terraform's lock information, so that its tools and
/// GitLab's pages show our locks as they show their own (OpenTofu: `internal/states/statemgr/locker.go`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub struct LockInfo {
    /// Random; what `state unlock` takes.
    pub id: String,
    /// `user@host`, or the CI job.
    pub who: String,
    /// Process id, where the holder is a Setpoint.
    pub pid: Option<u32>,
    /// The machine that the process is on.
    pub host: Option<String>,
    /// The command, such as `apply`.
    pub command: String,
    /// When it was taken, RFC 3339.
    pub created: String,
}

impl LockInfo {
    /// A lock of which nothing but the id is known.
    pub(super) fn of_id(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            ..Self::default()
        }
    }
}

impl std::fmt::Display for LockInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.who.is_empty() { "somebody" } else { &self.who })?;
        if !self.command.is_empty() {
            write!(f, " running `{}`", self.command)?;
        }
        if let Some(pid) = self.pid {
            write!(f, " (process {pid})")?;
        }
        if !self.created.is_empty() {
            write!(f, " since {}", self.created)?;
        }
        write!(f, ", lock id {}", self.id)
    }
}

/// Terraform's form. Every field may be missing in the locks of other tools.
#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(rename = "ID", default)]
    id: String,
    #[serde(rename = "Operation", default)]
    operation: String,
    #[serde(rename = "Info", default)]
    info: String,
    #[serde(rename = "Who", default)]
    who: String,
    #[serde(rename = "Version", default)]
    version: String,
    #[serde(rename = "Created", default)]
    created: String,
    #[serde(rename = "Path", default)]
    path: String,
}

const PROCESS: &str = "setpoint process ";
const ON: &str = " on ";
/// The longest name of a holder, in characters.
const LENGTH: usize = 200;

impl From<LockInfo> for Wire {
    fn from(info: LockInfo) -> Self {
        Self {
            id: info.id,
            operation: info.command,
            info: match (info.pid, info.host) {
                (Some(pid), Some(host)) => format!("{PROCESS}{pid}{ON}{host}"),
                (Some(pid), None) => format!("{PROCESS}{pid}"),
                (None, _) => String::new(),
            },
            who: info.who,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            created: info.created,
            path: String::new(),
        }
    }
}

impl From<Wire> for LockInfo {
    /// Whatever the backend or the file says is shown to whoever finds the lock taken.
    fn from(wire: Wire) -> Self {
        let process = wire.info.strip_prefix(PROCESS);
        let (pid, host) = match process.map(|process| process.split_once(ON).unwrap_or((process, ""))) {
            Some((pid, host)) => (pid.parse().ok(), (!host.is_empty()).then(|| clean(host))),
            None => (None, None),
        };
        Self {
            id: clean(&wire.id),
            who: clean(&wire.who),
            pid,
            host,
            command: clean(&wire.operation),
            created: clean(&wire.created),
        }
    }
}

fn clean(text: &str) -> String {
    RemoteText::within(text, LENGTH).into()
}

#[cfg(test)]
mod tests {
    use super::LockInfo;

    #[test]
    fn text_and_back_under_terraforms_names() {
        let info = LockInfo {
            id: "1".into(),
            who: "ada@build.example.com".into(),
            pid: Some(7),
            host: Some("build".into()),
            command: "apply".into(),
            created: "2026-01-02T03:04:05Z".into(),
        };
        let text = serde_json::to_value(&info).unwrap();
        assert_eq!(text["ID"], "1");
        assert_eq!(text["Operation"], "apply");
        assert_eq!(text["Who"], "ada@build.example.com");
        assert_eq!(text["Info"], "setpoint process 7 on build");
        assert_eq!(serde_json::from_value::<LockInfo>(text).unwrap(), info);
        assert_eq!(
            info.to_string(),
            "ada@build.example.com running `apply` (process 7) since 2026-01-02T03:04:05Z, lock id 1"
        );
    }

    #[test]
    fn a_lock_of_another_tool_is_understood_as_far_as_it_goes() {
        let info: LockInfo = serde_json::from_str(r#"{"ID":"x","Info":"whatever","Extra":1}"#).unwrap();
        assert_eq!((info.id.as_str(), info.pid), ("x", None));
        let older: LockInfo = serde_json::from_str(r#"{"ID":"x","Info":"setpoint process 7"}"#).unwrap();
        assert_eq!((older.pid, older.host), (Some(7), None));
        assert_eq!(info.to_string(), "somebody, lock id x");
    }
}
