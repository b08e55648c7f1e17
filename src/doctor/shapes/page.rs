//! The shape of a page: one line for each element that could be looked for, indented as it is nested, in the manner of a
//! CSS selector. Elements without name, id, class of a program's or data are left out, and their children move up.

use std::fmt::Write as _;

use scraper::{ElementRef, Html};
use serde_json::Value;

use super::{Names, json};

/// The most lines: GitLab's own pages have some hundreds.
const LINES: usize = 3_000;
/// Elements that are shown whatever they carry.
const SHOWN: [&str; 12] = [
    "form", "input", "select", "textarea", "button", "title", "meta", "code", "table", "tr", "main", "noscript",
];
/// Attributes that are set or not.
const FLAGS: [&str; 4] = ["checked", "disabled", "required", "hidden"];
/// Attributes whose value is one of a few words of HTML.
const WORDS: [&str; 4] = ["type", "method", "data-method", "rel"];

/// The outline of a page.
pub(super) fn outline(page: &Html, names: &Names) -> Vec<String> {
    let mut lines = Vec::new();
    below(page.root_element(), 0, names, &mut lines);
    lines
}

/// The lines of an element and of all below it. A page that is nested too deeply has not become a tree.
fn below(element: ElementRef<'_>, depth: usize, names: &Names, lines: &mut Vec<String>) {
    if lines.len() > LINES {
        return;
    }
    let mut inner = depth;
    if let Some(line) = shown(element, names) {
        let line = if lines.len() == LINES { "…".to_owned() } else { line };
        lines.push(format!("{:indent$}{line}", "", indent = 2 * depth));
        inner += 1;
    }
    for child in element.child_elements() {
        below(child, inner, names, lines);
    }
}

/// The line of an element, where it gets one.
fn shown(element: ElementRef<'_>, names: &Names) -> Option<String> {
    let element = element.value();
    let mut line = element.name().to_owned();
    if let Some(id) = element.id() {
        let _ = write!(line, "#{}", names.markup(id));
    }
    let mut classes: Vec<String> = element.classes().map(|class| names.markup(class)).collect();
    classes.dedup();
    for class in &classes {
        let _ = write!(line, ".{class}");
    }
    let mut attributes: Vec<String> = element
        .attrs()
        .filter_map(|(name, value)| attribute(name, value, names))
        .collect();
    // The verb of a form is how its buttons are told apart.
    if element.attr("name") == Some("_method") {
        let verb = element.attr("value").unwrap_or_default().to_lowercase();
        if ["get", "post", "put", "patch", "delete"].contains(&verb.as_str()) {
            attributes.push(format!("value={verb}"));
        }
    }
    attributes.sort_unstable();
    for attribute in &attributes {
        let _ = write!(line, "[{attribute}]");
    }
    let carries =
        element.id().is_some() || !attributes.is_empty() || classes.iter().any(|class| class.starts_with("js-"));
    (carries || SHOWN.contains(&element.name())).then_some(line)
}

fn attribute(name: &str, value: &str, names: &Names) -> Option<String> {
    let word = || value.len() <= 20 && value.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
    match name {
        "name" => Some(format!("name={}", names.markup(value))),
        // A field's name until a script makes the field, and labels of the program's own for its tests.
        "data-name" | "data-testid" | "data-qa-selector" => Some(format!("{name}={}", names.markup(value))),
        "action" => Some(format!("action={}", path(value))),
        _ if FLAGS.contains(&name) => Some(name.to_owned()),
        _ if WORDS.contains(&name) && word() => Some(format!("{name}={value}")),
        _ if name.starts_with("data-") => Some(format!("{}:{}", names.markup(name), kind(value, names))),
        _ => None,
    }
}

/// What a data attribute holds.
fn kind(value: &str, names: &Names) -> String {
    match serde_json::from_str::<Value>(value) {
        Ok(value) => match json::shape(&value, false, names) {
            Value::String(kind) => kind,
            shape => shape.to_string(),
        },
        Err(_) if value.is_empty() => "nothing".to_owned(),
        Err(_) if value.starts_with('/') => "path".to_owned(),
        Err(_) => "string".to_owned(),
    }
}

/// The path of an address, which may be a whole one.
fn path(address: &str) -> String {
    let rest = address
        .split_once("://")
        .map_or(address, |(_, rest)| rest.find('/').map_or("", |slash| &rest[slash..]));
    Names::path(rest.split(['?', '#']).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::parse_html;

    fn lines(page: &str) -> Vec<String> {
        outline(&parse_html(page).unwrap(), &Names::new([]))
    }

    #[test]
    fn a_page_shows_its_forms_and_none_of_its_values() {
        let page = r#"<html lang="en"><head><title>canary</title><meta name="csrf-token" content="canary"></head>
            <body data-page="canary:new"><!-- canary --><h1 class="page-title">canary</h1>
            <div id="js-2fa" data-path="/users/sign_in" data-totp-enabled="true" data-app-data='{"show_captcha":false,"user":"canary"}'></div>
            <table><tr id="application_17" title="canary"><td>canary</td></tr></table>
            <form id="new_user" class="gl-form js-form" action="https://canary.example.com/users/sign_in?canary" method="post">
              <input type="hidden" name="_method" value="delete"><input type="password" name="user[password]" value="canary" placeholder="canary" disabled>
              <select name="user[role]"><option value="canary">canary</option></select>
              <a href="/canary" data-method="delete" data-confirm="canary">canary</a>
            </form></body></html>"#;
        let lines = lines(page);
        assert_eq!(
            lines,
            [
                "title",
                "meta[name=csrf-token]",
                "body[data-page:string]",
                r#"  div#js-2fa[data-app-data:{"show_captcha":"boolean","user":"string"}][data-path:path][data-totp-enabled:boolean]"#,
                "  table",
                "    tr#application_0",
                "  form#new_user.gl-form.js-form[action=/users/sign_in][method=post]",
                "    input[name=_method][type=hidden][value=delete]",
                "    input[disabled][name=user[password]][type=password]",
                "    select[name=user[role]]",
                "    a[data-confirm:string][data-method=delete]",
            ]
        );
        assert!(!lines.concat().contains("canary"));
    }

    #[test]
    fn a_long_page_is_cut() {
        assert_eq!(lines(&"<input>".repeat(LINES + 5)).len(), LINES + 1);
    }
}
