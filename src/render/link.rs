//! Links that a terminal opens (OSC 8). They are always there, as colours are; whoever prints them takes them out where
//! they are not understood.

use std::borrow::Cow;

use url::Url;

/// What a link begins with; it ends with the same and no address.
const BEGIN: &str = "\u{1b}]8;;";
const END: &str = "\u{1b}\\";

/// The text as a link. What is no address of a page stays text.
pub(super) fn link(url: &str, text: &str) -> String {
    // Written out anew it is ASCII without control characters: nothing in it ends the sequence.
    match Url::parse(url) {
        Ok(page) if matches!(page.scheme(), "https" | "http") => format!("{BEGIN}{page}{END}{text}{BEGIN}{END}"),
        Ok(_) | Err(_) => text.to_owned(),
    }
}

/// The text without its links.
pub fn without_links(text: &str) -> Cow<'_, str> {
    if !text.contains(BEGIN) {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split(BEGIN);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once(END).map_or(part, |(_, rest)| rest));
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, link, without_links};

    #[test]
    fn a_link_is_text_where_it_is_taken_out_and_takes_no_columns() {
        let shown = link("https://gitlab.example.com/a", "gitlab.user");
        assert_eq!(
            shown,
            "\u{1b}]8;;https://gitlab.example.com/a\u{1b}\\gitlab.user\u{1b}]8;;\u{1b}\\"
        );
        assert_eq!(without_links(&format!("- {shown}!")), "- gitlab.user!");
        assert_eq!(crate::render::text::columns(&shown), "gitlab.user".len());
        assert_eq!(anstream::adapter::strip_str(&shown).to_string(), "gitlab.user");
    }

    #[test]
    fn no_address_ends_the_link_or_runs_anything() {
        assert_eq!(link("javascript:alert(1)", "x"), "x");
        assert_eq!(link("file:///etc/passwd", "x"), "x");
        assert_eq!(link("https://gitlab.example.com\u{1b}\\/", "x"), "x");
        let hostile = "\u{1b}\\\u{7}\u{9c} ;\u{e9}";
        let hostile = link(
            &format!("https://gitlab.example.com/{hostile}?{hostile}#{hostile}"),
            "x",
        );
        assert_eq!(without_links(&hostile), "x");
        let address = hostile
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.split_once(END))
            .unwrap()
            .0;
        assert!(address.bytes().all(|byte| byte.is_ascii_graphic()), "{hostile}");
        assert!(address.contains("/%1B/%07%C2%9C%20;%C3%A9?%1B"), "{hostile}");
    }
}
