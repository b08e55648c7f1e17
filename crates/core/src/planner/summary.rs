//! The counts of a plan.

use crate::model::{Actions, Change, Origin, Plan, PlanSummary, Status};

/// Counts a plan. A change counts once by its action, again under `operator` if it leaves anything to a person, and
/// again under `blocked` if it cannot be done.
pub(super) fn of(plan: &Plan) -> PlanSummary {
    let count = |what: &dyn Fn(&Change) -> bool| plan.changes.iter().filter(|change| what(change)).count() as u64;
    PlanSummary {
        create: count(&|change| change.actions == Actions::Create),
        update: count(&|change| change.actions == Actions::Update),
        replace: count(&|change| change.actions == Actions::Replace),
        delete: count(&|change| change.actions == Actions::Delete),
        drifted: count(&|change| matches!(change.origin, Origin::Drift | Origin::Both | Origin::Unrecorded)),
        pending: count(&|change| matches!(change.origin, Origin::Pending | Origin::Both)),
        operator: count(&|change| change.status == Status::Operator || !change.steps.is_empty()),
        blocked: count(&|change| change.status == Status::Blocked),
        interrupting: count(&|change| change.interrupts.is_some()),
        unchanged: plan.unchanged.len() as u64,
    }
}
