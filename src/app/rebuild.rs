//! What `state rebuild` does: looks at both sides, says what a new record would hold and what it cannot, and puts it in
//! the place of the old one. Writes to neither side.

use super::clients::Readers;
use super::console::{Proposal, Rebuilt};
use super::context::Context;
use super::error::{Failure, Result};
use super::operations::{View, locked, refresh_and_plan_from};
use super::push::{Replaced, replace_record};
use crate::model::{ApplicationMatch, Command, Evidence, Observed, RecordedState};
use crate::planner::{self, Presumed};
use crate::state::StateError;

/// What `setpoint state rebuild` does.
const COMMAND: &str = "state rebuild";

/// Makes a new record from what is live.
pub(crate) async fn rebuild(context: &Context, replace: bool, auto_approve: bool) -> Result<Replaced> {
    let work = async {
        let lost = context.interrupts.guard(must_be_lost(context, replace)).await?;
        let (view, presumed) = Box::pin(look(context)).await?;
        let View {
            record,
            observed,
            plan,
            environment,
        } = &view;
        refuse_ambiguous(context, observed, record)?;
        let record = planner::rebuild(&context.config.desired, observed, record, plan);
        let rebuilt = Rebuilt {
            environment,
            lost: &lost,
            observed,
            plan,
            presumed,
            record: &record,
        };
        context.console.propose(context, &Proposal::Rebuilt(rebuilt))?;
        let question = "Do you want to write this record?";
        replace_record(context, COMMAND, record, question, auto_approve).await
    };
    locked(context, COMMAND, Box::pin(work)).await
}

/// Why there is a need for a new record; refuses where there is none.
async fn must_be_lost(context: &Context, replace: bool) -> Result<String> {
    let place = context.records.store.place();
    let there = match context.records.store.read().await {
        Ok(None) => return Ok(format!("There is no record at {place}.")),
        Err(error @ StateError::Damaged { .. }) => return Ok(format!("{error}.")),
        Err(error @ (StateError::Newer { .. } | StateError::Unanswered { .. })) => error.to_string(),
        Err(error) => return Err(error.into()),
        Ok(Some(record)) => {
            context.records.check(&record, &place)?;
            format!(
                "the record at {place} can be read, and has the serial {}",
                record.serial
            )
        }
    };
    if replace {
        return Ok(format!("{there}. It is replaced all the same."));
    }
    Err(Failure::refused(format!("{there}: it was not rebuilt")).hint(
        "a rebuilt record knows less: which side moved, and what people attested, is lost. If it has to be, pass --replace; \
         the present one is kept in a file beside it",
    ))
}

/// Looks at both sides with an empty record, and under the assisted driver once more with what can be presumed. Gives what
/// was seen, and what is taken for granted.
async fn look(context: &Context) -> Result<(View, Presumed)> {
    let policy = context.policy(Command::Drift);
    let blank = context.records.begin()?;
    let (view, readers) = refresh_and_plan_from(context, &policy, blank).await?;
    let evidence = evidence(context, &readers, &view.observed).await;
    readers.sign_out().await;
    let mut record = view.record.clone();
    let desired = &context.config.desired;
    let presumed = planner::presume(desired, &view.observed, &mut record, evidence?.as_ref());
    if presumed == Presumed::Nothing {
        return Ok((view, presumed));
    }
    let (view, readers) = refresh_and_plan_from(context, &policy, record).await?;
    readers.sign_out().await;
    Ok((view, presumed))
}

/// The droid's own page of authorized applications, where Factory cannot be asked and the droid can sign in.
pub(super) async fn evidence(context: &Context, readers: &Readers, observed: &Observed) -> Result<Option<Evidence>> {
    let user = observed.gitlab.user.as_ref().filter(|user| user.can_be_visited());
    let Some((droid, user)) = readers.sources().droid.zip(user) else {
        return Ok(None);
    };
    let asked = async { Ok(droid.evidence(&user.fields.username).await.ok()) };
    context.interrupts.guard(asked).await
}

/// Which application is ours cannot be guessed.
fn refuse_ambiguous(context: &Context, observed: &Observed, record: &RecordedState) -> Result<()> {
    let desired = &context.config.desired;
    let ApplicationMatch::Ambiguous(mut candidates) = ApplicationMatch::of(desired, observed, record) else {
        return Ok(());
    };
    candidates.sort_by_key(|candidate| candidate.id);
    let list: Vec<String> = candidates
        .iter()
        .map(|candidate| format!("  id {}, application id {}", candidate.id, candidate.uid))
        .collect();
    Err(Failure::refused(format!(
        "{} applications are named `{}`, and nothing tells which one is meant, so no record was written:\n{}",
        candidates.len(),
        desired.application.name,
        list.join("\n")
    ))
    .hint("delete or rename the others in GitLab's admin area"))
}
