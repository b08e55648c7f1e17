//! What was attested is due again exactly where something that it is bound to changes.

use super::{changes, saving};
use crate::common::Fixture;

/// Everything attested, without evidence that would have to be made.
async fn attested() -> Fixture {
    let fixture = saving().await;
    fixture.edit_config("password = { env = \"FACTORY_DROID_PASSWORD\" }\n", "");
    fixture.run(&["apply", "--auto-approve"]).await.expect(3);
    fixture.run(&["confirm", "--all"]).await.expect(0);
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
    fixture
}

/// The changes as `address reason`.
async fn due(fixture: &Fixture) -> Vec<String> {
    let changes = changes(fixture).await;
    changes
        .iter()
        .map(|(address, _, reason)| format!("{address} {reason}"))
        .collect()
}

#[tokio::test]
async fn a_rotated_secret_makes_connection_and_authorization_due() {
    let fixture = attested().await;
    fixture
        .run(&["rotate", "--auto-approve", "--allow-interruption"])
        .await
        .expect(3);
    assert_eq!(
        due(&fixture).await,
        [
            "factory.connection attestation_due",
            "factory.authorization attestation_due"
        ]
    );
    fixture.run(&["confirm", "--all"]).await.expect(0);
    assert_eq!(due(&fixture).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_renamed_user_makes_the_authorization_due() {
    let fixture = attested().await;
    fixture.edit_config(
        "username = \"factory-droid\"",
        "username = \"robot\"\npreviously = [\"factory-droid\"]",
    );
    assert_eq!(
        due(&fixture).await,
        ["gitlab.user differs", "factory.authorization attestation_due"]
    );
}

#[tokio::test]
async fn a_new_repository_is_due_alone() {
    let fixture = attested().await;
    fixture.edit_config("enable = [", "enable = [\"open-source/rust-toolbox\", ");
    assert_eq!(
        due(&fixture).await,
        ["factory.repository[\"open-source/rust-toolbox\"] absent"]
    );
    fixture.run(&["apply", "--auto-approve"]).await.expect(3);
    fixture
        .run(&["confirm", "factory.repository[\"open-source/rust-toolbox\"]"])
        .await
        .expect(0);
    assert_eq!(due(&fixture).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_replaced_application_makes_all_but_the_repositories_due() {
    let fixture = attested().await;
    fixture.edit_config(
        "name = \"Factory Integration\"",
        "name = \"Factory Integration\"\nscopes = [\"api\", \"read_user\"]",
    );
    fixture
        .run(&["apply", "--auto-approve", "--allow-replace", "--allow-interruption"])
        .await
        .expect(3);
    let due = due(&fixture).await;
    assert!(
        due.contains(&"factory.connection attestation_due".to_owned())
            && due.contains(&"factory.authorization attestation_due".to_owned())
            && !due.iter().any(|change| change.starts_with("factory.repository")),
        "{due:?}"
    );
}
