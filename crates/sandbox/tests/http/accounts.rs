//! Accounts over the API, where GitLab is not as one would think.

use serde_json::json;
use setpoint_sandbox::world::UserState;

use super::api::Api;

#[tokio::test]
async fn a_name_that_is_taken_says_by_what() {
    let api = Api::new(&["gitlab=19.3"]).await;
    let id = api.user("first").await;
    api.sandbox.with_world(|world| {
        world.user_mut(id).unwrap().secondary_emails = vec!["second@example.com".to_owned()];
    });
    for (username, email, status, said) in [
        (
            "first",
            "new@example.com",
            409,
            json!("Username has already been taken"),
        ),
        ("other", "FIRST@example.com", 409, json!("Email has already been taken")),
        (
            "other",
            "Second@example.com",
            409,
            json!("Email has already been taken"),
        ),
        (
            "platform",
            "new@example.com",
            400,
            json!({ "base": ["A user, alias, or group already exists with that username."] }),
        ),
        (
            "duo-helper",
            "new@example.com",
            400,
            json!({ "username": ["is a reserved name"] }),
        ),
    ] {
        let body = json!({ "username": username, "email": email, "name": "New", "password": "long enough 1" });
        let answer = api.root("POST", "/api/v4/users", Some(body)).await;
        assert_eq!(
            (answer.status, &answer.json()["message"]),
            (status, &said),
            "{username}"
        );
    }
    let emails = api.get(&format!("/api/v4/users/{id}/emails")).await;
    assert_eq!(emails.json()[0]["email"], "second@example.com");
}

#[tokio::test]
async fn white_space_is_stripped_and_accounts_may_be_external_from_the_start() {
    let api = Api::new(&["user_default_external=true"]).await;
    let id = api.user("first").await;
    let path = format!("/api/v4/users/{id}");
    assert_eq!(api.get(&path).await.json()["external"], true);
    let changed = api.root("PUT", &path, Some(json!({ "name": "  First  Last " }))).await;
    assert_eq!(changed.json()["name"], "First  Last");
    assert_eq!(
        api.get("/api/v4/application/settings").await.json()["user_default_external"],
        true
    );
    let namespace = api.get(&format!("/api/v4/namespaces/{}", 1_000_000 + id)).await;
    assert_eq!(namespace.json()["full_path"], "first");
}

#[tokio::test]
async fn states_change_with_a_201_that_may_be_false() {
    let api = Api::new(&[]).await;
    let id = api.user("first").await;
    let post = async |action: &str| {
        let answer = api.root("POST", &format!("/api/v4/users/{id}/{action}"), None).await;
        (answer.status, answer.text)
    };
    let state = |state: UserState| {
        api.sandbox
            .with_world(|world| world.user_mut(id).unwrap().state = state);
    };
    assert_eq!(post("ban").await, (201, "true".to_owned()));
    assert_eq!(
        post("unblock").await,
        (201, "true".to_owned()),
        "unblock lifts a ban, too"
    );
    assert_eq!(post("approve").await.0, 409);
    state(UserState::BlockedPendingApproval);
    assert_eq!(post("approve").await, (201, "true".to_owned()));
    assert_eq!(post("block").await, (201, "true".to_owned()));
    api.sandbox
        .with_world(|world| world.user_mut(id).unwrap().invalid = true);
    assert_eq!(post("unblock").await, (201, "false".to_owned()));
    let now = api.sandbox.with_world(|world| world.user(id).unwrap().state);
    assert_eq!(now, UserState::Blocked);
}
