//! Taking over an integration that somebody else made: what is live is recorded as it is, and of a Factory that cannot be
//! asked what a person says of it. The plan that follows shows what differs, as that of any other record does.

use crate::kinds::application::{self, is_recorded};
use crate::model::{
    Address, ApplicationId, ApplicationMatch, ApplicationUid, Attestation, AuthorizedUser, Desired, FactorySource,
    Known, Observed, ObservedApplication, RecordedAuthorization, RecordedConnection, RecordedState,
};

/// What a person says that nobody else can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Who says it, and when.
    pub attestation: Attestation,
    /// That `trusted` is as declared, where GitLab did not show it.
    pub trusted: bool,
    /// That Factory has the declared domain, this application's id, and its present secret.
    pub connected: bool,
    /// That Factory's access was approved as the droid.
    pub authorized: bool,
}

/// Why there is nothing to take over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unadoptable {
    /// No application has the declared name, and Factory names none.
    #[error("there is no application of that name: `setpoint apply` creates it")]
    NoApplication,
    #[error("{} applications have that name, and nothing tells which one is meant", .0.len())]
    Ambiguous(Vec<(ApplicationId, ApplicationUid)>),
    /// The record has it already.
    #[error("the record has the application already: there is nothing to adopt")]
    Recorded,
    /// Factory cannot have been approved as an account that is not there.
    #[error("the droid is not there, so nobody approved Factory's access as it")]
    NoUser,
}

/// The application that there is to take over.
pub fn adoptable<'a>(
    desired: &Desired,
    observed: &'a Observed,
    recorded: &RecordedState,
) -> Result<&'a ObservedApplication, Unadoptable> {
    match ApplicationMatch::of(desired, observed, recorded) {
        ApplicationMatch::None => Err(Unadoptable::NoApplication),
        ApplicationMatch::Found(live) if is_recorded(recorded, live) => Err(Unadoptable::Recorded),
        ApplicationMatch::Found(live) => Ok(live),
        ApplicationMatch::Ambiguous(mut candidates) => {
            candidates.sort_by_key(|candidate| candidate.id);
            let ids = candidates.iter().map(|candidate| (candidate.id, candidate.uid.clone()));
            Err(Unadoptable::Ambiguous(ids.collect()))
        }
    }
}

/// What a person is asked of, beside the repositories: what neither side shows.
pub fn questions(desired: &Desired, observed: &Observed, live: &ObservedApplication) -> Vec<Address> {
    let untold = live.fields.trusted.is_unknown() && desired.application.trusted == Known::Known(true);
    let mut asked = Vec::from_iter(untold.then_some(Address::Application));
    match observed.factory.source {
        FactorySource::Live => {}
        FactorySource::Attested => {
            asked.push(Address::Connection);
            asked.extend(observed.gitlab.user.is_some().then_some(Address::Authorization));
        }
    }
    asked
}

/// The record with the application in it, and with what is known of Factory's half.
pub fn take_over(
    desired: &Desired,
    observed: &Observed,
    recorded: &RecordedState,
    word: &Word,
) -> Result<RecordedState, Unadoptable> {
    let live = adoptable(desired, observed, recorded)?;
    let mut next = recorded.clone();
    let secret = application::take_over(&mut next, live, &observed.gitlab.secret, Some(&word.attestation));
    if word.trusted
        && live.fields.trusted.is_unknown()
        && let Some(entry) = &mut next.application
    {
        entry.fields.trusted = desired.application.trusted;
        entry.trusted_attested = Some(word.attestation.clone());
    }
    take_over_connection(desired, observed, &mut next, live, secret.as_ref(), word);
    let attested = observed.factory.source == FactorySource::Attested;
    if attested && word.connected && word.authorized {
        let droid = observed.gitlab.user.as_ref().ok_or(Unadoptable::NoUser)?;
        next.authorization = Some(RecordedAuthorization {
            user: AuthorizedUser::from(droid),
            application: live.uid.clone(),
            secret_fingerprint: secret,
            attested: Some(word.attestation.clone()),
        });
    }
    Ok(next)
}

/// Records the connection of an application that is taken over: as Factory shows it working, or as a person says that it
/// is saved. What does not work is left to the next plan.
fn take_over_connection(
    desired: &Desired,
    observed: &Observed,
    recorded: &mut RecordedState,
    live: &ObservedApplication,
    secret: Option<&String>,
    word: &Word,
) {
    let integration = observed.factory.integration.as_ref();
    let (domain, attested) = match observed.factory.source {
        FactorySource::Live => {
            let Some(integration) = integration.filter(|_| application::is_in_use(observed, live)) else {
                return;
            };
            (&integration.domain, None)
        }
        FactorySource::Attested if word.connected => (&desired.connection.domain, Some(word.attestation.clone())),
        FactorySource::Attested => return,
    };
    recorded.connection = Some(RecordedConnection {
        attested,
        ..RecordedConnection::new(domain, &live.uid, secret.cloned())
    });
}
