//! The state record, for people: what it remembers, a line to a resource.

use std::fmt::Write as _;

use super::style::{ATTENTION, BOLD, paint};
use super::text::sanitize;
use crate::kinds;
use crate::model::RecordedState;

/// The record at a place, and a line on who holds its lock.
pub fn record(place: &str, record: Option<&RecordedState>, lock: &str) -> String {
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
            for line in lines(record) {
                let _ = writeln!(out, "  {line}");
            }
            for intent in &record.intents {
                let _ = writeln!(
                    out,
                    "  {} {}: begun on {}, its end was not recorded",
                    paint(ATTENTION, "unfinished"),
                    sanitize(&intent.address.to_string()),
                    intent.at
                );
            }
        }
    }
    let _ = writeln!(out, "{}", sanitize(lock));
    out
}

/// What a record remembers, a line to a resource.
pub fn recorded(record: &RecordedState) -> Vec<String> {
    lines(record)
}

fn lines(record: &RecordedState) -> Vec<String> {
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
