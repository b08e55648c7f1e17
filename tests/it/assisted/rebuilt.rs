//! A record that is lost under the assisted driver: attestations are forgotten, and no secret that works is renewed.

use super::hands::Hands;
use super::{changes, fixture, saving, secret, value, wanted};
use crate::common::Fixture;
use crate::common::plans::unwrapped;

async fn lose_and_rebuild(fixture: &Fixture) -> String {
    std::fs::write(fixture.path(".setpoint/state.json"), "garbage").unwrap();
    let arguments = ["state", "rebuild", "--auto-approve"];
    fixture.run(&arguments).await.expect(0).stdout
}

fn addresses(changes: &[(String, String, String)]) -> Vec<&str> {
    changes
        .iter()
        .map(|(address, _, _)| address.split('[').next().unwrap_or_default())
        .collect()
}

/// Applied, done by hand, and attested.
async fn done(fixture: &Fixture) -> usize {
    let hands = Hands(fixture);
    let paths = wanted(fixture).await;
    let applied = fixture.run(&["apply", "--auto-approve"]).await.expect(3);
    hands.trust().await;
    let (domain, application) = (
        value(&applied.stdout, "Domain"),
        value(&applied.stdout, "Application ID"),
    );
    hands.save(&domain, &application, &secret(fixture)).await;
    hands.approve_as("factory-droid").await;
    hands.enable(&paths).await;
    fixture.run(&["confirm", "--all"]).await.expect(0);
    fixture.expect_nothing_to_do("after it was attested").await;
    paths.len()
}

#[tokio::test]
async fn what_gitlab_bears_out_stays_and_the_rest_is_due_again() {
    for load in [true, false] {
        let fixture = saving().await;
        if !load {
            fixture.edit_config("load = { file = \"secret\" }\n", "");
        }
        let repositories = done(&fixture).await;
        let (digest, writes) = (fixture.application().secret_digest, fixture.api_writes());
        let said = unwrapped(&lose_and_rebuild(&fixture).await);
        assert!(said.contains("GitLab lists the application"), "{said}");
        assert!(
            said.contains(&format!("{repositories} operator steps are due again")),
            "{said}"
        );
        let due = changes(&fixture).await;
        assert_eq!(addresses(&due), vec!["factory.repository"; repositories], "{due:?}");
        fixture.run(&["confirm", "--all"]).await.expect(0);
        fixture.expect_nothing_to_do("after it was attested anew").await;
        assert_eq!(fixture.api_writes(), writes, "neither side was written to");
        assert_eq!(fixture.application().secret_digest, digest);
    }
}

#[tokio::test]
async fn without_evidence_the_secret_is_not_renewed_either() {
    for load in [true, false] {
        let fixture = saving().await;
        if !load {
            fixture.edit_config("load = { file = \"secret\" }\n", "");
        }
        let repositories = done(&fixture).await;
        let digest = fixture.application().secret_digest;
        fixture.edit_config("password = { env = \"FACTORY_DROID_PASSWORD\" }\n", "");
        let said = unwrapped(&lose_and_rebuild(&fixture).await);
        assert_eq!(said.contains("is taken for granted"), !load, "{said}");
        let due = changes(&fixture).await;
        assert!(
            due.iter().all(|(_, status, _)| status == "operator"),
            "nothing is Setpoint's to do: {due:?}"
        );
        let left = addresses(&due);
        assert_eq!(left.contains(&"factory.connection"), load, "{left:?}");
        assert!(
            left.contains(&"factory.authorization") && left.len() >= repositories,
            "{left:?}"
        );
        fixture.run(&["apply", "--auto-approve"]).await.expect(3);
        assert_eq!(fixture.application().secret_digest, digest, "not renewed");
        fixture.run(&["confirm", "--all"]).await.expect(0);
        fixture.expect_nothing_to_do("after it was attested anew").await;
    }
}

#[tokio::test]
async fn before_anything_was_done_nothing_is_presumed_to_be() {
    let fixture = fixture().await;
    std::fs::create_dir(fixture.path(".setpoint")).unwrap();
    lose_and_rebuild(&fixture).await;
    let record = fixture.state();
    assert!(
        record.get("connection").is_none() && record.get("application").is_none(),
        "{record}"
    );
}
