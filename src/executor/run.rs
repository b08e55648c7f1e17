//! What the writes of one run share: the record, what earlier writes of the run brought into being, and the way in
//! which every write is announced, sent and recorded.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::future::Future;

use super::effects::Effects;
use super::state_writer::{StateWriter, Write};
use crate::gitlab::DroidSession;
use crate::http;
use crate::model::{
    ApplicationId, ApplicationRef, ApplicationUid, Change, Intent, Operation, OperatorStep, Plan, RecordedState,
    UserId, UserRef,
};
use crate::secrets::Secret;
use crate::state::StateStore;

/// Why a write did not succeed, in words for the report. Never holds a secret.
#[derive(Debug)]
pub(super) struct Failure(pub(super) String);

pub(super) type Step<T = ()> = Result<T, Failure>;

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self(message)
    }
}

impl From<http::Error> for Failure {
    fn from(error: http::Error) -> Self {
        Self(describe(&error))
    }
}

/// The error with its hint. What a server says may end with a full stop of its own, which ends nothing here.
pub(super) fn describe(error: &http::Error) -> String {
    let message = error.message.trim_end_matches('.');
    match &error.hint {
        // Hints about web sessions are sentences of their own.
        Some(hint) if hint.starts_with(|first: char| first.is_uppercase()) => {
            format!("{message}. {}", hint.trim_end_matches('.'))
        }
        Some(hint) => format!("{message}; {hint}"),
        None => message.to_owned(),
    }
}

/// The secret that GitLab answered in this run. It is in memory and nowhere else of ours.
#[derive(Clone)]
pub(super) struct Fresh {
    pub(super) secret: Secret,
    pub(super) saved: bool,
    /// Why the store did not take it.
    pub(super) unsaved: Option<String>,
}

/// A step that the plan does not have, because nobody could know that a person is needed.
pub(super) struct LeftToAPerson {
    pub(super) step: OperatorStep,
    pub(super) why: String,
}

pub(super) struct Run<'a> {
    pub(super) effects: &'a Effects<'a>,
    pub(super) state: StateWriter<'a>,
    pub(super) fresh: RefCell<Option<Fresh>>,
    /// Whether the authorization failed because GitLab does not take the secret that Factory has.
    pub(super) secret_was_refused: Cell<bool>,
    /// How many writes were carried out, by the change that they belong to: two may have one address.
    carried_out: RefCell<HashMap<*const Change, u64>>,
    /// The approval, where it turned out that no program can sign in as the droid.
    pub(super) left_to_a_person: OnceCell<LeftToAPerson>,
    /// What this run brought into being.
    pub(super) created_application: RefCell<Option<(ApplicationId, ApplicationUid)>>,
    pub(super) created_user: Cell<Option<UserId>>,
    /// The droid that the plan speaks of where it is there already.
    planned_user: Option<UserId>,
}

impl<'a> Run<'a> {
    pub(super) fn new(plan: &Plan, record: RecordedState, effects: &'a Effects<'a>, store: &'a dyn StateStore) -> Self {
        let planned_user = plan
            .changes
            .iter()
            .flat_map(|change| &change.operations)
            .find_map(Operation::existing_user);
        Self {
            effects,
            state: StateWriter::new(store, record),
            fresh: RefCell::new(None),
            secret_was_refused: Cell::new(false),
            carried_out: RefCell::default(),
            left_to_a_person: OnceCell::new(),
            created_application: RefCell::new(None),
            created_user: Cell::new(None),
            planned_user,
        }
    }

    /// Carries one write out.
    pub(super) async fn perform(&self, change: &Change, operation: &Operation) -> Step {
        let write = Write { change, operation };
        match operation {
            Operation::Application(operation) => self.perform_on_application(write, operation).await,
            Operation::User(operation) => self.perform_on_user(write, operation).await,
            Operation::Membership(operation) => self.perform_on_membership(write, operation).await,
            Operation::Connection(operation) => self.perform_on_connection(write, operation).await,
            Operation::Authorization(operation) => self.perform_on_authorization(write, operation).await,
            Operation::Repository(operation) => self.set_repository(write, *operation).await,
        }
    }

    /// Announces a write, sends it, and records its answer in the same state write that strikes it off. The request
    /// must be lazy: it goes out when it is polled, which is after the announcement.
    pub(super) async fn announced<T>(
        &self,
        write: Write<'_>,
        request: impl Future<Output = http::Result<T>>,
        record: impl FnOnce(&mut RecordedState, T),
    ) -> Step {
        self.begin(write).await?;
        match request.await {
            Ok(answer) => {
                self.count(write);
                self.record(write, |state| record(state, answer)).await
            }
            Err(error) => Err(self.refused(write, &error).await),
        }
    }

    /// Records the end of a write that was carried out, and strikes it off.
    pub(super) async fn record(&self, write: Write<'_>, edit: impl FnOnce(&mut RecordedState)) -> Step {
        let recorded = self.state.commit(write, edit).await;
        recorded.map_err(|state| unrecorded(&state))
    }

    /// A write was carried out, whatever becomes of its record.
    pub(super) fn count(&self, write: Write<'_>) {
        let of = std::ptr::from_ref(write.change);
        *self.carried_out.borrow_mut().entry(of).or_default() += 1;
    }

    /// How many writes of a change were carried out.
    pub(super) fn writes_of(&self, change: &Change) -> u64 {
        let of = std::ptr::from_ref(change);
        self.carried_out.borrow().get(&of).copied().unwrap_or_default()
    }

    pub(super) async fn begin(&self, write: Write<'_>) -> Step {
        let intent = self.intent(write);
        Ok(self.state.begin(vec![intent], |_| {}).await?)
    }

    /// The announcement of a write.
    pub(super) fn intent(&self, write: Write<'_>) -> Intent {
        Intent {
            address: write.change.address.clone(),
            operation: write.operation.clone(),
            at: (self.effects.clock)(),
            applications_before: std::collections::BTreeSet::new(),
        }
    }

    /// The end of a write that failed: it is struck off only where the server certainly did not carry it out.
    pub(super) async fn refused(&self, write: Write<'_>, error: &http::Error) -> Failure {
        if error.may_have_been_processed() {
            return uncertain(error);
        }
        struck_off(error, self.state.commit(write, |_| {}).await)
    }

    /// The droid's web session.
    pub(super) fn droid_session(&self) -> Step<&dyn DroidSession> {
        self.effects.droid.ok_or_else(|| {
            Failure(
                "there is no way to sign in as the droid; configure user.password, or gitlab.admin_session".to_owned(),
            )
        })
    }

    /// The application that is meant.
    pub(super) fn application(&self, reference: &ApplicationRef) -> Step<(ApplicationId, ApplicationUid)> {
        match reference {
            ApplicationRef::Existing { id, uid } => Ok((*id, uid.clone())),
            ApplicationRef::Planned => self
                .created_application
                .borrow()
                .clone()
                .ok_or_else(|| Failure("the application that this plan creates is not there yet".to_owned())),
        }
    }

    /// The user that is meant.
    pub(super) fn user(&self, reference: UserRef) -> Step<UserId> {
        match reference {
            UserRef::Existing(id) => Ok(id),
            UserRef::Planned => self
                .created_user
                .get()
                .ok_or_else(|| Failure("the user that this plan creates is not there yet".to_owned())),
        }
    }

    /// The droid's id, where this run or the record knows it.
    pub(super) fn droid(&self) -> Option<UserId> {
        (self.created_user.get())
            .or(self.planned_user)
            .or_else(|| self.state.record().user.as_ref().map(|user| user.id))
    }
}

/// The message for a write that failed and may have been carried out.
pub(super) fn uncertain(error: &http::Error) -> Failure {
    Failure(format!(
        "{}; it is not certain whether it was carried out: the next run looks it up",
        describe(error)
    ))
}

/// The message for a write that was certainly not carried out, with what came of striking it off.
pub(super) fn struck_off(error: &http::Error, recorded: Result<(), String>) -> Failure {
    Failure(match recorded {
        Ok(()) => describe(error),
        Err(state) => format!("{}; besides, {state}", describe(error)),
    })
}

/// The message for a write that succeeded and could not be recorded.
pub(super) fn unrecorded(state: &str) -> Failure {
    Failure(format!(
        "it was carried out, but could not be recorded: {state}; the next run finds it by its announcement"
    ))
}

#[cfg(test)]
mod tests {
    use super::describe;
    use crate::http::{Error, ErrorKind, Side};

    #[test]
    fn a_full_stop_of_the_server_ends_nothing() {
        let error = Error::new(
            Side::Factory,
            ErrorKind::Unexpected,
            "POST /",
            "the scope is malformed.",
        );
        assert!(
            describe(&error).ends_with("the scope is malformed"),
            "{}",
            describe(&error)
        );
        let hinted = describe(&error.with_hint("check the scopes"));
        assert!(hinted.ends_with("the scope is malformed; check the scopes"), "{hinted}");
    }
}
