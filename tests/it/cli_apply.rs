//! The main job through the real binary: plan, apply, nothing left to do, drift, and the way back.

use std::time::Duration;

use jiff::Timestamp;
use setpoint::sandbox::world::Source;
use setpoint::sandbox::{Action, Options};
use setpoint::state::{Actor, LocalStore, LockInfo, StateStore as _};

use crate::common::proxy::{Phase, Proxy};
use crate::common::{Fixture, Ran, run, setpoint};

/// The configuration with an administrator's web session: everything can be done without a person.
async fn complete() -> Fixture {
    Fixture::complete().await
}

async fn applied() -> Fixture {
    let fixture = complete().await;
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    fixture
}

fn short_lines(text: &str) {
    // An address is not broken: it would no longer be copied as a whole.
    for line in text
        .lines()
        .filter(|line| !line.contains("/api/integrations/redirect/"))
    {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[tokio::test]
async fn a_first_plan_says_everything_and_writes_nothing() {
    let fixture = complete().await;
    let ran = fixture.run(&["plan"]).await.expect(0);
    assert_eq!(ran.stderr, "");
    short_lines(&ran.stdout);
    insta::assert_snapshot!(fixture.redact(&ran.stdout));
    assert_eq!(fixture.api_writes(), 0);
    assert!(!fixture.path(".setpoint").exists());
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(2);
}

#[tokio::test]
async fn one_apply_is_enough() {
    let fixture = complete().await;
    let ran = fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    short_lines(&ran.stdout);
    let report = ran.stdout.split("\nPlan: ").last().unwrap_or_default();
    insta::assert_snapshot!("apply_report", fixture.redact(report));
    let mut progress: Vec<&str> = ran.stderr.lines().collect();
    progress.sort_unstable();
    insta::assert_snapshot!("apply_progress", progress.join("\n"));

    let writes = fixture.api_writes();
    let plan = fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
    insta::assert_snapshot!("plan_without_changes", fixture.redact(&plan.stdout));
    fixture.run(&["drift"]).await.expect(0);
    let again = fixture.run(&["apply"]).await.expect(0);
    insta::assert_snapshot!("apply_without_changes", fixture.redact(&again.stdout));
    assert_eq!(fixture.api_writes(), writes, "a second apply makes no write");

    fixture.sandbox.with_world(|world| {
        let droid = world.users.iter().filter(|user| user.username == "factory-droid");
        assert_eq!(droid.count(), 1);
        let ours: Vec<_> = world
            .applications
            .iter()
            .filter(|application| application.name == "Factory Integration")
            .collect();
        assert_eq!(ours.len(), 1);
        assert!(ours[0].trusted);
    });
}

#[tokio::test]
async fn drift_is_that_difference_and_no_other() {
    let fixture = applied().await;
    fixture.sandbox.with_world(|world| {
        let droid = world.users.iter_mut().find(|user| user.username == "factory-droid");
        droid.unwrap().name = "Mallory \u{1b}[2K".to_owned();
    });
    let ran = fixture.run(&["drift"]).await.expect(2);
    assert!(!ran.stdout.contains('\u{1b}'));
    insta::assert_snapshot!(fixture.redact(&ran.stdout));
    let json = fixture.run(&["drift", "--format", "json"]).await.expect(2).json();
    assert_eq!(json["command"], "drift");
    assert_eq!(json["changes"][0]["address"], "gitlab.user");
    assert_eq!(json["changes"][0]["origin"], "drift");
    assert_eq!(json["changes"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn what_waits_to_be_applied_is_no_drift() {
    let fixture = applied().await;
    fixture.edit_config("\"Factory Droid\"", "\"Factory Worker\"");
    let ran = fixture.run(&["drift"]).await.expect(0);
    insta::assert_snapshot!(fixture.redact(&ran.stdout));
    fixture.run(&["drift", "--fail-on-pending"]).await.expect(2);
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(2);
}

#[tokio::test]
async fn json_is_as_specified() {
    let fixture = complete().await;
    let plan = fixture.run(&["plan", "--format", "json"]).await.expect(0).json();
    for key in [
        "format_version",
        "setpoint_version",
        "created_at",
        "command",
        "config_digest",
        "gitlab_url",
        "factory_url",
        "changes",
        "unchanged",
        "warnings",
        "summary",
    ] {
        assert!(plan.get(key).is_some(), "{key}");
    }
    assert_eq!(plan["format_version"], "1.0");
    assert_eq!(plan["changes"][0]["address"], "gitlab.application");
    assert_eq!(plan["changes"][0]["actions"], serde_json::json!(["create"]));
    let ran = fixture
        .run(&["apply", "--auto-approve", "--format", "json"])
        .await
        .expect(0);
    let report = ran.json();
    assert_eq!(report["summary"]["done"], plan["summary"]["create"]);
    assert_eq!(report["outcomes"][0]["outcome"], "done");
    assert!(report["run_id"].is_string());
    assert!(ran.stderr.contains("Plan: "), "{}", ran.stderr);
}

#[tokio::test]
async fn without_an_admin_session_trusted_is_left_to_a_person() {
    let fixture = Fixture::new().await;
    let ran = fixture.run(&["apply", "--auto-approve"]).await.expect(3);
    let report = ran.stdout.split("\nPlan: ").last().unwrap_or_default();
    insta::assert_snapshot!(fixture.redact(report));
    fixture
        .run(&["confirm", "factory.connection", "--auto-approve"])
        .await
        .expect(1);
    fixture.run(&["confirm", "gitlab.application"]).await.expect(0);
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
}

#[tokio::test]
async fn assisted_leaves_a_checklist_and_takes_attestations() {
    let fixture = complete().await;
    fixture.edit_config("driver = \"api\"", "driver = \"assisted\"");
    let refused = fixture.run(&["apply", "--auto-approve"]).await.expect(4);
    assert!(refused.stderr.contains("application.secret.save"), "{}", refused.stderr);
    assert_eq!(fixture.api_writes(), 0);

    fixture.edit_config(
        "[user]\n",
        "[application.secret]\nsave = { file = \"application.secret\" }\nload = { file = \"application.secret\" }\n\n[user]\n",
    );
    let ran = fixture.run(&["apply", "--auto-approve"]).await.expect(3);
    let checklist = ran.stdout.split("\nPlan: ").last().unwrap_or_default();
    insta::assert_snapshot!(fixture.redact(checklist));
    let secret = std::fs::read_to_string(fixture.path("application.secret")).unwrap();
    assert!(!ran.all().contains(secret.trim()));

    // Nobody approved anything, and GitLab's page of authorized applications tells.
    let denied = fixture.run(&["confirm", "--all", "--auto-approve"]).await.expect(1);
    assert!(denied.stderr.contains("GitLab does not list"), "{}", denied.stderr);
    let confirmed = fixture
        .run(&["confirm", "factory.connection", "--auto-approve"])
        .await
        .expect(0);
    assert!(
        confirmed.stdout.contains(&format!(" by {}@", crate::common::account())),
        "{}",
        confirmed.stdout
    );
    let plan = fixture.run(&["plan", "--detailed-exitcode"]).await;
    assert!(plan.stdout.contains("attested on "), "{}", plan.all());
}

#[tokio::test]
async fn a_prompt_without_a_terminal_is_an_error_that_names_the_flag() {
    let fixture = complete().await;
    let ran = fixture.run(&["apply"]).await.expect(1);
    insta::assert_snapshot!(ran.stderr);
    assert_eq!(fixture.api_writes(), 0);
}

#[tokio::test]
async fn who_finds_the_lock_taken_is_told_by_whom() {
    let fixture = complete().await;
    let store = LocalStore::new(fixture.path(".setpoint/state.json"));
    let actor = Actor {
        user: "ada".to_owned(),
        host: "build.example.com".to_owned(),
        job_url: None,
    };
    let info = LockInfo::new("apply", &actor, Timestamp::UNIX_EPOCH).unwrap();
    store.lock(&info, Duration::ZERO).await.unwrap();
    let ran = fixture.run(&["apply", "--auto-approve"]).await.expect(4);
    assert!(ran.stderr.contains("ada@build.example.com"), "{}", ran.stderr);
    let shown = fixture.run(&["state", "show"]).await.expect(0);
    assert!(shown.stdout.contains("ada@build.example.com"), "{}", shown.stdout);
    store.unlock(&info.id).await.unwrap();
    fixture.run(&["plan"]).await.expect(0);
    let unlock = fixture.run(&["state", "unlock"]).await.expect(0);
    assert_eq!(unlock.stdout, "Nobody holds the lock.\n");
}

#[tokio::test]
async fn the_journal_tells_who_did_what() {
    let fixture = applied().await;
    let journal = fixture
        .run(&["state", "journal", "--format", "json"])
        .await
        .expect(0)
        .json();
    let entries = journal["entries"].as_array().unwrap();
    assert_eq!(entries[0]["event"], "started");
    assert_eq!(entries[0]["command"], "apply");
    assert_eq!(entries.last().unwrap()["exit_code"], 0);
    let shown = fixture.run(&["state", "journal"]).await.expect(0);
    assert!(
        shown
            .stdout
            .contains(&format!("apply by {}@", crate::common::account())),
        "{}",
        shown.stdout
    );
}

#[tokio::test]
async fn rotate_gives_factory_a_new_secret() {
    let fixture = applied().await;
    let secret = |fixture: &Fixture| {
        fixture.sandbox.with_world(|world| {
            world
                .applications
                .iter()
                .map(|a| a.secret_digest.clone())
                .collect::<Vec<_>>()
        })
    };
    let before = secret(&fixture);
    fixture.run(&["rotate", "--auto-approve"]).await.expect(0);
    assert_ne!(secret(&fixture), before);
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
}

#[tokio::test]
async fn destroy_takes_it_down_once() {
    let fixture = applied().await;
    let ran = fixture.run(&["destroy", "--auto-approve"]).await.expect(0);
    insta::assert_snapshot!(fixture.redact(&ran.stdout));
    let writes = fixture.api_writes();
    fixture.run(&["destroy", "--auto-approve"]).await.expect(0);
    assert_eq!(fixture.api_writes(), writes);
    fixture.sandbox.with_world(|world| {
        assert!(world.applications.iter().all(|a| a.name != "Factory Integration"));
        assert!(world.users.iter().any(|user| user.username == "factory-droid"));
    });
}

#[tokio::test]
async fn what_is_exported_has_an_empty_plan() {
    let fixture = applied().await;
    let ran = fixture.run(&["export"]).await.expect(0);
    fixture.write_config(&ran.stdout);
    fixture.run(&["validate"]).await.expect(0);
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
    std::fs::remove_dir_all(fixture.path(".setpoint")).unwrap();
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
}

#[tokio::test]
async fn a_membership_ends_on_the_day_that_is_declared() {
    let ends = |fixture: &Fixture| {
        fixture.sandbox.with_world(|world| {
            let droid = world.user_named("factory-droid").expect("the droid is there").id;
            let ends = world.members.iter().filter(|member| member.user_id == droid);
            ends.filter_map(|member| member.expires_at.clone()).collect::<Vec<_>>()
        })
    };
    let fixture = complete().await;
    let soon = (Timestamp::now() + Duration::from_hours(24 * 20))
        .strftime("%Y-%m-%d")
        .to_string();
    let table = |day: &str| format!("\"platform\" = {{ role = \"developer\", expires_at = \"{day}\" }}");
    fixture.edit_config("\"platform\" = \"developer\"", &table("2036-12-31"));
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    assert_eq!(ends(&fixture), ["2036-12-31"]);
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
    let exported = fixture.run(&["export"]).await.expect(0).stdout;
    assert!(exported.contains("expires_at = \"2036-12-31\""), "{exported}");
    // Another day in the file: edited in place, and told of, for it is near.
    fixture.edit_config("2036-12-31", &soon);
    let ran = fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    assert!(ran.all().contains("ends on"), "{}", ran.all());
    assert_eq!(ends(&fixture), std::slice::from_ref(&soon));
    // Somebody lets it end another day: drift.
    fixture.sandbox.with_world(|world| {
        for member in &mut world.members {
            member.expires_at = member.expires_at.take().map(|_| "2030-01-01".to_owned());
        }
    });
    let drift = fixture.run(&["drift"]).await.expect(2);
    assert!(drift.stdout.contains("2030-01-01"), "{}", drift.stdout);
    // Without an end in the file it is taken back.
    fixture.edit_config(&table(&soon), "\"platform\" = \"developer\"");
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    assert_eq!(ends(&fixture), Vec::<String>::new());
    // A day of the past is a fault of the file.
    fixture.edit_config("\"platform\" = \"developer\"", &table("2026-01-31"));
    let ran = fixture.run(&["plan"]).await;
    assert!(
        ran.stderr.contains("`expires_at` of a membership is not in the future"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn an_export_has_the_memberships_that_no_file_names() {
    let fixture = applied().await;
    fixture.sandbox.with_world(|world| {
        let droid = world.user_named("factory-droid").expect("the droid is there").id;
        let group = |path: &str| world.groups.iter().find(|one| one.full_path == path).map(|one| one.id);
        let (finance, batch) = (group("finance").unwrap(), group("data/pipelines/batch").unwrap());
        let rust = world
            .projects
            .iter()
            .find(|one| one.full_path == "open-source/rust-toolbox");
        let rust = rust.unwrap().id;
        world.set_member(Source::Group(finance), droid, 20);
        world.set_member(Source::Group(batch), droid, 30);
        world.set_member(Source::Project(rust), droid, 40);
        let website = world.projects.iter().find(|one| one.full_path == "open-source/website");
        let website = website.unwrap().id;
        // A level of a GitLab to come.
        world.set_member(Source::Project(website), droid, 35);
    });
    let ran = fixture.run(&["export"]).await.expect(0);
    let memberships = ran.stdout.split("[user.memberships]").nth(1).unwrap_or_default();
    let memberships: Vec<&str> = memberships
        .lines()
        .skip(1)
        .take_while(|line| !line.is_empty())
        .collect();
    assert_eq!(
        memberships,
        [
            "\"platform\" = \"developer\"",
            "\"web/storefront\" = \"maintainer\"",
            "\"data/pipelines/batch\" = \"developer\"",
            "finance = \"reporter\"",
            "\"open-source/rust-toolbox\" = \"maintainer\"",
        ]
    );
    assert!(ran.stderr.contains("open-source/website is left out"), "{}", ran.stderr);
    fixture.write_config(&ran.stdout);
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
    std::fs::remove_dir_all(fixture.path(".setpoint")).unwrap();
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
}

#[tokio::test]
async fn an_export_keeps_the_comments_and_the_order_of_the_file() {
    let fixture = applied().await;
    let scopes = "# Taken from the guide.\nscopes = [\n  \"read_user\", # who it is\n  \"api\",\n]\nname";
    fixture.edit_config("[application]\nname", &format!("[application]\n{scopes}"));
    fixture.edit_config(
        "\"platform\" = \"developer\"",
        "# Everybody works here.\n\"Platform\" = { role = \"developer\" } # as agreed",
    );
    fixture.edit_config(
        "\"web/storefront\" = \"maintainer\"",
        "\"web/storefront\" = \"guest\" # for now",
    );
    fixture.edit_config("email =", "# Nobody reads it.\nemail =");
    fixture.sandbox.with_world(|world| {
        let droid = world.users.iter_mut().find(|user| user.username == "factory-droid");
        "droid@example.org".clone_into(&mut droid.expect("the droid is there").email);
    });
    let ran = fixture.run(&["export"]).await.expect(0);
    let from = ran.stdout.find("[application]").unwrap_or_default();
    let (sections, _) = ran.stdout[from..].split_once("\n[repositories]").unwrap_or_default();
    insta::assert_snapshot!(fixture.redact(sections), @r#"
    [application]
    # Taken from the guide.
    scopes = [
        "api",
        "read_api",
        "read_observability",
        "read_repository",
        "read_user",
        "write_observability",
        "write_repository",
    ]
    name = "Factory Integration"
    redirect_uri = "http://factory/api/integrations/redirect/gitlab-sh/callback"
    trusted = true
    confidential = true

    [user]
    name = "Factory Droid"
    username = "factory-droid"
    # Nobody reads it.
    email = "droid@example.org"
    password = { env = "FACTORY_DROID_PASSWORD" }

    [user.memberships]
    # Everybody works here.
    "Platform" = { role = "developer" } # as agreed
    "web/storefront" = "maintainer" # for now
    "#);
    fixture.write_config(&ran.stdout);
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
}

#[tokio::test]
async fn an_export_does_not_guess_between_two_applications_of_one_name() {
    let fixture = applied().await;
    fixture.sandbox.with_world(|world| {
        let ours = world.applications.iter().find(|one| one.name == "Factory Integration");
        let mut other = ours.expect("the application is there").clone();
        other.id += 1000;
        other.uid.push('0');
        world.applications.push(other);
        world.factory.integration = None;
    });
    std::fs::remove_dir_all(fixture.path(".setpoint")).unwrap();
    let ran = fixture.run(&["export"]).await.expect(0);
    insta::assert_snapshot!(fixture.redact(&ran.stderr), @"
    warning: [application] is left as the file has it: 2 applications of GitLab are
             named `Factory Integration` (ids 2, 1002), and neither the state record
             nor Factory tells which one is meant
    hint: delete or rename the others in GitLab's admin area, then export again
    ");
    fixture.write_config(&ran.stdout);
    fixture.run(&["validate"]).await.expect(0);
}

#[tokio::test]
async fn a_missing_credential_is_found_before_the_first_write() {
    let fixture = complete().await;
    let without = |name: &str, arguments: &[&str]| {
        let mut command = fixture.command(arguments);
        command.env_remove(name);
        run(command)
    };
    let ran = without("GITLAB_TOKEN", &["plan"]).await.expect(1);
    insta::assert_snapshot!(ran.stderr);
    let ran = without("FACTORY_DROID_PASSWORD", &["apply", "--auto-approve"])
        .await
        .expect(1);
    assert!(ran.stderr.contains("FACTORY_DROID_PASSWORD"), "{}", ran.stderr);
    without("FACTORY_DROID_PASSWORD", &["plan"]).await.expect(0);
    assert_eq!(fixture.api_writes(), 0);
}

#[tokio::test]
async fn the_quickstart_works_as_the_readme_says() {
    let folder = tempfile::tempdir().unwrap();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quickstart.toml");
    std::fs::copy(example, folder.path().join("quickstart.toml")).unwrap();
    let go = |arguments: &[&str]| {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["-c", "quickstart.toml"]).collect();
        run(setpoint(folder.path(), &arguments))
    };
    let ran: Ran = go(&["apply", "--sandbox", "--auto-approve"]).await.expect(0);
    assert!(ran.stdout.contains("Apply complete: "), "{}", ran.stdout);
    go(&["plan", "--sandbox", "--detailed-exitcode"]).await.expect(0);
    go(&["drift", "--sandbox"]).await.expect(0);

    // What was tried out is in nobody's way.
    let beside_the_world = |name: &str| folder.path().join(".setpoint").join(name).exists();
    assert!(beside_the_world("sandbox.json") && beside_the_world("sandbox.state.json"));
    assert!(beside_the_world("sandbox.journal.jsonl"));
    assert!(!beside_the_world("state.json") && !beside_the_world("journal.jsonl"));
}

#[tokio::test]
async fn the_record_is_private_and_holds_no_secret() {
    let fixture = applied().await;
    let record = fixture.state();
    assert_eq!(record["version"], 1);
    assert!(record.get("sandbox").is_none(), "{record}");
    let keys = fixture.sandbox.credentials();
    let text = record.to_string();
    for secret in [
        keys.gitlab_token,
        keys.root_password,
        keys.droid_password,
        keys.factory_key,
        "gloas-",
    ] {
        assert!(!text.contains(secret), "{secret}");
    }
    #[cfg(unix)]
    for name in ["state.json", "journal.jsonl"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(fixture.path(".setpoint").join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_page_instead_of_an_api_is_one_clear_message() {
    let fixture = complete().await;
    let gitlab = fixture.sandbox.gitlab_url();
    fixture.edit_config(
        &format!("[gitlab]\nurl = \"{gitlab}\""),
        &format!("[gitlab]\nurl = \"{}\"", fixture.sandbox.factory_app_url()),
    );
    let ran = fixture.run(&["plan"]).await.expect(1);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
    assert!(!fixture.path(".setpoint").exists());
}

#[cfg(unix)]
async fn send(signal: &str, child: &tokio::process::Child) {
    let id = child.id().expect("it is running").to_string();
    let status = tokio::process::Command::new("kill").args([signal, &id]).status().await;
    assert!(status.unwrap().success());
}

/// A world that takes its time for each answer, so that a run can be met in the middle.
#[cfg(unix)]
async fn slow() -> Fixture {
    let mut switches = setpoint::sandbox::Switches::default();
    switches.set("latency_ms=150").unwrap();
    Fixture::with(Options {
        switches,
        ..Options::default()
    })
    .await
}

/// A run that goes on by itself.
#[cfg(unix)]
fn begun(fixture: &Fixture, arguments: &[&str]) -> tokio::process::Child {
    let mut command = fixture.command(arguments);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    command.spawn().unwrap()
}

#[cfg(unix)]
async fn ended(child: tokio::process::Child) -> Ran {
    let output = child.wait_with_output().await.unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[cfg(unix)]
#[tokio::test]
async fn an_interrupt_finishes_what_is_under_way_and_the_next_run_the_rest() {
    let fixture = slow().await;
    fixture.give_admin_session();
    for signal in ["-INT", "-TERM"] {
        let before = fixture.api_writes();
        let child = begun(&fixture, &["apply", "--auto-approve"]);
        while fixture.api_writes() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        send(signal, &child).await;
        let ran = ended(child).await.expect(3);
        assert!(ran.stderr.contains("Interrupted."), "{}", ran.stderr);
        assert!(ran.stdout.contains("skipped"), "{}", ran.stdout);
    }
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
}

/// A person's step is left, and the run itself goes on before it: no form names another command than JSON does.
#[cfg(unix)]
#[tokio::test]
async fn stopped_with_a_step_left_every_form_names_the_same_command() {
    for format in ["json", "markdown", "human"] {
        let fixture = slow().await;
        let child = begun(&fixture, &["apply", "--auto-approve", "--format", format]);
        let made = || {
            fixture
                .sandbox
                .with_world(|world| world.applications.iter().any(|one| one.name == "Factory Integration"))
        };
        while !made() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        send("-INT", &child).await;
        let ran = ended(child).await.expect(3);
        match format {
            "json" => assert_eq!(ran.json()["next_command"], "setpoint apply", "{}", ran.stdout),
            "markdown" => assert!(ran.stdout.contains("To go on: `setpoint apply`."), "{}", ran.all()),
            _ => assert!(
                ran.stdout.ends_with("To go on:\n\n    setpoint apply\n"),
                "{}",
                ran.all()
            ),
        }
        assert!(!ran.all().contains("setpoint confirm"), "{}", ran.all());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_sandbox_serves_until_it_is_interrupted() {
    use tokio::io::AsyncReadExt as _;
    let folder = tempfile::tempdir().unwrap();
    let mut command = setpoint(
        folder.path(),
        &[
            "sandbox",
            "--gitlab-port",
            "0",
            "--factory-port",
            "0",
            "--format",
            "json",
        ],
    );
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut text = String::new();
    while serde_json::from_str::<serde_json::Value>(&text).is_err() {
        let mut bytes = [0; 4096];
        let read = stdout.read(&mut bytes).await.unwrap();
        assert!(read > 0, "{text}");
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    let served: serde_json::Value = serde_json::from_str(&text).unwrap();
    let address = served["gitlab_url"]
        .as_str()
        .unwrap()
        .trim_start_matches("http://")
        .to_owned();
    tokio::net::TcpStream::connect(address).await.unwrap();
    send("-INT", &child).await;
    ended(child).await.expect(0);
    assert!(folder.path().join(".setpoint/sandbox.json").exists());

    let ran = run(setpoint(folder.path(), &["sandbox", "--set", "no_such=1"]))
        .await
        .expect(1);
    assert!(ran.stderr.contains("gitlab_version"), "{}", ran.stderr);
}

/// However a run ends, it says what it wrote, and one command that goes on from there; a person's step among the rest.
#[tokio::test]
async fn each_ending_counts_what_was_written_and_names_one_command() {
    let endings = |ran: &Ran| {
        let report = ran.json();
        let application = report["outcomes"]
            .as_array()
            .and_then(|outcomes| outcomes.iter().find(|one| one["address"] == "gitlab.application"))
            .cloned()
            .unwrap_or_default();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let next = text(&report["next_command"]);
        (text(&application["outcome"]), application["writes"].as_u64(), next)
    };
    // Left to a person, who ticks "Trusted": made all the same.
    let fixture = Fixture::new().await;
    let ran = fixture
        .run(&["apply", "--auto-approve", "--format", "json"])
        .await
        .expect(3);
    let confirm = "setpoint confirm --all".to_owned();
    assert_eq!(endings(&ran), ("operator".to_owned(), Some(1), confirm));
    assert!(ran.json()["summary"]["writes"].as_u64() > Some(3), "{}", ran.stdout);
    let ran = fixture
        .run(&["apply", "--auto-approve", "--format", "markdown"])
        .await
        .expect(3);
    assert_eq!(ran.all().matches("setpoint confirm --all").count(), 1, "{}", ran.all());
    // Failed in the middle of it, and after it.
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    fixture.give_admin_session();
    for (format, place) in [("json", "PATCH"), ("human", "PUT"), ("markdown", "PUT")] {
        proxy.intercept(move |request, phase| {
            let meant = request.method == place || (place == "PATCH" && request.path.ends_with("/edit"));
            if phase == Phase::Before && meant {
                let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
                let body = "{\"message\":\"403 Forbidden\"}".to_owned();
                return Action::Respond {
                    status: 403,
                    headers,
                    body,
                };
            }
            Action::Pass
        });
        let ran = proxy
            .run(&fixture, &["apply", "--auto-approve", "--format", format])
            .await
            .expect(3);
        if format == "json" {
            assert_eq!(
                endings(&ran),
                ("failed".to_owned(), Some(1), "setpoint apply".to_owned())
            );
            continue;
        }
        let text = if format == "human" { &ran.stdout } else { &ran.stderr };
        assert!(
            text.trim_end().ends_with("To go on:\n\n    setpoint apply"),
            "{}",
            ran.all()
        );
        assert_eq!(ran.all().matches("    setpoint ").count(), 1, "{}", ran.all());
    }
    proxy.pass_all();
    let ran = fixture
        .run(&["apply", "--auto-approve", "--format", "json"])
        .await
        .expect(0);
    assert_eq!(endings(&ran).2, "", "nothing is left");
}
