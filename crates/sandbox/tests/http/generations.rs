//! Each page in the shape of each generation of GitLab.

use serde_json::Value;
use setpoint_sandbox::{Generation, PageKind, Sandbox, totp};

use super::browser::*;

const TOTP_SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn code(sandbox: &Sandbox) -> String {
    sandbox.with_world(|world| totp(TOTP_SECRET, world.now()).unwrap())
}

/// Serves the pages of a generation from now on.
fn serve(sandbox: &Sandbox, generation: &str) {
    sandbox.with_world(|world| {
        world.switches.pages.clear();
        world.switches.set(&format!("gitlab={generation}")).unwrap();
    });
}

/// What the component for the second factor posts.
fn code_form(page: &Shown, code: &str) -> FormSeen {
    let form = page
        .forms()
        .into_iter()
        .find(|form| form.names.contains(&"user[otp_attempt]".to_owned()));
    let form = form.unwrap_or_else(|| FormSeen {
        action: page.attr("#js-2fa", "data-path").unwrap(),
        ..page.csrf().set("two_factor_method", "totp")
    });
    form.set("user[otp_attempt]", code)
}

#[tokio::test]
async fn the_second_factor_is_a_form_until_19_3_and_a_component_later() {
    let sandbox = sandbox(&["admin_mode=true", "protected_paths_limit=0"]).await;
    let keys = sandbox.credentials();
    sandbox.with_world(|world| world.user_mut(1).unwrap().totp_secret = Some(TOTP_SECRET.to_owned()));
    for generation in ["16.11", "17.11", "18.5", "19.3", "19.5"] {
        serve(&sandbox, generation);
        sandbox.with_world(|world| world.user_mut(1).unwrap().totp_last_step = None);
        let by_component = generation == "19.5";
        let browser = Browser::new(sandbox.gitlab_url());
        let asked = browser.sign_in(keys.root_username, keys.root_password).await;
        assert_eq!(asked.forms().is_empty(), by_component, "{generation}");
        assert_eq!(asked.attr("#js-2fa", "data-totp-enabled").is_some(), by_component);
        if by_component {
            assert_eq!(asked.text("title"), "GitLab");
            assert_eq!(asked.attr("#js-2fa", "data-admin-mode").as_deref(), Some("false"));
        }
        let refused = browser.post(&code_form(&asked, "000000x")).await;
        let modern = matches!(generation, "19.3" | "19.5");
        assert_eq!(refused.status, if modern { 401 } else { 200 }, "{generation}");
        let entered = browser.post(&code_form(&refused, &code(&sandbox))).await;
        assert_eq!(entered.status, 302, "{generation}");

        browser.get("/admin/applications").await;
        let form = browser.get("/admin/session/new").await.form("/admin/session");
        let asked = browser.post(&form.set("user[password]", keys.root_password)).await;
        assert_eq!(asked.forms().is_empty(), by_component, "{generation}");
        sandbox.with_world(|world| world.switches.clock_offset_seconds += 31);
        let entered = browser.post(&code_form(&asked, &code(&sandbox))).await;
        assert!(
            entered.location.ends_with("/admin/applications"),
            "{generation}: {}",
            entered.body
        );
    }
    // A security key alone is no way in for a program.
    sandbox.with_world(|world| {
        let root = world.user_mut(1).unwrap();
        (root.totp_secret, root.security_key) = (None, true);
    });
    let browser = Browser::new(sandbox.gitlab_url());
    let asked = browser.sign_in(keys.root_username, keys.root_password).await;
    assert_eq!(asked.attr("#js-2fa", "data-totp-enabled").as_deref(), Some("false"));
    assert_eq!(asked.attr("#js-2fa", "data-webauthn-enabled").as_deref(), Some("true"));
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn sign_in_is_a_component_from_19() {
    let sandbox = sandbox(&["recaptcha=true", "gitlab=19.3"]).await;
    let droid = sandbox.credentials().droid_password;
    let browser = Browser::new(sandbox.gitlab_url());
    let page = browser.get("/users/sign_in").await;
    let names = page.form("/users/sign_in").names;
    assert_eq!(
        names,
        [
            "authenticity_token",
            "user[login]",
            "user[password]",
            "user[remember_me]"
        ]
    );
    let data = |page: &Shown| -> Value {
        serde_json::from_str(&page.attr("#js-sign-in-form", "data-app-data").unwrap()).unwrap()
    };
    assert_eq!(data(&page)["show_captcha"], false);
    for _ in 0..6 {
        browser.sign_in("nobody", "nothing").await;
    }
    let page = browser.get("/users/sign_in").await;
    assert_eq!(data(&page)["show_captcha"], true);
    assert!(!page.body.contains("g-recaptcha"));
    sandbox.with_world(|world| world.switches.recaptcha = false);
    assert_eq!(browser.sign_in("droid", droid).await.status, 302);
    // Whoever has not confirmed their address is told by a script.
    sandbox.with_world(|world| {
        let id = world.user_named("droid").unwrap().id;
        world.user_mut(id).unwrap().confirmed_at = None;
    });
    let browser = Browser::new(sandbox.gitlab_url());
    browser.sign_in("droid", droid).await;
    let page = browser.get("/users/sign_in").await;
    assert!(page.attr(".js-vue-alert", "data-title").unwrap().contains("confirm"));
    assert!(page.attr(".flash", "role").is_none());
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn the_pages_of_the_admin_area_and_of_consent_by_generation() {
    let sandbox = sandbox(&[]).await;
    let keys = sandbox.credentials();
    let (id, droid_id) = sandbox.with_world(|world| {
        let id = world.application_by_uid("droid-application").unwrap().id;
        world.applications.iter_mut().find(|own| own.id == id).unwrap().trusted = false;
        (id, world.user_named("droid").unwrap().id)
    });
    let root = Browser::new(sandbox.gitlab_url());
    root.sign_in(keys.root_username, keys.root_password).await;
    let droid = Browser::new(sandbox.gitlab_url());
    droid.sign_in("droid", keys.droid_password).await;
    for (generation, prefix, order, settings) in [
        (
            "16.11",
            "doorkeeper_application",
            ["Deny", "Authorize"],
            "/-/profile/applications",
        ),
        (
            "17.11",
            "doorkeeper_application",
            ["Deny", "Authorize"],
            "/-/user_settings/applications",
        ),
        (
            "18.5",
            "authn_oauth_application",
            ["Deny", "Authorize"],
            "/-/user_settings/applications",
        ),
        (
            "19.3",
            "authn_oauth_application",
            ["Authorize", "Cancel"],
            "/-/user_settings/applications",
        ),
        (
            "19.5",
            "authn_oauth_application",
            ["Authorize", "Cancel"],
            "/-/user_settings/applications",
        ),
    ] {
        serve(&sandbox, generation);
        let vue = generation.starts_with("19");
        let edit = root.get(&format!("/admin/applications/{id}/edit")).await;
        let form = edit.form(&format!("/admin/applications/{id}"));
        assert!(form.names.contains(&format!("{prefix}[trusted]")), "{generation}");
        let show = root.get(&format!("/admin/applications/{id}")).await;
        assert_eq!(
            show.text("span[data-testid=application-id-field]") == "droid-application",
            vue
        );
        assert_eq!(show.attr("#application_id", "value").is_some(), !vue);
        let user = root.get("/admin/users/droid").await;
        assert_eq!(
            user.attr("span.btn-group[title] a[data-method=post]", "href").is_some(),
            vue
        );
        let asked = droid.get(&authorize_path(&sandbox, SCOPES)).await;
        assert_eq!(asked.texts("form button"), order, "{generation}");
        assert_eq!(droid.get(settings).await.status, 200, "{generation}");
    }
    // Where it is refused, the link is disabled and the title says why.
    sandbox.with_world(|world| world.user_mut(droid_id).unwrap().locked = true);
    let user = root.get("/admin/users/droid").await;
    assert!(user.attr("span.btn-group a", "disabled").is_some());
    assert!(user.attr("span.btn-group", "title").unwrap().contains("cannot log in"));
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_page_can_be_of_another_generation_and_of_none() {
    let sandbox = sandbox(&["gitlab=17.11", "pages.sign_in=19.5"]).await;
    let browser = Browser::new(sandbox.gitlab_url());
    let page = browser.get("/users/sign_in").await;
    assert!(page.attr("#js-sign-in-form", "data-app-data").is_some());
    sandbox.with_world(|world| world.switches.pages.insert(PageKind::SignIn, Generation::Unknown));
    let page = browser.get("/users/sign_in").await;
    assert!(page.status == 200 && page.forms().is_empty() && page.attr("[data-app-data]", "id").is_none());
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn terms_are_a_form_until_18_and_a_component_later() {
    let sandbox = sandbox(&["enforce_terms=true", "protected_paths_limit=0"]).await;
    let droid = sandbox.credentials().droid_password;
    for generation in ["18.5", "19.3"] {
        serve(&sandbox, generation);
        // Acceptance is of one version: a new one asks again.
        sandbox.with_world(|world| world.terms.push(format!("The terms of {generation}.")));
        let browser = Browser::new(sandbox.gitlab_url());
        browser.sign_in("droid", droid).await;
        let refused = browser.client.get(browser.url("/api/v4/user")).send().await.unwrap();
        assert_eq!(refused.status(), 403);
        assert!(
            refused
                .text()
                .await
                .unwrap()
                .contains("must accept the Terms of Service")
        );
        let page = browser.get("/-/users/terms?redirect=%2Foauth%2Fauthorize").await;
        let accept = page.attr("#js-terms-of-service", "data-terms-data").map(|data| {
            let data: Value = serde_json::from_str(&data).unwrap();
            assert_eq!(data["permissions"]["can_accept"], true);
            assert!(data["terms"].as_str().unwrap().contains(generation));
            data["paths"]["accept"].as_str().unwrap().to_owned()
        });
        assert_eq!(accept.is_some(), generation == "19.3");
        let form = match accept {
            Some(action) => FormSeen { action, ..page.csrf() },
            None => page
                .forms()
                .into_iter()
                .find(|form| form.action.contains("/accept"))
                .unwrap(),
        };
        let accepted = browser.post(&form).await;
        assert!(accepted.location.ends_with("/oauth/authorize"), "{}", accepted.location);
        assert_eq!(browser.username().await.as_deref(), Some("droid"));
    }
    sandbox.stop().await.unwrap();
}
