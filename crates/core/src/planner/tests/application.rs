use insta::assert_snapshot;
use serde_json::json;

use super::super::fixture::{Case, FINGERPRINT, at, converged, outline, strings, untouched};
use super::super::refresh;
use crate::model::{
    Actions, Address, ApplicationId, ApplicationOperation, ApplicationRef, ApplicationUid, Command, IntegrationStatus,
    Known, Operation, OperatorStep, Origin, Reason, SecretCheck, Status, WarningCode,
};

fn with_session() -> Case {
    let mut case = converged();
    case.policy.admin_session = true;
    case.application().fields.trusted = Known::Known(true);
    case.application().fields.scopes = Known::Known(strings(["api", "read_user"]));
    case
}

fn second(case: &mut Case, id: u64) {
    let mut other = case.application().clone();
    other.id = ApplicationId(id);
    other.uid = ApplicationUid(format!("uid-{id}"));
    case.observed.gitlab.applications.push(other);
}

#[test]
fn every_attribute_is_edited_in_place_through_the_admin_session() {
    type Edit = fn(&mut Case);
    let edits: [(&str, Edit); 5] = [
        ("name", |case| "Old".clone_into(&mut case.application().fields.name)),
        ("redirect_uri", |case| {
            case.application().fields.redirect_uris = strings(["https://old.example.com/"]);
        }),
        ("trusted", |case| {
            case.application().fields.trusted = Known::Known(false);
        }),
        ("confidential", |case| case.application().fields.confidential = false),
        ("scopes", |case| {
            case.application().fields.scopes = Known::Known(strings(["api"]));
        }),
    ];
    for (path, edit) in edits {
        let mut case = with_session();
        edit(&mut case);
        // Factory goes on finding it, whatever its name.
        let change = case.only_change();
        assert_eq!(
            (change.status, change.reason),
            (Status::Ready, Reason::Differs),
            "{path}"
        );
        assert_eq!(
            (change.actions, change.origin),
            (Actions::Update, Origin::Drift),
            "{path}"
        );
        let paths: Vec<_> = change
            .attributes
            .iter()
            .map(|attribute| attribute.path.as_str())
            .collect();
        assert_eq!(paths, [path]);
        assert!(
            matches!(
                change.operations.as_slice(),
                [Operation::Application(ApplicationOperation::Edit { .. })]
            ),
            "{path}"
        );
    }
}

#[test]
fn without_a_session_a_difference_is_a_replacement_and_refused_unless_allowed() {
    let mut case = converged();
    case.desired.application.redirect_uris = strings(["https://new.example.com/"]);
    let plan = case.plan();
    assert_snapshot!(outline(&plan), @r#"-/+ gitlab.application Blocked replace_refused Pending"#);
    assert!(plan.changes[0].notes[0].contains("--allow-replace"));
    case.policy.replace_application = true;
    let plan = case.plan();
    assert_snapshot!(outline(&plan), @r#"
    -/+ gitlab.application Ready recreate_required Pending
    ~ factory.connection Ready differs Pending <- gitlab.application
    ~ factory.authorization Ready not_connected Pending <- gitlab.application <- factory.connection
    "#);
    let operations = &at(&plan, "gitlab.application").operations;
    assert!(matches!(
        operations.as_slice(),
        [
            Operation::Application(ApplicationOperation::Create { .. }),
            Operation::Application(ApplicationOperation::Delete {
                id: ApplicationId(1),
                ..
            })
        ]
    ));
    assert_eq!(plan.summary.operator, 1, "trusted is ticked by a person");
}

#[test]
fn without_a_session_trusted_is_a_persons_step() {
    let mut case = converged();
    case.desired.application.trusted = Known::Known(false);
    let change = case.only_change();
    assert_eq!(
        (change.status, change.reason, change.origin),
        (Status::Operator, Reason::NoAdminSession, Origin::Pending)
    );
    assert!(matches!(
        change.steps.as_slice(),
        [OperatorStep::SetTrusted {
            trusted: false,
            application: ApplicationRef::Existing { .. },
            ..
        }]
    ));
}

#[test]
fn what_nobody_can_see_is_no_difference_and_one_warning() {
    let mut case = converged();
    let recorded = case.recorded.application.as_mut().unwrap();
    recorded.fields.trusted = Known::Unknown;
    recorded.fields.scopes = Known::Unknown;
    let plan = case.plan();
    assert_eq!(plan.changes, []);
    assert_eq!(plan.warnings.len(), 1);
    assert_eq!(plan.warnings[0].code, WarningCode::Unobservable);
    // What is recorded takes the place of what is seen.
    case.recorded.application.as_mut().unwrap().fields.scopes = Known::Known(strings(["api"]));
    case.policy.admin_session = true;
    let change = case.only_change();
    assert_eq!(change.origin, Origin::Pending);
}

#[test]
fn several_candidates_are_listed_and_stop_what_needs_the_application() {
    let mut case = converged().forget();
    case.observed.factory.integration = None;
    case.observed.factory.repositories = Known::Unknown;
    second(&mut case, 9);
    let plan = case.plan();
    assert_snapshot!(outline(&plan), @r#"
    ~ gitlab.application Blocked ambiguous Unrecorded
    + factory.connection Ready absent Pending <- gitlab.application
    + factory.authorization Ready not_connected Pending <- gitlab.application <- factory.connection
    "#);
    assert_snapshot!(at(&plan, "gitlab.application").notes.join("\n"), @r#"
    2 applications are named `Factory Integration`, and neither the state record nor Factory tells which one is meant; delete or rename the others in GitLab's admin area
    candidate: id 1, application id uid-1
    candidate: id 9, application id uid-9
    "#);
}

#[test]
fn scopes_that_the_instance_does_not_know_are_named() {
    let mut case = untouched();
    case.observed.gitlab.supported_scopes = Known::Known(strings(["api"]));
    let change = at(&case.plan(), "gitlab.application").clone();
    assert_eq!(
        (change.status, change.reason),
        (Status::Blocked, Reason::UnsupportedScope)
    );
    assert!(change.notes[0].contains("`read_user`"), "{:?}", change.notes);
}

#[test]
fn a_creation_whose_answer_was_lost_is_found_and_the_old_one_superseded() {
    let mut case = converged();
    case.policy.replace_application = true;
    case.desired.application.redirect_uris = strings(["https://new.example.com/"]);
    second(&mut case, 5);
    let application = case.desired.application.clone();
    case.observed.gitlab.applications[1].fields.redirect_uris = application.redirect_uris.clone();
    case.intent(
        Address::Application,
        Operation::Application(ApplicationOperation::Create { application }),
    );
    let plan = case.plan();
    assert_snapshot!(outline(&plan), @r#"
    -/+ gitlab.application Ready recreate_required Pending
    ~ factory.connection Ready differs Pending <- gitlab.application
    ~ factory.authorization Ready not_connected Pending <- factory.connection
    "#);
    let operations = &at(&plan, "gitlab.application").operations;
    assert!(
        matches!(
            operations.as_slice(),
            [
                Operation::Application(ApplicationOperation::RenewSecret { .. }),
                Operation::Application(ApplicationOperation::Delete {
                    id: ApplicationId(1),
                    ..
                })
            ]
        ),
        "{operations:#?}"
    );
}

#[test]
fn what_an_interrupted_replacement_left_is_deleted_and_nothing_else_happens() {
    let mut case = converged();
    second(&mut case, 3);
    case.recorded
        .superseded
        .insert(ApplicationId(3), ApplicationUid("uid-3".to_owned()));
    let change = case.only_change();
    assert_eq!((change.actions, change.status), (Actions::Delete, Status::Ready));
    // Whose it is can be seen, and it counts: anybody may have written it into the record.
    let shown: Vec<_> = change
        .attributes
        .iter()
        .map(|one| (one.path.as_str(), &one.before))
        .collect();
    let uris: Vec<&String> = case.observed.gitlab.applications[1]
        .fields
        .redirect_uris
        .iter()
        .collect();
    assert_eq!(
        shown,
        [
            ("application_id", &json!("uid-3")),
            ("name", &json!("Factory Integration")),
            ("redirect_uri", &json!(uris)),
        ]
    );
    assert!(change.notes[0].contains("`Factory Integration`") && change.notes[0].contains(uris[0]));
    case.policy.guards.max_removals = 0;
    let warnings = case.plan().warnings;
    assert_eq!(warnings[0].code, WarningCode::GuardExceeded, "{warnings:?}");
    // Another application in the row that ours had is left alone.
    case.recorded
        .superseded
        .insert(ApplicationId(3), ApplicationUid("other".to_owned()));
    assert_eq!(case.plan().changes, []);
}

#[test]
fn an_application_that_comes_back_is_not_a_second_one() {
    let mut case = converged();
    second(&mut case, 3);
    let twins = case.plan();
    assert_eq!(twins.changes, []);
    assert_eq!(
        twins.warnings[0].code,
        WarningCode::TwinApplication,
        "{:?}",
        twins.warnings
    );
    case.recorded
        .vanished
        .insert(ApplicationId(3), ApplicationUid("uid-3".to_owned()));
    let plan = case.plan();
    assert_eq!(plan.warnings, []);
    let change = &plan.changes[0];
    assert_eq!((change.actions, change.status), (Actions::Delete, Status::Ready));
    assert!(
        change.notes[0].contains("missing from GitLab's list"),
        "{:?}",
        change.notes
    );
    // While it is not listed, its id is remembered.
    case.observed.gitlab.applications.pop();
    let plan = case.plan();
    assert_eq!(plan.changes, []);
    let next = refresh(&case.desired, &case.observed, &case.recorded, &plan);
    assert!(next.vanished.contains_key(&ApplicationId(3)));
}

#[test]
fn a_refused_secret_is_renewed_and_handed_over() {
    let mut case = converged();
    case.observed.gitlab.secret = SecretCheck::Rejected {
        fingerprint: FINGERPRINT.to_owned(),
    };
    assert_snapshot!(outline(&case.plan()), @r#"
    ~ gitlab.application Ready secret_rejected Drift
    ~ factory.connection Ready secret_rejected Drift <- gitlab.application
    ~ factory.authorization Ready not_connected Drift <- factory.connection
    "#);
}

#[test]
fn a_store_that_has_another_secret_than_the_newest_is_no_reason_to_renew() {
    let mut case = converged();
    for gives in [
        SecretCheck::Rejected {
            fingerprint: "sha256:older".to_owned(),
        },
        SecretCheck::NoneStored,
    ] {
        case.observed.gitlab.secret = gives;
        let plan = case.plan();
        assert_eq!(plan.changes, []);
        assert_eq!(plan.warnings[0].code, WarningCode::SecretNotStored);
        // Where Factory says that its authorization broke, the secret may be the reason.
        let mut broken = case.clone();
        broken.integration().status = IntegrationStatus::Error;
        assert_eq!(at(&broken.plan(), "gitlab.application").reason, Reason::SecretUnknown);
    }
}

#[test]
fn an_accepted_secret_is_handed_over_as_it_is() {
    let mut case = converged();
    case.observed.gitlab.secret = SecretCheck::Accepted {
        fingerprint: "sha256:2".to_owned(),
    };
    assert_snapshot!(outline(&case.plan()), @r#"
    ~ factory.connection Ready differs Drift
    ~ factory.authorization Ready not_connected Drift <- factory.connection
    "#);
    case.observed.gitlab.secret = SecretCheck::Accepted {
        fingerprint: FINGERPRINT.to_owned(),
    };
    assert_eq!(case.plan().changes, []);
}

#[test]
fn a_secret_that_nobody_knows_is_renewed() {
    // A renewal whose answer was lost.
    let mut case = converged();
    let application = ApplicationRef::Existing {
        id: ApplicationId(1),
        uid: ApplicationUid("uid-1".to_owned()),
    };
    case.intent(
        Address::Application,
        Operation::Application(ApplicationOperation::RenewSecret { application }),
    );
    assert_snapshot!(outline(&case.plan()), @r#"
    ~ gitlab.application Ready secret_unknown Pending
    ~ factory.connection Ready secret_unknown Pending <- gitlab.application
    ~ factory.authorization Ready not_connected Pending <- factory.connection
    "#);
    // A renewal whose secret could not be kept.
    let mut case = converged();
    case.recorded.application.as_mut().unwrap().secret_fingerprint = None;
    assert_eq!(case.plan().summary.update, 3);
    // A connection that somebody else has saved, and that does not work.
    let mut case = converged().forget();
    case.integration().status = IntegrationStatus::Configured;
    case.integration().user = None;
    case.observed.factory.repositories = Known::Unknown;
    let plan = case.plan();
    assert_eq!(at(&plan, "gitlab.application").reason, Reason::SecretUnknown);
    assert_eq!(at(&plan, "gitlab.application").origin, Origin::Unrecorded);
}

#[test]
fn rotation_renews_hands_over_and_authorizes_and_does_nothing_else() {
    let mut case = converged();
    case.policy.command = Command::Rotate;
    case.desired.application.name = "New name".to_owned();
    case.desired.user.fields.name = "New name".to_owned();
    let plan = case.plan();
    assert_snapshot!(outline(&plan), @r#"
    ~ gitlab.application Ready differs Pending
    ~ factory.connection Ready differs Pending <- gitlab.application
    ~ factory.authorization Ready not_connected Pending <- factory.connection
    "#);
    assert_eq!(plan.warnings, []);
}

#[test]
fn a_deleted_application_is_drift_and_so_is_what_follows() {
    let mut case = converged();
    case.observed.gitlab.applications.clear();
    case.integration().status = IntegrationStatus::Error;
    case.observed.factory.repositories = Known::Unknown;
    assert_snapshot!(outline(&case.plan()), @r#"
    + gitlab.application Ready absent Drift
    ~ factory.connection Ready differs Drift <- gitlab.application
    ~ factory.authorization Ready authorization_failed Drift <- factory.connection
    "#);
}

/// A session that is configured, and must not be opened, is missed; it is no reason to drop every token.
#[test]
fn what_only_a_closed_session_can_do_is_left_to_a_person() {
    let closed = || {
        let mut case = converged();
        case.policy.admin_session = true;
        case.policy.replace_application = true;
        case.observed.gitlab.closed.admin = Some("nobody signs in as root; register an authenticator".to_owned());
        case
    };
    // What only it shows is taken from the record.
    let plan = closed().plan();
    assert_eq!(plan.changes, []);
    let [warning] = plan.warnings.as_slice() else {
        panic!("{:?}", plan.warnings)
    };
    assert_eq!(warning.code, WarningCode::SignInUnsafe);
    assert!(
        warning.message.contains("register an authenticator"),
        "{}",
        warning.message
    );

    let mut case = closed();
    case.recorded.application.as_mut().unwrap().fields.trusted = Known::Known(false);
    let change = case.only_change();
    assert_eq!(
        (change.status, change.reason),
        (Status::Operator, Reason::NoAdminSession)
    );
    assert!(matches!(
        change.steps.as_slice(),
        [OperatorStep::SetTrusted { trusted: true, .. }]
    ));

    let mut case = closed();
    "Old".clone_into(&mut case.application().fields.name);
    let change = case.only_change();
    assert_eq!(
        (change.status, change.reason),
        (Status::Blocked, Reason::NoAdminSession)
    );
    assert!(change.operations.is_empty());

    let mut case = untouched();
    case.policy.admin_session = true;
    case.observed.gitlab.closed = closed().observed.gitlab.closed;
    let plan = case.plan();
    let change = at(&plan, "gitlab.application");
    assert_eq!(change.operations.len(), 1, "{change:#?}");
    assert!(matches!(change.steps.as_slice(), [OperatorStep::SetTrusted { .. }]));
}
