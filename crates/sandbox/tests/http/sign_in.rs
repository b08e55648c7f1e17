//! Signing in by form, and what may stand in the way.

use setpoint_sandbox::world::UserState;
use setpoint_sandbox::{Sandbox, Switches};

use super::browser::*;

const TOTP_SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

#[tokio::test]
async fn sign_in_renews_the_session_and_its_token() {
    let sandbox = sandbox(&[]).await;
    let browser = Browser::new(sandbox.gitlab_url());
    assert_eq!(browser.get("/").await.status, 302);
    let page = browser.get("/users/sign_in").await;
    let form = page.form("/users/sign_in");
    assert_eq!(
        form.names,
        [
            "authenticity_token",
            "user[login]",
            "user[remember_me]",
            "user[remember_me]"
        ]
    );

    let wrong = browser
        .post(&form.clone().set("user[login]", "droid").set("user[password]", "wrong"))
        .await;
    assert_eq!(wrong.status, 200);
    assert!(wrong.text(".flash").contains("Invalid login or password"));
    let forged = browser.post(&form.clone().set("authenticity_token", "AAAA")).await;
    assert_eq!(forged.status, 422);

    let droid = sandbox.credentials().droid_password;
    let right = form.set("user[login]", "DROID").set("user[password]", droid);
    assert_eq!(browser.post(&right).await.status, 302);
    assert_eq!(browser.get("/").await.text("#username"), "droid");
    assert_eq!(
        browser.username().await.as_deref(),
        Some("droid"),
        "the API takes the cookie"
    );
    // The form from before the sign-in is worth nothing now.
    assert_eq!(browser.post(&right).await.status, 422);
    // A live session wins over whoever is posted.
    let root = sandbox.credentials();
    let token = browser.get("/").await.csrf();
    let again = FormSeen {
        action: "/users/sign_in".to_owned(),
        ..token
    }
    .set("user[login]", root.root_username)
    .set("user[password]", root.root_password);
    assert_eq!(browser.post(&again).await.status, 302);
    assert_eq!(browser.get("/").await.text("#username"), "droid");
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_redirect_after_sign_in_is_not_success() {
    let sandbox = sandbox(&[]).await;
    let droid = sandbox.credentials().droid_password;
    for state in [
        UserState::Blocked,
        UserState::BlockedPendingApproval,
        UserState::Deactivated,
    ] {
        sandbox.with_world(|world| {
            let id = world.user_named("droid").unwrap().id;
            world.user_mut(id).unwrap().state = state;
        });
        let browser = Browser::new(sandbox.gitlab_url());
        let answer = browser.sign_in("droid", droid).await;
        assert_eq!(answer.status, 302);
        let now = sandbox.with_world(|world| world.user_named("droid").unwrap().state);
        if state == UserState::Deactivated {
            assert_eq!(now, UserState::Active);
        } else {
            assert!(answer.location.ends_with("/users/sign_in"), "{}", answer.location);
            assert_eq!(browser.get("/").await.status, 302);
            assert_eq!(now, state);
        }
    }
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_sign_in() {
    let sandbox = sandbox(&["password_login_off=true"]).await;
    let droid = sandbox.credentials().droid_password;
    let browser = Browser::new(sandbox.gitlab_url());
    let token = browser.get("/users/sign_in").await.csrf();
    let form = FormSeen {
        action: "/users/sign_in".to_owned(),
        ..token
    };
    assert_eq!(
        browser
            .post(&form.set("user[login]", "droid").set("user[password]", droid))
            .await
            .status,
        403
    );

    let set = |assignment: &'static str| {
        sandbox.with_world(|world| {
            world.switches = Switches::default();
            world.switches.set(assignment).unwrap();
        });
    };
    for (switch, path) in [
        ("require_two_factor=true", "/-/profile/two_factor_auth"),
        ("enforce_terms=true", "/-/users/terms?"),
    ] {
        set(switch);
        let browser = Browser::new(sandbox.gitlab_url());
        assert_eq!(browser.sign_in("droid", droid).await.status, 302);
        let answer = browser.get("/").await;
        assert!(
            answer.status == 302 && answer.location.contains(path),
            "{switch}: {}",
            answer.location
        );
    }
    // The terms can be accepted.
    let browser = Browser::new(sandbox.gitlab_url());
    browser.sign_in("droid", droid).await;
    let terms = browser.get("/").await.location;
    let form = browser
        .get(&terms)
        .await
        .forms()
        .into_iter()
        .find(|form| form.action.contains("/accept"))
        .unwrap();
    assert_eq!(browser.post(&form).await.status, 302);
    assert_eq!(browser.get("/").await.status, 200);

    set("protected_paths_limit=3");
    let browser = Browser::new(sandbox.gitlab_url());
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(browser.sign_in("nobody", "nothing").await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    set("protected_paths_limit=0");
    sandbox.with_world(|world| {
        let now = world.now();
        let id = world.user_named("droid").unwrap().id;
        world.user_mut(id).unwrap().password_expires_at = Some(now);
    });
    let browser = Browser::new(sandbox.gitlab_url());
    browser.sign_in("droid", droid).await;
    let answer = browser.get("/").await;
    assert!(
        answer.location.ends_with("/-/user_settings/password/new"),
        "{}",
        answer.location
    );
    let form = browser.get(&answer.location).await.form("/-/user_settings/password");
    let form = form
        .set("user[password]", droid)
        .set("user[new_password]", "another-fake-password")
        .set("user[password_confirmation]", "another-fake-password");
    assert_eq!(browser.post(&form).await.status, 302);
    assert_eq!(browser.get("/").await.status, 200);
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_captcha_comes_after_failures() {
    let sandbox = sandbox(&["recaptcha=true", "protected_paths_limit=0"]).await;
    let droid = sandbox.credentials().droid_password;
    let browser = Browser::new(sandbox.gitlab_url());
    for _ in 0..6 {
        browser.sign_in("nobody", "nothing").await;
    }
    let page = browser.get("/users/sign_in").await;
    assert!(page.attr(".g-recaptcha", "data-sitekey").is_some());
    let answer = browser.sign_in("droid", droid).await;
    assert!(answer.status == 200 && answer.text(".flash").contains("reCAPTCHA"));
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_one_time_code_works_once_and_admin_mode_needs_the_next() {
    let sandbox = sandbox(&["admin_mode=true"]).await;
    let keys = sandbox.credentials();
    sandbox.with_world(|world| {
        let id = world.user_named("root").unwrap().id;
        world.user_mut(id).unwrap().totp_secret = Some(TOTP_SECRET.to_owned());
    });
    let code =
        |sandbox: &Sandbox| sandbox.with_world(|world| setpoint_sandbox::totp(TOTP_SECRET, world.now()).unwrap());
    let browser = Browser::new(sandbox.gitlab_url());
    let asked = browser.sign_in(keys.root_username, keys.root_password).await;
    assert_eq!(asked.status, 200);
    let form = asked.form("/users/sign_in");
    assert_eq!(
        form.names,
        ["authenticity_token", "user[remember_me]", "user[otp_attempt]"]
    );
    let wrong = browser.post(&form.set("user[otp_attempt]", "000000x")).await;
    assert!(wrong.text(".flash").contains("Invalid two-factor code"));
    let used = code(&sandbox);
    let right = browser
        .post(&wrong.form("/users/sign_in").set("user[otp_attempt]", &used))
        .await;
    assert_eq!(right.status, 302, "{}", right.body);

    let door = browser.get("/admin/applications").await;
    assert!(door.location.ends_with("/admin/session/new"), "{}", door.location);
    let form = browser.get("/admin/session/new").await.form("/admin/session");
    let asked = browser.post(&form.set("user[password]", keys.root_password)).await;
    let again = browser
        .post(&asked.form("/admin/session").set("user[otp_attempt]", &used))
        .await;
    assert_eq!(again.status, 200, "a used code must be refused");
    sandbox.with_world(|world| world.switches.clock_offset_seconds += 31);
    let next = again.form("/admin/session").set("user[otp_attempt]", &code(&sandbox));
    let entered = browser.post(&next).await;
    assert!(
        entered.location.ends_with("/admin/applications"),
        "{} {}",
        entered.status,
        entered.location
    );
    assert_eq!(browser.get("/admin/applications").await.status, 200);
    sandbox.stop().await.unwrap();
}
