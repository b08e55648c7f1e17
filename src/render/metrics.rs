//! The findings of `drift` in Prometheus's text format, for the textfile collector. Every series is there in every
//! run that succeeded, with 0 where there is nothing, so that an alert resolves. A run that failed does not know what
//! differs, and says nothing about it; `examples/prometheus` has rules that bridge such a gap.

use std::fmt::{Display, Write as _};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::report::{Requests, SideRequests};
use crate::model::{Kind, Origin, Plan};

/// When a token expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// From then on it is not accepted.
    At(Timestamp),
    Never,
    /// It could not be read, or was not asked.
    Unknown,
}

/// A run of `drift`.
#[derive(Debug, Clone, Copy)]
pub struct DriftRun<'a> {
    pub at: Timestamp,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What it found; none where it failed.
    pub found: Option<&'a Plan>,
    /// The requests it made.
    pub requests: Requests,
    /// When GitLab's administrator token expires.
    pub gitlab_token: Expiry,
    /// The day of the droid's last activity, as GitLab has it; none where it is not known, or where this very command makes
    /// it by signing in.
    pub droid_last_activity: Option<Date>,
    /// Whether all that is new was told; none without `--notify`.
    pub notified: Option<bool>,
}

/// The metrics of a run.
pub fn metrics(run: &DriftRun<'_>) -> String {
    let mut out = String::new();
    let looked = "Whether the last run could look at both sides.";
    gauge(
        &mut out,
        "setpoint_drift_success",
        looked,
        u8::from(run.found.is_some()),
    );
    let name = "setpoint_drift_last_run_timestamp_seconds";
    let ended = "When the last run ended, in seconds since 1970.";
    gauge(&mut out, name, ended, run.at.as_second());
    let seconds = format_args!("{:.3}", run.seconds);
    let name = "setpoint_drift_duration_seconds";
    gauge(&mut out, name, "How long the last run took.", seconds);
    requests(&mut out, run.requests);
    token(&mut out, run.gitlab_token);
    if let Some(seconds) = run.droid_last_activity.and_then(start_of) {
        let name = "setpoint_droid_last_activity_timestamp_seconds";
        let seen = "The day on which GitLab last saw the droid, as its start in UTC in seconds since 1970.";
        gauge(&mut out, name, seen, seconds);
    }
    if let Some(notified) = run.notified {
        let name = "setpoint_drift_notification_success";
        let told = "Whether everything new that the last run found was told to the webhook.";
        gauge(&mut out, name, told, u8::from(notified));
    }
    if let Some(plan) = run.found {
        changes(&mut out, plan);
    }
    out
}

fn start_of(day: Date) -> Option<i64> {
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

fn family(out: &mut String, name: &str, help: &str) {
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n");
}

/// A family of one series without labels.
fn gauge(out: &mut String, name: &str, help: &str, value: impl Display) {
    family(out, name, help);
    let _ = writeln!(out, "{name} {value}");
}

fn requests(out: &mut String, requests: Requests) {
    let Requests {
        gitlab,
        factory,
        other,
        sign_ins,
    } = requests;
    let name = "setpoint_drift_requests";
    family(out, name, "Requests that the last run made.");
    for (side, counts) in [("gitlab", gitlab), ("factory", factory), ("other", other)] {
        let SideRequests { reads, writes } = counts;
        for (kind, number) in [("read", reads), ("write", writes)] {
            let _ = writeln!(out, "{name}{{side=\"{side}\",kind=\"{kind}\"}} {number}");
        }
    }
    let made = "Sign-ins to GitLab by password that the last run made.";
    gauge(out, "setpoint_drift_sign_ins", made, sign_ins);
}

/// The time is a series of its own name only where it is known: a number in its place would be taken for a time. That it
/// is not known is said by the other, in every run.
fn token(out: &mut String, expiry: Expiry) {
    let time = match expiry {
        Expiry::At(time) => Some(time.as_second().to_string()),
        Expiry::Never => Some("+Inf".to_owned()),
        Expiry::Unknown => None,
    };
    let name = "setpoint_token_expiry_known";
    family(out, name, "Whether the last run could read when the token expires.");
    let _ = writeln!(out, "{name}{{token=\"gitlab\"}} {}", u8::from(time.is_some()));
    if let Some(time) = time {
        let name = "setpoint_token_expiry_timestamp_seconds";
        let help = "When the token expires, in seconds since 1970, +Inf if never; days left: (this - time()) / 86400.";
        family(out, name, help);
        let _ = writeln!(out, "{name}{{token=\"gitlab\"}} {time}");
    }
}

fn changes(out: &mut String, plan: &Plan) {
    let name = "setpoint_drift_changes";
    family(
        out,
        name,
        "What differs, by the side that moved and the kind of address.",
    );
    for (origin, word) in [
        (Origin::Drift, "drift"),
        (Origin::Pending, "pending"),
        (Origin::Both, "both"),
        (Origin::Unrecorded, "unrecorded"),
    ] {
        for kind in Kind::ALL {
            let number = plan
                .changes
                .iter()
                .filter(|change| change.origin == origin && change.address.kind() == kind)
                .count();
            let _ = writeln!(out, "{name}{{origin=\"{word}\",kind=\"{kind}\"}} {number}");
        }
    }
    let help = "Resources without a difference.";
    gauge(out, "setpoint_drift_unchanged", help, plan.summary.unchanged);
}
