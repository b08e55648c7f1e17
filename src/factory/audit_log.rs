//! An export of Factory's audit log, and what it says of the integration: the only evidence of Factory's half that there
//! is without its API.
//!
//! The form of an event is published (Factory: "Audit Log"): `eventType`, `actor`, `source`, `target`, `payload`,
//! `createdAt`. How a file is exported, and under which keys `integration_change` names the integration and the intent, is
//! not; so a file may be JSON (an array, an object that holds one, or a line for each event) or CSV, and both are looked
//! for by their values, which are.

mod table;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::secrets::RemoteText;

/// The largest export that is read, in bytes: some hundred thousand events.
pub const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// Clocks differ: an event this much before what it follows counts as after it.
const GRACE: SignedDuration = SignedDuration::from_mins(1);

/// What became of the integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Its settings were saved.
    Configured,
    Connected,
    /// It was taken down.
    Disconnected,
    /// Who may use it was changed.
    AvailabilityChanged,
}

impl Intent {
    const ALL: [Self; 4] = [
        Self::Configured,
        Self::Connected,
        Self::Disconnected,
        Self::AvailabilityChanged,
    ];

    /// Factory's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::AvailabilityChanged => "availability_changed",
        }
    }
}

/// A change of the self-hosted GitLab integration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    pub at: Timestamp,
    pub intent: Intent,
    /// Who, as Factory names them.
    pub by: Option<RemoteText>,
}

/// `connected on 2026-11-30 at 10:00 UTC by ada@example.com`
impl std::fmt::Display for AuditEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = self.at.strftime("%Y-%m-%d at %H:%M UTC");
        write!(f, "{} on {at}", self.intent.as_str())?;
        match &self.by {
            Some(by) => write!(f, " by {by}"),
            None => Ok(()),
        }
    }
}

/// What an export holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLog {
    /// Of the self-hosted GitLab integration, from the oldest to the newest.
    events: Vec<AuditEvent>,
    /// Times of the oldest and the newest event of any kind.
    span: Option<(Timestamp, Timestamp)>,
}

/// What an export says of something attested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry<'a> {
    /// This event bears it out.
    BorneOut(&'a AuditEvent),
    /// This event came later, and undid it.
    Contradicted(&'a AuditEvent),
    Silent,
}

impl AuditLog {
    /// Reads an export.
    ///
    /// # Errors
    /// Why it is none, as the end of a sentence about the file. Nothing of its text is repeated but where it is wrong.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|_| "is not UTF-8 text".to_owned())?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
        let found = if text.starts_with(['{', '[']) {
            json(text)?
        } else {
            table::rows(text)?
        };
        if found.is_empty() {
            return Err("holds no events".to_owned());
        }
        let mut events = Vec::new();
        let mut times = Vec::new();
        for (number, found) in (1_usize..).zip(&found) {
            let at = of(found, &["createdAt", "created_at", "timestamp"]).and_then(time);
            times.extend(at);
            let is_change = of(found, &["eventType", "event_type", "event", "type"])
                .and_then(Value::as_str)
                .is_some_and(|kind| kind == "integration_change");
            if !is_change || !names_gitlab(found) {
                continue;
            }
            let Some(intent) = intent(found) else { continue };
            let at = at.ok_or_else(|| format!("has no time that can be read in its event {number}"))?;
            events.push(AuditEvent {
                at,
                intent,
                by: actor(found),
            });
        }
        if times.is_empty() {
            return Err("has no event with a time (`createdAt`), so it is no audit log of Factory's".to_owned());
        }
        events.sort_by_key(|event| event.at);
        Ok(Self {
            events,
            span: times.iter().min().copied().zip(times.iter().max().copied()),
        })
    }

    /// What it says of settings that were saved since a time.
    pub fn configured(&self, since: Option<Timestamp>) -> Entry<'_> {
        self.entry(Intent::Configured, &[Intent::Disconnected], since)
    }

    /// What it says of an authorization since a time.
    pub fn connected(&self, since: Option<Timestamp>) -> Entry<'_> {
        self.entry(Intent::Connected, &[Intent::Disconnected], since)
    }

    /// What it says of a connection that was taken down since a time.
    pub fn disconnected(&self, since: Option<Timestamp>) -> Entry<'_> {
        self.entry(Intent::Disconnected, &[Intent::Configured, Intent::Connected], since)
    }

    /// The last event of the one kind since then, unless one of the others came after it.
    fn entry(&self, wanted: Intent, undoing: &[Intent], since: Option<Timestamp>) -> Entry<'_> {
        let counts = |event: &&AuditEvent| {
            since.is_none_or(|since| event.at.saturating_add(GRACE).is_ok_and(|at| at >= since))
                && (event.intent == wanted || undoing.contains(&event.intent))
        };
        match self.events.iter().rfind(counts) {
            Some(last) if last.intent == wanted => Entry::BorneOut(last),
            Some(last) => Entry::Contradicted(last),
            None => Entry::Silent,
        }
    }

    /// From when to when its events are, as part of a sentence.
    pub fn span(&self) -> String {
        let day = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
        match self.span {
            Some((oldest, newest)) => format!("from {} to {}", day(oldest), day(newest)),
            None => "of no time".to_owned(),
        }
    }
}

/// Events of a JSON document, or of one document a line.
fn json(text: &str) -> Result<Vec<Map<String, Value>>, String> {
    let whole = match serde_json::from_str::<Value>(text) {
        Ok(whole) => whole,
        Err(error) => {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            let events: Option<Vec<Value>> = lines.map(|line| serde_json::from_str(line).ok()).collect();
            match events {
                Some(events) if events.len() > 1 => Value::Array(events),
                _ => return Err(format!("is no JSON (line {}, column {})", error.line(), error.column())),
            }
        }
    };
    let list = match whole {
        Value::Array(list) => list,
        // A page of the API: `data` or another key with the events in it. A single event has no list in it.
        Value::Object(page) => {
            let is_list = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_object));
            match page.values().find(|value| is_list(value)) {
                Some(Value::Array(list)) => list.clone(),
                _ => vec![Value::Object(page)],
            }
        }
        _ => Vec::new(),
    };
    Ok(list
        .into_iter()
        .filter_map(|event| match event {
            Value::Object(event) => Some(event),
            _ => None,
        })
        .collect())
}

/// The first of these keys that is there.
fn of<'a>(event: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().find_map(|key| event.get(*key))
}

/// RFC 3339, or seconds or milliseconds since 1970.
fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => {
            let number = number.as_i64()?;
            if number > 100_000_000_000 {
                Timestamp::from_millisecond(number).ok()
            } else {
                Timestamp::from_second(number).ok()
            }
        }
        _ => None,
    }
}

/// Words that stand in `target` or `payload`, in small letters and with underscores: Factory's integration id has a hyphen
/// in some places and an underscore in others.
fn words(event: &Map<String, Value>) -> Vec<String> {
    fn collect(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::String(text) => into.push(text.to_ascii_lowercase().replace('-', "_")),
            Value::Array(list) => list.iter().for_each(|value| collect(value, into)),
            Value::Object(map) => map.values().for_each(|value| collect(value, into)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut words = Vec::new();
    for (key, value) in event {
        if !matches!(
            key.as_str(),
            "eventType" | "event_type" | "source" | "actor" | "createdAt" | "created_at"
        ) {
            collect(value, &mut words);
        }
    }
    words
}

fn names_gitlab(event: &Map<String, Value>) -> bool {
    words(event)
        .iter()
        .any(|word| matches!(word.as_str(), "gitlab_sh" | "gitlab_self_hosted" | "gitlab_selfhosted"))
}

fn intent(event: &Map<String, Value>) -> Option<Intent> {
    let words = words(event);
    Intent::ALL
        .into_iter()
        .find(|intent| words.iter().any(|word| word == intent.as_str()))
}

/// Who did it: the address, else the id.
fn actor(event: &Map<String, Value>) -> Option<RemoteText> {
    let text = |value: &Value| value.as_str().map(RemoteText::new).and_then(RemoteText::said);
    match event.get("actor")? {
        Value::Object(actor) => of(actor, &["email"])
            .and_then(text)
            .or_else(|| of(actor, &["principalId", "id"]).and_then(text)),
        value => text(value),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::{AuditLog, Entry};

    fn event(at: &str, integration: &str, intent: &str) -> Value {
        json!({
            "eventType": "integration_change",
            "actor": {"principalKind": "human", "principalId": "user_1", "email": "ada@example.com", "role": "owner"},
            "source": "web_settings_integrations",
            "target": {"integrationId": integration},
            "payload": {"intent": intent},
            "createdAt": at,
        })
    }

    fn history() -> Vec<Value> {
        vec![
            json!({"eventType": "member_invited", "actor": null, "source": "public_api_v0", "target": {"userId": "u"},
                "payload": null, "createdAt": "2026-11-01T00:00:00.000Z"}),
            event("2026-11-02T10:00:00.000Z", "gitlab-sh", "configured"),
            event("2026-11-02T10:05:00.000Z", "gitlab_sh", "connected"),
            event("2026-11-03T10:00:00.000Z", "github_personal", "disconnected"),
            event("2026-11-04T10:00:00.000Z", "gitlab_sh", "availability_changed"),
        ]
    }

    fn read(text: &str) -> AuditLog {
        AuditLog::read(text.as_bytes()).unwrap()
    }

    fn said(entry: &Entry<'_>) -> String {
        match entry {
            Entry::BorneOut(event) => format!("borne out: {event}"),
            Entry::Contradicted(event) => format!("contradicted: {event}"),
            Entry::Silent => "silent".to_owned(),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn every_form_of_an_export_says_the_same() {
        let list = Value::Array(history());
        let page = json!({"pagination": {"hasMore": false, "nextCursor": null}, "data": history()});
        let lines: Vec<String> = history().iter().map(Value::to_string).collect();
        let mut table = "\u{feff}createdAt,eventType,actor.email,source,target,payload\r\n".to_owned();
        for event in history() {
            let email = event["actor"]["email"].as_str().unwrap_or_default();
            let quoted = |value: &Value| format!("\"{}\"", value.to_string().replace('"', "\"\""));
            let _ = write!(
                table,
                "{},{},{email},{},{},{}\r\n",
                event["createdAt"].as_str().unwrap(),
                event["eventType"].as_str().unwrap(),
                event["source"].as_str().unwrap(),
                quoted(&event["target"]),
                quoted(&event["payload"])
            );
        }
        let flat = "created_at;event_type;actor;target.integrationId;payload.intent\n\
                    2026-11-01T00:00:00Z;member_invited;;;\n\
                    2026-11-02T10:00:00Z;integration_change;ada@example.com;gitlab-sh;configured\n\
                    2026-11-02T10:05:00Z;integration_change;ada@example.com;gitlab-sh;connected\n\
                    2026-11-04T10:00:00Z;integration_change;ada@example.com;gitlab-sh;availability_changed\n";
        let forms = [
            list.to_string(),
            format!("{page:#}"),
            lines.join("\n"),
            table,
            flat.to_owned(),
        ];
        for form in forms {
            let log = read(&form);
            assert_eq!(
                said(&log.configured(None)),
                "borne out: configured on 2026-11-02 at 10:00 UTC by ada@example.com",
                "{form}"
            );
            assert_eq!(
                said(&log.connected(None)),
                "borne out: connected on 2026-11-02 at 10:05 UTC by ada@example.com"
            );
            assert_eq!(log.span(), "from 2026-11-01 00:00 UTC to 2026-11-04 10:00 UTC");
        }
        assert_eq!(said(&read(&history()[1].to_string()).connected(None)), "silent");
    }

    #[test]
    fn what_came_before_counts_for_nothing_and_what_came_after_undoes() {
        let mut history = history();
        let log = |history: &[Value]| read(&Value::Array(history.to_vec()).to_string());
        assert_eq!(
            said(&log(&history).connected(Some(at("2026-11-02T10:06:30Z")))),
            "silent"
        );
        // Clocks differ.
        assert!(said(&log(&history).connected(Some(at("2026-11-02T10:05:30Z")))).starts_with("borne out"));
        history.push(event("2026-11-05T00:00:00Z", "gitlab_sh", "disconnected"));
        assert_eq!(
            said(&log(&history).configured(None)),
            "contradicted: disconnected on 2026-11-05 at 00:00 UTC by ada@example.com"
        );
        assert!(said(&log(&history).disconnected(None)).starts_with("borne out"));
        history.push(event("2026-11-06T00:00:00Z", "gitlab_sh", "connected"));
        assert!(said(&log(&history).disconnected(None)).starts_with("contradicted"));
        assert!(said(&log(&history).connected(None)).starts_with("borne out"));
        // The order in the file means nothing.
        history.reverse();
        assert!(said(&log(&history).connected(None)).starts_with("borne out"));
    }

    #[test]
    fn what_is_no_audit_log_is_refused_in_words() {
        let forms: [(&[u8], &str); 7] = [
            (b"", "holds no events"),
            (b"[]", "holds no events"),
            (b"{", "is no JSON (line 1"),
            (b"\xff\xfe", "is not UTF-8"),
            (b"[{\"a\": 1}]", "no event with a time"),
            (b"name,age\nada,36\n", "no event with a time"),
            (b"createdAt,eventType\n\"2026", "ends within quotes"),
        ];
        for (form, said) in forms {
            let error = AuditLog::read(form).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        let mut timeless = event("yesterday", "gitlab_sh", "connected");
        let list = json!([history()[0], timeless]).to_string();
        assert!(AuditLog::read(list.as_bytes()).unwrap_err().contains("its event 2"));
        timeless["createdAt"] = json!(1_793_000_000);
        assert!(AuditLog::read(timeless.to_string().as_bytes()).is_ok());
    }

    #[test]
    fn who_it_was_cannot_act_on_a_terminal() {
        let mut hostile = event("2026-11-02T10:00:00Z", "gitlab_sh", "connected");
        hostile["actor"]["email"] = json!("a\u{1b}[2J\nb@example.com");
        let log = read(&hostile.to_string());
        let said = said(&log.connected(None));
        assert!(!said.contains(['\u{1b}', '\n']), "{said:?}");
    }
}
