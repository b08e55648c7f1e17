//! The OAuth provider: pages for browsers, endpoints for programs.

use serde_json::{Value, json};
use setpoint_sandbox::{Sandbox, Switches};

use super::browser::*;

/// Posts to an OAuth endpoint: status and body.
async fn oauth(sandbox: &Sandbox, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
    let browser = Browser::new(sandbox.gitlab_url());
    let answer = browser
        .client
        .post(browser.url(path))
        .form(fields)
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn exchange(sandbox: &Sandbox, code: &str, secret: &str) -> (u16, Value) {
    let redirect_uri = format!(
        "{}/api/integrations/redirect/gitlab-sh/callback",
        sandbox.factory_api_url()
    );
    oauth(
        sandbox,
        "/oauth/token",
        &[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect_uri),
            ("client_id", "droid-application"),
            ("client_secret", secret),
        ],
    )
    .await
}

#[tokio::test]
async fn a_trusted_application_gets_a_page_with_a_link() {
    let sandbox = sandbox(&[]).await;
    let browser = Browser::new(sandbox.gitlab_url());
    let path = authorize_path(&sandbox, SCOPES);
    let stranger = browser.get(&path).await;
    assert!(stranger.status == 302 && stranger.location.ends_with("/users/sign_in"));
    let signed_in = browser.sign_in("droid", sandbox.credentials().droid_password).await;
    assert!(
        signed_in.location.contains("/oauth/authorize?client_id="),
        "{}",
        signed_in.location
    );
    let page = browser.get(&signed_in.location).await;
    assert_eq!(page.status, 200);
    assert!(page.text("h1").contains("Redirecting"));
    assert!(page.body.contains("&amp;state="), "the link is escaped in the page");
    let target = page.attr("a", "href").unwrap();
    let pairs = query(&target);
    assert_eq!(pairs["state"], "a&b");

    // A wrong secret does not use the code up; the code works once.
    let (status, body) = exchange(&sandbox, &pairs["code"], "wrong").await;
    assert_eq!((status, &body["error"]), (401, &json!("invalid_client")));
    let (status, first) = exchange(&sandbox, &pairs["code"], SECRET).await;
    assert_eq!((status, &first["expires_in"]), (200, &json!(7200)));
    let (status, body) = exchange(&sandbox, &pairs["code"], SECRET).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn consent_is_asked_once_for_a_set_of_scopes() {
    let sandbox = sandbox(&[]).await;
    sandbox.with_world(|world| {
        world
            .applications
            .iter_mut()
            .for_each(|application| application.trusted = false);
    });
    let browser = Browser::new(sandbox.gitlab_url());
    browser.sign_in("droid", sandbox.credentials().droid_password).await;
    let page = browser.get(&authorize_path(&sandbox, "api read_user")).await;
    assert_eq!(page.status, 200);
    let forms = page.forms();
    let wanted = [
        "client_id",
        "redirect_uri",
        "state",
        "response_type",
        "scope",
        "nonce",
        "code_challenge",
        "code_challenge_method",
    ];
    assert_eq!(forms.len(), 2);
    assert_eq!(
        forms[0].names[..2],
        ["_method", "authenticity_token"],
        "Deny comes first"
    );
    assert_eq!(forms[0].names[2..], wanted);
    assert_eq!(forms[1].names[1..], wanted);
    let denied = query(&browser.post(&forms[0]).await.location);
    assert_eq!(denied["error"], "access_denied");

    let approved = browser.post(&forms[1]).await;
    assert_eq!(approved.status, 302);
    let (status, _) = exchange(&sandbox, &query(&approved.location)["code"], SECRET).await;
    assert_eq!(status, 200);
    // The same set in another order: no question. Another set: the question again. More than it has: an error page.
    assert!(
        browser
            .get(&authorize_path(&sandbox, "read_user api"))
            .await
            .body
            .contains("Redirecting")
    );
    assert_eq!(browser.get(&authorize_path(&sandbox, "api")).await.forms().len(), 2);
    let error = browser.get(&authorize_path(&sandbox, "api sudo")).await;
    assert!(
        error.status == 200 && error.text("main pre").contains("scope"),
        "{}",
        error.body
    );
    let unknown = browser
        .get("/oauth/authorize?client_id=nobody&response_type=code")
        .await;
    assert!(unknown.status == 200 && unknown.text("h3").contains("error"));

    // The user's own page shows it, and takes it back.
    let settings = browser.get("/-/user_settings/applications").await;
    assert!(
        settings
            .text("section[data-testid=oauth-authorized-applications] td")
            .contains("Factory <Integration>")
    );
    let form = settings
        .forms()
        .into_iter()
        .find(|form| form.action.contains("/oauth/authorized_applications/"))
        .unwrap();
    assert_eq!(browser.post(&form).await.status, 302);
    assert_eq!(
        browser
            .get(&authorize_path(&sandbox, "read_user api"))
            .await
            .forms()
            .len(),
        2
    );
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn who_may_not_authorize() {
    let sandbox = sandbox(&["disable_admin_oauth_scopes=true"]).await;
    sandbox.with_world(|world| {
        world
            .applications
            .iter_mut()
            .for_each(|application| application.trusted = false);
    });
    let keys = sandbox.credentials();
    let browser = Browser::new(sandbox.gitlab_url());
    browser.sign_in(keys.root_username, keys.root_password).await;
    let page = browser.get(&authorize_path(&sandbox, SCOPES)).await;
    assert!(page.status == 200 && page.text("h1").contains("Forbidden"));
    sandbox.with_world(|world| {
        world.switches = Switches::default();
        world.switches.require_two_factor = true;
    });
    let page = browser.get(&authorize_path(&sandbox, SCOPES)).await;
    assert!(
        page.location.ends_with("/-/profile/two_factor_auth"),
        "{}",
        page.location
    );
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn probes_of_a_client_secret() {
    let sandbox = sandbox(&[]).await;
    let right = [("client_id", "droid-application"), ("client_secret", SECRET)];
    let wrong = [("client_id", "droid-application"), ("client_secret", "wrong")];
    let with = |credentials: &[(&'static str, &'static str)], more: &[(&'static str, &'static str)]| {
        [credentials, more].concat()
    };
    let random = [("token", "random")];
    let code = [
        ("grant_type", "authorization_code"),
        ("code", "invented"),
        ("redirect_uri", "https://example.com"),
    ];

    let ask =
        async |path: &'static str, fields: Vec<(&'static str, &'static str)>| oauth(&sandbox, path, &fields).await;
    assert_eq!(
        ask("/oauth/introspect", with(&right, &random)).await,
        (200, json!({ "active": false }))
    );
    assert_eq!(
        ask("/oauth/introspect", right.to_vec()).await,
        (200, json!({ "active": false }))
    );
    let (status, body) = ask("/oauth/introspect", with(&wrong, &random)).await;
    assert_eq!((status, &body["error"]), (401, &json!("invalid_client")));
    let (status, body) = ask("/oauth/introspect", random.to_vec()).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_request")));
    for credentials in [&right[..], &wrong[..], &[]] {
        assert_eq!(ask("/oauth/revoke", with(credentials, &random)).await, (200, json!({})));
    }
    let (status, body) = ask("/oauth/token", with(&right, &code)).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
    assert_eq!(ask("/oauth/token", with(&wrong, &code)).await.0, 401);
    assert_eq!(ask("/oauth/token", code.to_vec()).await.0, 401);
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn tokens_are_refreshed_and_die_with_the_secret() {
    let sandbox = sandbox(&[]).await;
    let browser = Browser::new(sandbox.gitlab_url());
    browser.sign_in("droid", sandbox.credentials().droid_password).await;
    let target = browser
        .get(&authorize_path(&sandbox, SCOPES))
        .await
        .attr("a", "href")
        .unwrap();
    let (_, first) = exchange(&sandbox, &query(&target)["code"], SECRET).await;
    let refresh = async |token: &Value, secret: &str| {
        let token = token["refresh_token"].as_str().unwrap();
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", "droid-application"),
            ("client_secret", secret),
        ];
        oauth(&sandbox, "/oauth/token", &fields).await
    };
    let info = async |token: &Value| {
        let token = token["access_token"].as_str().unwrap();
        let answer = browser
            .client
            .get(browser.url("/oauth/token/info"))
            .bearer_auth(token)
            .send()
            .await
            .unwrap();
        answer.status().as_u16()
    };
    assert_eq!(info(&first).await, 200);
    assert_eq!(refresh(&first, "renewed since").await.0, 401);
    let (status, second) = refresh(&first, SECRET).await;
    assert_eq!(status, 200);
    assert_eq!(refresh(&first, SECRET).await.0, 400);
    assert_eq!((info(&first).await, info(&second).await), (401, 200));
    sandbox.stop().await.unwrap();
}
