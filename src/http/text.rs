//! Text that a server sent, made fit for a terminal and a report: it can neither move the cursor nor fill the screen.

use crate::glyphs;
use crate::secrets::Secret;

/// How much of a server's own words an error message repeats, in characters.
pub(crate) const REMOTE_TEXT: usize = 300;

/// One line of at most `limit` characters. White space is collapsed; characters that act instead of
/// being shown (control characters, Unicode's bidirectional controls, line separators, zero-width characters) become
/// U+FFFD.
pub fn remote_text(text: &str, limit: usize) -> String {
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
                return line;
            }
            line.push(if glyphs::acts(character) { '\u{fffd}' } else { character });
            length += 1;
        }
    }
    line
}

/// How much of a text is looked at, in bytes, before it is shortened to what is shown.
const LOOKED_AT: usize = 64 * 1024;

/// [`remote_text`] after all secrets were taken out, in case the server repeats them.
pub(super) fn redacted<'a>(text: &str, secrets: impl IntoIterator<Item = &'a Secret>) -> String {
    let part = match text.char_indices().find(|(at, _)| *at >= LOOKED_AT) {
        Some((end, _)) => &text[..end],
        None => text,
    };
    remote_text(&hidden(part, secrets), REMOTE_TEXT)
}

/// The text without these secrets, in any form in which programs repeat what they were given.
pub(super) fn hidden<'a>(text: &str, secrets: impl IntoIterator<Item = &'a Secret>) -> String {
    secrets
        .into_iter()
        .fold(text.to_owned(), |text, secret| secret.hide_in(&text))
}

#[cfg(test)]
mod tests {
    use super::{redacted, remote_text};
    use crate::secrets::Secret;

    #[test]
    fn nothing_that_moves_the_cursor_or_turns_the_text_around_is_left() {
        assert_eq!(
            remote_text("a\u{1b}[2Jb\r\nc\u{202e}d\u{9b}", 100),
            "a\u{fffd}[2Jb c\u{fffd}d\u{fffd}"
        );
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(remote_text("äöü äöü", 5), "äöü ä…");
        assert_eq!(remote_text("äöü", 3), "äöü");
    }

    #[test]
    fn a_secret_that_the_server_repeats_is_hidden() {
        assert_eq!(
            redacted(
                "no such token glpat-fake-1",
                &[Secret::new("glpat-fake-1"), Secret::new("")]
            ),
            "no such token ***"
        );
    }
}
