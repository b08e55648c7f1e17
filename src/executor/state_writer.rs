//! The record during a run: every edit is written before anything builds on it. Edits of changes that run at the same
//! time share one write.

use std::cell::{Cell, Ref, RefCell};

use crate::model::{Change, Intent, Operation, RecordedState};
use crate::state::{StateError, StateStore, successor};

/// A write, and the change that it belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write<'a> {
    pub(super) change: &'a Change,
    pub(super) operation: &'a Operation,
}

pub(super) struct StateWriter<'a> {
    store: &'a dyn StateStore,
    record: RefCell<RecordedState>,
    /// How many edits were made, and how many of them are in the store.
    edits: Cell<u64>,
    written: Cell<u64>,
    gate: tokio::sync::Mutex<()>,
    broken: RefCell<Option<String>>,
}

impl<'a> StateWriter<'a> {
    pub(super) fn new(store: &'a dyn StateStore, record: RecordedState) -> Self {
        Self {
            store,
            record: RefCell::new(record),
            edits: Cell::new(0),
            written: Cell::new(0),
            gate: tokio::sync::Mutex::new(()),
            broken: RefCell::new(None),
        }
    }

    /// The record as edited so far. Not to be held across an await.
    pub(super) fn record(&self) -> Ref<'_, RecordedState> {
        self.record.borrow()
    }

    /// Why the record can no longer be trusted to be written: after that nothing new may begin.
    pub(super) fn broken(&self) -> Option<String> {
        self.broken.borrow().clone()
    }

    /// Edits the record and returns when the edit is in the store. An edit that could not be written stays in memory
    /// and goes with the next write.
    pub(super) async fn edit(&self, edit: impl FnOnce(&mut RecordedState)) -> Result<(), String> {
        edit(&mut self.record.borrow_mut());
        self.edits.set(self.edits.get() + 1);
        self.flush_up_to(self.edits.get()).await
    }

    /// Writes what could not be written before, if anything.
    pub(super) async fn flush(&self) -> Result<(), String> {
        self.flush_up_to(self.edits.get()).await
    }

    /// The record as edited so far, as the next write would have it.
    pub(super) fn successor(&self) -> RecordedState {
        successor(&self.record.borrow())
    }

    async fn flush_up_to(&self, edit: u64) -> Result<(), String> {
        // Lets the changes that were started in the same breath add their edits to this write.
        tokio::task::yield_now().await;
        let _gate = self.gate.lock().await;
        if self.written.get() >= edit {
            return Ok(());
        }
        let (mut next, edits) = (self.record.borrow().clone(), self.edits.get());
        match self.store.write(&mut next).await {
            Ok(()) => {
                let mut record = self.record.borrow_mut();
                record.serial = next.serial;
                record.setpoint_version = next.setpoint_version;
                self.written.set(edits);
                Ok(())
            }
            Err(error) => {
                let message = with_hint(&error);
                *self.broken.borrow_mut() = Some(message.clone());
                Err(message)
            }
        }
    }

    /// Writes down the intents of writes that are about to begin. An older intent of the same write is superseded: the
    /// plan was made knowing of it. If the record cannot be written, they are taken back, for the writes will not go out.
    pub(super) async fn begin(
        &self,
        intents: Vec<Intent>,
        edit: impl FnOnce(&mut RecordedState),
    ) -> Result<(), String> {
        let added = intents.clone();
        let result = self
            .edit(|record| {
                record.intents.retain(|old| {
                    !intents
                        .iter()
                        .any(|new| old.is_overtaken_by(&new.address, &new.operation))
                });
                record.intents.extend(intents);
                edit(record);
            })
            .await;
        if result.is_err() {
            self.record
                .borrow_mut()
                .intents
                .retain(|intent| !added.contains(intent));
        }
        result
    }

    /// Clears the intent of a write that has ended, with what else its end changes.
    pub(super) async fn commit(&self, write: Write<'_>, edit: impl FnOnce(&mut RecordedState)) -> Result<(), String> {
        self.edit(|record| {
            clear(record, write);
            edit(record);
        })
        .await
    }
}

/// Takes the intent of a write out.
pub(super) fn clear(record: &mut RecordedState, Write { change, operation }: Write<'_>) {
    record
        .intents
        .retain(|intent| !intent.is_overtaken_by(&change.address, operation));
}

fn with_hint(error: &StateError) -> String {
    match error.hint() {
        Some(hint) => format!("{}; {hint}", error.to_string().trim_end_matches('.')),
        None => error.to_string(),
    }
}
