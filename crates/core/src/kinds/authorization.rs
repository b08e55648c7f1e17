//! `factory.authorization`: the OAuth grant, and whose it is. Factory drops it whenever a changed connection is saved.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::diff::Origins;
use crate::model::{
    Actions, Address, ApplicationRef, ApplicationUid, Attestation, Change, Corroboration, Observed, ObservedUser,
    OperatorStep, Origin, Reason, RecordedState, SignIn, Status, Testimony, UserId,
};
use crate::planning::builder::{block, change};
use crate::planning::{Inputs, PlanBuilder, Settled};

use super::application::{ApplicationPlan, held};
use super::connection::newest_secret;
use super::user::UserPlan;

/// The state of the integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntegrationStatus {
    /// Saved, not authorized.
    Configured,
    Connected,
    /// The stored authorization no longer works.
    Error,
}

/// Whom Factory acts as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizedUser {
    /// GitLab's number for the account.
    pub id: UserId,
    /// As Factory spells it.
    pub username: String,
}

impl From<&ObservedUser> for AuthorizedUser {
    fn from(user: &ObservedUser) -> Self {
        Self {
            id: user.id,
            username: user.fields.username.to_string(),
        }
    }
}

/// The authorization as last made, adopted or attested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedAuthorization {
    /// Whom Factory acts as.
    pub user: AuthorizedUser,
    /// The application that the grant is of.
    pub application: ApplicationUid,
    /// Fingerprint of the secret that was in force; a renewal ends the authorization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_fingerprint: Option<String>,
    /// Who attested it, under the `assisted` driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attested: Option<Attestation>,
}

/// A write to Factory's authorization. It ends with the connection, so nothing deletes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do")]
pub enum AuthorizationOperation {
    /// Goes through OAuth as the droid.
    #[serde(rename = "authorize")]
    Authorize {
        /// The username that Factory must be connected as afterwards.
        username: String,
        /// How the droid's GitLab session is had.
        sign_in: SignIn,
        /// The application that is approved, and no other. The records of versions before 0.2 do not name it.
        #[serde(default)]
        application: ApplicationRef,
        /// What it may be allowed: the declared scopes.
        #[serde(default)]
        scopes: BTreeSet<String>,
        /// Where GitLab may send the browser back to.
        redirect_uris: BTreeSet<String>,
    },
}

/// Plans the authorization; the connection's change is in the plan already.
pub(crate) fn plan(inputs: &Inputs<'_>, builder: &mut PlanBuilder, application: &ApplicationPlan<'_>, user: &UserPlan) {
    if application.unadopted && inputs.attested() {
        let unknown = change(
            Address::Authorization,
            Actions::Create,
            Reason::AlreadyExists,
            Origin::Unrecorded,
        );
        builder.push(held(
            unknown,
            "it may have been approved already, and Factory cannot be asked",
        ));
        return;
    }
    // A connection that stays as it is ends nothing.
    let connection = builder.change(&Address::Connection).filter(|_| !application.unadopted);
    let contradicted = contradicted(inputs, application);
    let Some(mut planned) = needed(inputs, connection, contradicted) else {
        let attestation = recorded(inputs)
            .and_then(|authorization| authorization.attested.as_ref())
            .filter(|_| inputs.attested());
        builder.keep_attested(Address::Authorization, attestation);
        if let Some(evidence) = corroboration(inputs, application) {
            builder.corroborate(&Address::Authorization, evidence);
        }
        return;
    };
    if application.unadopted {
        builder.push(held(planned, "its application is not adopted"));
        return;
    }
    let depends_on_connection = connection.is_some();
    let username = inputs.desired.user.fields.username.to_string();
    if user.unrecoverable {
        builder.push(block(
            planned,
            Reason::UserBlocked,
            format!("nobody can sign in as `{username}` while its account is as it is"),
        ));
        return;
    }
    let scopes = inputs.desired.application.scopes.clone().known().unwrap_or_default();
    let redirect_uris = application.redirect_uris.clone();
    let application_ref = application.target.clone();
    if inputs.attested() {
        planned.status = Status::Operator;
        planned.steps.push(OperatorStep::Authorize { username });
    } else if let Some(sign_in) = inputs.policy.sign_in.filter(|_| inputs.closed_droid().is_none()) {
        let authorize = AuthorizationOperation::Authorize {
            username,
            sign_in,
            application: application_ref,
            scopes,
            redirect_uris,
        };
        planned.write(authorize);
    } else {
        planned.status = Status::Operator;
        planned.note(format!(
            "a person approves it while signed in to GitLab as `{username}`: apply shows the address, and sees what Factory \
             answers"
        ));
        planned.steps.push(OperatorStep::Approve {
            username,
            application: application_ref,
            scopes,
            redirect_uris,
        });
    }
    add_notes(inputs, &mut planned);
    if application.grant_edited || (application.is_blocked() && application.live.is_none()) {
        planned.depends_on.push(Address::Application);
    }
    if user.gates_authorization && builder.change(&Address::User).is_some() {
        planned.depends_on.push(Address::User);
    }
    if depends_on_connection {
        planned.depends_on.push(Address::Connection);
    }
    builder.push(planned);
}

fn add_notes(inputs: &Inputs<'_>, planned: &mut Change) {
    let Some(droid) = inputs.droid() else {
        return;
    };
    if !droid.confirmed {
        planned.note("the account's e-mail address is not confirmed, and GitLab refuses OAuth until it is");
    }
    if droid.locked {
        planned.note("the account is locked after failed sign-ins; the lock ends by itself, or in GitLab's admin area");
    }
}

/// The record of the authorization, unless a later handover of ours has ended it already.
fn recorded<'a>(inputs: &Inputs<'a>) -> Option<&'a RecordedAuthorization> {
    let authorization = inputs.recorded.authorization.as_ref()?;
    match inputs.recorded.connection.as_ref() {
        Some(connection)
            if connection.application != authorization.application
                || connection.secret_fingerprint != authorization.secret_fingerprint =>
        {
            None
        }
        _ => Some(authorization),
    }
}

/// Whether the droid's own page of authorized applications denies what was attested.
fn contradicted(inputs: &Inputs<'_>, application: &ApplicationPlan<'_>) -> bool {
    inputs.attested()
        && matches!(
            testimony(inputs, application),
            Some(Testimony::Absent | Testimony::Outdated(_))
        )
}

/// What the page says of the application, by its row id and since its present secret was given out.
fn testimony(inputs: &Inputs<'_>, application: &ApplicationPlan<'_>) -> Option<Testimony> {
    let evidence = inputs.observed.gitlab.evidence.as_ref().known()?;
    let live = application.live?;
    let recorded = inputs.recorded.application.as_ref();
    let secret_at = recorded
        .filter(|recorded| recorded.id == live.id)
        .and_then(|recorded| recorded.secret_at);
    Some(evidence.of(live.id, secret_at))
}

/// What the page says in favour of what was attested.
fn corroboration(inputs: &Inputs<'_>, application: &ApplicationPlan<'_>) -> Option<Corroboration> {
    let Some(Testimony::Authorized(authorized_at)) = testimony(inputs, application) else {
        return None;
    };
    Some(Corroboration {
        authorized_application: application.live?.fields.name.clone(),
        authorized_at,
        last_activity_on: inputs.droid().and_then(|droid| droid.last_activity_on.clone()),
    })
}

/// The change, if the authorization is not as it has to be, or will not stay so.
fn needed(inputs: &Inputs<'_>, connection: Option<&Change>, contradicted: bool) -> Option<Change> {
    let username = &*inputs.desired.user.fields.username;
    let Some(live) = inputs.integration() else {
        let mut origins = Origins::default();
        origins.compare(Some(&()), None, recorded(inputs).map(|_| &()));
        let origin = resolve(inputs, origins);
        let mut absent = change(Address::Authorization, Actions::Create, Reason::NotConnected, origin);
        absent.show("user", (), username);
        return Some(absent);
    };
    let connected = live.status == IntegrationStatus::Connected;
    let acts_as = live
        .user
        .as_ref()
        .filter(|_| connected)
        .map(|user| user.username.as_str());
    let was_attested = inputs.attested() && inputs.recorded.authorization.is_some();
    let due = was_attested.then_some(Reason::AttestationDue);
    let ended_by_us = inputs.recorded.authorization.is_some() && recorded(inputs).is_none();
    let mut origins = Origins::default();
    let (actions, reason) = match live.status {
        IntegrationStatus::Configured => {
            origins.compare(Some(&()), None, recorded(inputs).map(|_| &()));
            match due {
                Some(due) => (Actions::Update, due),
                None => (Actions::Create, Reason::NotConnected),
            }
        }
        IntegrationStatus::Error => {
            origins.compare(Some(&true), Some(&false), recorded(inputs).map(|_| &true));
            (Actions::Update, Reason::AuthorizationFailed)
        }
        IntegrationStatus::Connected if !inputs.connected_as_droid() => {
            let recorded_name = recorded(inputs).map(|recorded| recorded.user.username.to_ascii_lowercase());
            origins.compare(
                Some(&username.to_ascii_lowercase()),
                acts_as.map(str::to_ascii_lowercase).as_ref(),
                recorded_name.as_ref(),
            );
            (Actions::Update, due.unwrap_or(Reason::WrongUser))
        }
        IntegrationStatus::Connected if contradicted => {
            origins.add(Origin::Drift);
            (Actions::Update, Reason::NotConnected)
        }
        IntegrationStatus::Connected => {
            let connection = connection?;
            origins.add(connection.origin);
            (Actions::Update, due.unwrap_or(Reason::NotConnected))
        }
    };
    if ended_by_us && !connected {
        origins = Origins::default();
        origins.add(Origin::Pending);
    }
    let mut planned = change(Address::Authorization, actions, reason, resolve(inputs, origins));
    describe(inputs, &mut planned, connection, acts_as, contradicted);
    Some(planned)
}

fn describe(
    inputs: &Inputs<'_>,
    planned: &mut Change,
    connection: Option<&Change>,
    acts_as: Option<&str>,
    contradicted: bool,
) {
    let username = &*inputs.desired.user.fields.username;
    let same_name = acts_as.is_some_and(|acts_as| acts_as.eq_ignore_ascii_case(username));
    let live_id = inputs
        .integration()
        .and_then(|live| live.user.as_ref())
        .map(|user| user.id);
    let droid_id = inputs.droid().map(|droid| droid.id);
    if same_name && !contradicted && live_id != droid_id {
        // Another account has the name now.
        let number = |id: Option<UserId>| id.map(|id| id.0);
        planned.show("user_id", number(live_id), number(droid_id));
    } else if !same_name || contradicted || connection.is_none() {
        let before = acts_as.filter(|_| !contradicted);
        planned.show("user", before, username);
    }
    if acts_as.is_some()
        && let Some(connection) = connection
    {
        planned.attributes.extend(connection.attributes.iter().cloned());
        planned.note("saving the changed connection ends the present authorization");
    }
    if contradicted {
        planned.note(format!(
            "GitLab's page of authorized applications of `{username}` does not list `{}` as authorized with its present \
             secret, although it was attested",
            inputs.desired.application.name
        ));
    }
    if let Some(detail) = inputs
        .integration()
        .and_then(|integration| integration.detail.as_deref())
    {
        planned.note(format!("Factory says: {detail}"));
    }
}

fn resolve(inputs: &Inputs<'_>, origins: Origins) -> Origin {
    origins.resolve(inputs.interrupted(&Address::Authorization) || inputs.interrupted(&Address::Connection))
}

/// Adopts the authorization into the record.
pub(crate) fn adopt(inputs: &Inputs<'_>, settled: &Settled<'_>, next: &mut RecordedState) {
    if inputs.attested() {
        return;
    }
    let Some(live) = inputs.integration() else {
        if settled.is_gone(&Address::Connection) {
            next.authorization = None;
        }
        return;
    };
    if let (true, Some(user)) = (settled.is_unchanged(&Address::Authorization), &live.user) {
        next.authorization = Some(RecordedAuthorization {
            user: user.clone(),
            application: live.application.clone(),
            secret_fingerprint: newest_secret(next, &live.application),
            attested: None,
        });
    }
}

/// What was seen of the authorization, and of the account that it is for.
pub(crate) fn preconditions(observed: &Observed) -> Map<String, Value> {
    let mut seen = Map::new();
    let integration = observed.factory.integration.as_ref();
    seen.insert("exists".to_owned(), json!(integration.is_some()));
    if let Some(integration) = integration {
        let droid = observed.gitlab.user.as_ref().map(|user| (user.id, &user.state));
        seen.insert("status".to_owned(), json!(integration.status));
        seen.insert("application_id".to_owned(), json!(integration.application));
        seen.insert("user".to_owned(), json!(integration.user));
        seen.insert("droid".to_owned(), json!(droid));
    }
    seen
}
