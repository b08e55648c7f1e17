//! TOML for a terminal: every string on one line, and what would act instead of being shown as an escape, which means
//! the same to whoever reads the TOML.

use std::fmt::Write as _;

use toml::{Table, Value};

use crate::glyphs;

/// Stands around the number of a string that is put in afterwards. A string that has it itself is one of those.
const MARK: char = '\u{e000}';

/// The table as indented TOML.
pub(crate) fn render(table: Table) -> Result<String, toml::ser::Error> {
    let mut strings = Vec::new();
    let text = toml::to_string_pretty(&marked_table(table, &mut strings))?;
    Ok(strings.iter().enumerate().fold(text, |text, (number, string)| {
        text.replace(&format!("\"{MARK}{number}{MARK}\""), &quoted(string))
    }))
}

fn marked(value: Value, strings: &mut Vec<String>) -> Value {
    match value {
        Value::String(text) => Value::String(marked_text(text, strings)),
        Value::Array(items) => Value::Array(items.into_iter().map(|item| marked(item, strings)).collect()),
        Value::Table(table) => Value::Table(marked_table(table, strings)),
        other => other,
    }
}

fn marked_table(table: Table, strings: &mut Vec<String>) -> Table {
    table
        .into_iter()
        .map(|(key, value)| (marked_text(key, strings), marked(value, strings)))
        .collect()
}

fn marked_text(text: String, strings: &mut Vec<String>) -> String {
    if !text.contains(|c| c == MARK || glyphs::is_unsafe(c)) {
        return text;
    }
    strings.push(text);
    format!("{MARK}{}{MARK}", strings.len() - 1)
}

/// A basic string (TOML: "String").
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            c if c == MARK || glyphs::is_unsafe(c) => {
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

    use super::render;
    use crate::glyphs;

    proptest! {
        #[test]
        fn it_means_the_same_and_nothing_in_it_acts(
            texts in proptest::collection::vec("([a-z\"'\\\\ \n\r\t\u{1b}\u{9b}\u{202e}\u{2028}\u{e000}0-9=#\\[\\]]|\\PC|\\pC){0,12}", 1..4),
        ) {
            let value = Value::Array(texts.iter().cloned().map(Value::String).collect());
            let inner = Table::from_iter([("a".to_owned(), value), (texts[0].clone(), Value::from(texts[0].as_str()))]);
            let table = Table::from_iter([("section".to_owned(), Value::Table(inner))]);
            let text = render(table.clone()).unwrap();
            prop_assert!(!text.contains(|c| c != '\n' && glyphs::is_unsafe(c)), "{}", text);
            prop_assert_eq!(text.parse::<Table>().unwrap(), table, "{}", text);
        }
    }
}
