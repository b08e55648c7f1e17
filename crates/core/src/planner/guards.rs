//! Guards against removing more than anybody meant to: a wrong glob must not disable half of the organization.

use crate::kinds::repository;
use crate::model::{Actions, Diagnostic, Guards, Operation, Plan, RecordedState, Status, Warning, WarningCode};
use crate::planning::Inputs;

/// How many removals are allowed: `max_removals`, or `max_removal_percent` of what is enabled now, whichever is lower.
///
/// The percentage never forbids the first removal, else nobody with three repositories could ever take one out; a
/// percentage of 0 does, for that is what it says. Where nothing is enabled there is nothing to take a percentage of.
fn limit(guards: Guards, enabled: u64) -> u64 {
    let Guards {
        max_removals,
        max_removal_percent,
    } = guards;
    let by_percent = match (max_removal_percent, enabled) {
        (_, 0) => u64::MAX,
        (0, _) => 0,
        (percent, enabled) => (enabled.saturating_mul(percent) / 100).max(1),
    };
    max_removals.min(by_percent)
}

/// What a plan removes: repositories that are disabled, memberships that are taken away, and applications that nothing
/// but the record says were replaced. The old application of a replacement is not among them, for it has a guard of its
/// own.
fn removals(plan: &Plan, recorded: &RecordedState) -> u64 {
    let carried_out = || plan.changes.iter().filter(|change| change.status != Status::Blocked);
    let leftovers = carried_out()
        .flat_map(|change| change.operations.iter().filter_map(Operation::deleted_application))
        .filter(|(id, uid)| recorded.has_replaced(*id, uid));
    let removed =
        carried_out().filter(|change| change.actions == Actions::Delete && change.address.kind().is_guarded());
    (removed.count() + leftovers.count()) as u64
}

/// Refuses a plan that removes too much.
pub(super) fn check(plan: &mut Plan, inputs: &Inputs<'_>) {
    let (guards, allowed) = (inputs.policy.guards, inputs.policy.allowances.removals);
    let enabled = repository::enabled(inputs).len() as u64;
    let removals = removals(plan, inputs.recorded);
    let limit = allowed.unwrap_or_else(|| limit(guards, enabled));
    if removals <= limit {
        return;
    }
    let why = match allowed {
        Some(_) => "--allow-removals".to_owned(),
        None if limit == guards.max_removals => "guards.max_removals".to_owned(),
        None => format!(
            "guards.max_removal_percent, {} % of {enabled} enabled repositories",
            guards.max_removal_percent
        ),
    };
    let message = format!("this would remove {removals}, and {limit} is allowed ({why})");
    plan.warnings.push(Warning {
        code: WarningCode::GuardExceeded,
        message: message.clone(),
        address: None,
    });
    plan.warnings.sort();
    let hint = format!("if that is meant, allow it for one run with --allow-removals {removals}");
    plan.refusals.push(Diagnostic::new(message).hint(hint));
}

#[cfg(test)]
mod tests {
    use super::limit;
    use crate::model::Guards;

    #[test]
    fn the_lower_of_the_two_counts_and_small_sets_can_change() {
        for (max_removals, max_removal_percent, enabled, expected) in [
            (10, 25, 1000, 10),
            (10, 25, 20, 5),
            (10, 25, 4, 1),
            (10, 25, 3, 1),
            (10, 25, 1, 1),
            (10, 25, 0, 10),
            (10, 0, 100, 0),
            (0, 25, 100, 0),
            (0, 25, 0, 0),
            (u64::MAX, 100, 7, 7),
        ] {
            let guards = Guards {
                max_removals,
                max_removal_percent,
            };
            assert_eq!(limit(guards, enabled), expected, "{guards:?} of {enabled}");
        }
    }
}
