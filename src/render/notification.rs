//! What `drift --notify` posts: a JSON document for programs, or a message for Slack and Mattermost.
//!
//! Text of others stands in code spans that it cannot end, so that in neither of the two it mentions anybody, formats
//! or links. `&`, `<` and `>` are escaped as Slack asks for.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::Environment;
use super::json::FORMAT_VERSION;
use super::text::{chars, count, escape, quote, sanitize};
use super::words;
use crate::model::{Actions, Address, AttributeChange, Change, Origin, Reason, Status};
use crate::notify::Finding;
use crate::secrets::redact;

/// How large all findings of a JSON document may be, in bytes: receivers commonly take a megabyte.
const FINDINGS_BYTES: usize = 256 * 1024;
/// How long a message for a chat may be, in characters: what Slack asks senders to keep to, and the least that a
/// Mattermost takes as one post.
const CHAT_CHARS: usize = 4000;
/// Room for the words that say what was left out.
const CHAT_NOTE: usize = 200;
const CHAT_ATTRIBUTES: usize = 3;
const CHAT_VALUE: usize = 80;
const CHAT_ADDRESS: usize = 200;

/// The news of a run.
#[derive(Debug, Clone, Copy)]
pub struct News<'a> {
    /// What was found and not told before; at least one.
    pub new: &'a [Finding<'a>],
    /// How many findings were told before and still hold.
    pub known: usize,
    /// What the findings were made with.
    pub environment: &'a Environment,
}

/// The JSON document that `--notify` posts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NotifyDocument<'a> {
    /// `1.0`.
    format_version: &'static str,
    /// The version of the program.
    setpoint_version: &'static str,
    /// When the run began, RFC 3339.
    #[schemars(with = "String")]
    created_at: jiff::Timestamp,
    /// Where GitLab was asked.
    gitlab_url: &'a str,
    /// Where Factory was asked.
    factory_url: &'a str,
    /// The news in one line, for people.
    message: String,
    /// What was found and not told before, sorted by address.
    findings: Vec<FindingDocument<'a>>,
    /// How many further findings are new and left out here, because there are too many for one message.
    omitted: u64,
    /// How many findings were told before and still hold.
    known: u64,
}

/// One finding.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Finding")]
struct FindingDocument<'a> {
    /// Its identity: the same as long as the same differs in the same way.
    id: &'a str,
    /// The resource.
    address: &'a Address,
    /// What `setpoint apply` would do about it.
    actions: Actions,
    /// Who would do it, or that nobody can.
    status: Status,
    /// Which side moved.
    origin: Origin,
    /// Why it is needed, or why it cannot be done.
    reason: Reason,
    /// In words, for people.
    message: String,
    /// What differs, by attribute.
    attributes: &'a [AttributeChange],
}

/// The news as a document.
pub fn notify_document<'a>(news: &News<'a>) -> NotifyDocument<'a> {
    let mut room = FINDINGS_BYTES;
    let mut findings = Vec::new();
    for finding in news.new {
        let document = FindingDocument::of(finding);
        let bytes = serde_json::to_string(&document).map_or(usize::MAX, |text| text.len());
        let Some(rest) = room.checked_sub(bytes) else {
            break;
        };
        room = rest;
        findings.push(document);
    }
    NotifyDocument {
        format_version: FORMAT_VERSION,
        setpoint_version: env!("CARGO_PKG_VERSION"),
        created_at: news.environment.created_at,
        gitlab_url: &news.environment.gitlab_url,
        factory_url: &news.environment.factory_url,
        message: message(news),
        omitted: (news.new.len() - findings.len()) as u64,
        findings,
        known: news.known as u64,
    }
}

impl<'a> FindingDocument<'a> {
    fn of(finding: &'a Finding<'a>) -> Self {
        let change = finding.change;
        Self {
            id: &finding.id,
            address: &change.address,
            actions: change.actions,
            status: change.status,
            origin: change.origin,
            reason: change.reason,
            message: format!("{} {}", sanitize(&change.address.to_string()), summary_line(change)),
            attributes: &change.attributes,
        }
    }
}

/// The news in the form that the incoming webhooks of Slack and Mattermost take.
pub fn chat_message(news: &News<'_>) -> Value {
    let mut text = escape(&message(news));
    let mut length = chars(&text);
    let mut shown = 0;
    for finding in news.new {
        let line = chat_line(finding.change);
        let chars = chars(&line);
        if length + chars > CHAT_CHARS - CHAT_NOTE {
            break;
        }
        length += chars;
        shown += 1;
        text.push_str(&line);
    }
    let left = news.new.len() - shown;
    if left > 0 {
        let _ = write!(text, "\n… and {left} more. `setpoint drift` shows all of it.");
    }
    json!({ "text": text })
}

fn message(news: &News<'_>) -> String {
    let found = count(news.new.len() as u64, "new finding", "new findings");
    let known = match news.known {
        0 => String::new(),
        known => format!(", {known} known already"),
    };
    format!("Setpoint: {found} at {}{known}", sanitize(&news.environment.gitlab_url))
}

fn summary_line(change: &Change) -> String {
    let waits = if change.origin == Origin::Pending {
        ", waiting to be applied"
    } else {
        ""
    };
    format!("{}{waits}", words::summary_line(words::Mode::Drift, change))
}

fn chat_line(change: &Change) -> String {
    let mut line = format!(
        "\n• {} {}",
        code(&change.address.to_string(), CHAT_ADDRESS),
        escape(&summary_line(change))
    );
    for (index, attribute) in change.attributes.iter().take(CHAT_ATTRIBUTES).enumerate() {
        line.push_str(if index == 0 { ": " } else { ", " });
        line.push_str(&chat_attribute(attribute));
    }
    let left = change.attributes.len().saturating_sub(CHAT_ATTRIBUTES);
    if left > 0 {
        let _ = write!(line, " and {left} more");
    }
    line
}

fn chat_attribute(attribute: &AttributeChange) -> String {
    let AttributeChange {
        path,
        before,
        after,
        sensitive,
    } = attribute;
    let name = escape(&sanitize(path));
    if *sensitive {
        return format!("{name} (sensitive)");
    }
    match (before, after) {
        (Value::Null, Value::Null) => name,
        (before, after) => format!("{name} is {}, not {}", value(before), value(after)),
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::Null => "unset".to_owned(),
        Value::String(text) => code(&quote(text), CHAT_VALUE),
        other => code(&other.to_string(), CHAT_VALUE),
    }
}

/// A code span. What it holds cannot end it, and is one line.
fn code(text: &str, limit: usize) -> String {
    // Before it is cut.
    let safe = sanitize(&redact(text)).replace('`', "'");
    let mut cut: String = safe.chars().take(limit).collect();
    if chars(&safe) > limit {
        cut.push('…');
    }
    format!("`{}`", escape(&cut))
}

#[cfg(test)]
mod tests {
    use super::{CHAT_CHARS, FINDINGS_BYTES, News, chat_message, notify_document};
    use crate::model::{Change, Plan};
    use crate::notify::Finding;
    use crate::planner::fixture::{converged, untouched};
    use crate::render::Environment;

    fn chat(plan: &Plan, known: usize) -> String {
        let new: Vec<Finding<'_>> = plan.changes.iter().map(Finding::of).collect();
        let message = chat_message(&News {
            new: &new,
            known,
            environment: &Environment::example(),
        });
        message["text"].as_str().unwrap().to_owned()
    }

    fn many(number: usize) -> Plan {
        let mut plan = untouched().plan();
        let first = plan.changes.last().unwrap().clone();
        plan.changes = (0..number)
            .map(|number| Change {
                address: format!("factory.repository[\"platform/service-{number:05}\"]")
                    .parse()
                    .unwrap(),
                ..first.clone()
            })
            .collect();
        plan
    }

    #[test]
    fn a_finding_is_one_line_of_a_chat() {
        let mut case = converged();
        "Mallory".clone_into(&mut case.user().fields.name);
        assert_eq!(
            chat(&case.plan(), 2),
            "Setpoint: 1 new finding at https://gitlab.example.com, 2 known already\n\
             • `gitlab.user` differs from the configuration: name is `\"Mallory\"`, not `\"Factory Droid\"`"
        );
    }

    #[test]
    fn what_others_wrote_stays_inside_of_its_code_span() {
        let mut case = converged();
        "`@all` <!channel> <https://evil.example.com|x> & *b*\n> \u{202e}".clone_into(&mut case.user().fields.name);
        let text = chat(&case.plan(), 0);
        let outside: String = text.split('`').step_by(2).collect();
        assert!(!text.contains(['<', '>', '\u{202e}']), "{text}");
        assert_eq!(text.matches('`').count(), 6, "{text}");
        for hostile in ["@all", "channel", "evil", "*b*"] {
            assert!(text.contains(hostile) && !outside.contains(hostile), "{text}");
        }
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("&lt;!channel&gt;") && text.contains("&amp;"), "{text}");
    }

    #[test]
    fn no_message_is_too_long_and_what_is_left_out_is_counted() {
        let text = chat(&many(3000), 0);
        assert!(text.chars().count() <= CHAT_CHARS, "{}", text.chars().count());
        let shown = text.lines().filter(|line| line.starts_with('•')).count();
        assert!(shown > 10);
        assert!(
            text.ends_with(&format!(
                "… and {} more. `setpoint drift` shows all of it.",
                3000 - shown
            )),
            "{text}"
        );

        let plan = many(3000);
        let new: Vec<Finding<'_>> = plan.changes.iter().map(Finding::of).collect();
        let environment = Environment::example();
        let document = notify_document(&News {
            new: &new,
            known: 0,
            environment: &environment,
        });
        let listed = document.findings.len() as u64;
        assert!(document.omitted > 0 && document.omitted + listed == 3000);
        let bytes = serde_json::to_string(&document).unwrap().len();
        assert!(bytes < FINDINGS_BYTES + 4096, "{bytes}");
    }
}
