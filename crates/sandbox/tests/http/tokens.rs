//! Fine-grained tokens, and what stands between a client and GitLab.

use std::collections::BTreeSet;

use serde_json::json;
use setpoint_sandbox::world::{PersonalToken, digest};

use super::api::Api;

const TOKEN: &str = "glpat-fine-grained";

/// Gives the administrator a token with those permissions.
fn grant(api: &Api, permissions: &[&str]) {
    api.sandbox.with_world(|world| {
        world.personal_tokens.retain(|token| token.granular.is_none());
        world.personal_tokens.push(PersonalToken {
            id: 99,
            user_id: 1,
            name: "fine".to_owned(),
            token_digest: digest(TOKEN),
            granular: Some(
                permissions
                    .iter()
                    .map(|name| (*name).to_owned())
                    .collect::<BTreeSet<_>>(),
            ),
            ..PersonalToken::default()
        });
    });
}

#[tokio::test]
async fn a_fine_grained_token_does_what_it_was_given_and_passes_admin_mode() {
    let api = Api::new(&["gitlab=19.3", "admin_mode=true"]).await;
    grant(
        &api,
        &["read_personal_access_token", "read_oauth_application", "read_metadata"],
    );
    let own = api
        .send("GET", "/api/v4/personal_access_tokens/self", Some(TOKEN), None)
        .await
        .json();
    assert_eq!((&own["scopes"], &own["granular"]), (&json!(["granular"]), &json!(true)));
    assert_eq!(
        api.send("GET", "/api/v4/applications", Some(TOKEN), None).await.status,
        200
    );
    for (method, path, said) in [
        (
            "GET",
            "/api/v4/application/settings",
            "instance permissions: [Application Setting: Read]",
        ),
        (
            "POST",
            "/api/v4/applications",
            "instance permissions: [OAuth Application: Create]",
        ),
        (
            "POST",
            "/api/v4/applications/1/renew-secret",
            "instance permissions: [OAuth Application: Renew Secret]",
        ),
        ("GET", "/api/v4/projects/1", "project permissions: [Project: Read]"),
        ("GET", "/api/v4/user", "instance permissions: [User: Read]"),
    ] {
        let refused = api.send(method, path, Some(TOKEN), None).await;
        let body = refused.json();
        assert_eq!(
            (refused.status, &body["error"]),
            (403, &json!("insufficient_granular_scope")),
            "{path}"
        );
        assert!(body["error_description"].as_str().unwrap().contains(said), "{body}");
    }
    let legacy = api.get("/api/v4/personal_access_tokens/self").await.json();
    assert_eq!(legacy["granular"], false);
}

#[tokio::test]
async fn a_proxy_refuses_drops_and_answers_by_itself() {
    let api = Api::new(&[]).await;
    let set = |switch: &str| api.sandbox.with_world(|world| world.switches.set(switch).unwrap());
    let encoded = "/api/v4/projects/platform%2Fhandbook";
    set("proxy_drops_headers=true");
    let page = api.get("/api/v4/projects?per_page=2").await;
    assert!(page.header("link").is_none() && page.header("x-next-page").is_none());
    assert_eq!(page.json().as_array().unwrap().len(), 2);
    set("proxy_encoded_slash=refuse");
    let refused = api.get(encoded).await;
    assert_eq!(
        (refused.status, refused.header("content-type")),
        (404, Some("text/html"))
    );
    set("proxy_encoded_slash=decode");
    let decoded = api.get(encoded).await;
    assert_eq!(
        (decoded.status, decoded.header("content-type")),
        (404, Some("application/json"))
    );
    for status in [401, 403, 520, 524] {
        set(&format!("proxy_status={status}"));
        let answer = api.get("/api/v4/metadata").await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some("text/html"))
        );
    }
}
