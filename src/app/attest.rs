//! What `confirm` does: shows the steps, checks what evidence there is, and records a person's word.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::clients::Readers;
use super::console::Proposal;
use super::context::Context;
use super::error::{Failure, Result};
use super::operations::{View, application_ids, locked, refresh_and_plan_connected};
use crate::model::{
    Address, Attestation, Change, Corroboration, ObservedUser, OperatorStep, Plan, Policy, RecordedState,
};
use crate::{executor, planner, render};

/// What was recorded.
pub(crate) struct Attested {
    pub(crate) steps: usize,
    pub(crate) attestation: Attestation,
}

/// Records that a person did the steps of some changes. `choose` picks the addresses from the plan; none where it
/// picks none.
pub(crate) async fn attest(
    context: &Context,
    policy: Policy,
    auto_approve: bool,
    choose: impl FnOnce(&Plan) -> Result<BTreeSet<Address>>,
) -> Result<Option<Attested>> {
    locked(context, "confirm", async {
        let (view, readers) = refresh_and_plan_connected(context, &policy).await?;
        let ended = match choose(&view.plan) {
            Ok(chosen) if chosen.is_empty() => Ok(None),
            Ok(chosen) => record(context, &view, &readers, auto_approve, &chosen).await.map(Some),
            Err(failure) => Err(failure),
        };
        readers.end().await;
        ended
    })
    .await
}

async fn record(
    context: &Context,
    view: &View,
    readers: &Readers,
    auto_approve: bool,
    chosen: &BTreeSet<Address>,
) -> Result<Attested> {
    let View {
        record,
        observed,
        plan,
        environment,
    } = view;
    let changes: Vec<&Change> = plan
        .changes
        .iter()
        .filter(|change| chosen.contains(&change.address))
        .collect();
    for change in &changes {
        is_its_turn(plan, change, chosen)?;
    }
    let steps: Vec<(&Address, &OperatorStep)> = changes
        .iter()
        .flat_map(|change| change.steps.iter().map(|step| (&change.address, step)))
        .collect();
    let mut record = planner::refresh(&context.config.desired, observed, record, plan);
    let evidence = evidence(context, view, readers, &record, &steps).await?;
    let proposal = Proposal::Attestation {
        environment,
        steps: &steps,
        application: application_ids(&record),
        evidence: &evidence,
    };
    context.console.propose(context, &proposal)?;
    // Where nobody can be asked, naming the addresses is the attestation.
    if context.console.can_ask() && !auto_approve {
        let consent = context.console.confirm("Is all of this done?");
        if !context.interrupts.guard(consent).await? {
            return Err(Failure::refused("declined: nothing was recorded"));
        }
    }
    let attestation = Attestation {
        by: context.actor.who(),
        at: Timestamp::now(),
    };
    for (address, step) in &steps {
        record_step(&mut record, step, &attestation)
            .map_err(|why| Failure::new(why).context(format!("{address} cannot be attested")))?;
    }
    context.records.store.write(&mut record).await?;
    Ok(Attested {
        steps: steps.len(),
        attestation,
    })
}

/// Whether everything that comes before a step is done, or attested together with it.
fn is_its_turn(plan: &Plan, change: &Change, chosen: &BTreeSet<Address>) -> Result<()> {
    if !change.operations.is_empty() {
        return Err(Failure::new(format!(
            "{} is not ready to be attested: Setpoint's own part of it is still to be done",
            change.address
        ))
        .hint("run `setpoint apply` first"));
    }
    for before in &change.depends_on {
        let Some(before) = plan.changes.iter().find(|other| other.address == *before) else {
            continue;
        };
        if !before.operations.is_empty() {
            return Err(Failure::new(format!(
                "{} cannot be done yet: {} comes first, and it is Setpoint's to do",
                change.address, before.address
            ))
            .hint("run `setpoint apply` first"));
        }
        // What depends on the application goes on while only its "Trusted" is left to a person.
        if before.address != Address::Application && !chosen.contains(&before.address) {
            return Err(Failure::new(format!(
                "{} cannot be attested: {} comes first, and it is not done",
                change.address, before.address
            ))
            .hint(format!("attest {} too", before.address)));
        }
    }
    Ok(())
}

/// Reads what evidence there is of an approval, and says it. Evidence against it is an error.
async fn evidence(
    context: &Context,
    view: &View,
    readers: &Readers,
    record: &RecordedState,
    steps: &[(&Address, &OperatorStep)],
) -> Result<String> {
    let no_evidence = "There is no evidence of this that Setpoint could read: what is recorded is your word.\n";
    let username = steps.iter().find_map(|(_, step)| match step {
        OperatorStep::Authorize { username } => Some(username),
        _ => None,
    });
    let (Some(username), Some(application)) = (username, &record.application) else {
        return Ok(no_evidence.to_owned());
    };
    let Some(droid) = readers.sources().droid else {
        return Ok(format!(
            "{no_evidence}With `user.password` or `gitlab.admin_session`, GitLab would be asked whether `{username}` \
             authorized the application.\n"
        ));
    };
    let account = view.observed.gitlab.user.as_ref();
    if !account.is_some_and(ObservedUser::can_be_visited) {
        return Ok(no_evidence.to_owned());
    }
    let read = context
        .interrupts
        .guard(async { Ok(droid.evidence(username).await) })
        .await?;
    match read {
        Err(error) => Ok(format!("The evidence cannot be read: {error}\n{no_evidence}")),
        Ok(evidence) => match executor::denial(&evidence, application, username) {
            Some(denial) => Err(Failure::new(denial)
                .context("factory.authorization cannot be attested")
                .hint("approve the popup while signed in to GitLab as the droid; nothing was recorded")),
            None => Ok(format!(
                "{}.\n",
                render::corroboration(&Corroboration {
                    authorized_application: application.fields.name.clone(),
                    authorized_at: evidence.authorized.get(&application.id).copied().flatten(),
                    last_activity_on: view
                        .observed
                        .gitlab
                        .user
                        .as_ref()
                        .and_then(|user| user.last_activity_on.clone()),
                })
            )),
        },
    }
}

fn record_step(record: &mut RecordedState, step: &OperatorStep, attestation: &Attestation) -> Result<(), String> {
    let application = record.application.as_ref();
    let uid = application.map(|application| application.uid.clone());
    let fingerprint = application.and_then(|application| application.secret_fingerprint.clone());
    let droid = record.user.as_ref().map(|user| user.id);
    executor::attest(record, step, attestation, uid.as_ref(), fingerprint, droid)
}
