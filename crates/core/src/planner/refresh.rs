//! The record brought up to date with what a plan has found: what is as declared is adopted, what is gone is dropped,
//! and announcements whose end is known now are taken back. Writes nothing to either side.

use crate::kinds;
use crate::model::{Address, Change, Command, Desired, Observed, Operation, Plan, Policy, RecordedState, Status};

use super::inputs::Inputs;

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

/// What a plan says of addresses.
pub(crate) struct Settled<'a> {
    plan: &'a Plan,
    /// Whether an address that the plan does not name has nothing to it; not so where only targets were planned.
    complete: bool,
}

impl<'a> Settled<'a> {
    fn of(plan: &'a Plan) -> Self {
        Self {
            plan,
            complete: plan.targets.is_empty() && plan.command != Command::Rotate,
        }
    }

    pub(crate) fn is_unchanged(&self, address: &Address) -> bool {
        self.plan.is_unchanged(address)
    }

    pub(crate) fn is_changed(&self, address: &Address) -> bool {
        self.change(address).is_some()
    }

    /// The change of this address.
    pub(crate) fn change(&self, address: &Address) -> Option<&'a Change> {
        self.plan.change(address)
    }

    /// Whether the change of this address makes such a write; also where it cannot be made or is not planned for now.
    pub(crate) fn does_again(&self, address: &Address, operation: &Operation) -> bool {
        self.change(address).is_none_or(|change| {
            change.status != Status::Ready || change.operations.iter().any(|planned| planned.is_like(operation))
        })
    }

    /// Whether the plan is for this.
    pub(crate) fn is_of(&self, command: Command) -> bool {
        self.plan.command == command
    }

    /// Whether an address that the plan does not name has nothing to it.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Neither live nor declared, as far as the plan looked.
    pub(crate) fn is_gone(&self, address: &Address) -> bool {
        self.complete && !self.is_unchanged(address) && !self.is_changed(address)
    }

    /// Nothing is left to do here.
    pub(crate) fn is_settled(&self, address: &Address) -> bool {
        self.is_unchanged(address) || self.is_gone(address)
    }
}
