//! What stands between a plan and its approval, and the record's own list: `show`, `state list`, `state rm`; and the
//! sandbox, which is a place of its own.

use crate::common::{Fixture, run, setpoint};

#[tokio::test]
async fn a_saved_plan_is_shown_as_it_was_planned_and_needs_nothing_else() {
    let fixture = Fixture::complete().await;
    let saved = fixture
        .run(&["plan", "--out", "plan.json", "--allow-removals", "7", "--allow-replace"])
        .await
        .expect(0);
    let elsewhere = tempfile::tempdir().unwrap();
    let file = fixture.path("plan.json").display().to_string();
    let shown = |arguments: &[&str]| {
        let arguments: Vec<&str> = ["show", &file].into_iter().chain(arguments.iter().copied()).collect();
        run(setpoint(elsewhere.path(), &arguments))
    };
    let human = shown(&[]).await.expect(0);
    assert_eq!(human.stdout, saved.stdout);
    assert!(human.stdout.starts_with("GitLab 127.0.0.1:"), "{}", human.stdout);
    assert!(human.stdout.contains("up to 7 removals"), "{}", human.stdout);
    let note = shown(&["--format", "markdown"]).await.expect(0);
    assert!(
        note.stdout.starts_with("### Setpoint plan\n\nOn `GitLab"),
        "{}",
        note.stdout
    );
    let json = shown(&["--format", "json"]).await.expect(0).json();
    let planned = fixture
        .run(&["plan", "--format", "json", "--allow-removals", "7", "--allow-replace"])
        .await
        .expect(0)
        .json();
    for key in [
        "changes",
        "summary",
        "allowances",
        "gitlab_url",
        "gitlab_version",
        "config_file",
        "factory_driver",
    ] {
        assert_eq!(json[key], planned[key], "{key}");
        assert!(!json[key].is_null(), "{key}");
    }

    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("platform", "platf0rm")).unwrap();
    let edited = shown(&[]).await.expect(1);
    assert!(edited.stderr.contains("was edited"), "{}", edited.stderr);
    let missing = run(setpoint(elsewhere.path(), &["show", "nothing.json"]))
        .await
        .expect(1);
    assert!(
        missing.stderr.contains("there is no saved plan at nothing.json"),
        "{}",
        missing.stderr
    );
}

#[tokio::test]
async fn what_is_forgotten_is_found_again_and_nothing_is_written_to_either_side() {
    let fixture = Fixture::complete().await;
    let none = fixture.run(&["state", "list"]).await.expect(0);
    assert_eq!(none.stdout, "");
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    let all = fixture.run(&["state", "list"]).await.expect(0).stdout;
    let addresses: Vec<&str> = all.lines().collect();
    assert_eq!(addresses[..2], ["gitlab.application", "gitlab.user"]);
    assert!(addresses.contains(&"gitlab.membership[\"platform\"]"), "{all}");

    let writes = fixture.api_writes();
    let asked = fixture.run(&["state", "rm", "gitlab.user"]).await.expect(1);
    assert!(asked.stderr.contains("--auto-approve"), "{}", asked.stderr);
    let unknown = fixture
        .run(&["state", "rm", "gitlab.membership[\"nowhere\"]", "--auto-approve"])
        .await
        .expect(1);
    assert!(unknown.stderr.contains("state list"), "{}", unknown.stderr);
    let removed = fixture
        .run(&[
            "state",
            "rm",
            "gitlab.user",
            "gitlab.membership[\"platform\"]",
            "--auto-approve",
        ])
        .await
        .expect(0);
    insta::with_settings!({ filters => vec![(r"serial \d+", "serial [n]")] }, {
        insta::assert_snapshot!(fixture.redact(&removed.stdout));
    });
    let left = fixture
        .run(&["state", "list", "--format", "json"])
        .await
        .expect(0)
        .json();
    assert_eq!(left["addresses"].as_array().unwrap().len(), addresses.len() - 2);
    assert_eq!(fixture.api_writes(), writes);

    fixture.run(&["apply"]).await.expect(0);
    assert_eq!(
        fixture.api_writes(),
        writes,
        "what is as declared is only recorded again"
    );
    assert_eq!(fixture.run(&["state", "list"]).await.expect(0).stdout, all);
}

/// A gateway in the place of Factory, with hosts and a redirect URI of its own.
const GATEWAY: &str = r#"
[gitlab]
url = "https://gitlab.corp.example.com/git"
external_url = "https://gitlab.example.com/git"
token = { env = "GITLAB_TOKEN" }

[factory]
driver = "api"
api_url = "https://gateway.example.com"
app_url = "https://portal.example.com"
token = { env = "FACTORY_API_KEY" }

[application]
name = "Factory Integration"
redirect_uri = "https://login.example.com/oauth/done?from=gitlab"
trusted = false

[user]
name = "Factory Droid"
username = "factory-droid"
email = "factory-droid@example.com"
password = { env = "FACTORY_DROID_PASSWORD" }

[repositories]
enable = []

[state]
url = "https://state.example.com/record"
username = "ci"
password = { env = "CI_JOB_TOKEN" }
"#;

#[tokio::test]
async fn any_configuration_can_be_tried_in_the_sandbox_and_leaves_nothing_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("setpoint.toml"), GATEWAY).unwrap();
    let go = |arguments: &'static [&'static str]| run(setpoint(folder.path(), arguments));
    let applied = go(&["apply", "--sandbox", "--auto-approve"]).await.expect(0);
    assert!(applied.stdout.starts_with("Sandbox: GitLab ("), "{}", applied.stdout);
    go(&["plan", "--sandbox", "--detailed-exitcode"]).await.expect(0);
    let mut left: Vec<String> = std::fs::read_dir(folder.path().join(".setpoint"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert!(left.iter().all(|name| name.starts_with("sandbox.")), "{left:?}");

    // Where nobody listens, so that each check is told at once.
    let mut unreachable = GATEWAY.to_owned();
    for url in [
        "https://gitlab.corp.example.com",
        "https://gateway.example.com",
        "https://portal.example.com",
    ] {
        unreachable = unreachable.replace(url, "http://127.0.0.1:9");
    }
    std::fs::write(folder.path().join("setpoint.toml"), unreachable).unwrap();
    // A password that is missing is a finding of `doctor`, and the other checks go on.
    let mut command = setpoint(folder.path(), &["doctor", "--format", "json"]);
    command.env("GITLAB_TOKEN", "x").env("FACTORY_API_KEY", "x");
    let checks = run(command).await.expect(1).json();
    let find = |id: &str| {
        let all = checks["checks"].as_array().unwrap();
        all.iter().find(|check| check["id"] == id).unwrap().clone()
    };
    let record = find("state.record");
    assert_eq!(record["status"], "failure");
    assert!(record["message"].as_str().unwrap().contains("CI_JOB_TOKEN"), "{record}");
    assert_eq!(find("state.folder")["status"], "ok");
    std::fs::rename(folder.path().join(".setpoint"), folder.path().join("aside")).unwrap();
    std::fs::write(folder.path().join(".setpoint"), "a file").unwrap();
    let checks = go(&["doctor", "--format", "json"]).await.expect(1).json();
    let all = checks["checks"].as_array().unwrap();
    let folder = all.iter().find(|check| check["id"] == "state.folder").unwrap();
    assert_eq!(folder["status"], "failure", "{folder}");
}
