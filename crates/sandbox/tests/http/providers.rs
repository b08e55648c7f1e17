//! LDAP servers and providers: forms, buttons, and Admin Mode where the password is none of GitLab's.

use setpoint_sandbox::Sandbox;
use setpoint_sandbox::world::{Identity, User, digest};

use super::browser::*;

const LDAP_PASSWORD: &str = "ldap-password";

/// Gives an account an identity.
fn identify(sandbox: &Sandbox, username: &str, provider: &str) {
    change(sandbox, username, |user| {
        user.identities.push(Identity {
            provider: provider.to_owned(),
            extern_uid: username.to_owned(),
            password_digest: digest(LDAP_PASSWORD),
        });
    });
}

fn change(sandbox: &Sandbox, username: &str, f: impl FnOnce(&mut User)) {
    sandbox.with_world(|world| {
        let id = world.user_named(username).unwrap().id;
        f(world.user_mut(id).unwrap());
    });
}

async fn by_ldap(browser: &Browser, page: &str, username: &str, password: &str) -> Shown {
    let form = browser.get(page).await.form("/users/auth/ldapmain/callback");
    browser
        .post(&form.set("username", username).set("password", password))
        .await
}

#[tokio::test]
async fn an_ldap_server_has_a_form_of_its_own() {
    for generation in ["gitlab=17.11", "gitlab=19.3"] {
        let sandbox = sandbox(&[generation, "ldap_servers=[\"ldapmain\"]"]).await;
        let keys = sandbox.credentials();
        identify(&sandbox, "droid", "ldapmain");
        let browser = Browser::new(sandbox.gitlab_url());
        let page = browser.get("/users/sign_in").await;
        assert_eq!(page.texts("[data-toggle=tab]"), ["Ldapmain", "Standard"]);
        // GitLab's own password counts no longer.
        assert_eq!(browser.sign_in("droid", keys.droid_password).await.status, 200);
        let refused = by_ldap(&browser, "/users/sign_in", "droid", "wrong").await;
        assert!(refused.location.ends_with("/users/sign_in"), "{}", refused.location);
        assert!(
            browser
                .get("/users/sign_in")
                .await
                .text(".flash")
                .contains("Invalid credentials for droid")
        );
        let entered = by_ldap(&browser, "/users/sign_in", "droid", LDAP_PASSWORD).await;
        assert_eq!(entered.status, 302);
        assert_eq!(browser.username().await.as_deref(), Some("droid"));
        sandbox.stop().await.unwrap();
    }
}

/// No mail verifies whom a directory knows; but its refusals count, and three of them are enough then.
#[tokio::test]
async fn verification_by_mail_is_not_for_who_comes_from_an_ldap_server() {
    let sandbox = sandbox(&[
        "require_email_verification_on_account_locked=true",
        "ldap_servers=[\"ldapmain\"]",
        "protected_paths_limit=0",
        "client_address=\"192.0.2.1\"",
    ])
    .await;
    identify(&sandbox, "droid", "ldapmain");
    change(&sandbox, "droid", |user| {
        user.known_addresses.insert("198.51.100.1".to_owned());
    });
    let browser = Browser::new(sandbox.gitlab_url());
    by_ldap(&browser, "/users/sign_in", "droid", LDAP_PASSWORD).await;
    assert_eq!(browser.username().await.as_deref(), Some("droid"));
    let locked = || sandbox.with_world(|world| world.user_named("droid").unwrap().locked);
    for _ in 0..3 {
        assert!(!locked());
        by_ldap(&Browser::new(sandbox.gitlab_url()), "/users/sign_in", "droid", "wrong").await;
    }
    assert!(locked());
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn admin_mode_opens_by_the_form_of_the_server_alone() {
    let sandbox = sandbox(&[
        "admin_mode=true",
        "password_login_off=true",
        "ldap_servers=[\"ldapmain\"]",
    ])
    .await;
    for username in ["root", "droid"] {
        identify(&sandbox, username, "ldapmain");
    }
    let browser = Browser::new(sandbox.gitlab_url());
    by_ldap(&browser, "/users/sign_in", "root", LDAP_PASSWORD).await;
    assert!(
        browser
            .get("/admin/users")
            .await
            .location
            .ends_with("/admin/session/new")
    );
    let page = browser.get("/admin/session/new").await;
    assert!(page.forms().iter().all(|form| !form.action.ends_with("/admin/session")));
    let other = by_ldap(&browser, "/admin/session/new", "droid", LDAP_PASSWORD).await;
    assert!(
        other.location.ends_with("/admin/session/new"),
        "nobody else's password opens it"
    );
    let entered = by_ldap(&browser, "/admin/session/new", "root", LDAP_PASSWORD).await;
    assert!(entered.location.ends_with("/admin/users"), "{}", entered.location);
    assert_eq!(browser.get("/admin/users").await.status, 200);
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_provider_has_a_button_that_leaves_gitlab() {
    let sandbox = sandbox(&["sso_providers=[\"saml\"]", "admin_mode=true"]).await;
    let keys = sandbox.credentials();
    let browser = Browser::new(sandbox.gitlab_url());
    let form = browser.get("/users/sign_in").await.form("/users/auth/saml");
    assert!(
        browser
            .post(&form)
            .await
            .location
            .starts_with("https://idp.example.com/")
    );
    browser.sign_in(keys.root_username, keys.root_password).await;
    // An administrator with an identity there and a password that nobody knows has no password form in Admin Mode.
    change(&sandbox, "root", |root| root.password_automatically_set = true);
    browser.get("/admin/users").await;
    let page = browser.get("/admin/session/new").await;
    let actions: Vec<String> = page.forms().into_iter().map(|form| form.action).collect();
    assert_eq!(actions, ["/users/auth/saml"]);
    // With that setting, a right password is a wrong one for whoever has an identity.
    sandbox.with_world(|world| {
        let set = "disable_password_authentication_for_users_with_sso_identities=true";
        world.switches.set(set).unwrap();
    });
    assert_eq!(
        Browser::new(sandbox.gitlab_url())
            .sign_in("droid", keys.droid_password)
            .await
            .status,
        302
    );
    identify(&sandbox, "droid", "saml");
    assert_eq!(
        Browser::new(sandbox.gitlab_url())
            .sign_in("droid", keys.droid_password)
            .await
            .status,
        200
    );
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_default_provider_takes_the_sign_in_page_over() {
    let sandbox = sandbox(&["sso_providers=[\"saml\"]", "auto_sign_in_with_provider=saml"]).await;
    let keys = sandbox.credentials();
    let browser = Browser::new(sandbox.gitlab_url());
    let page = browser.get("/users/sign_in").await;
    assert_eq!(page.forms().len(), 1);
    assert!(page.forms()[0].action.ends_with("/users/auth/saml"));
    // Also where a page sends there that needs somebody, but not where an alert must be read.
    browser.get("/").await;
    assert!(
        browser
            .get("/users/sign_in")
            .await
            .body
            .contains("js-redirect-to-provider")
    );
    let form = browser
        .get("/users/sign_in?auto_sign_in=false")
        .await
        .form("/users/sign_in");
    let entered = form
        .set("user[login]", "droid")
        .set("user[password]", keys.droid_password);
    assert_eq!(browser.post(&entered).await.status, 302);
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn some_providers_stand_for_a_second_factor() {
    let sandbox = sandbox(&["require_two_factor=true", "ldap_servers=[\"ldapmain\"]"]).await;
    identify(&sandbox, "droid", "ldapmain");
    for (bypass, status) in [("[]", 302), ("[\"ldapmain\"]", 200)] {
        sandbox.with_world(|world| {
            world
                .switches
                .set(&format!("bypass_two_factor_providers={bypass}"))
                .unwrap();
        });
        let browser = Browser::new(sandbox.gitlab_url());
        by_ldap(&browser, "/users/sign_in", "droid", LDAP_PASSWORD).await;
        assert_eq!(browser.get("/").await.status, status, "{bypass}");
    }
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_step_up_ends_admin_mode_with_a_notice() {
    let sandbox = sandbox(&["admin_mode=true", "step_up_for_admin_mode=true"]).await;
    let keys = sandbox.credentials();
    let browser = Browser::new(sandbox.gitlab_url());
    browser.sign_in(keys.root_username, keys.root_password).await;
    browser.get("/admin/users").await;
    let form = browser.get("/admin/session/new").await.form("/admin/session");
    let entered = browser.post(&form.set("user[password]", keys.root_password)).await;
    assert!(entered.location.ends_with("/admin/users"), "{}", entered.location);
    let back = browser.get("/admin/users").await;
    assert!(back.location.ends_with("/admin/session/new"));
    assert!(
        browser
            .get("/admin/session/new")
            .await
            .text(".flash")
            .contains("Step-up")
    );
    sandbox.stop().await.unwrap();
}
