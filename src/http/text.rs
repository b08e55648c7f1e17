//! Text that a server sent, made fit for a terminal and a report: it can neither move the cursor nor fill the screen.

use crate::secrets::Secret;

/// How much of a server's own words an error message repeats, in characters.
pub(crate) const REMOTE_TEXT: usize = 300;

/// One line of at most `limit` characters. White space is collapsed; control characters and those that reorder text
/// or hide (Unicode's bidirectional controls, line separators, zero-width characters) become U+FFFD.
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
            line.push(if is_hostile(character) { '\u{fffd}' } else { character });
            length += 1;
        }
    }
    line
}

/// Whether a character would act on the terminal or on the reading order instead of being shown.
fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// [`remote_text`] after every secret that the request carried was taken out, in case the server repeats it.
pub(super) fn redacted<'a>(text: &str, secrets: impl IntoIterator<Item = &'a Secret>) -> String {
    let hidden = secrets
        .into_iter()
        .filter(|secret| !secret.expose().is_empty())
        .fold(text.to_owned(), |text, secret| text.replace(secret.expose(), "***"));
    remote_text(&hidden, REMOTE_TEXT)
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
