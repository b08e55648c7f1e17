//! A plan as Markdown, for a note on a merge request: the summary first and what is lost, then all that changes folded
//! away by kind, and a graph where it says more than these. All text of others stands in code fences that it cannot end,
//! where neither markup nor mentions nor quick actions work.

use std::fmt::Write as _;

use super::checklist::{code, longest_run};
use super::human::{self, Layout};
use super::losses::losses;
use super::text::{chars, count};
use super::words::Mode;
use super::{Environment, graph, headline};
use crate::model::{Actions, Change, Command, Origin, Plan};

/// Room for the words that say what was left out.
const NOTE: usize = 400;
/// The least that `--max-chars` can ask for: the summary and the words that say what was left out.
pub const LEAST_CHARS: usize = 1500;

/// How wide what stands in a fold is, in columns.
const WIDTH: usize = 80;

struct Section<'a> {
    title: &'static str,
    changes: Vec<&'a Change>,
    mode: Mode,
}

/// A plan or the findings of `drift`. Where it would be longer than `max_chars` characters, parts are left out, and the
/// end says which.
pub fn markdown(plan: &Plan, environment: &Environment, max_chars: Option<usize>) -> String {
    let (whole, _) = assemble(plan, environment, usize::MAX);
    match max_chars {
        Some(max) if chars(&whole) > max => {
            let (mut part, left_out) = assemble(plan, environment, max.saturating_sub(NOTE));
            let command = if plan.command == Command::Drift {
                "drift"
            } else {
                "plan"
            };
            let _ = write!(
                part,
                "\n**Shortened to {max} characters.** Left out: {}. `setpoint {command}` shows everything.\n",
                left_out.join(", ")
            );
            part
        }
        _ => whole,
    }
}

/// The text of at most so many characters, and what is not in it.
fn assemble(plan: &Plan, environment: &Environment, limit: usize) -> (String, Vec<String>) {
    let mut out = head(plan, environment);
    let mut left_out = Vec::new();
    let room = |out: &str| limit.saturating_sub(chars(out));
    // In a note that is cut, the list leaves room for details.
    let share = if limit == usize::MAX { limit } else { room(&out) / 2 };
    out.push_str(&losses(plan, environment, share));
    let mut missing = 0;
    for section in sections(plan) {
        let shown = fitting(&section, room(&out));
        if shown > 0 {
            out.push_str(&fold(&section, shown));
        }
        missing += section.changes.len() - shown;
    }
    if missing > 0 {
        left_out.insert(
            0,
            format!("{missing} of {}", count(plan.changes.len() as u64, "change", "changes")),
        );
    }
    let mut remarks = String::new();
    human::attested(&mut remarks, &plan.attested, WIDTH);
    human::warnings(&mut remarks, plan, WIDTH);
    let remarks = plain(&remarks);
    if !remarks.trim().is_empty() {
        let warnings = plan
            .warnings
            .iter()
            .filter(|warning| !headline::is_refusal(plan, warning));
        let number = warnings.count() + plan.attested.len();
        let title = format!("Warnings and attestations: {number}");
        let folded = folded(&title, &remarks);
        if chars(&folded) <= room(&out) {
            out.push_str(&folded);
        } else {
            left_out.push(count(
                number as u64,
                "warning or attestation",
                "warnings and attestations",
            ));
        }
    }
    if let Some(graph) = graph::mermaid(plan) {
        let graph = format!("\n<details>\n<summary>Picture</summary>\n\n```mermaid\n{graph}```\n\n</details>\n");
        if chars(&graph) <= room(&out) {
            out.push_str(&graph);
        } else {
            left_out.push("the picture".to_owned());
        }
    }
    (out, left_out)
}

fn head(plan: &Plan, environment: &Environment) -> String {
    let mut out = format!(
        "### Setpoint {}\n\nOn {}\n\n",
        plan.command.name(),
        code(&environment.line())
    );
    let summary = if plan.changes.is_empty() {
        bold_start(&headline::no_changes(plan))
    } else if plan.command == Command::Drift {
        let s = plan.summary;
        format!(
            "**Drift:** {} drifted, {} pending, {} unchanged.",
            s.drifted, s.pending, s.unchanged
        )
    } else {
        plain(&human::totals(plan)).replacen("Plan:", "**Plan:**", 1)
    };
    let _ = writeln!(out, "{summary}");
    // Paths of others stand in these, behind an address: in code, where no markup works.
    if let Some(left_out) = headline::left_out(plan) {
        let _ = writeln!(out, "\n{}", fenced(&left_out).trim_end());
    }
    if let Some(interruption) = headline::interruption(plan) {
        let _ = writeln!(out, "\n**{interruption}**");
    }
    if let Some(allowed) = human::allowances(plan) {
        let _ = writeln!(out, "\n{allowed}");
    }
    for refusal in headline::refused(plan) {
        // That of a saved plan is what its file says.
        let hint = refusal
            .hint
            .as_ref()
            .map_or_else(String::new, |hint| format!("; {hint}"));
        let _ = writeln!(out, "\n> **Refused:** {}{hint}", code(&refusal.message));
    }
    out
}

/// The first sentence in bold. It is of Setpoint's own words, but for the targets, which have a sentence with a colon.
fn bold_start(headline: &str) -> String {
    match headline.split_once(". ").or_else(|| headline.split_once(": ")) {
        Some((first, rest)) if !headline[..=first.len()].ends_with(':') => format!("**{first}.** {rest}"),
        Some((first, rest)) => format!("**{first}:**\n\n{}", fenced(rest).trim_end()),
        None => format!("**{headline}**"),
    }
}

fn sections(plan: &Plan) -> Vec<Section<'_>> {
    let of = |title, mode: Mode, wanted: &dyn Fn(&Change) -> bool| Section {
        title,
        changes: plan.changes.iter().filter(|change| wanted(change)).collect(),
        mode,
    };
    let mode = Mode::of(plan.command);
    let sections = if plan.command == Command::Drift {
        vec![
            of("Changed outside of Setpoint", Mode::Drift, &|change| {
                change.origin != Origin::Pending
            }),
            of("Waiting to be applied", Mode::Plan, &|change| {
                change.origin == Origin::Pending
            }),
        ]
    } else {
        vec![
            of("Delete", mode, &|change| change.actions == Actions::Delete),
            of("Replace", mode, &|change| change.actions == Actions::Replace),
            of("Update", mode, &|change| change.actions == Actions::Update),
            of("Create", mode, &|change| change.actions == Actions::Create),
        ]
    };
    sections
        .into_iter()
        .filter(|section| !section.changes.is_empty())
        .collect()
}

/// How many changes of a section fit.
fn fitting(section: &Section<'_>, room: usize) -> usize {
    let fits = |number: usize| chars(&fold(section, number)) <= room;
    let all = section.changes.len();
    if room == usize::MAX || fits(all) {
        return all;
    }
    let (mut low, mut high) = (0, all);
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

fn fold(section: &Section<'_>, shown: usize) -> String {
    let layout = Layout {
        width: WIDTH,
        pages: None,
    };
    let changes: Vec<Change> = section.changes[..shown]
        .iter()
        .map(|change| (*change).clone())
        .collect();
    let mut text = String::new();
    human::blocks(&mut text, &changes, section.mode, layout);
    let all = section.changes.len();
    let title = if shown == all {
        format!("{}: {all}", section.title)
    } else {
        format!("{}: {all}, {shown} shown", section.title)
    };
    folded(&title, &plain(&text))
}

fn folded(title: &str, text: &str) -> String {
    format!(
        "\n<details>\n<summary>{title}</summary>\n\n{}\n</details>\n",
        fenced(text)
    )
}

fn fenced(text: &str) -> String {
    let text = text.trim_matches('\n');
    let fence = "`".repeat((longest_run(text) + 1).max(3));
    format!("{fence}text\n{text}\n{fence}\n")
}

fn plain(styled: &str) -> String {
    anstream::adapter::strip_str(styled).to_string()
}

#[cfg(test)]
mod tests {
    use super::{LEAST_CHARS, chars, markdown};
    use crate::model::Plan;
    use crate::planner::fixture::{Case, converged, untouched};
    use crate::render::Environment;

    fn hostile() -> Case {
        let mut case = converged();
        "```\n</details>\n/close\n@all <script> `````` [x](javascript:1)".clone_into(&mut case.user().fields.name);
        case
    }

    fn long() -> Plan {
        let mut plan = untouched().plan();
        let first = plan.changes.last().unwrap().clone();
        for number in 0..500 {
            let mut change = first.clone();
            change.address = format!("factory.repository[\"platform/service-{number:03}\"]")
                .parse()
                .unwrap();
            plan.changes.push(change);
        }
        plan
    }

    #[test]
    fn what_others_wrote_stays_inside_of_its_fence() {
        let text = markdown(&hostile().plan(), &Environment::example(), None);
        let fence = text.lines().find(|line| line.starts_with("```````")).unwrap();
        assert_eq!(fence, "```````text", "{text}");
        let closing: Vec<_> = text.lines().filter(|line| *line == "```````").collect();
        assert_eq!(closing.len(), 1, "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with('/')).count(), 0, "{text}");
        assert_eq!(text.lines().filter(|line| *line == "</details>").count(), 1, "{text}");
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_named() {
        let plan = long();
        let whole = markdown(&plan, &Environment::example(), None);
        for max in [LEAST_CHARS, 4000, 10_000, 20_000] {
            let text = markdown(&plan, &Environment::example(), Some(max));
            assert!(chars(&text) <= max, "{max}: {}", chars(&text));
            assert!(text.contains("Left out: "), "{text}");
            assert_eq!(
                text.matches("<details>").count(),
                text.matches("</details>").count(),
                "{text}"
            );
        }
        assert_eq!(markdown(&plan, &Environment::example(), Some(chars(&whole))), whole);
    }

    #[test]
    fn nothing_to_do_is_said_in_one_line() {
        assert_eq!(
            markdown(&converged().plan(), &Environment::example(), None),
            "### Setpoint plan\n\n\
             On `GitLab gitlab.example.com (18.5.1-ee), Factory us (assisted), setpoint.toml`\n\n\
             **No changes.** GitLab and Factory are as the configuration says.\n"
        );
    }
}
