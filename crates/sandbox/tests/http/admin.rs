//! The admin area: applications edited in place, impersonation.

use serde_json::Value;
use setpoint_sandbox::world::{UserState, digest};

use super::browser::*;

#[tokio::test]
async fn an_application_is_made_and_edited_in_the_admin_area() {
    for (version, prefix) in [
        ("17.11.0-ee", "doorkeeper_application"),
        ("18.5.1-ee", "authn_oauth_application"),
    ] {
        let version_switch = format!("gitlab_version={version}");
        let sandbox = sandbox(&[&version_switch, "relative_url_root=/gitlab"]).await;
        let keys = sandbox.credentials();
        let browser = Browser::new(sandbox.gitlab_url());
        browser.sign_in("droid", keys.droid_password).await;
        assert_eq!(browser.get("/admin/applications").await.status, 404);
        let browser = Browser::new(sandbox.gitlab_url());
        browser.sign_in(keys.root_username, keys.root_password).await;
        let field = |name: &str| format!("{prefix}[{name}]");

        let form = browser
            .get("/admin/applications/new")
            .await
            .form("/gitlab/admin/applications");
        let trusted = field("trusted");
        assert_eq!(
            form.names.iter().filter(|name| **name == trusted).count(),
            2,
            "a checkbox has a hidden twin"
        );
        let bad = form
            .clone()
            .set(&field("name"), "New")
            .set(&field("redirect_uri"), "javascript:alert(1)");
        let bad = browser.post(&bad).await;
        assert!(
            bad.status == 200 && bad.text("#error_explanation").contains("forbidden"),
            "{}",
            bad.body
        );
        assert!(bad.text("#error_explanation").contains("Scopes"), "{}", bad.body);
        let mut good = form.set(&field("name"), "New").set(
            &field("redirect_uri"),
            "https://a.example.com/cb\r\nhttps://b.example.com/cb",
        );
        good.fields.push((format!("{prefix}[scopes][]"), "api".to_owned()));
        good.fields
            .push((format!("{prefix}[scopes][]"), "read_user".to_owned()));
        let made = browser.post(&good).await;
        assert_eq!(made.status, 200);
        let secret = made
            .attr("#js-oauth-application-secret", "data-initial-secret")
            .unwrap();
        let id = made.attr("#id_of_application", "value").unwrap();
        let uid = made.attr("#application_id", "value").unwrap();

        let show = format!("/admin/applications/{id}");
        let page = browser.get(&show).await;
        assert!(
            page.attr("#js-oauth-application-secret", "data-initial-secret")
                .is_none()
        );
        assert!(!page.body.contains(&secret));
        // Trusting it needs that field alone; the rest stays, the secret too.
        let token = page.csrf().set("_method", "patch").set(&field("trusted"), "1");
        let saved = browser
            .post(&FormSeen {
                action: format!("/gitlab{show}"),
                ..token
            })
            .await;
        assert!(
            saved.status == 302 && saved.location.ends_with(&format!("/gitlab{show}")),
            "{}",
            saved.location
        );
        let edit = browser
            .get(&format!("{show}/edit"))
            .await
            .form(&format!("/gitlab{show}"));
        assert!(edit.fields.contains(&(field("trusted"), "1".to_owned())));
        assert!(edit.fields.contains(&(field("name"), "New".to_owned())));
        let kept = sandbox.with_world(|world| world.application_by_uid(&uid).unwrap().clone());
        assert_eq!(
            (kept.scopes.join(" "), kept.secret_digest),
            ("api read_user".to_owned(), digest(&secret))
        );

        let token = browser
            .get(&show)
            .await
            .attr("meta[name=csrf-token]", "content")
            .unwrap();
        let renewed = browser
            .client
            .put(browser.url(&format!("{show}/renew")))
            .header("X-CSRF-Token", token);
        let renewed: Value = renewed.send().await.unwrap().json().await.unwrap();
        assert_ne!(renewed["secret"].as_str().unwrap(), secret);
        let delete = browser
            .get(&show)
            .await
            .forms()
            .into_iter()
            .find(|form| form.names[0] == "_method")
            .unwrap();
        assert_eq!(browser.post(&delete).await.status, 302);
        assert_eq!(browser.get(&show).await.status, 404);
        sandbox.stop().await.unwrap();
    }
}

#[tokio::test]
async fn an_administrator_impersonates_and_stops() {
    let sandbox = sandbox(&["admin_mode=true"]).await;
    let keys = sandbox.credentials();
    let browser = Browser::new(sandbox.gitlab_url());
    browser.sign_in(keys.root_username, keys.root_password).await;
    browser.get("/admin/users/droid").await;
    let form = browser.get("/admin/session/new").await.form("/admin/session");
    let entered = browser.post(&form.set("user[password]", keys.root_password)).await;
    assert!(entered.location.ends_with("/admin/users/droid"), "{}", entered.location);

    let go = async |verb: &str, path: &str| {
        let token = browser.get("/").await.csrf();
        let token = if verb == "post" {
            token
        } else {
            token.set("_method", verb)
        };
        browser
            .post(&FormSeen {
                action: path.to_owned(),
                ..token
            })
            .await
    };
    let page = browser.get("/admin/users/droid").await;
    assert_eq!(
        page.attr("a[data-testid=impersonate-user-link]", "data-method")
            .as_deref(),
        Some("post")
    );
    let started = go("post", "/admin/users/droid/impersonate").await;
    assert_eq!(
        (started.status, browser.get("/").await.text("#username").as_str()),
        (302, "droid")
    );
    assert_eq!(browser.get("/admin/users/droid").await.status, 404);
    assert!(
        browser
            .get(&authorize_path(&sandbox, SCOPES))
            .await
            .body
            .contains("Redirecting")
    );
    let stopped = go("delete", "/admin/impersonation").await;
    assert!(stopped.location.ends_with("/admin/users/droid"));
    assert_eq!(browser.get("/").await.text("#username"), "root");
    // Admin Mode outlives the impersonation.
    assert_eq!(browser.get("/admin/users/droid").await.status, 200);

    for state in [UserState::Blocked, UserState::Deactivated] {
        sandbox.with_world(|world| {
            let id = world.user_named("droid").unwrap().id;
            world.user_mut(id).unwrap().state = state;
        });
        let refused = go("post", "/admin/users/droid/impersonate").await;
        assert!(refused.location.ends_with("/admin/users/droid"), "{}", refused.location);
        assert!(
            browser
                .get("/admin/users/droid")
                .await
                .text(".flash")
                .contains("cannot impersonate")
        );
        assert_eq!(browser.get("/").await.text("#username"), "root");
    }
    sandbox.with_world(|world| world.switches.impersonation_enabled = false);
    assert_eq!(go("post", "/admin/users/droid/impersonate").await.status, 404);
    sandbox.stop().await.unwrap();
}
