//! Killed at any point: before a request is processed, and after it was, before its answer arrives. The record is
//! written between requests, so these points lie on both sides of every write of the record too.

use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use setpoint::sandbox::{Action, Intercept, Seen};

use super::point::{Point, converge, record};
use super::scenario::Scenario;
use super::stage::Stage;
use super::{Extent, Tally, Verdict, each};

/// Kills the program at one of its requests.
struct Killer {
    child: Arc<Mutex<Option<Child>>>,
    number: usize,
    after: bool,
    /// Requests so far; the one that is meant is remembered by its number in the sandbox.
    count: AtomicUsize,
    meant: Mutex<Option<u64>>,
    done: AtomicBool,
}

impl Killer {
    fn kill(&self) -> Action {
        if let Some(child) = self.child.lock().expect("nobody panics with it").as_mut() {
            // SIGKILL; waited for, so that it is dead when the request goes on.
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
            self.done.store(true, Ordering::SeqCst);
        }
        Action::Drop
    }
}

impl Intercept for Killer {
    fn before(&self, request: &Seen) -> Action {
        if request.by_factory() || self.done.load(Ordering::SeqCst) {
            return Action::Pass;
        }
        if self.count.fetch_add(1, Ordering::SeqCst) + 1 != self.number {
            return Action::Pass;
        }
        if self.after {
            *self.meant.lock().expect("nobody panics with it") = Some(request.number);
            return Action::Pass;
        }
        self.kill()
    }

    fn after(&self, request: &Seen, _: u16) -> Action {
        if *self.meant.lock().expect("nobody panics with it") == Some(request.number) {
            return self.kill();
        }
        Action::Pass
    }
}

/// Runs the kill matrix of a scenario with so many requests at a time.
pub(crate) fn matrix(scenario: &Scenario, extent: Extent, parallelism: &str, workers: usize) -> Tally {
    let points = match record(scenario, extent) {
        Ok(points) => points,
        Err(why) => {
            return Tally {
                violations: vec![why],
                ..Tally::default()
            };
        }
    };
    let points: Vec<(Point, bool)> = points
        .into_iter()
        // Whether a read was processed makes no difference to anybody, and the writes around it are points too.
        .filter(|point| extent == Extent::All || point.write)
        .flat_map(|point| [(point.clone(), false), (point, true)])
        .collect();
    let name = |(point, after): &(Point, bool)| {
        format!(
            "{}, killed {} request {} ({})",
            scenario.name,
            if *after { "after" } else { "before" },
            point.number,
            point.kind
        )
    };
    each(&points, workers, name, |(point, after)| {
        kill_at(scenario, point.number, *after, parallelism)
    })
}

fn kill_at(scenario: &Scenario, number: usize, after: bool, parallelism: &str) -> Verdict {
    let mut killer = None;
    let stage = Stage::new(scenario.start(), |child| {
        let made = Arc::new(Killer {
            child,
            number,
            after,
            count: AtomicUsize::new(0),
            meant: Mutex::new(None),
            done: AtomicBool::new(false),
        });
        killer = Some(Arc::clone(&made));
        Some(made)
    });
    stage.configure(&scenario.setting);
    let mut command = scenario.command.to_vec();
    command.extend(["--parallelism", parallelism]);
    let ended = stage.run(&command);
    if !killer.is_some_and(|killer| killer.done.load(Ordering::SeqCst)) {
        return if ended.code == Some(0) {
            Ok(None)
        } else {
            Err(format!("it was not killed, and yet: {}", ended.all()))
        };
    }
    converge(scenario, &stage, |ended| match ended.code {
        Some(3) => Ok(()),
        _ => Err(format!("the next run: {}", ended.all())),
    })
    .map(Some)
}
