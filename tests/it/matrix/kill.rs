//! Killed at any point: before a request is processed, and after it was, before its answer arrives. The record is
//! written between requests, so these points lie on both sides of every write of the record too.

use std::sync::Arc;

use super::point::{Point, converge, record};
use super::scenario::Scenario;
use super::stage::Stage;
use super::strike::{Blow, Striker};
use super::{Extent, Tally, Verdict, each};

/// Runs the kill matrix of a scenario with so many requests at a time.
pub(crate) fn matrix(scenario: &Scenario, extent: Extent, parallelism: &str, workers: usize) -> Tally {
    let points = match record(scenario) {
        Ok(points) => points,
        Err(why) => return Tally::broken(why),
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
        let made = Arc::new(Striker::new(child, number, after, Blow::Kill, false));
        killer = Some(Arc::clone(&made));
        Some(made)
    });
    stage.configure(&scenario.setting);
    let mut command = scenario.command.to_vec();
    command.extend(["--parallelism", parallelism]);
    let ended = stage.run(&command);
    if !killer.is_some_and(|killer| killer.struck()) {
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
