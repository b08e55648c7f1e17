//! Tries the promises of `docs/reliability.md` in full, which takes longer than a test may:
//!
//! ```text
//! cargo run --example soak -- kill-matrix
//! cargo run --example soak -- fault-matrix --workers 12
//! cargo run --example soak -- kill-matrix --parallelism 8 --workers 4 --only rotation
//! ```
//!
//! It prints what was done and how many promises were broken, and ends with 1 if any was. The program that is tried
//! is this one, started again under the name `setpoint`, so that it is never an older build.

#![expect(clippy::expect_used, reason = "a harness fails by panicking")]

#[path = "../../tests/it/matrix/mod.rs"]
#[expect(dead_code, reason = "the tests run a part of it, this all of it")]
mod matrix;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::Instant;

use matrix::scenario::Scenario;
use matrix::{Extent, Tally};

/// The command line of the program.
fn program() -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program lies somewhere"));
    command.arg0("setpoint");
    command
}

const USAGE: &str = "\
usage: soak kill-matrix [--parallelism N] [--seed S]
       soak fault-matrix
       soak interrupt-matrix
       soak random [--runs N] [--seed S]
and of each: [--workers N], and but for the last: [--only TEXT] [--part] [--every N]
--runs alone means `random`";

/// What was asked for.
struct Options {
    workers: usize,
    parallelism: String,
    seed: Option<u64>,
    runs: u64,
    only: String,
    extent: Extent,
}

impl Options {
    fn read(arguments: &[String]) -> Self {
        let option = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            arguments.get(at + 1).map(String::as_str)
        };
        let number = |name: &str| option(name).and_then(|text| text.parse().ok());
        Self {
            workers: number("--workers").map_or(4, |many: u64| usize::try_from(many).unwrap_or(usize::MAX)),
            parallelism: option("--parallelism").unwrap_or("8").to_owned(),
            seed: number("--seed"),
            runs: number("--runs").unwrap_or(100),
            only: option("--only").unwrap_or_default().to_owned(),
            extent: if arguments.iter().any(|argument| argument == "--part") {
                Extent::Part
            } else {
                number("--every").map_or(Extent::All, |step| {
                    Extent::Every(usize::try_from(step).unwrap_or(usize::MAX))
                })
            },
        }
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    if arguments.next().as_deref() == Some("setpoint") {
        return setpoint::cli::main();
    }
    let arguments: Vec<String> = arguments.collect();
    let options = Options::read(&arguments);
    let run = match arguments.first().map(String::as_str) {
        Some("kill-matrix") => kill_matrix as fn(&Scenario, &Options, usize) -> Tally,
        Some("fault-matrix") => fault_matrix,
        Some("interrupt-matrix") => interrupt_matrix,
        Some("random" | "--runs" | "--seed") => return random(&options),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    let mut scenarios = Scenario::all();
    scenarios.extend(Scenario::all().into_iter().map(Scenario::in_gitlab));
    scenarios.retain(|scenario| scenario.name.contains(&options.only));
    // All at once, because most of the time is spent waiting: for servers that do not answer, and between attempts.
    let workers = options.workers.div_ceil(scenarios.len().max(1));
    let all = Instant::now();
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let started: Vec<_> = scenarios
            .iter()
            .map(|scenario| {
                let options = &options;
                scope.spawn(move || {
                    let begun = Instant::now();
                    let tally = run(scenario, options, workers);
                    report(&scenario.name, &tally, begun);
                    tally
                })
            })
            .collect();
        started
            .into_iter()
            .map(|one| one.join().expect("a matrix does not panic"))
            .collect()
    });
    let mut sum = Tally::default();
    for tally in tallies {
        sum.add(tally);
    }
    report("in all", &sum, all);
    if sum.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn random(options: &Options) -> ExitCode {
    let begun = Instant::now();
    let seed = options.seed.unwrap_or(1);
    let (tally, found) = matrix::random::runs(seed, options.runs, options.workers);
    println!(
        "{} random worlds from seed {seed}: {} without mishaps, {} mishaps in the others; nothing left after 0/1/2 more \
         runs: {:?}; {} violations; {} s",
        tally.injected,
        found.undisturbed,
        found.faults,
        &tally.attempts[..3],
        tally.violations.len(),
        begun.elapsed().as_secs()
    );
    println!("left in the end, to a person or for good:");
    for (why, times) in &found.left {
        println!("  {times:5} {why}");
    }
    if tally.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn kill_matrix(scenario: &Scenario, options: &Options, workers: usize) -> Tally {
    matrix::kill::matrix(scenario, options.extent, &options.parallelism, options.seed, workers)
}

fn fault_matrix(scenario: &Scenario, options: &Options, workers: usize) -> Tally {
    matrix::fault::matrix(scenario, options.extent, workers)
}

fn interrupt_matrix(scenario: &Scenario, options: &Options, workers: usize) -> Tally {
    matrix::interrupt::matrix(scenario, options.extent, workers)
}

fn report(name: &str, tally: &Tally, begun: Instant) {
    println!(
        "{name}: {} injected, {} not reached; done after 0/1/2/3 more runs: {:?}; {} violations; {} s",
        tally.injected,
        tally.missed,
        tally.attempts,
        tally.violations.len(),
        begun.elapsed().as_secs()
    );
    for violation in &tally.violations {
        println!("  {violation}");
    }
}
