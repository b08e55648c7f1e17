//! Killed at any point: before a request is processed, and after it was, before its answer arrives. The record is
//! written between requests. Where GitLab keeps it, writing it is a request itself, so that every write of it has its points,
//! before and after.

use std::sync::Arc;

use super::injector::{Fault, Injector, Reach};
use super::point::{Point, converge, kinds, record};
use super::scenario::Scenario;
use super::stage::Stage;
use super::{Extent, Tally, Verdict, each};

/// Runs the kill matrix of a scenario with so many requests at a time. With a seed the requests come in an order that is
/// its own, and there are points beyond the last request of the recording.
pub(crate) fn matrix(
    scenario: &Scenario,
    extent: Extent,
    parallelism: &str,
    seed: Option<u64>,
    workers: usize,
) -> Tally {
    let points = match record(scenario) {
        Ok(points) => points,
        Err(why) => return Tally::broken(why),
    };
    let more = if seed.is_some() { BEYOND } else { 0 };
    let beyond = (points.len()..points.len() + more).map(|at| Point {
        number: at + 1,
        kind: "beyond the recording".to_owned(),
        write: false,
    });
    let points: Vec<(Point, bool)> = if extent == Extent::Part {
        part(points, scenario.turn())
    } else {
        let points = points.into_iter().chain(beyond);
        extent.of(points
            .flat_map(|point| [(point.clone(), false), (point, true)])
            .collect())
    };
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
        kill_at(scenario, point.number, *after, parallelism, seed)
    })
}

/// What a test has the time for: a point at each second kind of write, in turn before and after it, or both sides of each where
/// there are few. The other half is met by the scenarios whose turn is the other, for they have most kinds in common.
/// Whether a read was processed makes no difference to anybody, and the writes around it are points too.
fn part(points: Vec<Point>, turn: usize) -> Vec<(Point, bool)> {
    let writes = kinds(points.into_iter().filter(|point| point.write).collect());
    let few = writes.len() < 3;
    let is_taken = |(at, _): &(usize, Point)| few || (at + turn).is_multiple_of(2);
    let sides = |(at, point): (usize, Point)| {
        let after = (at / 2 + turn) % 2 == 1;
        let other = few.then(|| (point.clone(), !after));
        std::iter::once((point, after)).chain(other)
    };
    writes
        .into_iter()
        .enumerate()
        .filter(is_taken)
        .flat_map(sides)
        .collect()
}

/// Several requests at a time may be more of them than one at a time: two may find out the same.
const BEYOND: usize = 4;

fn kill_at(scenario: &Scenario, number: usize, after: bool, parallelism: &str, seed: Option<u64>) -> Verdict {
    let mut killer = None;
    let stage = Stage::new(scenario.start(), |child| {
        let made = Injector::new(child, number, after, Fault::Kill, Reach::Once);
        let made = Arc::new(match seed {
            Some(seed) => made.shuffled(seed),
            None => made,
        });
        killer = Some(Arc::clone(&made));
        Some(made)
    });
    stage.configure(&scenario.setting);
    let mut command = scenario.command.to_vec();
    command.extend(["--parallelism", parallelism]);
    let ended = stage.run(&command);
    if !killer.is_some_and(|killer| killer.injected()) {
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
    .map(|attempt| Some(attempt + 1))
}
