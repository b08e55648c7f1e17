//! What waits for deletion in GitLab is not handed to Factory, whatever Factory's list says of it.

use serde_json::json;

use super::common::Fixture;
use super::common::plans::{change, find, notes};

async fn with_all_of_web() -> Fixture {
    let fixture = Fixture::complete().await;
    fixture.edit_config(
        "\"platform\" = \"developer\"",
        "\"platform\" = \"developer\"\n\"web\" = \"developer\"",
    );
    fixture.edit_config("[\"platform/**\", \"web/storefront\"]", "[\"platform/**\", \"web/**\"]");
    fixture
}

/// The paths that are enabled below a group.
fn enabled(fixture: &Fixture, below: &str) -> Vec<String> {
    fixture.world(|world| {
        let enabled = world
            .projects
            .iter()
            .filter(|one| world.factory.enabled.contains(&one.id));
        let paths = enabled.map(|one| one.full_path.clone());
        paths.filter(|path| path.starts_with(below)).collect()
    })
}

#[tokio::test]
async fn a_glob_does_not_select_it_at_the_first_apply_nor_at_the_second() {
    let fixture = with_all_of_web().await;
    fixture.world(|world| world.schedule_group_deletion("web/experiments"));
    for round in ["the first apply", "the second"] {
        fixture.apply().await.expect(0);
        let paths = enabled(&fixture, "web/");
        assert_eq!(
            paths,
            ["web/storefront", "web/admin-console", "web/design-system"],
            "{round}"
        );
    }
    fixture.expect_nothing_to_do("after both").await;
    // What is restored is an ordinary project again.
    fixture.world(|world| {
        let mut projects = world.projects.iter_mut();
        let restored = projects.find(|one| one.full_path == "web/landing-pages");
        restored.expect("the project").marked_for_deletion_on = None;
    });
    let plan = fixture.plan().await;
    assert!(find(&plan, "factory.repository[\"web/landing-pages\"]").is_some());
}

#[tokio::test]
async fn listed_by_its_path_it_is_told_that_it_waits() {
    let fixture = with_all_of_web().await;
    fixture.edit_config("\"web/**\"]", "\"web/landing-pages\", \"web/storefront\"]");
    for round in ["before the first apply", "after it"] {
        let plan = fixture.plan().await;
        let waits = change(&plan, "factory.repository[\"web/landing-pages\"]");
        assert_eq!(
            (&waits["status"], &waits["reason"]),
            (&json!("blocked"), &json!("pending_deletion")),
            "{round}"
        );
        assert!(notes(waits).contains("waits for deletion"), "{waits:#}");
        fixture.apply().await.expect(3);
    }
    // One that is enabled, and renamed by its deletion, or by that of its group.
    fixture.world(|world| world.schedule_project_deletion("web/storefront"));
    let plan = fixture.plan().await;
    let waits = change(&plan, "factory.repository[\"web/storefront\"]");
    assert_eq!(waits["reason"], json!("pending_deletion"), "{waits:#}");
}
