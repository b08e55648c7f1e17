//! The repository selection.

use std::collections::BTreeSet;

use super::super::fault::Finding;
use super::super::raw::Text;
use super::{Facts, once};
use crate::model::PathPattern;

/// The two lists, by their paths.
fn lists<'a>(facts: &Facts<'a>) -> impl Iterator<Item = (&'static str, &'a [Text])> {
    let raw = facts.raw.repositories.as_ref();
    let texts = |list: Option<&'a super::super::raw::Spanned<Vec<Text>>>| list.map_or(&[][..], |list| list.as_slice());
    [
        ("repositories.enable", texts(raw.and_then(|raw| raw.enable.as_ref()))),
        ("repositories.except", texts(raw.and_then(|raw| raw.except.as_ref()))),
    ]
    .into_iter()
}

/// Two patterns that always select the same.
fn folded(pattern: &str) -> String {
    pattern.trim_matches('/').to_ascii_lowercase()
}

pub(super) fn patterns_parse(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for (list, patterns) in lists(facts) {
        for pattern in patterns {
            if let Some((what, hint)) = path_problem(pattern) {
                findings.push(Finding::new(pattern.span(), format!("a path of `{list}` {what}"), hint));
            } else if let Err(error) = PathPattern::new(pattern) {
                findings.push(
                    Finding::new(
                        pattern.span(),
                        format!("a glob of `{list}` does not parse"),
                        "`*` stays within a segment, `**` crosses segments, `[ab]` and `{a,b}` have to be closed",
                    )
                    .label(error.why),
                );
            }
        }
    }
}

pub(super) fn patterns_are_listed_once(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for (list, patterns) in lists(facts) {
        once(list, patterns, folded, findings);
    }
}

pub(super) fn nothing_is_enabled_and_excepted(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let mut lists = lists(facts);
    let (Some((_, enabled)), Some((_, excepted))) = (lists.next(), lists.next()) else {
        return;
    };
    let enabled: BTreeSet<String> = enabled.iter().map(|pattern| folded(pattern)).collect();
    for pattern in excepted.iter().filter(|pattern| enabled.contains(&folded(pattern))) {
        findings.push(Finding::new(
            pattern.span(),
            "this is both in `repositories.enable` and in `repositories.except`",
            "remove it from one of the two lists",
        ));
    }
}

/// What keeps a text from being a full path or a glob over full paths, and what to do about it.
pub(super) fn path_problem(path: &str) -> Option<(&'static str, &'static str)> {
    let trimmed = path.trim_matches('/');
    if trimmed.is_empty() {
        Some(("is empty", "write a full path, such as \"platform/checkout\""))
    } else if trimmed.contains("://") {
        Some((
            "is an address",
            "write what follows the host, such as \"platform/checkout\"",
        ))
    } else if trimmed.contains('@') {
        Some((
            "is an address of Git",
            "write what follows the host, without `.git`, such as \"platform/checkout\"",
        ))
    } else if trimmed.contains('\\') {
        Some(("has a backslash", "write `/` between two names"))
    } else if trimmed.split('/').any(|segment| segment == "-") {
        Some((
            "is the address of a page",
            "write what stands before `/-/`, which is the full path of the project",
        ))
    } else if trimmed.split('/').any(|segment| segment == "." || segment == "..") {
        Some((
            "has a segment of dots",
            "write the full path, from the top-level group on",
        ))
    } else if trimmed
        .to_ascii_lowercase()
        .split('/')
        .any(|segment| [".git", ".atom"].iter().any(|end| segment.ends_with(end)))
    {
        Some((
            "ends as no path of GitLab does",
            "leave the ending out, as in the address of the project in a browser",
        ))
    } else if trimmed.contains(crate::glyphs::is_unsafe) {
        Some((
            "has characters that cannot be seen",
            "write the path as it stands in the address of the project",
        ))
    } else if trimmed.contains(|c: char| c.is_whitespace() || c.is_control()) {
        Some((
            "has white space",
            "write the path as it stands in the address of the project, not its title",
        ))
    } else if trimmed.split('/').any(str::is_empty) {
        Some(("has an empty segment", "write one slash between two names"))
    } else {
        None
    }
}
