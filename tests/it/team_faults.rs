//! The record behind HTTP when the backend or another person misbehaves: locks that are taken away, answers that are
//! lost, writes that are refused. What was done is never forgotten, and nothing is done that could not be recorded.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use setpoint::sandbox::world::{TerraformLock, World};
use setpoint::sandbox::{Action, Options, Seen};

use crate::common::plans::unwrapped;
use crate::common::proxy::{Phase, Proxy};
use crate::common::{Fixture, Ran};

const APPLY: [&str; 4] = ["apply", "--auto-approve", "--parallelism", "1"];
const UNWRITTEN: &str = ".setpoint/state.json.unwritten-1";

/// With the record in project 1 of the sandbox's GitLab, and a proxy before it.
async fn team() -> (Fixture, Arc<Proxy>) {
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    fixture.give_admin_session();
    let config = std::fs::read_to_string(fixture.path("setpoint.toml")).unwrap();
    let gitlab = fixture.sandbox.gitlab_url();
    fixture.write_config(&format!(
        "{config}\n[state]\nurl = \"{gitlab}/api/v4/projects/1/terraform/state/setpoint\"\nusername = \"root\"\n\
         password = {{ env = \"GITLAB_TOKEN\" }}\n"
    ));
    (fixture, proxy)
}

fn is_record(request: &Seen, method: &str) -> bool {
    request.method == method && request.path.ends_with("/terraform/state/setpoint")
}

fn is_lock(request: &Seen, method: &str) -> bool {
    request.method == method && request.path.ends_with("/terraform/state/setpoint/lock")
}

fn respond(status: u16) -> Action {
    Action::Respond {
        status,
        headers: Vec::new(),
        body: String::new(),
    }
}

fn set_lock(world: &mut World, id: Option<&str>) {
    world.terraform_states[0].lock = id.map(|id| TerraformLock {
        id: id.to_owned(),
        user_id: 1,
        created: "2026-01-01T00:00:00Z".to_owned(),
    });
}

fn lock_id(fixture: &Fixture) -> Option<String> {
    fixture.world(|world| world.terraform_states[0].lock.as_ref().map(|lock| lock.id.clone()))
}

/// Writes to both sides, those of the record left out.
fn writes(fixture: &Fixture) -> Vec<String> {
    fixture
        .sandbox
        .requests()
        .iter()
        .filter(|one| one.write && one.path.contains("/api/v") && !one.path.contains("/terraform/"))
        .map(|one| format!("{} {}", one.method, one.path))
        .collect()
}

/// Runs a command line, stops it at the first request that is meant, changes the world, and lets it go on.
async fn interfere(
    fixture: &Fixture,
    proxy: &Proxy,
    at: impl Fn(&Seen) -> bool + Send + 'static,
    change: impl FnOnce(&mut World),
) -> Ran {
    let (reached, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let mut met = false;
    proxy.intercept(move |request, phase| {
        if !met && phase == Phase::Before && at(request) {
            met = true;
            let _ = reached.send(());
            let _ = wait.recv();
        }
        Action::Pass
    });
    let mut run = Box::pin(proxy.run(fixture, &APPLY));
    tokio::select! {
        ran = &mut run => panic!("it ended before: {}", ran.all()),
        _ = arrived.recv() => {}
    }
    fixture.world(change);
    go.send(()).unwrap();
    let ran = run.await;
    proxy.pass_all();
    ran
}

fn makes_user(request: &Seen) -> bool {
    request.method == "POST" && request.path == "/api/v4/users"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_another_took_ends_the_run_and_nothing_is_forgotten() {
    let (fixture, proxy) = team().await;
    let ran = interfere(&fixture, &proxy, makes_user, |world| set_lock(world, Some("theirs")))
        .await
        .expect(3);
    let stderr = unwrapped(&ran.stderr);
    assert!(stderr.contains("was lost during the run"), "{}", ran.stderr);
    assert!(stderr.contains("lock id theirs"), "{}", ran.stderr);
    assert!(
        stderr.contains(&format!("setpoint state push {}", "")),
        "{}",
        ran.stderr
    );
    assert!(
        stderr.contains("the lock was taken away during the run"),
        "{}",
        ran.stderr
    );
    let last = writes(&fixture);
    assert_eq!(
        last.last().map(String::as_str),
        Some("POST /api/v4/users"),
        "nothing after it: {last:#?}"
    );
    assert_eq!(lock_id(&fixture).as_deref(), Some("theirs"), "their lock is left alone");
    let mode = std::fs::metadata(fixture.path(UNWRITTEN)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept = std::fs::read_to_string(fixture.path(UNWRITTEN)).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["user"]["username"], "factory-droid", "what was done is in it");

    // They end, and the record is put back as it would have been.
    let push = ["state", "push", UNWRITTEN, "--auto-approve"];
    fixture.run(&push).await.expect(4);
    fixture.world(|world| set_lock(world, None));
    fixture.run(&push).await.expect(0);
    let shown = fixture
        .run(&["state", "show", "--format", "json"])
        .await
        .expect(0)
        .json();
    assert_eq!(shown["record"]["user"], kept["user"]);
    fixture.apply().await.expect(0);
    fixture.expect_nothing_to_do("after the record was put back").await;
    assert_eq!(
        writes(&fixture)
            .iter()
            .filter(|one| *one == "POST /api/v4/users")
            .count(),
        1
    );
    fixture.application();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_was_let_go_by_force_ends_the_run_and_is_not_taken_back() {
    let (fixture, proxy) = team().await;
    let ran = interfere(&fixture, &proxy, makes_user, |world| set_lock(world, None))
        .await
        .expect(3);
    assert!(
        unwrapped(&ran.stderr).contains("somebody released it"),
        "{}",
        ran.stderr
    );
    assert_eq!(lock_id(&fixture), None);
    // Even without the file that was kept, the announcements are enough.
    fixture.apply().await.expect(0);
    fixture.expect_nothing_to_do("after the next run").await;
    assert_eq!(
        writes(&fixture)
            .iter()
            .filter(|one| *one == "POST /api/v4/users")
            .count(),
        1
    );
    fixture.expect_connected("after the next run");
}

#[tokio::test]
async fn a_refused_write_of_the_record_stops_the_run_wherever_it_comes() {
    // The first is the announcement of the first write: nothing has been done then.
    for (status, passing) in [(409, 0), (423, 0), (412, 3), (409, 5), (422, 4), (500, 6), (413, 2)] {
        let (fixture, proxy) = team().await;
        let mut seen = 0;
        proxy.intercept(move |request, phase| {
            if phase == Phase::Before && is_record(request, "POST") {
                seen += 1;
                if seen > passing {
                    return respond(status);
                }
            }
            Action::Pass
        });
        let ran = proxy.run(&fixture, &APPLY).await.expect(3);
        proxy.pass_all();
        let when = format!("{status} after {passing}");
        assert!(
            unwrapped(&ran.stderr).contains("is behind what was done"),
            "{when}: {}",
            ran.stderr
        );
        assert!(fixture.path(UNWRITTEN).exists(), "{when}");
        assert_eq!(
            passing == 0,
            writes(&fixture).is_empty(),
            "{when}: {:#?}",
            writes(&fixture)
        );
        assert_eq!(lock_id(&fixture), None, "{when}");
        fixture.apply().await.expect(0);
        fixture.expect_nothing_to_do(&when).await;
        fixture.expect_connected(&when);
        let made = writes(&fixture)
            .iter()
            .filter(|one| one.ends_with("/applications"))
            .count();
        assert_eq!(made, 1, "{when}: {:#?}", writes(&fixture));
    }
}

#[tokio::test]
async fn a_lost_answer_to_the_lock_or_its_release_is_no_reason_to_stop() {
    let (fixture, proxy) = team().await;
    let mut lost = 0;
    proxy.intercept(move |request, phase| {
        if phase == Phase::After && lost < 2 && is_lock(request, if lost == 0 { "POST" } else { "DELETE" }) {
            lost += 1;
            return Action::Drop;
        }
        Action::Pass
    });
    let ran = proxy.run(&fixture, &APPLY).await.expect(0);
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
    assert_eq!(lock_id(&fixture), None);
}

#[tokio::test]
async fn a_lock_that_cannot_be_released_is_a_warning_with_the_command_to_run() {
    let (fixture, proxy) = team().await;
    proxy.intercept(|request, phase| {
        if phase == Phase::Before && is_lock(request, "DELETE") {
            return respond(500);
        }
        Action::Pass
    });
    let ran = proxy.run(&fixture, &APPLY).await.expect(0);
    proxy.pass_all();
    let id = lock_id(&fixture).unwrap();
    let stderr = unwrapped(&ran.stderr);
    assert!(stderr.contains("warning: the lock on"), "{}", ran.stderr);
    assert!(
        stderr.contains(&format!("setpoint state unlock {id}")),
        "{}",
        ran.stderr
    );
    fixture.run(&["apply", "--auto-approve"]).await.expect(4);
    fixture.run(&["state", "unlock", &id, "--auto-approve"]).await.expect(0);
    fixture.apply().await.expect(0);
}

#[tokio::test]
async fn nobody_is_said_to_hold_a_lock_that_cannot_be_seen() {
    let (fixture, _hand) = team().await;
    fixture.run(&APPLY).await.expect(0);
    for holder in [None, Some("theirs")] {
        fixture.world(|world| set_lock(world, holder));
        let ran = fixture.run(&["state", "show"]).await.expect(0);
        assert!(!ran.stdout.contains("Nobody"), "{}", ran.stdout);
        assert!(
            unwrapped(&ran.stdout).contains("holds the lock is not known"),
            "{}",
            ran.stdout
        );
        let shown = fixture
            .run(&["state", "show", "--format", "json"])
            .await
            .expect(0)
            .json();
        assert_eq!(shown["lock_state"], "unknown");
        assert!(shown["lock"].is_null());
    }
}

#[tokio::test]
async fn a_damaged_record_is_rebuilt_there_too() {
    let (fixture, _hand) = team().await;
    fixture.run(&APPLY).await.expect(0);
    let whole = fixture.world(|world| world.terraform_states[0].content.clone().unwrap());
    let before = writes(&fixture);
    // GitLab would serve the old one as long as the new one has a lower serial, and takes each serial once.
    for damaged in [
        whole[..whole.len() / 2].to_owned(),
        "garbage".to_owned(),
        String::from("{}"),
    ] {
        fixture.world(|world| {
            let state = &mut world.terraform_states[0];
            // With gaps: a low serial is taken, and is not what is served.
            if damaged == "garbage" {
                state.serials = [2, 9000].into();
            }
            state.content = Some(damaged.clone());
        });
        let ran = fixture.run(&APPLY).await.expect(1);
        assert!(
            unwrapped(&ran.stderr).contains("setpoint state rebuild"),
            "{}",
            ran.stderr
        );
        fixture.run(&["state", "rebuild", "--auto-approve"]).await.expect(0);
        assert_eq!(lock_id(&fixture), None);
        fixture.expect_nothing_to_do("after the rebuild").await;
        fixture.run(&APPLY).await.expect(0);
    }
    let kept =
        |number: u32| std::fs::read_to_string(fixture.path(&format!(".setpoint/state.json.damaged-{number}"))).unwrap();
    assert_eq!(kept(2), "garbage");
    assert_eq!(kept(3), "{}");
    assert_eq!(writes(&fixture), before);
}
