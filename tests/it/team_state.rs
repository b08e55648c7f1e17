//! The record for a team, through the real binary: kept behind HTTP as GitLab keeps Terraform's state, with its locks.

use setpoint::sandbox::world::{TerraformLock, TerraformState};

use crate::common::Fixture;

/// With the record in project 1 of the sandbox's GitLab.
async fn team() -> Fixture {
    let fixture = Fixture::complete().await;
    let config = std::fs::read_to_string(fixture.path("setpoint.toml")).unwrap();
    let gitlab = fixture.sandbox.gitlab_url();
    fixture.write_config(&format!(
        "{config}\n[state]\nurl = \"{gitlab}/api/v4/projects/1/terraform/state/setpoint\"\nusername = \"root\"\n\
         password = {{ env = \"GITLAB_TOKEN\" }}\n"
    ));
    fixture
}

fn stored(fixture: &Fixture) -> Option<TerraformState> {
    fixture
        .sandbox
        .with_world(|world| world.terraform_states.first().cloned())
}

fn lock_by_somebody(fixture: &Fixture) {
    fixture.sandbox.with_world(|world| {
        world.terraform_states[0].lock = Some(TerraformLock {
            id: "11111111-2222-3333-4444-555555555555".to_owned(),
            user_id: 1,
            created: "2026-01-01T00:00:00Z".to_owned(),
        });
    });
}

#[tokio::test]
async fn the_record_is_kept_in_gitlab_and_the_lock_let_go() {
    let fixture = team().await;
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    let state = stored(&fixture).unwrap();
    assert!(state.lock.is_none());
    assert!(state.content.is_some_and(|content| content.contains("lineage")));
    assert!(!fixture.path(".setpoint/state.json").exists());
    assert!(fixture.path(".setpoint/journal.jsonl").exists());
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
    let shown = fixture
        .run(&["state", "show", "--format", "json"])
        .await
        .expect(0)
        .json();
    assert!(shown["record"]["serial"].as_u64().is_some_and(|serial| serial > 0));
}

#[tokio::test]
async fn the_loser_is_told_the_holder_and_can_unlock_by_the_id() {
    let fixture = team().await;
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    fixture.edit_config("\"Factory Droid\"", "\"Factory Worker\"");
    lock_by_somebody(&fixture);
    let before = stored(&fixture).unwrap().content;
    let ran = fixture.run(&["apply", "--auto-approve"]).await.expect(4);
    assert!(
        ran.stderr.contains("11111111-2222-3333-4444-555555555555"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("root"), "{}", ran.stderr);
    assert_eq!(stored(&fixture).unwrap().content, before);

    // The protocol has no question for the holder, so that nobody is taken to hold it or not.
    let ran = fixture.run(&["state", "unlock", "--auto-approve"]).await.expect(1);
    assert!(ran.stderr.contains("state unlock ID"), "{}", ran.stderr);
    fixture
        .run(&["state", "unlock", "wrong", "--auto-approve"])
        .await
        .expect(1);
    assert!(stored(&fixture).unwrap().lock.is_some());
    let id = "11111111-2222-3333-4444-555555555555";
    fixture.run(&["state", "unlock", id, "--auto-approve"]).await.expect(0);
    assert!(stored(&fixture).unwrap().lock.is_none());
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
}

#[tokio::test]
async fn two_at_once_make_everything_once() {
    let fixture = team().await;
    let one = fixture.run(&["apply", "--auto-approve"]);
    let other = fixture.run(&["apply", "--auto-approve"]);
    let (one, other) = tokio::join!(one, other);
    let mut codes = [one.code, other.code];
    codes.sort_unstable();
    // The second is refused, or begins when the first is over and finds nothing to do.
    assert!(codes == [0, 4] || codes == [0, 0], "{}\n{}", one.all(), other.all());
    for ran in [&one, &other].into_iter().filter(|ran| ran.code == 4) {
        assert!(ran.stderr.contains("lock"), "{}", ran.stderr);
    }
    fixture.sandbox.with_world(|world| {
        let named = |name: &str| world.applications.iter().filter(|one| one.name == name).count();
        assert_eq!(named("Factory Integration"), 1);
        assert!(world.terraform_states[0].lock.is_none());
    });
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
}

#[tokio::test]
async fn a_record_of_a_newer_version_is_left_alone() {
    let fixture = team().await;
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    let newer = "{\"version\": 99, \"serial\": 1000, \"lineage\": \"x\"}".to_owned();
    fixture
        .sandbox
        .with_world(|world| world.terraform_states[0].content = Some(newer.clone()));
    fixture.edit_config("\"Factory Droid\"", "\"Factory Worker\"");
    let writes = |fixture: &Fixture| {
        let log = fixture.sandbox.requests();
        log.iter()
            .filter(|one| one.write && !one.path.contains("/terraform/"))
            .count()
    };
    let before = writes(&fixture);
    for command in [&["plan"][..], &["apply", "--auto-approve"]] {
        let ran = fixture.run(command).await.expect(1);
        assert!(ran.stderr.contains("newer"), "{}", ran.stderr);
    }
    assert_eq!(writes(&fixture), before);
    let state = stored(&fixture).unwrap();
    assert_eq!(state.content, Some(newer));
    assert!(state.lock.is_none(), "a refused run lets the lock go");
}
