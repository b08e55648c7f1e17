//! A plan in the making: resources put their changes in, keyed by address, and the canonical order falls out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::{
    Actions, Address, Attestation, Attested, AttributeChange, Change, Corroboration, FactorySource, Operation, Origin,
    Plan, PlanSummary, Policy, Reason, Status, Warning, WarningCode,
};

/// A plan in the making.
#[derive(Debug, Default)]
pub(crate) struct PlanBuilder {
    pub(crate) changes: BTreeMap<Address, Change>,
    pub(crate) unchanged: BTreeSet<Address>,
    pub(crate) warnings: BTreeSet<Warning>,
    pub(crate) attested: BTreeMap<Address, Attested>,
}

impl PlanBuilder {
    /// Puts a change in.
    pub(crate) fn push(&mut self, change: Change) {
        self.unchanged.remove(&change.address);
        self.attested.remove(&change.address);
        self.changes.insert(change.address.clone(), change);
    }

    /// Notes that a resource is as declared.
    pub(crate) fn keep(&mut self, address: Address) {
        if !self.changes.contains_key(&address) {
            self.unchanged.insert(address);
        }
    }

    /// Notes that a resource is as declared because somebody said so.
    pub(crate) fn keep_attested(&mut self, address: Address, attestation: Option<&Attestation>) {
        if let (Some(attestation), false) = (attestation, self.changes.contains_key(&address)) {
            self.attested
                .insert(address.clone(), Attested::new(address.clone(), attestation));
        }
        self.keep(address);
    }

    /// Adds what GitLab says in favour of an attestation.
    pub(crate) fn corroborate(&mut self, address: &Address, evidence: Corroboration) {
        if let Some(attested) = self.attested.get_mut(address) {
            attested.evidence = Some(evidence);
        }
    }

    /// Tells the reader something.
    pub(crate) fn warn(&mut self, code: WarningCode, address: Option<Address>, message: impl Into<String>) {
        self.warnings.insert(Warning {
            code,
            message: message.into(),
            address,
        });
    }

    /// The change of an address, if one is planned.
    pub(crate) fn change(&self, address: &Address) -> Option<&Change> {
        self.changes.get(address)
    }

    pub(crate) fn finish(self, policy: &Policy, factory: FactorySource) -> Plan {
        let mut changes: Vec<Change> = self.changes.into_values().collect();
        for change in &mut changes {
            change.depends_on.sort();
            change.depends_on.dedup();
        }
        let mut plan = Plan {
            command: policy.command,
            changes,
            unchanged: self.unchanged.into_iter().collect(),
            warnings: self.warnings.into_iter().collect(),
            summary: PlanSummary::default(),
            attested: self.attested.into_values().collect(),
            allowances: policy.allowances,
            factory,
            targets: Vec::new(),
            left_out: Vec::new(),
            unknown_targets: Vec::new(),
            refusals: Vec::new(),
        };
        plan.summary = PlanSummary::of(&plan);
        plan
    }
}

/// A change without anything to do yet.
pub(crate) fn change(address: Address, actions: Actions, reason: Reason, origin: Origin) -> Change {
    Change {
        address,
        actions,
        status: Status::Ready,
        origin,
        reason,
        attributes: Vec::new(),
        depends_on: Vec::new(),
        notes: Vec::new(),
        interrupts: None,
        fallback: None,
        operations: Vec::new(),
        steps: Vec::new(),
    }
}

impl Change {
    /// Adds a write.
    pub(crate) fn write(&mut self, operation: impl Into<Operation>) {
        self.operations.push(operation.into());
    }

    /// Adds a remark for the reader.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Adds an attribute that may be shown.
    pub(crate) fn show(&mut self, path: &str, before: impl Into<Value>, after: impl Into<Value>) {
        self.attributes.push(AttributeChange::new(path, before, after));
    }
}

/// Turns a change into one that cannot be done: nothing of it is carried out.
pub(crate) fn block(mut change: Change, reason: Reason, note: impl Into<String>) -> Change {
    change.status = Status::Blocked;
    change.reason = reason;
    change.operations.clear();
    change.steps.clear();
    change.depends_on.clear();
    change.notes = vec![note.into()];
    change
}
