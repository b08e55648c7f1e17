//! Interrupted at any write: what is under way is finished and recorded, nothing new begins, and the report says what is
//! left. The next run does the rest.

use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use setpoint::sandbox::{Action, Intercept, Seen};

use super::check::{api_write, names_one_next_command};
use super::point::{Point, converge, record};
use super::scenario::Scenario;
use super::stage::{Ended, Stage};
use super::{Extent, Tally, Verdict, each};

/// How long the request waits after the signal, so that the program has seen it before the answer.
const PAUSE_MS: u64 = 150;

/// Sends a signal while a request is under way.
struct Interrupter {
    child: Arc<Mutex<Option<Child>>>,
    signal: &'static str,
    /// Which of the program's requests, from 1.
    number: usize,
    /// How many came so far, and the sandbox's number of the one at which the signal was sent.
    seen: Mutex<(usize, Option<u64>)>,
}

impl Interrupter {
    fn sent_at(&self) -> Option<u64> {
        self.seen.lock().expect("nobody panics with it").1
    }
}

impl Intercept for Interrupter {
    fn before(&self, request: &Seen) -> Action {
        if request.by_factory() {
            return Action::Pass;
        }
        let mut seen = self.seen.lock().expect("nobody panics with it");
        seen.0 += 1;
        if seen.0 != self.number {
            return Action::Pass;
        }
        let id = self
            .child
            .lock()
            .expect("nobody panics with it")
            .as_ref()
            .map(Child::id);
        let id = id.expect("it runs while it makes requests").to_string();
        let sent = Command::new("kill").args([self.signal, &id]).status();
        assert!(sent.is_ok_and(|sent| sent.success()), "the signal is sent");
        seen.1 = Some(request.number);
        Action::Delay(PAUSE_MS)
    }
}

/// Interrupts a scenario at each of its writes, in turn with Ctrl-C, SIGTERM and SIGHUP; a part of it at each third.
pub(crate) fn matrix(scenario: &Scenario, extent: Extent, workers: usize) -> Tally {
    let points = match record(scenario) {
        Ok(points) => points,
        Err(why) => return Tally::broken(why),
    };
    let points: Vec<(Point, &'static str)> = points
        .into_iter()
        .filter(|point| point.write)
        .zip(signals().into_iter().cycle())
        .collect();
    let points = extent.of(points);
    let name = |(point, signal): &(Point, &str)| {
        format!(
            "{}, {signal} at request {} ({})",
            scenario.name, point.number, point.kind
        )
    };
    each(&points, workers, name, |(point, signal)| {
        interrupt_at(scenario, point.number, signal)
    })
}

/// In turn. Of no length that the steps through the points have, so that each third point meets all of them.
fn signals() -> [&'static str; 4] {
    let hang_up = if hang_ups_are_ignored() { "-TERM" } else { "-HUP" };
    ["-INT", "-TERM", "-INT", hang_up]
}

/// Whether this runs under `nohup`, which the program inherits and obeys (Linux: `proc_pid_status(5)`, `SigIgn`).
fn hang_ups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 == 1)
}

fn interrupt_at(scenario: &Scenario, number: usize, signal: &'static str) -> Verdict {
    let mut interrupter = None;
    let stage = Stage::new(scenario.start(), |child| {
        let made = Arc::new(Interrupter {
            child,
            signal,
            number,
            seen: Mutex::default(),
        });
        interrupter = Some(Arc::clone(&made));
        Some(made)
    });
    stage.configure(&scenario.setting);
    let mut command = scenario.command.to_vec();
    command.extend(["--parallelism", "1"]);
    let ended = stage.run(&command);
    let Some(sent_at) = interrupter.and_then(|interrupter| interrupter.sent_at()) else {
        return Ok(None);
    };
    orderly(scenario, &stage, &ended, sent_at)?;
    converge(scenario, &stage, |ended| Err(format!("the next run: {}", ended.all()))).map(|attempt| Some(attempt + 1))
}

/// Whether an interrupted run ended as it should.
fn orderly(scenario: &Scenario, stage: &Stage, ended: &Ended, sent_at: u64) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("{why}: {}", ended.all()));
    let requests = stage.requests();
    let changes = || {
        requests
            .iter()
            .filter(|request| api_write(request) && !request.path.contains("/terraform/"))
    };
    let later = changes().filter(|request| request.number > sent_at).count();
    match ended.code {
        // It was the last thing to do.
        Some(0) => {}
        Some(1) => {
            if changes().next().is_some() {
                return wrong("it ended with an error after something was changed");
            }
            if !ended.stderr.contains("interrupted before anything was changed") {
                return wrong("it does not say that nothing was changed");
            }
        }
        Some(3) => {
            // Where the write that was under way is refused and was the last, it is what is left.
            let says_what_is_left = ["skipped", "Failed:"].iter().any(|word| ended.stdout.contains(word));
            if !ended.stderr.contains("Interrupted.") || !says_what_is_left {
                return wrong("it does not say that it was interrupted, or what is left");
            }
            names_one_next_command(ended)?;
        }
        _ => return wrong("an exit code that is not due"),
    }
    // One write may take a request that changes something after one that does not, such as a sign-in.
    if later > 1 {
        return wrong(&format!("{later} writes began after the signal"));
    }
    let record = stage.record().unwrap_or_default();
    // A rotation whose secret nobody keeps is announced until it is over.
    if record.contains("\"intents\"") && scenario.command[0] != "rotate" {
        return wrong("what was under way is not recorded");
    }
    if stage.world().terraform_states.iter().any(|state| state.lock.is_some()) {
        return wrong("the lock is not given back");
    }
    Ok(())
}
