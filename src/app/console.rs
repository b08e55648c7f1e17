//! What a use case tells and asks while it is at work. It prints nothing itself: the command line implements this, and
//! what a use case comes to is the value that it returns.

use async_trait::async_trait;

use super::adopt::Found;
use super::context::Context;
use super::error::Result;
use super::rebuild::Rebuilt;
use crate::executor::Operator;
use crate::model::{
    Address, ApplicationId, ApplicationUid, ChangeOutcome, Diagnostic, OperatorStep, Plan, RecordedState,
};
use crate::render::Environment;
use crate::secrets::Secret;
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
    Adoption(&'a Found<'a>),
    /// A record made from what is live.
    Rebuilt(&'a Rebuilt),
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

/// Says how far something is, such as "3 of 28 changes".
pub(crate) type SoFar = Box<dyn Fn() -> String + Send>;

/// A sign of life, until it is dropped.
pub(crate) type Activity = Box<dyn Send>;

/// Whoever started the use case.
#[async_trait]
pub(crate) trait Console: Send + Sync {
    fn tell(&self, event: Event<'_>);

    /// Shows what is about to be written. An error where that cannot be shown: nothing is written unseen.
    fn propose(&self, context: &Context, proposal: &Proposal<'_>) -> Result<()>;

    /// Asks for consent to what was proposed. An error where nobody can be asked.
    async fn confirm(&self, question: &str) -> Result<bool>;

    /// Whether a secret can be asked for without showing what is typed.
    fn can_ask_secret(&self) -> bool;

    /// Asks for a secret so. None where nothing is given.
    async fn ask_secret(&self, question: &str) -> Result<Option<Secret>>;

    /// Begins something that may take a while, named as a participle: "reading GitLab and Factory".
    fn begin(&self, what: &'static str, so_far: SoFar) -> Activity;

    /// Whether a person is there to answer, and to see a secret.
    fn can_ask(&self) -> bool;

    /// Who does the steps that no interface lets a program do.
    fn operator<'a>(&'a self, context: &'a Context) -> Box<dyn Operator + 'a>;
}
