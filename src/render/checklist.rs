//! What is left to people as Markdown, ready for an issue or a merge request: task-list boxes, and long lists folded
//! away. Whatever others wrote stands in code spans, where GitLab expands nothing.

use std::fmt::Write as _;

use super::Environment;
use super::card::cards;
use super::sheet::{CardFacts, Line, sheet};
use super::text::sanitize;
use crate::model::{Address, ApplicationId, ApplicationUid, OperatorStep};

/// Longer lists are folded.
const OPEN: usize = 10;

/// The steps as a task list, in their order, with the command that attests them.
pub fn checklist(
    steps: &[(&Address, &OperatorStep)],
    application: Option<&(ApplicationId, ApplicationUid)>,
    facts: &CardFacts,
    environment: &Environment,
) -> String {
    let mut out = format!(
        "### For an operator\n\nOn {}\n\nIn this order:\n\n",
        code(&environment.line())
    );
    for card in cards(steps) {
        let Some(sheet) = sheet(&card, application, facts) else {
            continue;
        };
        if sheet.groups.is_empty() {
            let _ = writeln!(out, "- [ ] {}", code(&sheet.title));
        } else {
            // Of one it is the address, of several their number.
            let title = if card.len() > 1 {
                sheet.title
            } else {
                code(&sheet.title)
            };
            let _ = writeln!(out, "- [ ] Repository selection: {title}");
        }
        for line in &sheet.lines {
            let _ = match line {
                Line::Prose(label, text) => writeln!(out, "  - {label}: {}", prose(text)),
                Line::Value(label, value) => writeln!(out, "  - {label}: {}", code(value)),
            };
        }
        for group in &sheet.groups {
            let fold = group.paths.len() > OPEN;
            if fold {
                // Within the code element GitLab makes no mention of a name that looks like one.
                let name = format!("<code>{}</code>", html(&group.name));
                let _ = writeln!(out, "\n  <details><summary>{} {name}</summary>\n", group.lead());
            } else {
                let _ = writeln!(out, "\n  {} {}\n", group.lead(), code(&group.name));
            }
            for path in &group.paths {
                let _ = writeln!(out, "  - [ ] {}", code(path));
            }
            if fold {
                out.push_str("\n  </details>\n");
            }
        }
    }
    out.push_str(
        "\nAfterwards `setpoint confirm --all` records all of it as done; `setpoint confirm ADDRESS…` records a part.\n",
    );
    out
}

/// Text as a code span that nothing in it can end.
pub(super) fn code(text: &str) -> String {
    let text = sanitize(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Our own words, in which the configuration's names may stand: what Markdown would take for its own is escaped, and
/// code spans stay.
pub(super) fn prose(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, part) in sanitize(text).split('`').enumerate() {
        if index % 2 == 1 {
            // Nothing between two of them is no code, and two in a row would begin another kind of span.
            if !part.is_empty() {
                out.push_str(&code(part));
            }
            continue;
        }
        for c in part.chars() {
            if matches!(
                c,
                '\\' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '~' | '@' | '!' | '&' | '|' | '$' | '%' | '^'
            ) {
                out.push('\\');
            }
            out.push(c);
        }
    }
    out
}

fn html(text: &str) -> String {
    sanitize(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{Environment, checklist, code, prose};
    use crate::model::{Address, FullPath, OperatorStep, ProjectId};
    use crate::render::{CardFacts, SecretPlace};

    #[test]
    fn nothing_ends_its_code_span_or_becomes_markup() {
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(prose("<b> @all `x_y` a_b"), "\\<b\\> \\@all `x_y` a\\_b");
        assert_eq!(prose("a``b `c` ```d"), "ab `c` `d`");
    }

    #[test]
    fn long_lists_are_folded_and_every_repository_has_a_box() {
        let owned: Vec<(Address, OperatorStep)> = (10..30)
            .map(|id| {
                let path = FullPath::new(format!("platform/p{id}"));
                let step = OperatorStep::EnableRepository {
                    id: ProjectId(id),
                    path: path.clone(),
                };
                (Address::Repository(path), step)
            })
            .collect();
        let facts = CardFacts {
            gitlab_url: "https://gitlab.example.com".to_owned(),
            app_url: "https://app.factory.ai".to_owned(),
            sign_in: None,
            secret: SecretPlace::Unknown,
            width: 80,
        };
        let steps: Vec<_> = owned.iter().map(|(address, step)| (address, step)).collect();
        let text = checklist(&steps, None, &facts, &Environment::example());
        assert!(
            text.contains("<details><summary>enable 20 repositories in <code>platform</code></summary>"),
            "{text}"
        );
        assert_eq!(text.matches("- [ ] `platform/p").count(), 20, "{text}");
        assert!(!checklist(&steps[..3], None, &facts, &Environment::example()).contains("<details>"));
    }
}
