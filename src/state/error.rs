//! What can be wrong with the record, each with what to do about it.

use std::path::PathBuf;

use super::LockInfo;
use crate::model::Diagnostic;
use crate::secrets::RemoteText;

/// The record could not be read, written or locked.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// What the backend is asked with is missing.
    #[error("{0}")]
    NoCredential(Diagnostic),
    /// Another run holds the lock.
    #[error("{}", locked(place, holder.as_deref()))]
    Locked {
        place: String,
        /// Who holds it, where that is known.
        holder: Option<Box<LockInfo>>,
    },
    /// There is no lock to release.
    #[error("{place} is not locked")]
    NotLocked { place: String },
    /// The lock has another id than the one that was to be released.
    #[error("the lock on {place} has the id {}, not {asked}", held.id)]
    OtherLock {
        place: String,
        /// The id that was given.
        asked: String,
        /// The lock that is there.
        held: Box<LockInfo>,
    },
    /// A running process holds the lock; releasing it by force would let two runs write at once.
    #[error(
        "{}; it is a running process on this machine, so its lock is not released by force",
        locked(place, Some(holder))
    )]
    HeldByProcess { place: String, holder: Box<LockInfo> },
    /// The lock was taken away during the run.
    #[error("the lock on {place} was lost during the run: {why}")]
    LockLost {
        place: String,
        /// What the backend said.
        why: String,
    },
    /// The record was written by a newer Setpoint.
    #[error(
        "{place} has the format version {version}; this Setpoint knows versions up to {}",
        crate::model::STATE_VERSION
    )]
    Newer { place: String, version: u32 },
    /// The record cannot be understood.
    #[error("{place} is damaged: {why}")]
    Damaged { place: String, why: RemoteText },
    /// The record is of the sandbox and real sides were meant, or the reverse.
    #[error("{place} describes {} and not {}", world(*record_is_sandbox), world(!*record_is_sandbox))]
    OtherWorld {
        place: String,
        /// What the record is of.
        record_is_sandbox: bool,
    },
    /// Another history is stored there.
    #[error("{place} holds another record (lineage {stored}) than the one to be written (lineage {ours})")]
    OtherLineage {
        place: String,
        stored: String,
        /// The lineage to be written.
        ours: String,
    },
    /// It was written as often as it can be.
    #[error("{place} was written as often as it can be: its serial is the highest")]
    Exhausted { place: String },
    /// An answer that may be of something in between, so that nobody knows whether a record is stored.
    #[error("whether a record is stored at {place} is not known: {answer}")]
    Unanswered { place: String, answer: String },
    /// There is no record, although Setpoint was here before.
    #[error("there is no record at {place}, although {evidence}")]
    Missing {
        /// Where it should be.
        place: String,
        /// What shows that there was one.
        evidence: String,
    },
    /// Somebody else wrote meanwhile.
    #[error("{place} was written by another run meanwhile: its serial is {stored}, expected {ours}")]
    Conflict {
        place: String,
        stored: u64,
        /// The serial that the record to be written was made from.
        ours: u64,
    },
    /// The final name is a symbolic link, which could lead a privileged run to write elsewhere.
    #[error("{} is a symbolic link, which is not followed", path.display())]
    Symlink { path: PathBuf },
    /// The file has a second name, at which a write would arrive as well.
    #[error("{} has another name as well (a hard link), to which nothing is written", path.display())]
    HardLink { path: PathBuf },
    /// It is neither a file nor absent.
    #[error("{} is no regular file", path.display())]
    NotAFile { path: PathBuf },
    /// The operating system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// The HTTP backend failed.
    #[error("the state backend: {0}")]
    Backend(crate::http::Error),
    /// The configured method is no HTTP method.
    #[error("`{name}` is no HTTP method")]
    Method { name: String },
    #[error("the operating system gives no random numbers: {0}")]
    Random(String),
    /// The record cannot be written as JSON.
    #[error("the record cannot be encoded: {0}")]
    Encode(String),
}

impl StateError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Locked {
                holder: Some(holder), ..
            } => {
                return Some(format!(
                    "wait for that run to end, or give --lock-timeout; if it is certain that it is gone, `setpoint state unlock {}`",
                    holder.id
                ));
            }
            Self::Locked { holder: None, .. } => "wait for the other run to end, or give --lock-timeout",
            Self::NotLocked { .. } => "there is nothing to release; a lock file of a dead process is no lock",
            Self::OtherLock { .. } => "look at the holder with `setpoint state show` before releasing its lock",
            Self::HeldByProcess { holder, .. } => match holder.pid {
                Some(pid) => return Some(format!("end process {pid}; its lock ends with it")),
                None => "end that process; its lock ends with it",
            },
            Self::LockLost { .. } => "run the command again: what was begun is in the record as intents",
            Self::Newer { .. } => {
                "use the Setpoint version that wrote it, or a newer one; the record was left as it is"
            }
            Self::Damaged { .. } => {
                "put a backup back with `setpoint state push FILE`; without one, `setpoint state rebuild` makes a new record \
                 from what is live, and keeps the damaged one"
            }
            Self::OtherWorld {
                record_is_sandbox: true,
                ..
            } => {
                "to go on with the sandbox, pass --sandbox to this command too; for the real servers, move that file \
                 away (only --sandbox needs it), or set another `state.path`"
            }
            Self::OtherWorld {
                record_is_sandbox: false,
                ..
            } => {
                "leave --sandbox out; to try this configuration against the sandbox, copy it to a folder of its own, or \
                 set another `state.path`"
            }
            Self::OtherLineage { .. } => "check state.path or state.url: another configuration may be using this place",
            Self::Exhausted { .. } => {
                "`setpoint state rebuild --replace` begins a new record from what is live, with a serial of its own"
            }
            Self::Unanswered { .. } => {
                "check state.url, its credential, and what stands before the backend; if it is certain that \
                 nothing was ever stored there, `setpoint state rebuild --replace` begins the record"
            }
            Self::Missing { .. } => {
                "put a backup back with `setpoint state push FILE`; without one, `setpoint state rebuild` \
                 makes a new record from what is live, and writes to neither side"
            }
            Self::Conflict { .. } => "run the command again",
            Self::Symlink { .. } | Self::NotAFile { .. } => "give state.path the real path of a file",
            Self::HardLink { .. } => {
                "find out who made the link; `cp` the file to a new name and `mv` that over it to part them"
            }
            Self::NoCredential(why) => return why.hint.clone(),
            Self::Backend(error) => return error.hint.clone(),
            Self::Io { what, .. } if *what == "read" => "check the permissions of the file",
            Self::Io { .. } => "check free space and the permissions of the folder",
            Self::Method { .. } => "check state.lock_method and state.unlock_method",
            Self::Random(_) | Self::Encode(_) => return None,
        };
        Some(hint.to_owned())
    }

    /// Whether it is a lock that somebody else holds: a refusal, not a failure.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Locked { .. })
    }
}

fn locked(place: &str, holder: Option<&LockInfo>) -> String {
    match holder {
        Some(holder) => format!("{place} is locked by {holder}"),
        None => format!("{place} is locked by another run"),
    }
}

fn world(sandbox: bool) -> &'static str {
    if sandbox { "the sandbox" } else { "real servers" }
}
