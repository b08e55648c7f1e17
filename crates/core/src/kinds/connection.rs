//! `factory.connection`: domain, application id and secret as saved in Factory. Factory takes the three together or
//! not at all, so every change of it needs the secret.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::diff::Origins;
use crate::model::{
    Actions, Address, ApplicationRef, ApplicationUid, Attestation, AttributeChange, AuthorizedUser, Change, Domain,
    Fallback, IntegrationStatus, Known, Observed, OperatorStep, Origin, Reason, RecordedState, SecretSource, Status,
};
use crate::planning::builder::change;
use crate::planning::{Inputs, PlanBuilder, Settled};

use super::application::{
    ApplicationPlan, ConnectionSecret, decide_if_refused, held, identify, is_learned, is_recorded, stored_secret,
};

/// The connection as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredConnection {
    /// Where Factory finds GitLab.
    pub domain: Domain,
}

/// The integration as Factory shows it, or as it was attested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedIntegration {
    /// Where Factory finds GitLab.
    pub domain: Domain,
    /// The application it uses.
    pub application: ApplicationUid,
    /// Where GitLab must send the browser back to, where Factory says.
    pub redirect_uri: Option<String>,
    pub status: IntegrationStatus,
    /// What Factory adds to the status.
    pub detail: Option<String>,
    /// Whom it acts as.
    pub user: Option<AuthorizedUser>,
    /// Since when, where Factory says.
    pub authorized_at: Option<Timestamp>,
    /// Fingerprint of the secret it holds: known only where it was attested; Factory never answers secrets.
    pub secret_fingerprint: Known<String>,
}

/// The connection as last written, adopted or attested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedConnection {
    /// Where Factory finds GitLab.
    pub domain: Domain,
    /// The application it was given.
    pub application: ApplicationUid,
    /// Fingerprint of the secret that Factory was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_fingerprint: Option<String>,
    /// Whether GitLab refused the secret that Factory has, when Factory was last to be authorized.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret_refused: bool,
    /// Who attested it, under the `assisted` driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attested: Option<Attestation>,
}

impl RecordedConnection {
    /// As it was saved, with nobody's word.
    pub fn new(domain: &Domain, application: &ApplicationUid, secret_fingerprint: Option<String>) -> Self {
        Self {
            domain: domain.clone(),
            application: application.clone(),
            secret_fingerprint,
            secret_refused: false,
            attested: None,
        }
    }
}

/// A write to Factory's connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do")]
pub enum ConnectionOperation {
    /// Saves domain, application id and secret.
    #[serde(rename = "save_connection")]
    Save {
        /// Where Factory finds GitLab.
        domain: Domain,
        application: ApplicationRef,
        /// Where the secret comes from.
        secret: SecretSource,
    },
    #[serde(rename = "delete_connection")]
    Delete,
}

/// Plans the connection, once it is decided what secret it needs.
pub(crate) fn plan(
    inputs: &Inputs<'_>,
    builder: &mut PlanBuilder,
    application: &ApplicationPlan<'_>,
    needed: Option<&ConnectionSecret>,
) {
    if application.unadopted {
        hold(inputs, builder, application, needed);
        return;
    }
    let Some(needed) = needed else {
        let attestation = inputs
            .recorded
            .connection
            .as_ref()
            .and_then(|connection| connection.attested.as_ref())
            .filter(|_| inputs.attested());
        builder.keep_attested(Address::Connection, attestation);
        return;
    };
    builder.push(handover(inputs, application, needed));
}

/// Factory is given what it needs, the secret among it.
fn handover(inputs: &Inputs<'_>, application: &ApplicationPlan<'_>, needed: &ConnectionSecret) -> Change {
    let mut planned = compared(inputs, application, needed);
    let DesiredConnection { domain } = inputs.desired.connection.clone();
    let (application_ref, secret) = (application.target.clone(), needed.source);
    if inputs.attested() {
        planned.status = Status::Operator;
        planned.steps.push(OperatorStep::SaveConnection {
            domain,
            application: application_ref,
            secret,
        });
    } else {
        let save = ConnectionOperation::Save {
            domain,
            application: application_ref,
            secret,
        };
        planned.write(save);
    }
    if application.fresh || needed.renewal.is_some() || (application.is_blocked() && application.live.is_none()) {
        planned.depends_on.push(Address::Application);
    }
    planned
}

/// Adds to an authorization what is done if GitLab turns out to refuse the secret that Factory has, which nothing else
/// shows. It is not renewed unasked where somebody else made the application.
pub(crate) fn fall_back(inputs: &Inputs<'_>, builder: &mut PlanBuilder, application: &ApplicationPlan<'_>) {
    let is_planned = inputs.policy.command.converges();
    let Some(live) = application.live.filter(|_| is_planned && !application.is_blocked()) else {
        return;
    };
    // What this plan hands over is in force.
    if builder.change(&Address::Connection).is_some() {
        return;
    }
    let Some(authorization) = builder.changes.get_mut(&Address::Authorization) else {
        return;
    };
    let Some(needed) = decide_if_refused(inputs, application).filter(|_| !authorization.operations.is_empty()) else {
        return;
    };
    if needed.renewal.is_some() && !is_recorded(inputs.recorded, live) {
        return;
    }
    let renewed = needed.renewal.as_ref().map(|renewal| application.renewed(renewal));
    let handover = handover(inputs, application, &needed);
    authorization.fallback = Some(Fallback {
        when: Reason::SecretRejected,
        changes: renewed.into_iter().chain([handover]).collect(),
    });
}

/// Without the secret, which nobody is asked to renew, the connection is not touched; and under the assisted driver
/// nobody knows what it is.
fn hold(
    inputs: &Inputs<'_>,
    builder: &mut PlanBuilder,
    application: &ApplicationPlan<'_>,
    needed: Option<&ConnectionSecret>,
) {
    let unknown = || {
        let actions = match inputs.integration() {
            Some(_) => Actions::Update,
            None => Actions::Create,
        };
        change(Address::Connection, actions, Reason::AlreadyExists, Origin::Unrecorded)
    };
    builder.push(if inputs.attested() {
        held(
            unknown(),
            "it may have been saved in Factory by hand, and Factory cannot be asked",
        )
    } else if let Some(needed) = needed {
        held(
            compared(inputs, application, needed),
            "Factory takes it together with the application's secret only, which nobody has given",
        )
    } else {
        builder.keep(Address::Connection);
        return;
    });
}

fn compared(inputs: &Inputs<'_>, application: &ApplicationPlan<'_>, needed: &ConnectionSecret) -> Change {
    let recorded = inputs.recorded.connection.as_ref();
    let DesiredConnection { domain } = &inputs.desired.connection;
    let uid = application.uid().map(|uid| uid.0.as_str());
    let mut origins = Origins::default();
    let Some(live) = inputs.integration() else {
        origins.compare(Some(&()), None, recorded.map(|_| &()));
        if recorded.is_some_and(|recorded| recorded.domain != *domain) {
            origins.add(Origin::Pending);
        }
        let shown = vec![
            AttributeChange::new("domain", (), domain.as_str()),
            AttributeChange::new("application_id", (), uid),
            AttributeChange::of_secret(),
        ];
        return inputs.change(Address::Connection, Actions::Create, Reason::Absent, origins, shown);
    };
    let mut attributes = Vec::new();
    let domain_differs = origins.compare(
        Some(domain),
        Some(&live.domain),
        recorded.map(|recorded| &recorded.domain),
    );
    if domain_differs {
        attributes.push(AttributeChange::new("domain", live.domain.as_str(), domain.as_str()));
    }
    let recorded_uid = recorded.map(|recorded| recorded.application.0.as_str());
    let live_uid = live.application.0.as_str();
    let uid_differs = uid != Some(live_uid);
    if uid_differs {
        // That the application is another one is a consequence: its own change says which side moved.
        match (application.origin(), recorded_uid) {
            (Some(origin), Some(recorded_uid)) if application.fresh => {
                origins.add(origin);
                if recorded_uid != live_uid {
                    origins.add(Origin::Drift);
                }
            }
            _ => {
                origins.compare(uid, Some(live_uid), recorded_uid);
            }
        }
        attributes.push(AttributeChange::new("application_id", live_uid, uid));
    }
    let mut reason = Reason::Differs;
    if let Some((why, origin)) = needed.moves {
        if !domain_differs && !uid_differs {
            reason = why;
        }
        if needed.renewal.is_none() || !domain_differs && !uid_differs {
            origins.add(origin);
        }
    }
    if needed.moves.is_some() || uid_differs {
        attributes.push(AttributeChange::of_secret());
    }
    let was_attested = recorded.is_some_and(|recorded| recorded.attested.is_some());
    if inputs.attested() && was_attested && (uid_differs || needed.moves.is_some()) {
        reason = Reason::AttestationDue;
    }
    inputs.change(Address::Connection, Actions::Update, reason, origins, attributes)
}

/// Takes the connection down, if it is ours.
pub(crate) fn destroy(inputs: &Inputs<'_>, builder: &mut PlanBuilder) {
    let Some(live) = inputs.integration() else {
        return;
    };
    let our_application = identify(inputs)
        .found()
        .is_some_and(|application| application.uid == live.application);
    let ours =
        our_application || inputs.recorded.connection.is_some() || live.domain == inputs.desired.connection.domain;
    if !ours {
        return;
    }
    let mut delete = change(Address::Connection, Actions::Delete, Reason::Unlisted, Origin::Pending);
    delete.attributes = vec![
        AttributeChange::new("domain", live.domain.as_str(), ()),
        AttributeChange::new("application_id", live.application.0.as_str(), ()),
    ];
    delete.note("Factory forgets its authorization and its selection of repositories with it");
    if inputs.attested() {
        delete.status = Status::Operator;
        delete.steps.push(OperatorStep::DeleteConnection);
    } else {
        delete.write(ConnectionOperation::Delete);
    }
    delete.depends_on = builder.changes.keys().cloned().collect();
    builder.push(delete);
}

/// Adopts the connection into the record.
pub(crate) fn adopt(inputs: &Inputs<'_>, settled: &Settled<'_>, next: &mut RecordedState) {
    if inputs.attested() {
        learn(inputs, next);
        return;
    }
    let Some(live) = inputs.integration() else {
        if settled.is_gone(&Address::Connection) {
            next.connection = None;
        }
        return;
    };
    if settled.is_unchanged(&Address::Connection) {
        let secret = newest_secret(next, &live.application);
        next.connection = Some(RecordedConnection::new(&live.domain, &live.application, secret));
    }
}

/// A person attested that Factory has the application, and with it the one secret that is in force. Once that is known,
/// it is known of what was attested.
fn learn(inputs: &Inputs<'_>, next: &mut RecordedState) {
    let Some(live) = identify(inputs).found().filter(|live| is_learned(inputs, live)) else {
        return;
    };
    let fingerprint = newest_secret(next, &live.uid);
    let ours = |uid: &ApplicationUid, known: &Option<String>| *uid == live.uid && known.is_none();
    if let Some(connection) = &mut next.connection
        && ours(&connection.application, &connection.secret_fingerprint)
    {
        connection.secret_fingerprint.clone_from(&fingerprint);
        if let Some(authorization) = &mut next.authorization
            && ours(&authorization.application, &authorization.secret_fingerprint)
        {
            authorization.secret_fingerprint = fingerprint;
        }
    }
}

/// Fingerprint of the newest secret that is recorded of this application.
pub(super) fn newest_secret(recorded: &RecordedState, uid: &ApplicationUid) -> Option<String> {
    let application = recorded.application.as_ref().filter(|recorded| recorded.uid == *uid);
    application.and_then(|application| application.secret_fingerprint.clone())
}

/// What was seen of the connection, and of the stored secret.
pub(crate) fn preconditions(observed: &Observed) -> Map<String, Value> {
    let integration = observed.factory.integration.as_ref();
    let mut seen = Map::new();
    seen.insert("exists".to_owned(), json!(integration.is_some()));
    if let Some(integration) = integration {
        seen.insert("domain".to_owned(), json!(integration.domain));
        seen.insert("application_id".to_owned(), json!(integration.application));
    }
    seen.extend(stored_secret(&observed.gitlab.secret));
    seen
}
