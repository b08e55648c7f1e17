//! What `state push` does: puts a record back from a file, be it a backup or what a run could not write.

use std::path::Path;

use super::context::Context;
use super::error::{Failure, Result};
use super::operations::locked;
use super::run_journal::RunJournal;
use crate::cli::exit::Exit;
use crate::cli::term;
use crate::model::RecordedState;
use crate::state::{self, StateError};

const COMMAND: &str = "state push";

/// Puts the record in the file in the place of the stored one.
pub(crate) async fn push(context: &Context, file: &Path, replace: bool, auto_approve: bool) -> Result<Exit> {
    let name = file.display().to_string();
    let text = std::fs::read(file).map_err(|error| Failure::of(&error).context(format!("{name} cannot be read")))?;
    let mut record = state::parse(&text, &name).map_err(|error| match error {
        StateError::Damaged { .. } => Failure::new(error.to_string()).hint("give a file that holds a whole record"),
        error => error.into(),
    })?;
    context.records.check(&record, &name)?;
    locked(context, COMMAND, async {
        let stored = context
            .interrupts
            .guard(may_be_replaced(context, &record, replace))
            .await?;
        term::out(&format!(
            "{stored}\n{name} holds a record with the serial {}, lineage {}.\n",
            record.serial, record.lineage
        ))?;
        if !auto_approve {
            let consent = term::confirm("Do you want to put it back?", "--auto-approve");
            if !context.interrupts.guard(consent).await? {
                return Err(Failure::refused("declined: the record is as it was"));
            }
        }
        context.records.store.probe(&record).await?;
        RunJournal::replacing(&context.config, &context.actor, COMMAND)?;
        let kept = context.records.store.replace(&mut record).await?;
        say_replaced(context, &record, kept.as_deref())
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

/// Says what became of the old record and of the new one.
pub(crate) fn say_replaced(context: &Context, record: &RecordedState, kept: Option<&Path>) -> Result<Exit> {
    let kept = kept.map_or_else(String::new, |kept| {
        format!("What was there is kept in {}.\n", kept.display())
    });
    term::out(&format!(
        "\n{} is written, with the serial {}.\n{kept}`setpoint plan` shows what differs.\n",
        context.records.store.place(),
        record.serial
    ))?;
    Ok(Exit::Done)
}
