use insta::assert_snapshot;

use super::super::fixture::{at, converged, outline, untouched};
use crate::model::{Address, FullPath, Guards, Unlisted, WarningCode};

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
}

#[test]
fn a_target_entails_what_must_not_stay_half_done() {
    let mut case = converged();
    case.desired.application.confidential = false;
    case.policy.replace_application = true;
    case.policy.targets = [Address::Application].into();
    assert_snapshot!(outline(&case.plan()), @r#"
    -/+ gitlab.application Ready recreate_required Pending
    ~ factory.connection Ready differs Pending <- gitlab.application
    ~ factory.authorization Ready not_connected Pending <- gitlab.application <- factory.connection
    "#);
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
