//! What locks an account: a sign-in from a new address, wrong passwords, and too many sign-ins.

use setpoint_sandbox::{ROOT_TOKEN, Sandbox};

use super::browser::*;

const VERIFIED: &str = "require_email_verification_on_account_locked=true";

/// What the API says to the administrator's token: the status and the sentence.
async fn by_token(sandbox: &Sandbox, browser: &Browser, path: &str) -> (u16, String) {
    let request = browser.client.get(format!("{}{path}", sandbox.gitlab_url()));
    let answer = request.header("PRIVATE-TOKEN", ROOT_TOKEN).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn come_from(sandbox: &Sandbox, address: &str) {
    sandbox.with_world(|world| address.clone_into(&mut world.switches.client_address));
}

#[tokio::test]
async fn the_right_password_from_a_new_address_locks_the_account() {
    let sandbox = sandbox(&[VERIFIED, "gitlab=19.3"]).await;
    let keys = sandbox.credentials();
    let stranger = Browser::new(sandbox.gitlab_url());
    let (_, settings) = by_token(&sandbox, &stranger, "/api/v4/application/settings").await;
    assert!(
        settings.contains("\"require_email_verification_on_account_locked\":true"),
        "{settings}"
    );
    // The very first address is trusted.
    come_from(&sandbox, "192.0.2.1");
    let known = Browser::new(sandbox.gitlab_url());
    assert_eq!(known.sign_in(keys.root_username, keys.root_password).await.status, 302);
    assert_eq!(by_token(&sandbox, &stranger, "/api/v4/metadata").await.0, 200);

    come_from(&sandbox, "192.0.2.2");
    let asked = stranger.sign_in(keys.root_username, keys.root_password).await;
    assert_eq!(asked.status, 200);
    assert_eq!(
        asked.attr(".js-email-verification", "data-username").as_deref(),
        Some("root")
    );
    let (status, sentence) = by_token(&sandbox, &stranger, "/api/v4/metadata").await;
    assert!(
        status == 403 && sentence.contains("Your account has been blocked"),
        "{sentence}"
    );
    assert_eq!(known.get("/").await.status, 302, "the other session is thrown out");
    // Elsewhere the account stays locked, too, and the code that was mailed opens it.
    come_from(&sandbox, "192.0.2.1");
    assert!(
        known
            .sign_in(keys.root_username, keys.root_password)
            .await
            .body
            .contains("js-email-verification")
    );
    let mailed = sandbox.with_world(|world| world.user(1).unwrap().verification_code.clone().unwrap());
    let form = FormSeen {
        action: "/users/sign_in".to_owned(),
        ..asked.csrf().set("user[verification_token]", &mailed)
    };
    assert!(stranger.post(&form).await.body.contains("success"));
    assert_eq!(by_token(&sandbox, &stranger, "/api/v4/metadata").await.0, 200);

    // A day later it would have been open by itself; and an authenticator skips all of it.
    sandbox.with_world(|world| {
        let root = world.user_mut(1).unwrap();
        (root.locked, root.totp_secret) = (false, Some("GEZDGNBVGY3TQOJQ".to_owned()));
    });
    come_from(&sandbox, "192.0.2.3");
    let page = Browser::new(sandbox.gitlab_url())
        .sign_in(keys.root_username, keys.root_password)
        .await;
    assert_eq!(page.form("/users/sign_in").names.last().unwrap(), "user[otp_attempt]");
    assert!(!sandbox.with_world(|world| world.user(1).unwrap().locked));
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn the_sixth_sign_in_within_ten_minutes_is_refused_by_a_redirect() {
    let sandbox = sandbox(&[VERIFIED, "protected_paths_limit=0"]).await;
    let droid = sandbox.credentials().droid_password;
    for _ in 0..5 {
        let answer = Browser::new(sandbox.gitlab_url()).sign_in("droid", droid).await;
        assert_eq!((answer.status, answer.location.ends_with('/')), (302, true));
    }
    let browser = Browser::new(sandbox.gitlab_url());
    let answer = browser.sign_in("droid", droid).await;
    assert!(
        answer.status == 302 && answer.location.ends_with("/users/sign_in"),
        "{}",
        answer.location
    );
    assert!(
        browser
            .get("/users/sign_in")
            .await
            .text(".flash")
            .contains("Wait 10 minutes")
    );
    sandbox.with_world(|world| world.switches.clock_offset_seconds += 601);
    assert!(browser.sign_in("droid", droid).await.location.ends_with('/'));
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn wrong_passwords_lock_an_account_for_a_while() {
    for (switch, wrong, seconds) in [
        ("max_login_attempts=null", 10, 601),
        ("max_login_attempts=4", 4, 601),
        (VERIFIED, 3, 24 * 3600 + 1),
    ] {
        let sandbox = sandbox(&[switch, "protected_paths_limit=0"]).await;
        let droid = sandbox.credentials().droid_password;
        let locked = || sandbox.with_world(|world| world.user_named("droid").unwrap().is_locked(world.now()));
        let browser = Browser::new(sandbox.gitlab_url());
        for number in 0..wrong {
            assert!(!locked(), "{switch}: after {number}");
            assert_eq!(browser.sign_in("droid", "wrong").await.status, 200);
        }
        assert!(locked(), "{switch}");
        assert_eq!(browser.sign_in("droid", droid).await.status, 200);
        sandbox.with_world(|world| world.switches.clock_offset_seconds += seconds);
        assert!(
            browser.sign_in("droid", droid).await.location.ends_with('/'),
            "{switch}"
        );
        sandbox.stop().await.unwrap();
    }
}
