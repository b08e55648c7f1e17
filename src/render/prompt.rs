//! Operator steps as short prompts for the terminal: where, as whom, what to click, and the exact values, each on a line
//! of its own so that it is easy to copy.

use std::fmt::Write as _;

use super::instructions::{Line, Place, StepFacts, approve_lines, corroboration, instructions};
use super::link::link;
use super::qr::qr;
use super::style::{BOLD, paint};
use super::text::{columns, sanitize, wrap};
use crate::model::{Address, ApplicationId, ApplicationUid, ApproveAt, OperatorStep, Seen};

/// As many repositories are listed on a prompt; more go where the caller says.
const LISTED: usize = 40;
const INDENT: usize = 4;
/// The columns of the labels `where`, `as`, `do`, …
const LABEL: usize = 7;

/// One prompt. `application` is the one that the step means where it does not say it itself.
pub fn prompt(
    steps: &[(&Address, &OperatorStep)],
    place: Place,
    application: Option<&(ApplicationId, ApplicationUid)>,
    facts: &StepFacts,
    repositories_file: Option<&str>,
) -> String {
    let mut out = String::new();
    let Some(instructions) = instructions(steps, application, facts) else {
        return out;
    };
    head(
        &mut out,
        &format!("{place}: {}", instructions.title),
        &instructions.lines,
        facts.width,
    );
    let listed_elsewhere = repositories_file.filter(|_| needs_file(steps));
    for group in &instructions.groups {
        prose(&mut out, &group.headline(), "", facts.width);
        if listed_elsewhere.is_none() {
            for path in &group.paths {
                copy(&mut out, &sanitize(path), facts.width);
            }
        }
    }
    if let Some(file) = listed_elsewhere {
        prose(&mut out, "all of them are listed in", "", facts.width);
        copy(&mut out, &sanitize(file), facts.width);
    }
    out
}

/// Where a person approves Factory's access, also as a picture for a telephone where the terminal (columns, lines) has room
/// for it.
pub fn approval(facts: &StepFacts, at: &ApproveAt, terminal: Option<(usize, usize)>) -> String {
    let mut out = String::new();
    let lines = approve_lines(&at.username, Some(at), facts);
    head(&mut out, &Address::Authorization.to_string(), &lines, facts.width);
    if let Some(picture) = terminal.and_then(|room| qr(&at.url, room)) {
        out.push('\n');
        out.push_str(&picture);
    }
    out
}

fn head(out: &mut String, title: &str, lines: &[Line], width: usize) {
    let _ = writeln!(out, "\n  {}", paint(BOLD, &sanitize(title)));
    for line in lines {
        match line {
            Line::Prose(label, text) => prose(out, label, text, width),
            Line::Value(label, value) => {
                prose(out, label, "", width);
                copy(out, &sanitize(value), width);
            }
            Line::Page(label, value) => {
                prose(out, label, "", width);
                copy(out, &link(value, &sanitize(value)), width);
            }
        }
    }
}

fn prose(out: &mut String, label: &str, text: &str, width: usize) {
    let indent = " ".repeat(INDENT);
    let label = sanitize(label);
    let (first, rest) = if text.is_empty() {
        (indent.clone(), indent)
    } else if label.len() <= LABEL {
        (format!("{indent}{label:<LABEL$} "), " ".repeat(INDENT + LABEL + 1))
    } else {
        (format!("{indent}{label}: "), " ".repeat(INDENT + LABEL + 1))
    };
    let text = if text.is_empty() { label } else { sanitize(text) };
    let _ = writeln!(out, "{}", wrap(&text, width, &first, &rest));
}

/// A value on a line of its own. One that does not fit behind the indent begins at the edge.
fn copy(out: &mut String, value: &str, width: usize) {
    let indent = " ".repeat(INDENT + 2);
    let fits = indent.len() + columns(value) <= width;
    let _ = writeln!(out, "{}{value}", if fits { indent.as_str() } else { "" });
}

/// The repositories of a prompt, one to a line, for a file.
pub fn repository_list(steps: &[(&Address, &OperatorStep)]) -> String {
    let mut out = String::new();
    for (_, step) in steps {
        match step {
            OperatorStep::EnableRepository { path, .. } => {
                let _ = writeln!(out, "enable {}", sanitize(path.as_str()));
            }
            OperatorStep::DisableRepository { path, .. } => {
                let _ = writeln!(out, "disable {}", sanitize(path.as_str()));
            }
            _ => {}
        }
    }
    out
}

/// Whether a prompt's repositories are too many to be listed on it.
pub fn needs_file(steps: &[(&Address, &OperatorStep)]) -> bool {
    steps.len() > LISTED
}

/// The lines after a step that was attested: what was checked, and what could not be.
pub fn after(step: &OperatorStep, seen: &Seen, width: usize) -> String {
    let unchecked = match (step, seen) {
        (OperatorStep::Authorize { .. }, Seen::Authorized(evidence)) => {
            let checked = format!(
                "{}. So Application ID and secret are right, and it is the droid that approved",
                corroboration(evidence)
            );
            return lines(Some(&checked), "that Factory works with it", width);
        }
        (OperatorStep::Authorize { username }, Seen::Unread(why)) => {
            let why = why.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
            let text = format!("whether {username} approved it: its page in GitLab was not read{why}");
            return lines(None, &text, width);
        }
        (OperatorStep::Authorize { .. }, Seen::Nothing) => "who approved it",
        (OperatorStep::SetTrusted { .. }, _) => {
            "the tick: GitLab's API does not show it; with `gitlab.admin_session` each plan reads it"
        }
        (OperatorStep::AcceptTerms { .. }, _) => {
            "whether the terms are accepted: GitLab shows that to the account alone"
        }
        (OperatorStep::SaveConnection { .. }, _) => {
            "what was typed: Factory shows it to nobody outside. A wrong Application ID or secret shows at the \
             authorization"
        }
        // Factory's answer was seen.
        (OperatorStep::Approve { .. }, _) => return String::new(),
        (OperatorStep::DeleteConnection, _) => "whether Factory has forgotten it",
        (OperatorStep::EnableRepository { .. } | OperatorStep::DisableRepository { .. }, _) => {
            "the selection: nothing outside of Factory shows it"
        }
    };
    lines(None, unchecked, width)
}

fn lines(checked: Option<&str>, unchecked: &str, width: usize) -> String {
    let line =
        |label: &str, text: &str| wrap(&format!("{}.", sanitize(text)), width, &format!("  {label}: "), "    ") + "\n";
    let checked = checked.map(|checked| line("Checked", checked)).unwrap_or_default();
    checked + &line("Not checked", unchecked)
}

/// Puts the steps of changes on prompts: one step to a prompt, but all repositories on one.
pub fn prompts<'a>(steps: &[(&'a Address, &'a OperatorStep)]) -> Vec<Vec<(&'a Address, &'a OperatorStep)>> {
    let (repositories, others): (Vec<_>, Vec<_>) = steps.iter().partition(|(_, step)| step.project().is_some());
    let mut prompts: Vec<_> = others.into_iter().map(|step| vec![step]).collect();
    if !repositories.is_empty() {
        prompts.push(repositories);
    }
    prompts
}

#[cfg(test)]
mod tests {
    use super::{after, prompt, prompts};
    use crate::model::{Address, FullPath, OperatorStep, ProjectId, SecretSource, Seen, SignIn};
    use crate::render::{Patterns, Place, SecretPlace, StepFacts};

    const ONLY: Place = Place { at: 1, of: 1 };

    fn facts(width: usize) -> StepFacts {
        StepFacts {
            gitlab_url: "https://gitlab.example.com".to_owned(),
            app_url: "https://app.eu.factory.ai".to_owned(),
            sign_in: Some(SignIn::Impersonate),
            password: None,
            secret: SecretPlace::OnRequest,
            approve_at: None,
            patterns: Patterns::default(),
            width,
        }
    }

    #[test]
    fn prose_keeps_within_the_width_and_values_stay_whole() {
        let step = OperatorStep::SaveConnection {
            domain: "https://gitlab.example.com".into(),
            application: crate::model::ApplicationRef::Existing {
                id: crate::model::ApplicationId(7),
                uid: crate::model::ApplicationUid("a".repeat(64)),
            },
            secret: SecretSource::Fresh,
        };
        let text =
            anstream::adapter::strip_str(&prompt(&[(&Address::Connection, &step)], ONLY, None, &facts(60), None))
                .to_string();
        for line in text.lines() {
            assert!(line.chars().count() <= 60 || line == "a".repeat(64), "{line}");
        }
        assert!(text.lines().any(|line| line == "a".repeat(64)), "{text}");
        assert!(
            text.lines().any(|line| line.trim() == "https://gitlab.example.com"),
            "{text}"
        );
        assert!(
            text.contains("https://app.eu.factory.ai/settings/integrations"),
            "{text}"
        );
    }

    #[test]
    fn repositories_share_a_card_by_group_and_many_go_to_a_file() {
        let owned: Vec<(Address, OperatorStep)> = (0..50)
            .map(|id| {
                let path = FullPath::new(format!("{}/p{id}", if id % 2 == 0 { "platform" } else { "web" }));
                let step = if id == 49 {
                    OperatorStep::DisableRepository {
                        id: ProjectId(id),
                        path: path.clone(),
                    }
                } else {
                    OperatorStep::EnableRepository {
                        id: ProjectId(id),
                        path: path.clone(),
                    }
                };
                (Address::Repository(path), step)
            })
            .collect();
        let steps: Vec<_> = owned.iter().map(|(address, step)| (address, step)).collect();
        assert_eq!(prompts(&steps).len(), 1);
        let text = prompt(&steps, ONLY, None, &facts(80), Some("repositories.txt"));
        for said in [
            "enable 25 repositories in platform",
            "enable 24 repositories in web",
            "disable 1 repository in web",
            "repositories.txt",
        ] {
            assert!(text.contains(said), "{said} is not in {text}");
        }
        assert!(!text.contains("platform/p0"), "{text}");
        assert!(prompt(&steps[..3], ONLY, None, &facts(80), None).contains("platform/p2"));
    }

    #[test]
    fn after_a_step_it_is_said_what_was_checked_and_what_not() {
        let step = OperatorStep::Authorize {
            username: "factory-droid".to_owned(),
        };
        let evidence = crate::model::Corroboration {
            authorized_application: "Factory Integration".to_owned(),
            authorized_at: None,
            last_activity_on: None,
        };
        insta::assert_snapshot!(after(&step, &Seen::Authorized(evidence), 80), @r"
          Checked: GitLab lists `Factory Integration` as authorized by the droid. So
            Application ID and secret are right, and it is the droid that approved.
          Not checked: that Factory works with it.
        ");
        let unread = Seen::Unread(Some("GitLab asks for a code".to_owned()));
        insta::assert_snapshot!(after(&step, &unread, 80), @r"
        Not checked: whether factory-droid approved it: its page in GitLab was not
          read (GitLab asks for a code).
        ");
    }
}
