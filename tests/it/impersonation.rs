//! Approving as the droid from the administrator's session: always given back, checked, and where GitLab does not let
//! it happen, told by which of its rules.

use setpoint::sandbox::world::User;
use setpoint::sandbox::{Action, Options};

use super::common::Fixture;
use super::common::plans::{DROID, expect_order, unwrapped};
use super::common::proxy::{Phase, Proxy};

/// The droid has no password here: the administrator's session stands in for it.
fn impersonating(fixture: &Fixture) {
    fixture.give_admin_session();
    fixture.edit_config("password = { env = \"FACTORY_DROID_PASSWORD\" }\n", "");
}

#[tokio::test]
async fn the_droid_approves_and_the_session_is_given_back() {
    for admin_mode in ["admin_mode=false", "admin_mode=true"] {
        let mut options = Options::default();
        options.switches.set(admin_mode).expect("a switch");
        let fixture = Fixture::with(options).await;
        impersonating(&fixture);
        fixture.apply().await.expect(0);
        expect_order(
            &fixture.requests_since(0),
            &[
                "POST /users/sign_in",
                "POST /admin/users/factory-droid/impersonate",
                "GET /oauth/authorize",
                "POST /admin/impersonation",
                "POST /users/sign_out",
            ],
        );
        fixture.expect_connected(admin_mode);
        fixture.expect_signed_out(admin_mode);
        fixture.expect_nothing_to_do(admin_mode).await;
    }
}

#[tokio::test]
async fn it_is_stopped_where_the_approval_fails() {
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    impersonating(&fixture);
    proxy.intercept(|request, phase| {
        if phase == Phase::Before && request.path == "/oauth/authorize" {
            let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
            let body = "<title>Something went wrong (500)</title>".to_owned();
            return Action::Respond {
                status: 500,
                headers,
                body,
            };
        }
        Action::Pass
    });
    proxy.run(&fixture, &["apply", "--auto-approve"]).await.expect(3);
    proxy.pass_all();
    expect_order(
        &fixture.requests_since(0),
        &["POST /impersonate", "GET /oauth/authorize", "POST /admin/impersonation"],
    );
    fixture.expect_signed_out("after a failed approval");
    fixture.apply().await.expect(0);
    fixture.expect_connected("after another apply");
}

#[tokio::test]
async fn each_rule_that_forbids_it_is_named() {
    type Spoil = fn(&mut User);
    let cases: [(Spoil, &str, &str); 3] = [
        (
            |droid| droid.password_expires_at = Some(droid.created_at),
            "expired password",
            "set a new password",
        ),
        (|droid| droid.internal = true, "internal user", "use a regular user"),
        (|droid| droid.confirmed_at = None, "cannot log in", "unconfirmed"),
    ];
    for (spoil, rule, fix) in cases {
        let fixture = Fixture::new().await;
        impersonating(&fixture);
        fixture.apply().await.expect(0);
        fixture.change_user(DROID, spoil);
        fixture.disconnect();
        let ran = fixture.apply().await.expect(3);
        let text = unwrapped(&ran.stdout);
        assert!(
            text.contains(rule) && text.contains(fix),
            "{rule}: {fix}\n{}",
            ran.stdout
        );
        fixture.expect_signed_out(rule);
    }
}

#[tokio::test]
async fn where_it_is_switched_off_the_setting_is_named() {
    let mut options = Options::default();
    options.switches.set("impersonation_enabled=false").expect("a switch");
    let fixture = Fixture::with(options).await;
    impersonating(&fixture);
    let ran = fixture.apply().await.expect(3);
    let text = unwrapped(&ran.stdout);
    assert!(text.contains("impersonation_enabled"), "{}", ran.stdout);
    assert!(text.contains("user.sign_in = \"password\""), "{}", ran.stdout);
    fixture.expect_signed_out("where it is switched off");
}

#[tokio::test]
async fn a_blocked_droid_is_unblocked_first() {
    let fixture = Fixture::new().await;
    impersonating(&fixture);
    fixture.apply().await.expect(0);
    fixture.change_user(DROID, |droid| {
        droid.state = setpoint::sandbox::world::UserState::Blocked;
    });
    fixture.apply().await.expect(0);
    fixture.expect_connected("after the block was lifted");
    fixture.expect_nothing_to_do("after the block was lifted").await;
}

#[tokio::test]
async fn whom_factory_acts_as_afterwards_is_checked() {
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    impersonating(&fixture);
    let mut approved = false;
    proxy.intercept(move |request, phase| {
        approved |= request.path.contains("/integrations/redirect/") && phase == Phase::After;
        if approved && phase == Phase::Before && request.method == "GET" && request.path.ends_with("/gitlab-sh") {
            let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
            let body = serde_json::json!({ "integration": {
                "domain": "https://gitlab.example.com", "applicationId": "1", "status": "connected",
                "authorizedUser": { "id": 1, "username": "root" },
            } });
            return Action::Respond {
                status: 200,
                headers,
                body: body.to_string(),
            };
        }
        Action::Pass
    });
    let ran = proxy.run(&fixture, &["apply", "--auto-approve"]).await.expect(3);
    assert!(unwrapped(&ran.stdout).contains("connected as `root`"), "{}", ran.stdout);
    fixture.expect_signed_out("after the wrong user");
}
