//! Targets: only the addresses that were asked for, what they depend on, and what must not be left behind half done.

use std::collections::BTreeSet;

use crate::model::{Address, ApplicationOperation, Change, Operation, Plan, Warning, WarningCode};

use super::summary;

/// Keeps the targets and what belongs to them. Says so, unless the command itself chose the targets.
pub(super) fn apply(plan: &mut Plan, targets: &BTreeSet<Address>, tell: bool) {
    let kept = belonging(plan, targets);
    let left_out = plan
        .changes
        .iter()
        .filter(|change| !kept.contains(&change.address))
        .count();
    keep_only(plan, &kept);
    plan.unchanged.retain(|address| kept.contains(address));
    plan.attested.retain(|attested| kept.contains(&attested.address));
    plan.warnings
        .retain(|warning| warning.address.as_ref().is_none_or(|address| kept.contains(address)));
    if tell {
        let unknown: Vec<_> = targets
            .iter()
            .filter(|target| {
                plan.unchanged.binary_search(target).is_err()
                    && !plan.changes.iter().any(|change| change.address == **target)
            })
            .map(ToString::to_string)
            .collect();
        let mut message = format!("only what was asked for and what it depends on; changes left out: {left_out}");
        if !unknown.is_empty() {
            message.push_str("; nothing is known of ");
            message.push_str(&unknown.join(", "));
        }
        plan.warnings.push(Warning {
            code: WarningCode::Targeted,
            message,
            address: None,
        });
        plan.warnings.sort();
    }
    plan.summary = summary::of(plan);
}

/// Takes all other changes out.
pub fn keep_only(plan: &mut Plan, kept: &BTreeSet<Address>) {
    plan.changes.retain(|change| kept.contains(&change.address));
    for change in &mut plan.changes {
        change.depends_on.retain(|address| kept.contains(address));
    }
    plan.summary = summary::of(plan);
}

/// These, with what they depend on, and what must not be left behind half done.
pub fn belonging(plan: &Plan, targets: &BTreeSet<Address>) -> BTreeSet<Address> {
    let mut kept = targets.clone();
    loop {
        let before = kept.len();
        for change in &plan.changes {
            if kept.contains(&change.address) {
                kept.extend(change.depends_on.iter().cloned());
                kept.extend(entailed(change));
            }
        }
        if kept.len() == before {
            return kept;
        }
    }
}

/// What has to follow a change lest it break the integration: a secret that is renewed or an application that is
/// deleted must be followed by the handover, and a handover by the authorization that it ends.
fn entailed(change: &Change) -> Vec<Address> {
    let breaks = change.operations.iter().any(|operation| match operation {
        Operation::Application(operation) => match operation {
            ApplicationOperation::RenewSecret { .. } | ApplicationOperation::Delete { .. } => true,
            ApplicationOperation::Create { .. } | ApplicationOperation::Edit { .. } => false,
        },
        Operation::User(_)
        | Operation::Membership(_)
        | Operation::Connection(_)
        | Operation::Authorization(_)
        | Operation::Repository(_) => false,
    });
    match change.address {
        Address::Application if breaks => vec![Address::Connection, Address::Authorization],
        Address::Connection => vec![Address::Authorization],
        Address::Application
        | Address::User
        | Address::Membership(_)
        | Address::Authorization
        | Address::Repository(_) => Vec::new(),
    }
}
