//! What the plan has for the application, as the other resources need to know it and as the life of its secret adds to it.

use std::collections::BTreeSet;

use crate::diff::Origins;
use crate::model::{
    Actions, Address, ApplicationOperation, ApplicationRef, ApplicationUid, Attestation, AttributeChange, Change,
    ObservedApplication, Operation, Origin, Reason, Status,
};
use crate::planning::builder::change;
use crate::planning::{Inputs, PlanBuilder};

/// What the other resources need to know of the application.
#[derive(Debug)]
pub(crate) struct ApplicationPlan<'a> {
    /// The one that GitLab has, if it is known which one is ours.
    pub(crate) live: Option<&'a ObservedApplication>,
    /// The change, if any; put into the plan once the secret's life is decided.
    pub(crate) change: Option<Change>,
    /// The one that Factory shall use.
    pub(crate) target: ApplicationRef,
    /// Whether this plan brings the target, and its secret, into being.
    pub(crate) fresh: bool,
    /// The redirect URIs that will be registered when Factory is authorized.
    pub(crate) redirect_uris: BTreeSet<String>,
    /// Whether what authorization depends on (redirect URIs, scopes, confidentiality) is edited in place.
    pub(crate) grant_edited: bool,
    /// Whether a person has to say first what it is.
    pub(crate) unadopted: bool,
    pub(super) attested: Option<Attestation>,
}

impl<'a> ApplicationPlan<'a> {
    /// Nothing to do yet.
    pub(super) fn new(inputs: &Inputs<'_>, live: Option<&'a ObservedApplication>) -> Self {
        Self {
            live,
            change: None,
            target: live.map_or(ApplicationRef::Planned, ObservedApplication::reference),
            fresh: false,
            redirect_uris: inputs.desired.application.redirect_uris.clone(),
            grant_edited: false,
            unadopted: false,
            attested: None,
        }
    }

    /// The target's public id, where it is known already.
    pub(crate) fn uid(&self) -> Option<&ApplicationUid> {
        match &self.target {
            ApplicationRef::Existing { id: _, uid } => Some(uid),
            ApplicationRef::Planned => None,
        }
    }

    /// The origin of the change, if any.
    pub(crate) fn origin(&self) -> Option<Origin> {
        self.change.as_ref().map(|change| change.origin)
    }

    /// Whether the application cannot be had, or not be changed.
    pub(crate) fn is_blocked(&self) -> bool {
        self.change
            .as_ref()
            .is_some_and(|change| change.status == Status::Blocked)
    }

    fn renewing(&self) -> ApplicationOperation {
        ApplicationOperation::RenewSecret {
            application: self.target.clone(),
        }
    }

    /// The renewal of the secret, and nothing else.
    pub(crate) fn renewed(&self, renewal: &Renewal) -> Change {
        let mut renewed = change(Address::Application, Actions::Update, renewal.reason, renewal.origin);
        renewed.attributes.push(AttributeChange::of_secret());
        renewed.write(self.renewing());
        renewed.note(renewal.note.clone());
        renewed
    }

    /// Adds the renewal of the secret to the change, and makes one if there is none.
    pub(crate) fn renew(&mut self, renewal: &Renewal) {
        let ApplicationRef::Existing { .. } = &self.target else {
            return;
        };
        if self.is_blocked() {
            return;
        }
        let operation = self.renewing();
        match &mut self.change {
            None => self.change = Some(self.renewed(renewal)),
            Some(present) => {
                if present.actions == Actions::Delete {
                    present.actions = Actions::Replace;
                    present.reason = renewal.reason;
                }
                if present.status == Status::Operator {
                    present.reason = renewal.reason;
                }
                present.status = Status::Ready;
                let mut origins = Origins::default();
                origins.add(present.origin);
                origins.add(renewal.origin);
                present.origin = origins.resolve(false);
                present.attributes.push(AttributeChange::of_secret());
                let end = present
                    .operations
                    .iter()
                    .position(|operation| operation.deleted_application().is_some())
                    .unwrap_or(present.operations.len());
                present.operations.insert(end, operation.into());
                present.note(renewal.note.clone());
            }
        }
    }

    /// Leaves the deletion of an old application to the plan that moves Factory away from it. One that is all there is to do
    /// waits for that move by itself.
    pub(crate) fn keep_old(&mut self) {
        let Some(change) = &mut self.change else {
            return;
        };
        let deletes = |operation: &Operation| operation.deleted_application().is_some();
        if !change.operations.iter().any(deletes) || change.operations.iter().all(deletes) {
            return;
        }
        change.operations.retain(|operation| !deletes(operation));
        change.actions = if self.fresh { Actions::Create } else { Actions::Update };
        change.note("the old application stays until a plan that is not held to targets moves Factory away from it");
    }

    /// Puts the change, or its absence, into the plan.
    pub(crate) fn settle(&self, builder: &mut PlanBuilder) {
        match &self.change {
            Some(change) => builder.push(change.clone()),
            None => builder.keep_attested(Address::Application, self.attested.as_ref()),
        }
    }
}

/// A renewal of the application's secret.
#[derive(Debug)]
pub(crate) struct Renewal {
    pub(crate) reason: Reason,
    pub(crate) origin: Origin,
    pub(crate) note: String,
}
