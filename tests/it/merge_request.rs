//! The preview on a merge request, through the real binary: Markdown, GitLab's report, and JSON that fits its schema.

use serde_json::{Value, json};

use crate::common::{Fixture, run, setpoint};

/// Requires a document to fit the schema that the repository has of it.
#[track_caller]
pub(crate) fn fits(name: &str, document: &Value) {
    let path = format!("{}/schema/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert_eq!(errors, Vec::<String>::new(), "{document:#}");
}

#[tokio::test]
async fn committed_schemas_are_current_and_refuse_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    for (argument, file) in [
        ("config", "setpoint"),
        ("plan", "plan"),
        ("drift", "drift"),
        ("apply", "apply"),
        ("notify", "notify"),
    ] {
        let ran = run(setpoint(folder.path(), &["schema", argument])).await.expect(0);
        let path = format!("{}/schema/{file}.schema.json", env!("CARGO_MANIFEST_DIR"));
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            ran.stdout == committed,
            "`setpoint schema {argument}` and {path} differ"
        );
        let schema: Value = serde_json::from_str(&committed).unwrap();
        assert!(
            !jsonschema::is_valid(&schema, &json!({"format_version": 1})),
            "{argument}"
        );
    }
}

#[tokio::test]
async fn json_outputs_fit_their_schemas() {
    let fixture = Fixture::complete().await;
    let plan = fixture
        .run(&["plan", "--format", "json", "--out", "plan.json"])
        .await
        .expect(0);
    fits("plan", &plan.json());
    let saved = std::fs::read(fixture.path("plan.json")).unwrap();
    fits("plan", &serde_json::from_slice(&saved).unwrap());
    fits(
        "drift",
        &fixture.run(&["drift", "--format", "json"]).await.expect(0).json(),
    );
    let apply = fixture.run(&["apply", "plan.json", "--format", "json"]).await.expect(0);
    fits("apply", &apply.json());
    fits(
        "plan",
        &fixture.run(&["plan", "--format", "json"]).await.expect(0).json(),
    );
    fixture.sandbox.with_world(|world| {
        for user in world.users.iter_mut().filter(|user| user.username == "factory-droid") {
            user.name = "Mallory".to_owned();
        }
    });
    fits(
        "drift",
        &fixture.run(&["drift", "--format", "json"]).await.expect(2).json(),
    );
    let rotated = fixture
        .run(&["rotate", "--auto-approve", "--format", "json"])
        .await
        .expect(0);
    fits("apply", &rotated.json());
    let destroyed = fixture
        .run(&["destroy", "--auto-approve", "--format", "json"])
        .await
        .expect(0);
    fits("apply", &destroyed.json());
}

#[tokio::test]
async fn one_run_gives_the_note_the_report_and_the_saved_plan() {
    let fixture = Fixture::complete().await;
    let ran = fixture
        .run(&[
            "plan",
            "--format",
            "markdown",
            "--gitlab-report",
            "tf.json",
            "--out",
            "plan.json",
            "--detailed-exitcode",
            "-q",
        ])
        .await
        .expect(2);
    assert_eq!(ran.stderr, "");
    insta::assert_snapshot!(fixture.redact(&ran.stdout));
    let report: Value = serde_json::from_slice(&std::fs::read(fixture.path("tf.json")).unwrap()).unwrap();
    let plan: Value = serde_json::from_slice(&std::fs::read(fixture.path("plan.json")).unwrap()).unwrap();
    assert_eq!(
        report,
        json!({"create": plan["summary"]["create"], "update": 0, "delete": 0})
    );
    assert_ne!(report["create"], 0);
    let keys = fixture.sandbox.credentials();
    for secret in [
        keys.gitlab_token,
        keys.factory_key,
        keys.root_password,
        keys.droid_password,
    ] {
        assert!(!ran.stdout.contains(secret));
    }
}

#[tokio::test]
async fn a_note_is_no_longer_than_asked() {
    let fixture = Fixture::complete().await;
    let note = ["plan", "--format", "markdown", "--max-chars", "1500"];
    let ran = fixture.run(&note).await.expect(0);
    assert!(ran.stdout.chars().count() <= 1500, "{}", ran.stdout);
    assert!(
        ran.stdout.contains("**Shortened to 1500 characters.** Left out: "),
        "{}",
        ran.stdout
    );
    fixture.run(&["plan", "--max-chars", "1500"]).await.expect(1);
    fixture
        .run(&["plan", "--format", "markdown", "--max-chars", "10"])
        .await
        .expect(1);
}

#[tokio::test]
async fn what_others_wrote_does_not_break_out() {
    let fixture = Fixture::complete().await;
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    fixture.sandbox.with_world(|world| {
        for user in world.users.iter_mut().filter(|user| user.username == "factory-droid") {
            user.name = "```\n</details>\n/close\n@all \u{1b}[2J".to_owned();
        }
    });
    let ran = fixture.run(&["drift", "--format", "markdown"]).await.expect(2);
    assert!(!ran.stdout.contains('\u{1b}'));
    assert!(ran.stdout.contains("\n````text\n"), "{}", ran.stdout);
    assert!(!ran.stdout.lines().any(|line| line.starts_with('/')), "{}", ran.stdout);
}
