//! An enforced second factor: what it closes, how it is put off, and how an authenticator is enrolled.

use serde_json::Value;
use setpoint_sandbox::world::{Source, World};
use setpoint_sandbox::{ROOT_TOKEN, Sandbox, totp};

use super::browser::*;

const SET_UP: &str = "/-/profile/two_factor_auth";

fn enforce_by_group(world: &mut World) {
    let platform = world
        .groups
        .iter_mut()
        .find(|group| group.full_path == "platform")
        .unwrap();
    platform.require_two_factor = true;
}

/// A link with `data-method`, or any other form that a script sends.
async fn send(browser: &Browser, page: &str, method: &str, action: &str) -> Shown {
    let token = browser.get(page).await.csrf();
    let token = if method == "post" {
        token
    } else {
        token.set("_method", method)
    };
    let form = FormSeen {
        action: action.to_owned(),
        ..token
    };
    browser.post(&form).await
}

/// The secret on the set-up page, without its spaces.
fn secret_on(page: &Shown) -> String {
    page.text("code.two-factor-secret").replace(' ', "")
}

fn code_of(sandbox: &Sandbox, secret: &str) -> String {
    sandbox.with_world(|world| totp(secret, world.now()).unwrap())
}

#[tokio::test]
async fn an_enforced_second_factor_closes_all_pages_but_its_own() {
    let sandbox = sandbox(&["two_factor_grace_period=0"]).await;
    let keys = sandbox.credentials();
    let group = sandbox.with_world(|world| world.group_at("platform").unwrap().id);
    let browser = Browser::new(sandbox.gitlab_url());
    browser.sign_in("droid", keys.droid_password).await;
    assert_eq!(browser.get("/").await.status, 200);
    sandbox.with_world(enforce_by_group);
    sandbox.with_world(|world| {
        world
            .groups
            .iter_mut()
            .for_each(|group| group.two_factor_grace_period = Some(0));
    });
    for path in ["/", &authorize_path(&sandbox, SCOPES)] {
        assert!(browser.get(path).await.location.ends_with(SET_UP), "{path}");
    }
    assert!(browser.get(SET_UP).await.text(".flash").contains("Platform"));
    // Signed in by password, the API answers; GraphQL takes no session.
    assert_eq!(browser.username().await.as_deref(), Some("droid"));
    let token = browser
        .get(SET_UP)
        .await
        .attr("meta[name=csrf-token]", "content")
        .unwrap();
    let query = browser
        .client
        .post(browser.url("/api/graphql"))
        .header("X-CSRF-Token", token);
    let query = query
        .body("{\"query\": \"{ currentUser { username } }\"}")
        .send()
        .await
        .unwrap();
    assert_eq!(query.status(), 401);
    let skipped = send(&browser, SET_UP, "patch", &format!("{SET_UP}/skip")).await;
    assert!(skipped.location.ends_with(SET_UP), "the grace period is over");
    // Within it, it can be put off.
    sandbox.with_world(|world| {
        world
            .groups
            .iter_mut()
            .for_each(|group| group.two_factor_grace_period = None);
    });
    send(&browser, SET_UP, "patch", &format!("{SET_UP}/skip")).await;
    assert_eq!(browser.get("/").await.status, 200);

    let answer = browser.client.get(browser.url(&format!("/api/v4/groups/{group}")));
    let answer: Value = answer
        .header("PRIVATE-TOKEN", ROOT_TOKEN)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(answer["require_two_factor_authentication"], true);
    assert_eq!(answer["two_factor_grace_period"], 48);
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn an_impersonation_of_such_an_account_is_ended_by_sign_out_alone() {
    for (switch, set_up) in [
        ("require_two_factor=false", SET_UP),
        ("enforce_terms=true", "/-/users/terms"),
    ] {
        let sandbox = sandbox(&[switch]).await;
        let keys = sandbox.credentials();
        let browser = Browser::new(sandbox.gitlab_url());
        browser.sign_in(keys.root_username, keys.root_password).await;
        let page = "/admin/users/droid";
        send(&browser, page, "post", "/admin/users/droid/impersonate").await;
        if set_up == SET_UP {
            sandbox.with_world(enforce_by_group);
        }
        let answer = browser.client.get(browser.url("/api/v4/user")).send().await.unwrap();
        assert_eq!(answer.status(), if set_up == SET_UP { 401 } else { 403 });
        let stopped = send(&browser, set_up, "delete", "/admin/impersonation").await;
        assert!(stopped.location.contains(set_up), "{}", stopped.location);
        let impersonated =
            || sandbox.with_world(|world| world.sessions.iter().any(|own| own.impersonator_id.is_some()));
        assert!(impersonated());
        send(&browser, set_up, "post", "/users/sign_out").await;
        assert!(!impersonated());
        sandbox.stop().await.unwrap();
    }
}

#[tokio::test]
async fn impersonating_takes_the_session_from_its_person() {
    let sandbox = sandbox(&[]).await;
    let keys = sandbox.credentials();
    let browser = Browser::new(sandbox.gitlab_url());
    browser.sign_in(keys.root_username, keys.root_password).await;
    let cookie = sandbox.with_world(|world| {
        world
            .sessions
            .iter()
            .find(|own| own.user_id == Some(1))
            .unwrap()
            .id
            .clone()
    });
    // A session can be handed over by its cookie.
    let person = async || {
        let request = reqwest::Client::new().get(browser.url("/api/v4/user"));
        let request = request.header("cookie", format!("_gitlab_session={cookie}"));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(person().await, 200);
    send(&browser, "/", "post", "/admin/users/droid/impersonate").await;
    assert_eq!(person().await, 401);
    send(&browser, "/", "delete", "/admin/impersonation").await;
    assert_eq!(browser.username().await.as_deref(), Some("root"));
    assert_eq!(person().await, 401);
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn an_authenticator_is_enrolled_with_the_secret_shown_last() {
    let sandbox = sandbox(&["require_two_factor=true"]).await;
    let keys = sandbox.credentials();
    let browser = Browser::new(sandbox.gitlab_url());
    let other = Browser::new(sandbox.gitlab_url());
    for own in [&browser, &other] {
        own.sign_in("droid", keys.droid_password).await;
    }
    let form = |page: &Shown, code: &str, password: &str| {
        page.form(SET_UP)
            .set("pin_code", code)
            .set("current_password", password)
    };
    let first = browser.get(SET_UP).await;
    let old = secret_on(&first);
    assert_eq!(
        (old.len(), first.text("code.two-factor-secret").split(' ').count()),
        (32, 8)
    );
    let wrong = browser.post(&form(&first, "000000", keys.droid_password)).await;
    assert!(wrong.body.contains("Invalid pin code."));
    assert_eq!(secret_on(&wrong), old, "a wrong code leaves the secret");
    let wrong = browser.post(&form(&first, &code_of(&sandbox, &old), "wrong")).await;
    assert!(wrong.body.contains("You must provide a valid current password."));
    assert_eq!(
        sandbox.with_world(|world| world.user_named("droid").unwrap().failed_attempts),
        1
    );
    sandbox.with_world(|world| world.switches.clock_offset_seconds += 121);
    let later = browser.get(SET_UP).await;
    let secret = secret_on(&later);
    assert_ne!(secret, old, "two minutes later there is another");
    let outdated = browser
        .post(&form(&later, &code_of(&sandbox, &old), keys.droid_password))
        .await;
    assert!(outdated.body.contains("Invalid pin code."));

    let code = code_of(&sandbox, &secret);
    let done = browser.post(&form(&later, &code, keys.droid_password)).await;
    let codes: Vec<String> = serde_json::from_str(&done.attr(".js-2fa-recovery-codes", "data-codes").unwrap()).unwrap();
    assert_eq!(codes.len(), 10);
    assert_eq!(browser.get("/").await.status, 200);
    assert_eq!(other.username().await, None, "the other sessions ended");
    // The code that enrolled is taken once more, a recovery code once.
    for given in [&code, &codes[3]] {
        let browser = Browser::new(sandbox.gitlab_url());
        for expected in [true, false] {
            let asked = browser.sign_in("droid", keys.droid_password).await;
            let answer = browser
                .post(&asked.form("/users/sign_in").set("user[otp_attempt]", given))
                .await;
            assert_eq!(answer.status == 302, expected, "{}", answer.body);
            if expected {
                browser.leave().await;
            }
        }
    }
    // The administrator can undo it; the second time there are codes already or not.
    let id = sandbox.with_world(|world| world.user_named("droid").unwrap().id);
    let undo = async || {
        let path = browser.url(&format!("/api/v4/users/{id}/disable_two_factor"));
        let request = browser.client.patch(path).header("PRIVATE-TOKEN", ROOT_TOKEN);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!((undo().await, undo().await), (204, 400));
    assert!(browser.get("/").await.location.ends_with(SET_UP));
    let again = browser.get(SET_UP).await;
    sandbox.with_world(|world| {
        world.user_mut(id).unwrap().recovery_digests = ["old".to_owned()].into();
    });
    let redirected = browser
        .post(&form(
            &again,
            &code_of(&sandbox, &secret_on(&again)),
            keys.droid_password,
        ))
        .await;
    assert_eq!(redirected.status, 302, "who has recovery codes is shown none");
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_factor_can_be_enforced_for_administrators() {
    let sandbox = sandbox(&["require_admin_two_factor=true"]).await;
    let keys = sandbox.credentials();
    let browser = Browser::new(sandbox.gitlab_url());
    browser.sign_in(keys.root_username, keys.root_password).await;
    assert!(browser.get("/admin/users").await.location.ends_with(SET_UP));
    let browser = Browser::new(sandbox.gitlab_url());
    browser.sign_in("droid", keys.droid_password).await;
    assert_eq!(browser.get("/").await.status, 200);
    // Enforced for the others by a membership; a project counts for nothing.
    sandbox.with_world(|world| {
        enforce_by_group(world);
        let id = world.user_named("droid").unwrap().id;
        world.members.retain(|member| member.user_id != id);
        let project = world.project_at("platform/handbook").unwrap().id;
        world.set_member(Source::Project(project), id, 30);
    });
    assert_eq!(browser.get("/").await.status, 200);
    sandbox.stop().await.unwrap();
}
