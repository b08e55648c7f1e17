//! The state record and its lock.

use std::path::Path;

use jiff::Timestamp;

use super::{Check, Status, way};
use crate::files;
use crate::state::{Holder, StateError, StateStore, check_world};

/// Whether the record can be read, belongs to these sides, and is free.
pub async fn state(store: &dyn StateStore, sandbox: bool, now: Timestamp) -> Vec<Check> {
    let (record, lock) = (record(store, sandbox).await, lock(store).await);
    // One fault is told once.
    let lock = if lock.status == Status::Failure && lock.message == record.message {
        Check::skipped(
            "state.lock",
            "Whether somebody holds the lock is not known, for the same reason",
        )
    } else {
        lock
    };
    let mut checks = vec![record, lock];
    if let Some(client) = store.client() {
        checks.extend(way::check("state", client, now).await);
    }
    checks
}

async fn record(store: &dyn StateStore, sandbox: bool) -> Check {
    const ID: &str = "state.record";
    let place = store.place();
    let record = match store.read().await {
        Ok(Some(record)) => record,
        Ok(None) => return Check::ok(ID, format!("There is no record at {place} yet; apply begins one")),
        Err(error) => return failed(ID, &error),
    };
    if let Err(error) = check_world(&record, sandbox, &place) {
        return failed(ID, &error);
    }
    if record.intents.is_empty() {
        return Check::ok(
            ID,
            format!("The record at {place} can be read, with serial {}", record.serial),
        );
    }
    Check::warning(
        ID,
        format!("The record at {place} holds writes that an interrupted run had begun"),
        "run `setpoint apply`: it finds out what became of them, and goes on from there",
    )
}

/// Whether what a run keeps on this machine can be written: the record, or what is kept of one that is elsewhere, and
/// the journal.
pub fn folder(record: &Path, journal: &Path) -> Check {
    const ID: &str = "state.folder";
    for path in [record, journal] {
        if let Err(obstacle) = files::may_write(path) {
            return Check::failure(
                ID,
                format!("{} cannot be written: {obstacle}", path.display()),
                "give the user that runs setpoint the right to write there, or set state.path to a place where it has it",
            );
        }
    }
    Check::ok(ID, format!("{} can be written", record.display()))
}

async fn lock(store: &dyn StateStore) -> Check {
    const ID: &str = "state.lock";
    match store.holder().await {
        Ok(Holder::Nobody) => Check::ok(ID, "Nobody holds the lock"),
        Ok(Holder::Unknown) => Check::skipped(
            ID,
            "Whether somebody holds the lock is not known: the backend says so only to who asks for it",
        ),
        Ok(Holder::Held(holder)) => Check::warning(
            ID,
            format!("The record is locked by {holder}"),
            format!(
                "wait for that run to end; if it is certain that it is gone, run `setpoint state unlock {}`",
                holder.id
            ),
        ),
        Err(error) => failed(ID, &error),
    }
}

fn failed(id: &str, error: &StateError) -> Check {
    let fix = error.hint().unwrap_or_else(|| "check `[state]`".to_owned());
    Check::failure(id, error.to_string(), fix)
}
