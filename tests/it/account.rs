//! The droid's account: healed, renamed and corrected over the API, never given a second password, and never the
//! account that Setpoint itself uses.

use std::sync::{Arc, Mutex};

use serde_json::json;
use setpoint::sandbox::world::{User, UserState, Visibility, digest};
use setpoint::sandbox::{Action, Options};

use super::common::Fixture;
use super::common::plans::{DROID, change, differing, find, notes, unwrapped};
use super::common::proxy::{Phase, Proxy};

async fn applied() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.give_admin_session();
    fixture.apply().await.expect(0);
    fixture
}

fn droid(fixture: &Fixture, username: &str) -> User {
    fixture.world(|world| world.user_named(username).expect("the account is there").clone())
}

#[tokio::test]
async fn a_block_is_lifted_a_pending_account_approved_and_a_deactivated_one_activated() {
    for (state, call, reason) in [
        (UserState::Blocked, "/unblock", "user_blocked"),
        (UserState::BlockedPendingApproval, "/approve", "user_blocked"),
        (UserState::Deactivated, "/activate", "differs"),
    ] {
        let fixture = applied().await;
        fixture.change_user(DROID, |droid| droid.state = state);
        let drift = fixture.run(&["drift", "--format", "json"]).await.expect(2).json();
        let drifted = change(&drift, "gitlab.user");
        assert_eq!(
            (differing(drifted), &drifted["origin"], &drifted["reason"]),
            (vec!["state"], &json!("drift"), &json!(reason))
        );
        let count = fixture.request_count();
        fixture.apply().await.expect(0);
        assert!(
            fixture
                .requests_since(count)
                .iter()
                .any(|request| request.ends_with(call))
        );
        assert_eq!(droid(&fixture, DROID).state, UserState::Active);
        fixture.expect_connected(call);
        fixture.expect_nothing_to_do(call).await;
    }
}

#[tokio::test]
async fn a_change_of_state_that_gitlab_did_not_make_is_no_success() {
    let fixture = applied().await;
    fixture.change_user(DROID, |droid| (droid.state, droid.invalid) = (UserState::Blocked, true));
    let ran = fixture.apply().await.expect(3);
    assert!(
        unwrapped(&ran.stdout).contains("GitLab did not unblock the account"),
        "{}",
        ran.stdout
    );
    assert_eq!(droid(&fixture, DROID).state, UserState::Blocked);
}

#[tokio::test]
async fn what_setpoint_cannot_lift_is_blocked_with_what_to_do() {
    for (state, words) in [
        (UserState::Banned, "unban it in GitLab's admin area"),
        (UserState::LdapBlocked, "only the directory can lift that"),
    ] {
        let fixture = applied().await;
        fixture.change_user(DROID, |droid| droid.state = state);
        let plan = fixture.plan().await;
        let blocked = change(&plan, "gitlab.user");
        assert_eq!(
            (&blocked["status"], &blocked["reason"]),
            (&json!("blocked"), &json!("user_blocked"))
        );
        let ran = fixture.apply().await.expect(3);
        assert!(unwrapped(&ran.stdout).contains(words), "{}", ran.stdout);
        assert_eq!(droid(&fixture, DROID).state, state);
    }
}

#[tokio::test]
async fn a_former_name_is_a_rename_of_the_same_account() {
    let fixture = applied().await;
    let before = droid(&fixture, DROID);
    fixture.edit_config(
        "username = \"factory-droid\"",
        "username = \"factory-bot\"\npreviously = [\"factory-droid\"]",
    );
    let plan = fixture.plan().await;
    let rename = change(&plan, "gitlab.user");
    assert_eq!(
        (&rename["actions"], differing(rename)),
        (&json!(["update"]), vec!["username"])
    );
    fixture.apply().await.expect(0);
    assert_eq!(droid(&fixture, "factory-bot").id, before.id);
    assert!(fixture.world(|world| world.user_named(DROID).is_none()));
    fixture.expect_nothing_to_do("after the rename").await;
}

#[tokio::test]
async fn address_and_name_are_changed_at_once_and_no_password_goes_with_them() {
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    fixture.give_admin_session();
    fixture.apply().await.expect(0);
    let before = droid(&fixture, DROID);
    fixture.edit_config("email = \"factory-droid@example.com\"", "email = \"droid@example.com\"");
    fixture.edit_config("name = \"Factory Droid\"", "name = \"The Droid\"");
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&bodies);
    proxy.intercept(move |request, phase| {
        if phase == Phase::Before && request.method == "PUT" && request.path.contains("/api/v4/users/") {
            seen.lock()
                .expect("the cell")
                .push(String::from_utf8_lossy(&request.body).into_owned());
        }
        Action::Pass
    });
    proxy.run(&fixture, &["apply", "--auto-approve"]).await.expect(0);
    let after = droid(&fixture, DROID);
    assert_eq!(
        (after.email.as_str(), after.name.as_str()),
        ("droid@example.com", "The Droid")
    );
    assert_eq!(after.unconfirmed_email, None);
    assert_eq!(
        (&after.password_digest, after.password_expires_at),
        (&before.password_digest, None)
    );
    let bodies = bodies.lock().expect("the cell").clone();
    assert_eq!(bodies.len(), 1);
    assert!(!bodies[0].contains("password"), "{}", bodies[0]);
    fixture.expect_connected("after the edit");
    fixture.expect_nothing_to_do("after the edit").await;
}

#[tokio::test]
async fn a_taken_address_and_a_taken_name_are_found_when_planning() {
    let fixture = Fixture::new().await;
    fixture.give_admin_session();
    fixture.edit_config("factory-droid@example.com", "Maria.Lopez@example.com");
    let plan = fixture.plan().await;
    let taken = change(&plan, "gitlab.user");
    assert_eq!(
        (&taken["status"], &taken["reason"]),
        (&json!("blocked"), &json!("email_taken"))
    );
    assert!(notes(taken).contains("`mlopez`"), "{taken:#}");
    let ran = fixture.apply().await.expect(3);
    assert!(
        unwrapped(&ran.stdout).contains("choose another user.email"),
        "{}",
        ran.stdout
    );
    assert!(fixture.world(|world| world.user_named(DROID).is_none()));

    let fixture = Fixture::new().await;
    fixture.give_admin_session();
    fixture.world(|world| world.add_group("Factory-Droid", "Factory Droid", Visibility::Private));
    let plan = fixture.plan().await;
    let taken = change(&plan, "gitlab.user");
    assert_eq!(
        (&taken["status"], &taken["reason"]),
        (&json!("blocked"), &json!("path_taken"))
    );
    assert!(notes(taken).contains("a group"), "{taken:#}");
    fixture.apply().await.expect(3);
    assert!(fixture.world(|world| world.user_named(DROID).is_none()));
}

#[tokio::test]
async fn the_account_of_its_own_token_is_never_touched() {
    let fixture = Fixture::new().await;
    fixture.give_admin_session();
    fixture.edit_config("username = \"factory-droid\"", "username = \"root\"");
    let before = droid(&fixture, "root");
    let plan = fixture.plan().await;
    let own = change(&plan, "gitlab.user");
    assert_eq!(own["status"], "blocked");
    assert!(notes(own).contains("gitlab.token"), "{own:#}");
    fixture.apply().await.expect(3);
    let after = droid(&fixture, "root");
    assert_eq!(
        (after.name, after.email, after.state),
        (before.name, before.email, before.state)
    );
    for arguments in [
        &["destroy", "--auto-approve", "--block-user"][..],
        &["destroy", "--auto-approve", "--delete-user"],
    ] {
        fixture.run(arguments).await;
        assert_eq!(droid(&fixture, "root").state, UserState::Active, "{arguments:?}");
    }
}

#[tokio::test]
async fn a_sign_in_that_fails_says_why_and_what_to_do() {
    type Spoil = fn(&mut User);
    let cases: [(Spoil, &str, &str); 4] = [
        (
            |droid| droid.password_digest = digest("another"),
            "does not let factory-droid sign in",
            "Check user.password",
        ),
        (
            |droid| droid.password_expires_at = Some(droid.created_at),
            "its password has expired",
            "set a new password",
        ),
        (
            |droid| droid.totp_secret = Some("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".to_owned()),
            "two-factor authentication",
            "user.totp_secret",
        ),
        (
            |droid| droid.confirmed_at = None,
            "does not let factory-droid sign in",
            "confirm the e-mail address",
        ),
    ];
    for (spoil, why, what) in cases {
        let fixture = applied().await;
        fixture.change_user(DROID, spoil);
        fixture.disconnect();
        let plan = fixture.plan().await;
        assert!(find(&plan, "factory.authorization").is_some());
        let ran = fixture.apply().await.expect(3);
        let text = unwrapped(&ran.stdout);
        assert!(
            text.contains(why) && text.contains(what),
            "{why}: {what}\n{}",
            ran.stdout
        );
        assert!(text.contains("factory.authorization"));
        fixture.expect_signed_out(why);
    }
}

#[tokio::test]
async fn password_sign_in_that_is_off_or_terms_that_wait_are_named() {
    for (switch, words) in [
        ("password_login_off=true", "does not take passwords on its sign-in page"),
        ("enforce_terms=true", "terms of service"),
        ("require_two_factor=true", "two-factor authentication"),
    ] {
        let mut options = Options::default();
        options.switches.set(switch).expect("a switch");
        let fixture = Fixture::with(options).await;
        let ran = fixture.apply().await.expect(3);
        assert!(unwrapped(&ran.stdout).contains(words), "{switch}\n{}", ran.stdout);
    }
}
