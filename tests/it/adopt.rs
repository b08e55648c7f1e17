//! An integration that was made by hand, as Factory's guide says, is adopted and never broken: its secret stays in force
//! until somebody renews it on purpose.

use jiff::Timestamp;
use setpoint::sandbox::world::World;

use crate::common::Fixture;

/// A world in which everything was done and nobody kept a record, with the configuration that fits it.
async fn made_by_hand(driver: &str) -> Fixture {
    let fixture = Fixture::complete().await;
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    std::fs::remove_dir_all(fixture.path(".setpoint")).unwrap();
    fixture.edit_config("driver = \"api\"", &format!("driver = \"{driver}\""));
    fixture
}

/// What GitLab has of the application, its secret included.
fn applications(fixture: &Fixture) -> String {
    let text = |world: &mut World| serde_json::to_string(&world.applications).unwrap();
    fixture.sandbox.with_world(text)
}

fn change<'a>(plan: &'a serde_json::Value, address: &str) -> &'a serde_json::Value {
    let changes = plan["changes"].as_array().unwrap();
    changes
        .iter()
        .find(|change| change["address"] == address)
        .unwrap_or_else(|| panic!("{address} is not in {plan:#}"))
}

#[tokio::test]
async fn nothing_is_renewed_before_it_is_adopted() {
    for driver in ["assisted", "api"] {
        let fixture = made_by_hand(driver).await;
        let before = applications(&fixture);
        let plan = fixture.run(&["plan", "--format", "json"]).await.expect(0).json();
        if driver == "assisted" {
            let application = change(&plan, "gitlab.application");
            assert_eq!(application["status"], "blocked", "{plan:#}");
            assert_eq!(application["reason"], "already_exists", "{plan:#}");
            assert!(application.to_string().contains("setpoint adopt"), "{plan:#}");
            let ran = fixture.run(&["apply", "--auto-approve"]).await.expect(3);
            assert!(ran.stdout.contains("setpoint adopt"), "{}", ran.stdout);
        }
        assert_eq!(applications(&fixture), before, "{driver}");
    }
}

#[tokio::test]
async fn exported_and_adopted_the_plan_is_empty() {
    for driver in ["assisted", "api"] {
        let fixture = made_by_hand(driver).await;
        let exported = fixture.run(&["export"]).await.expect(0).stdout;
        fixture.write_config(&exported);
        let (before, writes) = (applications(&fixture), fixture.api_writes());
        let adopted = fixture.run(&["adopt", "--all", "--auto-approve"]).await.expect(0);
        assert!(
            adopted.stdout.starts_with("Adopted: the application with the id "),
            "{}",
            adopted.stdout
        );
        let evidence = match driver {
            "assisted" => "as authorized by `factory-droid`",
            _ => "Factory has this application and works with it",
        };
        assert!(adopted.stderr.contains(evidence), "{}", adopted.stderr);
        fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
        assert_eq!(applications(&fixture), before, "{driver}");
        assert_eq!(fixture.api_writes(), writes, "{driver}");
    }
}

/// Under `api`, too, what differs elsewhere does not keep the plan from saying what it is, nor from going on with the rest.
#[tokio::test]
async fn what_differs_goes_on_before_the_adoption_and_nothing_of_the_integration_is_touched() {
    for driver in ["assisted", "api"] {
        let fixture = made_by_hand(driver).await;
        let before = applications(&fixture);
        fixture.edit_config("\"Factory Droid\"", "\"The Droid\"");
        fixture.edit_config(
            "name = \"Factory Integration\"",
            "name = \"Factory Integration\"\ntrusted = false",
        );
        let plan = fixture.run(&["plan", "--format", "json"]).await.expect(0).json();
        let application = change(&plan, "gitlab.application");
        assert_eq!(application["reason"], "already_exists", "{driver}: {plan:#}");
        assert!(application.to_string().contains("`setpoint adopt`"), "{plan:#}");
        assert_eq!(change(&plan, "gitlab.user")["status"], "ready", "{driver}: {plan:#}");
        let ran = fixture
            .run(&["apply", "--auto-approve", "--allow-replace"])
            .await
            .expect(3);
        assert!(ran.stdout.trim_end().ends_with("    setpoint adopt"), "{}", ran.stdout);
        assert_eq!(applications(&fixture), before, "{driver}");
        let renamed = |world: &mut World| world.user_named("factory-droid").unwrap().name.clone();
        assert_eq!(fixture.sandbox.with_world(renamed), "The Droid");
        // It says the same again, and adopted, what differs is planned.
        fixture
            .run(&["apply", "--auto-approve", "--allow-replace"])
            .await
            .expect(3);
        assert_eq!(applications(&fixture), before, "{driver}");
        fixture.run(&["adopt", "--all", "--auto-approve"]).await.expect(0);
        let plan = fixture.run(&["plan", "--format", "json"]).await.expect(0).json();
        assert_eq!(
            change(&plan, "gitlab.application")["status"],
            "ready",
            "{driver}: {plan:#}"
        );
        assert_eq!(applications(&fixture), before, "{driver}");
    }
}

#[tokio::test]
async fn what_nobody_says_is_not_taken_for_granted() {
    let fixture = made_by_hand("assisted").await;
    let ran = fixture.run(&["adopt"]).await.expect(1);
    assert!(ran.stderr.contains("--attest connection"), "{}", ran.stderr);
    assert!(!fixture.path(".setpoint/state.json").exists());
    fixture.run(&["adopt", "--attest", "connection"]).await.expect(0);
    let plan = fixture.run(&["plan", "--format", "json"]).await.expect(0).json();
    assert_eq!(change(&plan, "factory.authorization")["status"], "operator", "{plan:#}");
    let again = fixture.run(&["adopt", "--all"]).await.expect(1);
    assert!(again.stderr.contains("there is nothing to adopt"), "{}", again.stderr);
}

#[tokio::test]
async fn what_gitlab_denies_is_not_adopted() {
    let fixture = made_by_hand("assisted").await;
    fixture.sandbox.with_world(|world| {
        for token in &mut world.oauth_tokens {
            token.revoked_at = Some(Timestamp::now());
        }
    });
    let ran = fixture.run(&["adopt", "--all", "--auto-approve"]).await.expect(1);
    assert!(ran.stderr.contains("GitLab does not list"), "{}", ran.stderr);
    assert!(!fixture.path(".setpoint/state.json").exists());
}

#[tokio::test]
async fn a_renewal_on_purpose_says_that_it_interrupts_and_has_to_be_allowed() {
    let fixture = made_by_hand("assisted").await;
    fixture.edit_config(
        "[user]\n",
        "[application.secret]\nsave = { file = \"secret\" }\nload = { file = \"secret\" }\n\n[user]\n",
    );
    fixture.run(&["adopt", "--all", "--auto-approve"]).await.expect(0);
    let before = applications(&fixture);
    let refused = fixture.run(&["rotate", "--auto-approve"]).await.expect(4);
    assert!(refused.stdout.contains("Factory is cut off from"), "{}", refused.stdout);
    assert!(refused.stderr.contains("--allow-interruption"), "{}", refused.stderr);
    assert_eq!(applications(&fixture), before);
    fixture
        .run(&["rotate", "--auto-approve", "--allow-interruption"])
        .await
        .expect(3);
    assert_ne!(applications(&fixture), before);
}

#[tokio::test]
async fn a_target_that_is_nowhere_is_an_error() {
    let fixture = Fixture::complete().await;
    let ran = fixture
        .run(&["plan", "--target", "gitlab.membership[\"nowhere\"]"])
        .await
        .expect(1);
    assert!(
        ran.stderr.contains("is neither in the configuration nor"),
        "{}",
        ran.stderr
    );
}
