//! What was renamed, moved, or waits for its deletion.

use serde_json::json;

use super::api::Api;

#[tokio::test]
async fn what_waits_for_its_deletion_has_another_name_since_18() {
    for (generation, renamed) in [("gitlab=17.11", false), ("gitlab=18.5", true)] {
        let api = Api::new(&[generation]).await;
        let id = api.sandbox.with_world(|world| {
            assert!(world.schedule_project_deletion("web/storefront"));
            world
                .projects
                .iter()
                .find(|own| own.full_path.starts_with("web/storefront"))
                .unwrap()
                .id
        });
        let project = api.get(&format!("/api/v4/projects/{id}")).await.json();
        let name = if renamed {
            format!("web/storefront-deletion_scheduled-{id}")
        } else {
            "web/storefront".to_owned()
        };
        assert_eq!(project["path_with_namespace"], json!(name));
        assert!(project["marked_for_deletion_on"].is_string());
        let old = api.get("/api/v4/projects/web%2Fstorefront").await;
        assert_eq!(old.status, if renamed { 301 } else { 200 });
    }
}

#[tokio::test]
async fn a_group_takes_what_is_in_it_along() {
    let api = Api::new(&[]).await;
    let (doomed, moved) = api.sandbox.with_world(|world| {
        assert!(world.schedule_group_deletion("data"));
        assert!(world.move_group("platform/services", "web/services"));
        let id = |path: &str| {
            world
                .projects
                .iter()
                .find(|own| own.full_path.ends_with(path))
                .unwrap()
                .id
        };
        (id("/notebooks"), id("/payments"))
    });
    // The project itself is not marked, its group is.
    let project = api.get(&format!("/api/v4/projects/{doomed}")).await.json();
    assert!(
        project["path_with_namespace"]
            .as_str()
            .unwrap()
            .starts_with("data-deletion_scheduled-")
    );
    assert!(project["marked_for_deletion_on"].is_null());
    let active = api.get("/api/v4/projects?active=true&search=notebooks").await.json();
    assert_eq!(active, json!([]));
    let old = api.get("/api/v4/projects/platform%2Fservices%2Fpayments").await;
    assert_eq!(old.status, 301);
    assert!(old.header("location").unwrap().ends_with(&format!("/projects/{moved}")));
    let new = api.get("/api/v4/projects/web%2Fservices%2Fpayments").await.json();
    assert_eq!(new["namespace"]["full_path"], "web/services");
    assert_eq!(api.get("/api/v4/groups/platform%2Fservices").await.status, 404);
}

#[tokio::test]
async fn applications_that_registered_themselves_are_listed_in_full() {
    let api = Api::new(&["gitlab=19.3"]).await;
    api.sandbox.with_world(|world| world.add_dynamic_applications(10_000));
    let all = api.get("/api/v4/applications").await;
    assert!(all.header("link").is_none() && all.header("x-next-page").is_none());
    assert_eq!(all.json().as_array().unwrap().len(), 10_001);
}
