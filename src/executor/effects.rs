//! What the executor acts through: the write traits, the secret store, the person, the clock. All are borrowed, so that tests
//! give fakes and `apply` gives what it also uses elsewhere.

use std::sync::OnceLock;
use std::time::Instant;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::factory::{FactoryRead, FactoryWrite};
use crate::gitlab::{AdminWrite, Approval, DroidSession, GitlabRead, GitlabWrite};
use crate::http;
use crate::model::{Address, ApplicationId, ApplicationUid, ApproveAt, ChangeOutcome, OperatorStep, Seen};
use crate::secrets::Secret;

/// Everything that a plan is carried out with.
pub struct Effects<'a> {
    /// Reads of GitLab that a write needs: which applications are there before one is created, and whether a lost
    /// answer had arrived.
    pub gitlab_read: &'a dyn GitlabRead,
    /// Writes of GitLab's API.
    pub gitlab: &'a dyn GitlabWrite,
    /// Writes of the administrator's web session, if there is one.
    pub admin: Option<&'a dyn AdminWrite>,
    /// The droid's web session, if there is a way to have one.
    pub droid: Option<&'a dyn DroidSession>,
    /// Factory, to see whom it is connected as after an authorization.
    pub factory_read: &'a dyn FactoryRead,
    /// Writes of Factory, under the `api` driver.
    pub factory: Option<&'a dyn FactoryWrite>,
    /// Where the application's secret is kept.
    pub secret_store: &'a dyn SecretStore,
    /// Where the key of the droid's authenticator is kept.
    pub authenticator_store: &'a dyn SecretStore,
    /// The password that a new droid is given.
    pub droid_password: Option<Secret>,
    /// The person who is asked to do a step.
    pub operator: &'a dyn Operator,
    /// Checks an authorize URL as [`DroidSession::authorize`] does, and gives it as a person's browser opens it.
    pub approve_at: &'a (dyn Fn(&str, &Approval<'_>) -> http::Result<url::Url> + Sync),
    pub clock: &'a dyn Fn() -> Timestamp,
}

/// Where a secret is kept that GitLab shows once (`application.secret`, `user.totp`).
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// Whether [`Self::save`] keeps it anywhere.
    fn saves(&self) -> bool;
    /// Keeps a fresh secret. Called before anybody else is given it. Nothing configured is no error.
    async fn save(&self, secret: &Secret) -> Result<(), String>;
    /// Gives it back; none where nothing is stored yet or nothing is configured.
    async fn load(&self) -> Result<Option<Secret>, String>;
}

/// What a person answered to a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done, says this person (`user@host`).
    Attested { by: String },
    /// Not now; go on with the next.
    Skipped,
    /// Not now, and ask for nothing more.
    Quit,
    /// Nobody is there to ask: the step is left for later.
    Later,
}

/// A prompt that is put before a person.
#[derive(Debug)]
pub struct Prompt<'a> {
    /// The step with the change that it belongs to. One, but for repositories: these come all on one prompt.
    pub steps: Vec<(&'a Address, &'a OperatorStep)>,
    /// The application, where the step is about it: one that this very run created has no ids in the plan.
    pub application: Option<&'a (ApplicationId, ApplicationUid)>,
    /// What was found against the answer that the prompt got before, if it is put again.
    pub objection: Option<&'a str>,
    /// The secret, where the step needs it: to be shown on a terminal on request only.
    pub secret: Option<&'a Secret>,
    /// Whether the secret store has kept that secret.
    pub secret_saved: bool,
    /// Its number among the prompts of the plan, from 1.
    pub number: usize,
    /// How many prompts the plan has.
    pub of: usize,
}

/// What a person is shown who approves Factory's access in a browser.
#[derive(Debug)]
pub struct Invitation<'a> {
    /// Where, as whom, and until when.
    pub at: &'a ApproveAt,
    /// Why a person is asked, or what was wrong with the approval before.
    pub objection: Option<&'a str>,
    /// Whether it was shown, and is only waited for again.
    pub is_repeated: bool,
}

/// How waiting for an approval ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// It is time to see whether Factory has an answer.
    ForAWhile,
    /// The person wants another address.
    Another,
    /// Not now; go on with the next.
    Skipped,
    /// Not now, and ask for nothing more.
    Quit,
    Later,
}

/// A person, or the absence of one.
#[async_trait]
pub trait Operator: Send + Sync {
    /// Asks for what is on one prompt. Prompts come one at a time, in the plan's order, while nothing else is running.
    async fn ask(&self, prompt: Prompt<'_>) -> Answer;

    /// Shows where to approve Factory's access, and waits a while for it, or until the person wants something else.
    async fn invite(&self, invitation: &Invitation<'_>) -> Waited;

    /// A prompt's answer was recorded: what could be checked of it.
    fn recorded(&self, step: &OperatorStep, seen: &Seen);
}

/// The operator where there is no terminal: everything is left for later.
#[derive(Debug, Clone, Copy, Default)]
pub struct NobodyThere;

#[async_trait]
impl Operator for NobodyThere {
    async fn ask(&self, _: Prompt<'_>) -> Answer {
        Answer::Later
    }

    async fn invite(&self, _: &Invitation<'_>) -> Waited {
        Waited::Later
    }

    fn recorded(&self, _: &OperatorStep, _: &Seen) {}
}

/// Why a run should begin nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The person or the system asked for it (Ctrl-C, SIGTERM).
    Interrupted,
    /// The change window ended.
    WindowClosed,
}

/// Asks a run to stop: set from a signal handler or a timer, read before anything new begins.
#[derive(Debug, Default)]
pub struct Stop(OnceLock<StopReason>);

impl Stop {
    /// Nothing asks for a stop.
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Asks for a stop. The first reason stays.
    pub fn request(&self, reason: StopReason) {
        let _ = self.0.set(reason);
    }

    /// Whether and why to stop.
    pub fn requested(&self) -> Option<StopReason> {
        self.0.get().copied()
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// How many changes are in flight at once, at least one.
    pub parallelism: usize,
    /// Whether the first failure ends the run.
    pub fail_fast: bool,
    /// Set when nothing new should begin.
    pub stop: &'a Stop,
    /// When the change window ends, on the monotonic clock: nothing new begins after it.
    pub until: Option<Instant>,
}

impl Options<'_> {
    /// Whether and why nothing new should begin.
    pub(super) fn stopped(&self) -> Option<StopReason> {
        self.stop.requested().or_else(|| {
            self.until
                .is_some_and(|end| Instant::now() >= end)
                .then_some(StopReason::WindowClosed)
        })
    }
}

/// Progress, as it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The writes of a change begin. A change that is a person's alone has none.
    Started(Address),
    /// A change ended. Changes that were never begun end too.
    Finished(ChangeOutcome),
}
