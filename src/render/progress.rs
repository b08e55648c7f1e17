//! The line that is shown as each change of a plan ends; of many repositories, one for all of a group.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::bulk::{FEW, top_group};
use super::style::{BOLD, DELETE, paint};
use super::text::{count, sanitize};
use super::words::{begun, participle};
use crate::model::{Actions, Address, ChangeOutcome, Outcome, Plan};

/// The line that is shown as a change ends.
pub(super) fn progress(outcome: &ChangeOutcome) -> String {
    let address = sanitize(&outcome.address.to_string()).into_owned();
    let done = participle(&outcome.address, outcome.actions);
    let begun = if outcome.is_begun() {
        format!("{}, and the rest ", begun(&outcome.address, outcome.actions))
    } else {
        String::new()
    };
    let ended = match outcome.outcome {
        Outcome::Done => done.to_owned(),
        Outcome::Failed => paint(DELETE, "failed"),
        Outcome::Skipped => "skipped".to_owned(),
        Outcome::Operator => "waits for an operator".to_owned(),
        Outcome::Blocked => "blocked".to_owned(),
    };
    format!("{}: {begun}{ended}\n", paint(BOLD, &address))
}

/// The line that is shown as a person's change ends: what was attested is not claimed to be seen.
pub fn attested_progress(outcome: &ChangeOutcome) -> String {
    if outcome.outcome != Outcome::Done {
        return progress(outcome);
    }
    format!(
        "{}: attested as {}\n",
        paint(BOLD, &sanitize(&outcome.address.to_string())),
        participle(&outcome.address, outcome.actions)
    )
}

/// Which lines are shown as the changes of a plan end: where there are many repositories, one for all of a group.
#[derive(Debug, Default)]
pub struct Tally {
    groups: BTreeMap<(String, &'static str), Group>,
}

#[derive(Debug, Default)]
struct Group {
    left: usize,
    done: u64,
}

impl Tally {
    /// Of a plan that is about to be carried out.
    pub fn of(plan: &Plan) -> Self {
        let automatic = plan.changes.iter().filter(|change| !change.operations.is_empty());
        let repositories: Vec<(&str, &Address, Actions)> = automatic
            .filter_map(|change| Some((top_group(&change.address)?, &change.address, change.actions)))
            .collect();
        let mut tally = Self::default();
        if repositories.len() > FEW {
            for (group, address, actions) in repositories {
                let key = (group.to_owned(), participle(address, actions));
                tally.groups.entry(key).or_default().left += 1;
            }
        }
        tally
    }

    /// The line for a change that ended; none where it is counted only.
    pub fn ended(&mut self, outcome: &ChangeOutcome) -> Option<String> {
        let group = top_group(&outcome.address).unwrap_or_default();
        let done = participle(&outcome.address, outcome.actions);
        let Some(counted) = self.groups.get_mut(&(group.to_owned(), done)) else {
            return Some(progress(outcome));
        };
        counted.left = counted.left.saturating_sub(1);
        counted.done += u64::from(outcome.outcome == Outcome::Done);
        let mut line = match outcome.outcome {
            Outcome::Failed => progress(outcome),
            // The report counts these by their reason.
            Outcome::Done | Outcome::Skipped | Outcome::Operator | Outcome::Blocked => String::new(),
        };
        if counted.left == 0 && counted.done > 0 {
            let number = count(counted.done, "repository", "repositories");
            let _ = writeln!(line, "{}: {number} {done}", sanitize(group));
        }
        (!line.is_empty()).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;
    use crate::model::{Actions, Address, Change, ChangeOutcome, Outcome, Plan};
    use crate::planner::fixture::untouched;

    fn address(path: &str) -> Address {
        format!("factory.repository[\"{path}\"]").parse().unwrap()
    }

    fn many(number: usize) -> Plan {
        let mut plan = untouched().plan();
        let first = plan.changes.last().unwrap().clone();
        for number in 0..number {
            plan.changes.push(Change {
                address: address(&format!("g{}/r{number}", number % 2)),
                ..first.clone()
            });
        }
        plan
    }

    #[test]
    fn a_group_is_told_once_with_all_that_failed_before() {
        let plan = many(60);
        let mut tally = Tally::of(&plan);
        let mut told = String::new();
        for change in &plan.changes {
            let failed = change.address == address("g0/r4");
            let outcome = ChangeOutcome {
                address: change.address.clone(),
                actions: Actions::Create,
                outcome: if failed { Outcome::Failed } else { Outcome::Done },
                error: None,
                writes: 0,
                fallback: false,
                approve_at: None,
            };
            told.push_str(&tally.ended(&outcome).unwrap_or_default());
        }
        let told = anstream::adapter::strip_str(&told).to_string();
        assert!(told.contains("gitlab.application: created\n"), "{told}");
        assert!(told.contains("factory.repository[\"g0/r4\"]: failed\n"), "{told}");
        assert!(
            told.contains("g0: 29 repositories enabled\n") && told.contains("g1: 30 repositories enabled\n"),
            "{told}"
        );
        assert!(!told.contains("r5"), "{told}");
    }

    #[test]
    fn few_are_told_one_by_one() {
        let plan = untouched().plan();
        let mut tally = Tally::of(&plan);
        let last = plan.changes.last().unwrap();
        let outcome = ChangeOutcome {
            address: last.address.clone(),
            actions: last.actions,
            outcome: Outcome::Done,
            error: None,
            writes: 0,
            fallback: false,
            approve_at: None,
        };
        assert!(tally.ended(&outcome).unwrap().contains(&last.address.to_string()));
    }
}
