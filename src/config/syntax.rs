//! TOML that does not parse, in the words of the other faults.

use std::collections::BTreeSet;

use super::fault::Finding;

/// What the parser says (a part of its message), and what to do about it.
const HINTS: [(&str, &str); 12] = [
    ("must be quoted", "put the text into quotes"),
    (
        "unquoted key",
        "put a key with other characters into quotes, such as `\"platform/web\" = \"developer\"`",
    ),
    (
        "unicode",
        "write a backslash as `\\\\`, or put the text into single quotes",
    ),
    ("duplicate key", "keep one of the two; a section may begin once only"),
    ("unclosed table", "close the section's name with `]`"),
    (
        "missing comma",
        "put a comma between the elements, and close the array with `]`",
    ),
    ("unclosed array", "close the array with `]`"),
    ("unclosed inline table", "close the table with `}`"),
    ("multi-line", "close the text with three quotes"),
    (
        "string",
        "close the text with the quote that it began with, on the same line",
    ),
    (
        "escaped value",
        "write a backslash as `\\\\`, or put the text into single quotes",
    ),
    ("no value", "write `key = value`"),
];

/// A syntax error as a finding. The parser's messages quote nothing of the file.
pub(super) fn finding(text: &str, error: &toml::de::Error) -> Finding {
    let message = error.message();
    let found = error.span().and_then(|span| text.get(span)).unwrap_or("");
    if let Some(meant) = word_for_a_boolean(found).filter(|_| message.contains("must be quoted")) {
        return Finding::new(
            error.span().unwrap_or(0..0),
            format!("`{found}` is no TOML"),
            format!("write `{meant}`"),
        );
    }
    let hint = HINTS
        .iter()
        .find(|(part, _)| message.contains(part))
        .map(|(_, hint)| *hint);
    Finding::new(
        error.span().unwrap_or(0..0),
        format!("this is no TOML: {message}"),
        hint.unwrap_or("correct it; https://toml.io describes the format"),
    )
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
        let place = super::fault::floor(text, finding.span.start.min(text.len()));
        text[..place].matches('\n').count()
    };
    let mut open: Option<usize> = None;
    let mut previous: Option<usize> = None;
    findings.retain(|finding| {
        let line = line(finding);
        let is_first = lines.insert(line);
        // The parser goes on within the list, and finds every later line wrong.
        let within = ["missing comma", "unclosed array", "unclosed inline table"]
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
