//! The sandbox's GitLab as a client of its API meets it: what GitLab's own specs and documents promise.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use setpoint_sandbox::{Action, Intercept, Options, ROOT_TOKEN, Seen};

use super::api::{Answer, Api};

const SCOPES: &str = "api read_api read_user";

fn application(scopes: &str) -> Value {
    json!({ "name": "Factory Integration", "redirect_uri": "https://app.example.com/callback", "scopes": scopes, "trusted": true })
}

#[tokio::test]
async fn applications_are_made_listed_renewed_and_deleted() {
    let api = Api::new(&[]).await;
    let made = api
        .root("POST", "/api/v4/applications", Some(application(SCOPES)))
        .await;
    assert_eq!(made.status, 201);
    let made = made.json();
    assert!(made["secret"].as_str().unwrap().starts_with("gloas-"));
    assert!(made.get("trusted").is_none() && made.get("scopes").is_none());
    let id = made["id"].as_u64().unwrap();
    assert!(
        !api.sandbox.with_world(|world| world.application(id).unwrap().trusted),
        "`trusted` is dropped"
    );

    let list = api.get("/api/v4/applications?per_page=1").await;
    assert_eq!(list.json().as_array().unwrap().len(), 2, "the list has no pages");
    assert!(list.header("x-page").is_none() && list.header("link").is_none());

    let renewed = api
        .root("POST", &format!("/api/v4/applications/{id}/renew-secret"), None)
        .await;
    assert_eq!(renewed.status, 201);
    assert_ne!(renewed.json()["secret"], made["secret"]);
    assert_eq!(
        api.root("DELETE", &format!("/api/v4/applications/{id}"), None)
            .await
            .status,
        204
    );
    let again = api.root("DELETE", &format!("/api/v4/applications/{id}"), None).await;
    assert_eq!(
        (again.status, again.json()),
        (404, json!({ "message": "404 Application Not Found" }))
    );
}

#[tokio::test]
async fn the_scopes_of_an_application_show_from_19() {
    let api = Api::new(&["gitlab_version=19.0.0-ee"]).await;
    api.root("POST", "/api/v4/applications", Some(application("read_user api")))
        .await;
    assert_eq!(
        api.get("/api/v4/applications").await.json()[1]["scopes"],
        json!(["read_user", "api"])
    );
}

#[tokio::test]
async fn a_wrong_application_is_refused_in_gitlabs_words() {
    let api = Api::new(&["no_observability_scopes=true"]).await;
    let cases = [
        (
            json!({}),
            json!({ "error": "name is missing, redirect_uri is missing, scopes is missing, scopes is empty" }),
        ),
        (
            json!({ "name": "x", "redirect_uri": "https://a.example.com", "scopes": " " }),
            json!({ "error": "scopes is empty" }),
        ),
        (
            json!({ "name": "x", "redirect_uri": "nowhere", "scopes": "api" }),
            json!({ "message": { "redirect_uri": ["must be a valid URI."] } }),
        ),
        (
            json!({ "name": "x", "redirect_uri": "javascript:alert()", "scopes": "api" }),
            json!({ "message": { "redirect_uri": ["is forbidden by the server.", "must specify a scheme."] } }),
        ),
        (
            application("api read_observability"),
            json!({ "message": { "scopes": ["doesn't match configured on the server."] } }),
        ),
    ];
    for (body, expected) in cases {
        let answer = api.root("POST", "/api/v4/applications", Some(body)).await;
        assert_eq!((answer.status, answer.json()), (400, expected));
    }
}

#[tokio::test]
async fn who_may_not_is_told_why() {
    let api = Api::new(&["admin_mode=true", r#"token_scopes_missing=["admin_mode"]"#]).await;
    let nobody = api.send("GET", "/api/v4/applications", None, None).await;
    assert_eq!(
        (nobody.status, nobody.json()),
        (401, json!({ "message": "401 Unauthorized" }))
    );
    let wrong = api.send("GET", "/api/v4/user", Some("glpat-wrong"), None).await;
    assert_eq!(
        (wrong.status, wrong.json()),
        (401, json!({ "message": "401 Unauthorized" }))
    );
    let refused = api.get("/api/v4/applications").await;
    assert_eq!(
        (refused.status, refused.json()),
        (403, json!({ "message": "403 Forbidden" }))
    );
    assert_eq!(api.get("/api/v4/user").await.json()["is_admin"], true);
    assert_eq!(
        api.get("/api/v4/personal_access_tokens/self").await.json()["scopes"],
        json!(["api", "sudo"])
    );

    api.sandbox
        .with_world(|world| world.switches.set("token_expires_at=2020-01-01"))
        .unwrap();
    let expired = api.get("/api/v4/user").await;
    assert_eq!(
        (expired.status, &expired.json()["error"]),
        (401, &json!("invalid_token"))
    );
}

#[tokio::test]
async fn a_user_is_told_why_the_api_is_closed() {
    let api = Api::new(&[]).await;
    let id = api.user("droid").await;
    let token = api.token_of(id, &["read_api"]).await;
    let ask = || api.send("GET", "/api/v4/user", Some(&token), None);
    assert_eq!(ask().await.status, 200);
    let write = api
        .send("POST", "/api/v4/groups/1/members", Some(&token), Some(json!({})))
        .await;
    assert_eq!(
        (write.status, &write.json()["error"]),
        (403, &json!("insufficient_scope"))
    );
    assert_eq!(write.json()["scope"], "api");

    let path = format!("/api/v4/users/{id}");
    let said = |answer: Answer, text: &str| {
        assert_eq!(answer.status, 403);
        assert!(
            answer.json()["message"].as_str().unwrap().contains(text),
            "{}",
            answer.text
        );
    };
    assert_eq!(api.root("POST", &format!("{path}/block"), None).await.status, 201);
    said(ask().await, "has been blocked");
    assert_eq!(
        api.root("POST", &format!("{path}/unblock"), None).await.json(),
        json!(true)
    );
    assert_eq!(api.root("POST", &format!("{path}/deactivate"), None).await.status, 201);
    said(ask().await, "deactivated");
    assert_eq!(api.root("POST", &format!("{path}/unblock"), None).await.status, 403);
    assert_eq!(api.root("POST", &format!("{path}/activate"), None).await.status, 201);
    api.root("PUT", &path, Some(json!({ "password": "another long one" })))
        .await;
    said(ask().await, "password expired");
    api.sandbox.with_world(|world| {
        world.user_mut(id).unwrap().password_expires_at = None;
        world.switches.enforce_terms = true;
    });
    said(ask().await, "must accept the Terms of Service");
}

#[tokio::test]
async fn users_are_found_changed_and_deleted() {
    let api = Api::new(&[]).await;
    let id = api.user("factory-droid").await;
    let found = api.get("/api/v4/users?username=Factory-Droid").await.json();
    assert_eq!(
        (found.as_array().unwrap().len(), found[0]["email"].as_str()),
        (1, Some("factory-droid@example.com"))
    );
    assert_eq!(
        api.get("/api/v4/users?search=factory-droid@example.com").await.json()[0]["id"],
        id
    );
    assert_eq!(
        api.get("/api/v4/users?search=Dvo%C5%99%C3%A1k").await.json()[0]["name"],
        "Zoë Dvořák"
    );

    let path = format!("/api/v4/users/{id}");
    let pending = api
        .root("PUT", &path, Some(json!({ "email": "new@example.com" })))
        .await
        .json();
    assert_eq!(
        pending["email"], "factory-droid@example.com",
        "an address waits for its confirmation"
    );
    let changed =
        json!({ "email": "new@example.com", "skip_reconfirmation": true, "username": "droid-2", "name": "Two" });
    let changed = api.root("PUT", &path, Some(changed)).await.json();
    assert_eq!(
        (&changed["email"], &changed["username"]),
        (&json!("new@example.com"), &json!("droid-2"))
    );
    assert!(changed.get("password_expires_at").is_none());
    let taken = api.root("PUT", &path, Some(json!({ "username": "ROOT" }))).await;
    assert_eq!(
        (taken.status, taken.json()),
        (409, json!({ "message": "Username has already been taken" }))
    );
    assert_eq!(api.root("DELETE", &path, None).await.status, 204);
    assert_eq!(api.get(&path).await.json(), json!({ "message": "404 User Not Found" }));
}

#[tokio::test]
async fn a_user_that_cannot_be_is_refused() {
    let api = Api::new(&[]).await;
    let good =
        json!({ "username": "droid", "name": "Droid", "email": "droid@example.com", "password": "long enough 1" });
    let with = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body
    };
    let cases = [
        (
            with("email", json!("ADMIN@example.com")),
            409,
            json!({ "message": "Email has already been taken" }),
        ),
        (
            with("username", json!("Root")),
            409,
            json!({ "message": "Username has already been taken" }),
        ),
        (
            with("username", json!("platform")),
            400,
            json!({ "message": { "base": ["A user, alias, or group already exists with that username."] } }),
        ),
        (
            with("password", json!("short")),
            400,
            json!({ "message": { "password": ["is too short (minimum is 8 characters)"] } }),
        ),
        (
            with("password", Value::Null),
            400,
            json!({ "error": "password, reset_password, force_random_password are missing, at least one parameter must be provided" }),
        ),
    ];
    for (body, status, expected) in cases {
        let answer = api.root("POST", "/api/v4/users", Some(body)).await;
        assert_eq!((answer.status, answer.json()), (status, expected));
    }
}

#[tokio::test]
async fn projects_come_by_keyset_over_links_that_carry_the_external_url() {
    let options = Options {
        gitlab_external_url: Some("https://gitlab.example.com/git/".to_owned()),
        ..Options::default()
    };
    let api = Api::with(options, &["relative_url_root=/git"]).await;
    let mut path = "/api/v4/projects?pagination=keyset&order_by=id&sort=asc&per_page=20&simple=true".to_owned();
    let (mut ids, mut requests) = (Vec::new(), 0);
    loop {
        let page = api.get(&path).await;
        assert_eq!(page.status, 200);
        assert!(page.header("x-total").is_none() && page.header("x-page").is_none());
        requests += 1;
        ids.extend(
            page.json()
                .as_array()
                .unwrap()
                .iter()
                .map(|project| project["id"].as_u64().unwrap()),
        );
        let Some(next) = page.next() else { break };
        path = next
            .strip_prefix("https://gitlab.example.com/git")
            .expect("the external URL")
            .to_owned();
    }
    let all = api
        .sandbox
        .with_world(|world| world.projects.iter().map(|project| project.id).collect::<Vec<_>>());
    assert_eq!(ids, all);
    assert_eq!(requests, all.len() / 20 + 2, "the last page is an empty one");
    let refused = api.get("/api/v4/projects?pagination=keyset&order_by=name").await;
    assert_eq!(refused.status, 405);
}

#[tokio::test]
async fn projects_come_by_number_too() {
    let api = Api::new(&[]).await;
    let total = api.sandbox.with_world(|world| world.projects.len());
    let page = api
        .get("/api/v4/projects?per_page=10&page=2&order_by=id&sort=asc")
        .await;
    assert_eq!(page.json()[0]["id"], 11);
    let headers =
        ["x-page", "x-next-page", "x-prev-page", "x-per-page", "x-total"].map(|name| page.header(name).unwrap());
    assert_eq!(headers, ["2", "3", "1", "10", total.to_string().as_str()]);
    assert!(page.header("link").unwrap().contains("rel=\"last\""));
    let part = api
        .get("/api/v4/projects?id_after=5&id_before=8&archived=false")
        .await
        .json();
    assert_eq!(part.as_array().unwrap().len(), 2);
    assert_eq!(api.get("/api/v4/projects?page=0").await.status, 400);
    // Only so many rows may be skipped of groups and users, and of projects by whoever is nobody.
    let far = "page=9999&per_page=100";
    assert_eq!(api.get(&format!("/api/v4/projects?{far}")).await.json(), json!([]));
    for (path, token) in [
        ("projects", None),
        ("groups", Some(ROOT_TOKEN)),
        ("users", Some(ROOT_TOKEN)),
    ] {
        let answer = api.send("GET", &format!("/api/v4/{path}?{far}"), token, None).await;
        assert_eq!(answer.status, 405, "{path}");
    }
    let archived = api.get("/api/v4/projects?archived=true&per_page=100").await.json();
    assert!(
        archived
            .as_array()
            .unwrap()
            .iter()
            .all(|project| project["archived"] == true)
    );
}

#[tokio::test]
async fn a_user_sees_what_it_may() {
    let api = Api::new(&[]).await;
    let id = api.user("droid").await;
    let token = api.token_of(id, &["read_api"]).await;
    let see = |path: &'static str| api.send("GET", path, Some(&token), None);
    assert_eq!(
        see("/api/v4/projects/platform%2Fservices%2Fcheckout").await.json()["message"],
        "404 Project Not Found"
    );
    assert_eq!(see("/api/v4/projects/web%2Fstorefront").await.status, 200, "internal");
    assert_eq!(see("/api/v4/projects?membership=true").await.json(), json!([]));
    let body = json!({ "user_id": id, "access_level": 30 });
    assert_eq!(
        api.root("POST", "/api/v4/groups/platform%2Fservices/members", Some(body))
            .await
            .status,
        201
    );
    let checkout = see("/api/v4/projects/platform%2Fservices%2Fcheckout").await.json();
    assert_eq!(checkout["permissions"]["group_access"]["access_level"], 30);
    assert_eq!(
        see("/api/v4/projects?membership=true&per_page=100")
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        13
    );
    assert_eq!(see("/api/v4/groups/platform").await.status, 200, "a group above shows");
    assert_eq!(see("/api/v4/groups/finance").await.status, 404);
    let sudo = api
        .send_with(
            "GET",
            "/api/v4/user",
            Some(setpoint_sandbox::ROOT_TOKEN),
            &[("Sudo", "droid")],
            None,
        )
        .await;
    assert_eq!(sudo.json()["username"], "droid");
    let unknown = api
        .send_with(
            "GET",
            "/api/v4/user",
            Some(setpoint_sandbox::ROOT_TOKEN),
            &[("Sudo", "123")],
            None,
        )
        .await;
    assert_eq!(
        unknown.json()["message"],
        "404 User with ID or username '123' Not Found"
    );
    let mine = api.get(&format!("/api/v4/users/{id}/memberships")).await.json();
    assert_eq!(
        mine,
        json!([{ "source_id": 2, "source_name": "Services", "source_type": "Namespace", "access_level": 30 }])
    );
}

#[tokio::test]
async fn a_moved_project_says_where_it_is() {
    let api = Api::new(&[]).await;
    let moved = api
        .get("/api/v4/projects/platform%2Fservices%2Fbasket?simple=true")
        .await;
    let id = api
        .sandbox
        .with_world(|world| world.project_at("platform/services/cart").unwrap().id);
    let location = format!("{}/api/v4/projects/{id}?simple=true", api.sandbox.gitlab_url());
    assert_eq!((moved.status, moved.header("location")), (301, Some(location.as_str())));
    let below = api
        .get("/api/v4/projects/platform%2Fservices%2Fbasket/members/all")
        .await;
    assert!(
        below
            .header("location")
            .unwrap()
            .ends_with(&format!("/projects/{id}/members/all"))
    );
    let body = json!({ "user_id": 2, "access_level": 30 });
    let write = api
        .root(
            "POST",
            "/api/v4/projects/platform%2Fservices%2Fbasket/members",
            Some(body),
        )
        .await;
    assert_eq!(write.status, 405);
}

#[tokio::test]
async fn members_are_added_changed_and_removed() {
    let api = Api::new(&[]).await;
    let id = api.user("droid").await;
    let group = "/api/v4/groups/platform/members";
    let add = |level: u32| json!({ "user_id": id, "access_level": level });
    let added = api.root("POST", group, Some(add(30))).await;
    assert_eq!((added.status, &added.json()["access_level"]), (201, &json!(30)));
    let again = api.root("POST", group, Some(add(30))).await;
    assert_eq!(
        (again.status, again.json()),
        (409, json!({ "message": "Member already exists" }))
    );
    assert_eq!(
        api.root("POST", group, Some(json!({ "user_id": 999, "access_level": 30 })))
            .await
            .json(),
        json!({ "message": "404 User Not Found" })
    );
    assert_eq!(
        api.root("POST", group, Some(add(31))).await.json(),
        json!({ "error": "access_level does not have a valid value" })
    );
    assert_eq!(
        api.root("POST", group, Some(json!({ "user_id": id }))).await.json(),
        json!({ "error": "access_level is missing" })
    );

    let below = "/api/v4/projects/platform%2Fservices%2Fcheckout/members";
    let lower = api.root("POST", below, Some(add(20))).await;
    let fault = "should be greater than or equal to Developer inherited membership from group Platform";
    assert_eq!(
        (lower.status, lower.json()),
        (400, json!({ "message": { "access_level": [fault] } }))
    );
    assert_eq!(
        api.get(&format!("{below}/{id}")).await.json(),
        json!({ "message": "404 Not found" })
    );
    assert_eq!(api.get(&format!("{below}/all/{id}")).await.json()["access_level"], 30);

    let one = format!("{group}/{id}");
    assert_eq!(
        api.root("PUT", &one, Some(json!({ "access_level": 40 }))).await.json()["access_level"],
        40
    );
    assert_eq!(api.root("DELETE", &one, None).await.status, 204);
    assert_eq!(api.root("DELETE", &one, None).await.status, 404);
    let many = api
        .root(
            "POST",
            group,
            Some(json!({ "user_id": format!("{id},999"), "access_level": 30 })),
        )
        .await;
    assert_eq!((many.status, &many.json()["status"]), (201, &json!("error")));
}

#[tokio::test]
async fn graphql_answers_by_alias_and_leaves_out_what_is_not_seen() {
    let api = Api::new(&[]).await;
    let paths = [
        "web/storefront",
        "platform/services/basket",
        "no/such",
        "platform/archive/monolith",
    ];
    let query = "query($p: [String!]) { me: currentUser { username id } metadata { version enterprise }
        projects(fullPaths: $p) { nodes { id fullPath archived } pageInfo { hasNextPage endCursor } }
        a: group(fullPath: \"platform\") { id fullPath } b: group(fullPath: \"nowhere\") { id } }";
    let answer = api.graphql(query, json!({ "p": paths })).await;
    assert!(answer.get("errors").is_none(), "{answer}");
    let data = &answer["data"];
    assert_eq!(data["me"], json!({ "username": "root", "id": "gid://gitlab/User/1" }));
    let found: Vec<&str> = data["projects"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["fullPath"].as_str().unwrap())
        .collect();
    assert_eq!(found, ["web/storefront", "platform/archive/monolith"]);
    assert_eq!((&data["a"]["fullPath"], &data["b"]), (&json!("platform"), &Value::Null));

    let page = "query($after: String) { projects(first: 30, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }";
    let first = api.graphql(page, json!({})).await;
    let cursor = &first["data"]["projects"]["pageInfo"]["endCursor"];
    let second = api.graphql(page, json!({ "after": cursor })).await;
    assert_eq!(second["data"]["projects"]["pageInfo"]["hasNextPage"], false);
    let total = api.sandbox.with_world(|world| world.projects.len());
    assert_eq!(
        second["data"]["projects"]["nodes"].as_array().unwrap().len(),
        total - 30
    );
}

#[tokio::test]
async fn a_graphql_fault_is_a_200_with_errors() {
    let api = Api::new(&[]).await;
    let query = "query($p: [String!]) { projects(fullPaths: $p) { nodes { id } } }";
    let paths: Vec<String> = (0..51).map(|number| format!("a/{number}")).collect();
    let many = api.graphql(query, json!({ "p": paths })).await;
    assert!(many["errors"][0]["message"].as_str().unwrap().contains("more than 50"));
    let unknown = api.graphql("{ currentUser { salary } }", json!({})).await;
    assert_eq!(
        unknown["errors"][0]["message"],
        "Field 'salary' doesn't exist on type 'CurrentUser'"
    );
    assert!(unknown.get("data").is_none());
    assert!(api.graphql("{ currentUser { ", json!({})).await["errors"].is_array());
    let groups: Vec<String> = (0..200)
        .map(|number| format!("g{number}: group(fullPath: \"x\") {{ id }}"))
        .collect();
    let heavy = groups.join(" ");
    let heavy = api.graphql(&format!("{{ {heavy} }}"), json!({})).await;
    assert!(
        heavy["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("complexity of 400")
    );
    let wrong = api
        .send(
            "POST",
            "/api/graphql",
            Some("glpat-wrong"),
            Some(json!({ "query": "{ metadata { version } }" })),
        )
        .await;
    assert_eq!(wrong.status, 401);
}

#[tokio::test]
async fn terraform_state_is_stored_under_a_lock() {
    let api = Api::new(&[]).await;
    let path = "/api/v4/projects/1/terraform/state/setpoint";
    let lock = |id: &str| json!({ "ID": id, "Operation": "apply", "Info": "", "Who": "ci@runner", "Version": "1", "Created": "now", "Path": "" });
    assert_eq!(api.get(path).await.status, 404);
    assert_eq!(
        api.root("POST", &format!("{path}/lock"), Some(lock("one")))
            .await
            .status,
        200
    );
    assert_eq!(api.get(path).await.status, 204, "locked, nothing stored");
    let second = api.root("POST", &format!("{path}/lock"), Some(lock("two"))).await;
    assert_eq!(
        (second.status, &second.json()["ID"], &second.json()["Who"]),
        (409, &json!("one"), &json!("root"))
    );
    assert_eq!(
        api.root("POST", path, Some(json!({ "serial": 1 }))).await.status,
        500,
        "without the lock's id"
    );
    assert_eq!(
        api.root("POST", &format!("{path}?ID=one"), Some(json!({ "serial": 1 })))
            .await
            .status,
        200
    );
    assert_eq!(
        api.root("POST", &format!("{path}?ID=one"), Some(json!({ "serial": 1 })))
            .await
            .status,
        422
    );
    assert_eq!(
        api.root("POST", &format!("{path}?ID=one"), Some(json!({})))
            .await
            .status,
        422
    );
    for serial in [4, 3] {
        let path = format!("{path}?ID=one");
        let write = api.root("POST", &path, Some(json!({ "serial": serial }))).await;
        assert_eq!(write.status, 200);
    }
    assert_eq!(
        api.get(path).await.json(),
        json!({ "serial": 4 }),
        "the highest is served, not the newest"
    );
    assert_eq!(api.root("DELETE", path, None).await.status, 200);
    assert_eq!(api.get(path).await.status, 200, "what is locked is not deleted");
    assert_eq!(
        api.root("DELETE", &format!("{path}/lock"), Some(lock("two")))
            .await
            .status,
        409
    );
    assert_eq!(
        api.root("DELETE", &format!("{path}/lock"), Some(lock("one")))
            .await
            .status,
        200
    );
    assert_eq!(api.get(path).await.json(), json!({ "serial": 4 }));

    let url = format!("{}{path}", api.sandbox.gitlab_url());
    let basic = api
        .client
        .get(&url)
        .basic_auth("root", Some(setpoint_sandbox::ROOT_TOKEN))
        .send()
        .await
        .unwrap();
    assert_eq!(basic.status(), 200);
    let wrong = api
        .client
        .get(&url)
        .basic_auth("root", Some("wrong"))
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), 401);
    assert_eq!(api.root("DELETE", path, None).await.status, 200);
    assert_eq!(api.get(path).await.status, 404);
}

#[tokio::test]
async fn the_instance_says_what_it_is() {
    let api = Api::new(&["gitlab_version=17.2.0", "require_two_factor=true"]).await;
    let metadata = api.get("/api/v4/metadata").await.json();
    assert_eq!(
        (&metadata["version"], &metadata["enterprise"]),
        (&json!("17.2.0"), &json!(false))
    );
    assert_eq!(
        api.get("/api/v4/application/settings").await.json()["require_two_factor_authentication"],
        true
    );
    let openid = api
        .send("GET", "/.well-known/openid-configuration", None, None)
        .await
        .json();
    assert!(
        openid["scopes_supported"]
            .as_array()
            .unwrap()
            .contains(&json!("read_observability"))
    );
    assert_eq!(api.send("GET", "/api/v4/metadata", None, None).await.status, 401);
    assert_eq!(
        api.get("/api/v4/no/such").await.json(),
        json!({ "error": "404 Not Found" })
    );
    assert_eq!(
        api.get("/api/v4/namespaces/platform/exists").await.json()["exists"],
        true
    );
}

#[tokio::test]
async fn too_many_requests_are_told_to_wait() {
    let api = Api::new(&["rate_limit=3", "rate_limit_window_seconds=3600"]).await;
    for _ in 0..3 {
        assert_eq!(api.get("/api/v4/version").await.status, 200);
    }
    let refused = api.get("/api/v4/version").await;
    assert_eq!((refused.status, refused.text.as_str()), (429, "Retry later\n"));
    assert_eq!(refused.header("content-type"), Some("text/plain"));
    assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() > 3000);
    assert_eq!(refused.header("ratelimit-remaining"), Some("0"));
    let other = api.send("GET", "/api/v4/version", Some("glpat-other"), None).await;
    assert_eq!(other.status, 401, "each caller has its own count");
}

#[tokio::test]
async fn writes_are_refused_in_maintenance_and_on_a_read_only_secondary() {
    let api = Api::new(&["maintenance_mode=true"]).await;
    let write = || api.root("POST", "/api/v4/applications", Some(application("api")));
    let refused = write().await;
    assert_eq!(
        (refused.status, &refused.json()["message"]),
        (503, &json!("GitLab Maintenance: system is in maintenance mode"))
    );
    assert_eq!(api.get("/api/v4/applications").await.status, 200);
    assert_eq!(
        api.graphql("{ currentUser { id } }", json!({})).await["data"]["currentUser"]["id"],
        "gid://gitlab/User/1"
    );
    api.sandbox.with_world(|world| {
        world.switches.maintenance_mode = false;
        world.switches.read_only = true;
    });
    assert_eq!(write().await.status, 403);
}

#[tokio::test]
async fn faults_strike_where_they_are_told() {
    let fault = r#"faults=[{"path": "/version", "times": 1, "action": {"respond": {"status": 502, "headers": [["content-type", "text/html"]], "body": "<h1>Bad Gateway</h1>"}}}]"#;
    let api = Api::new(&[fault]).await;
    let struck = api.get("/api/v4/version").await;
    assert_eq!((struck.status, struck.header("content-type")), (502, Some("text/html")));
    assert_eq!(api.get("/api/v4/version").await.status, 200);
}

/// Loses the answer to the first write, and remembers what it saw.
struct Loser(Mutex<Vec<(String, String)>>, Action);

impl Intercept for Loser {
    fn after(&self, request: &Seen, status: u16) -> Action {
        let mut seen = self.0.lock().unwrap();
        seen.push((format!("{} {}", request.method, request.path), status.to_string()));
        if request.write && seen.len() == 1 {
            self.1.clone()
        } else {
            Action::Pass
        }
    }
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_deed() {
    for action in [Action::Drop, Action::Truncate(40)] {
        let loser = Arc::new(Loser(Mutex::new(Vec::new()), action));
        let options = Options {
            intercept: Some(loser.clone()),
            ..Options::default()
        };
        let api = Api::with(options, &[]).await;
        let url = format!("{}/api/v4/applications", api.sandbox.gitlab_url());
        let request = api
            .client
            .post(url)
            .header("PRIVATE-TOKEN", setpoint_sandbox::ROOT_TOKEN)
            .json(&application("api"));
        let lost = match request.send().await {
            Ok(response) => response.bytes().await.is_err(),
            Err(_) => true,
        };
        assert!(lost);
        assert_eq!(
            loser.0.lock().unwrap()[0],
            ("POST /api/v4/applications".to_owned(), "201".to_owned())
        );
        assert_eq!(
            api.get("/api/v4/applications").await.json().as_array().unwrap().len(),
            2
        );
        let log = api.sandbox.requests();
        assert!(log[0].write && !log[1].write && log[1].status == Some(200));
    }
}

#[tokio::test]
async fn a_world_is_kept_in_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sandbox.json");
    let options = || Options {
        world_file: Some(file.clone()),
        ..Options::default()
    };
    let api = Api::with(options(), &["latency_ms=1"]).await;
    api.root("POST", "/api/v4/applications", Some(application("api"))).await;
    let saved = setpoint_sandbox::World::load(&file).unwrap();
    assert_eq!(saved.applications.len(), 2, "it is saved before the answer");
    api.sandbox.stop().await.unwrap();
    let api = Api::with(options(), &[]).await;
    assert_eq!(
        api.get("/api/v4/applications").await.json()[1]["application_name"],
        "Factory Integration"
    );
    assert_eq!(api.sandbox.with_world(|world| world.switches.latency_ms), 1);
}
