//! The points of a scenario: its requests, as one run of it made them.

use std::collections::BTreeSet;

use setpoint::sandbox::Side;

use super::check::check;
use super::scenario::Scenario;
use super::stage::{Ended, Stage};

/// A request of a scenario.
#[derive(Debug, Clone)]
pub(super) struct Point {
    /// Which of the program's requests it is, from 1.
    pub(super) number: usize,
    /// `POST /api/v4/applications`, with `*` for what differs from run to run.
    pub(super) kind: String,
    pub(super) write: bool,
}

/// Runs the scenario undisturbed and gives its requests.
pub(super) fn record(scenario: &Scenario) -> Result<Vec<Point>, String> {
    let stage = Stage::new(scenario.start(), |_| None);
    stage.configure(&scenario.setting);
    let mut command = scenario.command.to_vec();
    command.extend(["--parallelism", "1"]);
    let ended = stage.run(&command);
    if ended.code != Some(0) {
        return Err(format!("{}, undisturbed: {}", scenario.name, ended.all()));
    }
    let requests = stage.requests();
    check(scenario, &stage).map_err(|why| format!("{}, undisturbed: {why}", scenario.name))?;
    Ok(requests
        .iter()
        .enumerate()
        .map(|(at, request)| Point {
            number: at + 1,
            kind: kind(request.side, &request.method, &request.path),
            write: request.write,
        })
        .collect())
}

/// The first of each kind.
pub(super) fn kinds(points: Vec<Point>) -> Vec<Point> {
    let mut seen = BTreeSet::new();
    points
        .into_iter()
        .filter(|point| seen.insert(point.kind.clone()))
        .collect()
}

/// The kind of a request.
pub(super) fn kind(side: Side, method: &str, path: &str) -> String {
    let path: Vec<&str> = path
        .split('/')
        .map(|segment| {
            let number = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
            let random = segment.len() > 30 || segment.contains('%');
            if number || random { "*" } else { segment }
        })
        .collect();
    format!("{side:?} {method} {}", path.join("/"))
}

/// Runs the program until it says that it is done, at most three times; gives the number of the run, from 0.
pub(super) fn converge(
    scenario: &Scenario,
    stage: &Stage,
    mut each: impl FnMut(&Ended) -> Result<(), String>,
) -> Result<usize, String> {
    let mut last = None;
    for attempt in 0..3 {
        let mut ended = stage.run(scenario.again);
        if let (true, Some(4)) = (scenario.setting.team, ended.code) {
            unlock(stage, &ended)?;
            ended = stage.run(scenario.again);
        }
        if scenario.is_over(&ended) {
            return check(scenario, stage).map(|()| attempt);
        }
        each(&ended)?;
        last = Some(ended);
    }
    let last = last.map(|ended| ended.all()).unwrap_or_default();
    Err(format!("not done after three runs: {last}"))
}

/// Gives back the lock that a dead run has left in GitLab, as a person does who reads what the next run says.
pub(super) fn unlock(stage: &Stage, refused: &Ended) -> Result<(), String> {
    if refused.stderr.split_whitespace().any(|word| word == "root") {
        release(stage, refused)
    } else {
        Err(format!("it is not said who holds the lock: {}", refused.all()))
    }
}

/// Gives back the lock whose id is said.
pub(super) fn release(stage: &Stage, said: &Ended) -> Result<(), String> {
    let is_id = |word: &&str| word.len() == 36 && word.bytes().filter(|byte| *byte == b'-').count() == 4;
    let mut words = said.stderr.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let Some(id) = words.find(is_id) else {
        return Err(format!("the lock is not named: {}", said.all()));
    };
    let ended = stage.run(&["state", "unlock", id, "--auto-approve"]);
    if ended.code == Some(0) {
        Ok(())
    } else {
        Err(format!("the lock is not given back: {}", ended.all()))
    }
}
