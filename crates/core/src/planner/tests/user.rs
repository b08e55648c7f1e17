use super::super::fixture::{Case, at, converged, untouched};
use crate::model::{
    Actions, Edit, NamespaceKind, Operation, Origin, Reason, Status, UserAttribute, UserId, UserOperation, UserState,
    WarningCode,
};

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
