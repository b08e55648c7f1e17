//! Links that a terminal opens (OSC 8). They are always there, as colours are; whoever prints them takes them out where
//! they are not understood.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::Environment;
use crate::model::Address;

/// What a link begins with; it ends with the same and no address.
const BEGIN: &str = "\u{1b}]8;;";
const END: &str = "\u{1b}\\";

/// The text as a link. What is no address of a page stays text.
pub(super) fn link(url: &str, text: &str) -> String {
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return text.to_owned();
    }
    format!("{BEGIN}{}{END}{text}{BEGIN}{END}", encoded(url))
}

/// An address of a plan as a link to its page in GitLab. Factory's pages, and those of the sandbox, which is gone when the
/// plan is read, have none.
pub(super) fn of_address(environment: &Environment, address: &Address, text: &str) -> String {
    let page = match address {
        Address::Application => Some("admin/applications"),
        Address::User => Some("admin/users"),
        Address::Membership(path) | Address::Repository(path) => Some(path.as_str()),
        Address::Connection | Address::Authorization => None,
    };
    match page {
        Some(page) if !environment.sandbox => link(
            &format!("{}/{page}", environment.gitlab_url.trim_end_matches('/')),
            text,
        ),
        Some(_) | None => text.to_owned(),
    }
}

/// With what could end the sequence, or be none of an address, as escapes.
fn encoded(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for byte in url.bytes() {
        if byte.is_ascii_alphanumeric() || b":/?#[]@!$&'()*+,;=-._~%".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
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
    use super::{Environment, link, of_address, without_links};

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
        let hostile = link("https://gitlab.example.com/\u{1b}\\\u{7}\u{9c} ;\u{e9}", "x");
        assert_eq!(without_links(&hostile), "x");
        assert!(hostile.contains("/%1B%5C%07%C2%9C%20;%C3%A9\u{1b}\\x"), "{hostile}");
    }

    #[test]
    fn what_has_a_page_in_gitlab_leads_there() {
        let mut environment = Environment::example();
        let led = |environment: &Environment, address: &str| of_address(environment, &address.parse().unwrap(), "x");
        assert!(led(&environment, "gitlab.membership[\"web/a\"]").contains("https://gitlab.example.com/web/a\u{1b}"));
        assert!(led(&environment, "gitlab.application").contains("/admin/applications\u{1b}"));
        assert_eq!(led(&environment, "factory.connection"), "x");
        environment.sandbox = true;
        assert_eq!(led(&environment, "gitlab.user"), "x");
    }
}
