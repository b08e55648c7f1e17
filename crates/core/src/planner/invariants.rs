//! What holds of every plan, whatever it was made of. Tests run this over each plan they see.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::Needs;
use crate::model::{
    Actions, Address, Change, Ender, Interruption, Operation, Plan, PlanSummary, Status, UserOperation,
};

/// Checks a plan; an empty result is a sound plan.
pub fn check_invariants(plan: &Plan) -> Vec<String> {
    let mut faults = Vec::new();
    order(plan, &mut faults);
    dependencies(plan, &mut faults);
    for change in &plan.changes {
        contents(&plan.changes, change, &mut faults);
        possible(change, &mut faults);
    }
    if plan.summary != PlanSummary::of(plan) {
        faults.push(format!("the summary {:?} is not that of the changes", plan.summary));
    }
    for attested in &plan.attested {
        if !plan.unchanged.contains(&attested.address) {
            faults.push(format!("{} is attested, but not unchanged", attested.address));
        }
    }
    faults
}

fn order(plan: &Plan, faults: &mut Vec<String>) {
    let addresses: Vec<_> = plan.changes.iter().map(|change| &change.address).collect();
    if !addresses.is_sorted_by(|one, next| one < next) {
        faults.push("changes are not sorted by address, or not unique".to_owned());
    }
    if !plan.unchanged.is_sorted_by(|one, next| one < next) {
        faults.push("unchanged addresses are not sorted, or not unique".to_owned());
    }
    if !plan.warnings.is_sorted_by(|one, next| one < next) {
        faults.push("warnings are not sorted, or not unique".to_owned());
    }
    let changed: BTreeSet<_> = addresses.into_iter().collect();
    for address in plan.unchanged.iter().filter(|address| changed.contains(address)) {
        faults.push(format!("{address} is both changed and unchanged"));
    }
}

fn dependencies(plan: &Plan, faults: &mut Vec<String>) {
    let mut open: BTreeMap<&Address, BTreeSet<&Address>> = plan
        .changes
        .iter()
        .map(|change| (&change.address, change.depends_on.iter().collect()))
        .collect();
    for change in &plan.changes {
        if !change.depends_on.is_sorted_by(|one, next| one < next) {
            faults.push(format!(
                "dependencies of {} are not sorted, or not unique",
                change.address
            ));
        }
        for address in &change.depends_on {
            if !open.contains_key(address) {
                faults.push(format!("{} depends on {address}, which is no change", change.address));
            }
        }
    }
    loop {
        let free: Vec<&Address> = open
            .iter()
            .filter(|(_, needs)| !needs.iter().any(|needed| open.contains_key(*needed)))
            .map(|(address, _)| *address)
            .collect();
        if free.is_empty() {
            break;
        }
        for address in free {
            open.remove(address);
        }
    }
    if !open.is_empty() {
        faults.push(format!(
            "dependencies are cyclic: {:?}",
            open.keys().collect::<Vec<_>>()
        ));
    }
}

/// What is done if something turns out stands by itself, and what it interrupts ends with the change that it is for.
fn possible(change: &Change, faults: &mut Vec<String>) {
    let possible = change.possible();
    if change.fallback.is_some() && (change.status != Status::Ready || possible.is_empty()) {
        faults.push(format!("{} has a fallback for nothing", change.address));
    }
    for one in possible {
        contents(possible, one, faults);
        let by_a_person = |interruption: &Interruption| interruption.ended_by == Ender::Operator;
        if one.status != Status::Ready || one.interrupts.as_ref().is_some_and(by_a_person) {
            faults.push(format!("{} is possible, and takes a person", one.address));
        }
        if one
            .depends_on
            .iter()
            .any(|needed| !possible.iter().any(|other| other.address == *needed))
        {
            faults.push(format!("{} is possible, and waits for what is not", one.address));
        }
    }
}

fn contents(among: &[Change], change: &Change, faults: &mut Vec<String>) {
    let address = &change.address;
    let mut fault = |what: &str| faults.push(format!("{address} {what}"));
    match change.status {
        Status::Ready if change.operations.is_empty() => fault("is ready, but writes nothing"),
        Status::Operator if change.steps.is_empty() => fault("is a person's, but has no step"),
        Status::Operator if !change.operations.is_empty() => fault("is a person's, but writes"),
        Status::Blocked if !change.operations.is_empty() || !change.steps.is_empty() => {
            fault("is blocked, but does something");
        }
        Status::Blocked if change.notes.is_empty() => fault("is blocked, but does not say why"),
        Status::Ready | Status::Operator | Status::Blocked => {}
    }
    for attribute in &change.attributes {
        if attribute.sensitive && !(attribute.before.is_null() && attribute.after.is_null()) {
            fault("shows a sensitive value");
        }
        if !attribute.sensitive && attribute.path.contains("secret") {
            fault("has a secret that is not sensitive");
        }
    }
    if change.actions == Actions::Update && change.attributes.is_empty() && change.status != Status::Blocked {
        fault("is updated, but nothing differs");
    }
    if let Some(first) = change
        .operations
        .iter()
        .position(|operation| operation.deleted_application().is_some())
        && !change.operations[first..]
            .iter()
            .all(|operation| operation.deleted_application().is_some())
    {
        fault("deletes an application before it is done with the new one");
    }
    references(among, change, &mut fault);
}

/// What an operation takes from an earlier one has to come from one that is waited for.
fn references(among: &[Change], change: &Change, fault: &mut dyn FnMut(&str)) {
    let parent = |address: Address| {
        among
            .iter()
            .find(|other| other.address == address && change.depends_on.contains(&address))
    };
    let gives = |address: Address, what: &dyn Fn(&Operation) -> bool| {
        parent(address).is_some_and(|parent| parent.status == Status::Blocked || parent.operations.iter().any(what))
    };
    let creates_user = |operation: &Operation| matches!(operation, Operation::User(UserOperation::Create { .. }));
    let creates_application = |operation: &Operation| operation.created_application().is_some();
    for operation in &change.operations {
        let Needs {
            application,
            secret,
            user,
        } = operation.needs();
        if application && !gives(Address::Application, &creates_application) {
            fault("needs an application that nothing creates");
        }
        if secret && !gives(Address::Application, &Operation::makes_secret) {
            fault("needs a secret that nothing makes");
        }
        if user && !gives(Address::User, &creates_user) {
            fault("needs an account that nothing creates");
        }
    }
}
