//! Groups, projects and memberships are known by their ids: what was moved is the same, and what took its path is not.

use serde_json::{Value, json};
use setpoint::sandbox::world::Visibility;

use super::common::Fixture;
use super::common::plans::{change, find, notes};

async fn applied(edit: impl FnOnce(&Fixture)) -> Fixture {
    let fixture = Fixture::complete().await;
    fixture.edit_config("[repositories]\n", "[repositories]\nunlisted = \"disable\"\n");
    edit(&fixture);
    fixture.apply().await.expect(0);
    fixture
}

fn deletions(plan: &Value) -> usize {
    let changes = plan["changes"].as_array().expect("a plan has changes");
    changes
        .iter()
        .filter(|change| change["actions"] == json!(["delete"]))
        .count()
}

fn moved_groups(plan: &Value) -> Vec<&str> {
    let warnings = plan["warnings"].as_array().expect("a plan has warnings");
    let moved = warnings.iter().filter(|warning| warning["code"] == "group_moved");
    moved.filter_map(|warning| warning["message"].as_str()).collect()
}

#[tokio::test]
async fn a_group_that_was_renamed_is_moved_and_nothing_in_it_is_disabled() {
    let fixture = applied(|_| {}).await;
    fixture.world(|world| world.move_group("platform", "base"));
    let plan = fixture.plan().await;
    let membership = change(&plan, "gitlab.membership[\"platform\"]");
    assert_eq!(
        (&membership["status"], &membership["reason"]),
        (&json!("blocked"), &json!("moved"))
    );
    assert!(notes(membership).contains("`platform` is `base` now"), "{membership:#}");
    assert_eq!(deletions(&plan), 0, "{plan:#}");
    let told = moved_groups(&plan);
    assert!(
        told.len() == 1 && told[0].contains("`platform` is `base` now"),
        "{told:?}"
    );
    let before = fixture.api_writes();
    fixture.apply().await.expect(3);
    assert_eq!(fixture.api_writes(), before);
    // With the new path in the file all is as it was.
    fixture.edit_config("platform", "base");
    fixture.expect_nothing_to_do("the file has the new path").await;
}

#[tokio::test]
async fn a_group_without_a_membership_of_its_own_is_known_by_what_was_enabled_in_it() {
    let fixture = applied(|fixture| fixture.edit_config("\"platform/**\"", "\"platform/services/**\"")).await;
    fixture.world(|world| world.move_group("platform/services", "platform/svc"));
    let plan = fixture.plan().await;
    assert_eq!(deletions(&plan), 0, "{plan:#}");
    assert!(moved_groups(&plan)[0].contains("`platform/services` is `platform/svc` now"));
    // One project that leaves a group which stays is not listed any more.
    fixture.edit_config("platform/services/**", "platform/svc/**");
    fixture.expect_nothing_to_do("the file has the new path").await;
    fixture.world(|world| world.move_project("platform/svc/search", "platform/search"));
    let plan = fixture.plan().await;
    assert_eq!((deletions(&plan), moved_groups(&plan).len()), (1, 0), "{plan:#}");
}

#[tokio::test]
async fn a_project_that_took_the_path_of_another_is_another() {
    let fixture = applied(|_| {}).await;
    let old = fixture.world(|world| {
        let old = world.project_at("web/storefront").expect("the project").id;
        world.move_project("web/storefront", "web/shop");
        world.add_project("web/storefront", "Storefront", Visibility::Internal);
        old
    });
    let plan = fixture.plan().await;
    assert_eq!(deletions(&plan), 0, "{plan:#}");
    let newcomer = change(&plan, "factory.repository[\"web/storefront\"]");
    assert_eq!(
        (&newcomer["actions"], &newcomer["origin"]),
        (&json!(["create"]), &json!("drift"))
    );
    for address in [
        "factory.repository[\"web/storefront\"]",
        "gitlab.membership[\"web/storefront\"]",
    ] {
        let said = notes(change(&plan, address));
        assert!(
            said.contains("this is another project") && said.contains("`web/shop`"),
            "{said}"
        );
    }
    fixture.apply().await.expect(0);
    let (kept, now) = fixture.world(|world| {
        let new = world.project_at("web/storefront").expect("the newcomer").id;
        (
            world.factory.enabled.contains(&old),
            world.factory.enabled.contains(&new),
        )
    });
    assert_eq!((kept, now), (true, true));
    assert_eq!(
        fixture.state()["repositories"][old.to_string()]["path"],
        json!("web/storefront")
    );
    fixture.expect_nothing_to_do("both are enabled").await;
}

#[tokio::test]
async fn a_membership_of_a_project_that_moved_is_found_by_its_id() {
    let fixture = applied(|_| {}).await;
    fixture.world(|world| world.move_project("web/storefront", "web/shop"));
    let plan = fixture.plan().await;
    for address in [
        "gitlab.membership[\"web/storefront\"]",
        "factory.repository[\"web/storefront\"]",
    ] {
        assert_eq!(change(&plan, address)["reason"], json!("moved"), "{address}");
    }
    assert_eq!(deletions(&plan), 0);
    fixture.edit_config("web/storefront", "web/shop");
    fixture.edit_config("\"web/shop\" = \"maintainer\"", "\"web/shop\" = \"developer\"");
    let plan = fixture.plan().await;
    let changed = change(&plan, "gitlab.membership[\"web/shop\"]");
    // The file changed, and nothing else did: the record knows the membership under its former path.
    assert_eq!(
        (&changed["actions"], &changed["origin"]),
        (&json!(["update"]), &json!("pending"))
    );
    assert!(find(&plan, "factory.repository[\"web/shop\"]").is_none());
}
