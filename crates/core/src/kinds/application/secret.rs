//! The life of the application's secret. GitLab shows it once, Factory never; so whether Factory holds the right one
//! follows from fingerprints in the record, from announced writes whose end nobody saw, and from what GitLab says of
//! the secret that `application.secret.load` gives.

use crate::model::{
    Address, ApplicationRef, ApplicationUid, Command, ConnectionOperation, IntegrationStatus, Operation, Origin,
    Reason, SecretCheck, SecretSource, WarningCode,
};
use crate::planning::{Inputs, PlanBuilder};

use super::identity::created_by;
use super::planned::{ApplicationPlan, Renewal};

/// What the connection needs.
#[derive(Debug)]
pub(crate) struct ConnectionSecret {
    /// Where Factory's secret comes from.
    pub(crate) source: SecretSource,
    /// Whether the secret itself changes, and not only what it is saved together with.
    pub(crate) moves: Option<(Reason, Origin)>,
    /// The renewal that has to come first.
    pub(crate) renewal: Option<Renewal>,
}

/// What is known of the secret that is in force, and of the one that Factory holds.
#[expect(clippy::struct_excessive_bools, reason = "each is a separate fact of the record")]
struct SecretState<'a> {
    /// Fingerprint of the newest secret that we got for the application.
    newest: Option<&'a str>,
    /// Fingerprint of the secret that Factory was given for the application.
    handed: Option<&'a str>,
    /// Whether the application is recorded, so that an unknown newest secret is one that was lost.
    recorded: bool,
    /// Whether we know of a handover at all, be it adopted.
    handover_recorded: bool,
    /// GitLab refused the secret that Factory has.
    refused: bool,
    /// A renewal or creation was announced, and its answer not seen.
    unanswered_secret: bool,
    /// A handover was announced, and its answer not seen.
    unanswered_save: bool,
}

impl<'a> SecretState<'a> {
    fn of(inputs: &Inputs<'a>, application: &ApplicationPlan<'_>) -> Self {
        let uid = application.uid();
        let recorded = inputs.recorded;
        let connection = inputs
            .recorded
            .connection
            .as_ref()
            .filter(|connection| Some(&connection.application) == uid);
        let attested = inputs
            .integration()
            .filter(|integration| Some(&integration.application) == uid)
            .and_then(|integration| integration.secret_fingerprint.as_ref().known());
        let announced = |of: &dyn Fn(&Operation) -> bool| recorded.intents.iter().any(|intent| of(&intent.operation));
        let ours = recorded
            .application
            .as_ref()
            .filter(|application| Some(&application.uid) == uid);
        Self {
            recorded: ours.is_some(),
            newest: ours.and_then(|application| application.secret_fingerprint.as_deref()),
            handed: attested
                .map(String::as_str)
                .or_else(|| connection.and_then(|connection| connection.secret_fingerprint.as_deref())),
            handover_recorded: connection.is_some(),
            refused: connection.is_some_and(|connection| connection.secret_refused),
            unanswered_secret: announced(&|operation| renews(operation, uid))
                || application
                    .live
                    .is_some_and(|live| created_by(recorded, live).is_some()),
            unanswered_save: announced(&|operation| {
                matches!(operation, Operation::Connection(ConnectionOperation::Save { .. }))
            }),
        }
    }

    /// Whether the store gives another secret than the newest, and GitLab refuses it: it did not take the newest one. What
    /// Factory has may be in force all the same.
    fn store_is_behind(&self, check: &SecretCheck) -> bool {
        match (check, self.newest) {
            (SecretCheck::Rejected { fingerprint }, Some(newest)) => fingerprint != newest,
            // Adopted, and so in force by a person's word, or Factory's: what nobody knows is not what is stored.
            (SecretCheck::Rejected { fingerprint: _ }, None) => {
                self.recorded && self.handover_recorded && self.handed.is_none() && !self.unanswered()
            }
            (SecretCheck::Accepted { fingerprint: _ } | SecretCheck::NoneStored | SecretCheck::NotChecked, _) => false,
        }
    }

    fn unanswered(&self) -> bool {
        self.unanswered_secret || self.unanswered_save
    }
}

/// Whether a write renews the secret of this application.
pub(super) fn renews(operation: &Operation, uid: Option<&ApplicationUid>) -> bool {
    operation
        .renewed_application()
        .is_some_and(|application| match application {
            ApplicationRef::Existing { id: _, uid: renewed } => Some(renewed) == uid,
            ApplicationRef::Planned => true,
        })
}

/// Decides whether Factory has to be given a secret, and which.
pub(crate) fn decide(inputs: &Inputs<'_>, application: &ApplicationPlan<'_>) -> Option<ConnectionSecret> {
    decide_in(inputs, application, &SecretState::of(inputs, application))
}

/// As [`decide`], once GitLab has refused the secret that Factory has.
pub(crate) fn decide_if_refused(inputs: &Inputs<'_>, application: &ApplicationPlan<'_>) -> Option<ConnectionSecret> {
    let state = SecretState {
        refused: true,
        ..SecretState::of(inputs, application)
    };
    decide_in(inputs, application, &state)
}

fn decide_in(
    inputs: &Inputs<'_>,
    application: &ApplicationPlan<'_>,
    state: &SecretState<'_>,
) -> Option<ConnectionSecret> {
    if application.fresh {
        return Some(ConnectionSecret {
            source: SecretSource::Fresh,
            moves: None,
            renewal: None,
        });
    }
    let moves = moved(inputs, state);
    let fits = inputs.integration().is_some_and(|integration| {
        Some(&integration.application) == application.uid() && integration.domain == inputs.desired.connection.domain
    });
    if moves.is_none() && fits {
        return None;
    }
    let rotating = inputs.policy.command == Command::Rotate;
    if !rotating && is_at_hand(inputs, state) {
        return Some(ConnectionSecret {
            source: SecretSource::Loaded,
            moves,
            renewal: None,
        });
    }
    Some(ConnectionSecret {
        source: SecretSource::Fresh,
        moves: moves.or(Some((Reason::SecretUnknown, Origin::Pending))),
        renewal: Some(renewal(inputs, state, moves, rotating)),
    })
}

/// Says that the store has not the secret that Factory was given last: nothing is renewed for that.
pub(crate) fn warn_of_store(inputs: &Inputs<'_>, builder: &mut PlanBuilder, application: &ApplicationPlan<'_>) {
    let state = SecretState::of(inputs, application);
    if !state.handover_recorded || state.newest != state.handed {
        return;
    }
    let check = &inputs.observed.gitlab.secret;
    let gives = match check {
        SecretCheck::Rejected { fingerprint: _ } if state.store_is_behind(check) && state.newest.is_none() => {
            "a secret that GitLab refuses, and nobody but Factory has the one that is in force"
        }
        SecretCheck::Rejected { fingerprint: _ } if state.store_is_behind(check) => {
            "another secret than Factory was given last, and GitLab refuses it"
        }
        SecretCheck::NoneStored => "nothing, so that the secret which Factory has cannot be checked",
        SecretCheck::Rejected { fingerprint: _ }
        | SecretCheck::Accepted { fingerprint: _ }
        | SecretCheck::NotChecked => return,
    };
    builder.warn(
        WarningCode::SecretNotStored,
        Some(Address::Application),
        format!("application.secret.load gives {gives}; `setpoint rotate` makes one that both get"),
    );
}

/// Whether the secret that is in force can be handed over without renewing it: loaded and accepted by GitLab, or, where
/// a person hands it over, kept where that person finds it.
fn is_at_hand(inputs: &Inputs<'_>, state: &SecretState<'_>) -> bool {
    match &inputs.observed.gitlab.secret {
        SecretCheck::Accepted { fingerprint: _ } => true,
        SecretCheck::Rejected { fingerprint: _ } => false,
        SecretCheck::NoneStored | SecretCheck::NotChecked => {
            inputs.attested() && inputs.policy.saves_secret && state.newest.is_some() && !state.unanswered_secret
        }
    }
}

/// Why Factory cannot go on with the secret it has, and which side moved.
fn moved(inputs: &Inputs<'_>, state: &SecretState<'_>) -> Option<(Reason, Origin)> {
    if inputs.policy.command == Command::Rotate {
        return Some((Reason::Differs, Origin::Pending));
    }
    let status = inputs.integration().map(|integration| integration.status);
    let never_worked =
        !state.handover_recorded && matches!(status, Some(IntegrationStatus::Configured | IntegrationStatus::Error));
    let remembered = state.handed.or(state.newest).is_some();
    let check = &inputs.observed.gitlab.secret;
    match check {
        SecretCheck::Rejected { fingerprint: _ } if !state.store_is_behind(check) => {
            let origin = match (state.unanswered_secret, remembered) {
                (true, _) => Origin::Pending,
                (false, true) => Origin::Drift,
                (false, false) => Origin::Unrecorded,
            };
            Some((Reason::SecretRejected, origin))
        }
        SecretCheck::Accepted { fingerprint } => match state.handed {
            Some(handed) if handed == fingerprint => state.refused.then_some((Reason::Differs, Origin::Drift)),
            Some(_) if state.newest == Some(fingerprint) || state.unanswered() => {
                Some((Reason::Differs, Origin::Pending))
            }
            Some(_) => Some((Reason::Differs, Origin::Drift)),
            None if state.newest.is_some() || state.unanswered() => Some((Reason::Differs, Origin::Pending)),
            None if never_worked => Some((Reason::Differs, Origin::Unrecorded)),
            None if state.refused => Some((Reason::Differs, Origin::Drift)),
            None => None,
        },
        SecretCheck::Rejected { fingerprint: _ } | SecretCheck::NoneStored | SecretCheck::NotChecked => {
            let lost = *check != SecretCheck::NotChecked;
            if state.unanswered() || (state.recorded && state.newest != state.handed) {
                Some((Reason::SecretUnknown, Origin::Pending))
            } else if state.refused {
                Some((Reason::SecretRejected, Origin::Drift))
            } else if never_worked {
                Some((Reason::SecretUnknown, Origin::Unrecorded))
            } else if lost && status == Some(IntegrationStatus::Error) {
                // The authorization no longer works, and what could tell whether the secret still does is gone.
                Some((Reason::SecretUnknown, Origin::Drift))
            } else {
                None
            }
        }
    }
}

fn renewal(inputs: &Inputs<'_>, state: &SecretState<'_>, moves: Option<(Reason, Origin)>, rotating: bool) -> Renewal {
    let check = &inputs.observed.gitlab.secret;
    let rejected = matches!(check, SecretCheck::Rejected { .. }) && !state.store_is_behind(check);
    let (reason, note) = if rotating {
        (
            Reason::Differs,
            "the secret is renewed; the old one stops working at once, and Factory is given the new one",
        )
    } else if rejected {
        (
            Reason::SecretRejected,
            "GitLab refuses the secret that application.secret.load gives, so it is renewed",
        )
    } else if state.refused {
        (
            Reason::SecretRejected,
            "GitLab refused the secret that Factory has, and nobody knows the right one; so it is renewed",
        )
    } else {
        (
            Reason::SecretUnknown,
            "Factory has to be given the secret, which GitLab shows only when it is made, and nobody knows it; so it is renewed",
        )
    };
    let origin = match (moves, inputs.integration(), inputs.recorded.connection.as_ref()) {
        (Some((_, origin)), _, _) => origin,
        (None, None, Some(_)) => Origin::Drift,
        (None, Some(_), None) if !inputs.interrupted(&Address::Connection) => Origin::Unrecorded,
        (None, _, _) => Origin::Pending,
    };
    Renewal {
        reason,
        origin,
        note: note.to_owned(),
    }
}
