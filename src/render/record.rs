//! The state record, for people: what it remembers, a line to a resource.

use std::fmt::Write as _;

use super::style::{ATTENTION, BOLD, paint};
use super::text::sanitize;
use crate::model::{Address, Attestation, RecordedState};

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
    let mut lines = Vec::new();
    let mut line = |address: &Address, text: String, attested: Option<&Attestation>| {
        let by = attested.map_or_else(String::new, |a| {
            format!(", attested on {} by {}", a.at.strftime("%Y-%m-%d"), sanitize(&a.by))
        });
        lines.push(format!("{}: {}{by}", sanitize(&address.to_string()), sanitize(&text)));
    };
    if let Some(app) = &record.application {
        let text = format!("{:?}, id {}, application id {}", app.name, app.id, app.uid);
        line(&Address::Application, text, app.trusted_attested.as_ref());
    }
    if let Some(user) = &record.user {
        line(&Address::User, format!("{}, id {}", user.username, user.id), None);
    }
    for (path, membership) in &record.memberships {
        line(&Address::Membership(path.clone()), membership.role.to_string(), None);
    }
    if let Some(connection) = &record.connection {
        let text = format!("{}, application id {}", connection.domain, connection.application);
        line(&Address::Connection, text, connection.attested.as_ref());
    }
    if let Some(authorization) = &record.authorization {
        let text = format!("as {}", authorization.user.username);
        line(&Address::Authorization, text, authorization.attested.as_ref());
    }
    for (id, repository) in &record.repositories {
        let address = Address::Repository(repository.path.clone());
        line(&address, format!("id {id}"), repository.attested.as_ref());
    }
    for (id, uid) in &record.superseded {
        line(
            &Address::Application,
            format!("replaced, still to be deleted: id {id}, application id {uid}"),
            None,
        );
    }
    lines
}
