//! What became of an apply, for people: what is left and why, and a sum at the end.

use std::fmt::Write as _;
use std::time::Duration;

use super::Environment;
use super::bulk;
use super::style::{ATTENTION, CREATE, DELETE, DIM, paint};
use super::text::{count, counts, sanitize, wrap};
use super::words;
use crate::model::{Address, ApplyReport, ChangeOutcome, Command, Outcome, Plan};

/// How many requests a run took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    pub gitlab: SideRequests,
    pub factory: SideRequests,
    /// To anything else, such as a state backend.
    pub other: SideRequests,
    /// Sign-ins by password among those to GitLab.
    pub sign_ins: u64,
}

/// Requests to one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SideRequests {
    /// Those that change nothing.
    pub reads: u64,
    pub writes: u64,
}

/// The report at the end of an apply, for so many columns. What is left to people is named, unless it stands on prompts
/// already.
pub fn report(
    plan: &Plan,
    environment: &Environment,
    report: &ApplyReport,
    requests: Requests,
    elapsed: Duration,
    on_prompts: bool,
    width: usize,
) -> String {
    let mut out = String::new();
    let left: Vec<&ChangeOutcome> = report
        .outcomes
        .iter()
        .filter(|outcome| outcome.outcome != Outcome::Done && !(on_prompts && has_prompt(plan, outcome)))
        .collect();
    for (kind, title) in [
        (Outcome::Failed, "Failed:"),
        (Outcome::Skipped, "Skipped:"),
        (Outcome::Operator, "Left to an operator:"),
        (Outcome::Blocked, "Blocked:"),
    ] {
        let of_kind: Vec<_> = left.iter().filter(|outcome| outcome.outcome == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        let style = if kind == Outcome::Failed {
            DELETE.bold()
        } else {
            ATTENTION
        };
        let _ = writeln!(out, "\n{}", paint(style, title));
        let alike = |one: &&&ChangeOutcome, next: &&&ChangeOutcome| {
            is_repository(one) && is_repository(next) && why(plan, one) == why(plan, next)
        };
        for run in of_kind.chunk_by(alike) {
            let _ = writeln!(out, "  {}", bulk::subject(run.iter().map(|outcome| &outcome.address)));
            if let Some(error) = why(plan, run[0]) {
                let _ = writeln!(out, "{}", wrap(&sanitize(&error), width, "      ", "      "));
            }
        }
    }
    let begun: Vec<&ChangeOutcome> = report.outcomes.iter().filter(|one| one.is_begun()).collect();
    if !begun.is_empty() {
        let _ = writeln!(out, "\n{}", paint(ATTENTION, "Begun, and not ended:"));
        for outcome in begun {
            let done = words::begun(&outcome.address, outcome.actions);
            let writes = count(outcome.writes, "write", "writes");
            let _ = writeln!(out, "  {}: {done} ({writes})", sanitize(&outcome.address.to_string()));
        }
    }
    if !report.outcomes.is_empty() {
        let _ = write!(out, "\n{}", sum(plan.command, report));
    }
    let line = environment.lines(width);
    let _ = write!(
        out,
        "\n{}\n{}\n",
        paint(DIM, line.trim_end()),
        paint(DIM, &requests_line(requests, elapsed, width))
    );
    out
}

fn is_repository(outcome: &ChangeOutcome) -> bool {
    matches!(outcome.address, Address::Repository(_))
}

/// Whether a prompt says all of what is left. That of an approval does not say what Setpoint itself could not do.
fn has_prompt(plan: &Plan, outcome: &ChangeOutcome) -> bool {
    outcome.outcome == Outcome::Operator
        && !outcome.fallback
        && outcome.approve_at.is_none()
        && (plan.change(&outcome.address)).is_some_and(|change| !change.steps.is_empty())
}

/// What went wrong, or what a change waits for, with the notes of the plan where the outcome says nothing itself.
fn why(plan: &Plan, outcome: &ChangeOutcome) -> Option<String> {
    outcome.error.clone().or_else(|| {
        let change = plan.change(&outcome.address)?;
        Some(super::reason_in_words(change.reason).to_owned())
    })
}

fn sum(command: Command, report: &ApplyReport) -> String {
    let s = report.summary;
    let what = match command {
        Command::Rotate => "Rotation",
        Command::Destroy => "Destroy",
        Command::Plan | Command::Drift | Command::Apply => "Apply",
    };
    if s.is_complete() {
        return format!(
            "{} {} done.",
            paint(CREATE.bold(), &format!("{what} complete:")),
            count(s.done, "change", "changes")
        );
    }
    let mut parts = vec![format!("{} done", s.done)];
    parts.extend(counts([
        (s.failed, "failed"),
        (s.skipped, "skipped"),
        (s.operator, "left to an operator"),
        (s.blocked, "blocked"),
    ]));
    let begun = report.outcomes.iter().filter(|outcome| outcome.is_begun()).count();
    let begun = if begun > 0 {
        format!("; {begun} of these begun")
    } else {
        String::new()
    };
    format!(
        "{} {}{begun}.",
        paint(ATTENTION, &format!("{what} incomplete:")),
        parts.join(", ")
    )
}

fn requests_line(requests: Requests, elapsed: Duration, width: usize) -> String {
    let Requests {
        gitlab,
        factory,
        other,
        sign_ins,
    } = requests;
    let total = [gitlab, factory, other]
        .iter()
        .map(|side| side.reads + side.writes)
        .sum();
    let mut sides = Vec::new();
    for (name, side) in [("GitLab", gitlab), ("Factory", factory), ("elsewhere", other)] {
        if side.reads + side.writes > 0 {
            sides.push(format!(
                "{name} {}, {}",
                count(side.reads, "read", "reads"),
                count(side.writes, "write", "writes")
            ));
        }
    }
    let sides = if sides.is_empty() {
        String::new()
    } else {
        format!(": {}", sides.join("; "))
    };
    let sign_ins = if sign_ins == 0 {
        String::new()
    } else {
        format!("; {}", count(sign_ins, "sign-in", "sign-ins"))
    };
    let seconds = elapsed.as_secs_f64();
    let total = count(total, "request", "requests");
    wrap(&format!("{total} in {seconds:.1} s{sides}{sign_ins}."), width, "", "  ")
}
