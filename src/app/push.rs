//! What `state push` does: puts a record back from a file, be it a backup or what a run could not write.

use std::path::{Path, PathBuf};

use super::console::Proposal;
use super::context::Context;
use super::error::{Failure, Result};
use super::operations::locked;
use super::run_journal::RunJournal;
use crate::files;
use crate::model::RecordedState;
use crate::state::{self, StateError};

const COMMAND: &str = "state push";

/// Puts the record in the file in the place of the stored one.
pub(crate) async fn push(context: &Context, file: &Path, replace: bool, auto_approve: bool) -> Result<Replaced> {
    let name = file.display().to_string();
    let text = files::read(file, state::MAX_BYTES)
        .map_err(|error| Failure::of(&error).context(format!("{name} cannot be read")))?;
    let record = state::parse(&text, &name).map_err(|error| match error {
        StateError::Damaged { .. } => Failure::new(error.to_string()).hint("give a file that holds a whole record"),
        error => error.into(),
    })?;
    context.records.check(&record, &name)?;
    locked(context, COMMAND, async {
        let stored = context
            .interrupts
            .guard(may_be_replaced(context, &record, replace))
            .await?;
        let proposal = Proposal::Push {
            file: &name,
            record: &record,
            stored: &stored,
        };
        context.console.propose(context, &proposal)?;
        let question = "Do you want to put it back?";
        replace_record(context, COMMAND, record, question, auto_approve).await
    })
    .await
}

/// What is stored, in words; refuses where it is worth more than what is to be put there.
async fn may_be_replaced(context: &Context, record: &RecordedState, replace: bool) -> Result<String> {
    let place = context.records.store.place();
    let (stored, objection) = match context.records.store.read().await {
        Ok(None) => return Ok(format!("There is no record at {place}.")),
        Err(error @ StateError::Damaged { .. }) => return Ok(format!("{error}.")),
        Err(error @ StateError::Newer { .. }) => (error.to_string(), Some("is of a newer Setpoint")),
        Err(error @ StateError::Unanswered { .. }) => (error.to_string(), Some("may be there all the same")),
        Err(error) => return Err(error.into()),
        Ok(Some(stored)) => {
            context.records.check(&stored, &place)?;
            let objection = if stored.lineage != record.lineage {
                Some("has another history")
            } else if stored.serial > record.serial {
                Some("was written later")
            } else if stored.serial == record.serial && stored != *record {
                Some("was written by another run at the same time")
            } else {
                None
            };
            let text = format!(
                "{place} holds a record with the serial {}, lineage {}",
                stored.serial, stored.lineage
            );
            (text, objection)
        }
    };
    match objection {
        Some(objection) if !replace => Err(Failure::refused(format!(
            "{stored}; it {objection}, so the file was not put in its place"
        ))
        .hint(
            "`setpoint plan` shows what is left to do with the record as it is. If the file has to replace it, pass \
             --replace; the present record is kept in a file beside it",
        )),
        _ => Ok(format!("{stored}.")),
    }
}

/// What became of the old record and of the new one.
pub(crate) struct Replaced {
    /// Where the record is.
    pub(crate) place: String,
    /// The serial that the new one got.
    pub(crate) serial: u64,
    /// Where what was there is kept, if anything was.
    pub(crate) kept: Option<PathBuf>,
}

/// Puts a record that was shown in the place of the stored one, after a `yes` where none was given before.
pub(crate) async fn replace_record(
    context: &Context,
    command: &str,
    mut record: RecordedState,
    question: &str,
    auto_approve: bool,
) -> Result<Replaced> {
    if !auto_approve && !context.interrupts.guard(context.console.confirm(question)).await? {
        return Err(Failure::refused("declined: the record is as it was"));
    }
    context.records.store.probe(&record).await?;
    RunJournal::replacing(context, command)?;
    let kept = context.records.store.replace(&mut record).await?;
    Ok(Replaced {
        place: context.records.store.place(),
        serial: record.serial,
        kept,
    })
}
