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
mod lock_info;

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

pub use actor::Actor;
pub use error::StateError;
pub(crate) use file::{MAX_BYTES, free_name};
pub use http_store::{HttpBackend, HttpStore, PEER};
pub use journal::{Journal, JournalContents, JournalEntry, JournalEvent};
pub use local::LocalStore;
pub use lock::Holder;
pub use lock_info::LockInfo;

use crate::http::Client;
use crate::model::{RecordedState, STATE_VERSION};
use crate::secrets::{RemoteText, to_json};

/// The highest serial of a record: GitLab keeps it in a column of 32 bits. A run makes some hundred.
pub(crate) const MAX_SERIAL: u64 = i32::MAX as u64;
/// How much is said about a damaged record, in characters.
const QUOTE: usize = 500;
/// How much of the place in it.
const QUOTED_PATH: usize = 100;

/// Where the record is kept.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// Where it is, for people: a path or a URL without a secret.
    fn place(&self) -> String;

    /// What it is asked with, where it is a server's.
    fn client(&self) -> Option<&Client> {
        None
    }

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
    let record: RecordedState = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let place = RemoteText::within(&error.path().to_string(), QUOTED_PATH);
        damaged(&format!("{place}: {}", error.inner()))
    })?;
    if record.serial > MAX_SERIAL {
        return Err(damaged(&format!("its serial {} is higher than any", record.serial)));
    }
    Ok(record)
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
    next.serial = record.serial.saturating_add(1);
    env!("CARGO_PKG_VERSION").clone_into(&mut next.setpoint_version);
    next
}

/// As [`successor`], unless the serial is the last one: it does not begin anew, for the highest is the newest.
pub(crate) fn next(record: &RecordedState, place: &str) -> Result<RecordedState, StateError> {
    if record.serial >= MAX_SERIAL {
        return Err(StateError::Exhausted {
            place: place.to_owned(),
        });
    }
    Ok(successor(record))
}

/// The serial of a text that may be no record any more: as its JSON has it, else the first number that follows the
/// word; 0 where no record has such a one. A new record has to have a higher one, for GitLab serves the version with the highest.
pub(crate) fn salvaged_serial(bytes: &[u8]) -> u64 {
    let sane = |serial: Option<u64>| serial.filter(|serial| *serial < MAX_SERIAL).unwrap_or(0);
    if let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) {
        return sane(value.get("serial").and_then(serde_json::Value::as_u64));
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
    sane(digits.parse().ok())
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
    use std::collections::BTreeSet;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::{
        MAX_SERIAL, StateError, condition, new_record, next, parse, random_id, render, salvaged_serial, successor,
    };
    use crate::model::{
        Address, ApplicationId, ApplicationUid, Attestation, FullPath, Intent, Operation, ProjectId,
        RecordedRepository, RecordedState, RepositoryOperation, UserOperation,
    };
    use crate::planner::fixture::{converged, desired};

    #[test]
    fn a_record_survives_its_text() {
        let record = new_record(true).unwrap();
        assert_eq!(parse(&render(&record).unwrap(), "x").unwrap(), record);
    }

    #[test]
    fn the_serial_does_not_begin_anew() {
        let mut record = new_record(false).unwrap();
        record.serial = MAX_SERIAL - 1;
        let last = next(&record, "x").unwrap();
        assert_eq!(
            parse(&render(&last).unwrap(), "x").unwrap(),
            last,
            "what is written can be read"
        );
        let error = next(&last, "state.json").unwrap_err();
        assert!(matches!(error, StateError::Exhausted { .. }), "{error}");
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("state rebuild --replace"))
        );
        record.serial = u64::MAX;
        assert_eq!(successor(&record).serial, u64::MAX);
        assert!(matches!(
            parse(&render(&record).unwrap(), "x"),
            Err(StateError::Damaged { .. })
        ));
    }

    proptest! {
        #[test]
        fn a_record_survives_its_text_whatever_it_has_taken_over(
            texts in prop::collection::vec(any::<String>(), 11),
            paths in prop::collection::btree_set(any::<String>(), 0..4),
            seconds in -62_000_000_000_i64..250_000_000_000,
        ) {
            let record = record_of(&texts, &paths, Timestamp::from_second(seconds).unwrap());
            let text = render(&record).unwrap();
            prop_assert_eq!(parse(&text, "x").unwrap(), record);
        }
    }

    /// A record with these texts wherever one can stand.
    fn record_of(texts: &[String], paths: &BTreeSet<String>, at: Timestamp) -> RecordedState {
        let mut record = converged().recorded;
        let attestation = Attestation {
            by: texts[0].clone(),
            at,
        };
        record.lineage.clone_from(&texts[1]);
        record.setpoint_version.clone_from(&texts[2]);
        let application = record.application.as_mut().unwrap();
        application.uid = ApplicationUid(texts[3].clone());
        application.fields.name.clone_from(&texts[4]);
        application.fields.redirect_uris.insert(texts[5].clone());
        application.secret_fingerprint = Some(texts[6].clone());
        application.trusted_attested = Some(attestation.clone());
        record.user.as_mut().unwrap().fields.email = texts[7].as_str().into();
        let authorization = record.authorization.as_mut().unwrap();
        authorization.user.username.clone_from(&texts[8]);
        authorization.attested = Some(attestation.clone());
        record.connection.as_mut().unwrap().attested = Some(attestation.clone());
        let membership = *record.memberships.values().next().unwrap();
        for (number, path) in paths.iter().enumerate() {
            let path = FullPath::new(path);
            record.memberships.insert(path.clone(), membership);
            let repository = RecordedRepository {
                path: path.clone(),
                attested: Some(attestation.clone()),
            };
            record.repositories.insert(ProjectId(number as u64), repository);
            record.intents.push(Intent {
                address: Address::Repository(path),
                operation: Operation::Repository(RepositoryOperation::Enable { id: ProjectId(1) }),
                at,
                applications_before: BTreeSet::new(),
            });
        }
        let mut user = desired().user.fields;
        user.username = texts[9].as_str().into();
        user.name.clone_from(&texts[10]);
        record.intents.push(Intent {
            address: Address::User,
            operation: Operation::User(UserOperation::Create { user }),
            at,
            applications_before: [ApplicationId(1)].into(),
        });
        record
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
            (r#"{"serial": 18446744073709551615}"#, 0),
            (r#"{"serial": 2147483647, "#, 0),
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
