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

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    if arguments.next().as_deref() == Some("setpoint") {
        return setpoint::cli::main();
    }
    let arguments: Vec<String> = arguments.collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(String::as_str)
    };
    let workers = option("--workers").and_then(|text| text.parse().ok()).unwrap_or(4);
    let parallelism = option("--parallelism").unwrap_or("8");
    let only = option("--only").unwrap_or("");
    let extent = if arguments.iter().any(|argument| argument == "--part") {
        Extent::Part
    } else {
        Extent::All
    };
    let scenarios = Scenario::all()
        .into_iter()
        .filter(|scenario| scenario.name.contains(only));
    let run: fn(&Scenario, Extent, &str, usize) -> Tally = match arguments.first().map(String::as_str) {
        Some("kill-matrix") => {
            |scenario, extent, parallelism, workers| matrix::kill::matrix(scenario, extent, parallelism, workers)
        }
        Some("fault-matrix") => |scenario, extent, _, workers| matrix::fault::matrix(scenario, extent, workers),
        _ => {
            eprintln!("usage: soak kill-matrix|fault-matrix [--parallelism N] [--workers N] [--only TEXT] [--part]");
            return ExitCode::FAILURE;
        }
    };
    let mut sum = Tally::default();
    for scenario in scenarios {
        let begun = Instant::now();
        let tally = run(&scenario, extent, parallelism, workers);
        report(scenario.name, &tally, begun);
        sum.add(tally);
    }
    report("in all", &sum, Instant::now());
    if sum.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn report(name: &str, tally: &Tally, begun: Instant) {
    println!(
        "{name}: {} struck, {} not reached; done after 0/1/2/3 more runs: {:?}; {} violations; {} s",
        tally.struck,
        tally.missed,
        tally.attempts,
        tally.violations.len(),
        begun.elapsed().as_secs()
    );
    for violation in &tally.violations {
        println!("  {violation}");
    }
}
