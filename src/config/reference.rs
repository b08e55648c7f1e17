//! Tables that say where a secret is kept or goes: exactly one of a few keys. What stands wrongly in their place may be
//! the secret itself, so that no message here quotes a value.

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::fault::Finding;
use super::redact::is_variable_name;

/// The keys of a type that is a table with exactly one of several keys.
pub(super) fn kinds(schema: &Value) -> Option<Vec<&str>> {
    schema
        .get("oneOf")?
        .as_array()?
        .iter()
        .map(|choice| {
            choice
                .get("required")
                .and_then(|required| required.get(0))
                .and_then(Value::as_str)
        })
        .collect()
}

/// Everything that is wrong with a reference; empty where it is sound.
pub(super) fn faults(value: &Spanned<DeValue<'_>>, kinds: &[&str], path: &str) -> Vec<Finding> {
    let listed = format!("`{}`", kinds.join("`, `"));
    let DeValue::Table(table) = value.get_ref() else {
        let key = path.rsplit('.').next().unwrap_or(path);
        let message = match value.get_ref() {
            DeValue::String(_) => format!("`{path}` is written out, where a reference belongs"),
            other => format!("`{path}` has to be a table, not {}", name_of(other)),
        };
        let example = if kinds.contains(&"env") {
            "env = \"NAME\""
        } else {
            "file = \"PATH\""
        };
        let hint = format!("write a table with exactly one of {listed}, such as `{key} = {{ {example} }}`");
        return vec![Finding::new(value.span(), message, hint)];
    };
    let mut found = Vec::new();
    let mut named = Vec::new();
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        if kinds.contains(&name) {
            named.push(name);
            found.extend(fault_of_kind(name, value, path));
            continue;
        }
        let hint = match super::nearest::nearest(name, kinds.iter().copied()) {
            Some(nearest) => format!(
                "the nearest known key is `{}`; exactly one of {listed} belongs here",
                nearest.word
            ),
            None => format!("exactly one of {listed} belongs here"),
        };
        found.push(Finding::new(
            key.span(),
            format!("unknown key in the reference `{path}`"),
            hint,
        ));
    }
    if named.len() > 1 {
        let message = format!("`{path}` names several places: `{}`", named.join("`, `"));
        found.push(Finding::new(
            value.span(),
            message,
            format!("keep exactly one of {listed}"),
        ));
    } else if named.is_empty() && found.is_empty() {
        let message = format!("`{path}` names no place");
        found.push(Finding::new(
            value.span(),
            message,
            format!("add exactly one of {listed}"),
        ));
    }
    found
}

fn fault_of_kind(kind: &str, value: &Spanned<DeValue<'_>>, path: &str) -> Option<Finding> {
    let fault = |message: String, hint: &str| Some(Finding::new(value.span(), message, hint));
    match (kind, value.get_ref()) {
        ("env", DeValue::String(name)) if !is_variable_name(name) => fault(
            format!("`{path}.env` is no name of an environment variable"),
            "write the variable's name, made of letters, digits and underscores, not its content",
        ),
        ("file", DeValue::String(name)) if name.trim().is_empty() || name.contains('\0') => {
            fault(format!("`{path}.file` names no file"), "write the path of the file")
        }
        ("env" | "file", DeValue::String(_)) => None,
        ("command", DeValue::Array(words)) => {
            if words.iter().any(|word| !matches!(word.get_ref(), DeValue::String(_))) {
                return fault(
                    format!("`{path}.command` has a word that is not a string"),
                    "write the program and each argument as a string",
                );
            }
            match words.first().map(Spanned::get_ref) {
                None => fault(
                    format!("`{path}.command` is empty"),
                    "write the program and its arguments",
                ),
                Some(DeValue::String(program)) if program.trim().is_empty() => fault(
                    format!("`{path}.command` begins with an empty word"),
                    "begin with the program",
                ),
                Some(_) => None,
            }
        }
        ("command", _) => fault(
            format!("`{path}.command` has to be an array of strings"),
            "write the program and each argument as a string of an array; there is no shell",
        ),
        _ => fault(format!("`{path}.{kind}` has to be a string"), "put it into quotes"),
    }
}

/// What a value is called in a message.
pub(super) fn name_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
