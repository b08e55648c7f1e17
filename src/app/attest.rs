//! What `confirm` does: shows the steps, checks what evidence there is, and records a person's word.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::clients::Readers;
use super::console::Proposal;
use super::context::Context;
use super::error::{Failure, Result};
use super::operations::{View, application_ids, locked, refresh_and_plan_connected};
use crate::factory::{AuditEntry, AuditIntent, AuditLog};
use crate::model::{
    Address, Attestation, Change, Corroboration, ObservedUser, OperatorStep, Plan, Policy, RecordedState, Status,
};
use crate::{executor, planner, render};

pub(crate) struct Attested {
    pub(crate) steps: usize,
    pub(crate) attestation: Attestation,
    pub(crate) left: Left,
}

/// What the plan still has, apart from what was recorded.
#[derive(Clone, Copy)]
pub(crate) enum Left {
    Nothing,
    /// Something that Setpoint does, or sees for itself.
    Setpoints,
    /// Steps of a person alone.
    Steps,
    /// What is blocked alone.
    Blocked,
}

impl Left {
    fn after(plan: &Plan, chosen: &BTreeSet<Address>) -> Self {
        let rest = || plan.changes.iter().filter(|change| !chosen.contains(&change.address));
        let attested = |change: &Change| change.steps.iter().any(OperatorStep::is_attested);
        let has_own = |change: &Change| match change.status {
            Status::Ready => true,
            Status::Operator => !change.operations.is_empty() || !attested(change),
            Status::Blocked => false,
        };
        if rest().any(has_own) {
            Self::Setpoints
        } else if rest().any(attested) {
            Self::Steps
        } else if rest().next().is_some() {
            Self::Blocked
        } else {
            Self::Nothing
        }
    }
}

/// Records that a person did the steps of some changes. `choose` picks the addresses from the plan; none where it
/// picks none.
pub(crate) async fn attest(
    context: &Context,
    policy: Policy,
    auto_approve: bool,
    audit_log: Option<&AuditLog>,
    choose: impl FnOnce(&Plan) -> Result<BTreeSet<Address>>,
) -> Result<Option<Attested>> {
    locked(context, "confirm", async {
        let (view, readers) = refresh_and_plan_connected(context, &policy).await?;
        let ended = match choose(&view.plan) {
            Ok(chosen) if chosen.is_empty() => Ok(None),
            Ok(chosen) => {
                let to_record = ToRecord {
                    chosen: &chosen,
                    audit_log,
                    auto_approve,
                };
                record(context, &view, &readers, &to_record).await.map(Some)
            }
            Err(failure) => Err(failure),
        };
        readers.sign_out().await;
        ended
    })
    .await
}

/// What is attested, and how.
struct ToRecord<'a> {
    chosen: &'a BTreeSet<Address>,
    audit_log: Option<&'a AuditLog>,
    auto_approve: bool,
}

async fn record(context: &Context, view: &View, readers: &Readers, to_record: &ToRecord<'_>) -> Result<Attested> {
    let ToRecord {
        chosen,
        audit_log,
        auto_approve,
    } = *to_record;
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
    let steps: Vec<_> = changes.iter().flat_map(|change| change.steps_with_address()).collect();
    let mut record = planner::refresh(&context.config.desired, observed, record, plan);
    let mut evidence = evidence(context, view, readers, &record, &steps).await?;
    if let Some(log) = audit_log {
        evidence.push_str(&logged(log, &record, &steps)?);
    }
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
    let attestation = context.attestation();
    for (address, step) in &steps {
        record_step(&mut record, step, &attestation)
            .map_err(|why| Failure::new(why).context(format!("{address} cannot be attested")))?;
    }
    context.records.store.write(&mut record).await?;
    Ok(Attested {
        steps: steps.len(),
        attestation,
        left: Left::after(plan, chosen),
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
        let Some(before) = plan.change(before) else {
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
                "{} (id {}).\n",
                render::corroboration(&Corroboration {
                    authorized_application: application.fields.name.clone(),
                    authorized_at: evidence.authorized.get(&application.id).copied().flatten(),
                    last_activity_on: view
                        .observed
                        .gitlab
                        .user
                        .as_ref()
                        .and_then(|user| user.last_activity_on.clone()),
                }),
                application.id,
            )),
        },
    }
}

/// What Factory's audit log says of the steps. What it has against one is an error.
fn logged(log: &AuditLog, record: &RecordedState, steps: &[(&Address, &OperatorStep)]) -> Result<String> {
    // What was typed in and approved before the present secret was given out is over.
    let since = record
        .application
        .as_ref()
        .and_then(|application| application.secret_at);
    let mut out = String::new();
    for (address, step) in steps {
        let (entry, event) = match step {
            OperatorStep::SaveConnection { .. } => (log.configured(since), AuditIntent::Configured),
            OperatorStep::Authorize { .. } => (log.connected(since), AuditIntent::Connected),
            OperatorStep::DeleteConnection => (log.disconnected(None), AuditIntent::Disconnected),
            // The log says nothing of GitLab, and nothing of single repositories.
            OperatorStep::SetTrusted { .. }
            | OperatorStep::AcceptTerms { .. }
            | OperatorStep::Approve { .. }
            | OperatorStep::EnableRepository { .. }
            | OperatorStep::DisableRepository { .. } => continue,
        };
        match entry {
            AuditEntry::BorneOut(event) => {
                let _ = writeln!(out, "Factory's audit log bears out {address}: {event}.");
            }
            AuditEntry::Contradicted(event) => {
                return Err(Failure::new(format!(
                    "Factory's audit log says that the integration was {event}, and nothing later"
                ))
                .context(format!("{address} cannot be attested"))
                .hint("do the step, export the log anew, and confirm again; nothing was recorded"));
            }
            AuditEntry::Silent => {
                let since = since.map_or_else(String::new, |at| {
                    format!(" since {}", at.strftime("%Y-%m-%d %H:%M UTC"))
                });
                let _ = writeln!(
                    out,
                    "Factory's audit log ({}) bears out nothing of {address}: it has no event `{}` of self-hosted GitLab{since}.",
                    log.span(),
                    event.as_str(),
                );
            }
        }
    }
    if out.is_empty() {
        out.push_str("Factory's audit log says nothing of these steps.\n");
    }
    Ok(out)
}

pub(super) fn record_step(
    record: &mut RecordedState,
    step: &OperatorStep,
    attestation: &Attestation,
) -> Result<(), String> {
    let application = record.application.as_ref();
    let uid = application.map(|application| application.uid.clone());
    let fingerprint = application.and_then(|application| application.secret_fingerprint.clone());
    let droid = record.user.as_ref().map(|user| user.id);
    executor::attest(record, step, attestation, uid.as_ref(), fingerprint, droid)
}
