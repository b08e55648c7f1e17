//! TOML that does not parse, in the words of the other faults.

use std::collections::BTreeSet;

use super::fault::Finding;

/// What the parser says (a part of its message), and what to do about it.
const HINTS: [(&str, &str); 10] = [
    ("must be quoted", "put the text into quotes"),
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
pub(super) fn finding(error: &toml::de::Error) -> Finding {
    let message = error.message();
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

/// One slip often makes several errors of its line; the first is the one to correct.
pub(super) fn first_of_each_line(text: &str, mut findings: Vec<Finding>) -> Vec<Finding> {
    let mut lines = BTreeSet::new();
    findings.sort_by_key(|finding| finding.span.start);
    findings.retain(|finding| {
        let before = &text[..super::fault::floor(text, finding.span.start.min(text.len()))];
        lines.insert(before.matches('\n').count())
    });
    findings
}
