//! Memberships over the API: requests for access, roles of every kind, approval, invited groups.

use serde_json::{Value, json};
use setpoint_sandbox::world::{Member, MemberRole, Share, Source};

use super::api::Api;

/// Ids of a group by path.
fn group(api: &Api, path: &str) -> u64 {
    api.sandbox.with_world(|world| world.group_at(path).unwrap().id)
}

/// Ids of a project by path.
fn project(api: &Api, path: &str) -> u64 {
    api.sandbox.with_world(|world| world.project_at(path).unwrap().id)
}

/// The places and roles of a list of memberships.
fn rows(list: &Value) -> Vec<(u64, u64)> {
    let rows = list.as_array().unwrap().iter();
    rows.map(|row| {
        (
            row["source_id"].as_u64().unwrap(),
            row["access_level"].as_u64().unwrap(),
        )
    })
    .collect()
}

#[tokio::test]
async fn requests_are_among_memberships_unless_a_type_is_asked_for() {
    let api = Api::new(&[]).await;
    let id = api.user("member").await;
    let (platform, web, data) = (group(&api, "platform"), group(&api, "web"), group(&api, "data"));
    let handbook = project(&api, "platform/handbook");
    api.sandbox.with_world(|world| {
        let now = world.now();
        world.set_member(Source::Group(platform), id, 30);
        world.set_member(Source::Group(web), id, 5);
        world.set_member(Source::Project(handbook), id, 40);
        let request = Member::new(Source::Group(data), id, 30, now);
        world.members.push(Member {
            requested: true,
            ..request
        });
    });
    let path = format!("/api/v4/users/{id}/memberships");
    let all = api.get(&path).await.json();
    assert_eq!(rows(&all), [(platform, 30), (web, 5), (handbook, 40), (data, 30)]);
    assert_eq!(
        rows(&api.get(&format!("{path}?type=Namespace")).await.json()),
        [(platform, 30)]
    );
    assert_eq!(
        rows(&api.get(&format!("{path}?type=Project")).await.json()),
        [(handbook, 40)]
    );
    let member = format!("/api/v4/groups/{data}/members/{id}");
    assert_eq!(api.get(&member).await.status, 404, "a request is no membership");
    // A post makes the member, and a row that was changed comes last.
    let body = json!({ "user_id": id, "access_level": 20 });
    let made = api
        .root("POST", &format!("/api/v4/groups/{data}/members"), Some(body))
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let body = json!({ "access_level": 40 });
    api.root("PUT", &format!("/api/v4/groups/{platform}/members/{id}"), Some(body))
        .await;
    let all = api.get(&path).await.json();
    assert_eq!(rows(&all), [(web, 5), (handbook, 40), (data, 20), (platform, 40)]);
}

#[tokio::test]
async fn roles_are_as_old_as_they_are() {
    for (generation, level, status) in [
        ("gitlab=16.11", 15, 400),
        ("gitlab=17.11", 15, 201),
        ("gitlab=18.5", 25, 400),
        ("gitlab=19.3", 25, 201),
        ("gitlab=16.11", 5, 201),
        ("gitlab=19.3", 17, 400),
    ] {
        let api = Api::new(&[generation]).await;
        let id = api.user("member").await;
        let body = json!({ "user_id": id, "access_level": level });
        let answer = api
            .root(
                "POST",
                &format!("/api/v4/groups/{}/members", group(&api, "web")),
                Some(body),
            )
            .await;
        assert_eq!(answer.status, status, "{generation} {level}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_custom_role_adds_to_its_base() {
    let api = Api::new(&[]).await;
    let id = api.user("member").await;
    api.sandbox.with_world(|world| {
        world.member_roles.push(MemberRole {
            id: 7,
            name: "Guest who reads code".to_owned(),
            base_access_level: 10,
        });
    });
    let members = format!("/api/v4/groups/{}/members", group(&api, "web"));
    let body = |level: u64| json!({ "user_id": id, "access_level": level, "member_role_id": 7 });
    assert_eq!(api.root("POST", &members, Some(body(30))).await.status, 400);
    let made = api.root("POST", &members, Some(body(10))).await.json();
    assert_eq!(
        (&made["access_level"], &made["member_role"]["id"]),
        (&json!(10), &json!(7))
    );
    // What is not sent stays, and holds the role that it is based on.
    let one = format!("{members}/{id}");
    let later = json!({ "access_level": 10, "expires_at": "2099-01-01" });
    let changed = api.root("PUT", &one, Some(later)).await.json();
    assert_eq!(changed["member_role"]["id"], 7, "{changed}");
    let refused = api.root("PUT", &one, Some(json!({ "access_level": 30 }))).await;
    assert_eq!(
        (refused.status, refused.json()),
        (
            400,
            json!({ "message": { "access_level": [
                "cannot be changed because of an existing association with a custom role"
            ] } })
        )
    );
    let plain = json!({ "access_level": 30, "member_role_id": null });
    let changed = api.root("PUT", &one, Some(plain)).await.json();
    assert!(changed["member_role"].is_null(), "{changed}");
}

#[tokio::test]
async fn a_membership_may_have_to_be_approved() {
    let api = Api::new(&["memberships_await_approval=true"]).await;
    let id = api.user("member").await;
    let members = format!("/api/v4/groups/{}/members", group(&api, "web"));
    let body = json!({ "user_id": id, "access_level": 30 });
    let answer = api.root("POST", &members, Some(body)).await;
    assert_eq!(
        (answer.status, answer.json()),
        (
            202,
            json!({ "message": { "member": "Request queued for administrator approval." } })
        )
    );
    assert_eq!(api.get(&format!("{members}/{id}")).await.status, 404);
}

#[tokio::test]
async fn what_a_user_sees_through_an_invited_group_and_what_not_from_outside() {
    let api = Api::new(&[]).await;
    let id = api.user("member").await;
    let token = api.token_of(id, &["api"]).await;
    let seen = async |path: &str| {
        let path = format!("/api/v4/projects/{}", path.replace('/', "%2F"));
        api.send("GET", &path, Some(&token), None).await.status == 200
    };
    assert!(!seen("finance/ledger").await);
    assert!(seen("platform/handbook").await, "internal");
    api.sandbox.with_world(|world| {
        let (data, finance) = (
            world.group_at("data").unwrap().id,
            world.group_at("finance").unwrap().id,
        );
        world.set_member(Source::Group(data), id, 40);
        world.shares.push(Share {
            source: Source::Group(finance),
            group_id: data,
            access_level: 20,
            expires_at: None,
        });
        world.user_mut(id).unwrap().external = true;
    });
    assert!(seen("finance/ledger").await, "through the group that was invited");
    assert!(!seen("platform/handbook").await, "external");
    let path = format!("/api/v4/projects/{}/members", project(&api, "finance/ledger"));
    let member = api.get(&format!("{path}/all/{id}")).await.json();
    assert_eq!(member["access_level"], 20, "not more than the invitation gives");
    assert_eq!(api.get(&format!("{path}/{id}")).await.status, 404);
    let finance = api.get("/api/v4/groups/finance").await.json();
    assert_eq!(finance["shared_with_groups"][0]["group_full_path"], "data");
}
