use insta::assert_snapshot;

use super::super::fixture::{Case, at, converged, outline, untouched};
use crate::model::{Address, Ender, FullPath, Guards, Unlisted, WarningCode};

#[test]
fn nothing_to_do() {
    let plan = converged().plan();
    assert_snapshot!(outline(&plan), @"");
    assert_eq!(plan.warnings, []);
    assert_eq!(plan.summary.unchanged, 7);
}

#[test]
fn the_first_plan_of_an_empty_world_is_complete() {
    let plan = untouched().plan();
    assert_snapshot!(outline(&plan), @r#"
    + gitlab.application Ready absent Pending
    + gitlab.user Ready absent Pending
    + gitlab.membership["platform"] Ready absent Pending <- gitlab.user
    + factory.connection Ready absent Pending <- gitlab.application
    + factory.authorization Ready not_connected Pending <- gitlab.user <- factory.connection
    + factory.repository["platform/api"] Ready absent Pending <- gitlab.membership["platform"] <- factory.authorization
    + factory.repository["platform/services/checkout"] Ready absent Pending <- gitlab.membership["platform"] <- factory.authorization
    "#);
    assert_eq!(plan.summary.operator, 1, "trusted, without an admin session");
}

#[test]
fn adoption_of_what_is_as_declared_needs_no_write() {
    let plan = converged().forget().plan();
    assert_snapshot!(outline(&plan), @"");
    assert_eq!(plan.warnings.len(), 1);
    assert_eq!(plan.warnings[0].code, WarningCode::Unobservable);
    assert!(
        plan.warnings[0].message.contains("trusted, scopes"),
        "{:?}",
        plan.warnings
    );
}

#[test]
fn targets_keep_what_they_depend_on() {
    let mut case = untouched();
    case.policy.targets = [Address::Membership(FullPath::new("platform"))].into();
    let plan = case.plan();
    assert_snapshot!(outline(&plan), @r#"
    + gitlab.user Ready absent Pending
    + gitlab.membership["platform"] Ready absent Pending <- gitlab.user
    "#);
    assert_eq!(plan.warnings[0].code, WarningCode::Targeted);
    // Where nothing else differs, nothing was left out.
    let mut case = converged();
    case.user().fields.name = "Mallory".to_owned();
    case.policy.targets = [Address::User].into();
    let plan = case.plan();
    assert_eq!((plan.changes.len(), plan.targets.len()), (1, 1));
    assert!(
        plan.warnings
            .iter()
            .all(|warning| warning.code != WarningCode::Targeted)
    );
}

#[test]
fn a_target_takes_nothing_that_it_does_not_depend_on() {
    let mut case = converged();
    case.desired.application.confidential = false;
    case.policy.replace_application = true;
    // The old one stays until Factory has moved: nothing is cut off.
    case.policy.targets = [Address::Application].into();
    let plan = case.plan();
    assert_snapshot!(outline(&plan), @r#"+ gitlab.application Ready recreate_required Pending"#);
    assert!(
        plan.changes[0]
            .operations
            .iter()
            .all(|operation| operation.deleted_application().is_none())
    );
    assert_eq!(plan.changes[0].interrupts, None);
    assert_eq!(plan.left_out, [Address::Connection, Address::Authorization]);
    // The connection ends the authorization, and whoever leaves that out ends it with another run.
    case.policy.targets = [Address::Connection].into();
    let plan = case.plan();
    assert_snapshot!(outline(&plan), @r#"
    -/+ gitlab.application Ready recreate_required Pending
    ~ factory.connection Ready differs Pending <- gitlab.application
    "#);
    assert_eq!(plan.left_out, [Address::Authorization]);
    let interrupts = at(&plan, "factory.connection").interrupts.clone().unwrap();
    assert_eq!(
        (interrupts.until, interrupts.ended_by),
        (Address::Authorization, Ender::Operator)
    );
}

/// A secret is renewed for the connection's sake, and not where that is left out.
#[test]
fn a_target_renews_no_secret_that_nobody_is_given() {
    let mut case = converged();
    case.desired.connection.domain = "https://git.example.com".into();
    assert!(at(&case.plan(), "gitlab.application").operations[0].makes_secret());
    case.policy.targets = [Address::Application].into();
    assert_eq!(case.plan().changes, []);
}

#[test]
fn a_target_that_nobody_knows_is_told_from_one_with_nothing_to_do() {
    let mut case = converged();
    let unknown = |case: &mut Case, target: &str| {
        case.policy.targets = [target.parse().unwrap()].into();
        case.plan().unknown_targets.len()
    };
    for known in [
        "gitlab.user",
        "gitlab.membership[platform]",
        "factory.connection",
        "factory.repository[platform/api]",
    ] {
        assert_eq!(unknown(&mut case, known), 0, "{known}");
    }
    for nowhere in ["gitlab.membership[platfrom]", "factory.repository[platform/apo]"] {
        assert_eq!(unknown(&mut case, nowhere), 1, "{nowhere}");
    }
    // Live, and not declared.
    case.desired.repositories.enable.clear();
    assert_eq!(unknown(&mut case, "factory.repository[platform/api]"), 0);
}

#[test]
fn removals_beyond_the_guard_refuse_the_whole() {
    let mut case = converged();
    case.desired.repositories.enable.clear();
    case.desired.repositories.unlisted = Unlisted::Disable;
    let plan = case.plan();
    assert_eq!(plan.summary.delete, 2);
    assert_eq!(plan.refusals.len(), 1, "{plan:#?}");
    assert_eq!(plan.warnings[0].code, WarningCode::GuardExceeded);
    case.policy.allowances.removals = Some(2);
    assert_eq!(case.plan().refusals, []);
    case.policy.allowances.removals = None;
    case.policy.guards = Guards {
        max_removals: 10,
        max_removal_percent: 100,
    };
    assert_eq!(case.plan().refusals, []);
    assert!(
        at(&case.plan(), "factory.repository[platform/api]")
            .depends_on
            .is_empty()
    );
}
