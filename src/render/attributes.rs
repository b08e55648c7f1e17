//! The attributes of a change: aligned, lists and texts as differences, what is secret or not yet known in words.

use serde_json::Value;
use similar::algorithms::{Capture, Compact, Replace, myers};
use similar::{DiffOp, DiffTag, group_diff_ops};

use super::style::{CREATE, DELETE, DIM, UPDATE, paint};
use super::text::{columns, quote, sanitize};
use crate::model::{Actions, AttributeChange};

const INDENT: &str = "      ";

/// The lines of a change's attributes, for so many columns.
pub(super) fn lines(actions: Actions, attributes: &[AttributeChange], width: usize) -> Vec<String> {
    let pad = attributes
        .iter()
        .map(|a| columns(&sanitize(&a.path)))
        .max()
        .unwrap_or(0);
    attributes
        .iter()
        .flat_map(|attribute| one(actions, attribute, pad, width))
        .collect()
}

fn one(actions: Actions, attribute: &AttributeChange, pad: usize, width: usize) -> Vec<String> {
    let name = format!("{:<pad$} =", sanitize(&attribute.path));
    let AttributeChange {
        path: _,
        before,
        after,
        sensitive,
    } = attribute;
    let mark = match (before, after) {
        (Value::Null, Value::Null) => symbol(actions),
        (Value::Null, _) => Mark::Plus,
        (_, Value::Null) if actions == Actions::Delete => Mark::Minus,
        _ => Mark::Tilde,
    };
    let head = |rest: &str| format!("{INDENT}{} {name} {rest}", mark.painted());
    if *sensitive {
        return vec![head("(sensitive)")];
    }
    match (before, after) {
        (Value::Null, Value::Null) => vec![head("(known after apply)")],
        (Value::Array(before), Value::Array(after)) => list(&head("["), before, after),
        (Value::Null, Value::Array(after)) => list(&head("["), &[], after),
        (Value::Array(before), Value::Null) if mark == Mark::Minus => list(&head("["), before, &[]),
        (Value::String(before), Value::String(after)) if before.contains('\n') || after.contains('\n') => {
            text(&head("<<TEXT"), before, after)
        }
        (Value::Null, after) => vec![head(&scalar(after))],
        (before, Value::Null) if mark == Mark::Minus => vec![head(&scalar(before))],
        (before, Value::Null) => arrow(&head, &scalar(before), "(known after apply)", width),
        (before, after) => arrow(&head, &scalar(before), &scalar(after), width),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Plus,
    Minus,
    Tilde,
}

impl Mark {
    fn painted(self) -> String {
        match self {
            Self::Plus => paint(CREATE, "+"),
            Self::Minus => paint(DELETE, "-"),
            Self::Tilde => paint(UPDATE, "~"),
        }
    }
}

fn symbol(actions: Actions) -> Mark {
    match actions {
        Actions::Create => Mark::Plus,
        Actions::Update | Actions::Replace => Mark::Tilde,
        Actions::Delete => Mark::Minus,
    }
}

/// `"a" -> "b"` on one line, or on two where that is too long.
fn arrow(head: &dyn Fn(&str) -> String, before: &str, after: &str, width: usize) -> Vec<String> {
    let line = head(&format!("{before} -> {after}"));
    if columns(&line) <= width {
        return vec![line];
    }
    let deeper = " ".repeat(INDENT.len() + 4);
    vec![head(before), format!("{deeper}-> {after}")]
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Null => "null".to_owned(),
        other => sanitize(&other.to_string()).into_owned(),
    }
}

fn list(head: &str, before: &[Value], after: &[Value]) -> Vec<String> {
    let (before, after): (Vec<String>, Vec<String>) =
        (before.iter().map(scalar).collect(), after.iter().map(scalar).collect());
    if before.is_empty() && after.is_empty() {
        return vec![format!("{head}]")];
    }
    let deeper = " ".repeat(INDENT.len() + 4);
    let mut lines = vec![head.to_owned()];
    let mut same = 0;
    let (before, after): (Vec<&str>, Vec<&str>) = (
        before.iter().map(String::as_str).collect(),
        after.iter().map(String::as_str).collect(),
    );
    for op in difference(&before, &after) {
        let (tag, old, new) = op.as_tag_tuple();
        if tag == DiffTag::Equal {
            same += new.len();
            continue;
        }
        lines.extend(
            before[old]
                .iter()
                .map(|item| format!("{deeper}{} {item},", paint(DELETE, "-"))),
        );
        lines.extend(
            after[new]
                .iter()
                .map(|item| format!("{deeper}{} {item},", paint(CREATE, "+"))),
        );
    }
    if same > 0 {
        lines.push(format!("{deeper}{}", paint(DIM, &format!("# {same} unchanged"))));
    }
    lines.push(format!("{INDENT}  ]"));
    lines
}

fn text(head: &str, before: &str, after: &str) -> Vec<String> {
    let deeper = " ".repeat(INDENT.len() + 4);
    let (before, after): (Vec<&str>, Vec<&str>) = (
        before.split_inclusive('\n').collect(),
        after.split_inclusive('\n').collect(),
    );
    let mut lines = vec![head.to_owned()];
    for op in group_diff_ops(difference(&before, &after), 2).into_iter().flatten() {
        let (tag, old, new) = op.as_tag_tuple();
        let mut add = |mark: &str, some: &[&str]| {
            let shown = some.iter().map(|line| sanitize(line.trim_end_matches(['\n', '\r'])));
            lines.extend(shown.map(|line| format!("{deeper}{mark} {line}")));
        };
        if tag == DiffTag::Equal {
            add(" ", &after[new]);
        } else {
            add(&paint(DELETE, "-"), &before[old]);
            add(&paint(CREATE, "+"), &after[new]);
        }
    }
    lines.push(format!("{INDENT}  TEXT"));
    lines
}

/// How one list becomes the other. The algorithm is named, because a program that may choose among all of them at run time
/// carries half a megabyte of them.
fn difference(before: &[&str], after: &[&str]) -> Vec<DiffOp> {
    let mut found = Compact::new(Replace::new(Capture::new()), before, after);
    let Ok(()) = myers::diff(&mut found, before, 0..before.len(), after, 0..after.len());
    found.into_inner().into_inner().into_ops()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::lines;
    use crate::model::{Actions, AttributeChange};

    fn shown(actions: Actions, attributes: &[(&str, Value, Value)]) -> String {
        let attributes: Vec<_> = attributes
            .iter()
            .map(|(path, before, after)| AttributeChange {
                path: (*path).to_owned(),
                before: before.clone(),
                after: after.clone(),
                sensitive: *path == "secret",
            })
            .collect();
        let text = lines(actions, &attributes, 80).join("\n");
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn attributes_are_aligned_and_secrets_and_unknowns_are_words() {
        insta::assert_snapshot!(
            shown(
                Actions::Create,
                &[
                    ("application_id", Value::Null, Value::Null),
                    ("domain", Value::Null, json!("https://gitlab.example.com")),
                    ("secret", Value::Null, Value::Null),
                    ("trusted", Value::Null, json!(true)),
                ],
            ),
            @r#"
              + application_id = (known after apply)
              + domain         = "https://gitlab.example.com"
              + secret         = (sensitive)
              + trusted        = true
        "#
        );
    }

    #[test]
    fn lists_and_texts_are_differences() {
        insta::assert_snapshot!(
            shown(
                Actions::Update,
                &[
                    ("note", json!("one\ntwo\nthree\n"), json!("one\n2\u{1b}\nthree\n")),
                    ("role", json!("developer"), json!("maintainer")),
                    ("scopes", json!(["api", "read_api", "sudo"]), json!(["api", "read_api", "read_user"])),
                ],
            ),
            @r#"
              ~ note   = <<TEXT
                    one
                  - two
                  + 2\u{1b}
                    three
                TEXT
              ~ role   = "developer" -> "maintainer"
              ~ scopes = [
                  - "sudo",
                  + "read_user",
                  # 2 unchanged
                ]
        "#
        );
    }

    #[test]
    fn a_long_change_takes_two_lines() {
        let long = "https://gitlab.example.com/a/rather/long/path/below/it";
        insta::assert_snapshot!(
            shown(Actions::Update, &[("domain", json!(long), json!(format!("{long}/2")))]),
            @r#"
              ~ domain = "https://gitlab.example.com/a/rather/long/path/below/it"
                  -> "https://gitlab.example.com/a/rather/long/path/below/it/2"
        "#
        );
    }
}
