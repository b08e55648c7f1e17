//! An application that Setpoint neither made nor has recorded. Somebody may be using its secret, which GitLab shows only
//! when it is made: whoever renews it cuts that somebody off. So nothing is done to it until a person has said what it is
//! (`setpoint adopt`), unless Factory itself says that it does not work with it.

use crate::model::{
    Actions, Address, Attestation, Change, Command, IntegrationStatus, Intent, Observed, ObservedApplication, Origin,
    Reason, RecordedApplication, RecordedState, SecretCheck,
};
use crate::planning::Inputs;
use crate::planning::builder::{block, change};

use super::identity::created_by;
use super::planned::ApplicationPlan;
use super::secret::{ConnectionSecret, renews};

/// Whether the record says anything of this application: that it was made, found, adopted, or given to Factory.
pub(crate) fn is_recorded(recorded: &RecordedState, live: &ObservedApplication) -> bool {
    let entry = || recorded.application.as_ref().is_some_and(|entry| entry.is(live));
    let connected = || {
        let connection = recorded.connection.as_ref();
        connection.is_some_and(|connection| connection.application == live.uid)
    };
    entry() || connected() || created_by(recorded, live).is_some()
}

/// Whether Factory works with an application, and neither that nor its connection was ever recorded, so that nobody can say
/// whose it is.
pub(crate) fn is_found_in_use(inputs: &Inputs<'_>, application: &ApplicationPlan<'_>) -> bool {
    let in_use = application.live.is_some_and(|live| is_in_use(inputs.observed, live));
    let is_new = inputs.recorded.application.is_none() && inputs.recorded.connection.is_none();
    inputs.policy.command.converges() && is_new && in_use && !inputs.attested()
}

/// Holds everything that would touch an application which is somebody else's as far as anybody knows. With `whatever`
/// differs, something else is to be done to the integration.
pub(crate) fn hold(
    inputs: &Inputs<'_>,
    application: &mut ApplicationPlan<'_>,
    needed: Option<&ConnectionSecret>,
    whatever: bool,
) {
    let Some(live) = application.live else {
        return;
    };
    let renews = needed.is_some_and(|needed| needed.renewal.is_some());
    let touched = whatever || renews && is_in_use(inputs.observed, live);
    if inputs.policy.command == Command::Rotate || is_recorded(inputs.recorded, live) || !(inputs.attested() || touched)
    {
        return;
    }
    let found = application.change.take().unwrap_or_else(|| {
        change(
            Address::Application,
            Actions::Update,
            Reason::AlreadyExists,
            Origin::Unrecorded,
        )
    });
    let mut held = block(found, Reason::AlreadyExists, note(inputs, live));
    held.actions = Actions::Update;
    held.origin = Origin::Unrecorded;
    application.change = Some(held);
    application.target = live.reference();
    application.redirect_uris.clone_from(&live.fields.redirect_uris);
    (application.fresh, application.grant_edited, application.unadopted) = (false, false, true);
}

/// Whether Factory says that it works with this application.
pub(crate) fn is_in_use(observed: &Observed, live: &ObservedApplication) -> bool {
    observed.factory.integration.as_ref().is_some_and(|integration| {
        integration.application == live.uid && integration.status == IntegrationStatus::Connected
    })
}

fn note(inputs: &Inputs<'_>, live: &ObservedApplication) -> String {
    let user = if inputs.attested() {
        "somebody may be using its secret"
    } else {
        "Factory works with it"
    };
    let refused = match &inputs.observed.gitlab.secret {
        SecretCheck::Rejected { fingerprint: _ } => "; GitLab refuses the secret that application.secret.load gives",
        SecretCheck::Accepted { fingerprint: _ } | SecretCheck::NoneStored | SecretCheck::NotChecked => "",
    };
    format!(
        "this exists already (id {}), Setpoint neither made it nor has a record of it, and {user}{refused}: `setpoint adopt`, \
         or `setpoint state rebuild` if its record was lost",
        live.id
    )
}

/// A change of Factory's half that has to wait until the application is adopted.
pub(crate) fn held(change: Change, what: &str) -> Change {
    block(change, Reason::AlreadyExists, format!("{what}: `setpoint adopt`"))
}

/// Whether the stored secret, which GitLab accepts, is the one that was in force when a person said that Factory works with
/// the application: nobody knew it then, and nobody has renewed it since.
pub(crate) fn is_learned(inputs: &Inputs<'_>, live: &ObservedApplication) -> bool {
    let recorded = inputs.recorded;
    let unknown = recorded
        .application
        .as_ref()
        .is_some_and(|entry| entry.is(live) && entry.secret_fingerprint.is_none());
    let accepted = inputs.observed.gitlab.secret.accepted().is_some();
    let renewal = |intent: &Intent| renews(&intent.operation, Some(&live.uid));
    unknown && accepted && !recorded.intents.iter().any(renewal) && created_by(recorded, live).is_none()
}

/// Records the application as a person takes it over: as it is, with its secret if that is known. Gives the fingerprint
/// of that.
pub(crate) fn take_over(
    recorded: &mut RecordedState,
    live: &ObservedApplication,
    check: &SecretCheck,
    word: Option<&Attestation>,
) -> Option<String> {
    let secret_fingerprint = check.accepted().cloned();
    recorded.application = Some(RecordedApplication {
        secret_fingerprint: secret_fingerprint.clone(),
        adopted: word.cloned(),
        ..RecordedApplication::from(live.clone())
    });
    secret_fingerprint
}
