//! What a web page says, without its furniture: Factory's redirect URI answers HTML, and a person needs its reason.

use scraper::Node;

use crate::http::{Response, parse_html};
use crate::secrets::RemoteText;

/// Parts of a page that are no part of what it says.
const FURNITURE: [&str; 12] = [
    "head", "title", "header", "footer", "nav", "script", "style", "noscript", "template", "form", "button", "svg",
];

/// The text of an answer that is a page; for other answers, what their body says.
pub(super) fn reason(answer: &Response) -> Option<RemoteText> {
    if !answer.is_html() {
        return answer.said().text;
    }
    RemoteText::new(&text(&answer.text())).said()
}

/// The words of a page in their order; none of a page that is too complex to be read. Walks without recursion: nesting
/// is the server's choice.
fn text(html: &str) -> String {
    let Ok(document) = parse_html(html) else {
        return String::new();
    };
    let mut words = String::new();
    let mut node = Some(document.tree.root());
    while let Some(current) = node {
        let skipped = match current.value() {
            Node::Text(part) => {
                words.push_str(part);
                words.push(' ');
                true
            }
            Node::Element(element) => FURNITURE.contains(&element.name()),
            _ => false,
        };
        let child = if skipped { None } else { current.first_child() };
        node = child.or_else(|| {
            let mut place = current;
            loop {
                if let Some(sibling) = place.next_sibling() {
                    return Some(sibling);
                }
                place = place.parent()?;
            }
        });
    }
    words
}

#[cfg(test)]
mod tests {
    use super::{RemoteText, text};

    #[test]
    fn the_words_are_left_and_the_furniture_is_not() {
        let page = "<!DOCTYPE html><title>T</title><style>a{}</style><header>Menu</header>\
                    <h1>GitLab</h1><script>alert(1)</script><p id=result>The code &amp; <b>state</b> expired</p>";
        assert_eq!(RemoteText::new(&text(page)).as_str(), "GitLab The code & state expired");
    }

    #[test]
    fn a_page_of_tags_without_end_says_nothing() {
        let page = format!("reason{}end", "<div>".repeat(400_000));
        assert_eq!(text(&page), "");
    }
}
