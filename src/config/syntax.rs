//! TOML that does not parse, in the words of the other faults.

use std::collections::BTreeSet;

use super::fault::Finding;

/// What the parser says (a part of its message), and what to do about it.
const HINTS: [(&str, &str); 10] = [
    (
        "unquoted key",
        "put a key with other characters into quotes, such as `\"platform/web\" = \"developer\"`",
    ),
    ("duplicate key", "keep one of the two; a section may begin once only"),
    ("unclosed table", "close the section's name with `]`"),
    (
        "missing comma",
        "put a comma between the elements, and close the array with `]`",
    ),
    ("unclosed array", "close the array with `]`"),
    ("inline table", "close the table before it with `}`"),
    ("expected newline", "write each key on a line of its own"),
    ("multi-line", "close the text with three quotes"),
    (
        "string",
        "close the text with the quote that it began with, on the same line",
    ),
    ("no value", "write `key = value`"),
];

/// A syntax error as a finding. The parser's messages quote nothing of the file.
pub(super) fn finding(text: &str, error: &toml::de::Error) -> Finding {
    let message = error.message();
    let span = error.span().unwrap_or(0..0);
    let found = text.get(span.clone()).unwrap_or("");
    // A text that begins like `true`, `nan` or a number is told as a broken one of those.
    let is_bare = ["must be quoted", "invalid boolean", "invalid float"]
        .iter()
        .any(|part| message.contains(part));
    let (message, hint) = if is_bare && found.trim().is_empty() {
        ("a value is missing", "write it behind the `=`")
    } else if let Some(meant) = word_for_a_boolean(found).filter(|_| is_bare) {
        let meant = if meant { "write `true`" } else { "write `false`" };
        return Finding::new(span, format!("`{found}` is no TOML"), meant);
    } else if is_bare {
        ("a text without quotes", "put the text into quotes")
    } else if message.contains("unicode") || message.contains("escaped value") {
        (
            "a backslash in double quotes begins an escape, and this is none",
            "write a backslash as `\\\\`, or put the text into single quotes",
        )
    } else if message.contains("unquoted key") && text.get(span.start..).is_some_and(|rest| rest.starts_with(':')) {
        ("a key ends with `=`", "write `key = value`")
    } else {
        let hint = HINTS.iter().find(|(part, _)| message.contains(part));
        (
            message,
            hint.map_or("correct it; https://toml.io describes the format", |(_, hint)| hint),
        )
    };
    Finding::new(span, format!("this is no TOML: {message}"), hint)
}

/// What other formats write for it.
fn word_for_a_boolean(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "yes" | "on" | "true" => Some(true),
        "no" | "off" | "false" => Some(false),
        _ => None,
    }
}

/// One slip often makes several errors: of its line, and of all lines after it where a list was left open. The first is
/// the one to correct.
pub(super) fn without_consequences(text: &str, mut findings: Vec<Finding>) -> Vec<Finding> {
    let mut lines = BTreeSet::new();
    findings.sort_by_key(|finding| finding.span.start);
    let line = |finding: &Finding| {
        let place = super::redact::floor(text, finding.span.start);
        text[..place].matches('\n').count()
    };
    let mut open: Option<usize> = None;
    let mut previous: Option<usize> = None;
    findings.retain(|finding| {
        let line = line(finding);
        let is_first = lines.insert(line);
        // The parser goes on within the list, and finds every later line wrong.
        let within = ["missing comma", "unclosed array", "inline table"]
            .iter()
            .any(|part| finding.message.contains(part));
        let follows = open.is_some_and(|at| line > at) || (within && previous.is_some_and(|at| line == at + 1));
        if within {
            open.get_or_insert(line);
        }
        previous = finding.message.contains("string").then_some(line);
        is_first && !follows
    });
    findings
}
