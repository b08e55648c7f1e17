//! `drift --notify`: findings are told to a webhook once each, not at every run.
//!
//! What a finding is, what is remembered of those that were told, and the way to the webhook. How a message reads is
//! [`crate::render`]'s. A finding is told rather twice than never: whatever is in doubt counts as not told.

mod hook;
mod memory;

use serde::Serialize;

use crate::model::{Actions, Address, AttributeChange, Change, Origin, Reason};

pub use hook::{Hook, PEER};
pub use memory::{Doubt, Memory, Subject};

/// Something that differs, as it is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding<'a> {
    pub change: &'a Change,
    /// Its identity: `sha256:` and 64 hexadecimal digits over the address, the side that moved, and what differs.
    pub id: String,
}

impl<'a> Finding<'a> {
    pub fn of(change: &'a Change) -> Self {
        Self { change, id: id(change) }
    }
}

/// The same difference gives the same id in every run. Who carries the change out, and what it waits for, is no part of
/// what differs.
fn id(change: &Change) -> String {
    #[derive(Serialize)]
    struct Identity<'a> {
        address: &'a Address,
        actions: Actions,
        origin: Origin,
        reason: Reason,
        attributes: &'a [AttributeChange],
    }
    let Change {
        address,
        actions,
        status: _,
        origin,
        reason,
        attributes,
        depends_on: _,
        notes: _,
        interrupts: _,
        fallback: _,
        operations: _,
        steps: _,
    } = change;
    let identity = Identity {
        address,
        actions: *actions,
        origin: *origin,
        reason: *reason,
        attributes,
    };
    // None of it can fail to be JSON; without it, the address alone would still be a finding.
    let text = serde_json::to_string(&identity).unwrap_or_else(|_| address.to_string());
    crate::digest::sha256(text)
}

#[cfg(test)]
mod tests {
    use super::Finding;
    use crate::model::Status;
    use crate::planner::fixture::converged;

    #[test]
    fn the_same_difference_is_the_same_finding_and_another_is_not() {
        let mut case = converged();
        "Mallory".clone_into(&mut case.user().fields.name);
        let change = case.only_change();
        let first = Finding::of(&change).id;
        let mut blocked = change.clone();
        blocked.status = Status::Blocked;
        blocked.notes.push("a remark".to_owned());
        assert_eq!(Finding::of(&blocked).id, first);
        "Eve".clone_into(&mut case.user().fields.name);
        assert_ne!(Finding::of(&case.only_change()).id, first);
    }
}
