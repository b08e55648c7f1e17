//! Two runs at once, over the real binary: one works, the other is told who does; and what becomes of the lock of a run
//! that is dead.

use std::process::Child;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use setpoint::sandbox::{Action, Intercept, Seen};

use crate::matrix::scenario::Scenario;
use crate::matrix::stage::{Ended, Stage};

/// Holds the first change that comes up until it is told to let it go.
struct Gate {
    reached: Mutex<Option<Sender<()>>>,
    release: Mutex<Option<Receiver<()>>>,
}

impl Intercept for Gate {
    fn before(&self, request: &Seen) -> Action {
        let changes = request.write && request.path.contains("/api/v") && !request.path.contains("/terraform/");
        // Not in the condition, which would keep the mutex, and with it the other requests, until the end.
        let reached = changes.then(|| self.reached.lock().unwrap().take()).flatten();
        if let Some(reached) = reached {
            let release = self.release.lock().unwrap().take().unwrap();
            reached.send(()).unwrap();
            // In place, for what else waits on this thread of the servers must not be held as well. It goes on when the test
            // has failed, too, and its end of the channel is gone.
            let _ = tokio::task::block_in_place(|| release.recv());
        }
        Action::Pass
    }
}

/// A first apply that is held in the middle of its first change.
struct Held {
    stage: Stage,
    first: Child,
    release: Sender<()>,
}

impl Held {
    fn new(scenario: &Scenario) -> Self {
        let ((reached, arrived), (release, held)) = (channel(), channel());
        let gate = Gate {
            reached: Mutex::new(Some(reached)),
            release: Mutex::new(Some(held)),
        };
        let stage = Stage::new(scenario.start(), |_| Some(Arc::new(gate)));
        stage.configure(&scenario.setting);
        let first = stage.command(&["apply", "--auto-approve"]).spawn().unwrap();
        arrived.recv().expect("the first run comes to its first change");
        Self { stage, first, release }
    }

    /// The other run is refused in words that name the first.
    fn refuses(&self, arguments: &[&str], words: &[&str]) -> String {
        let ended = self.stage.run(arguments);
        assert_eq!(ended.code, Some(4), "{}", ended.all());
        for word in words {
            assert!(unwrapped(&ended.stderr).contains(word), "{word}: {}", ended.all());
        }
        unwrapped(&ended.stderr)
    }

    fn pass_all(self) -> (Stage, Ended) {
        self.release.send(()).unwrap();
        let output = self.first.wait_with_output().unwrap();
        let ended = Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        (self.stage, ended)
    }

    /// Another run waits until the first has ended, and both succeed.
    fn let_the_next_in(self) {
        let waiting = self.stage.command(WAITING).spawn().unwrap();
        let (stage, first) = self.pass_all();
        assert_eq!(first.code, Some(0), "{}", first.all());
        let waited = waiting.wait_with_output().unwrap();
        assert!(waited.status.success(), "{}", String::from_utf8_lossy(&waited.stderr));
        whole(&stage);
    }

    /// Ends the first run as the power cord would.
    fn kill(mut self) -> Stage {
        self.first.kill().unwrap();
        self.first.wait().unwrap();
        self.release.send(()).unwrap();
        self.stage
    }
}

/// Without the line breaks that fit it to a terminal.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn ends(stage: &Stage, arguments: &[&str], code: i32) -> Ended {
    let ended = stage.run(arguments);
    assert_eq!(ended.code, Some(code), "{}", ended.all());
    ended
}

/// Nothing was made twice, and nothing is left to do.
fn whole(stage: &Stage) {
    ends(stage, &["plan", "--detailed-exitcode"], 0);
    let world = stage.world();
    let named = |name: &str| world.applications.iter().filter(|one| one.name == name).count();
    assert_eq!(named("Factory Integration"), 1);
    assert_eq!(
        world.users.iter().filter(|one| one.username == "factory-droid").count(),
        1
    );
    assert!(world.terraform_states.iter().all(|state| state.lock.is_none()));
    assert!(!stage.folder().join(".setpoint/state.json.lock").exists());
}

const APPLY: &[&str] = &["apply", "--auto-approve"];
const ROTATE: &[&str] = &["rotate", "--auto-approve"];
const WAITING: &[&str] = &["apply", "--auto-approve", "--lock-timeout", "10m"];

#[test]
fn the_second_run_is_told_who_works_or_waits_for_its_turn() {
    let held = Held::new(&Scenario::named("first apply, by password"));
    let process = format!("(process {})", held.first.id());
    let holder = format!("is locked by {}@", crate::common::account());
    let words = [holder.as_str(), "running `apply`", process.as_str(), " since 20"];
    held.refuses(APPLY, &words);
    held.refuses(ROTATE, &words);
    // Looking needs no lock; a lock whose holder lives is not taken from it, whoever asks.
    ends(&held.stage, &["plan"], 0);
    let ended = ends(&held.stage, &["state", "unlock", "--auto-approve"], 1);
    assert!(unwrapped(&ended.stderr).contains("running process"), "{}", ended.all());
    held.let_the_next_in();
}

#[test]
fn the_same_where_gitlab_keeps_the_record_and_its_lock() {
    let held = Held::new(&Scenario::named("first apply, by password").in_gitlab());
    // GitLab keeps the account, the time and the id.
    let words = ["is locked by root since 20", "lock id "];
    held.refuses(APPLY, &words);
    held.refuses(ROTATE, &words);
    ends(&held.stage, &["plan"], 0);
    held.let_the_next_in();
}

#[test]
fn the_lock_of_a_dead_process_is_taken_over_with_a_word() {
    let held = Held::new(&Scenario::named("first apply, by password"));
    let dead = format!("(process {})", held.first.id());
    let stage = held.kill();
    let ended = ends(&stage, APPLY, 0);
    let said = unwrapped(&ended.stderr);
    assert!(
        said.contains(&format!("taken over from {}@", crate::common::account())),
        "{}",
        ended.all()
    );
    assert!(
        said.contains(&dead) && said.contains("that process is gone"),
        "{}",
        ended.all()
    );
    let again = ends(&stage, APPLY, 0);
    assert!(!again.stderr.contains("taken over"), "{}", again.all());
    whole(&stage);
}

#[test]
fn a_lock_of_another_machine_is_for_a_person_to_release() {
    let stage = Held::new(&Scenario::named("first apply, by password")).kill();
    let file = stage.folder().join(".setpoint/state.json.lock");
    let mut lock: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    lock["Who"] = "ada@elsewhere.example.com".into();
    lock["Info"] = "setpoint process 4711 on elsewhere.example.com".into();
    std::fs::write(&file, lock.to_string()).unwrap();
    let id = lock["ID"].as_str().unwrap();

    let requests = stage.requests().len();
    let ended = ends(&stage, APPLY, 4);
    let said = unwrapped(&ended.stderr);
    assert!(
        said.contains("ada@elsewhere.example.com running `apply` (process 4711)"),
        "{said}"
    );
    assert!(said.contains(&format!("state unlock {id}")), "{said}");
    assert_eq!(stage.requests().len(), requests, "nobody was asked anything");
    let shown = ends(&stage, &["state", "show"], 0);
    assert!(shown.stdout.contains("ada@elsewhere.example.com"), "{}", shown.all());
    ends(&stage, &["state", "unlock", id, "--auto-approve"], 0);
    ends(&stage, APPLY, 0);
    whole(&stage);
}

#[test]
fn a_lock_that_a_dead_run_left_in_gitlab_is_for_a_person_to_release() {
    let stage = Held::new(&Scenario::named("first apply, by password").in_gitlab()).kill();
    let refused = ends(&stage, APPLY, 4);
    let id = stage.world().terraform_states[0]
        .lock
        .clone()
        .expect("it was left behind")
        .id;
    let said = unwrapped(&refused.stderr);
    assert!(said.contains("is locked by root since 20"), "{said}");
    assert!(said.contains(&format!("state unlock {id}")), "{said}");
    ends(&stage, &["state", "unlock", &id, "--auto-approve"], 0);
    ends(&stage, APPLY, 0);
    whole(&stage);
}
