//! What is left to people as Markdown, ready for an issue or a merge request: task-list boxes, and long lists folded
//! away. Whatever others wrote stands in code spans, where GitLab expands nothing.

use std::fmt::Write as _;

use super::Environment;
use super::instructions::{Line, Place, StepFacts, instructions};
use super::prompt::{needs_file, prompts};
use super::text::{chars, escape, sanitize};
use crate::model::{Address, ApplicationId, ApplicationUid, OperatorStep};

/// Longer lists are folded.
const OPEN: usize = 10;

/// Room for the words that say what was left out.
const NOTE: usize = 300;

/// The one command that goes on from where a run ended.
#[derive(Debug, Clone)]
pub struct Onward {
    /// When it is its turn, as the beginning of a sentence.
    pub when: &'static str,
    /// The whole command line.
    pub command: String,
    /// Whether the run was stopped, so that it goes on before a person's steps are done.
    pub stopped: bool,
}

impl Onward {
    /// The last lines of what is for people.
    pub fn ending(&self) -> String {
        let Self { when, command, .. } = self;
        format!("\n{when}:\n\n    {command}\n")
    }
}

/// The steps as a task list, in their order, with the one command that goes on from there. Where it would be longer than
/// `max_chars` characters, lists of repositories are cut, which the configuration's patterns describe all the same;
/// `repositories_file` has them all, where there is one.
pub fn checklist(
    steps: &[(&Address, &OperatorStep)],
    application: Option<&(ApplicationId, ApplicationUid)>,
    facts: &StepFacts,
    environment: &Environment,
    repositories_file: Option<&str>,
    onward: &Onward,
    max_chars: Option<usize>,
) -> String {
    let assembled = |most: usize| assemble(steps, application, facts, environment, repositories_file, onward, most);
    let whole = assembled(usize::MAX);
    let Some(max) = max_chars.filter(|max| chars(&whole) > *max) else {
        return whole;
    };
    let room = max.saturating_sub(NOTE);
    let fits = |most: &usize| chars(&assembled(*most)) <= room;
    // Powers of two: whoever reads a hundred of them ticks by the pattern.
    let most = (0..=12).rev().map(|power| 1 << power).find(fits).unwrap_or(0);
    let place = repositories_file.map_or_else(
        || "`setpoint plan` shows all of them".to_owned(),
        |file| format!("{} has all of them", code(file)),
    );
    format!(
        "{}\nShortened to {max} characters: of each group at most {most} repositories are listed; {place}.\n",
        assembled(most)
    )
}

/// With at most so many repositories of a group.
fn assemble(
    steps: &[(&Address, &OperatorStep)],
    application: Option<&(ApplicationId, ApplicationUid)>,
    facts: &StepFacts,
    environment: &Environment,
    repositories_file: Option<&str>,
    onward: &Onward,
    most: usize,
) -> String {
    let mut out = format!(
        "### For an operator\n\nOn {}\n\nIn this order:\n\n",
        code(&environment.line())
    );
    let prompts = prompts(steps);
    for (at, prompt) in (1..).zip(&prompts) {
        let Some(instructions) = instructions(prompt, application, facts) else {
            continue;
        };
        let place = Place { at, of: prompts.len() };
        if instructions.groups.is_empty() {
            let _ = writeln!(out, "- [ ] {place}: {}", code(&instructions.title));
        } else {
            // Of one it is the address, of several their number.
            let title = if prompt.len() > 1 {
                instructions.title
            } else {
                code(&instructions.title)
            };
            let _ = writeln!(out, "- [ ] {place}: Repository selection: {title}");
        }
        for line in &instructions.lines {
            let _ = match line {
                Line::Prose(label, text) => writeln!(out, "  - {label}: {}", prose(text)),
                Line::Value(label, value) => writeln!(out, "  - {label}: {}", code(value)),
                Line::Page(label, address) => writeln!(out, "  - {label}: {}", link(address)),
            };
        }
        if let Some(file) = repositories_file.filter(|_| needs_file(prompt)) {
            let _ = writeln!(out, "  - all of them are listed in: {}", code(file));
        }
        for group in &instructions.groups {
            let fold = group.paths.len() > OPEN;
            if fold {
                // Within the code element GitLab makes no mention of a name that looks like one.
                let name = format!("<code>{}</code>", escape(&sanitize(&group.name)));
                let _ = writeln!(out, "\n  <details><summary>{} {name}</summary>\n", group.lead());
            } else {
                let _ = writeln!(out, "\n  {} {}\n", group.lead(), code(&group.name));
            }
            for path in group.paths.iter().take(most) {
                let _ = writeln!(out, "  - [ ] {}", code(path));
            }
            if group.paths.len() > most {
                let _ = writeln!(out, "  - and {} more", group.paths.len() - most);
            }
            if fold {
                out.push_str("\n  </details>\n");
            }
        }
    }
    let (before, then) = if onward.stopped {
        (
            "The run was stopped before its end. ",
            " It lists again what of this is left then.",
        )
    } else if steps.iter().any(|(_, step)| step.is_attested()) {
        (
            "",
            " It says what bears it out, and records it. A part of it: the same with addresses in place of `--all`.",
        )
    } else {
        ("", "")
    };
    let _ = writeln!(out, "\n{before}{}: {}.{then}", onward.when, code(&onward.command));
    if steps.iter().any(|(_, step)| !step.is_attested()) {
        out.push_str(
            "\nWhether Factory's access was approved, and as whom, the next apply sees for itself, and goes on.\n",
        );
    }
    out
}

/// An address that can be clicked, and copied as it stands. One with characters that no address has is code.
pub(super) fn link(address: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]%=&+,;".contains(c);
    let is_address = address.starts_with("https://") || address.starts_with("http://");
    if is_address && address.chars().all(is_plain) {
        return format!("<{address}>");
    }
    code(address)
}

/// The longest row of backticks: a fence has to be longer.
pub(super) fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}

/// Text as a code span that nothing in it can end.
pub(super) fn code(text: &str) -> String {
    let text = sanitize(text);
    let fence = "`".repeat(longest_run(&text) + 1);
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

#[cfg(test)]
mod tests {
    use super::{Environment, Onward, chars, checklist, code, link, prose};
    use crate::model::{Address, FullPath, OperatorStep, ProjectId};
    use crate::render::{Patterns, SecretPlace, StepFacts};

    fn confirm() -> Onward {
        Onward {
            when: "When all of it is done",
            command: "setpoint confirm --all".to_owned(),
            stopped: false,
        }
    }

    #[test]
    fn nothing_ends_its_code_span_or_becomes_markup() {
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(prose("<b> @all `x_y` a_b"), "\\<b\\> \\@all `x_y` a\\_b");
        assert_eq!(prose("a``b `c` ```d"), "ab `c` `d`");
        assert_eq!(
            link("https://gitlab.example.com/a?b=c"),
            "<https://gitlab.example.com/a?b=c>"
        );
        for none in [
            "javascript:alert(1)",
            "https://a.example.com/> @all",
            "https://a.example.com/`x",
        ] {
            assert!(link(none).starts_with('`'), "{none}");
        }
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
        let facts = StepFacts {
            gitlab_url: "https://gitlab.example.com".to_owned(),
            app_url: "https://app.factory.ai".to_owned(),
            sign_in: None,
            password: None,
            secret: SecretPlace::Unknown,
            approve_at: None,
            patterns: Patterns {
                enable: vec!["platform/**".to_owned()],
                except: vec!["platform/archive/**".to_owned()],
            },
            width: 80,
        };
        let steps: Vec<_> = owned.iter().map(|(address, step)| (address, step)).collect();
        let text = checklist(&steps, None, &facts, &Environment::example(), None, &confirm(), None);
        assert!(
            text.contains("<details><summary>enable 20 repositories in <code>platform</code></summary>"),
            "{text}"
        );
        assert_eq!(text.matches("- [ ] `platform/p").count(), 20, "{text}");
        assert!(
            !checklist(
                &steps[..3],
                None,
                &facts,
                &Environment::example(),
                None,
                &confirm(),
                None
            )
            .contains("<details>")
        );
        assert!(
            text.contains("enabled is what fits `platform/**`, all except `platform/archive/**`"),
            "{text}"
        );
        // Shortened, it has the pattern and the number all the same.
        let short = checklist(
            &steps,
            None,
            &facts,
            &Environment::example(),
            Some(".setpoint/repositories.txt"),
            &confirm(),
            Some(1200),
        );
        assert!(chars(&short) <= 1200, "{short}");
        for said in [
            "enable 20 repositories in",
            "fits `platform/**`",
            "more\n",
            "Shortened to 1200 characters:",
            "`.setpoint/repositories.txt` has all of them",
            "`setpoint confirm --all`",
        ] {
            assert!(short.contains(said), "{said} is not in {short}");
        }
    }
}
