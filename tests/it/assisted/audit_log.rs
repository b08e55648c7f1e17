//! An export of Factory's audit log as evidence of what is attested, and `confirm` without an address.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::saving;
use crate::common::Fixture;

/// Where nothing can be read as the droid: what remains is a person's word, and Factory's log.
async fn applied() -> Fixture {
    let fixture = saving().await;
    fixture.edit_config("password = { env = \"FACTORY_DROID_PASSWORD\" }\n", "");
    fixture.run(&["apply", "--auto-approve"]).await.expect(3);
    fixture
}

/// An event in the published form (Factory: "Audit Log").
fn event(intent: &str, at: Timestamp) -> Value {
    json!({
        "eventType": "integration_change",
        "actor": {"principalKind": "human", "principalId": "user_1", "email": "owner@example.com", "role": "owner"},
        "source": "web_settings_integrations",
        "target": {"integrationId": "gitlab_sh"},
        "payload": {"intent": intent},
        "createdAt": at.to_string(),
    })
}

fn export(fixture: &Fixture, events: &[Value]) {
    std::fs::write(fixture.path("audit.json"), serde_json::to_vec(events).unwrap()).unwrap();
}

const CONFIRM: [&str; 5] = [
    "confirm",
    "factory.connection",
    "factory.authorization",
    "--audit-log",
    "audit.json",
];

#[tokio::test]
async fn what_it_has_bears_out_what_is_attested() {
    let fixture = applied().await;
    let later = Timestamp::now() + SignedDuration::from_mins(5);
    export(&fixture, &[event("configured", later), event("connected", later)]);
    let ran = fixture.run(&CONFIRM).await.expect(0);
    for address in ["factory.connection", "factory.authorization"] {
        let said = format!("Factory's audit log bears out {address}: ");
        assert!(ran.stderr.contains(&said), "{}", ran.stderr);
    }
    assert!(ran.stderr.contains("owner@example.com"), "{}", ran.stderr);
}

#[tokio::test]
async fn what_it_has_against_it_is_an_error_and_nothing_is_recorded() {
    let fixture = applied().await;
    let before = fixture.state();
    let at = |minutes| Timestamp::now() + SignedDuration::from_mins(minutes);
    export(
        &fixture,
        &[
            event("configured", at(5)),
            event("connected", at(5)),
            event("disconnected", at(9)),
        ],
    );
    let ran = fixture.run(&CONFIRM).await.expect(1);
    assert!(
        ran.stderr.contains("Factory's audit log says that the integration was"),
        "{}",
        ran.stderr
    );
    assert_eq!(fixture.state(), before);
}

#[tokio::test]
async fn what_came_before_the_present_secret_bears_out_nothing() {
    let fixture = applied().await;
    let before = Timestamp::now() - SignedDuration::from_hours(48);
    export(&fixture, &[event("configured", before), event("connected", before)]);
    let ran = fixture.run(&CONFIRM).await.expect(0);
    assert!(
        ran.stderr.contains("bears out nothing of factory.connection"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn a_file_that_is_no_export_is_refused_by_name() {
    let fixture = applied().await;
    std::fs::write(fixture.path("audit.json"), "no log").unwrap();
    let ran = fixture.run(&CONFIRM).await.expect(1);
    assert!(ran.stderr.contains("audit.json"), "{}", ran.stderr);
}

#[tokio::test]
async fn without_an_address_it_lists_what_is_due_and_the_command_for_it() {
    let fixture = applied().await;
    let before = fixture.state();
    let ran = fixture.run(&["confirm"]).await.expect(0);
    insta::assert_snapshot!(ran.stdout, @r"
    Due, in this order; `setpoint apply` says where and what to click:

      1 of 4: gitlab.application: it needs an administrator's web session
        setpoint confirm gitlab.application

      2 of 4: factory.connection: it does not exist
        setpoint confirm factory.connection

      3 of 4: factory.authorization: Factory is not authorized
        setpoint confirm factory.authorization

      4 of 4: 22 repositories

    When all of it is done:

        setpoint confirm --all
    ");
    assert_eq!(fixture.state(), before);
    fixture.run(&["confirm", "--all"]).await.expect(0);
    let nothing = fixture.run(&["confirm"]).await.expect(0);
    assert_eq!(nothing.stdout, "Nothing is due.\n");
}
