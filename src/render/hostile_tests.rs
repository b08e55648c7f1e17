//! Whatever text of others stands in a plan, a report or a step: no renderer lets it act on a terminal, begin a line, or
//! leave the code that Markdown shows it in.

use jiff::Timestamp;
use proptest::prelude::*;

use super::progress::progress;
use super::{
    Environment, Onward, Patterns, Place, SecretPlace, StepFacts, checklist, drift, markdown, plan, prompt, record,
    report, repository_list,
};
use crate::glyphs;
use crate::model::{
    Actions, Address, ApplicationRef, ApplyReport, Attested, AttributeChange, ChangeOutcome, Corroboration, FullPath,
    OperatorStep, Outcome, OutcomeSummary, Plan, ProjectId, Warning, WarningCode,
};
use crate::planner::fixture::{attested, untouched};

/// Stands at both ends of every hostile text, so that it can be found.
const MARK: char = '☠';

/// Pieces that act on something, between letters.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "\n",
            "\r\n",
            "\u{1b}[2J",
            "\u{1b}]0;x\u{7}",
            "\u{9b}2J",
            "\u{85}",
            "\u{b}",
            "\u{c}",
            "\u{2028}",
            "\u{2029}",
            "\u{202e}",
            "\u{2066}",
            "\u{200b}",
            "\u{feff}",
            "\u{7f}",
            "\0",
            "\t",
            "`",
            "``",
            "```",
            "````````",
            "~~~",
            "|",
            "<!--",
            "-->",
            "<details>",
            "</details>",
            "<script>",
            "@all",
            "/close",
            "#1",
            "!1",
            "%1",
            "[x](y)",
            "![](z)",
            "**",
            "__",
            "&lt;",
            "\\",
            "\"",
            "  - ",
            "* [ ] ",
            "> ",
            "# ",
            "end\n```mermaid\nclick a \"javascript:1\"",
            " ",
        ])
        .prop_map(str::to_owned),
        "[a-zé名]{1,4}",
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| format!("{MARK}{}{MARK}", pieces.concat()))
}

/// A plan in which every text that can come from elsewhere is this one.
fn filled(text: &str) -> Plan {
    let mut plan = untouched().plan();
    let path = FullPath::new(text);
    for (index, change) in plan.changes.iter_mut().enumerate() {
        change.notes.push(text.to_owned());
        for (before, after) in [
            (serde_json::json!(text), serde_json::json!(format!("{text}\n{text}"))),
            (serde_json::json!([text, "a"]), serde_json::json!(["a", text, text])),
            (serde_json::Value::Null, serde_json::json!({ text: text })),
        ] {
            change.attributes.push(AttributeChange {
                path: text.to_owned(),
                before,
                after,
                sensitive: index % 5 == 4,
            });
        }
        if index % 2 == 1 {
            change.address = Address::Repository(path.clone());
        }
    }
    plan.warnings.push(Warning {
        code: WarningCode::Unobservable,
        message: text.to_owned(),
        address: Some(Address::Membership(path.clone())),
    });
    plan.attested.push(Attested {
        address: Address::Repository(path),
        by: text.to_owned(),
        at: Timestamp::UNIX_EPOCH,
        evidence: Some(Corroboration {
            authorized_application: text.to_owned(),
            authorized_at: Some(Timestamp::UNIX_EPOCH),
            last_activity_on: Some(text.to_owned()),
        }),
    });
    plan
}

fn outcomes(plan: &Plan, text: &str) -> ApplyReport {
    let outcomes: Vec<ChangeOutcome> = plan
        .changes
        .iter()
        .enumerate()
        .map(|(index, change)| ChangeOutcome {
            address: change.address.clone(),
            actions: change.actions,
            outcome: [Outcome::Failed, Outcome::Skipped, Outcome::Operator, Outcome::Done][index % 4],
            error: Some(text.to_owned()),
            writes: 0,
            fallback: false,
            approve_at: None,
        })
        .collect();
    ApplyReport {
        format_version: "1.0".to_owned(),
        run_id: text.to_owned(),
        gitlab_url: text.to_owned(),
        factory_url: text.to_owned(),
        config_file: text.to_owned(),
        summary: OutcomeSummary::of(&outcomes),
        outcomes,
        next_command: Some(text.to_owned()),
    }
}

/// A file and a version of somebody's choice.
fn named(text: &str) -> Environment {
    Environment {
        config_file: text.to_owned(),
        gitlab_version: Some(text.to_owned()),
        ..Environment::example()
    }
}

fn steps(text: &str) -> Vec<(Address, OperatorStep)> {
    let path = FullPath::new(text);
    let enable = |id| OperatorStep::EnableRepository {
        id: ProjectId(id),
        path: path.clone(),
    };
    let mut steps = vec![
        (
            Address::Application,
            OperatorStep::SetTrusted {
                application: ApplicationRef::Planned,
                name: text.to_owned(),
                trusted: true,
            },
        ),
        (
            Address::Authorization,
            OperatorStep::Authorize {
                username: text.to_owned(),
            },
        ),
    ];
    steps.extend((0..15).map(|id| (Address::Repository(path.clone()), enable(id))));
    steps
}

const PLACE: Place = Place { at: 1, of: 2 };

fn facts(text: &str) -> StepFacts {
    StepFacts {
        gitlab_url: "https://gitlab.example.com".to_owned(),
        app_url: "https://app.example.com".to_owned(),
        sign_in: None,
        password: Some(text.to_owned()),
        secret: SecretPlace::Saved(text.to_owned()),
        approve_at: None,
        patterns: Patterns {
            enable: vec![text.to_owned()],
            except: vec![text.to_owned()],
        },
        // A value that is too long for the line begins at its edge, so that it can be copied.
        width: 2000,
    }
}

/// Text outside of fences, code spans and code elements.
fn outside_of_code(markdown: &str) -> String {
    let mut out = String::new();
    let mut fence = 0;
    for line in markdown.lines() {
        let ticks = line.len() - line.trim_start_matches('`').len();
        if fence > 0 {
            if ticks >= fence && line.len() == ticks {
                fence = 0;
            }
        } else if ticks >= 3 {
            fence = ticks;
        } else {
            out.push_str(&without_spans(line));
            out.push('\n');
        }
    }
    assert_eq!(fence, 0, "a fence is open at the end:\n{markdown}");
    out
}

fn without_spans(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(['`', '<', '\\']) {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        if let Some(inside) = tail.strip_prefix("<code>") {
            rest = inside.split_once("</code>").map_or("", |(_, after)| after);
            continue;
        }
        let ticks = tail.len() - tail.trim_start_matches('`').len();
        if ticks == 0 {
            // An escape covers the character after it.
            let taken: String = tail.chars().take(if tail.starts_with('\\') { 2 } else { 1 }).collect();
            if !tail.starts_with('\\') {
                out.push_str(&taken);
            }
            rest = &tail[taken.len()..];
            continue;
        }
        let after = &tail[ticks..];
        let mut place = 0;
        rest = loop {
            let Some(next) = after[place..].find('`') else {
                panic!("a span is open: {line}");
            };
            let run = after[place + next..].len() - after[place + next..].trim_start_matches('`').len();
            place += next + run;
            if run == ticks {
                break &after[place..];
            }
        };
    }
    out.push_str(rest);
    out
}

fn expect_tame(shown: &str) {
    let plain = anstream::adapter::strip_str(shown).to_string();
    let acting: Vec<char> = plain.chars().filter(|c| *c != '\n' && glyphs::is_unsafe(*c)).collect();
    assert!(acting.is_empty(), "{acting:?} in\n{plain}");
    // Our own sequences are colours and links, and nothing else; an address that is not one is no link.
    for sequence in super::without_links(shown).split('\u{1b}').skip(1) {
        let end = sequence
            .find(|c: char| c.is_ascii_alphabetic())
            .map(|at| &sequence[..=at]);
        assert!(
            end.is_some_and(|end| end.starts_with('[') && end.ends_with('m')),
            "{sequence:?}"
        );
    }
    for line in plain.lines() {
        assert!(!line.starts_with([MARK, '/', '@', '~']), "{line:?} in\n{plain}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_of_others_does_not_act(text in hostile()) {
        let shown = filled(&text);
        let report_of = outcomes(&shown, &text);
        let owned = steps(&text);
        let steps: Vec<_> = owned.iter().map(|(address, step)| (address, step)).collect();
        let facts = facts(&text);
        for out in [
            plan(&shown, &named(&text), 80),
            drift(&shown, &named(&text), 80),
            report(&shown, &named(&text), &report_of, super::Requests::default(), std::time::Duration::ZERO, false, 80),
            report_of.outcomes.iter().map(progress).fold(String::new(), |text, line| text + " " + &line),
            steps.iter().map(|step| prompt(&[*step], PLACE, None, &facts, None)).collect(),
            prompt(&steps[2..], PLACE, None, &facts, None),
            repository_list(&steps),
            record(&format!(" {text}"), Some(&attested().recorded), &format!("Locked by {text}"), 80),
        ] {
            prop_assert!(out.contains(MARK));
            expect_tame(&out);
        }
    }

    #[test]
    fn text_of_others_stays_code_in_markdown(text in hostile()) {
        let mut shown = filled(&text);
        let owned = steps(&text);
        let steps: Vec<_> = owned.iter().map(|(address, step)| (address, step)).collect();
        for command in [crate::model::Command::Plan, crate::model::Command::Drift] {
            shown.command = command;
            for max in [None, Some(super::LEAST_CHARS), Some(5000)] {
                let note = markdown(&shown, &named(&text), max);
                expect_tame(&note);
                prop_assert!(!outside_of_code(&note).contains(MARK), "{}", note);
                let graph = note.split("\n```mermaid\n").nth(1).and_then(|rest| rest.split("```").next());
                prop_assert!(graph.is_none_or(|graph| !graph.contains(MARK)));
                prop_assert_eq!(note.matches("\n<details>").count(), note.matches("\n</details>").count());
            }
        }
        for part in [&steps[..], &steps[..3], &steps[2..]] {
            let list = checklist(part, None, &facts(&text), &named(&text), Some(&text), &Onward { when: "To go on", command: text.clone(), stopped: false }, Some(super::LEAST_CHARS));
            expect_tame(&list);
            // Names stand in prose too, where each sign of Markdown is escaped.
            let open = outside_of_code(&list);
            for sign in ["@all", "#1", "!1", "%1", "](", "<!--", "<script>", "**", "__", "&lt;"] {
                prop_assert!(!open.contains(sign), "{} in {}", sign, list);
            }
        }
    }
}

#[test]
fn actions_are_all_shown() {
    // What the strategies above rest on: the plan that is filled has changes of the kinds that are rendered.
    let plan = filled("x");
    assert!(plan.changes.iter().any(|change| change.actions == Actions::Create) && plan.changes.len() > 5);
}
