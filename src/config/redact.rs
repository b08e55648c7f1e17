//! Which parts of a configuration may hold a secret, so that no diagnostic shows their lines. It errs on the side of
//! hiding: a line that is not shown costs a glance into the file, a secret in a CI log costs a rotation.

use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest;
use crate::model::Role;

/// Keys below which secrets are kept, for finding misspelled ones.
const SECRET_KEYS: [&str; 8] = [
    "token",
    "password",
    "totp_secret",
    "cookie",
    "secret",
    "save",
    "load",
    "headers",
];
/// Keys of a reference that has lost its own key.
const STRAY_KEYS: [&str; 4] = ["env", "file", "command", "value"];
/// What the names of such keys have in them, in other programs too.
const SECRET_WORDS: [&str; 11] = [
    "token",
    "cookie",
    "passw",
    "passphrase",
    "secret",
    "totp",
    "credential",
    "api_key",
    "apikey",
    "private_key",
    "bearer",
];
/// How GitLab's and Factory's own secrets begin (GitLab: documentation, "Token overview").
const SECRET_PREFIXES: [&str; 10] = [
    "glpat-", "gloas-", "glsoat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glimt-", "fk-",
];

/// The ranges of a document that may hold a secret.
pub(super) fn in_document(document: &DeTable<'_>) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    table(document, false, &mut ranges);
    ranges
}

fn table(table: &DeTable<'_>, secret: bool, ranges: &mut Vec<Range<usize>>) {
    for (key, inner) in table {
        let name = key.get_ref().as_ref();
        if looks_secret(name) {
            ranges.push(key.span());
        }
        if secret && table.len() == 1 && is_reference(name, inner.get_ref()) {
            continue;
        }
        value(inner, secret || is_secret_key(name), ranges);
    }
}

fn value(spanned: &Spanned<DeValue<'_>>, secret: bool, ranges: &mut Vec<Range<usize>>) {
    match spanned.get_ref() {
        DeValue::Table(inner) => table(inner, secret, ranges),
        DeValue::Array(items) => items.iter().for_each(|item| value(item, secret, ranges)),
        DeValue::String(text) if secret || looks_secret(text) => ranges.push(spanned.span()),
        _ if secret => ranges.push(spanned.span()),
        _ => {}
    }
}

/// Whether this says where a secret is. What does not look like the name of a variable or a file may be the secret.
fn is_reference(kind: &str, value: &DeValue<'_>) -> bool {
    let DeValue::String(name) = value else {
        return false;
    };
    let in_path = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte);
    match kind {
        "env" => is_variable_name(name) && !looks_secret(name),
        "file" => name.bytes().all(in_path) && !looks_secret(name),
        _ => false,
    }
}

/// What a shell takes as the name of a variable (POSIX: base definitions, 3.216 Name).
pub(super) fn is_variable_name(name: &str) -> bool {
    name.bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The nearest boundary of a character at or before a byte, or the end of the text.
pub(super) fn floor(text: &str, place: usize) -> usize {
    let mut place = place.min(text.len());
    while !text.is_char_boundary(place) {
        place -= 1;
    }
    place
}

/// Whether a key of this name, or one that was probably meant by it, has a secret as its value. Paths of projects,
/// which are keys too, are none of these.
fn is_secret_key(name: &str) -> bool {
    let folded = name.to_lowercase().replace('-', "_");
    !name.contains('/')
        && (SECRET_WORDS.iter().any(|word| folded.contains(word))
            || STRAY_KEYS.contains(&name)
            || std::iter::once(folded.as_str())
                .chain(folded.split('_'))
                .any(|part| nearest::nearest(part, SECRET_KEYS.into_iter()).is_some_and(|nearest| nearest.is_close)))
}

/// Whether a text begins as the secrets of either side do, or is an address with credentials, perhaps half of one.
fn looks_secret(text: &str) -> bool {
    SECRET_PREFIXES.iter().any(|prefix| text.contains(prefix))
        || text
            .split_once('@')
            .is_some_and(|(before, _)| before.contains([':', '/']))
        || text.split("//").skip(1).any(|rest| {
            let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or(rest);
            let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
            port.contains(|c: char| c.is_ascii_alphabetic())
        })
}

/// The line of a syntax error, unless it is certain that no secret is in it: the tree cannot be asked there, so that
/// only statements that begin with a known key are shown, and none with a word that secrets have.
pub(super) fn at_syntax_error(text: &str, place: usize, schema: &Value) -> Option<Range<usize>> {
    let place = floor(text, place);
    let end = text[place..].find('\n').map_or(text.len(), |newline| place + newline);
    let start = text[..place].rfind('\n').map_or(0, |newline| newline + 1);
    let before = &text[..start];
    let header = before
        .lines()
        .rev()
        .find(|line| line.trim_start().starts_with('['))
        .unwrap_or("");
    let open = |quotes| before.matches(quotes).count() % 2 == 1;
    let unclear = open("\"\"\"") || open("\'\'\'") || may_hold_secret(header);
    let shown = !unclear && is_harmless(&text[start..end], before, header, schema);
    (!shown).then_some(start..end)
}

/// Whether the statement that a line belongs to is known to hold no secret.
fn is_harmless(line: &str, before: &str, header: &str, schema: &Value) -> bool {
    for line in std::iter::once(line).chain(before.lines().rev()) {
        if may_hold_secret(line) {
            return false;
        }
        let line = line.trim_start();
        if let Some((_, role)) = line.rsplit_once('=')
            && header.contains("memberships")
            && !line.starts_with('[')
        {
            return resembles_role(role);
        }
        let is_key = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let word = line.trim_start_matches('[').split(|c| !is_key(c)).next().unwrap_or("");
        if !word.is_empty() {
            return knows(schema, word) && !(line.starts_with('[') && line.contains('='));
        }
        if line.starts_with(['"', '\'']) && line.contains('=') {
            return false;
        }
    }
    false
}

/// Whether this was meant as a role or an access level, and so is no secret under a damaged key.
fn resembles_role(value: &str) -> bool {
    let word = value.trim().trim_matches(['"', '\'']);
    let known = Role::ALL.map(|role| role.to_string());
    let nearest = nearest::nearest(word, known.iter().map(String::as_str));
    word.len() <= 2 || nearest.is_some_and(|nearest| nearest.is_close)
}

/// Whether a key of this name stands anywhere in the configuration.
fn knows(schema: &Value, name: &str) -> bool {
    match schema {
        Value::Object(object) => {
            let properties = object.get("properties").and_then(Value::as_object);
            properties.is_some_and(|keys| keys.contains_key(name)) || object.values().any(|inner| knows(inner, name))
        }
        Value::Array(items) => items.iter().any(|inner| knows(inner, name)),
        _ => false,
    }
}

/// Whether a comment on a line, perhaps a setting that was commented out, may hold a secret. Signs within texts are
/// taken for comments too.
pub(super) fn is_commented_with_secret(line: &str) -> bool {
    line.split_once('#')
        .is_some_and(|(_, comment)| may_hold_secret(comment))
}

fn may_hold_secret(line: &str) -> bool {
    let folded = line.to_lowercase();
    SECRET_WORDS.iter().any(|word| folded.contains(word))
        || looks_secret(line)
        || (line.contains('@') && !folded.contains("mail"))
        || line
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .any(|word| !word.is_empty() && is_secret_key(word))
}
