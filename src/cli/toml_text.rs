//! TOML for a terminal: what would act instead of being shown becomes an escape, which means the same to whoever reads
//! the TOML. All else stays as it is written, comments too.

use std::fmt::Write as _;

use toml_edit::Value;

use crate::glyphs;

/// Whether a character acts on a terminal or a reader. The end of a line does what it is for.
fn acts(c: char) -> bool {
    c != '\n' && glyphs::is_unsafe(c)
}

/// The same document without a character that acts. In strings and keys it is escaped; in a comment, which knows no
/// escapes, U+FFFD stands in its place.
pub(crate) fn tame(document: &str) -> String {
    if !document.contains(acts) {
        return document.to_owned();
    }
    let document = document.replace("\r\n", "\n");
    let mut out = String::with_capacity(document.len());
    let mut rest = document.as_str();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' => string_length(rest),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        match first {
            _ if !token.contains(acts) => out.push_str(token),
            '#' => out.extend(token.chars().map(|c| if acts(c) { '\u{fffd}' } else { c })),
            '"' | '\'' => out.push_str(&on_one_line(token)),
            // A tab between tokens: the grammar has no place for another.
            _ => out.push(' '),
        }
    }
    out
}

/// How many bytes the string at the beginning of a text takes, in any of the four ways to write one.
fn string_length(text: &str) -> usize {
    let (quote, is_basic) = if text.starts_with('"') {
        ('"', true)
    } else {
        ('\'', false)
    };
    let fence: String = [quote; 3].iter().collect();
    let is_long = text.starts_with(&fence);
    let mut at = if is_long { 3 } else { 1 };
    while let Some(c) = text[at..].chars().next() {
        let tail = &text[at..];
        if is_basic && c == '\\' {
            at += 1 + tail[1..].chars().next().map_or(0, char::len_utf8);
        } else if is_long && tail.starts_with(&fence) {
            // Up to two quotes of the string's own come before the last three.
            return at + tail.chars().take_while(|c| *c == quote).take(5).count();
        } else if !is_long && c == quote {
            return at + 1;
        } else {
            at += c.len_utf8();
        }
    }
    text.len()
}

/// A string as a basic one on one line, with escapes (TOML: "String").
fn on_one_line(string: &str) -> String {
    let value = string.parse::<Value>();
    // What is no string is no TOML either, and is shown as it can be.
    let text = value.as_ref().ok().and_then(Value::as_str).unwrap_or(string);
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            c if acts(c) => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use toml::{Table, Value};

    use super::{acts, tame};

    fn expect_same(document: &str) {
        let tame = tame(document);
        assert!(!tame.contains(acts), "{tame:?}");
        let before: Table = document.parse().unwrap();
        assert_eq!(tame.parse::<Table>().unwrap(), before, "{document:?} became {tame:?}");
    }

    proptest! {
        #[test]
        fn it_means_the_same_and_nothing_in_it_acts(
            texts in proptest::collection::vec("([a-z\"'\\\\ \n\r\t\u{1b}\u{9b}\u{202e}\u{2028}0-9=#\\[\\]]|\\PC|\\pC){0,12}", 1..4),
        ) {
            let value = Value::Array(texts.iter().cloned().map(Value::String).collect());
            let inner = Table::from_iter([("a".to_owned(), value), (texts[0].clone(), Value::from(texts[0].as_str()))]);
            let table = Table::from_iter([("section".to_owned(), Value::Table(inner))]);
            expect_same(&toml::to_string(&table).unwrap());
            expect_same(&toml::to_string_pretty(&table).unwrap());
        }
    }

    #[test]
    fn each_way_of_writing_a_string_keeps_its_meaning() {
        expect_same(
            "a\t= '\u{202e}\\'\t# \u{202e}\"\nb = \"\"\"\u{202e}\\\n\t \"\"x\"\"\"\"\"\r\nc = '''\n\u{202e}''c'''''\n",
        );
        expect_same("'\u{202e}' = [\n\t\"\\\"\u{ad}\", # it's\n\t''] # end \u{ad}");
    }

    #[test]
    fn a_comment_stays_where_it_is() {
        assert_eq!(
            tame("# it's\u{202e}\na = \"\u{ad}\" # b\r\n"),
            "# it's\u{fffd}\na = \"\\U000000ad\" # b\n"
        );
    }
}
