use insta::assert_snapshot;

use super::super::fixture::{API, at, attested, outline, untouched};
use crate::model::{
    ApplicationId, Evidence, FactorySource, Known, OperatorStep, Origin, Reason, SecretCheck, SecretSource, Status,
};

#[test]
fn what_was_attested_is_unchanged_and_says_by_whom() {
    let plan = attested().plan();
    assert_eq!(plan.changes, []);
    assert_eq!(plan.attested.len(), 4);
    assert!(plan.attested.iter().all(|attested| attested.by == "ada@desk"));
}

#[test]
fn the_first_plan_is_the_same_but_for_who_does_it() {
    let mut case = untouched();
    let live = outline(&case.plan());
    case.observed.factory.source = FactorySource::Attested;
    case.observed.factory.repositories = Known::Known([].into());
    case.policy.sign_in = None;
    let plan = case.plan();
    assert_eq!(outline(&plan).replace("Operator", "Ready"), live);
    assert!(
        plan.changes
            .iter()
            .all(|change| change.address.is_factory() == (change.status == Status::Operator))
    );
}

#[test]
fn exactly_what_is_bound_to_a_change_is_due_again() {
    // Another application.
    let mut case = attested();
    case.desired.application.confidential = false;
    case.policy.replace_application = true;
    assert_snapshot!(outline(&case.plan()), @r#"
    -/+ gitlab.application Ready recreate_required Pending
    ~ factory.connection Operator attestation_due Pending <- gitlab.application
    ~ factory.authorization Operator attestation_due Pending <- gitlab.application <- factory.connection
    "#);
    // Another secret, kept where a person finds it.
    let mut case = attested();
    case.recorded.application.as_mut().unwrap().secret_fingerprint = Some("sha256:2".to_owned());
    case.policy.saves_secret = true;
    let plan = case.plan();
    assert_snapshot!(outline(&plan), @r#"
    ~ factory.connection Operator attestation_due Pending
    ~ factory.authorization Operator attestation_due Pending <- factory.connection
    "#);
    assert!(matches!(
        at(&plan, "factory.connection").steps.as_slice(),
        [OperatorStep::SaveConnection {
            secret: SecretSource::Loaded,
            ..
        }]
    ));
    // The same, and nobody can tell what it is.
    case.policy.saves_secret = false;
    assert_snapshot!(outline(&case.plan()), @r#"
    ~ gitlab.application Ready secret_unknown Pending
    ~ factory.connection Operator attestation_due Pending <- gitlab.application
    ~ factory.authorization Operator attestation_due Pending <- factory.connection
    "#);
    case.observed.gitlab.secret = SecretCheck::Accepted {
        fingerprint: "sha256:2".to_owned(),
    };
    assert_eq!(case.plan().summary.operator, 2);
    // Another name of the user.
    let mut case = attested();
    case.desired.user.fields.username = "new-droid".into();
    case.desired.user.previously = vec!["factory-droid".to_owned()];
    assert_snapshot!(outline(&case.plan()), @r#"
    ~ gitlab.user Ready differs Pending
    ~ factory.authorization Operator attestation_due Pending <- gitlab.user
    "#);
    // One more repository.
    let mut case = attested();
    let more = super::super::fixture::project(
        crate::model::ProjectId(9),
        "platform/more",
        crate::model::Visibility::Private,
    );
    case.observed.gitlab.projects.insert(more.id, more);
    assert_snapshot!(outline(&case.plan()), @r#"+ factory.repository["platform/more"] Operator absent Pending"#);
}

#[test]
fn evidence_against_an_attestation_is_drift() {
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    let listed = |id, at| {
        Known::Known(Evidence {
            authorized: [(ApplicationId(id), at)].into(),
        })
    };
    let mut case = attested();
    let secret_at = &mut case.recorded.application.as_mut().unwrap().secret_at;
    *secret_at = Some(at("2026-11-20T12:00:00Z"));
    // Another application, whatever its name; and this one with a secret that was renewed since.
    for against in [
        listed(2, Some(at("2026-11-21T00:00:00Z"))),
        listed(1, Some(at("2026-11-20T11:58:00Z"))),
    ] {
        case.observed.gitlab.evidence = against;
        let change = case.only_change();
        assert_eq!((change.origin, change.reason), (Origin::Drift, Reason::NotConnected));
    }
    // Clocks differ a little, and a time that cannot be read says nothing.
    for confirmed in [Some(at("2026-11-20T11:59:30Z")), None] {
        case.observed.gitlab.evidence = listed(1, confirmed);
        let plan = case.plan();
        assert_eq!(plan.changes, []);
        let evidence = plan.attested.iter().find_map(|one| one.evidence.as_ref()).unwrap();
        assert_eq!(evidence.authorized_at, confirmed);
    }
}

/// Going back from `api`: nobody does again what Setpoint saw or wrote, and nobody is said to have attested it.
#[test]
fn what_the_other_driver_recorded_stands_and_is_not_attested() {
    let mut case = attested();
    case.recorded.connection.as_mut().unwrap().attested = None;
    case.recorded.authorization.as_mut().unwrap().attested = None;
    case.recorded.repositories.get_mut(&API).unwrap().attested = None;
    let plan = case.plan();
    assert!(plan.changes.is_empty(), "{:#?}", plan.changes);
    let said: Vec<_> = plan.attested.iter().map(|one| one.address.to_string()).collect();
    assert!(
        said.iter().all(|address| address.starts_with("factory.repository"))
            && !said.iter().any(|a| a.contains("platform/api")),
        "{said:?}"
    );
    let warning = plan
        .warnings
        .iter()
        .find(|warning| warning.message.contains("nobody has attested"));
    assert!(
        warning.is_some_and(|warning| warning.message.starts_with("3 of")),
        "{:?}",
        plan.warnings
    );
}
