//! Why a repository cannot be enabled, with what would help; and roles that are changed, withdrawn, or there already.

use serde_json::{Value, json};
use setpoint::sandbox::world::Source;

use super::common::Fixture;
use super::common::plans::{DROID, change, find, notes, unwrapped};

async fn listing(paths: &str) -> Fixture {
    let fixture = Fixture::new().await;
    fixture.give_admin_session();
    fixture.edit_config(
        "enable = [\"platform/**\", \"web/storefront\"]",
        &format!("enable = [{paths}]"),
    );
    fixture
}

fn level(fixture: &Fixture, group: &str) -> Option<u32> {
    fixture.world(|world| {
        let group = world.group_at(group).expect("the group").id;
        let droid = world.user_named(DROID).expect("the droid").id;
        let mut members = world.members.iter();
        members
            .find(|one| one.source == Source::Group(group) && one.user_id == droid)
            .map(|one| one.access_level)
    })
}

fn warned<'a>(plan: &'a Value, code: &str) -> Option<&'a str> {
    let warnings = plan["warnings"].as_array().expect("a plan has warnings");
    warnings
        .iter()
        .find(|warning| warning["code"] == code)
        .and_then(|warning| warning["message"].as_str())
}

#[tokio::test]
async fn each_reason_is_told_before_and_after_the_droid_exists() {
    let fixture = listing(
        "\"platform/handbook\", \"platform/nothing\", \"finance/ledger\", \"platform/services/basket\", \"web\"",
    )
    .await;
    for round in ["before the first apply", "after it"] {
        let plan = fixture.plan().await;
        for (path, reason, words) in [
            ("platform/nothing", "not_found", "no project has the path"),
            ("finance/ledger", "not_visible", "\"finance\" = \"developer\""),
            ("platform/services/basket", "moved", "`platform/services/cart` now"),
            ("web", "not_found", "list `web/**`"),
        ] {
            let blocked = change(&plan, &format!("factory.repository[\"{path}\"]"));
            assert_eq!(
                (&blocked["status"], &blocked["reason"]),
                (&json!("blocked"), &json!(reason)),
                "{round}"
            );
            assert!(notes(blocked).contains(words), "{round}: {blocked:#}");
        }
        let ran = fixture.apply().await.expect(3);
        let text = unwrapped(&ran.stdout);
        assert!(
            text.contains("platform/services/cart") && text.contains("\"finance\" = \"developer\""),
            "{}",
            ran.stdout
        );
    }
    let enabled = fixture.world(|world| {
        let id = world.project_at("platform/handbook").expect("the project").id;
        (world.factory.enabled.len(), world.factory.enabled.contains(&id))
    });
    assert_eq!(enabled, (1, true));
    // The advice helps.
    fixture.edit_config(
        "\"platform\" = \"developer\"",
        "\"platform\" = \"developer\"\n\"finance\" = \"developer\"",
    );
    fixture.edit_config("\"platform/services/basket\"", "\"platform/services/cart\"");
    fixture.edit_config("\"platform/nothing\", ", "");
    fixture.edit_config(", \"web\"]", "]");
    fixture.apply().await.expect(0);
    fixture.expect_nothing_to_do("after the advice was taken").await;
    assert_eq!(fixture.world(|world| world.factory.enabled.len()), 3);
}

#[tokio::test]
async fn archived_ones_and_ones_to_be_deleted_are_warned_of_and_not_matched_by_globs() {
    let fixture = listing("\"platform/archive/monolith\", \"web/landing-pages\", \"platform/**\"").await;
    fixture.edit_config("except = [\"platform/archive/**\"]", "except = []");
    let plan = fixture.plan().await;
    let archived = warned(&plan, "repository_archived").expect("a warning");
    assert!(archived.contains("platform/archive/monolith"), "{archived}");
    let waits = change(&plan, "factory.repository[\"web/landing-pages\"]");
    assert_eq!(
        (&waits["status"], &waits["reason"]),
        (&json!("blocked"), &json!("pending_deletion"))
    );
    assert!(find(&plan, "factory.repository[\"platform/archive/monolith\"]").is_some());
    assert!(
        find(&plan, "factory.repository[\"platform/archive/old-gateway\"]").is_none(),
        "{plan:#}"
    );
    fixture.apply().await.expect(3);
    // One that Factory has already stays as it is, with a warning.
    fixture.world(|world| {
        let doomed = world.project_at("web/landing-pages").expect("the project").id;
        world.factory.enabled.insert(doomed);
    });
    let plan = fixture.plan().await;
    let pending = warned(&plan, "repository_pending_deletion").expect("a warning");
    assert!(pending.contains("web/landing-pages"), "{pending}");
    fixture.expect_nothing_to_do("with archived ones").await;
}

#[tokio::test]
async fn one_that_moves_later_is_told_with_its_new_path_and_stays_enabled() {
    let fixture = listing("\"platform/handbook\"").await;
    fixture.edit_config(
        "except = [\"platform/archive/**\"]",
        "except = []\nunlisted = \"disable\"",
    );
    fixture.apply().await.expect(0);
    fixture.world(|world| world.move_project("platform/handbook", "platform/guide"));
    let plan = fixture.plan().await;
    let moved = change(&plan, "factory.repository[\"platform/handbook\"]");
    assert_eq!(
        (&moved["status"], &moved["reason"]),
        (&json!("blocked"), &json!("moved"))
    );
    fixture.apply().await.expect(3);
    assert_eq!(fixture.world(|world| world.factory.enabled.len()), 1);
    fixture.edit_config("platform/handbook", "platform/guide");
    fixture.expect_nothing_to_do("with the new path").await;
}

#[tokio::test]
async fn a_role_is_changed_in_either_direction() {
    let fixture = listing("\"platform/handbook\"").await;
    fixture.apply().await.expect(0);
    fixture.edit_config("\"platform\" = \"developer\"", "\"platform\" = \"maintainer\"");
    let plan = fixture.plan().await;
    let raised = change(&plan, "gitlab.membership[\"platform\"]");
    assert_eq!(
        (&raised["actions"], &raised["origin"]),
        (&json!(["update"]), &json!("pending"))
    );
    assert_eq!(
        raised["attributes"],
        json!([{"path": "role", "before": "developer", "after": "maintainer", "sensitive": false}])
    );
    fixture.apply().await.expect(0);
    assert_eq!(level(&fixture, "platform"), Some(40));
    // Somebody lowers it by hand.
    fixture.world(|world| {
        let group = world.group_at("platform").expect("the group").id;
        let droid = world.user_named(DROID).expect("the droid").id;
        world.set_member(Source::Group(group), droid, 20);
    });
    let drift = fixture.run(&["drift", "--format", "json"]).await.expect(2).json();
    assert_eq!(change(&drift, "gitlab.membership[\"platform\"]")["origin"], "drift");
    fixture.apply().await.expect(0);
    assert_eq!(level(&fixture, "platform"), Some(40));
    fixture.expect_nothing_to_do("after the role was put right").await;
}

#[tokio::test]
async fn a_role_that_is_inherited_already_needs_nothing() {
    let fixture = listing("\"platform/services/checkout\"").await;
    fixture.edit_config(
        "\"platform\" = \"developer\"",
        "\"platform\" = \"maintainer\"\n\"platform/services\" = \"developer\"",
    );
    let plan = fixture.plan().await;
    assert!(
        find(&plan, "gitlab.membership[\"platform/services\"]").is_none(),
        "{plan:#}"
    );
    let warning = warned(&plan, "membership_inherited").expect("a warning");
    assert!(
        warning.contains("platform/services") && warning.contains("maintainer"),
        "{warning}"
    );
    fixture.apply().await.expect(0);
    assert_eq!(
        (level(&fixture, "platform"), level(&fixture, "platform/services")),
        (Some(40), None)
    );
    fixture.expect_nothing_to_do("with an inherited role").await;
    // A higher one below is a membership of its own.
    fixture.edit_config(
        "\"platform/services\" = \"developer\"",
        "\"platform/services\" = \"owner\"",
    );
    fixture.apply().await.expect(0);
    assert_eq!(level(&fixture, "platform/services"), Some(50));
    fixture.expect_nothing_to_do("with a higher role below").await;
}
