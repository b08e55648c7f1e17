use super::super::fixture::{Case, at, converged, untouched};
use crate::model::{
    Actions, Address, Edit, Evidence, IntegrationStatus, KeptKey, Known, NamespaceKind, Operation, OperatorStep,
    Origin, Reason, RecordedSecondFactor, RecordedTerms, Status, TermsVersion, UserAttribute, UserId, UserOperation,
    UserState, WarningCode,
};
use crate::planner::refresh;

#[test]
fn states_that_can_be_healed_and_those_that_cannot() {
    for (state, operation) in [
        (
            UserState::Blocked,
            Some((
                Operation::User(UserOperation::Unblock { id: UserId(7) }),
                Reason::UserBlocked,
            )),
        ),
        (
            UserState::BlockedPendingApproval,
            Some((
                Operation::User(UserOperation::Approve { id: UserId(7) }),
                Reason::UserBlocked,
            )),
        ),
        (
            UserState::Deactivated,
            Some((
                Operation::User(UserOperation::Activate { id: UserId(7) }),
                Reason::Differs,
            )),
        ),
        (UserState::Banned, None),
        (UserState::LdapBlocked, None),
        (UserState::Other("odd".to_owned()), None),
    ] {
        let mut case = converged();
        case.user().state = state.clone();
        let change = case.only_change();
        assert_eq!(change.origin, Origin::Drift, "{state:?}");
        match operation {
            Some((operation, reason)) => assert_eq!((change.operations, change.reason), (vec![operation], reason)),
            None => assert_eq!((change.status, change.reason), (Status::Blocked, Reason::UserBlocked)),
        }
    }
}

#[test]
fn nobody_can_authorize_as_an_account_that_stays_blocked() {
    let mut case = converged();
    case.user().state = UserState::Banned;
    case.integration().status = crate::model::IntegrationStatus::Error;
    let plan = case.plan();
    assert_eq!(at(&plan, "factory.authorization").reason, Reason::UserBlocked);
    assert_eq!(at(&plan, "factory.authorization").status, Status::Blocked);
}

#[test]
fn a_previous_username_is_renamed_and_case_is_no_difference() {
    let mut case = converged();
    case.user().fields.username = "Factory-DROID".into();
    case.user().fields.email = "DROID@example.com".into();
    assert_eq!(case.plan().changes, []);
    case.user().fields.username = "old-droid".into();
    case.recorded.user.as_mut().unwrap().fields.username = "old-droid".into();
    let change = case.only_change();
    assert_eq!(change.origin, Origin::Pending);
    assert_eq!(
        change.operations,
        [Operation::User(UserOperation::Edit {
            id: UserId(7),
            edit: Edit::from_iter([UserAttribute::Username("factory-droid".into())]),
        })]
    );
}

#[test]
fn names_and_addresses_that_others_hold_are_found_when_planning() {
    let mut case = untouched();
    case.observed.gitlab.username_holder = Some(NamespaceKind::Group);
    assert_eq!(at(&case.plan(), "gitlab.user").reason, Reason::PathTaken);
    case.observed.gitlab.username_holder = None;
    case.observed.gitlab.email_holder = Some("ada".to_owned());
    let plan = case.plan();
    assert_eq!(at(&plan, "gitlab.user").reason, Reason::EmailTaken);
    assert!(at(&plan, "gitlab.user").notes[0].contains("`ada`"));
    // What hangs on the account is planned, and waits for it.
    assert_eq!(at(&plan, "factory.authorization").status, Status::Ready);
    // Nobody is asked for what does not change.
    let mut case = converged();
    case.observed.gitlab.email_holder = Some("ada".to_owned());
    case.user().fields.name = "x".to_owned();
    assert_eq!(case.only_change().status, Status::Ready);
}

#[test]
fn the_account_of_our_own_token_is_never_touched() {
    let own = |edit: fn(&mut Case)| {
        let mut case = converged();
        case.observed.gitlab.own_user = UserId(7);
        edit(&mut case);
        case
    };
    let change = own(|case| case.user().fields.name = "Administrator".to_owned()).only_change();
    assert_eq!((change.status, change.reason), (Status::Blocked, Reason::PathTaken));
    assert!(own(|_| {}).plan().changes.is_empty());
}

#[test]
fn an_administrator_is_warned_of_and_a_deleted_account_is_made_anew() {
    let mut case = converged();
    case.user().is_admin = true;
    assert_eq!(case.plan().warnings[0].code, WarningCode::UserIsAdmin);
    case.observed.gitlab.user = None;
    case.observed.gitlab.memberships.clear();
    let plan = case.plan();
    let user = at(&plan, "gitlab.user");
    assert_eq!((user.actions, user.origin), (Actions::Create, Origin::Drift));
    assert_eq!(at(&plan, "gitlab.membership[platform]").actions, Actions::Create);
    assert_eq!(at(&plan, "factory.authorization").reason, Reason::WrongUser);
}

/// A world whose GitLab has these terms in force.
fn with_terms(mut case: Case, accept: bool) -> Case {
    case.desired.user.accept_terms = accept;
    case.observed.gitlab.terms = Known::Known(Some(TermsVersion("sha256:new".to_owned())));
    case
}

/// Nobody has seen the droid at work since.
fn unseen(mut case: Case) -> Case {
    case.integration().status = IntegrationStatus::Error;
    case.observed.factory.repositories = Known::Unknown;
    case
}

fn accepted(case: &mut Case, version: &str) {
    case.recorded.user.as_mut().unwrap().terms = Some(RecordedTerms {
        version: TermsVersion(version.to_owned()),
        id: Some(1),
        attested: None,
    });
}

#[test]
fn terms_are_accepted_where_that_is_declared_and_somebody_can_sign_in() {
    let plan = with_terms(untouched(), true).plan();
    let user = at(&plan, "gitlab.user");
    assert_eq!((user.status, user.origin), (Status::Ready, Origin::Pending));
    let does = |wanted: &str| {
        let word = |operation: &Operation| serde_json::to_value(operation).unwrap()["do"].clone();
        user.operations.iter().map(word).any(|word| word == wanted)
    };
    assert!(does("create_user") && does("accept_terms"));
    for change in [
        |case: &mut Case| case.desired.user.accept_terms = false,
        |case: &mut Case| case.policy.sign_in = None,
        |case: &mut Case| case.observed.gitlab.closed.droid = Some("locks".to_owned()),
    ] {
        let mut case = with_terms(unseen(converged()), true);
        change(&mut case);
        let plan = case.plan();
        let user = at(&plan, "gitlab.user");
        assert_eq!(user.status, Status::Operator);
        assert!(matches!(user.steps.as_slice(), [OperatorStep::AcceptTerms { .. }]));
        let authorization = at(&plan, "factory.authorization");
        assert!(authorization.depends_on.contains(&Address::User), "{authorization:?}");
    }
}

#[test]
fn new_terms_are_drift_and_those_of_another_account_count_for_nothing() {
    let mut case = with_terms(unseen(converged()), true);
    accepted(&mut case, "sha256:old");
    assert_eq!(at(&case.plan(), "gitlab.user").origin, Origin::Drift);
    accepted(&mut case, "sha256:new");
    assert!(case.plan().changes.iter().all(|change| change.address != Address::User));
    case.recorded.user.as_mut().unwrap().id = UserId(99);
    assert_eq!(at(&case.plan(), "gitlab.user").origin, Origin::Pending);
}

#[test]
fn a_droid_that_is_at_work_has_accepted_the_terms() {
    let mut case = with_terms(converged(), false);
    accepted(&mut case, "sha256:old");
    let plan = case.plan();
    assert_eq!(plan.changes, []);
    let next = refresh(&case.desired, &case.observed, &case.recorded, &plan);
    let terms = next.user.unwrap().terms.unwrap();
    assert_eq!((terms.version.0.as_str(), terms.id), ("sha256:new", None));
    // Its own page is as good a witness.
    let mut case = with_terms(unseen(converged()), false);
    case.observed.gitlab.evidence = Known::Known(Evidence::default());
    assert!(case.plan().changes.iter().all(|change| change.address != Address::User));
}

/// The words of the writes that are planned for the droid.
fn writes(change: &crate::model::Change) -> Vec<String> {
    let word = |operation: &Operation| {
        serde_json::to_value(operation).unwrap()["do"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    change.operations.iter().map(word).collect()
}

fn with_key(kept: KeptKey, two_factor: bool, recorded: Option<&str>) -> Case {
    let mut case = converged();
    case.desired.user.second_factor = true;
    case.observed.gitlab.second_factor_key = kept;
    case.user().two_factor = two_factor;
    case.recorded.user.as_mut().unwrap().second_factor = recorded.map(|fingerprint| RecordedSecondFactor {
        key_fingerprint: fingerprint.to_owned(),
    });
    case
}

#[test]
fn a_second_factor_is_registered_verified_begun_anew_or_left_alone() {
    let kept = |fingerprint: &str| KeptKey::Kept {
        fingerprint: fingerprint.to_owned(),
    };
    let enrol = &["enrol_second_factor"][..];
    let anew = &["disable_second_factor", "enrol_second_factor"][..];
    let verify = &["verify_second_factor"][..];
    for (key, live, recorded, expected) in [
        (KeptKey::Nothing, false, None, Some((enrol, Origin::Pending))),
        (kept("a"), false, None, Some((enrol, Origin::Pending))),
        (kept("a"), false, Some("a"), Some((enrol, Origin::Drift))),
        (kept("a"), true, Some("a"), None),
        (kept("b"), true, Some("a"), Some((verify, Origin::Pending))),
        (kept("a"), true, None, Some((verify, Origin::Pending))),
        (KeptKey::Nothing, true, Some("a"), Some((anew, Origin::Drift))),
        (KeptKey::Nothing, true, None, Some((&[][..], Origin::Unrecorded))),
        (KeptKey::NotConfigured, true, Some("a"), None),
    ] {
        let what = format!("{key:?} {live} {recorded:?}");
        let plan = with_key(key, live, recorded).plan();
        let Some((writes_expected, origin)) = expected else {
            assert_eq!(plan.changes, [], "{what}");
            continue;
        };
        let change = at(&plan, "gitlab.user");
        assert_eq!(writes(change), writes_expected, "{what}");
        assert_eq!(change.origin, origin, "{what}");
        assert_eq!(change.status == Status::Blocked, writes_expected.is_empty(), "{what}");
    }
}

#[test]
fn a_registration_that_was_cut_off_is_begun_anew_whatever_key_is_kept() {
    let kept = KeptKey::Kept {
        fingerprint: "a".to_owned(),
    };
    let begun = |live: bool| {
        let mut case = with_key(kept.clone(), live, None);
        case.recorded.intents.push(crate::model::Intent {
            address: Address::User,
            operation: UserOperation::EnrolSecondFactor {
                username: "factory-droid".into(),
            }
            .into(),
            at: "2026-02-03T04:05:06Z".parse().unwrap(),
            applications_before: std::collections::BTreeSet::new(),
        });
        let plan = case.plan();
        let next = refresh(&case.desired, &case.observed, &case.recorded, &plan);
        assert_eq!(next.intents.len(), 1, "its end is not known");
        writes(at(&plan, "gitlab.user"))
    };
    assert_eq!(begun(true), ["disable_second_factor", "enrol_second_factor"]);
    assert_eq!(begun(false), ["enrol_second_factor"]);
}

/// Where the sign-in itself would do harm nothing is switched off for what cannot be done afterwards.
#[test]
fn nothing_of_a_second_factor_is_touched_where_nobody_may_sign_in() {
    for (key, live, recorded) in [(KeptKey::Nothing, false, None), (KeptKey::Nothing, true, Some("a"))] {
        let mut case = with_key(key, live, recorded);
        case.observed.gitlab.closed.droid = Some("it locks".to_owned());
        let plan = case.plan();
        let change = at(&plan, "gitlab.user");
        assert_eq!((change.status, change.reason), (Status::Blocked, Reason::NoSignIn));
        assert!(change.operations.is_empty());
        // Another edit goes on beside it.
        case.user().fields.name = "Mallory".to_owned();
        let plan = case.plan();
        assert_eq!(writes(at(&plan, "gitlab.user")), ["edit_user"]);
    }
}
