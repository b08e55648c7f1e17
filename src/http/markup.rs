//! Web pages as trees, within bounds. A parser of HTML as browsers have it is not linear: open elements are looked
//! through for each tag, and `<b>` and its like are opened again in every block, so that a page of a megabyte can keep
//! it busy for hours. Here its work is counted, and a page that takes more than any page has a reason to is given up.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use html5ever::driver::{self, ParseOpts};
use html5ever::interface::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::{StrTendril, TendrilSink as _};
use html5ever::{Attribute, QualName};
use scraper::{Html, HtmlTreeSink};

/// What the parser may ask of the tree: for every page, and for each byte of it. Ordinary markup takes one for two bytes.
const WORK: u64 = 500_000;
const WORK_PER_BYTE: u64 = 5;
/// Elements within elements. A page that is written by hand has some thirty.
const DEPTH: usize = 500;
/// The parser is fed so many bytes at a time, and looked after in between.
const BITE: usize = 64;
/// Work that the tree does not see (thousands of attributes of one tag, say) ends with this. Builds without
/// optimization are some thirty times slower.
const TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 1 });

/// A page that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooComplex;

/// A page as a tree.
///
/// # Errors
/// It is nested or written in a way that would keep the parser busy for too long.
pub fn parse_html(text: &str) -> Result<Html, TooComplex> {
    parse_within(text, WORK + WORK_PER_BYTE * text.len() as u64, TIME)
}

fn parse_within(text: &str, most: u64, time: Duration) -> Result<Html, TooComplex> {
    let work = Rc::new(Cell::new(0_u64));
    let end = Instant::now().checked_add(time);
    let sink = Counting {
        tree: HtmlTreeSink::new(Html::new_document()),
        work: Rc::clone(&work),
    };
    let mut parser = driver::parse_document(sink, ParseOpts::default());
    let mut rest = text;
    while !rest.is_empty() {
        let at = (BITE..rest.len())
            .find(|at| rest.is_char_boundary(*at))
            .unwrap_or(rest.len());
        let (bite, after) = rest.split_at(at);
        parser.process(StrTendril::from(bite));
        if work.get() > most || end.is_some_and(|end| Instant::now() > end) {
            return Err(TooComplex);
        }
        rest = after;
    }
    let document = parser.finish();
    if is_deep(&document) {
        Err(TooComplex)
    } else {
        Ok(document)
    }
}

/// Whether elements are nested deeper than is good for whoever looks through the tree. Walks without recursion.
fn is_deep(document: &Html) -> bool {
    let (mut node, mut depth) = (document.tree.root(), 0);
    loop {
        if let Some(child) = node.first_child() {
            (node, depth) = (child, depth + 1);
            if depth > DEPTH {
                return true;
            }
            continue;
        }
        loop {
            if let Some(sibling) = node.next_sibling() {
                node = sibling;
                break;
            }
            match node.parent() {
                Some(parent) => (node, depth) = (parent, depth - 1),
                None => return false,
            }
        }
    }
}

/// The tree with a counter of what the parser asks of it: whatever it does with its open elements, it asks for their
/// names or compares them.
struct Counting {
    tree: HtmlTreeSink,
    work: Rc<Cell<u64>>,
}

impl Counting {
    fn tree(&self) -> &HtmlTreeSink {
        self.work.set(self.work.get() + 1);
        &self.tree
    }
}

impl TreeSink for Counting {
    type Handle = <HtmlTreeSink as TreeSink>::Handle;
    type Output = Html;
    type ElemName<'a> = <HtmlTreeSink as TreeSink>::ElemName<'a>;

    fn finish(self) -> Html {
        self.tree.finish()
    }

    fn parse_error(&self, message: Cow<'static, str>) {
        self.tree().parse_error(message);
    }

    fn get_document(&self) -> Self::Handle {
        self.tree().get_document()
    }

    fn elem_name<'a>(&'a self, target: &'a Self::Handle) -> Self::ElemName<'a> {
        self.tree().elem_name(target)
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, flags: ElementFlags) -> Self::Handle {
        self.tree().create_element(name, attributes, flags)
    }

    fn create_comment(&self, text: StrTendril) -> Self::Handle {
        self.tree().create_comment(text)
    }

    fn create_pi(&self, target: StrTendril, data: StrTendril) -> Self::Handle {
        self.tree().create_pi(target, data)
    }

    fn append(&self, parent: &Self::Handle, child: NodeOrText<Self::Handle>) {
        self.tree().append(parent, child);
    }

    fn append_based_on_parent_node(
        &self,
        element: &Self::Handle,
        previous: &Self::Handle,
        child: NodeOrText<Self::Handle>,
    ) {
        self.tree().append_based_on_parent_node(element, previous, child);
    }

    fn append_doctype_to_document(&self, name: StrTendril, public_id: StrTendril, system_id: StrTendril) {
        self.tree().append_doctype_to_document(name, public_id, system_id);
    }

    fn get_template_contents(&self, target: &Self::Handle) -> Self::Handle {
        self.tree().get_template_contents(target)
    }

    fn same_node(&self, one: &Self::Handle, other: &Self::Handle) -> bool {
        self.tree().same_node(one, other)
    }

    fn set_quirks_mode(&self, mode: QuirksMode) {
        self.tree().set_quirks_mode(mode);
    }

    fn append_before_sibling(&self, sibling: &Self::Handle, node: NodeOrText<Self::Handle>) {
        self.tree().append_before_sibling(sibling, node);
    }

    fn add_attrs_if_missing(&self, target: &Self::Handle, attributes: Vec<Attribute>) {
        self.tree().add_attrs_if_missing(target, attributes);
    }

    fn remove_from_parent(&self, target: &Self::Handle) {
        self.tree().remove_from_parent(target);
    }

    fn reparent_children(&self, node: &Self::Handle, new_parent: &Self::Handle) {
        self.tree().reparent_children(node, new_parent);
    }

    fn mark_script_already_started(&self, node: &Self::Handle) {
        self.tree().mark_script_already_started(node);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{TooComplex, parse_html, parse_within};

    const SIZE: usize = 1 << 18;

    fn filled(piece: impl Fn(usize) -> String) -> String {
        let mut page = String::new();
        for number in 0.. {
            if page.len() > SIZE {
                break;
            }
            page.push_str(&piece(number));
        }
        page
    }

    #[test]
    fn a_page_that_keeps_the_parser_busy_is_given_up() {
        let pages = [
            ("nested", filled(|_| "<div>".to_owned())),
            ("formatting", filled(|_| "<b><a>".to_owned())),
            ("formatting in blocks", filled(|n| format!("<i a{}><p>", n % 500))),
            ("tables", filled(|_| "<table><td>".to_owned())),
            ("unclosed", filled(|_| "<div></p>".to_owned())),
            ("foreign", filled(|_| "<svg><desc>".to_owned())),
        ];
        for (name, page) in pages {
            assert_eq!(parse_html(&page).err(), Some(TooComplex), "{name}");
        }
    }

    #[test]
    fn what_the_tree_does_not_see_ends_with_the_time() {
        let page = format!("<a {}>", filled(|n| format!("a{n} ")));
        assert_eq!(parse_within(&page, u64::MAX, Duration::ZERO).err(), Some(TooComplex));
        assert!(parse_within("<a b c>", u64::MAX, Duration::from_secs(60)).is_ok());
    }

    #[test]
    fn a_long_page_of_ordinary_markup_is_read_whole() {
        let row = |n: usize| {
            format!(
                "<tr id=\"application_{n}\"><td><a class=\"gl-link\" href=\"/admin/applications/{n}\">Name <b>{n}</b></a></td>\
                 <td><form class=\"button_to\" method=\"post\" action=\"/admin/applications/{n}\"><input type=\"hidden\" \
                 name=\"_method\" value=\"delete\"><button>Destroy</button></form></td></tr>\n"
            )
        };
        let page = format!(
            "<!DOCTYPE html><html><body><main><table><tbody>{}</tbody></table></main>",
            filled(row)
        );
        let document = parse_html(&page).unwrap();
        let forms = scraper::Selector::parse("tr form").unwrap();
        assert_eq!(document.select(&forms).count(), page.matches("<form").count());
        let data = format!("<p data-x=\"{}\">é</p>", "{&quot;a&quot;: 1, ".repeat(15_000));
        assert!(parse_html(&data).is_ok());
        assert!(parse_html("").is_ok());
    }
}
