//! The record brought up to date with what a plan has found: what is as declared is adopted, what is gone is dropped,
//! and announcements whose end is known now are taken back. Writes nothing to either side.

use crate::kinds;
use crate::model::{Desired, Observed, Plan, Policy, RecordedState};
use crate::planning::{Inputs, Settled};

/// The record as it should be before the plan is carried out.
///
/// Attributes of the application and the droid are adopted one by one: one that differs keeps its recorded value, for
/// that is what tells drift from a changed file. Where there was no record of them at all, the live values become it,
/// so that the execution has a record to continue.
pub fn refresh(desired: &Desired, observed: &Observed, recorded: &RecordedState, plan: &Plan) -> RecordedState {
    let policy = Policy::new(plan.command);
    let inputs = Inputs {
        desired,
        observed,
        recorded,
        policy: &policy,
    };
    let settled = Settled::of(plan);
    let mut next = recorded.clone();
    kinds::adopt(&inputs, &settled, &mut next);
    let open = |intent: &_| kinds::is_open(intent, observed, &settled, &next);
    let intents = recorded.intents.iter().filter(|intent| open(intent)).cloned().collect();
    next.intents = intents;
    next
}
