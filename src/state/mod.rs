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
pub use http_store::{HttpBackend, HttpStore};
pub use journal::{Journal, JournalContents, JournalEntry, JournalEvent};
pub use local::LocalStore;
pub use lock::LockInfo;

use crate::model::{RecordedState, STATE_VERSION};

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

    /// Releases the lock of this id: our own, or by force one that was left behind where the store permits that.
    async fn unlock(&self, id: &str) -> Result<(), StateError>;

    /// Who holds the lock now, if the store can tell without taking it.
    async fn holder(&self) -> Result<Option<LockInfo>, StateError>;

    /// Moves a damaged record out of the way, so that a rebuilt one can be written; gives the place where it is kept.
    async fn set_aside(&self) -> Result<Option<PathBuf>, StateError>;
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
    let hex = crate::secrets::hex(&bytes);
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
    let damaged = |why: String| StateError::Damaged {
        place: place.to_owned(),
        why,
    };
    if bytes.trim_ascii().is_empty() {
        return Err(damaged("it is empty".to_owned()));
    }
    let Version { version } = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    if version > STATE_VERSION {
        return Err(StateError::Newer {
            place: place.to_owned(),
            version,
        });
    }
    if version != STATE_VERSION {
        return Err(damaged(format!("version {version} was never written by Setpoint")));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| damaged(error.to_string()))
}

/// The record's JSON text, with a final newline.
pub(crate) fn render(record: &RecordedState) -> Result<Vec<u8>, StateError> {
    let mut bytes = serde_json::to_vec_pretty(record).map_err(|error| StateError::Encode(error.to_string()))?;
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
    use super::{StateError, new_record, parse, random_id, render};

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
    fn damage_is_explained_at_every_length() {
        let text = render(&new_record(false).unwrap()).unwrap();
        for length in 0..text.len() - 2 {
            let error = parse(&text[..length], "state.json").unwrap_err();
            assert!(matches!(error, StateError::Damaged { .. }), "{length}: {error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("backup")));
        }
    }

    #[test]
    fn random_ids_are_uuids_and_differ() {
        let one = random_id().unwrap();
        assert_eq!(one.len(), 36);
        assert_eq!(one.as_bytes()[14], b'4');
        assert_ne!(one, random_id().unwrap());
    }
}
