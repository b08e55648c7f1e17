//! What cuts Factory off until something else is done: a new secret, a replaced application, a connection that is saved
//! anew. It says so itself, with what ends it and who has to do that; where that is a person, an apply that nobody watches
//! has to be allowed to begin it.

use crate::model::{
    Actions, Address, ApplicationOperation, ApplicationRef, Change, Command, Ender, IntegrationStatus, Interruption,
    Operation, Plan, PlanSummary, Status,
};
use crate::planning::Inputs;

/// Marks the changes that interrupt. What is left out of a plan ends nothing, so this comes after the targets.
pub(super) fn mark(plan: &mut Plan, inputs: &Inputs<'_>) {
    let interruption = Interruption {
        until: Address::Authorization,
        ended_by: ender(plan),
    };
    let mark = |change: &mut Change| change.interrupts = interrupts(change, inputs).then(|| interruption.clone());
    for change in &mut plan.changes {
        mark(change);
        if let Some(fallback) = &mut change.fallback {
            fallback.changes.iter_mut().for_each(mark);
        }
    }
    plan.summary = PlanSummary::of(plan);
}

/// Who carries out what brings Factory back: Setpoint, if all of it is in the plan and ready.
fn ender(plan: &Plan) -> Ender {
    let is_ready = |change: &Change| change.status == Status::Ready;
    let saved = plan.change(&Address::Connection).is_none_or(is_ready);
    match plan.change(&Address::Authorization) {
        Some(authorization) if saved && is_ready(authorization) => Ender::Setpoint,
        Some(_) | None => Ender::Operator,
    }
}

/// Whether Factory works before a change, and not after it. Taking everything down interrupts nothing: it ends it.
fn interrupts(change: &Change, inputs: &Inputs<'_>) -> bool {
    if inputs.policy.command == Command::Destroy || change.status == Status::Blocked {
        return false;
    }
    match &change.address {
        Address::Application => change
            .operations
            .iter()
            .any(|operation| ends_application(operation, inputs)),
        // Saving a connection that differs in anything makes Factory forget its authorization.
        Address::Connection => change.actions != Actions::Delete && works(inputs),
        Address::User | Address::Membership(_) | Address::Authorization | Address::Repository(_) => false,
    }
}

/// Whether a write ends what Factory works with: the secret of its application, or that application.
fn ends_application(operation: &Operation, inputs: &Inputs<'_>) -> bool {
    let Operation::Application(operation) = operation else {
        return false;
    };
    let uid = match operation {
        ApplicationOperation::RenewSecret {
            application: ApplicationRef::Existing { id: _, uid },
        }
        | ApplicationOperation::Delete { id: _, uid } => uid,
        ApplicationOperation::RenewSecret {
            application: ApplicationRef::Planned,
        }
        | ApplicationOperation::Create { .. }
        | ApplicationOperation::Edit { .. } => return false,
    };
    let renews = matches!(operation, ApplicationOperation::RenewSecret { .. });
    let used = inputs
        .integration()
        .is_some_and(|integration| integration.application == *uid);
    // Who has the secret of an application that somebody else made, Factory would have to say.
    let entry = inputs.recorded.application.as_ref().filter(|entry| entry.uid == *uid);
    let foreign = entry.is_none_or(|entry| entry.adopted.is_some() && entry.secret_fingerprint.is_none())
        && !inputs
            .recorded
            .intents
            .iter()
            .any(|intent| intent.operation.created_application().is_some());
    (used && works(inputs)) || (renews && inputs.attested() && foreign)
}

/// Whether Factory works now, as far as anybody knows.
fn works(inputs: &Inputs<'_>) -> bool {
    inputs
        .integration()
        .is_some_and(|integration| integration.status == IntegrationStatus::Connected)
}
