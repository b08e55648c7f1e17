//! The record of what was applied, its lock, and the journal.
//!
//! One trait, [`StateStore`], because a team keeps its record where Terraform's backends keep theirs, while a single
//! machine is well served by a file. Whoever writes holds the lock; a record that is newer, damaged or somebody
//! else's is refused and never overwritten.

mod actor;
mod error;
mod file;
mod http_store;
mod journal;
mod local;
mod lock;

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

pub use actor::Actor;
pub use error::StateError;
pub(crate) use file::free_name;
pub use http_store::{HttpBackend, HttpStore};
pub use journal::{Journal, JournalContents, JournalEntry, JournalEvent};
pub use local::LocalStore;
pub use lock::{Holder, LockInfo};

use crate::model::{RecordedState, STATE_VERSION};
use crate::secrets::{RemoteText, to_json};

/// How much is said about a damaged record, in characters.
const QUOTE: usize = 500;
/// How much of the place in it.
const QUOTED_PATH: usize = 100;

/// Where the record is kept.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// Where it is, for people: a path or a URL without a secret.
    fn place(&self) -> String;

    /// The record; none where nothing was ever written. A damaged or newer one is an error.
    async fn read(&self) -> Result<Option<RecordedState>, StateError>;

    /// Replaces the record by this one with the next serial, which is then also set in `record`. Refuses when the
    /// stored record is not the one that `record` was made from (another lineage or serial), or cannot be read.
    async fn write(&self, record: &mut RecordedState) -> Result<(), StateError>;

    /// Takes the lock, waiting up to `timeout` for another holder to let go. [`StateError::Locked`] names the holder.
    async fn lock(&self, info: &LockInfo, timeout: Duration) -> Result<(), StateError>;

    /// Whose lock was found when ours was taken: that of a process of this machine which is gone.
    fn left_behind(&self) -> Option<LockInfo> {
        None
    }

    /// Releases the lock of this id: our own, or by force one that was left behind where the store permits that.
    async fn unlock(&self, id: &str) -> Result<(), StateError>;

    /// Who holds the lock now, as far as the store can tell without taking it.
    async fn holder(&self) -> Result<Holder, StateError>;

    /// Finds out before anything is changed whether there is room and permission to write a record like this one.
    async fn probe(&self, record: &RecordedState) -> Result<(), StateError>;

    /// Puts this record in the place of whatever is stored, be it damaged, another's or newer, with a higher serial
    /// than that had. What was stored is kept in a local file first, whose path is given.
    async fn replace(&self, record: &mut RecordedState) -> Result<Option<PathBuf>, StateError>;
}

/// A new, empty record with a lineage of its own.
pub fn new_record(sandbox: bool) -> Result<RecordedState, StateError> {
    let mut record = RecordedState::empty(random_id()?, env!("CARGO_PKG_VERSION"));
    record.sandbox = sandbox;
    Ok(record)
}

/// Refuses a record of the embedded sandbox for real sides, and the reverse.
pub fn check_world(record: &RecordedState, sandbox: bool, place: &str) -> Result<(), StateError> {
    if record.sandbox == sandbox {
        Ok(())
    } else {
        Err(StateError::OtherWorld {
            place: place.to_owned(),
            record_is_sandbox: record.sandbox,
        })
    }
}

/// A random identifier in the form of a UUID (version 4): lineages, lock ids and run ids.
pub fn random_id() -> Result<String, StateError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| StateError::Random(error.to_string()))?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = crate::digest::hex(&bytes);
    Ok(format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    ))
}

/// Reads a record from its JSON text. The version is looked at first: a newer record may have any shape.
pub(crate) fn parse(bytes: &[u8], place: &str) -> Result<RecordedState, StateError> {
    #[derive(serde::Deserialize)]
    struct Version {
        version: u32,
    }
    // A parser quotes what it stumbles over, which may be anybody's and of any length.
    let damaged = |why: &str| StateError::Damaged {
        place: place.to_owned(),
        why: RemoteText::within(why, QUOTE),
    };
    if bytes.trim_ascii().is_empty() {
        return Err(damaged("it is empty"));
    }
    let Version { version } = serde_json::from_slice(bytes).map_err(|error| damaged(&error.to_string()))?;
    if version > STATE_VERSION {
        return Err(StateError::Newer {
            place: place.to_owned(),
            version,
        });
    }
    if version != STATE_VERSION {
        return Err(damaged(&format!("version {version} was never written by Setpoint")));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let place = RemoteText::within(&error.path().to_string(), QUOTED_PATH);
        damaged(&format!("{place}: {}", error.inner()))
    })
}

/// The record's JSON text, with a final newline.
pub(crate) fn render(record: &RecordedState) -> Result<Vec<u8>, StateError> {
    let mut bytes = to_json(record, true).map_err(|error| StateError::Encode(error.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The record as the next write has it: one serial on, written by this program.
pub(crate) fn successor(record: &RecordedState) -> RecordedState {
    let mut next = record.clone();
    next.serial += 1;
    env!("CARGO_PKG_VERSION").clone_into(&mut next.setpoint_version);
    next
}

/// The serial of a text that may be no record any more: as its JSON has it, else the first number that follows the
/// word. A new record has to have a higher one, for GitLab serves the version with the highest.
pub(crate) fn salvaged_serial(bytes: &[u8]) -> u64 {
    if let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) {
        return value.get("serial").and_then(serde_json::Value::as_u64).unwrap_or(0);
    }
    let text = String::from_utf8_lossy(bytes);
    let Some((_, rest)) = text.split_once("\"serial\"") else {
        return 0;
    };
    let digits: String = rest
        .trim_start_matches([':', ' ', '\t', '\r', '\n'])
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().unwrap_or(0)
}

/// What a text that is replaced is called, for the name of the file that keeps it.
pub(crate) fn condition(bytes: &[u8]) -> &'static str {
    match parse(bytes, "") {
        Err(StateError::Damaged { .. }) => "damaged",
        _ => "replaced",
    }
}

/// Refuses to write over a record that is not the one that `record` was made from.
pub(crate) fn check_ancestor(
    lineage: &str,
    serial: u64,
    record: &RecordedState,
    place: &str,
) -> Result<(), StateError> {
    if lineage != record.lineage {
        return Err(StateError::OtherLineage {
            place: place.to_owned(),
            stored: lineage.to_owned(),
            ours: record.lineage.clone(),
        });
    }
    if serial != record.serial {
        return Err(StateError::Conflict {
            place: place.to_owned(),
            stored: serial,
            ours: record.serial,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{StateError, condition, new_record, parse, random_id, render, salvaged_serial};

    #[test]
    fn a_record_survives_its_text() {
        let record = new_record(true).unwrap();
        assert_eq!(parse(&render(&record).unwrap(), "x").unwrap(), record);
    }

    #[test]
    fn a_newer_record_is_named_as_newer_whatever_its_shape() {
        let error = parse(br#"{"version": 2, "everything": "else"}"#, "state.json").unwrap_err();
        assert!(matches!(error, StateError::Newer { version: 2, .. }), "{error}");
    }

    #[test]
    fn what_is_quoted_of_a_damaged_record_acts_on_no_terminal_and_has_an_end() {
        let text = String::from_utf8(render(&new_record(false).unwrap()).unwrap()).unwrap();
        for key in ["\u{7f}\u{202e}".to_owned(), "x".repeat(100_000)] {
            let damaged = text.replacen("\"serial\"", &format!("\"{key}\": 1, \"serial\""), 1);
            let said = parse(damaged.as_bytes(), "state.json").unwrap_err().to_string();
            assert!(said.contains("unknown field") && said.chars().count() < 600, "{said}");
            assert!(!said.contains(['\u{7f}', '\u{202e}']), "{said}");
        }
    }

    #[test]
    fn damage_is_explained_at_every_length() {
        let text = render(&new_record(false).unwrap()).unwrap();
        for length in 0..text.len() - 2 {
            let error = parse(&text[..length], "state.json").unwrap_err();
            assert!(matches!(error, StateError::Damaged { .. }), "{length}: {error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("state rebuild")));
        }
    }

    #[test]
    fn the_serial_is_found_in_what_is_left_of_a_record() {
        for (text, serial) in [
            (r#"{"version": 1, "serial": 12, "lineage": "x"}"#, 12),
            ("{\n  \"version\": 1,\n  \"serial\": 34,\n  \"line", 34),
            (r#"{"version": 1, "#, 0),
            (r#"{"serial": "many"}"#, 0),
            ("garbage", 0),
            ("", 0),
        ] {
            assert_eq!(salvaged_serial(text.as_bytes()), serial, "{text}");
        }
        assert_eq!(condition(b"garbage"), "damaged");
        assert_eq!(condition(b"{\"version\": 9}"), "replaced");
    }

    #[test]
    fn random_ids_are_uuids_and_differ() {
        let one = random_id().unwrap();
        assert_eq!(one.len(), 36);
        assert_eq!(one.as_bytes()[14], b'4');
        assert_ne!(one, random_id().unwrap());
    }
}
