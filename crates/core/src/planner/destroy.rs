//! `destroy`: takes the integration down, and nothing that is not part of it. Repositories are disabled and the
//! connection is deleted before the application goes; the droid stays unless it is asked for.

use crate::model::{
    Actions, Address, ApplicationId, ApplicationMatch, ApplicationOperation, ApplicationUid, ConnectionOperation,
    Known, Operation, OperatorStep, Origin, Reason, Status, UserOperation,
};

use super::builder::{PlanBuilder, attribute, block, change};
use super::inputs::{Inputs, same_domain};
use super::{application, repository, user};

/// Plans the removal of everything that is ours. What is gone already is no change, so the second time there is none.
pub(super) fn plan(inputs: &Inputs<'_>, builder: &mut PlanBuilder) {
    repositories(inputs, builder);
    connection(inputs, builder);
    applications(inputs, builder);
    droid(inputs, builder);
}

/// Only what is recorded or declared; the rest of Factory's selection is forgotten together with the connection.
/// A person disconnects with one click, and is not asked to disable one by one before that.
fn repositories(inputs: &Inputs<'_>, builder: &mut PlanBuilder) {
    let Known::Known(list) = &inputs.observed.factory.repositories else {
        return;
    };
    if inputs.attested() && inputs.integration().is_some() {
        return;
    }
    for (id, listed) in list.iter().filter(|(_, listed)| listed.enabled) {
        let ours = inputs.recorded.repositories.contains_key(id) || inputs.desired.repositories.selects(&listed.path);
        if ours {
            let mut disable = repository::disable(inputs, builder, *id, &listed.path);
            disable.origin = Origin::Pending;
            builder.push(disable);
        }
    }
}

fn connection(inputs: &Inputs<'_>, builder: &mut PlanBuilder) {
    let Some(live) = inputs.integration() else {
        return;
    };
    let our_application = application::identify(inputs)
        .found()
        .is_some_and(|application| application.uid == live.application);
    let ours = our_application
        || inputs.recorded.connection.is_some()
        || same_domain(&live.domain, &inputs.desired.connection.domain);
    if !ours {
        return;
    }
    let mut delete = change(Address::Connection, Actions::Delete, Reason::Unlisted, Origin::Pending);
    delete.attributes = vec![
        attribute("domain", live.domain.as_str(), ()),
        attribute("application_id", live.application.0.as_str(), ()),
    ];
    delete
        .notes
        .push("Factory forgets its authorization and its selection of repositories with it".to_owned());
    if inputs.attested() {
        delete.status = Status::Operator;
        delete.steps.push(OperatorStep::DeleteConnection);
    } else {
        delete
            .operations
            .push(Operation::Connection(ConnectionOperation::Delete));
    }
    delete.depends_on = builder.changes.keys().cloned().collect();
    builder.push(delete);
}

fn applications(inputs: &Inputs<'_>, builder: &mut PlanBuilder) {
    let found = application::identify(inputs);
    if let ApplicationMatch::Ambiguous(mut candidates) = found {
        candidates.sort_by_key(|candidate| candidate.id);
        let mut blocked = block(
            change(
                Address::Application,
                Actions::Delete,
                Reason::Ambiguous,
                Origin::Pending,
            ),
            Reason::Ambiguous,
            format!(
                "{} applications are named `{}`, and neither the state record nor Factory tells which one is ours; delete it in \
                 GitLab's admin area",
                candidates.len(),
                inputs.desired.application.name
            ),
        );
        blocked.notes.extend(
            candidates
                .iter()
                .map(|candidate| format!("candidate: id {}, application id {}", candidate.id, candidate.uid)),
        );
        builder.push(blocked);
        return;
    }
    let current = found.found();
    let mut ours: Vec<(ApplicationId, ApplicationUid)> = application::superseded(inputs, current);
    ours.extend(current.map(|current| (current.id, current.uid.clone())));
    if ours.is_empty() {
        return;
    }
    let mut delete = change(Address::Application, Actions::Delete, Reason::Unlisted, Origin::Pending);
    delete.attributes = ours
        .iter()
        .map(|(_, uid)| attribute("application_id", uid.0.as_str(), ()))
        .collect();
    if let Some(current) = current {
        delete
            .attributes
            .insert(0, attribute("name", current.name.as_str(), ()));
    }
    delete.operations = ours
        .into_iter()
        .map(|(id, uid)| Operation::Application(ApplicationOperation::Delete { id, uid }))
        .collect();
    // What a person disconnects later does not keep GitLab's half from being taken down now.
    if !inputs.attested() && builder.changes.contains_key(&Address::Connection) {
        delete.depends_on.push(Address::Connection);
    }
    builder.push(delete);
}

fn droid(inputs: &Inputs<'_>, builder: &mut PlanBuilder) {
    let Some(live) = inputs.droid() else {
        return;
    };
    let state = user::state_word(&live.state);
    let mut planned = if inputs.policy.delete_user {
        let mut delete = change(Address::User, Actions::Delete, Reason::Unlisted, Origin::Pending);
        delete
            .attributes
            .push(attribute("username", live.username.as_str(), ()));
        delete
            .operations
            .push(Operation::User(UserOperation::Delete { id: live.id }));
        delete
    } else if inputs.policy.block_user && live.state.can_sign_in() {
        let mut blocking = change(Address::User, Actions::Update, Reason::Differs, Origin::Pending);
        blocking.attributes.push(attribute("state", state, "blocked"));
        blocking
            .operations
            .push(Operation::User(UserOperation::Block { id: live.id }));
        blocking
    } else {
        return;
    };
    if live.id == inputs.observed.gitlab.own_user {
        planned = block(
            planned,
            Reason::PathTaken,
            format!(
                "`{}` is the account that gitlab.token belongs to, which is never blocked or deleted",
                live.username
            ),
        );
    } else if !inputs.attested() {
        planned.depends_on = [Address::Application, Address::Connection]
            .into_iter()
            .filter(|address| builder.changes.contains_key(address))
            .collect();
    }
    builder.push(planned);
}
