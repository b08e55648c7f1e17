//! The record is lost, damaged, newer or another's: found before the first write to either side, said with what to do,
//! and made anew from what is live without a single write there.

use std::os::unix::fs::PermissionsExt as _;

use setpoint::sandbox::{Action, Options};

use crate::common::plans::{change, find, unwrapped};
use crate::common::{Fixture, Ran};

const RECORD: &str = ".setpoint/state.json";

/// Everything as declared, by an apply.
async fn converged() -> Fixture {
    let fixture = Fixture::complete().await;
    fixture.apply().await.expect(0);
    fixture
}

fn damage(fixture: &Fixture, text: &str) {
    std::fs::write(fixture.path(RECORD), text).unwrap();
}

async fn rebuild(fixture: &Fixture) -> Ran {
    fixture.run(&["state", "rebuild", "--auto-approve"]).await
}

#[tokio::test]
async fn whatever_is_wrong_with_it_is_found_before_the_first_write() {
    let fixture = converged().await;
    fixture.edit_config("\"Factory Droid\"", "\"Factory Worker\"");
    let whole = std::fs::read_to_string(fixture.path(RECORD)).unwrap();
    let cut = whole[..whole.len() / 2].to_owned();
    let newer = whole.replace("\"version\": 1", "\"version\": 2");
    let foreign = whole.replace("\"version\": 1,", "\"version\": 1,\n  \"sandbox\": true,");
    let unknown = whole.replace("\"version\": 1,", "\"version\": 1,\n  \"colour\": 1,");
    let rebuilt = "setpoint state rebuild";
    for (text, said, todo) in [
        (cut.as_str(), "is damaged: EOF", rebuilt),
        ("", "is damaged: it is empty", rebuilt),
        ("\0\0\0\0", "is damaged: expected value", rebuilt),
        ("garbage\n", "is damaged: expected value", rebuilt),
        ("[]", "is damaged: ", rebuilt),
        ("{\"version\": 0}", "was never written by Setpoint", rebuilt),
        (unknown.as_str(), "unknown field `colour`", rebuilt),
        (
            newer.as_str(),
            "has the format version 2",
            "use the Setpoint version that wrote it",
        ),
        (
            foreign.as_str(),
            "describes the sandbox and not real servers",
            "pass --sandbox to this command too",
        ),
    ] {
        damage(&fixture, text);
        let (writes, requests) = (fixture.api_writes(), fixture.request_count());
        for command in [
            &["plan"][..],
            &["drift"],
            &["apply", "--auto-approve"],
            &["rotate", "--auto-approve"],
            &["destroy", "--auto-approve"],
            &["confirm", "--all"],
            &["state", "show"],
        ] {
            let ran = fixture.run(command).await.expect(1);
            let stderr = unwrapped(&ran.stderr);
            assert!(stderr.contains(said), "{command:?} {said}: {}", ran.stderr);
            assert!(stderr.contains(todo), "{command:?} {todo}: {}", ran.stderr);
        }
        assert_eq!(fixture.api_writes(), writes, "{said}");
        assert_eq!(fixture.request_count(), requests, "nobody is asked before: {said}");
        assert_eq!(std::fs::read_to_string(fixture.path(RECORD)).unwrap(), text, "{said}");
    }
}

#[tokio::test]
async fn it_is_rebuilt_from_what_is_live_and_a_plan_is_empty() {
    for secret in [
        "",
        "[application.secret]\nsave = { file = \"secret\" }\nload = { file = \"secret\" }\n\n",
        "[application.secret]\nsave = { file = \"secret\" }\n\n",
    ] {
        let fixture = Fixture::complete().await;
        fixture.edit_config("\n[user]\n", &format!("\n{secret}[user]\n"));
        fixture.apply().await.expect(0);
        let before = fixture.state();
        let application = fixture.application();
        let writes = fixture.api_writes();
        damage(&fixture, "{\"version\": 1, \"serial\": 40, \"lin");
        let ran = rebuild(&fixture).await.expect(0);
        assert!(ran.stdout.contains("is damaged: "), "{}", ran.stdout);
        assert!(ran.stdout.contains(".setpoint/state.json.damaged-1"), "{}", ran.stdout);
        let kept = std::fs::read_to_string(fixture.path(".setpoint/state.json.damaged-1")).unwrap();
        assert_eq!(kept, "{\"version\": 1, \"serial\": 40, \"lin");
        let mode = std::fs::metadata(fixture.path(RECORD)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let after = fixture.state();
        assert_eq!(after["serial"], 41);
        assert_ne!(after["lineage"], before["lineage"]);
        for part in ["user", "memberships", "repositories"] {
            assert_eq!(after[part], before[part], "{part}");
        }
        for (part, keys) in [
            (
                "application",
                &["id", "uid", "name", "redirect_uris", "trusted", "scopes"][..],
            ),
            ("connection", &["domain", "application"]),
            ("authorization", &["user", "application"]),
        ] {
            for key in keys {
                assert_eq!(after[part][key], before[part][key], "{part}.{key}");
            }
        }
        fixture.expect_nothing_to_do("after the rebuild").await;
        fixture.run(&["drift"]).await.expect(0);
        fixture.apply().await.expect(0);
        assert_eq!(fixture.api_writes(), writes, "neither side was written to");
        assert_eq!(fixture.application().secret_digest, application.secret_digest);
        fixture.expect_connected("after the rebuild");
        let journal = fixture.run(&["state", "journal"]).await.expect(0);
        assert!(
            journal
                .stdout
                .contains(&format!("state rebuild by {}@", crate::common::account())),
            "{}",
            journal.stdout
        );

        // From now on it is a record like any other.
        fixture.change_user("factory-droid", |user| "Mallory".clone_into(&mut user.name));
        let drift = fixture.run(&["drift", "--format", "json"]).await.expect(2).json();
        assert_eq!(change(&drift, "gitlab.user")["origin"], "drift");
    }
}

#[tokio::test]
async fn a_record_that_is_gone_altogether_is_not_begun_anew_but_rebuilt() {
    let fixture = converged().await;
    std::fs::remove_file(fixture.path(RECORD)).unwrap();
    let (writes, requests) = (fixture.api_writes(), fixture.request_count());
    for command in [&["plan"][..], &["apply", "--auto-approve"]] {
        let ran = fixture.run(command).await.expect(1);
        let said = unwrapped(&ran.stderr);
        assert!(
            said.contains("the journal .setpoint/journal.jsonl has what a run changed at"),
            "{said}"
        );
        assert!(said.contains("setpoint state rebuild"), "{said}");
    }
    assert_eq!(fixture.request_count(), requests, "nobody is asked before");
    // In a job there is no journal from the run before. What is live shows it as well.
    std::fs::remove_file(fixture.path(".setpoint/journal.jsonl")).unwrap();
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
    fixture.change_user("factory-droid", |user| "Mallory".clone_into(&mut user.name));
    // What is planned before it is adopted or rebuilt does not touch it.
    let planned = unwrapped(&fixture.run(&["plan"]).await.expect(0).stdout);
    assert!(
        planned.contains("or `setpoint state rebuild` if its record was lost"),
        "{planned}"
    );
    for command in [&["drift"][..], &["destroy", "--auto-approve"]] {
        let ran = fixture.run(command).await.expect(1);
        let said = unwrapped(&ran.stderr);
        assert!(
            said.contains("and the user `factory-droid`, and Factory uses the application"),
            "{said}"
        );
        assert!(said.contains("setpoint state rebuild"), "{said}");
    }
    assert_eq!(fixture.api_writes(), writes);
    assert!(!fixture.path(RECORD).exists());
    fixture.change_user("factory-droid", |user| "Factory Droid".clone_into(&mut user.name));
    let ran = rebuild(&fixture).await.expect(0);
    assert!(ran.stdout.contains("There is no record at"), "{}", ran.stdout);
    fixture.expect_nothing_to_do("after the rebuild").await;
    assert_eq!(fixture.state()["serial"], 1);
}

#[tokio::test]
async fn what_differs_shows_as_unrecorded() {
    let fixture = converged().await;
    fixture.change_user("factory-droid", |user| "Mallory".clone_into(&mut user.name));
    fixture.change_application(|application| application.trusted = false);
    damage(&fixture, "garbage");
    let ran = rebuild(&fixture).await.expect(0);
    let left_out = ran.stdout.split("Left out").nth(1).unwrap_or_default();
    assert!(
        left_out.contains("gitlab.application") && left_out.contains("gitlab.user"),
        "{}",
        ran.stdout
    );
    let drift = fixture.run(&["drift", "--format", "json"]).await.expect(2).json();
    for address in ["gitlab.application", "gitlab.user"] {
        assert_eq!(change(&drift, address)["origin"], "unrecorded");
    }
    assert_eq!(drift["changes"].as_array().map(Vec::len), Some(2), "{drift}");
    let digest = fixture.application().secret_digest;
    fixture.apply().await.expect(0);
    assert_eq!(fixture.application().secret_digest, digest, "no rotation");
    fixture.expect_nothing_to_do("after the apply").await;
}

#[tokio::test]
async fn a_healthy_record_is_replaced_on_request_only() {
    let fixture = converged().await;
    let before = std::fs::read(fixture.path(RECORD)).unwrap();
    let ran = rebuild(&fixture).await.expect(4);
    assert!(ran.stderr.contains("--replace"), "{}", ran.stderr);
    fixture.run(&["state", "rebuild", "--replace"]).await.expect(1);
    assert_eq!(std::fs::read(fixture.path(RECORD)).unwrap(), before);
    let newer = String::from_utf8(before.clone())
        .unwrap()
        .replace("\"version\": 1", "\"version\": 2");
    damage(&fixture, &newer);
    let ran = rebuild(&fixture).await.expect(4);
    assert!(ran.stderr.contains("has the format version 2"), "{}", ran.stderr);
    std::fs::write(fixture.path(RECORD), &before).unwrap();

    let arguments = ["state", "rebuild", "--replace", "--auto-approve"];
    fixture.run(&arguments).await.expect(0);
    let kept = std::fs::read(fixture.path(".setpoint/state.json.replaced-1")).unwrap();
    assert_eq!(kept, before);
    fixture.expect_nothing_to_do("after the rebuild").await;
}

#[tokio::test]
async fn two_candidates_are_listed_and_nothing_is_guessed() {
    let fixture = converged().await;
    let ours = fixture.application();
    let other = fixture.world(|world| {
        let mut other = ours.clone();
        other.id += 1000;
        other.uid = "f".repeat(64);
        world.applications.push(other.clone());
        other
    });
    // Factory tells which one is meant.
    damage(&fixture, "garbage");
    let ran = rebuild(&fixture).await.expect(0);
    assert!(
        unwrapped(&ran.stdout).contains(&format!(
            "other applications named \"Factory Integration\" (id {})",
            other.id
        )),
        "{}",
        ran.stdout
    );
    assert_eq!(fixture.state()["application"]["uid"], ours.uid.as_str());
    fixture.expect_nothing_to_do("with a namesake").await;
    // Without it nobody does.
    fixture.world(|world| world.factory.integration = None);
    damage(&fixture, "garbage");
    let ran = rebuild(&fixture).await.expect(4);
    for id in [ours.id, other.id] {
        assert!(
            ran.stderr.contains(&format!("id {id}, application id")),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(std::fs::read_to_string(fixture.path(RECORD)).unwrap(), "garbage");
}

#[tokio::test]
async fn the_application_that_factory_uses_is_ours_whatever_its_name() {
    let fixture = converged().await;
    let ours = fixture.application();
    fixture.change_application(|application| "Renamed".clone_into(&mut application.name));
    damage(&fixture, "garbage");
    rebuild(&fixture).await.expect(0);
    let plan = fixture.plan().await;
    let renamed = change(&plan, "gitlab.application");
    assert_eq!(
        (&renamed["actions"][0], &renamed["origin"]),
        (&"update".into(), &"unrecorded".into())
    );
    assert!(find(&plan, "factory.connection").is_none(), "{plan}");
    fixture.apply().await.expect(0);
    assert_eq!(fixture.application().id, ours.id, "renamed back, not made anew");
}

#[tokio::test]
async fn a_rebuild_holds_the_lock_and_needs_both_sides() {
    let (fixture, proxy) = crate::common::proxy::Proxy::on(Options::default()).await;
    fixture.apply().await.expect(3);
    damage(&fixture, "garbage");
    let lock = std::fs::File::create(fixture.path(".setpoint/state.json.lock")).unwrap();
    lock.lock().unwrap();
    rebuild(&fixture).await.expect(4);
    drop(lock);
    proxy.intercept(|_, _| Action::Respond {
        status: 401,
        headers: Vec::new(),
        body: String::new(),
    });
    rebuild(&fixture).await.expect(1);
    assert_eq!(std::fs::read_to_string(fixture.path(RECORD)).unwrap(), "garbage");
    proxy.pass_all();
    rebuild(&fixture).await.expect(0);
}

#[tokio::test]
async fn a_backup_is_put_back_unless_it_is_older_or_anothers() {
    let fixture = converged().await;
    let backup = std::fs::read_to_string(fixture.path(RECORD)).unwrap();
    std::fs::write(fixture.path("backup.json"), &backup).unwrap();
    damage(&fixture, "garbage");
    let push = ["state", "push", "backup.json", "--auto-approve"];
    fixture.run(&push[..3]).await.expect(1);
    let ran = fixture.run(&push).await.expect(0);
    assert!(ran.stdout.contains("state.json.damaged-1"), "{}", ran.stdout);
    fixture.expect_nothing_to_do("with the backup").await;
    let serial = fixture.state()["serial"].as_u64().unwrap();

    // Somebody went on meanwhile.
    fixture.edit_config("\"Factory Droid\"", "\"Factory Worker\"");
    fixture.apply().await.expect(0);
    let ran = fixture.run(&push).await.expect(4);
    assert!(
        unwrapped(&ran.stderr).contains("it was written later"),
        "{}",
        ran.stderr
    );
    assert!(fixture.state()["serial"].as_u64() > Some(serial));
    let lineage = fixture.state()["lineage"].as_str().unwrap().to_owned();
    let other = backup.replace(&lineage, "00000000-0000-4000-8000-000000000000");
    std::fs::write(fixture.path("other.json"), other).unwrap();
    let ran = fixture
        .run(&["state", "push", "other.json", "--auto-approve"])
        .await
        .expect(4);
    assert!(
        unwrapped(&ran.stderr).contains("it has another history"),
        "{}",
        ran.stderr
    );
    let forced = ["state", "push", "other.json", "--auto-approve", "--replace"];
    fixture.run(&forced).await.expect(0);
    assert!(fixture.path(".setpoint/state.json.replaced-1").exists());
    for (text, code) in [("garbage", 1), ("{\"version\": 9}", 1)] {
        std::fs::write(fixture.path("bad.json"), text).unwrap();
        fixture
            .run(&["state", "push", "bad.json", "--auto-approve"])
            .await
            .expect(code);
    }
    fixture
        .run(&["state", "push", "nowhere.json", "--auto-approve"])
        .await
        .expect(1);
}

/// Whoever rebuilds the record of an integration that Factory works with has said that it is theirs, whatever else others
/// changed: the plan that follows does not ask for it again.
#[tokio::test]
async fn what_was_rebuilt_has_not_to_be_adopted() {
    let fixture = converged().await;
    fixture.world(|world| {
        let integration = world.factory.integration.as_mut().expect("an integration");
        "https://old.example.com".clone_into(&mut integration.domain);
    });
    fixture.change_application(|application| "Something".clone_into(&mut application.name));
    std::fs::remove_file(fixture.path(RECORD)).unwrap();
    std::fs::remove_file(fixture.path(".setpoint/journal.jsonl")).unwrap();
    let ran = rebuild(&fixture).await.expect(0);
    let said = unwrapped(&ran.stdout);
    assert!(said.contains("The application is recorded as it is"), "{said}");
    let left_out = said.split("Left out").nth(1).unwrap_or_default();
    assert!(!left_out.contains("gitlab.application"), "{said}");
    fixture.apply().await.expect(0);
    fixture.expect_connected("after the rebuild");
    fixture.expect_nothing_to_do("after the rebuild").await;
}
