use insta::assert_snapshot;

use super::super::fixture::{at, converged, outline};
use crate::model::{
    AuthorizedUser, ConnectionOperation, IntegrationStatus, Known, Operation, Origin, Reason, SecretSource, Status,
    UserId,
};

#[test]
fn the_spelling_of_a_domain_is_no_difference() {
    let mut case = converged();
    case.integration().domain = "HTTPS://GitLab.Example.com/".into();
    assert_eq!(case.plan().changes, []);
}

#[test]
fn another_domain_takes_the_secret_and_ends_the_authorization() {
    let mut case = converged();
    case.desired.connection.domain = "https://git.example.com".into();
    let plan = case.plan();
    assert_snapshot!(outline(&plan), @r#"
    ~ gitlab.application Ready secret_unknown Pending
    ~ factory.connection Ready differs Pending <- gitlab.application
    ~ factory.authorization Ready not_connected Pending <- factory.connection
    "#);
    assert_eq!(at(&plan, "gitlab.application").reason, Reason::SecretUnknown);
    assert!(matches!(
        at(&plan, "factory.connection").operations.as_slice(),
        [Operation::Connection(ConnectionOperation::Save {
            secret: SecretSource::Fresh,
            ..
        })]
    ));
}

#[test]
fn a_deleted_connection_is_drift() {
    let mut case = converged();
    case.observed.factory.integration = None;
    case.observed.factory.repositories = Known::Unknown;
    let plan = case.plan();
    assert_eq!(at(&plan, "factory.connection").origin, Origin::Drift);
    assert_eq!(at(&plan, "gitlab.application").origin, Origin::Drift);
}

#[test]
fn the_authorization_alone() {
    let somebody = AuthorizedUser {
        id: UserId(3),
        username: "ada".to_owned(),
    };
    for (status, user, reason) in [
        (IntegrationStatus::Configured, None, Reason::NotConnected),
        (IntegrationStatus::Connected, Some(somebody), Reason::WrongUser),
        (IntegrationStatus::Error, None, Reason::AuthorizationFailed),
    ] {
        let mut case = converged();
        case.integration().status = status;
        case.integration().user = user;
        if status != IntegrationStatus::Connected {
            case.observed.factory.repositories = Known::Unknown;
        }
        let change = case.only_change();
        assert_eq!((change.reason, change.origin), (reason, Origin::Drift));
        case.policy.sign_in = None;
        let change = case.only_change();
        assert_eq!((change.status, change.reason), (Status::Blocked, Reason::NoSignIn));
    }
}

#[test]
fn a_renamed_droid_stays_authorized() {
    let mut case = converged();
    case.integration().user.as_mut().unwrap().username = "old-name".to_owned();
    assert_eq!(case.plan().changes, []);
}
