//! Text from outside, made fit for a message: no secret of this run is in it, it is one line, it has an end, and nothing
//! in it acts on a terminal. Nothing else makes it, so whatever quotes a server or a program takes this type.

use serde::{Deserialize, Deserializer, Serialize};

use super::redact::redact_beginning;
use crate::glyphs;

/// How much of others' words a message repeats, in characters.
const LENGTH: usize = 300;
/// How much of a text is looked at, in bytes: white space makes most of a page.
const LOOKED_AT: usize = 64 * 1024;

/// One clean line from outside.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RemoteText(String);

impl RemoteText {
    /// Of a text as it came, with what escapes it has.
    pub fn new(text: &str) -> Self {
        Self::within(text, LENGTH)
    }

    /// Of at most so many characters. White space is one space, and characters that act instead of being shown become
    /// U+FFFD.
    pub fn within(text: &str, limit: usize) -> Self {
        let text = redact_beginning(text, LOOKED_AT.max(limit.saturating_mul(4)));
        let mut line = String::new();
        let mut length = 0;
        for (index, word) in text.split_whitespace().enumerate() {
            if index > 0 {
                line.push(' ');
                length += 1;
            }
            for character in word.chars() {
                if length >= limit {
                    line.push('…');
                    return Self(line);
                }
                line.push(if glyphs::is_unsafe(character) {
                    '\u{fffd}'
                } else {
                    character
                });
                length += 1;
            }
        }
        Self(line)
    }

    /// Several in one, within the usual length.
    pub fn joined<'a>(parts: impl IntoIterator<Item = &'a Self>, separator: &str) -> Self {
        let parts: Vec<&str> = parts.into_iter().map(Self::as_str).collect();
        Self::new(&parts.join(separator))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Itself, unless nothing was said.
    pub fn said(self) -> Option<Self> {
        (!self.is_empty()).then_some(self)
    }
}

impl std::fmt::Display for RemoteText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<RemoteText> for String {
    fn from(text: RemoteText) -> Self {
        text.0
    }
}

impl<'de> Deserialize<'de> for RemoteText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::new(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::RemoteText;
    use crate::secrets::Secret;

    fn within(text: &str, limit: usize) -> String {
        RemoteText::within(text, limit).into()
    }

    #[test]
    fn nothing_that_moves_the_cursor_or_turns_the_text_around_is_left() {
        assert_eq!(
            within("a\u{1b}[2Jb\r\nc\u{202e}d\u{9b}", 100),
            "a\u{fffd}[2Jb c\u{fffd}d\u{fffd}"
        );
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(within("äöü äöü", 5), "äöü ä…");
        assert_eq!(within("äöü", 3), "äöü");
    }

    #[test]
    fn a_secret_goes_before_the_text_is_cut_and_its_white_space_is_one() {
        let secret = "two  spaces\tand a tab";
        let _ = Secret::new(secret);
        for before in 0..40 {
            let text = format!("{}{secret} and so on", "x ".repeat(before));
            for limit in 0..100 {
                let shown = within(&text, limit);
                assert!(
                    !shown.contains("tw") && !shown.contains("ta"),
                    "{before} {limit}: {shown}"
                );
            }
        }
        let far = format!("{}{secret}", " ".repeat(64 * 1024 - 5));
        assert_eq!(within(&far, 300), "***");
        assert_eq!(within("Basic dXNlcjp0d28gIHNwYWNlcwlhbmQgYSB0YWI=", 300), "Basic ***");
    }
}
