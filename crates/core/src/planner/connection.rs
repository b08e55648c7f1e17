//! `factory.connection`: domain, application id and secret as saved in Factory. Factory takes the three together or
//! not at all, so every change of it needs the secret.

use crate::model::{
    Actions, Address, AttributeChange, Change, ConnectionOperation, DesiredConnection, Operation, OperatorStep, Origin,
    Reason, Status,
};

use super::application::ApplicationPlan;
use super::builder::{PlanBuilder, attribute, change, secret_attribute};
use super::inputs::{Inputs, normal_domain};
use super::origin::Origins;
use super::secret::ConnectionSecret;

/// Plans the connection, once it is decided what secret it needs.
pub(super) fn plan(
    inputs: &Inputs<'_>,
    builder: &mut PlanBuilder,
    application: &ApplicationPlan<'_>,
    needed: Option<&ConnectionSecret>,
) {
    let Some(needed) = needed else {
        let attestation = inputs
            .recorded_connection()
            .and_then(|connection| connection.attested.as_ref())
            .filter(|_| inputs.attested());
        builder.keep_attested(Address::Connection, attestation);
        return;
    };
    let mut planned = compared(inputs, application, needed);
    let DesiredConnection { domain } = &inputs.desired.connection;
    let (domain, target, secret) = (domain.clone(), application.target.clone(), needed.source);
    if inputs.attested() {
        planned.status = Status::Operator;
        planned.steps.push(OperatorStep::SaveConnection {
            domain,
            application: target,
            secret,
        });
    } else {
        planned
            .operations
            .push(Operation::Connection(ConnectionOperation::Save {
                domain,
                application: target,
                secret,
            }));
    }
    if application.fresh || needed.renewal.is_some() || (application.is_blocked() && application.live.is_none()) {
        planned.depends_on.push(Address::Application);
    }
    builder.push(planned);
}

fn compared(inputs: &Inputs<'_>, application: &ApplicationPlan<'_>, needed: &ConnectionSecret) -> Change {
    let recorded = inputs.recorded_connection();
    let desired_domain = normal_domain(&inputs.desired.connection.domain);
    let uid = application.uid().map(|uid| uid.0.as_str());
    let mut origins = Origins::default();
    let Some(live) = inputs.integration() else {
        origins.compare(Some(&()), None, recorded.map(|_| &()));
        if recorded.is_some_and(|recorded| normal_domain(&recorded.domain) != desired_domain) {
            origins.add(Origin::Pending);
        }
        let mut absent = change(
            Address::Connection,
            Actions::Create,
            Reason::Absent,
            origins.resolve(inputs.interrupted(&Address::Connection)),
        );
        absent.attributes = vec![
            attribute("domain", (), inputs.desired.connection.domain.as_str()),
            attribute("application_id", (), uid),
            secret_attribute(),
        ];
        return absent;
    };
    let mut attributes: Vec<AttributeChange> = Vec::new();
    let live_domain = normal_domain(&live.domain);
    let recorded_domain = recorded.map(|recorded| normal_domain(&recorded.domain));
    let domain_differs = origins.compare(Some(&desired_domain), Some(&live_domain), recorded_domain.as_ref());
    if domain_differs {
        attributes.push(attribute(
            "domain",
            live.domain.as_str(),
            inputs.desired.connection.domain.as_str(),
        ));
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
        attributes.push(attribute("application_id", live_uid, uid));
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
        attributes.push(secret_attribute());
    }
    let was_attested = recorded.is_some_and(|recorded| recorded.attested.is_some());
    if inputs.attested() && was_attested && (uid_differs || needed.moves.is_some()) {
        reason = Reason::AttestationDue;
    }
    let mut differing = change(
        Address::Connection,
        Actions::Update,
        reason,
        origins.resolve(inputs.interrupted(&Address::Connection)),
    );
    differing.attributes = attributes;
    differing
}
