//! The checks of `doctor` for people: one line each under its side's heading, the fix on the next.

use std::fmt::Write as _;

use anstyle::Style;

use super::style::{ATTENTION, BOLD, CREATE, DELETE, DIM, paint};
use super::text::{count, sanitize_lines, wrap};
use crate::doctor::{Check, Diagnosis, Status};

/// Where messages begin: after two spaces and the longest word of a status.
const INDENT: &str = "           ";

/// All checks and a line that sums up, for so many columns.
pub fn doctor(diagnosis: &Diagnosis, width: usize) -> String {
    let mut out = String::new();
    let mut heading = "";
    for check in &diagnosis.checks {
        let next = title(check);
        if next != heading {
            let gap = if heading.is_empty() { "" } else { "\n" };
            let _ = writeln!(out, "{gap}{}", paint(BOLD, next));
            heading = next;
        }
        line(&mut out, check, width);
    }
    let _ = writeln!(out, "\n{}", summary(diagnosis));
    out
}

fn title(check: &Check) -> &'static str {
    match check.id.split('.').next() {
        Some("gitlab") => "GitLab",
        Some("factory") => "Factory",
        Some("state") => "State",
        Some("notify") => "Webhook",
        Some("plan") => "Plan",
        _ => "Secrets",
    }
}

fn line(out: &mut String, check: &Check, width: usize) {
    let (word, style) = word(check.status);
    // The styled word takes the place of as many spaces, which the wrapping has counted.
    let text = wrap(&sanitize_lines(&check.message), width, INDENT, INDENT);
    let rest = text.get(2 + word.len()..).unwrap_or_default();
    let _ = writeln!(out, "  {}{rest}", paint(style, word));
    if let Some(fix) = &check.fix {
        let fix = format!("Fix: {fix}");
        let _ = writeln!(out, "{}", wrap(&sanitize_lines(&fix), width, INDENT, INDENT));
    }
}

fn word(status: Status) -> (&'static str, Style) {
    match status {
        Status::Ok => ("ok", CREATE),
        Status::Warning => ("warning", ATTENTION),
        Status::Failure => ("failure", DELETE.bold()),
        Status::Skipped => ("skipped", DIM),
    }
}

fn summary(diagnosis: &Diagnosis) -> String {
    let sum = diagnosis.summary;
    let total = sum.ok + sum.warning + sum.failure + sum.skipped;
    let mut parts = vec![format!("{} ok", sum.ok)];
    if sum.warning > 0 {
        parts.push(count(sum.warning, "warning", "warnings"));
    }
    if sum.failure > 0 {
        parts.push(count(sum.failure, "failure", "failures"));
    }
    if sum.skipped > 0 {
        parts.push(format!("{} skipped", sum.skipped));
    }
    format!(
        "{}: {}. Nothing was changed.",
        count(total, "check", "checks"),
        parts.join(", ")
    )
}
