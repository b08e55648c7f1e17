//! A record made anew from what is live, after the old one was lost. It says no more than was seen: what is as
//! declared is recorded, and what differs is left out, so that it shows as `unrecorded` and nobody takes it for a
//! change of ours.

use crate::model::{
    ApplicationMatch, AuthorizedUser, Change, Desired, Evidence, FactorySource, Observed, Plan, RecordedAuthorization,
    RecordedConnection, RecordedState, SecretCheck,
};

use super::refresh::refresh;
use crate::kinds::{self, application};

/// The record of what is live and as declared.
///
/// `recorded` is the new record to begin with: empty, or what [`presume`] put into it. `plan` was made with it.
pub fn rebuild(desired: &Desired, observed: &Observed, recorded: &RecordedState, plan: &Plan) -> RecordedState {
    let mut next = refresh(desired, observed, recorded, plan);
    for Change { address, .. } in &plan.changes {
        kinds::forget(&mut next, address);
    }
    // Whoever rebuilds the record of an integration says that its application is ours, as it is: without that it would have
    // to be adopted before anything that differs could be put right.
    let may_be_in_use = |live| match observed.factory.source {
        FactorySource::Live => application::is_in_use(observed, live),
        FactorySource::Attested => true,
    };
    if let Some(live) = ApplicationMatch::of(desired, observed, recorded).found()
        && !application::is_recorded(&next, live)
        && may_be_in_use(live)
    {
        application::take_over(&mut next, live, &observed.gitlab.secret, None);
    }
    next
}

/// What shows, without a record, that an integration is in use: the application and the droid are there, and Factory uses
/// the application, as far as it can be asked. A record that is begun anew over it would know nothing of its secret, and
/// plan to renew it.
pub fn inhabited(desired: &Desired, observed: &Observed, recorded: &RecordedState) -> Option<String> {
    let user = observed.gitlab.user.as_ref()?;
    let connected = observed.factory.integration.as_ref().map(|live| &live.application);
    let application = ApplicationMatch::of(desired, observed, recorded).found()?;
    let factory = match observed.factory.source {
        FactorySource::Live if connected != Some(&application.uid) => return None,
        FactorySource::Live => ", and Factory uses the application",
        FactorySource::Attested => "",
    };
    Some(format!(
        "GitLab has the application {:?} (id {}) and the user `{}`{factory}",
        application.fields.name, application.id, user.fields.username
    ))
}

/// What is taken for granted of a Factory that cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presumed {
    Nothing,
    /// That the connection was saved with the application that GitLab has, and with the secret that is in force. To
    /// doubt it would mean to renew a secret that works.
    Connection,
    /// That, and the authorization: GitLab lists the application among those that the droid authorized, which takes an
    /// exchange with the right secret.
    Authorization,
}

/// Under the assisted driver nobody shows what was done in Factory, and the attestations are gone. What can be presumed
/// is put into the new record, attested by nobody; everything else becomes due again.
///
/// The connection is presumed only where that spares a renewal: a secret that `application.secret.load` gives, and that
/// GitLab accepts, can be handed over again.
pub fn presume(
    desired: &Desired,
    observed: &Observed,
    recorded: &mut RecordedState,
    evidence: Option<&Evidence>,
) -> Presumed {
    if observed.factory.source != FactorySource::Attested {
        return Presumed::Nothing;
    }
    let Some(live) = ApplicationMatch::of(desired, observed, recorded).found() else {
        return Presumed::Nothing;
    };
    let secret_fingerprint = observed.gitlab.secret.accepted().cloned();
    let droid = observed
        .gitlab
        .user
        .as_ref()
        .filter(|_| evidence.is_some_and(|evidence| evidence.authorized.contains_key(&live.id)));
    let is_at_hand = matches!(
        observed.gitlab.secret,
        SecretCheck::Accepted { .. } | SecretCheck::Rejected { .. }
    );
    if droid.is_none() && is_at_hand {
        return Presumed::Nothing;
    }
    recorded.connection = Some(RecordedConnection::new(
        &desired.connection.domain,
        &live.uid,
        secret_fingerprint.clone(),
    ));
    let Some(droid) = droid else {
        return Presumed::Connection;
    };
    recorded.authorization = Some(RecordedAuthorization {
        user: AuthorizedUser::from(droid),
        application: live.uid.clone(),
        secret_fingerprint,
        attested: None,
    });
    Presumed::Authorization
}

#[cfg(test)]
mod tests {
    use super::{Presumed, inhabited, presume, rebuild};
    use crate::model::{Command, FactorySource, Origin, Reason, SecretCheck, Status};
    use crate::planner::fixture::{Case, FINGERPRINT, at, converged};

    /// The case with the record that a rebuild makes of it, by the plan that only looks.
    fn rebuilt(case: &Case) -> Case {
        let mut case = case.clone().forget();
        let converges = std::mem::replace(&mut case.policy.command, Command::Drift);
        let plan = case.plan();
        case.policy.command = converges;
        case.recorded = rebuild(&case.desired, &case.observed, &case.recorded, &plan);
        case
    }

    #[test]
    fn a_world_as_declared_gives_a_record_that_plans_nothing() {
        for secret in [
            SecretCheck::NotChecked,
            SecretCheck::NoneStored,
            SecretCheck::Accepted {
                fingerprint: FINGERPRINT.to_owned(),
            },
        ] {
            let mut case = converged();
            case.observed.gitlab.secret = secret.clone();
            let case = rebuilt(&case);
            assert_eq!(case.plan().changes, [], "{secret:?}");
            let record = &case.recorded;
            assert!(record.application.is_some() && record.user.is_some() && record.connection.is_some());
            assert!(
                record.authorization.is_some() && !record.memberships.is_empty() && !record.repositories.is_empty()
            );
            // Once recorded, a later change of it is told as drift.
            let mut case = case;
            case.user().fields.name = "Mallory".to_owned();
            assert_eq!(at(&case.plan(), "gitlab.user").origin, Origin::Drift);
        }
    }

    #[test]
    fn what_differs_stays_out_and_shows_as_unrecorded() {
        let mut case = converged();
        case.user().fields.name = "Mallory".to_owned();
        case.application().fields.name = "Something".to_owned();
        case.observed.gitlab.memberships.clear();
        case.list().values_mut().for_each(|listed| listed.enabled = false);
        let case = rebuilt(&case);
        let record = &case.recorded;
        assert!(record.application.is_none() && record.user.is_none());
        assert!(record.memberships.is_empty() && record.repositories.is_empty());
        let plan = case.plan();
        assert_eq!(at(&plan, "gitlab.user").origin, Origin::Unrecorded);
        let application = at(&plan, "gitlab.application");
        assert_eq!(application.origin, Origin::Unrecorded);
        assert_ne!(application.reason, Reason::AlreadyExists, "its connection is recorded");
    }

    #[test]
    fn what_factory_works_with_has_not_to_be_adopted_after_it() {
        for secret in [
            SecretCheck::NotChecked,
            SecretCheck::NoneStored,
            SecretCheck::Accepted {
                fingerprint: FINGERPRINT.to_owned(),
            },
        ] {
            let edits: [fn(&mut Case); 3] = [
                |_| {},
                |case| case.application().fields.name = "Something".to_owned(),
                |case| case.application().fields.redirect_uris.clear(),
            ];
            for edit in edits {
                let mut case = converged();
                case.observed.gitlab.secret = secret.clone();
                case.integration().domain = "https://old.example.com".into();
                edit(&mut case);
                let blocked = |case: &Case| {
                    let mut changes = case.plan().changes.into_iter();
                    changes.any(|change| change.reason == Reason::AlreadyExists)
                };
                assert!(blocked(&case.clone().forget()), "{secret:?}");
                let case = rebuilt(&case);
                assert!(!blocked(&case), "{secret:?}: {:?}", case.plan().changes);
                assert_eq!(at(&case.plan(), "factory.connection").status, Status::Ready);
            }
        }
    }

    #[test]
    fn an_integration_in_use_shows_that_there_was_a_record() {
        let said = |case: &Case| inhabited(&case.desired, &case.observed, &case.recorded);
        let whole = converged().forget();
        assert_eq!(
            said(&whole).unwrap(),
            "GitLab has the application \"Factory Integration\" (id 1) and the user `factory-droid`, and Factory uses the \
             application"
        );
        let mut unused = whole.clone();
        unused.observed.factory.integration = None;
        assert_eq!(said(&unused), None, "nobody uses its secret");
        unused.observed.factory.source = FactorySource::Attested;
        assert!(said(&unused).is_some(), "nobody can tell whether its secret is used");
        let mut without_user = whole.clone();
        without_user.observed.gitlab.user = None;
        assert_eq!(said(&without_user), None);
        let mut without_application = whole;
        without_application.observed.gitlab.applications.clear();
        assert_eq!(said(&without_application), None);
    }

    #[test]
    fn of_a_factory_that_answers_nothing_is_presumed() {
        let case = converged().forget();
        let mut record = case.recorded.clone();
        let presumed = presume(&case.desired, &case.observed, &mut record, None);
        assert_eq!(presumed, Presumed::Nothing);
        assert!(record.is_empty());
    }
}
