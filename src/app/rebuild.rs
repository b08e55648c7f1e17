//! What `state rebuild` does: looks at both sides, says what a new record would hold and what it cannot, and puts it in
//! the place of the old one. Writes to neither side.

use std::fmt::Write as _;

use super::clients::Readers;
use super::context::Context;
use super::error::{Failure, Result};
use super::operations::{View, locked, refresh_and_plan_from};
use super::push;
use super::run_journal::RunJournal;
use crate::cli::exit::Exit;
use crate::cli::term;
use crate::model::{ApplicationMatch, Command, Evidence, Observed, Plan, RecordedState, identify_application};
use crate::planner::{self, Presumed};
use crate::render::text::{count, sanitize, wrap};
use crate::state::StateError;
use crate::{config::Driver, render};

/// What `setpoint state rebuild` does.
const COMMAND: &str = "state rebuild";

/// Makes a new record from what is live.
pub(crate) async fn rebuild(context: &Context, replace: bool, auto_approve: bool) -> Result<Exit> {
    let work = async {
        let lost = context.interrupts.guard(must_be_lost(context, replace)).await?;
        let seen = look(context).await?;
        let View { record, observed, plan } = &seen.view;
        refuse_ambiguous(context, observed, record)?;
        let mut rebuilt = planner::rebuild(&context.config.desired, observed, record, plan);
        term::out(&summary(context, &seen, &rebuilt, &lost))?;
        let question = "Do you want to write this record?";
        if !auto_approve {
            let consent = term::confirm(question, "--auto-approve");
            if !context.interrupts.guard(consent).await? {
                return Err(Failure::refused("declined: the record is as it was"));
            }
        }
        context.records.store.probe(&rebuilt).await?;
        RunJournal::replacing(&context.config, &context.actor, COMMAND)?;
        let kept = context.records.store.replace(&mut rebuilt).await?;
        push::say_replaced(context, &rebuilt, kept.as_deref())
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

/// What was seen, and what is taken for granted.
struct Seen {
    view: View,
    presumed: Presumed,
}

/// Looks at both sides with an empty record, and under the assisted driver once more with what can be presumed.
async fn look(context: &Context) -> Result<Seen> {
    let policy = context.policy(Command::Apply);
    let blank = context.records.begin()?;
    let (view, readers) = refresh_and_plan_from(context, &policy, blank).await?;
    let evidence = context
        .interrupts
        .guard(async { Ok(evidence(&readers, &view.observed).await) })
        .await;
    readers.end().await;
    let mut record = view.record.clone();
    let desired = &context.config.desired;
    let presumed = planner::presume(desired, &view.observed, &mut record, evidence?.as_ref());
    if presumed == Presumed::Nothing {
        return Ok(Seen { view, presumed });
    }
    let (view, readers) = refresh_and_plan_from(context, &policy, record).await?;
    readers.end().await;
    Ok(Seen { view, presumed })
}

/// The droid's own page of authorized applications, where Factory cannot be asked and the droid can sign in.
async fn evidence(readers: &Readers, observed: &Observed) -> Option<Evidence> {
    let droid = readers.sources().droid?;
    let user = observed.gitlab.user.as_ref().filter(|user| user.can_be_visited())?;
    droid.evidence(&user.fields.username).await.ok()
}

/// Which application is ours cannot be guessed.
fn refuse_ambiguous(context: &Context, observed: &Observed, record: &RecordedState) -> Result<()> {
    let used = observed.factory.integration.as_ref().map(|live| &live.application);
    let name = &context.config.desired.application.name;
    let found = identify_application(name, &observed.gitlab.applications, record, used);
    let ApplicationMatch::Ambiguous(mut candidates) = found else {
        return Ok(());
    };
    candidates.sort_by_key(|candidate| candidate.id);
    let list: Vec<String> = candidates
        .iter()
        .map(|candidate| format!("  id {}, application id {}", candidate.id, candidate.uid))
        .collect();
    Err(Failure::refused(format!(
        "{} applications are named `{name}`, and nothing tells which one is meant, so no record was written:\n{}",
        candidates.len(),
        list.join("\n")
    ))
    .hint("delete or rename the others in GitLab's admin area"))
}

/// What the new record would hold, and what it cannot.
fn summary(context: &Context, seen: &Seen, rebuilt: &RecordedState, lost: &str) -> String {
    let View { observed, plan, .. } = &seen.view;
    let mut out = format!("{}\n\n", wrap(&sanitize(lost), 80, "", "").trim_end());
    let lines = render::recorded(rebuilt);
    if lines.is_empty() {
        out.push_str("Nothing that is live is as the configuration says: the new record would be empty.\n");
    } else {
        out.push_str("The new record would hold what is live as the configuration says:\n");
    }
    for line in lines {
        let _ = writeln!(out, "  {line}");
    }
    if !plan.changes.is_empty() {
        out.push_str("\nLeft out, because it differs from the configuration or nobody can see that it does not:\n");
        for change in &plan.changes {
            let _ = writeln!(out, "  {}", sanitize(&change.address.to_string()));
        }
    }
    let mut notes = vec![
        "Which side moved before now is not known: what differs shows as unrecorded.".to_owned(),
        "What an interrupted run had begun is forgotten; what it made is found by its name, or by what Factory uses."
            .to_owned(),
    ];
    notes.extend(namesakes(observed, rebuilt));
    if context.config.factory.driver == Driver::Assisted {
        notes.push("What people attested is forgotten.".to_owned());
        notes.extend(presumption(seen.presumed, plan));
    }
    out.push('\n');
    for note in notes {
        let _ = writeln!(out, "{}", wrap(&sanitize(&note), 80, "- ", "  ").trim_end());
    }
    out
}

/// Applications of the same name: one of them may be what a replacement was still to delete.
fn namesakes(observed: &Observed, rebuilt: &RecordedState) -> Option<String> {
    let ours = rebuilt.application.as_ref()?;
    let others: Vec<String> = observed
        .gitlab
        .applications
        .iter()
        .filter(|application| application.fields.name == ours.fields.name && application.id != ours.id)
        .map(|application| application.id.to_string())
        .collect();
    (!others.is_empty()).then(|| {
        format!(
            "GitLab has other applications named {:?} (id {}). If a replacement left them, delete them in GitLab's admin \
             area: the new record does not know them.",
            ours.fields.name,
            others.join(", ")
        )
    })
}

fn presumption(presumed: Presumed, plan: &Plan) -> Vec<String> {
    let mut notes = Vec::new();
    match presumed {
        Presumed::Nothing => {}
        Presumed::Connection => notes.push(
            "That Factory has this application and its present secret is taken for granted, because to doubt it would mean \
             to renew a secret that works. If Factory shows otherwise, run `setpoint rotate`."
                .to_owned(),
        ),
        Presumed::Authorization => notes.push(
            "GitLab lists the application among those that the droid authorized: connection and authorization are taken to \
             be as declared."
                .to_owned(),
        ),
    }
    let due = plan.changes.iter().filter(|change| !change.steps.is_empty()).count();
    if due > 0 {
        notes.push(format!(
            "{} due again: what is done already, `setpoint confirm ADDRESS` attests anew.",
            count(due as u64, "operator step is", "operator steps are")
        ));
    }
    notes
}
