use insta::assert_snapshot;

use super::super::fixture::{Case, FINGERPRINT, at, converged, outline, outline_of};
use crate::model::{
    AuthorizedUser, Command, ConnectionOperation, Ender, IntegrationStatus, Known, Operation, OperatorStep, Origin,
    Reason, SecretCheck, SecretSource, SignIn, Status, UserId, WarningCode,
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
    for (status, user, reason) in [
        (IntegrationStatus::Configured, None, Reason::NotConnected),
        (IntegrationStatus::Connected, Some(somebody()), Reason::WrongUser),
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
        assert_eq!((change.status, change.reason), (Status::Operator, reason));
        assert!(matches!(change.steps.as_slice(), [OperatorStep::Approve { .. }]));
    }
}

#[test]
fn a_renamed_droid_stays_authorized() {
    let mut case = converged();
    case.integration().user.as_mut().unwrap().username = "old-name".to_owned();
    assert_eq!(case.plan().changes, []);
}

/// Where nobody may sign in as the droid, approving is a person's: rotating, too, must not end what nobody can begin again.
#[test]
fn an_approval_by_a_sign_in_that_does_harm_is_left_to_a_person() {
    for impersonate in [false, true] {
        let mut case = converged();
        case.desired.connection.domain = "https://git.example.com".into();
        let why = Some("nobody signs in; register an authenticator".to_owned());
        if impersonate {
            case.policy.sign_in = Some(SignIn::Impersonate);
            case.policy.admin_session = true;
            case.observed.gitlab.closed.admin = why;
        } else {
            case.observed.gitlab.closed.droid = why;
        }
        let plan = case.plan();
        let change = at(&plan, "factory.authorization");
        assert_eq!(change.status, Status::Operator);
        assert!(change.operations.is_empty());
        assert!(matches!(change.steps.as_slice(), [OperatorStep::Approve { .. }]));
        let warned = plan.warnings.iter().filter(|one| one.code == WarningCode::SignInUnsafe);
        assert_eq!(warned.count(), 1, "{:?}", plan.warnings);
    }
}

/// GitLab refuses the secret that Factory has only once Factory is authorized: what is done then stands in the plan.
#[test]
fn that_the_secret_is_refused_is_planned_as_a_possibility() {
    let mut case = converged();
    (case.integration().status, case.integration().user) = (IntegrationStatus::Configured, None);
    case.observed.factory.repositories = Known::Unknown;
    let possible = |case: &Case| {
        let plan = case.plan();
        let fallback = at(&plan, "factory.authorization").fallback.clone();
        fallback.map(|fallback| (fallback.when, outline_of(&fallback.changes)))
    };
    let (when, changes) = possible(&case).unwrap();
    assert_eq!(when, Reason::SecretRejected);
    assert_snapshot!(changes, @r#"
    ~ gitlab.application Ready secret_rejected Drift
    ~ factory.connection Ready secret_rejected Drift <- gitlab.application
    "#);
    // Where the secret is at hand, it is handed over again, and nothing is renewed.
    let mut stored = case.clone();
    stored.observed.gitlab.secret = SecretCheck::Accepted {
        fingerprint: FINGERPRINT.to_owned(),
    };
    assert_snapshot!(possible(&stored).unwrap().1, @"~ factory.connection Ready differs Drift");
    // A watch does nothing, what is handed over by this plan is right, and what somebody else made is not renewed.
    let mut watch = case.clone();
    watch.policy.command = Command::Drift;
    assert_eq!(possible(&watch), None);
    let mut moved = case.clone();
    moved.desired.connection.domain = "https://git.example.com".into();
    assert_eq!(possible(&moved), None);
    let mut by_person = case.clone();
    by_person.observed.gitlab.closed.droid = Some("nobody may".to_owned());
    assert_eq!(possible(&by_person), None);
    let mut foreign = case.forget();
    (foreign.integration().status, foreign.integration().user) = (IntegrationStatus::Connected, Some(somebody()));
    assert_eq!(at(&foreign.plan(), "factory.authorization").status, Status::Blocked);
}

#[test]
fn a_possible_renewal_says_that_it_interrupts_and_that_setpoint_ends_it() {
    let mut case = converged();
    case.integration().user = Some(somebody());
    let plan = case.plan();
    let authorization = at(&plan, "factory.authorization");
    let ended_by: Vec<_> = authorization
        .possible()
        .iter()
        .map(|change| change.interrupts.as_ref().map(|interruption| interruption.ended_by))
        .collect();
    assert_eq!(ended_by, [Some(Ender::Setpoint), Some(Ender::Setpoint)]);
    assert_eq!(
        (authorization.interrupts.as_ref(), plan.summary.interrupting),
        (None, 0)
    );
}

fn somebody() -> AuthorizedUser {
    AuthorizedUser {
        id: UserId(3),
        username: "ada".to_owned(),
    }
}
