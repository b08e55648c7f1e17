//! What goes on from where a run or an attestation ended: exactly one command, however it was stopped.

use super::operator::{command_line, quoted};
use crate::app::attest::Left;
use crate::app::context::Context;
use crate::app::operations::Applied;
use crate::model::{Address, ChangeOutcome, Command, Operation, OperatorStep, Outcome, Reason, UserOperation};
use crate::render::Onward;

/// Nothing where nothing is left. A run that was stopped goes on first; otherwise what a person has to do comes first, for
/// attested, it is out of the way of the rest.
pub(super) fn after(context: &Context, applied: &Applied, steps: &[(&Address, &OperatorStep)]) -> Option<Onward> {
    let Applied { plan, report, .. } = applied;
    let any = |outcome: Outcome| report.outcomes.iter().any(|one| one.outcome == outcome);
    if report.summary.is_complete() {
        return None;
    }
    let stopped = any(Outcome::Skipped) && !any(Outcome::Failed) && !any(Outcome::Blocked);
    let next = |when, arguments: &str| {
        Some(Onward {
            stopped,
            ..onward(context, when, arguments)
        })
    };
    if !steps.is_empty() && !stopped {
        return Some(once_done(context, steps, &again(applied)));
    }
    if any(Outcome::Failed) || stopped {
        return next("To go on", &again(applied));
    }
    let unadopted = plan.changes.iter().any(|change| change.reason == Reason::AlreadyExists);
    if unadopted {
        return next("To take over what exists already", "adopt");
    }
    if any(Outcome::Blocked) {
        return next("When nothing is in the way of what is blocked", &again(applied));
    }
    // Factory works, and nobody else has the secret.
    next("When the secret can be saved", "rotate")
}

/// After a person's steps. What nobody attests the other command sees for itself.
pub(super) fn once_done(context: &Context, steps: &[(&Address, &OperatorStep)], other: &str) -> Onward {
    let is_attested = steps.iter().any(|(_, step)| step.is_attested());
    let arguments = if is_attested { "confirm --all" } else { other };
    onward(context, "When all of it is done", arguments)
}

/// After an attestation.
pub(super) fn attested(context: &Context, left: Left) -> Onward {
    let (when, arguments) = match left {
        Left::Nothing => ("To see that nothing is left", "plan"),
        Left::Setpoints => ("To go on", "apply"),
        Left::Steps => ("When the rest is done", "confirm --all"),
        Left::Blocked => ("To see what is left", "plan"),
    };
    onward(context, when, arguments)
}

fn onward(context: &Context, when: &'static str, arguments: &str) -> Onward {
    Onward {
        when,
        command: command_line(context, arguments),
        stopped: false,
    }
}

/// The same command, unless that would renew a secret which is renewed already.
fn again(applied: &Applied) -> String {
    let Applied { plan, report, .. } = applied;
    let renewed = |one: &ChangeOutcome| one.address == Address::Application && one.writes > 0;
    match plan.command {
        Command::Rotate if !report.outcomes.iter().any(renewed) => "rotate".to_owned(),
        Command::Destroy => {
            let user = |operation: &Operation| match operation {
                Operation::User(UserOperation::Block { .. }) => Some("destroy --block-user"),
                Operation::User(UserOperation::Delete { .. }) => Some("destroy --delete-user"),
                _ => None,
            };
            plan.possible_writes().find_map(user).unwrap_or("destroy").to_owned()
        }
        Command::Plan | Command::Drift | Command::Apply | Command::Rotate => {
            let targets = plan
                .targets
                .iter()
                .map(|target| format!(" --target {}", quoted(&target.to_string())));
            std::iter::once("apply".to_owned()).chain(targets).collect()
        }
    }
}
