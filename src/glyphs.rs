//! Which characters act on a terminal, on the reading order or on a reader's eye instead of being shown. One list for
//! all who show text of others, so that no two of them disagree.

/// Control characters (C0, C1 and DEL, and with them all terminal sequences), line and paragraph separators, and the
/// characters that reorder text, hide it or take no room (Unicode: bidirectional controls, zero-width and invisible
/// characters, fillers, tags).
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::is_unsafe;

    #[test]
    fn what_acts_is_told_from_what_is_shown() {
        for c in
            "\0\u{1b}\u{7f}\u{9b}\n\u{200b}\u{200d}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}".chars()
        {
            assert!(is_unsafe(c), "{c:?}");
        }
        for c in "a Zoë Dvořák 名 שלום مرحبا 👍🏽 — …".chars() {
            assert!(!is_unsafe(c), "{c:?}");
        }
    }
}
