//! The journal for people: a line to an event, runs apart.

use std::fmt::Write as _;

use anstyle::Style;

use crate::model::Outcome;
use crate::render::text::{sanitize, wrap};
use crate::render::{begun, participle};
use crate::state::{JournalEntry, JournalEvent};

/// Sets what begins apart from what was before.
fn title(out: &mut String, head: &str) {
    if !out.is_empty() {
        out.push('\n');
    }
    let bold = Style::new().bold();
    let _ = writeln!(out, "{bold}{head}{bold:#}");
}

/// The entries, oldest first, for so many columns.
pub(crate) fn journal(entries: &[JournalEntry], width: usize) -> String {
    if entries.is_empty() {
        return "The journal is empty: nothing was ever written.\n".to_owned();
    }
    let mut out = String::new();
    for entry in entries {
        let at = entry.at.strftime("%Y-%m-%d %H:%M:%SZ");
        match &entry.event {
            JournalEvent::Started {
                who,
                command,
                sandbox: _,
                plan_digest: _,
                window,
                reason,
            } => {
                title(&mut out, &format!("{at} {command} by {}", sanitize(&who.who())));
                let _ = writeln!(out, "  run {}", sanitize(&entry.run_id));
                if let Some(window) = window {
                    let _ = writeln!(out, "  window: {}", sanitize(window));
                }
                if let Some(reason) = reason {
                    let line = format!("outside of a window: {}", sanitize(reason));
                    let _ = writeln!(out, "{}", wrap(&line, width, "  ", "      "));
                }
            }
            JournalEvent::RecordReplaced { who, command } => {
                let head = format!("{at} {} by {}", sanitize(command), sanitize(&who.who()));
                title(&mut out, &head);
                let _ = writeln!(out, "  the state record is replaced as a whole");
            }
            JournalEvent::Outcome {
                address,
                actions,
                outcome,
                error,
                writes,
            } => {
                let what = match outcome {
                    Outcome::Done => participle(address, *actions),
                    Outcome::Failed => "failed",
                    Outcome::Skipped => "skipped",
                    Outcome::Operator => "left to an operator",
                    Outcome::Blocked => "blocked",
                };
                let begun = if *writes > 0 && *outcome != Outcome::Done {
                    format!("{}, and the rest ", begun(address, *actions))
                } else {
                    String::new()
                };
                let why = error
                    .as_ref()
                    .map_or_else(String::new, |why| format!(": {}", sanitize(why)));
                let line = format!("{}: {begun}{what}{why}", sanitize(&address.to_string()));
                let _ = writeln!(out, "{}", wrap(&line, width, "  ", "      "));
            }
            JournalEvent::Finished { summary, exit_code } => {
                let _ = writeln!(out, "  {at} ended with exit code {exit_code}: {} done", summary.done);
            }
        }
    }
    out
}
