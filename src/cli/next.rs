//! What goes on from where a run ended: exactly one command, however it was stopped.

use super::operator::quoted;
use crate::app::operations::Applied;
use crate::model::{Address, ChangeOutcome, Command, Operation, OperatorStep, Outcome, Reason, UserOperation};

/// The command, and when it is its turn.
pub(super) struct Next {
    /// As the beginning of a sentence.
    pub(super) when: &'static str,
    /// The command with its arguments, without the name of the program.
    pub(super) arguments: String,
    /// Whether it goes on with a run that was stopped, before a person's steps are done.
    pub(super) stopped: bool,
}

/// Nothing where nothing is left. A run that was stopped goes on first; otherwise what a person has to do comes first, for
/// attested, it is out of the way of the rest.
pub(super) fn after(applied: &Applied, steps: &[(&Address, &OperatorStep)]) -> Option<Next> {
    let Applied { plan, report, .. } = applied;
    let any = |outcome: Outcome| report.outcomes.iter().any(|one| one.outcome == outcome);
    if report.summary.is_complete() {
        return None;
    }
    let stopped = any(Outcome::Skipped) && !any(Outcome::Failed) && !any(Outcome::Blocked);
    let next = |when, arguments: &str| {
        Some(Next {
            when,
            arguments: arguments.to_owned(),
            stopped,
        })
    };
    if !steps.is_empty() && !stopped {
        // What nobody attests the same command sees for itself.
        let is_attested = steps.iter().any(|(_, step)| step.is_attested());
        let again = again(applied);
        return next(
            "When all of it is done",
            if is_attested { "confirm --all" } else { &again },
        );
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
