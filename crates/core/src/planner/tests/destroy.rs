use insta::assert_snapshot;

use super::super::fixture::{STOREFRONT, at, attested, converged, outline, untouched};
use crate::model::{Command, FactoryRepository, FullPath, Operation, Status, UserId, UserOperation};

#[test]
fn everything_of_ours_goes_in_order_and_nothing_else() {
    let mut case = converged();
    case.policy.command = Command::Destroy;
    case.policy.delete_user = true;
    let foreign = FactoryRepository {
        path: FullPath::new("web/storefront"),
        enabled: true,
        archived: false,
    };
    case.list().insert(STOREFRONT, foreign);
    let plan = case.plan();
    assert_snapshot!(outline(&plan), @r#"
    - gitlab.application Ready unlisted Pending <- factory.connection
    - gitlab.user Ready unlisted Pending <- gitlab.application <- factory.connection
    - factory.connection Ready unlisted Pending <- factory.repository["platform/api"] <- factory.repository["platform/services/checkout"]
    - factory.repository["platform/api"] Ready unlisted Pending
    - factory.repository["platform/services/checkout"] Ready unlisted Pending
    "#);
    assert_eq!(
        plan.refusals,
        [],
        "a guard against accidents does not keep one from what one asks for"
    );
}

#[test]
fn the_second_time_there_is_nothing_to_do() {
    let mut case = untouched();
    case.policy.command = Command::Destroy;
    case.policy.delete_user = true;
    assert_eq!(case.plan().changes, []);
}

#[test]
fn the_droid_stays_or_is_blocked_unless_it_is_our_own() {
    let mut case = converged();
    case.policy.command = Command::Destroy;
    assert!(!outline(&case.plan()).contains("gitlab.user"));
    case.policy.block_user = true;
    assert_eq!(
        at(&case.plan(), "gitlab.user").operations,
        [Operation::User(UserOperation::Block { id: UserId(7) })]
    );
    case.observed.gitlab.own_user = UserId(7);
    assert_eq!(at(&case.plan(), "gitlab.user").status, Status::Blocked);
}

#[test]
fn under_the_assisted_driver_a_person_disconnects() {
    let mut case = attested();
    case.policy.command = Command::Destroy;
    assert_snapshot!(outline(&case.plan()), @r#"
    - gitlab.application Ready unlisted Pending
    - factory.connection Operator unlisted Pending
    "#);
}
