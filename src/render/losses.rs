//! What a plan takes away or cuts off, as the first list of a note: a reviewer is to see it without opening anything. A
//! name is code, and a link where nothing that GitLab makes of a link can come of it.

use std::fmt::Write as _;

use super::Environment;
use super::checklist::code;
use super::text::{chars, count};
use super::words::{reason_in_words, status_in_words};
use crate::model::{Actions, Address, Change, FullPath, Plan};

/// The list, in at most so many characters. What has no room is counted; the sections below have it.
pub(super) fn losses(plan: &Plan, environment: &Environment, room: usize) -> String {
    let mut lost: Vec<(&Change, &str)> = Vec::new();
    for change in &plan.changes {
        lost.extend(is_loss(change).then(|| (change, what(change))));
        let possible = change.possible().iter();
        lost.extend(possible.filter_map(|one| one.interrupts.as_ref().map(|_| (one, "may interrupt"))));
    }
    if lost.is_empty() {
        return String::new();
    }
    let title = format!("\n**Removes or interrupts: {}**\n\n", lost.len());
    let more = |number: usize| format!("- and {}\n", count(number as u64, "other", "others"));
    let mut left = room.saturating_sub(chars(&title) + chars(&more(lost.len())));
    let mut lines = String::new();
    let mut shown = 0;
    for (change, what) in &lost {
        let line = line(change, what, environment);
        if chars(&line) > left {
            break;
        }
        left -= chars(&line);
        lines.push_str(&line);
        shown += 1;
    }
    if shown < lost.len() {
        lines.push_str(&more(lost.len() - shown));
    }
    title + &lines
}

/// Whether something is gone afterwards, or does not work for a while.
fn is_loss(change: &Change) -> bool {
    matches!(change.actions, Actions::Delete | Actions::Replace) || change.interrupts.is_some()
}

fn what(change: &Change) -> &'static str {
    match change.actions {
        Actions::Delete => "delete",
        Actions::Replace => "replace",
        Actions::Create | Actions::Update => "interrupt",
    }
}

fn line(change: &Change, what: &str, environment: &Environment) -> String {
    let mut line = format!("- **{what}** {}", subject(&change.address, environment));
    let _ = writeln!(
        line,
        "{}: {}",
        status_in_words(change.status),
        reason_in_words(change.reason)
    );
    line
}

/// The address as code; of a group or project a link to its page.
fn subject(address: &Address, environment: &Environment) -> String {
    let shown = code(&address.to_string());
    match address.path().and_then(linked) {
        Some(path) => format!("[{shown}](<{}/{path}>)", environment.gitlab_url.trim_end_matches('/')),
        None => shown,
    }
}

/// A path that can stand in a link and is no reference there. GitLab takes the address of an issue, a commit and the like
/// for a reference to it, and notes that over there; a subgroup may be called `issues` (GitLab:
/// `app/models/concerns/referable.rb`, `lib/gitlab/path_regex.rb`).
fn linked(path: &FullPath) -> Option<&str> {
    const REFERENCES: [&str; 14] = [
        "alert_management",
        "boards",
        "cadences",
        "commit",
        "commits",
        "compare",
        "designs",
        "epics",
        "issues",
        "iterations",
        "merge_requests",
        "milestones",
        "snippets",
        "work_items",
    ];
    let of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let is_name = |segment: &str| {
        segment.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') && segment.chars().all(of_a_name)
    };
    let path = path.as_str();
    let segments = || path.split('/');
    let refers = segments().any(|segment| REFERENCES.contains(&segment.to_ascii_lowercase().as_str()));
    (segments().all(is_name) && !refers).then_some(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Environment, linked, losses};
    use crate::model::{Actions, Address, FullPath, Plan};
    use crate::planner::fixture::untouched;

    /// A plan that disables these repositories and nothing else.
    fn disabling(paths: &[&str]) -> Plan {
        let mut plan = untouched().plan();
        let mut change = plan.changes.pop().unwrap();
        change.actions = Actions::Delete;
        plan.changes = paths
            .iter()
            .map(|path| {
                let mut change = change.clone();
                change.address = Address::Repository(FullPath::new(*path));
                change
            })
            .collect();
        plan
    }

    #[test]
    fn what_goes_is_listed_with_its_page() {
        let list = losses(
            &disabling(&["platform/api", "we`b/x"]),
            &Environment::example(),
            usize::MAX,
        );
        insta::assert_snapshot!(list, @r#"

        **Removes or interrupts: 2**

        - **delete** [`factory.repository["platform/api"]`](<https://gitlab.example.com/platform/api>): it does not exist
        - **delete** ``factory.repository["we`b/x"]``: it does not exist
        "#);
        assert_eq!(losses(&untouched().plan(), &Environment::example(), usize::MAX), "");
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let paths: Vec<String> = (0..100).map(|number| format!("platform/p{number}")).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let list = losses(&disabling(&paths), &Environment::example(), 700);
        assert!(list.chars().count() <= 700, "{list}");
        let shown = list.matches("- **delete**").count();
        assert!(list.ends_with(&format!("- and {} others\n", 100 - shown)), "{list}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever groups and projects are called, no link is the address of something that GitLab makes a reference of.
        #[test]
        fn no_link_is_a_reference(segments in prop::collection::vec(
            prop::sample::select(vec![
                "a", "issues", "Issues", "1", "merge_requests", "-", "commit", "0a1b2c3", "snippets", "milestones", "epics",
                "work_items", "@all", "~bug", "#1", "!2", "%3", "..", ".", "a b", "a>b", "compare", "a...b", "(", "$1",
            ]),
            1..7,
        )) {
            let path = FullPath::new(segments.join("/"));
            if let Some(link) = linked(&path) {
                let harmless = |segment: &str| ["a", "1", "0a1b2c3", "a...b"].contains(&segment);
                prop_assert!(link.split('/').all(harmless), "{}", link);
            }
        }
    }
}
