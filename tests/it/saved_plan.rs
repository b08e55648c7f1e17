//! Saved plans through the real binary: carried out as they were made, or refused with what moved.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::common::Fixture;

async fn planned() -> Fixture {
    let fixture = Fixture::complete().await;
    fixture.run(&["plan", "--out", "plan.json"]).await.expect(0);
    fixture
}

/// Applied, and then with a change of the droid's name waiting in a saved plan.
async fn renamed() -> Fixture {
    let fixture = Fixture::complete().await;
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    fixture.edit_config("\"Factory Droid\"", "\"Factory Worker\"");
    fixture.run(&["plan", "--out", "plan.json"]).await.expect(0);
    fixture
}

fn rename(fixture: &Fixture, name: &str) {
    fixture.sandbox.with_world(|world| {
        let droid = world.users.iter_mut().find(|user| user.username == "factory-droid");
        name.clone_into(&mut droid.expect("the droid is there").name);
    });
}

#[tokio::test]
async fn a_saved_plan_is_carried_out_without_a_question_and_once() {
    let fixture = planned().await;
    assert_eq!(fixture.api_writes(), 0);
    assert!(!fixture.path(".setpoint").exists(), "planning writes no record");
    let ran = fixture
        .run(&["apply", "plan.json", "--format", "json"])
        .await
        .expect(0)
        .json();
    assert_eq!(ran["summary"]["failed"], 0);
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
    let writes = fixture.api_writes();
    let again = fixture.run(&["apply", "plan.json"]).await.expect(4);
    assert!(
        again.stderr.contains("the state record: serial was 0"),
        "{}",
        again.stderr
    );
    assert_eq!(fixture.api_writes(), writes);

    let journal = fixture
        .run(&["state", "journal", "--format", "json"])
        .await
        .expect(0)
        .json();
    let saved: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture.path("plan.json")).expect("the file")).expect("a plan");
    assert_eq!(journal["entries"][0]["plan_digest"], saved["digest"]);
    assert_eq!(journal["entries"][0]["command"], "apply");
}

#[tokio::test]
async fn the_file_is_private_and_holds_no_secret() {
    let fixture = planned().await;
    let text = std::fs::read_to_string(fixture.path("plan.json")).unwrap();
    let keys = fixture.sandbox.credentials();
    for secret in [
        keys.gitlab_token,
        keys.root_password,
        keys.factory_key,
        keys.droid_password,
    ] {
        assert!(!text.contains(secret));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(fixture.path("plan.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test]
async fn what_moved_is_named_with_before_and_now() {
    let fixture = renamed().await;
    rename(&fixture, "Mallory");
    let writes = fixture.api_writes();
    let ran = fixture.run(&["apply", "plan.json"]).await.expect(4);
    assert!(
        ran.stderr
            .contains("gitlab.user: name was \"Factory Droid\", is \"Mallory\""),
        "{}",
        ran.stderr
    );
    assert_eq!(fixture.api_writes(), writes);
}

#[tokio::test]
async fn what_the_plan_does_not_touch_may_move() {
    let fixture = renamed().await;
    fixture.sandbox.with_world(|world| {
        let ours = world
            .applications
            .iter_mut()
            .find(|one| one.name == "Factory Integration");
        ours.expect("the application is there").trusted = false;
    });
    let report = fixture
        .run(&["apply", "plan.json", "--format", "json"])
        .await
        .expect(0)
        .json();
    assert_eq!(
        report["outcomes"].as_array().map(Vec::len),
        Some(1),
        "only what was saved: {report}"
    );
    assert_eq!(report["outcomes"][0]["address"], "gitlab.user");
    // The other thing is still to be seen, and is no smaller for it.
    let drift = fixture.run(&["drift", "--format", "json"]).await.expect(2).json();
    assert_eq!(drift["changes"][0]["address"], "gitlab.application");
    assert_eq!(drift["changes"][0]["origin"], "drift");
}

#[tokio::test]
async fn another_configuration_or_record_refuses() {
    let fixture = renamed().await;
    fixture.edit_config("\"Factory Worker\"", "\"Factory Helper\"");
    let ran = fixture.run(&["apply", "plan.json"]).await.expect(4);
    assert!(ran.stderr.contains("the configuration: digest was"), "{}", ran.stderr);

    fixture.run(&["plan", "--out", "plan.json", "-q"]).await.expect(0);
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    rename(&fixture, "Factory Worker");
    let ran = fixture.run(&["apply", "plan.json"]).await.expect(4);
    assert!(ran.stderr.contains("the state record: serial was"), "{}", ran.stderr);
}

#[tokio::test]
async fn damaged_foreign_and_newer_files_have_their_own_words() {
    let fixture = planned().await;
    let text = std::fs::read_to_string(fixture.path("plan.json")).unwrap();
    let json = fixture.run(&["plan", "--format", "json"]).await.expect(0).stdout;
    for (content, words) in [
        (text[..text.len() / 2].to_owned(), "cut off"),
        (
            text.replace("factory-droid@example.com", "mallory@example.com"),
            "was edited",
        ),
        (
            text.replace("\"format_version\": \"1.0\"", "\"format_version\": \"2.0\""),
            "newer Setpoint",
        ),
        (json, "output of `--format json`"),
        ("# notes\n".to_owned(), "no saved plan"),
    ] {
        std::fs::write(fixture.path("plan.json"), content).unwrap();
        let ran = fixture.run(&["apply", "plan.json"]).await.expect(1);
        assert!(ran.stderr.replace('\n', " ").contains(words), "{words}: {}", ran.stderr);
    }
    fixture.run(&["apply", "nowhere.json"]).await.expect(1);
    fixture
        .run(&["apply", "plan.json", "--target", "gitlab.user"])
        .await
        .expect(1);
    assert_eq!(fixture.api_writes(), 0);
}

#[tokio::test]
async fn guards_hold_for_a_saved_plan_too() {
    let fixture = Fixture::complete().await;
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    fixture.edit_config(
        "[repositories]\nenable = [\"platform/**\", \"web/storefront\"]",
        "[repositories]\nunlisted = \"disable\"\nenable = [\"web/storefront\"]",
    );
    fixture.edit_config("[repositories]\n", "[guards]\nmax_removals = 0\n\n[repositories]\n");
    let planned = fixture.run(&["plan", "--out", "plan.json"]).await.expect(0);
    assert!(
        planned.stderr.contains("refused as it stands") && !planned.stderr.contains("carries it out"),
        "{}",
        planned.stderr
    );
    // Once, and as what it is: also to who is to approve it.
    let shown = fixture.run(&["show", "plan.json"]).await.expect(0);
    let note = fixture
        .run(&["show", "plan.json", "--format", "markdown"])
        .await
        .expect(0);
    for (said, refused) in [
        (&planned, "\nRefused: this would remove"),
        (&shown, "\nRefused: this would remove"),
        (&note, "\n> **Refused:** `this would remove"),
    ] {
        assert!(said.stdout.contains(refused), "{}", said.stdout);
        assert_eq!(said.stdout.matches("this would remove").count(), 1, "{}", said.stdout);
    }
    let writes = fixture.api_writes();
    let ran = fixture.run(&["apply", "plan.json"]).await.expect(4);
    assert!(ran.stderr.contains("guards.max_removals"), "{}", ran.stderr);
    assert_eq!(fixture.api_writes(), writes);
    fixture
        .run(&["apply", "plan.json", "--allow-removals", "30"])
        .await
        .expect(0);
}

/// Edits the saved plan as somebody would who knows how its digest is made.
fn forge(fixture: &Fixture, edit: impl FnOnce(&mut Value)) {
    let bytes = std::fs::read(fixture.path("plan.json")).expect("the file");
    let mut file: Value = serde_json::from_slice(&bytes).expect("a plan");
    edit(&mut file);
    file.as_object_mut().expect("an object").remove("digest");
    file.sort_all_objects();
    let digest = Sha256::digest(file.to_string());
    let digits: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    file["digest"] = json!(format!("sha256:{}", digits.concat()));
    std::fs::write(fixture.path("plan.json"), file.to_string()).expect("the file is written");
}

#[tokio::test]
async fn a_file_edited_by_hand_does_nothing_that_a_plan_made_now_would_not() {
    let fixture = renamed().await;
    let original = std::fs::read(fixture.path("plan.json")).unwrap();
    let (somebody, foreign) = fixture.sandbox.with_world(|world| {
        let somebody = world
            .users
            .iter()
            .find(|user| user.username != "factory-droid" && user.username != "root");
        let mut foreign = world.applications[0].clone();
        foreign.id += 100;
        foreign.uid = "0123456789abcdef".repeat(4);
        foreign.name = "Somebody else's".to_owned();
        world.applications.push(foreign.clone());
        (somebody.expect("there is another user").id, foreign)
    });
    let writes = fixture.api_writes();
    for (operation, name) in [
        (json!({"do": "delete_user", "id": somebody}), "delete_user"),
        (
            json!({"do": "delete_application", "id": foreign.id, "uid": foreign.uid}),
            "delete_application",
        ),
        (
            json!({"do": "edit_user", "id": somebody, "edit": {"email": "mallory@example.com"}}),
            "edit_user",
        ),
    ] {
        std::fs::write(fixture.path("plan.json"), &original).unwrap();
        forge(&fixture, |file| {
            let operations = file["execution"]["changes"][0]["operations"].as_array_mut().unwrap();
            operations.push(operation);
        });
        let ran = fixture.run(&["apply", "plan.json"]).await.expect(4);
        assert!(
            ran.stderr
                .replace("\n       ", " ")
                .contains(&format!("gitlab.user: a plan made now does not `{name}` like this")),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(fixture.api_writes(), writes);
    // The digest of the test is the program's: without an edit the file is taken.
    std::fs::write(fixture.path("plan.json"), &original).unwrap();
    forge(&fixture, |_| {});
    fixture.run(&["apply", "plan.json"]).await.expect(0);
}

#[tokio::test]
async fn removals_under_another_name_do_not_pass_the_guards() {
    let fixture = Fixture::complete().await;
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    fixture.edit_config(
        "[repositories]\nenable = [\"platform/**\", \"web/storefront\"]",
        "[repositories]\nunlisted = \"disable\"\nenable = [\"web/storefront\"]",
    );
    fixture.edit_config("[repositories]\n", "[guards]\nmax_removals = 0\n\n[repositories]\n");
    fixture.run(&["plan", "--out", "plan.json"]).await.expect(0);
    let writes = fixture.api_writes();
    forge(&fixture, |file| {
        for change in file["changes"].as_array_mut().unwrap() {
            change["actions"] = json!(["update"]);
        }
    });
    fixture.run(&["apply", "plan.json"]).await.expect(4);
    assert_eq!(fixture.api_writes(), writes);
}

#[tokio::test]
async fn what_was_allowed_for_the_plan_is_shown_and_kept_to() {
    let fixture = Fixture::complete().await;
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    fixture.edit_config(
        "[repositories]\nenable = [\"platform/**\", \"web/storefront\"]",
        "[repositories]\nunlisted = \"disable\"\nenable = [\"web/storefront\"]",
    );
    fixture.edit_config("[repositories]\n", "[guards]\nmax_removals = 0\n\n[repositories]\n");
    let save = ["plan", "--out", "plan.json", "--allow-removals", "30"];
    let shown = fixture.run(&save).await.expect(0).stdout;
    assert!(shown.contains("Allowed for this plan: up to 30 removals."), "{shown}");
    let ran = fixture.run(&["apply", "plan.json"]).await.expect(0).stdout;
    assert!(ran.contains("Allowed for this plan: up to 30 removals."), "{ran}");
    let fewer = fixture
        .run(&["plan", "--detailed-exitcode", "--allow-replace"])
        .await
        .expect(0)
        .stdout;
    assert!(
        fewer.contains("Allowed for this plan: replacing the application."),
        "{fewer}"
    );
}
