//! The droid has no password: its page of authorized applications is read through impersonation, which is ended each
//! time, and what the page says is evidence for an approval or against it.

use jiff::Timestamp;
use serde_json::Value;

use super::hands::Hands;
use super::{confirm_all, saving, secret, value, wanted};
use crate::common::Fixture;
use crate::common::plans::{DROID, change, expect_order, find};

/// Where the evidence is read, from the administrator's sign-in to the end of the session.
const READ: [&str; 5] = [
    "POST /users/sign_in",
    "POST /admin/users/factory-droid/impersonate",
    "GET /-/user_settings/applications",
    "POST /admin/impersonation",
    "POST /users/sign_out",
];

/// Everything done by hand, and attested.
async fn attested() -> Fixture {
    let fixture = saving().await;
    fixture.give_admin_session();
    fixture.edit_config(
        "password = { env = \"FACTORY_DROID_PASSWORD\" }\n",
        "sign_in = \"impersonate\"\n",
    );
    let hands = Hands(&fixture);
    let paths = wanted(&fixture).await;
    let applied = fixture.apply().await.expect(3);
    let prompt = &applied.stdout;
    assert!(prompt.contains("press \"Impersonate\""), "{prompt}");
    hands
        .save(
            &value(prompt, "Domain"),
            &value(prompt, "Application ID"),
            &secret(&fixture),
        )
        .await;
    let denied = fixture.run(&["confirm", "--all"]).await.expect(1);
    assert!(
        denied.stderr.contains("GitLab does not list `Factory Integration`"),
        "{}",
        denied.stderr
    );
    hands.approve_impersonating(DROID).await;
    hands.enable(&paths).await;
    let before = fixture.request_count();
    confirm_all(&fixture).await;
    expect_order(&fixture.requests_since(before), &READ);
    fixture.expect_signed_out("after confirm");
    fixture
}

fn attestation<'a>(plan: &'a Value, address: &str) -> &'a Value {
    let attested = plan["attested"].as_array().unwrap();
    let found = attested.iter().find(|one| one["address"] == address);
    found.unwrap_or_else(|| panic!("{address} is not in {attested:#?}"))
}

#[tokio::test]
async fn it_is_read_as_the_droid_and_the_impersonation_is_ended() {
    let fixture = attested().await;
    let before = fixture.request_count();
    let plan = fixture.run(&["plan", "--format", "json", "--detailed-exitcode"]).await;
    let plan = plan.expect(0).json();
    let evidence = &attestation(&plan, "factory.authorization")["evidence"];
    assert_eq!(evidence["authorized_application"], "Factory Integration", "{plan:#}");
    expect_order(&fixture.requests_since(before), &READ);
    fixture.expect_signed_out("after plan");
    let shown = fixture.run(&["plan"]).await.expect(0);
    assert!(shown.stdout.contains("as authorized by the droid"), "{}", shown.stdout);
}

#[tokio::test]
async fn a_revoked_authorization_is_drift_until_it_is_approved_again() {
    let fixture = attested().await;
    fixture.world(|world| {
        let droid = world.user_named(DROID).expect("the droid").id;
        let tokens = world.oauth_tokens.iter_mut();
        for token in tokens.filter(|token| token.user_id == droid) {
            token.revoked_at = Some(Timestamp::now());
        }
    });
    let drift = fixture.run(&["drift", "--format", "json"]).await.expect(2).json();
    let authorization = change(&drift, "factory.authorization");
    assert_eq!(
        (
            &authorization["origin"],
            &authorization["reason"],
            &authorization["status"]
        ),
        (&"drift".into(), &"not_connected".into(), &"operator".into())
    );
    assert!(find(&drift, "factory.connection").is_none(), "{drift:#}");
    fixture.expect_signed_out("after drift");
    // A word against the evidence is not taken.
    fixture.run(&["confirm", "factory.authorization"]).await.expect(1);
    Hands(&fixture).approve_impersonating(DROID).await;
    // What was attested holds again, as GitLab bears it out.
    fixture.run(&["drift"]).await.expect(0);
    fixture.expect_signed_out("at last");
}

#[tokio::test]
async fn where_impersonation_is_switched_off_the_word_stands_without_evidence() {
    let fixture = attested().await;
    fixture.world(|world| world.switches.impersonation_enabled = false);
    let plan = fixture.run(&["plan", "--format", "json", "--detailed-exitcode"]).await;
    let plan = plan.expect(0).json();
    let authorization = attestation(&plan, "factory.authorization");
    assert!(
        authorization.get("evidence").is_none_or(Value::is_null),
        "{authorization:#}"
    );
    fixture.expect_signed_out("where it is switched off");
}

/// The old application has the same name, and Factory still uses it: it must not be vouched for, and not be deleted.
#[tokio::test]
async fn after_a_replacement_the_old_application_vouches_for_nothing() {
    let fixture = saving().await;
    fixture.edit_config("\nredirect_uri", "\ntrusted = false\nredirect_uri");
    let steps = ["confirm", "factory.connection", "factory.authorization"];
    let hands = Hands(&fixture);
    let paths = wanted(&fixture).await;
    let prompt = fixture.apply().await.expect(3).stdout;
    let typed = (value(&prompt, "Domain"), value(&prompt, "Application ID"));
    hands.save(&typed.0, &typed.1, &secret(&fixture)).await;
    hands.approve_as(DROID).await;
    hands.enable(&paths).await;
    confirm_all(&fixture).await;
    let old = fixture.application();

    fixture.edit_config("\nredirect_uri", "\nconfidential = false\nredirect_uri");
    let replaced = fixture
        .run(&["apply", "--auto-approve", "--allow-replace", "--allow-interruption"])
        .await;
    let prompt = replaced.expect(3).stdout;
    let denied = fixture.run(&steps).await.expect(1);
    assert!(
        denied.stderr.contains("GitLab does not list `Factory Integration`"),
        "{}",
        denied.stderr
    );
    fixture
        .run(&["apply", "--auto-approve", "--allow-interruption"])
        .await
        .expect(3);
    let is_there = || fixture.world(|world| world.applications.iter().any(|one| one.id == old.id));
    assert!(is_there(), "Factory still uses the old one");

    let typed = (value(&prompt, "Domain"), value(&prompt, "Application ID"));
    assert_ne!(typed.1, old.uid);
    hands.save(&typed.0, &typed.1, &secret(&fixture)).await;
    hands.approve_as(DROID).await;
    fixture.run(&steps).await.expect(0);
    fixture.apply().await.expect(0);
    assert!(!is_there(), "nobody uses it any more");
    fixture.expect_nothing_to_do("after the replacement").await;
}

/// The page lists the application all along; what was approved with the old secret is told by its time.
#[tokio::test]
async fn after_a_rotation_what_was_approved_before_vouches_for_nothing() {
    let fixture = attested().await;
    let hour = jiff::SignedDuration::from_hours(1);
    fixture.world(|world| {
        for token in &mut world.oauth_tokens {
            token.created_at -= hour;
        }
    });
    fixture
        .run(&["rotate", "--auto-approve", "--allow-interruption"])
        .await
        .expect(3);
    let denied = fixture.run(&["confirm", "--all"]).await.expect(1);
    assert!(
        denied.stderr.contains("before its secret was renewed"),
        "{}",
        denied.stderr
    );
    let (url, uid) = (fixture.sandbox.gitlab_url(), fixture.application().uid);
    Hands(&fixture).save(&url, &uid, &secret(&fixture)).await;
    Hands(&fixture).approve_impersonating(DROID).await;
    confirm_all(&fixture).await;
    fixture.expect_nothing_to_do("after the rotation").await;
}
