//! Plans and reports as text. Each renderer is a function of plain data: it decides nothing and knows no terminal.
//! Human forms are styled with terminal sequences, which whoever prints them strips where they are not wanted; text of
//! others has none, because [`text::sanitize`] has been over it.

mod attributes;
mod bulk;
mod checklist;
mod doctor;
mod environment;
mod graph;
mod headline;
#[cfg(test)]
mod hostile_tests;
mod human;
mod instructions;
mod json;
mod link;
mod losses;
mod markdown;
mod metrics;
mod notification;
mod progress;
mod prompt;
mod qr;
mod record;
mod report;
mod schema;
mod style;
pub mod text;
mod words;

pub use checklist::{Onward, checklist};
pub use doctor::doctor;
pub use environment::Environment;
pub use human::{drift, plan};
pub use instructions::{Patterns, Place, SecretPlace, StepFacts, corroboration};
pub use json::{FORMAT_VERSION, PlanDocument, apply_report, gitlab_report, to_json};
pub use link::without_links;
pub use markdown::{LEAST_CHARS, markdown};
pub use metrics::{DriftRun, Expiry, metrics};
pub use notification::{News, chat_message, notify_document};
pub use progress::{Tally, attested_progress};
pub use prompt::{after, approval, needs_file, prompt, prompts, repository_list};
pub use record::{forgotten, record, recorded};
pub use report::{Requests, SideRequests, report};
pub use schema::{apply_schema, drift_schema, notify_schema, plan_schema};
pub use words::{begun, participle, reason_in_words};
