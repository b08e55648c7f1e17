//! Targets: only the addresses that were asked for, and what they depend on. What is left out is named.

use std::collections::BTreeSet;

use crate::kinds;
use crate::model::{Address, Plan, PlanSummary, Warning, WarningCode};
use crate::planning::Inputs;

/// Keeps the targets and what they depend on. Says so, unless the command itself chose the targets.
pub(super) fn apply(plan: &mut Plan, inputs: &Inputs<'_>, targets: &BTreeSet<Address>, tell: bool) {
    let declared = |target: &&Address| plan.is_unchanged(target) || plan.change(target).is_some();
    let unknown: Vec<Address> = targets
        .iter()
        .filter(|target| !declared(target) && !kinds::is_live(inputs, target))
        .cloned()
        .collect();
    let kept = belonging(plan, targets);
    let left_out: Vec<Address> = plan
        .changes
        .iter()
        .map(|change| change.address.clone())
        .filter(|address| !kept.contains(address))
        .collect();
    keep_only(plan, &kept);
    plan.unchanged.retain(|address| kept.contains(address));
    plan.attested.retain(|attested| kept.contains(&attested.address));
    plan.warnings
        .retain(|warning| warning.address.as_ref().is_none_or(|address| kept.contains(address)));
    if tell {
        if !left_out.is_empty() {
            plan.warnings.push(Warning {
                code: WarningCode::Targeted,
                message: format!(
                    "only what was asked for and what it depends on; changes left out: {}",
                    left_out.len()
                ),
                address: None,
            });
            plan.warnings.sort();
        }
        plan.targets = targets.iter().cloned().collect();
        plan.left_out = left_out;
        plan.unknown_targets = unknown;
    }
    plan.summary = PlanSummary::of(plan);
}

/// Takes all other changes out.
pub fn keep_only(plan: &mut Plan, kept: &BTreeSet<Address>) {
    plan.changes.retain(|change| kept.contains(&change.address));
    for change in &mut plan.changes {
        change.depends_on.retain(|address| kept.contains(address));
    }
    plan.summary = PlanSummary::of(plan);
}

/// These, with what they depend on.
pub fn belonging(plan: &Plan, targets: &BTreeSet<Address>) -> BTreeSet<Address> {
    let mut kept = targets.clone();
    loop {
        let before = kept.len();
        for change in &plan.changes {
            if kept.contains(&change.address) {
                kept.extend(change.depends_on.iter().cloned());
            }
        }
        if kept.len() == before {
            return kept;
        }
    }
}
