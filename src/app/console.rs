//! What a use case tells while it is at work, and shows before it asks. What it comes to is the value that it returns.

use crate::model::{
    Address, ApplicationId, ApplicationUid, ChangeOutcome, Diagnostic, Evidence, Observed, ObservedApplication,
    OperatorStep, Plan, RecordedState,
};
use crate::planner::Presumed;
use crate::render::Environment;
use crate::state::LockInfo;

/// Something that happens along the way. None of it changes how the command ends.
pub(crate) enum Event<'a> {
    /// The lock was taken over from a process that is gone.
    LockTakenOver(&'a LockInfo),
    /// A change of a plan that is carried out came to its end.
    Ended {
        outcome: &'a ChangeOutcome,
        /// Whether all of the change was a person's to do.
        by_person: bool,
    },
    /// Something that has to be known.
    Warning(&'a Diagnostic),
}

/// What is about to be written, shown before it is asked about.
pub(crate) enum Proposal<'a> {
    /// A plan that is about to be carried out, and whether consent was given before.
    Plan {
        plan: &'a Plan,
        environment: &'a Environment,
        approved: bool,
    },
    /// Steps that are about to be recorded as done.
    Attestation {
        environment: &'a Environment,
        steps: &'a [(&'a Address, &'a OperatorStep)],
        /// The application that the steps mean.
        application: Option<(ApplicationId, ApplicationUid)>,
        /// What Setpoint could see of it itself.
        evidence: &'a str,
    },
    /// An application that is about to be adopted.
    Adoption(Found<'a>),
    /// A record made from what is live.
    Rebuilt(Rebuilt<'a>),
    /// Resources that are about to be taken out of the record, with what it says of them.
    Forget {
        place: &'a str,
        remembered: &'a [(Address, String)],
    },
    /// A record from a file.
    Push {
        file: &'a str,
        record: &'a RecordedState,
        /// What it would take the place of, as a sentence.
        stored: &'a str,
    },
}

/// What there is to adopt, and what could be seen of it.
pub(crate) struct Found<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) observed: &'a Observed,
    pub(crate) application: &'a ObservedApplication,
    /// The droid's page of authorized applications; none where it could not be read.
    pub(crate) evidence: Option<&'a Evidence>,
}

/// A record made from what is live, before it is written.
pub(crate) struct Rebuilt<'a> {
    pub(crate) environment: &'a Environment,
    /// Why there is a need for it, as a sentence.
    pub(crate) lost: &'a str,
    pub(crate) observed: &'a Observed,
    /// The changes of which it would leave out.
    pub(crate) plan: &'a Plan,
    /// What is taken for granted.
    pub(crate) presumed: Presumed,
    pub(crate) record: &'a RecordedState,
}
