//! The attributes of a change: aligned, lists and texts as differences, what is secret or not yet known in words.

use serde_json::Value;
use similar::{Algorithm, ChangeTag, DiffTag, TextDiff, capture_diff_slices};

use super::style::{CREATE, DELETE, DIM, UPDATE, paint};
use super::text::{columns, quote, sanitize};
use crate::model::{Actions, AttributeChange};

const INDENT: &str = "      ";
const WIDTH: usize = 80;

/// The lines of a change's attributes.
pub(super) fn lines(actions: Actions, attributes: &[AttributeChange]) -> Vec<String> {
    let pad = attributes
        .iter()
        .map(|a| columns(&sanitize(&a.path)))
        .max()
        .unwrap_or(0);
    attributes
        .iter()
        .flat_map(|attribute| one(actions, attribute, pad))
        .collect()
}

fn one(actions: Actions, attribute: &AttributeChange, pad: usize) -> Vec<String> {
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
        (before, Value::Null) => arrow(&head, &scalar(before), "(known after apply)"),
        (before, after) => arrow(&head, &scalar(before), &scalar(after)),
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
fn arrow(head: &dyn Fn(&str) -> String, before: &str, after: &str) -> Vec<String> {
    let line = head(&format!("{before} -> {after}"));
    if columns(&line) <= WIDTH {
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
    for op in capture_diff_slices(Algorithm::Myers, &before, &after) {
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
    let diff = TextDiff::from_lines(before, after);
    let mut lines = vec![head.to_owned()];
    for hunk in diff.unified_diff().context_radius(2).iter_hunks() {
        for change in hunk.iter_changes() {
            let mark = match change.tag() {
                ChangeTag::Delete => paint(DELETE, "-"),
                ChangeTag::Insert => paint(CREATE, "+"),
                ChangeTag::Equal => " ".to_owned(),
            };
            let line = change.value().trim_end_matches(['\n', '\r']);
            lines.push(format!("{deeper}{mark} {}", sanitize(line)));
        }
    }
    lines.push(format!("{INDENT}  TEXT"));
    lines
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
        let text = lines(actions, &attributes).join("\n");
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
