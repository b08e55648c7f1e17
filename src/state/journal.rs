//! The journal: what was done, when, by whom and with what result, one line of JSON each, appended and synced. It
//! holds no secret, and no answer of a server beyond what the reports show.

use std::collections::BTreeMap;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Actor, StateError, file};
use crate::files;
use crate::model::{Actions, Address, ChangeOutcome, Outcome, OutcomeSummary};
use crate::secrets::to_json;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    pub at: Timestamp,
    /// The run; the same as in its JSON report.
    pub run_id: String,
    #[serde(flatten)]
    pub event: JournalEvent,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JournalEvent {
    /// A run began to write.
    Started {
        who: Actor,
        /// `apply`, `rotate`, `destroy`, `confirm`.
        command: String,
        /// Whether it was in the embedded sandbox.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        sandbox: bool,
        /// `sha256:` of the plan that was carried out.
        plan_digest: String,
        /// The change window it ran in, in words, where there are windows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        window: Option<String>,
        /// Why it ran outside of one (`--outside-window`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The record is about to be replaced as a whole; neither side is written to.
    RecordReplaced {
        who: Actor,
        /// `state rebuild` or `state push`.
        command: String,
    },
    Outcome {
        address: Address,
        /// What was to happen.
        actions: Actions,
        /// What became of it.
        outcome: Outcome,
        /// What went wrong, or what it waits for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// How many of its writes were carried out.
        #[serde(default)]
        writes: u64,
    },
    /// A run ended by itself. One that was killed has no such line.
    Finished {
        summary: OutcomeSummary,
        /// Exit code of the command.
        exit_code: u8,
    },
}

impl From<&ChangeOutcome> for JournalEvent {
    fn from(outcome: &ChangeOutcome) -> Self {
        let ChangeOutcome {
            address,
            actions,
            outcome,
            error,
            writes,
            fallback: _,
            // It has expired before anybody reads it here.
            approve_at: _,
        } = outcome;
        Self::Outcome {
            address: address.clone(),
            actions: *actions,
            outcome: *outcome,
            error: error.clone(),
            writes: *writes,
        }
    }
}

/// The journal's file (0600). Written by whoever holds the lock of the record beside it.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
}

/// What a journal holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalContents {
    /// Its entries, oldest first.
    pub entries: Vec<JournalEntry>,
    /// Numbers of lines that are no entries, such as one that a full disk cut off.
    pub unreadable: Vec<usize>,
}

impl JournalContents {
    /// The last change that a run carried out or began, in the sandbox or on real sides: where there is one, there was a record.
    /// What was done before everything was taken down shows nothing any more.
    pub fn last_done(&self, in_sandbox: bool) -> Option<&JournalEntry> {
        let mut runs: BTreeMap<&str, &str> = BTreeMap::new();
        let mut last = None;
        for entry in &self.entries {
            let run_id = entry.run_id.as_str();
            match &entry.event {
                JournalEvent::Started { command, sandbox, .. } if *sandbox == in_sandbox => {
                    runs.insert(run_id, command);
                }
                JournalEvent::Outcome { outcome, writes, .. }
                    if runs.contains_key(run_id) && (*outcome == Outcome::Done || *writes > 0) =>
                {
                    last = Some(entry);
                }
                JournalEvent::Finished { exit_code: 0, .. } if runs.get(run_id) == Some(&"destroy") => last = None,
                JournalEvent::Started { .. }
                | JournalEvent::RecordReplaced { .. }
                | JournalEvent::Outcome { .. }
                | JournalEvent::Finished { .. } => {}
            }
        }
        last
    }
}

impl Journal {
    /// The journal at this path. Nothing is created before the first entry.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The journal beside a local record: `journal.jsonl` in its folder.
    pub fn beside(record: &Path) -> Self {
        Self::new(record.with_file_name("journal.jsonl"))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends an entry and returns when it is on the disk. A line that was cut off before is ended first, so that it
    /// spoils no more than itself.
    pub fn append(&self, entry: &JournalEntry) -> Result<(), StateError> {
        let fail = || file::io_error("write", &self.path);
        let mut journal = file::open_private(&self.path, true)?;
        let mut line = to_json(entry, false).map_err(|error| StateError::Encode(error.to_string()))?;
        line.push(b'\n');
        if ends_within_a_line(&mut journal).map_err(fail())? {
            line.insert(0, b'\n');
        }
        journal.write_all(&line).map_err(fail())?;
        journal.sync_all().map_err(fail())
    }

    /// Reads all of it. No file is an empty journal.
    pub fn read(&self) -> Result<JournalContents, StateError> {
        let mut contents = JournalContents::default();
        if !file::is_there(&self.path)? {
            return Ok(contents);
        }
        let journal = files::read(&self.path, file::MAX_BYTES).map_err(file::io_error("read", &self.path))?;
        for (at, line) in journal.split(|byte| *byte == b'\n').enumerate() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice(line) {
                Ok(entry) => contents.entries.push(entry),
                Err(_) => contents.unreadable.push(at + 1),
            }
        }
        Ok(contents)
    }
}

fn ends_within_a_line(journal: &mut std::fs::File) -> std::io::Result<bool> {
    use std::io::Read as _;
    if journal.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    journal.seek(SeekFrom::End(-1))?;
    let mut last = [0_u8];
    journal.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Journal, JournalContents, JournalEntry, JournalEvent};
    use crate::model::{Actions, Address, FullPath, Outcome, OutcomeSummary};
    use crate::state::Actor;

    fn entry(event: JournalEvent) -> JournalEntry {
        JournalEntry {
            at: "2026-01-02T03:04:05Z".parse().unwrap(),
            run_id: "run".into(),
            event,
        }
    }

    fn finished() -> JournalEntry {
        entry(JournalEvent::Finished {
            summary: OutcomeSummary::default(),
            exit_code: 0,
        })
    }

    #[test]
    fn entries_come_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::beside(&folder.path().join("sub/state.json"));
        assert!(journal.read().unwrap().entries.is_empty());
        let entries = [
            entry(JournalEvent::Started {
                who: Actor {
                    user: "ada".into(),
                    host: "host.example.com".into(),
                    job_url: None,
                },
                command: "apply".into(),
                sandbox: false,
                plan_digest: "sha256:0".into(),
                window: None,
                reason: Some("incident 7".into()),
            }),
            entry(JournalEvent::Outcome {
                address: Address::Repository(FullPath::new("a/b")),
                actions: Actions::Create,
                outcome: Outcome::Failed,
                error: Some("line\nbreak".into()),
                writes: 0,
            }),
            finished(),
        ];
        for entry in &entries {
            journal.append(entry).unwrap();
        }
        let contents = journal.read().unwrap();
        assert_eq!(contents.entries, entries);
        assert!(contents.unreadable.is_empty());
        let text = std::fs::read_to_string(journal.path()).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert!(
            text.starts_with(r#"{"at":"2026-01-02T03:04:05Z","run_id":"run","event":"started","who":{"user":"ada""#)
        );
    }

    proptest! {
        #[test]
        fn an_entry_is_one_line_and_comes_back_whatever_is_in_it(texts in prop::collection::vec(any::<String>(), 6)) {
            let path = FullPath::new(&texts[4]);
            for event in [
                JournalEvent::Started {
                    who: Actor {
                        user: texts[0].clone(),
                        host: texts[1].clone(),
                        job_url: Some(texts[2].clone()),
                    },
                    command: texts[3].clone(),
                    sandbox: true,
                    plan_digest: texts[4].clone(),
                    window: Some(texts[5].clone()),
                    reason: Some(texts[0].clone()),
                },
                JournalEvent::Outcome {
                    address: Address::Membership(path.clone()),
                    actions: Actions::Delete,
                    outcome: Outcome::Failed,
                    error: Some(texts[5].clone()),
                    writes: 3,
                },
            ] {
                let entry = entry(event);
                let line = serde_json::to_string(&entry).unwrap();
                prop_assert!(!line.contains('\n'));
                prop_assert_eq!(serde_json::from_str::<JournalEntry>(&line).unwrap(), entry);
            }
        }
    }

    #[test]
    fn a_line_that_was_cut_off_spoils_itself_only() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path().join("journal.jsonl"));
        journal.append(&finished()).unwrap();
        let text = std::fs::read(journal.path()).unwrap();
        std::fs::write(journal.path(), &text[..text.len() / 2]).unwrap();
        journal.append(&finished()).unwrap();
        let contents = journal.read().unwrap();
        assert_eq!(contents.entries, [finished()]);
        assert_eq!(contents.unreadable, [1]);
    }

    #[test]
    fn what_was_done_shows_that_there_was_a_record() {
        let started = |run: &str, command: &str, sandbox: bool| JournalEntry {
            run_id: run.to_owned(),
            ..entry(JournalEvent::Started {
                who: Actor {
                    user: "ada".into(),
                    host: "host.example.com".into(),
                    job_url: None,
                },
                command: command.into(),
                sandbox,
                plan_digest: "sha256:0".into(),
                window: None,
                reason: None,
            })
        };
        let ended = |run: &str, outcome: Outcome| JournalEntry {
            run_id: run.to_owned(),
            ..entry(JournalEvent::Outcome {
                address: Address::User,
                actions: Actions::Create,
                outcome,
                error: None,
                writes: 0,
            })
        };
        let finished = |run: &str| JournalEntry {
            run_id: run.to_owned(),
            ..finished()
        };
        let contents = |entries: Vec<JournalEntry>| JournalContents {
            entries,
            unreadable: vec![],
        };
        let failed = contents(vec![started("1", "apply", false), ended("1", Outcome::Failed)]);
        assert_eq!(failed.last_done(false), None);
        let mut begun = ended("1", Outcome::Failed);
        if let JournalEvent::Outcome { writes, .. } = &mut begun.event {
            *writes = 1;
        }
        let made = contents(vec![started("1", "apply", false), begun.clone()]);
        assert_eq!(made.last_done(false), Some(&begun), "something was made");
        let mut done = contents(vec![started("1", "apply", false), ended("1", Outcome::Done)]);
        assert_eq!(done.last_done(false), Some(&ended("1", Outcome::Done)));
        assert_eq!(
            done.last_done(true),
            None,
            "what was done in the sandbox is another matter"
        );
        done.entries
            .extend([started("2", "destroy", false), ended("2", Outcome::Done)]);
        assert!(done.last_done(false).is_some(), "it was cut off");
        done.entries.push(finished("2"));
        assert_eq!(done.last_done(false), None);
    }

    #[cfg(unix)]
    #[test]
    fn it_is_private_and_never_behind_a_link() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path().join("journal.jsonl"));
        journal.append(&finished()).unwrap();
        let mode = std::fs::metadata(journal.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let link = folder.path().join("link.jsonl");
        std::os::unix::fs::symlink(journal.path(), &link).unwrap();
        assert!(Journal::new(link).append(&finished()).is_err());
    }
}
