//! One home for each kind of resource: what it is (its fields, once for what is declared, live and recorded), which
//! writes there are, how it is planned, adopted into the record, taken down, and looked at again before a saved plan is
//! carried out. What all kinds share is in [`crate::diff`]; what couples them is in their own files, by hand.
//!
//! What goes by kind elsewhere asks here, so that a new kind has its answers in one place.

pub mod application;
pub mod authorization;
pub mod connection;
pub mod membership;
pub mod repository;
pub mod user;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{
    Address, ApplicationFields, ApplicationId, ApplicationMatch, ApplicationOperation, ApplicationRef, ApplicationUid,
    Attestation, AuthorizationOperation, Change, ConnectionOperation, Desired, Intent, MemberRef, MembershipOperation,
    Observed, ProjectId, Reason, RecordedState, RepositoryOperation, SecretSource, SignIn, UserId, UserOperation,
    UserRef,
};
use crate::planning::{Inputs, PlanBuilder, Settled};

/// A write to one of the two sides, by the kind of resource that it changes. In the record and in saved plans the kind
/// is not spelled out: the word under `do` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a write that this version of Setpoint knows")]
pub enum Operation {
    /// Of `gitlab.application`.
    Application(ApplicationOperation),
    /// Of `gitlab.user`.
    User(UserOperation),
    /// Of `gitlab.membership`.
    Membership(MembershipOperation),
    /// Of `factory.connection`.
    Connection(ConnectionOperation),
    /// Of `factory.authorization`.
    Authorization(AuthorizationOperation),
    /// Of `factory.repository`.
    Repository(RepositoryOperation),
}

impl Operation {
    /// Whether it is a write of the same sort, whatever its values.
    pub fn is_like(&self, other: &Self) -> bool {
        use std::mem::discriminant;
        match (self, other) {
            (Self::Application(one), Self::Application(other)) => discriminant(one) == discriminant(other),
            (Self::User(one), Self::User(other)) => discriminant(one) == discriminant(other),
            (Self::Membership(one), Self::Membership(other)) => discriminant(one) == discriminant(other),
            (Self::Connection(one), Self::Connection(other)) => discriminant(one) == discriminant(other),
            (Self::Authorization(one), Self::Authorization(other)) => discriminant(one) == discriminant(other),
            (Self::Repository(one), Self::Repository(other)) => discriminant(one) == discriminant(other),
            (
                Self::Application(_)
                | Self::User(_)
                | Self::Membership(_)
                | Self::Connection(_)
                | Self::Authorization(_)
                | Self::Repository(_),
                _,
            ) => false,
        }
    }

    /// Whether GitLab answers it with a secret, which it shows at no other time.
    pub fn makes_secret(&self) -> bool {
        matches!(
            self,
            Self::Application(ApplicationOperation::Create { .. } | ApplicationOperation::RenewSecret { .. })
        )
    }

    /// Whether it registers an authenticator, whose key is then kept.
    pub fn makes_key(&self) -> bool {
        matches!(self, Self::User(UserOperation::EnrolSecondFactor { .. }))
    }

    /// Whether it takes the droid's password.
    pub fn needs_droid_password(&self) -> bool {
        match self {
            Self::User(
                UserOperation::Create { .. }
                | UserOperation::EnrolSecondFactor { .. }
                | UserOperation::VerifySecondFactor { .. },
            ) => true,
            Self::User(UserOperation::AcceptTerms { sign_in, .. }) => *sign_in == SignIn::Password,
            Self::Authorization(AuthorizationOperation::Authorize { sign_in, .. }) => match sign_in {
                SignIn::Password => true,
                SignIn::Impersonate => false,
            },
            Self::Application(_) | Self::User(_) | Self::Membership(_) | Self::Connection(_) | Self::Repository(_) => {
                false
            }
        }
    }

    /// The application that it creates.
    pub fn created_application(&self) -> Option<&ApplicationFields> {
        let Self::Application(ApplicationOperation::Create { application }) = self else {
            return None;
        };
        Some(application)
    }

    /// The application that it deletes.
    pub fn deleted_application(&self) -> Option<(ApplicationId, &ApplicationUid)> {
        let Self::Application(ApplicationOperation::Delete { id, uid }) = self else {
            return None;
        };
        Some((*id, uid))
    }

    /// The membership that it changes.
    pub fn member(&self) -> Option<&MemberRef> {
        self.membership().map(MembershipOperation::member)
    }

    /// What it does to a membership.
    pub(crate) fn membership(&self) -> Option<&MembershipOperation> {
        let Self::Membership(operation) = self else {
            return None;
        };
        Some(operation)
    }

    /// The application whose secret it renews.
    pub fn renewed_application(&self) -> Option<&ApplicationRef> {
        let Self::Application(ApplicationOperation::RenewSecret { application }) = self else {
            return None;
        };
        Some(application)
    }

    /// The droid's account that it speaks of, where that is there already.
    pub fn existing_user(&self) -> Option<UserId> {
        match self {
            Self::User(operation) => operation.user(),
            Self::Membership(operation) => match operation.member().user {
                UserRef::Existing(id) => Some(id),
                UserRef::Planned => None,
            },
            Self::Application(_) | Self::Connection(_) | Self::Authorization(_) | Self::Repository(_) => None,
        }
    }

    /// What it takes from an earlier write of the same plan.
    pub(crate) fn needs(&self) -> Needs {
        match self {
            Self::Connection(ConnectionOperation::Save {
                application, secret, ..
            }) => Needs {
                application: *application == ApplicationRef::Planned,
                secret: *secret == SecretSource::Fresh,
                user: false,
            },
            Self::Membership(operation) => Needs {
                user: operation.member().user == UserRef::Planned,
                ..Needs::default()
            },
            Self::Application(_)
            | Self::User(_)
            | Self::Connection(ConnectionOperation::Delete)
            | Self::Authorization(_)
            | Self::Repository(_) => Needs::default(),
        }
    }

    /// The project that it enables or disables.
    pub fn project(&self) -> Option<ProjectId> {
        let Self::Repository(operation) = self else {
            return None;
        };
        Some(operation.id())
    }
}

/// What an earlier write has to bring into being.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) application: bool,
    pub(crate) secret: bool,
    pub(crate) user: bool,
}

macro_rules! operation_of {
    ($($kind:ident($operation:ty)),* $(,)?) => {
        $(impl From<$operation> for Operation {
            fn from(operation: $operation) -> Self {
                Self::$kind(operation)
            }
        })*
    };
}

operation_of!(
    Application(ApplicationOperation),
    User(UserOperation),
    Membership(MembershipOperation),
    Connection(ConnectionOperation),
    Authorization(AuthorizationOperation),
    Repository(RepositoryOperation),
);

/// Compares everything. What Factory works with and nobody has recorded is adopted before anything is done about what
/// differs; where nothing differs, there is nothing to ask.
pub(crate) fn plan(inputs: &Inputs<'_>, builder: &mut PlanBuilder) {
    if compare(inputs, builder, false) && !builder.changes.is_empty() {
        *builder = PlanBuilder::default();
        compare(inputs, builder, true);
    }
}

/// In the order in which the resources depend on each other. Gives whether it found an application in use of which
/// nothing is recorded.
fn compare(inputs: &Inputs<'_>, builder: &mut PlanBuilder, hold: bool) -> bool {
    let mut application = application::plan(inputs, builder);
    let found = application::is_found_in_use(inputs, &application);
    let mut secret = application::decide_secret(inputs, &application);
    application::hold(inputs, &mut application, secret.as_ref(), hold);
    if hold && application.unadopted {
        // Of the one that is there, and no more of the one that would have been made.
        secret = application::decide_secret(inputs, &application);
    }
    match secret.as_ref().and_then(|secret| secret.renewal.as_ref()) {
        Some(_) if application.unadopted || !inputs.policy.goes_to_factory() => {}
        Some(renewal) => application.renew(renewal),
        None => application::warn_of_store(inputs, builder, &application),
    }
    if !inputs.policy.goes_to_factory() {
        application.keep_old();
    }
    application.settle(builder);
    let user = user::plan(inputs, builder);
    let coverage = membership::plan(inputs, builder, &user);
    connection::plan(inputs, builder, &application, secret.as_ref());
    authorization::plan(inputs, builder, &application, &user);
    connection::fall_back(inputs, builder, &application);
    repository::plan(inputs, builder, &coverage, application.unadopted);
    found
}

/// Takes the integration down, and nothing that is not part of it: repositories are disabled and the connection is
/// deleted before the application goes; the droid stays unless it is asked for. What is gone already is no change, so
/// the second time there is none. The authorization ends with the connection, and memberships stay with the droid.
pub(crate) fn destroy(inputs: &Inputs<'_>, builder: &mut PlanBuilder) {
    repository::destroy(inputs, builder);
    connection::destroy(inputs, builder);
    application::destroy(inputs, builder);
    user::destroy(inputs, builder);
}

/// Whether one of the two sides has it, declared or not.
pub(crate) fn is_live(inputs: &Inputs<'_>, address: &Address) -> bool {
    let gitlab = &inputs.observed.gitlab;
    match address {
        Address::Application => application::identify(inputs) != ApplicationMatch::None,
        Address::User => gitlab.user.is_some(),
        Address::Membership(path) => membership::is_live(inputs, path),
        Address::Connection | Address::Authorization => inputs.integration().is_some(),
        Address::Repository(path) => repository::is_live(inputs, path),
    }
}

/// Brings the record up to date with what a plan has found.
pub(crate) fn adopt(inputs: &Inputs<'_>, settled: &Settled<'_>, next: &mut RecordedState) {
    application::adopt(inputs, settled, next);
    user::adopt(inputs, settled, next);
    membership::adopt(inputs, settled, next);
    // Neither is known apart from the application that it is of.
    let application = settled.change(&Address::Application);
    if application.is_none_or(|change| change.reason != Reason::AlreadyExists) {
        connection::adopt(inputs, settled, next);
        authorization::adopt(inputs, settled, next);
    }
    repository::adopt(inputs, settled, next);
}

/// Takes a resource out of the record.
pub fn forget(record: &mut RecordedState, address: &Address) {
    match address {
        Address::Application => record.application = None,
        Address::User => record.user = None,
        Address::Membership(path) => drop(record.memberships.remove(path)),
        Address::Connection => record.connection = None,
        Address::Authorization => record.authorization = None,
        Address::Repository(path) => record.repositories.retain(|_, recorded| recorded.path != *path),
    }
}

impl Intent {
    /// Whether a write says the same as this announcement, or overtakes it. The application and the user have writes that
    /// mean different things; every other resource has one state, which the newest write decides.
    pub fn is_overtaken_by(&self, address: &Address, operation: &Operation) -> bool {
        &self.address == address
            && match address {
                Address::Application | Address::User => operation.is_like(&self.operation),
                Address::Membership(_) | Address::Connection | Address::Authorization | Address::Repository(_) => true,
            }
    }
}

/// What a change rests on: of the object that it touches, enough to tell that somebody moved it, and to say how. What a
/// side did not show is left out, and nothing that moves by itself is in it.
pub fn preconditions(
    change: &Change,
    desired: &Desired,
    observed: &Observed,
    recorded: &RecordedState,
) -> Map<String, Value> {
    match &change.address {
        Address::Application => application::preconditions(change, desired, observed, recorded),
        Address::User => user::preconditions(observed),
        Address::Membership(path) => membership::preconditions(change, path, observed),
        Address::Connection => connection::preconditions(observed),
        Address::Authorization => authorization::preconditions(observed),
        Address::Repository(_) => repository::preconditions(change, observed),
    }
}

/// Whether the end of a write that was announced is still not known.
pub(crate) fn is_open(intent: &Intent, observed: &Observed, settled: &Settled<'_>, next: &RecordedState) -> bool {
    let is_settled = settled.is_settled(&intent.address);
    // What an edit was to bring about is seen: what the plan does not do again is done.
    let unless_seen = || !is_settled && settled.does_again(&intent.address, &intent.operation);
    match &intent.operation {
        Operation::Application(operation) => match operation {
            ApplicationOperation::Create { application: _ } => {
                let found = next.application.as_ref();
                let answered = found.is_some_and(|found| !intent.applications_before.contains(&found.id));
                !answered && !is_settled
            }
            ApplicationOperation::Edit { .. } => unless_seen(),
            ApplicationOperation::RenewSecret { .. } => !is_settled,
            ApplicationOperation::Delete { id, uid } => application::is_there(observed, *id, uid),
        },
        // What else is to be done to the account says nothing of its creation.
        Operation::User(UserOperation::Create { .. }) => !is_settled && observed.gitlab.user.is_none(),
        Operation::User(operation) if operation.shows() => unless_seen(),
        Operation::User(_)
        | Operation::Membership(_)
        | Operation::Connection(_)
        | Operation::Authorization(_)
        | Operation::Repository(_) => !is_settled,
    }
}

/// What a record remembers: address, what it says of it, and whose word that is.
pub fn remembered(record: &RecordedState) -> Vec<(Address, String, Option<&Attestation>)> {
    let mut lines = Vec::new();
    if let Some(application) = &record.application {
        let text = format!(
            "{:?}, id {}, application id {}",
            application.fields.name, application.id, application.uid
        );
        lines.push((Address::Application, text, application.trusted_attested.as_ref()));
    }
    if let Some(user) = &record.user {
        let text = format!("{}, id {}", user.fields.username, user.id);
        lines.push((Address::User, text, None));
    }
    for (path, membership) in &record.memberships {
        let awaits = if membership.awaits_approval {
            ", awaits approval"
        } else {
            ""
        };
        let text = format!("{}{awaits}", membership.fields);
        lines.push((Address::Membership(path.clone()), text, None));
    }
    if let Some(connection) = &record.connection {
        let text = format!("{}, application id {}", connection.domain, connection.application);
        lines.push((Address::Connection, text, connection.attested.as_ref()));
    }
    if let Some(authorization) = &record.authorization {
        let text = format!("as {}", authorization.user.username);
        lines.push((Address::Authorization, text, authorization.attested.as_ref()));
    }
    for (id, repository) in &record.repositories {
        let address = Address::Repository(repository.path.clone());
        lines.push((address, format!("id {id}"), repository.attested.as_ref()));
    }
    for (id, uid) in &record.vanished {
        let text = format!("missing from GitLab's list when another was made: id {id}, application id {uid}");
        lines.push((Address::Application, text, None));
    }
    for (id, uid) in &record.superseded {
        let text = format!("replaced, still to be deleted: id {id}, application id {uid}");
        lines.push((Address::Application, text, None));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Operation;

    /// What the record and saved plans say of each write.
    fn forms() -> Vec<Value> {
        let existing = json!({"existing": {"id": 1, "uid": "u"}});
        let member = json!({"source": {"kind": "group", "id": 3}, "path": "a/b", "user": "planned"});
        let application = json!({
            "name": "n", "redirect_uris": ["https://a.example.com"], "trusted": true, "confidential": true, "scopes": ["api"]
        });
        vec![
            json!({"do": "create_application", "application": application}),
            json!({"do": "edit_application", "application": existing, "edit": {"name": "m", "trusted": false}}),
            json!({"do": "renew_secret", "application": "planned"}),
            json!({"do": "delete_application", "id": 1, "uid": "u"}),
            json!({"do": "create_user", "username": "d", "name": "D", "email": "d@example.com"}),
            json!({"do": "edit_user", "id": 7, "edit": {"email": "e@example.com"}}),
            json!({"do": "unblock_user", "id": 7}),
            json!({"do": "approve_user", "id": 7}),
            json!({"do": "activate_user", "id": 7}),
            json!({"do": "disable_second_factor", "id": 7}),
            json!({"do": "enrol_second_factor", "username": "d"}),
            json!({"do": "verify_second_factor", "username": "d"}),
            json!({"do": "accept_terms", "username": "d", "sign_in": "password", "version": "sha256:1"}),
            json!({"do": "block_user", "id": 7}),
            json!({"do": "delete_user", "id": 7}),
            json!({"do": "add_member", "member": member, "role": "developer"}),
            json!({"do": "edit_member", "member": member, "role": "owner"}),
            json!({"do": "remove_member", "member": member}),
            json!({"do": "save_connection", "domain": "https://g.example.com", "application": "planned", "secret": "fresh"}),
            json!({"do": "delete_connection"}),
            json!({
                "do": "authorize", "username": "d", "sign_in": "password", "application": "planned", "scopes": ["api"],
                "redirect_uris": ["https://a.example.com"],
            }),
            json!({"do": "enable_repository", "id": 9}),
            json!({"do": "disable_repository", "id": 9}),
        ]
    }

    #[test]
    fn the_form_of_each_write_stays() {
        for form in forms() {
            let operation: Operation = serde_json::from_value(form.clone()).unwrap();
            assert_eq!(serde_json::to_value(&operation).unwrap(), form);
        }
    }

    #[test]
    fn an_authorization_that_an_older_version_began_is_read() {
        let form = json!({"do": "authorize", "username": "d", "sign_in": "password", "redirect_uris": []});
        assert!(serde_json::from_value::<Operation>(form).is_ok());
    }

    #[test]
    fn each_write_is_like_itself_and_no_other() {
        let all: Vec<Operation> = forms()
            .into_iter()
            .map(|form| serde_json::from_value(form).unwrap())
            .collect();
        for (at, one) in all.iter().enumerate() {
            for (other_at, other) in all.iter().enumerate() {
                assert_eq!(one.is_like(other), at == other_at, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn an_unknown_write_is_said_to_be_one() {
        let error = serde_json::from_value::<Operation>(json!({"do": "paint_it_green"})).unwrap_err();
        assert_eq!(error.to_string(), "a write that this version of Setpoint knows");
    }
}
