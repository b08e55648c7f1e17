//! Signals, and readers that go away: what is under way is finished, a second signal ends at once, and no command
//! complains to nobody. At each third write here; at every write of every scenario it is
//! `cargo run --example soak -- interrupt-matrix`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use setpoint::sandbox::{Action, Intercept, Seen};

use crate::matrix::Extent;
use crate::matrix::interrupt::matrix;
use crate::matrix::scenario::Scenario;
use crate::matrix::stage::Stage;

fn obeys(name: &str) {
    let tally = matrix(&Scenario::named(name), Extent::Part, 3);
    assert!(tally.violations.is_empty(), "{}", tally.violations.join("\n"));
    assert_eq!(tally.missed, 0, "a point was not reached");
    assert!(tally.injected > 0);
}

#[test]
fn an_interrupted_first_apply() {
    obeys("first apply, by password");
}

#[test]
fn an_interrupted_rotation() {
    obeys("rotation");
}

/// Says when a request of the kind comes, and does something to it.
struct Lure {
    method: &'static str,
    path: &'static str,
    action: Action,
    came: Mutex<Option<Sender<()>>>,
}

impl Intercept for Lure {
    fn before(&self, request: &Seen) -> Action {
        let meant = request.method == self.method && request.path.contains(self.path);
        let came = meant.then(|| self.came.lock().unwrap().take()).flatten();
        if let Some(came) = came {
            came.send(()).unwrap();
            return self.action.clone();
        }
        Action::Pass
    }
}

/// A stage of a first apply, with a lure.
fn stage(method: &'static str, path: &'static str, action: Action) -> (Stage, Receiver<()>) {
    let scenario = Scenario::named("first apply, by password");
    let (came, arrived) = channel();
    let lure = Lure {
        method,
        path,
        action,
        came: Mutex::new(Some(came)),
    };
    let stage = Stage::new(scenario.start(), |_| Some(Arc::new(lure)));
    stage.configure(&scenario.setting);
    (stage, arrived)
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn the_second_interrupt_ends_at_once_and_the_next_run_goes_on() {
    let (stage, arrived) = stage("POST", "/api/v4/applications", Action::Hang);
    let mut child = stage.command(&["apply", "--auto-approve"]).spawn().unwrap();
    arrived.recv().unwrap();
    send("-INT", &child);
    // The two are two only once the first was seen.
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("Interrupted.") {
        line.clear();
        assert!(errors.read_line(&mut line).unwrap() > 0, "it ended at the first");
    }
    send("-TERM", &child);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    let ended = stage.run(&["apply", "--auto-approve"]);
    assert_eq!(ended.code, Some(0), "{}", ended.all());
    let ended = stage.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(ended.code, Some(0), "{}", ended.all());
}

#[test]
fn before_the_first_change_one_interrupt_is_enough() {
    let (stage, arrived) = stage("GET", "/api/v4/", Action::Hang);
    let child = stage.command(&["apply", "--auto-approve"]).spawn().unwrap();
    arrived.recv().unwrap();
    send("-INT", &child);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("interrupted before anything was changed"), "{said}");
    assert!(!stage.folder().join(".setpoint/state.json.lock").exists());
    assert!(
        stage
            .requests()
            .iter()
            .all(|request| !request.path.contains("/api/v4/users/"))
    );
}

#[test]
fn under_nohup_a_terminal_that_closes_ends_nothing() {
    let (stage, arrived) = stage("POST", "/api/v4/applications", Action::Delay(300));
    let plain = stage.command(&["apply", "--auto-approve"]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' HUP; exec \"$0\" \"$@\""])
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(stage.folder())
        .env_clear()
        .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    arrived.recv().unwrap();
    send("-HUP", &child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_reader_that_goes_away_is_no_reason_to_complain() {
    let scenario = Scenario::named("rotation");
    let stage = Stage::new(scenario.start(), |_| None);
    stage.configure(&scenario.setting);
    let commands: [&[&str]; 17] = [
        &["plan"],
        &["plan", "--format", "json"],
        &["plan", "--format", "markdown"],
        &["drift"],
        &["apply", "--auto-approve"],
        &["apply", "--auto-approve", "--format", "json"],
        &["doctor"],
        &["validate"],
        &["export"],
        &["state", "show"],
        &["state", "journal"],
        &["state", "unlock"],
        &["schema"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
        &["--version"],
    ];
    for arguments in commands {
        let usual = stage.run(arguments).code;
        let mut child = stage.command(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), usual, "{arguments:?}: {said}");
        for word in ["panicked", "error:", "Broken pipe", "pipe"] {
            assert!(!said.contains(word), "{arguments:?}: {said}");
        }
    }
    // Nor is one that reads neither of the two.
    let mut child = stage.command(&["apply", "--auto-approve"]).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
