//! Repositories by the hundred: counted by their top-level group, so that what matters is not scrolled away by them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::text::{count, sanitize};
use super::words::participle;
use crate::model::{Actions, Address, ChangeOutcome, Outcome, Plan};

/// So many repositories of one kind are still listed one by one.
pub(super) const FEW: usize = 40;
/// How many groups are named in a line.
const NAMED: usize = 4;

/// The top-level group, or user, that a repository is in.
pub(super) fn top_group(address: &Address) -> Option<&str> {
    match address {
        Address::Repository(path) => Some(path.as_str().split('/').next().unwrap_or_default()),
        _ => None,
    }
}

/// Several repositories by their number and groups, anything else by its address.
pub(super) fn subject<'a>(addresses: impl ExactSizeIterator<Item = &'a Address> + Clone) -> String {
    let many = addresses.len();
    match addresses.clone().next() {
        Some(only) if many < 2 => return sanitize(&only.to_string()).into_owned(),
        _ => {}
    }
    let number = count(many as u64, "repository", "repositories");
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    for group in addresses.filter_map(top_group) {
        *groups.entry(group).or_default() += 1;
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    let rest = groups.len().saturating_sub(NAMED);
    groups.truncate(NAMED);
    let mut named: Vec<String> = groups
        .into_iter()
        .map(|(group, number)| format!("{} {number}", sanitize(group)))
        .collect();
    if rest > 0 {
        named.push(count(rest as u64, "other group", "other groups"));
    }
    format!("{number} ({})", named.join(", "))
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
            return Some(super::progress(outcome));
        };
        counted.left = counted.left.saturating_sub(1);
        counted.done += u64::from(outcome.outcome == Outcome::Done);
        let mut line = match outcome.outcome {
            Outcome::Failed => super::progress(outcome),
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
    use super::{Tally, subject};
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
    fn many_are_named_by_their_groups_with_the_largest_first() {
        let paths = ["a/x", "b/x", "b/y", "c/x", "d/x", "e/x", "f/x"].map(address);
        assert_eq!(
            subject(paths.iter()),
            "7 repositories (b 2, a 1, c 1, d 1, 2 other groups)"
        );
        assert_eq!(subject(paths[..1].iter()), "factory.repository[\"a/x\"]");
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
