//! What a finished plan says of addresses: what is left to do there, and whether it looked at all of them.

use crate::model::{Address, Change, Command, Operation, Plan, Status};

/// What a plan says of addresses.
pub(crate) struct Settled<'a> {
    plan: &'a Plan,
    /// Whether an address that the plan does not name has nothing to it; not so where only targets were planned.
    complete: bool,
}

impl<'a> Settled<'a> {
    pub(crate) fn of(plan: &'a Plan) -> Self {
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
