//! The human form of a plan, after Terraform's: a legend of the symbols in use, a block for each change, warnings,
//! and one line that sums up. Everything that colour says, words or symbols say too.

use std::fmt::Write as _;

use super::instructions::corroboration;
use super::style::{ATTENTION, BOLD, DELETE, of, paint};
use super::text::{count, counts, sanitize, wrap};
use super::words::{self, Mode, status_in_words};
use super::{Environment, attributes, bulk, headline};
use crate::model::{Actions, Address, Allowances, Attested, Change, Command, Origin, Plan, Warning};

/// For whom changes are laid out.
#[derive(Clone, Copy)]
pub(super) struct Layout<'a> {
    /// How many columns there are.
    pub(super) width: usize,
    /// Whose pages addresses lead to, where they are links.
    pub(super) pages: Option<&'a Environment>,
}

/// A plan, as `plan`, `apply`, `rotate` and `destroy` show it, for so many columns.
pub fn plan(plan: &Plan, environment: &Environment, width: usize) -> String {
    let layout = Layout {
        width,
        pages: Some(environment),
    };
    let mut out = environment.lines(width) + "\n";
    if plan.changes.is_empty() {
        let _ = writeln!(
            out,
            "{}",
            paint(BOLD, &wrap(&headline::no_changes(plan), width, "", ""))
        );
    } else {
        out.push_str("Setpoint plans these changes:\n");
        legend(&mut out, &plan.changes);
        groups(&mut out, &plan.changes, Mode::of(plan.command), layout);
    }
    attested(&mut out, &plan.attested, width);
    warnings(&mut out, plan, width);
    refusals(&mut out, plan, width);
    if let Some(allowed) = allowances(plan) {
        let _ = writeln!(out, "\n{}", wrap(&allowed, width, "", "    "));
    }
    if let Some(left_out) = headline::left_out(plan) {
        let _ = writeln!(out, "\n{}", wrap(&left_out, width, "", ""));
    }
    if !plan.changes.is_empty() {
        let _ = write!(out, "\n{}\n", totals(plan));
    }
    if let Some(interruption) = headline::interruption(plan) {
        let _ = writeln!(out, "{}", paint(ATTENTION, &wrap(&interruption, width, "", "")));
    }
    out
}

/// The findings of `drift`: what the live sides changed apart from what the configuration still waits to have applied.
pub fn drift(plan: &Plan, environment: &Environment, width: usize) -> String {
    let layout = Layout {
        width,
        pages: Some(environment),
    };
    let mut out = environment.lines(width) + "\n";
    let (pending, drifted): (Vec<Change>, Vec<Change>) = plan
        .changes
        .iter()
        .cloned()
        .partition(|change| change.origin == Origin::Pending);
    if drifted.is_empty() {
        let _ = writeln!(out, "{}", paint(BOLD, &wrap(&headline::no_drift(plan), width, "", "")));
    } else {
        let _ = writeln!(
            out,
            "{} Changed outside of Setpoint, or never recorded.\nThe lines show what `setpoint apply` would change back:",
            paint(ATTENTION, "Drift.")
        );
        legend(&mut out, &drifted);
        groups(&mut out, &drifted, Mode::Drift, layout);
    }
    if !pending.is_empty() {
        let _ = writeln!(
            out,
            "\n{} In the configuration, and not applied yet:",
            paint(BOLD, "Pending.")
        );
        legend(&mut out, &pending);
        groups(&mut out, &pending, Mode::Plan, layout);
    }
    attested(&mut out, &plan.attested, width);
    warnings(&mut out, plan, width);
    let _ = write!(
        out,
        "\n{} {} drifted, {} pending, {} unchanged.\n",
        paint(BOLD, "Drift:"),
        plan.summary.drifted,
        plan.summary.pending,
        plan.summary.unchanged
    );
    out
}

/// What was allowed for this plan beyond the configuration.
pub(super) fn allowances(plan: &Plan) -> Option<String> {
    let Allowances {
        replace_application,
        removals,
        interruption,
    } = plan.allowances;
    let parts: Vec<String> = [
        replace_application.then(|| "replacing the application".to_owned()),
        removals.map(|number| format!("up to {}", count(number, "removal", "removals"))),
        interruption.then(|| "cutting Factory off until a person ends it".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!parts.is_empty()).then(|| format!("Allowed for this plan: {}.", parts.join("; ")))
}

/// `Plan: 3 to create, 1 to update.` and so on: zeros are left out, unless all are.
pub(super) fn totals(plan: &Plan) -> String {
    let s = plan.summary;
    let parts = counts([
        (s.create, "to create"),
        (s.update, "to update"),
        (s.replace, "to replace"),
        (s.delete, "to delete"),
        (s.unchanged, "unchanged"),
    ]);
    let mut line = format!("{} {}.", paint(BOLD, "Plan:"), parts.join(", "));
    if s.operator > 0 {
        let _ = write!(line, " {} for an operator.", s.operator);
    }
    if s.blocked > 0 {
        let _ = write!(line, " {} blocked.", s.blocked);
    }
    line
}

fn legend(out: &mut String, changes: &[Change]) {
    for (actions, meaning) in [
        (Actions::Create, "create"),
        (Actions::Update, "update in place"),
        (Actions::Replace, "replace: create the new one, then delete the old one"),
        (Actions::Delete, "delete"),
    ] {
        if changes.iter().any(|change| change.actions == actions) {
            let _ = writeln!(out, "{} {meaning}", symbol(actions));
        }
    }
}

/// The symbol in its column of three.
fn symbol(actions: Actions) -> String {
    let text = actions.symbol();
    format!("{}{}", " ".repeat(3 - text.len().min(3)), paint(of(actions), text))
}

/// Every change, in the order of the plan.
pub(super) fn blocks(out: &mut String, changes: &[Change], mode: Mode, layout: Layout<'_>) {
    for run in changes.chunk_by(is_groupable) {
        title(out, run, mode, layout.width);
        for change in run {
            block(out, change, layout);
        }
        notes(out, &run[0], layout.width);
    }
}

/// As [`blocks`], for a screen: many repositories that are enabled are counted by their groups and come first, and what
/// goes comes last, where the question is.
fn groups(out: &mut String, changes: &[Change], mode: Mode, layout: Layout<'_>) {
    let counted = |run: &[Change]| run.len() > bulk::FEW && run[0].actions == Actions::Create;
    let mut runs: Vec<&[Change]> = changes.chunk_by(is_groupable).collect();
    runs.sort_by_key(|run| match run[0].actions {
        _ if counted(run) => 0,
        Actions::Create | Actions::Update => 1,
        Actions::Replace | Actions::Delete => 2,
    });
    for run in runs {
        if !counted(run) {
            blocks(out, run, mode, layout);
            continue;
        }
        title(out, run, mode, layout.width);
        for group in run.chunk_by(|one, next| bulk::top_group(&one.address) == bulk::top_group(&next.address)) {
            let name = bulk::top_group(&group[0].address).unwrap_or_default();
            let _ = writeln!(
                out,
                "{} {}: {}{}",
                symbol(Actions::Create),
                sanitize(name),
                count(group.len() as u64, "repository", "repositories"),
                status_in_words(group[0].status),
            );
        }
        out.push_str("      each by its path: --format json or markdown\n");
        notes(out, &run[0], layout.width);
    }
}

/// The line above changes that are alike.
fn title(out: &mut String, run: &[Change], mode: Mode, width: usize) {
    let subject = subject(&run[0].address, run.len());
    let text = format!("{subject} {}", plural(words::summary_line(mode, &run[0]), run.len()));
    let _ = writeln!(out, "\n{}", paint(BOLD, &wrap(&text, width, "  # ", "  #   ")));
}

/// Repositories that differ in nothing but their path are shown together.
fn is_groupable(one: &Change, other: &Change) -> bool {
    let terse = |change: &Change| matches!(change.address, Address::Repository(_)) && !has_details(change);
    terse(one)
        && terse(other)
        && (one.actions, one.status, one.origin, one.reason, &one.notes)
            == (other.actions, other.status, other.origin, other.reason, &other.notes)
}

/// Whether the attributes say more than that a repository is enabled or disabled.
fn has_details(change: &Change) -> bool {
    let is_plain = matches!(change.address, Address::Repository(_)) && change.actions != Actions::Update;
    change
        .attributes
        .iter()
        .any(|attribute| !(is_plain && attribute.path == "enabled"))
}

fn plural(line: String, number: usize) -> String {
    if number < 2 {
        return line;
    }
    let mut words: Vec<&str> = line.split(' ').collect();
    if let Some(first) = words.first_mut() {
        *first = match *first {
            "is" => "are",
            "has" => "have",
            other => other,
        };
    }
    words
        .join(" ")
        .replace(": it does ", ": they do ")
        .replace(": it is ", ": they are ")
        .replace(": it has ", ": they have ")
        .replace("cannot see it", "cannot see them")
        .replace("about it", "about them")
}

fn block(out: &mut String, change: &Change, layout: Layout<'_>) {
    let Layout { width, pages } = layout;
    let _ = writeln!(
        out,
        "{} {}{}",
        symbol(change.actions),
        pages.map_or_else(|| subject(&change.address, 1), |pages| pages.link_to(&change.address)),
        status_in_words(change.status),
    );
    if has_details(change) {
        for line in attributes::lines(change.actions, &change.attributes, width) {
            let _ = writeln!(out, "{line}");
        }
    }
    if let Some(interruption) = &change.interrupts {
        let text = format!(
            "cuts Factory off until {} is done {}",
            interruption.until,
            headline::ender(interruption.ended_by)
        );
        let _ = writeln!(
            out,
            "{}",
            paint(ATTENTION, &wrap(&text, width, "      interrupts: ", "            "))
        );
    }
}

/// The notes of changes that are alike, below the last of them.
fn notes(out: &mut String, change: &Change, width: usize) {
    if let Some(fallback) = &change.fallback {
        let text = headline::possible(fallback);
        let _ = writeln!(out, "{}", wrap(&text, width, "      possible: ", "            "));
    }
    for note in &change.notes {
        let _ = writeln!(out, "{}", wrap(&sanitize(note), width, "      note: ", "            "));
    }
}

/// One resource by its address, several repositories by their number.
fn subject(first: &Address, many: usize) -> String {
    if many > 1 {
        count(many as u64, "repository", "repositories")
    } else {
        sanitize(&first.to_string()).into_owned()
    }
}

pub(super) fn attested(out: &mut String, attested: &[Attested], width: usize) {
    if attested.is_empty() {
        return;
    }
    out.push_str("\nAs people attested; Factory was not asked:\n");
    let said = |one: &Attested| format!("attested on {} by {}", one.at.strftime("%Y-%m-%d"), sanitize(&one.by));
    let alike = |one: &Attested, next: &Attested| {
        (one.address.kind(), said(one), &one.evidence) == (next.address.kind(), said(next), &next.evidence)
    };
    for run in attested.chunk_by(alike) {
        let first = &run[0];
        let _ = writeln!(out, "    {}: {}", subject(&first.address, run.len()), said(first));
        if let Some(evidence) = &first.evidence {
            let text = sanitize(&corroboration(evidence)).into_owned();
            let _ = writeln!(out, "{}", wrap(&text, width, "      ", "      "));
        }
    }
}

pub(super) fn warnings(out: &mut String, plan: &Plan, width: usize) {
    const SAME: usize = 5;
    let alike = |one: &&Warning, next: &&Warning| {
        let of_repositories = [one, next].map(|warning| matches!(warning.address, Some(Address::Repository(_))));
        one.code == next.code && of_repositories == [true, true]
    };
    let told_apart = |warning: &&Warning| !headline::is_refusal(plan, warning);
    let told: Vec<&Warning> = plan.warnings.iter().filter(told_apart).collect();
    for run in told.chunk_by(alike) {
        let shown = if run.len() > SAME + 1 { SAME } else { run.len() };
        for warning in &run[..shown] {
            let mut text = String::new();
            if let Some(address) = &warning.address {
                let _ = write!(text, "{}: ", sanitize(&address.to_string()));
            }
            text.push_str(&sanitize(&warning.message));
            one_warning(out, &text, width);
        }
        let more = run.len() - shown;
        if more > 0 {
            let text = format!("{more} more repositories of which the same is to be said: --format json has each");
            one_warning(out, &text, width);
        }
    }
}

fn one_warning(out: &mut String, text: &str, width: usize) {
    let wrapped = wrap(text, width, "         ", "         ");
    let _ = writeln!(out, "\n{} {}", paint(ATTENTION, "Warning:"), wrapped.trim_start());
}

fn refusals(out: &mut String, plan: &Plan, width: usize) {
    for refusal in headline::refused(plan) {
        let text = wrap(&sanitize(&refusal.message), width, "         ", "         ");
        let _ = writeln!(out, "\n{} {}", paint(DELETE.bold(), "Refused:"), text.trim_start());
        // An apply ends with it.
        let hint = refusal.hint.as_ref().filter(|_| plan.command == Command::Plan);
        if let Some(hint) = hint {
            let _ = writeln!(out, "{}", wrap(&sanitize(hint), width, "         ", "         "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Environment, plan};
    use crate::model::{Actions, Change};
    use crate::planner::fixture::untouched;

    #[test]
    fn what_matters_of_a_long_plan_stands_last() {
        let mut long = untouched().plan();
        let enabled = long.changes.last().unwrap().clone();
        for number in 0..1000 {
            let group = if number < 900 { "platform" } else { "web" };
            long.changes.push(Change {
                address: format!("factory.repository[\"{group}/r{number:04}\"]").parse().unwrap(),
                ..enabled.clone()
            });
        }
        let gone = long.changes[0].clone();
        long.changes[0] = Change {
            actions: Actions::Delete,
            ..gone
        };
        let shown = anstream::adapter::strip_str(&plan(&long, &Environment::example(), 80)).to_string();
        assert!(shown.lines().count() < 80, "{shown}");
        let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("{text} is not in {shown}"));
        assert!(at("+ platform: 90") < at("gitlab.user") && at("gitlab.user") < at("  - gitlab.application"));
        assert!(at("+ web: 100 repositories") < at("  - gitlab.application"));
    }
}
