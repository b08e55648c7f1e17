//! Text for terminals: what others wrote is neutralized here, in one place, and long prose is broken into lines.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::glyphs;

/// Makes text of others safe to show within a line: control characters (with them all terminal sequences), line
/// separators and characters that reorder or hide text come out as escapes such as `\u{1b}`.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    neutralized(text, glyphs::is_unsafe)
}

/// As [`sanitize`], for text of several lines: line feeds stay.
pub fn sanitize_lines(text: &str) -> Cow<'_, str> {
    neutralized(text, |c| c != '\n' && glyphs::is_unsafe(c))
}

/// A string value as it is shown: in quotation marks, neutralized.
pub fn quote(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", sanitize(&escaped))
}

fn neutralized(text: &str, dangerous: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&dangerous) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !dangerous(c) => safe.push(c),
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c => {
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    Cow::Owned(safe)
}

/// The characters that mean something to HTML, and to Slack in its links and mentions, as references.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// How many characters a text has.
pub(super) fn chars(text: &str) -> usize {
    text.chars().count()
}

/// Breaks each line of a text at spaces so that it fits `width` columns. The first line begins with `first`, all
/// others with `rest`. A word longer than a line stays whole: it may have to be copied. No line feed at the end.
pub fn wrap(text: &str, width: usize, first: &str, rest: &str) -> String {
    let mut out = String::new();
    for (index, line) in text.lines().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let indent = if index == 0 { first } else { rest };
        let deeper: String = line.chars().take_while(|c| *c == ' ').collect();
        let mut column = columns(indent) + deeper.len();
        out.push_str(indent);
        out.push_str(&deeper);
        let mut fresh = true;
        for word in line.split(' ').filter(|word| !word.is_empty()) {
            if !fresh && column + 1 + columns(word) > width {
                out.push('\n');
                out.push_str(rest);
                out.push_str(&deeper);
                column = columns(rest) + deeper.len();
                fresh = true;
            }
            if !fresh {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += columns(word);
            fresh = false;
        }
    }
    out
}

/// How many characters wide a text is, terminal sequences aside. Wide characters count as one: close enough to
/// break lines by.
pub fn columns(text: &str) -> usize {
    anstream::adapter::strip_str(text)
        .map(|part| part.chars().count())
        .sum()
}

/// `1 change`, `2 changes`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// `2 done`, `1 failed`: each number with its word, but those that are none.
pub(super) fn counts<const N: usize>(of: [(u64, &str); N]) -> Vec<String> {
    let some = of.into_iter().filter(|(number, _)| *number > 0);
    some.map(|(number, word)| format!("{number} {word}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{quote, sanitize, sanitize_lines, wrap};

    #[test]
    fn what_could_move_the_cursor_or_forge_a_line_is_escaped() {
        assert_eq!(sanitize("a\u{1b}[2K\rb\nc"), "a\\u{1b}[2K\\rb\\nc");
        assert_eq!(sanitize("\u{202e}gpj"), "\\u{202e}gpj");
        assert_eq!(sanitize("\u{9b}31m\u{2028}"), "\\u{9b}31m\\u{2028}");
        assert_eq!(sanitize("Zoë Dvořák 名"), "Zoë Dvořák 名");
        assert_eq!(sanitize_lines("a\nb\r"), "a\nb\\r");
        assert_eq!(quote("a\"\\\n"), "\"a\\\"\\\\\\n\"");
    }

    #[test]
    fn lines_break_at_spaces_and_long_words_stay_whole() {
        assert_eq!(wrap("one two three", 8, "- ", "  "), "- one\n  two\n  three");
        assert_eq!(wrap("one two three", 9, "- ", "  "), "- one two\n  three");
        assert_eq!(
            wrap("x https://example.com/long", 10, "", ""),
            "x\nhttps://example.com/long"
        );
        assert_eq!(wrap("a\n  b c", 5, "", ""), "a\n  b c");
    }
}
