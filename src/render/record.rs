//! The state record, for people: what it remembers, a line to a resource.

use std::fmt::Write as _;

use super::style::{ATTENTION, BOLD, paint};
use super::text::{sanitize, wrap};
use crate::kinds;
use crate::model::{Address, RecordedState};

/// The record at a place, and a line on who holds its lock, for so many columns.
pub fn record(place: &str, record: Option<&RecordedState>, lock: &str, width: usize) -> String {
    let mut out = String::new();
    match record {
        None => {
            let _ = writeln!(out, "There is no state record yet at {}.", sanitize(place));
        }
        Some(record) => {
            let _ = writeln!(
                out,
                "{} (serial {}, lineage {}{})",
                paint(BOLD, &sanitize(place)),
                record.serial,
                sanitize(&record.lineage),
                if record.sandbox { ", of the sandbox" } else { "" },
            );
            for line in recorded(record) {
                let _ = writeln!(out, "{}", wrap(&line, width, "  ", "      "));
            }
            for intent in &record.intents {
                let line = format!(
                    "{} {}: begun on {}, its end was not recorded",
                    paint(ATTENTION, "unfinished"),
                    sanitize(&intent.address.to_string()),
                    intent.at
                );
                let _ = writeln!(out, "{}", wrap(&line, width, "  ", "      "));
            }
        }
    }
    let _ = writeln!(out, "{}", sanitize(lock));
    out
}

/// What is about to be taken out of the record at a place, and what follows from it, for so many columns.
pub fn forgotten(place: &str, remembered: &[(Address, String)], width: usize) -> String {
    let mut out = format!("{} would no longer remember:\n", sanitize(place));
    for (address, text) in remembered {
        let line = format!("{}: {}", sanitize(&address.to_string()), sanitize(text));
        let _ = writeln!(out, "{}", wrap(&line, width, "  ", "      "));
    }
    out.push_str("\nGitLab and Factory stay as they are. What follows from it:\n");
    let mut said = Vec::new();
    for (address, _) in remembered {
        for consequence in consequences(address) {
            if !said.contains(consequence) {
                said.push(*consequence);
                let _ = writeln!(out, "{}", wrap(consequence, width, "- ", "  "));
            }
        }
    }
    out
}

/// What a record that has forgotten a resource can no longer do.
fn consequences(address: &Address) -> &'static [&'static str] {
    const UNRECORDED: &str =
        "What differs there shows as `unrecorded`, which counts as drift, until an apply records it.";
    const ATTESTED: &str = "What people attested of it is due again.";
    match address {
        Address::Application => &[
            "The next run finds the application by what Factory uses, or by its name.",
            "What GitLab does not show of it is unknown: whether it is trusted, where there is no administrator's \
             session, and its secret, where there is no `application.secret.load`.",
            UNRECORDED,
            ATTESTED,
        ],
        Address::User => &["The next run finds the user by the username.", UNRECORDED],
        Address::Membership(_) => &[
            "A membership that the configuration no longer has is not ended any more: it is nobody's.",
            UNRECORDED,
        ],
        Address::Connection | Address::Authorization => &[UNRECORDED, ATTESTED],
        Address::Repository(_) => &[
            "The next run looks the repository up by its path, so it does not notice a move in between.",
            UNRECORDED,
            ATTESTED,
        ],
    }
}

/// What a record remembers, a line to a resource.
pub fn recorded(record: &RecordedState) -> Vec<String> {
    let remembered = kinds::remembered(record).into_iter();
    remembered
        .map(|(address, text, attested)| {
            let by = attested.map_or_else(String::new, |a| {
                format!(", attested on {} by {}", a.at.strftime("%Y-%m-%d"), sanitize(&a.by))
            });
            format!("{}: {}{by}", sanitize(&address.to_string()), sanitize(&text))
        })
        .collect()
}
