//! Walks a plan in dependency order and takes no decision that the plan has not taken.
//!
//! Each write is announced in the state record before it goes out and struck off together with what the answer said.
//! So whatever ends a run, the record holds either the result of a write or its announcement, and the next run can
//! look up what became of it. A fresh secret lives in memory only: it goes from GitLab's answer to the secret store and then
//! to Factory.

mod application;
mod approve;
mod ask;
mod attest;
mod effects;
mod factory;
mod run;
mod state_writer;
mod user;
mod walk;
mod writes;

#[cfg(test)]
mod tests;

pub use attest::{attest, denial};
pub use effects::{
    Answer, Effects, Event, Invitation, NobodyThere, Operator, Options, Prompt, SecretStore, Stop, StopReason, Waited,
};

use crate::model::{ChangeOutcome, OperatorStep, Plan, RecordedState};
use crate::state::StateStore;

/// How a plan was carried out.
#[derive(Debug)]
pub struct Executed {
    /// One outcome for each change, in the plan's order.
    pub outcomes: Vec<ChangeOutcome>,
    /// The step of the authorization that the plan does not have, because no program could sign in as the droid.
    pub left_to_a_person: Option<OperatorStep>,
    /// What could not be written to the store; none where that is up to date.
    pub unwritten: Option<Unwritten>,
}

/// A record that is ahead of the one in the store.
#[derive(Debug)]
pub struct Unwritten {
    /// What was to be written, with the serial that it would have got.
    pub record: RecordedState,
    /// Why it could not be.
    pub why: String,
}

/// Carries the plan out, starting from this record, whose lock the caller holds.
pub async fn execute(
    plan: &Plan,
    record: RecordedState,
    effects: &Effects<'_>,
    store: &dyn StateStore,
    options: &Options<'_>,
    observer: &dyn Fn(Event),
) -> Executed {
    let run = run::Run::new(plan, record, effects, store);
    walk::Walk::new(plan, &run, options, observer).walk().await
}
