//! What was told already: the file `notified.json`. It is no record of truth but a memory, so where it cannot be
//! trusted nothing counts as told.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Finding;
use crate::secrets::to_json;

/// The version of the file. A file whose number before the dot is another is not read.
const VERSION: &str = "1.0";

/// Of what the memory is: findings about another GitLab say nothing about this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    pub gitlab_url: String,
    /// Whether the sandbox stands in.
    pub sandbox: bool,
}

/// The findings that were told and still held at the last run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    format_version: String,
    subject: Subject,
    told: Vec<Told>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    /// For whoever reads the file; the id says it all.
    address: String,
    id: String,
    at: Timestamp,
}

/// Why a memory cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// It is none, or no whole one.
    Damaged,
    /// A newer version wrote it.
    Newer(String),
    /// It is about another GitLab.
    Elsewhere(Subject),
}

impl Memory {
    pub fn new(subject: Subject) -> Self {
        Self {
            format_version: VERSION.to_owned(),
            subject,
            told: Vec::new(),
        }
    }

    /// Reads a file's content.
    pub fn parse(bytes: &[u8], subject: &Subject) -> Result<Self, Doubt> {
        let value: Value = serde_json::from_slice(bytes).map_err(|_| Doubt::Damaged)?;
        let version = value.get("format_version").and_then(Value::as_str);
        let version = version.ok_or(Doubt::Damaged)?;
        match version.split('.').next().and_then(|major| major.parse::<u32>().ok()) {
            Some(1) => {}
            Some(2..) => return Err(Doubt::Newer(version.chars().take(20).collect())),
            _ => return Err(Doubt::Damaged),
        }
        let memory: Self = serde_json::from_value(value).map_err(|_| Doubt::Damaged)?;
        if memory.subject == *subject {
            Ok(memory)
        } else {
            Err(Doubt::Elsewhere(memory.subject))
        }
    }

    pub fn to_text(&self) -> String {
        // Texts, numbers and times: none of it can fail to be JSON, and an empty file would only mean that all is told.
        let mut text = to_json(self, true).unwrap_or_default();
        text.push(b'\n');
        String::from_utf8(text).unwrap_or_default()
    }

    /// Whether a finding was told.
    pub fn knows(&self, finding: &Finding<'_>) -> bool {
        self.told.iter().any(|told| told.id == finding.id)
    }

    /// The memory after a run: of what was found, that which had been told, and what is told now. What is gone is
    /// forgotten, so that it is told again when it comes back.
    #[must_use]
    pub fn after(&self, found: &[Finding<'_>], told_now: bool, now: Timestamp) -> Self {
        let told = found.iter().filter_map(|finding| {
            let before = self.told.iter().find(|told| told.id == finding.id);
            before.cloned().or_else(|| {
                told_now.then(|| Told {
                    address: finding.change.address.to_string(),
                    id: finding.id.clone(),
                    at: now,
                })
            })
        });
        Self {
            told: told.collect(),
            ..Self::new(self.subject.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Doubt, Memory, Subject};
    use crate::notify::Finding;
    use crate::planner::fixture::untouched;
    use jiff::Timestamp;

    fn subject() -> Subject {
        Subject {
            gitlab_url: "https://gitlab.example.com".to_owned(),
            sandbox: false,
        }
    }

    #[test]
    fn what_was_told_is_known_until_it_is_gone() {
        let plan = untouched().plan();
        let found: Vec<Finding<'_>> = plan.changes.iter().map(Finding::of).collect();
        let nothing = Memory::new(subject());
        assert!(!nothing.after(&found, false, Timestamp::UNIX_EPOCH).knows(&found[0]));
        let told = nothing.after(&found, true, Timestamp::UNIX_EPOCH);
        assert!(found.iter().all(|finding| told.knows(finding)));
        assert_eq!(Memory::parse(told.to_text().as_bytes(), &subject()), Ok(told.clone()));
        let fewer = told.after(&found[1..], false, Timestamp::UNIX_EPOCH);
        assert!(!fewer.knows(&found[0]) && fewer.knows(&found[1]));
    }

    #[test]
    fn what_cannot_be_trusted_is_told_apart() {
        let text = Memory::new(subject()).to_text();
        let parse = |text: &str| Memory::parse(text.as_bytes(), &subject()).unwrap_err();
        for damaged in ["", "{}", "[1]", &text[..text.len() / 2], "{\"format_version\":\"1.0\"}"] {
            assert_eq!(parse(damaged), Doubt::Damaged, "{damaged}");
        }
        assert_eq!(parse(&text.replace("1.0", "2.1")), Doubt::Newer("2.1".to_owned()));
        let other = parse(&text.replace("gitlab.example.com", "other.example.com"));
        assert!(matches!(other, Doubt::Elsewhere(_)), "{other:?}");
    }
}
