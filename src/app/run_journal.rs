//! A run in the journal: who began it, what became of each change, how it ended. It has to be possible to write its
//! first line before anything is changed; later lines that cannot be written are only logged, for the record in the
//! state store is what the next run goes by.

use jiff::Timestamp;

use super::context::Context;
use super::error::Result;
use super::exit::Exit;
use super::window::Gate;
use crate::model::{ChangeOutcome, Command, OutcomeSummary, Plan};
use crate::state::{self, Journal, JournalEntry, JournalEvent};

/// A run that is being written down.
pub(crate) struct RunJournal {
    journal: Journal,
    run_id: String,
}

impl RunJournal {
    /// Writes down that a plan is about to be carried out.
    pub(crate) fn begin(
        context: &Context,
        run_id: &str,
        command: Command,
        digest: String,
        gate: &Gate,
    ) -> Result<Self> {
        let journal = Self::of(context, run_id.to_owned());
        journal.journal.append(&journal.entry(JournalEvent::Started {
            who: context.actor.clone(),
            command: command.name().to_owned(),
            sandbox: context.records.of_sandbox,
            plan_digest: digest,
            window: gate.window.clone(),
            reason: gate.reason.clone(),
        }))?;
        Ok(journal)
    }

    /// Writes down that the record is about to be replaced.
    pub(crate) fn replacing(context: &Context, command: &str) -> Result<()> {
        let journal = Self::of(context, state::random_id()?);
        Ok(journal.journal.append(&journal.entry(JournalEvent::RecordReplaced {
            who: context.actor.clone(),
            command: command.to_owned(),
        }))?)
    }

    fn of(context: &Context, run_id: String) -> Self {
        Self {
            journal: context.records.journal.clone(),
            run_id,
        }
    }

    pub(crate) fn outcome(&self, outcome: &ChangeOutcome) {
        self.append(JournalEvent::from(outcome));
    }

    pub(crate) fn end(&self, summary: OutcomeSummary) {
        self.append(JournalEvent::Finished {
            summary,
            exit_code: Exit::of_run(summary).code(),
        });
    }

    fn append(&self, event: JournalEvent) {
        if let Err(error) = self.journal.append(&self.entry(event)) {
            tracing::warn!(%error, "the journal cannot be written");
        }
    }

    fn entry(&self, event: JournalEvent) -> JournalEntry {
        JournalEntry {
            at: Timestamp::now(),
            run_id: self.run_id.clone(),
            event,
        }
    }
}

/// Digest of the plan as it is shown.
pub(crate) fn digest(plan: &Plan) -> String {
    let text = serde_json::to_vec(plan).unwrap_or_default();
    crate::digest::sha256(text)
}
