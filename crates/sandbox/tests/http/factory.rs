//! Factory from end to end: the contract, a connection that is real, the settings page.

use serde_json::{Value, json};
use setpoint_sandbox::world::{UserState, digest};
use setpoint_sandbox::{Sandbox, Switches};

use super::browser::*;
use super::factory_client::*;

/// Saves the settings, approves as the droid, and follows GitLab's link to Factory.
async fn connect(sandbox: &Sandbox) -> Shown {
    let (status, saved) = save(sandbox).await;
    assert_eq!(
        (status, &saved["integration"]["status"]),
        (200, &json!("configured")),
        "{saved}"
    );
    let url = start(sandbox).await;
    let browser = Browser::new(sandbox.gitlab_url());
    browser.sign_in("droid", sandbox.credentials().droid_password).await;
    let page = browser.get(&url).await;
    Browser::new(String::new()).get(&page.attr("a", "href").unwrap()).await
}

#[tokio::test]
async fn factory_connects_and_reads_as_the_user() {
    use reqwest::Method;
    let sandbox = sandbox(&[]).await;
    assert_eq!(factory(&sandbox, Method::GET, INTEGRATION, None).await.0, 404);
    assert_eq!(factory(&sandbox, Method::POST, AUTHORIZATIONS, None).await.0, 409);
    assert_eq!(factory(&sandbox, Method::GET, REPOSITORIES, None).await.0, 409);
    let finished = connect(&sandbox).await;
    assert_eq!(finished.status, 200, "{}", finished.body);
    let (_, shown) = factory(&sandbox, Method::GET, INTEGRATION, None).await;
    assert_eq!(shown["integration"]["status"], "connected");
    assert_eq!(shown["integration"]["authorizedUser"]["username"], "droid");
    assert!(!shown.to_string().contains(SECRET));

    // Saving the same keeps the authorization, any change drops it: that is tried last, below.
    let same = factory(&sandbox, Method::PUT, INTEGRATION, Some(settings(&sandbox, SECRET)))
        .await
        .1;
    assert_eq!(same["integration"]["status"], "connected");

    let mut seen = Vec::new();
    let mut path = format!("{REPOSITORIES}?limit=7");
    loop {
        let (status, page) = factory(&sandbox, Method::GET, &path, None).await;
        assert_eq!(status, 200, "{page}");
        let repositories = page["repositories"].as_array().unwrap().clone();
        assert!(repositories.len() <= 7);
        seen.extend(repositories);
        let Some(cursor) = page["pagination"]["nextCursor"].as_str() else {
            break;
        };
        assert_eq!(repositories_len(&page), 7);
        path = format!("{REPOSITORIES}?limit=7&cursor={cursor}");
    }
    let paths: Vec<&str> = seen
        .iter()
        .map(|repository| repository["fullPath"].as_str().unwrap())
        .collect();
    assert!(
        paths.contains(&"platform/services/checkout") && !paths.contains(&"finance/ledger"),
        "{paths:?}"
    );

    let id = |path: &str| sandbox.with_world(|world| world.project_at(path).unwrap().id.to_string());
    let (checkout, ledger) = (id("platform/services/checkout"), id("finance/ledger"));
    let body = json!({ "enable": [checkout, ledger, "x"], "disable": ["1000000"] });
    let (status, changed) = factory(&sandbox, Method::PATCH, REPOSITORIES, Some(body)).await;
    assert_eq!(status, 200);
    let results = changed["results"].as_array().unwrap();
    assert_eq!(results[0], json!({ "id": checkout, "enabled": true }));
    assert!(results[1]["error"].is_string() && results[1]["enabled"] == false);
    assert!(results[2]["error"].is_string());
    assert_eq!(results[3], json!({ "id": "1000000", "enabled": false }));
    let (_, enabled) = factory(&sandbox, Method::GET, &format!("{REPOSITORIES}?enabled=true"), None).await;
    assert_eq!(enabled["repositories"][0]["fullPath"], "platform/services/checkout");
    assert_eq!(
        (repositories_len(&enabled), &enabled["pagination"]["hasMore"]),
        (1, &json!(false))
    );

    let (_, dropped) = factory(&sandbox, Method::PUT, INTEGRATION, Some(settings(&sandbox, "another"))).await;
    assert_eq!(dropped["integration"]["status"], "configured");
    assert_eq!(factory(&sandbox, Method::DELETE, INTEGRATION, None).await.0, 204);
    assert_eq!(factory(&sandbox, Method::DELETE, INTEGRATION, None).await.0, 404);
    sandbox.stop().await.unwrap();
}

fn repositories_len(page: &Value) -> usize {
    page["repositories"].as_array().unwrap().len()
}

#[tokio::test]
async fn factory_notices_a_dead_authorization_when_it_is_used() {
    use reqwest::Method;
    let sandbox = sandbox(&[]).await;
    assert_eq!(connect(&sandbox).await.status, 200);
    let status = async || factory(&sandbox, Method::GET, INTEGRATION, None).await.1["integration"]["status"].clone();
    let used = async || factory(&sandbox, Method::GET, REPOSITORIES, None).await.0;
    let set_state = |state| {
        sandbox.with_world(|world| {
            let id = world.user_named("droid").unwrap().id;
            world.user_mut(id).unwrap().state = state;
        });
    };
    set_state(UserState::Blocked);
    assert_eq!(status().await, "connected");
    assert_eq!(used().await, 409);
    let (_, shown) = factory(&sandbox, Method::GET, INTEGRATION, None).await;
    assert_eq!(shown["integration"]["status"], "error");
    assert!(
        shown["integration"]["statusDetail"]
            .as_str()
            .unwrap()
            .contains("blocked")
    );
    set_state(UserState::Active);
    assert_eq!(used().await, 200);
    assert_eq!(status().await, "connected");

    // The access token ends after two hours and is refreshed, as long as the secret is the right one.
    sandbox.with_world(|world| world.switches.clock_offset_seconds += 7300);
    assert_eq!(used().await, 200);
    sandbox.with_world(|world| {
        world
            .applications
            .iter_mut()
            .for_each(|application| application.secret_digest = digest("renewed"));
    });
    assert_eq!(used().await, 200, "a live access token outlives the secret");
    sandbox.with_world(|world| world.switches.clock_offset_seconds += 7300);
    assert_eq!(used().await, 409);
    assert_eq!(status().await, "error");
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn factory_refuses() {
    use reqwest::Method;
    let sandbox = sandbox(&[]).await;
    let stranger = Browser::new(sandbox.factory_api_url()).get(INTEGRATION).await;
    assert!(stranger.status == 401 && stranger.body.contains("Api key not found or deleted"));
    for (switch, status) in [
        ("factory_key_unknown=true", 401),
        ("factory_plan_too_small=true", 402),
        ("factory_role_too_low=true", 403),
    ] {
        sandbox.with_world(|world| {
            world.switches = Switches::default();
            world.switches.set(switch).unwrap();
        });
        let (answered, body) = factory(&sandbox, Method::GET, INTEGRATION, None).await;
        assert_eq!((answered, &body["status"]), (status, &json!(status)));
        assert!(body["detail"].is_string() && body["title"].is_string());
    }
    sandbox.with_world(|world| world.switches = Switches::default());
    for domain in [
        "gitlab.example.com",
        "http://localhost:1",
        "http://10.0.0.1",
        "https://u:p@gitlab.example.com",
    ] {
        let body = json!({ "domain": domain, "applicationId": "a", "secret": "b" });
        assert_eq!(
            factory(&sandbox, Method::PUT, INTEGRATION, Some(body)).await.0,
            400,
            "{domain}"
        );
    }
    let (status, body) = factory(&sandbox, Method::PUT, INTEGRATION, Some(json!({ "domain": "" }))).await;
    assert_eq!((status, body["errors"].as_array().unwrap().len()), (400, 3));
    for query in ["limit=0", "limit=101", "limit=x", "enabled=yes", "cursor=forged"] {
        let (status, _) = factory(&sandbox, Method::GET, &format!("{REPOSITORIES}?{query}"), None).await;
        assert_eq!(status, 400, "{query}");
    }
    let ids: Vec<String> = (0..101).map(|id| id.to_string()).collect();
    let (status, _) = factory(&sandbox, Method::PATCH, REPOSITORIES, Some(json!({ "enable": ids }))).await;
    assert_eq!(status, 400);

    // Another GitLab is a domain that leads nowhere; a wrong secret is found at the exchange.
    let elsewhere = json!({ "domain": "https://gitlab.example.com", "applicationId": "a", "secret": "b" });
    assert_eq!(
        factory(&sandbox, Method::PUT, INTEGRATION, Some(elsewhere)).await.0,
        200
    );
    let (_, started) = factory(&sandbox, Method::POST, AUTHORIZATIONS, None).await;
    let url = started["authorizationUrl"].as_str().unwrap();
    assert!(
        url.starts_with("https://gitlab.example.com/oauth/authorize?client_id=a&"),
        "{url}"
    );
    let pairs = query(url);
    assert_eq!(pairs["scope"], SCOPES);
    let back = async |tail: &str| {
        Browser::new(sandbox.factory_app_url())
            .get(&format!("/api/integrations/redirect/gitlab-sh{tail}"))
            .await
    };
    assert_eq!(back(&format!("?code=x&state={}", pairs["state"])).await.status, 400);
    assert_eq!(back("?code=x&state=unknown").await.status, 400);
    assert_eq!(back("/callback?code=x&state=unknown").await.status, 400);
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn the_settings_page_does_what_the_guide_says() {
    let sandbox = sandbox(&[]).await;
    let browser = Browser::new(sandbox.factory_app_url());
    let page = browser.get("/settings/integrations").await;
    assert_eq!(page.text("#status"), "Not configured");
    let form = page.form("/settings/integrations/gitlab-sh");
    assert_eq!(form.names, ["domain", "applicationId", "secret"]);
    let refused = browser
        .post(
            &form
                .clone()
                .set("domain", "nonsense")
                .set("applicationId", "a")
                .set("secret", "b"),
        )
        .await;
    assert!(refused.status == 400 && refused.text(".flash").contains("Domain"));
    let gitlab = sandbox.gitlab_url();
    let saved = form
        .set("domain", &gitlab)
        .set("applicationId", "droid-application")
        .set("secret", SECRET);
    assert_eq!(browser.post(&saved).await.status, 303);
    let page = browser.get("/settings/integrations").await;
    assert!(page.body.contains("Manage GitLab Self-Hosted Permissions") && !page.body.contains(SECRET));
    let popup = browser.post(&page.form("/authorizations")).await;

    let droid = Browser::new(gitlab);
    droid.sign_in("droid", sandbox.credentials().droid_password).await;
    let link = droid.get(&popup.location).await.attr("a", "href").unwrap();
    assert_eq!(droid.get(&link).await.status, 200);

    let page = browser.get("/settings/integrations?search=CHECKOUT").await;
    assert_eq!(page.text("#status"), "Connected as droid");
    let form = page.form("/repositories");
    let id = sandbox.with_world(|world| world.project_at("platform/services/checkout").unwrap().id);
    let ticked = form.set("enabled", &id.to_string());
    assert_eq!(browser.post(&ticked).await.status, 303);
    assert!(sandbox.with_world(|world| world.factory.enabled.contains(&id)));
    let page = browser.get("/settings/integrations?search=checkout").await;
    let ticked = page.form("/repositories");
    assert!(ticked.fields.contains(&("enabled".to_owned(), id.to_string())));
    let mut unticked = ticked;
    unticked.fields.retain(|(name, _)| name != "enabled");
    browser.post(&unticked).await;
    assert!(sandbox.with_world(|world| world.factory.enabled.is_empty()));

    let page = browser.get("/settings/integrations").await;
    assert_eq!(browser.post(&page.form("/disconnect")).await.status, 303);
    assert_eq!(
        browser.get("/settings/integrations").await.text("#status"),
        "Not configured"
    );
    let forged = browser
        .client
        .post(browser.url("/settings/integrations/gitlab-sh/disconnect"));
    let forged = forged
        .header("origin", "https://elsewhere.example.com")
        .send()
        .await
        .unwrap();
    assert_eq!(forged.status().as_u16(), 403);
    sandbox.stop().await.unwrap();
}
