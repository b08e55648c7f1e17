//! Without a terminal: what is automatic is done, and the rest is a checklist that is attested later.

use super::hands::Hands;
use super::{changes, confirm_all, fixture, saving, secret, value, wanted};

#[tokio::test]
async fn a_secret_that_nobody_would_see_is_not_made() {
    let fixture = fixture().await;
    let refused = fixture.run(&["apply", "--auto-approve"]).await.expect(4);
    assert!(refused.stderr.contains("application.secret.save"), "{}", refused.stderr);
    assert_eq!(fixture.api_writes(), 0);
    let made = |world: &mut setpoint::sandbox::world::World| {
        world.applications.iter().any(|one| one.name == "Factory Integration")
    };
    assert!(!fixture.sandbox.with_world(made));
}

#[tokio::test]
async fn the_checklist_is_printed_and_confirmed_later_by_evidence() {
    let fixture = saving().await;
    let hands = Hands(&fixture);
    let paths = wanted(&fixture).await;
    let applied = fixture.run(&["apply", "--auto-approve"]).await.expect(3);
    let secret = secret(&fixture);
    for said in [
        "factory.connection",
        "Manage GitLab Self-Hosted Permissions",
        "setpoint confirm",
    ] {
        assert!(applied.stdout.contains(said), "{said} is not in\n{}", applied.stdout);
    }
    assert!(!applied.stdout.contains(&secret) && !applied.stderr.contains(&secret));
    let writes = fixture.api_writes();

    let markdown = fixture
        .run(&["apply", "--auto-approve", "--format", "markdown"])
        .await
        .expect(3);
    let list = &markdown.stdout;
    assert_eq!(list.matches("\n- [ ] ").count(), 4, "{list}");
    assert!(
        list.contains("<details><summary>enable ") && list.contains("  - [ ] `web/storefront`"),
        "{list}"
    );
    assert!(!list.contains(&secret) && !markdown.stderr.contains(&secret));
    assert_eq!(fixture.api_writes(), writes, "everything automatic was done before");
    let plan = fixture.run(&["plan", "--format", "markdown"]).await.expect(0);
    assert!(
        plan.stdout.contains("# factory.connection has to be"),
        "{}",
        plan.stdout
    );

    // Step by step, in their order, and not without what comes before.
    let early = fixture.run(&["confirm", "factory.authorization"]).await.expect(1);
    assert!(
        early.stderr.contains("factory.connection comes first"),
        "{}",
        early.stderr
    );
    let (domain, application) = (
        value(&applied.stdout, "Domain"),
        value(&applied.stdout, "Application ID"),
    );
    hands.trust().await;
    hands.save(&domain, &application, &secret).await;
    let confirmed = fixture
        .run(&["confirm", "gitlab.application", "factory.connection"])
        .await
        .expect(0);
    assert!(
        confirmed.stderr.contains(&domain),
        "what is attested is shown: {}",
        confirmed.stderr
    );
    assert!(
        confirmed.stdout.contains("2 steps attested on ")
            && confirmed
                .stdout
                .ends_with("When the rest is done:\n\n    setpoint confirm --all\n"),
        "{}",
        confirmed.stdout
    );

    let denied = fixture.run(&["confirm", "--all"]).await.expect(1);
    assert!(denied.stderr.contains("GitLab does not list"), "{}", denied.stderr);
    let left = changes(&fixture).await;
    assert_eq!(left.len(), 1 + paths.len(), "{left:?}");
    assert!(left.iter().all(|(_, status, _)| status == "operator"), "{left:?}");

    hands.approve_as("factory-droid").await;
    hands.enable(&paths).await;
    confirm_all(&fixture).await;
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    fixture.run(&["confirm", "--all"]).await.expect(0);
    let unknown = fixture.run(&["confirm", "factory.connection"]).await.expect(1);
    assert!(unknown.stderr.contains("nothing is due"), "{}", unknown.stderr);
}

#[tokio::test]
async fn without_evidence_a_word_is_all_there_is() {
    let fixture = saving().await;
    fixture.edit_config("password = { env = \"FACTORY_DROID_PASSWORD\" }\n", "");
    fixture.run(&["apply", "--auto-approve"]).await.expect(3);
    let confirmed = fixture.run(&["confirm", "--all"]).await.expect(0);
    assert!(
        confirmed.stderr.contains("what is recorded is your word"),
        "{}",
        confirmed.stderr
    );
    let plan = fixture.run(&["plan", "--format", "json"]).await.expect(0).json();
    assert!(
        plan["attested"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one.get("evidence").is_none()),
        "{plan}"
    );
}

#[tokio::test]
async fn a_thousand_repositories_go_to_a_file() {
    let fixture = saving().await;
    fixture.sandbox.with_world(|world| {
        for number in 0..1000 {
            let path = format!("platform/services/p{number:04}");
            world.add_project(&path, &path, setpoint::sandbox::world::Visibility::Private);
        }
    });
    let applied = fixture.run(&["apply", "--auto-approve"]).await.expect(3);
    assert!(
        !applied.stdout.contains("      platform/services/p0500"),
        "a prompt is short"
    );
    let list = std::fs::read_to_string(fixture.path(".setpoint/repositories.txt")).unwrap();
    assert!(
        list.lines().any(|line| line == "enable platform/services/p0999"),
        "{list}"
    );
}
