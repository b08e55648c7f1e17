//! What has to be done to the application, its secret aside: in place, by a person, or by a new one; or that it goes.

use serde_json::json;

use crate::diff::{self, Difference};
use crate::model::{
    Actions, Address, ApplicationAttribute, ApplicationEdit, ApplicationFields, ApplicationMatch, ApplicationOperation,
    ApplicationRef, AttributeChange, Change, Command, Edit, Known, ObservedApplication, Operation, OperatorStep,
    Origin, Reason, RecordedState, Status, WarningCode,
};
use crate::planning::builder::{block, change};
use crate::planning::{Inputs, PlanBuilder};

use super::ours::{identify, remembered, superseded};
use super::planned::ApplicationPlan;

/// Plans the application, its secret aside.
pub(crate) fn plan<'a>(inputs: &Inputs<'a>, builder: &mut PlanBuilder) -> ApplicationPlan<'a> {
    match identify(inputs) {
        ApplicationMatch::Found(live) => existing(inputs, builder, live),
        ApplicationMatch::None => {
            warn_of_another_name(builder, inputs);
            absent(inputs)
        }
        ApplicationMatch::Ambiguous(candidates) => ambiguous(inputs, &candidates),
    }
}

fn ambiguous<'a>(inputs: &Inputs<'a>, candidates: &[&ObservedApplication]) -> ApplicationPlan<'a> {
    let blocked = several(
        inputs,
        candidates,
        change(
            Address::Application,
            Actions::Update,
            Reason::Ambiguous,
            Origin::Unrecorded,
        ),
        "neither the state record nor Factory tells which one is meant; delete or rename the others in GitLab's admin area",
    );
    ApplicationPlan {
        change: Some(blocked),
        ..ApplicationPlan::new(inputs, None)
    }
}

fn absent<'a>(inputs: &Inputs<'a>) -> ApplicationPlan<'a> {
    let superseded = superseded(inputs, None);
    let actions = if superseded.is_empty() {
        Actions::Create
    } else {
        Actions::Replace
    };
    let recorded = inputs.recorded.application.as_ref().map(|recorded| &recorded.fields);
    let (origins, attributes) = diff::missing(&inputs.desired.application, recorded);
    let mut created = inputs.change(Address::Application, actions, Reason::Absent, origins, attributes);
    create_operations(inputs, &mut created);
    delete_leftovers(inputs, &mut created, &superseded);
    if let Some(note) = unsupported(inputs) {
        created = block(created, Reason::UnsupportedScope, note);
    }
    ApplicationPlan {
        change: Some(created),
        fresh: true,
        ..ApplicationPlan::new(inputs, None)
    }
}

/// Creation over the API, and `trusted` by whoever can tick it.
fn create_operations(inputs: &Inputs<'_>, change: &mut Change) {
    let application = inputs.desired.application.clone();
    let (name, trusted) = (application.name.clone(), application.trusted);
    change.write(ApplicationOperation::Create { application });
    if trusted != Known::Known(true) {
        return;
    }
    if inputs.admin_session() {
        let edit = ApplicationOperation::Edit {
            application: ApplicationRef::Planned,
            edit: Edit::from_iter([ApplicationAttribute::Trusted(true)]),
        };
        change.write(edit);
    } else {
        change.steps.push(OperatorStep::SetTrusted {
            application: ApplicationRef::Planned,
            name,
            trusted: true,
        });
        change.note(match inputs.closed_admin() {
            None => {
                "`trusted` can be set in GitLab's admin area only: an operator step, as no gitlab.admin_session is \
                 configured"
            }
            Some(_) => "`trusted` can be set in GitLab's admin area only: an operator step, as nobody signs in there",
        });
    }
}

fn existing<'a>(inputs: &Inputs<'a>, builder: &mut PlanBuilder, live: &'a ObservedApplication) -> ApplicationPlan<'a> {
    let mut planned = ApplicationPlan::new(inputs, Some(live));
    if inputs.policy.command == Command::Rotate {
        // Only the secret is renewed; the rest is left to an apply.
        planned.redirect_uris.clone_from(&live.fields.redirect_uris);
        return planned;
    }
    let remembered = remembered(inputs.recorded, live);
    let difference = diff::compare(&inputs.desired.application, &live.fields, remembered.as_ref());
    warn_unobservable(builder, &difference, inputs);
    warn_of_twins(builder, inputs, live);
    let leftovers = superseded(inputs, Some(live));
    if difference.edit.is_empty() {
        if live.fields.trusted.is_unknown() {
            let entry = inputs.recorded.application.as_ref().filter(|entry| entry.is(live));
            planned.attested = entry.and_then(|entry| entry.trusted_attested.clone());
        }
        planned.change = removal_of_leftovers(inputs, &leftovers);
        return planned;
    }
    let way = way(inputs, &difference.edit);
    match way {
        Way::Edit => planned.grant_edited = touches_grant(&difference.edit),
        Way::Tick => {}
        Way::Replace => {
            planned.grant_edited = touches_grant(&difference.edit);
            planned.target = ApplicationRef::Planned;
            planned.fresh = true;
        }
        Way::Blocked(..) => planned.redirect_uris.clone_from(&live.fields.redirect_uris),
    }
    let seen = live.fields.scopes.as_ref().known();
    let seen = seen.or_else(|| remembered.as_ref()?.scopes.as_ref().known());
    let widens = |attribute: &ApplicationAttribute| match attribute {
        ApplicationAttribute::Scopes(scopes) => !seen.is_some_and(|seen| scopes.is_subset(seen)),
        ApplicationAttribute::Name(_)
        | ApplicationAttribute::RedirectUris(_)
        | ApplicationAttribute::Trusted(_)
        | ApplicationAttribute::Confidential(_) => false,
    };
    let widened = matches!(way, Way::Edit) && difference.edit.has(widens);
    let mut changed = changed(inputs, live, difference, way, &leftovers);
    if widened {
        changed.notes.insert(
            0,
            "tokens that were issued before keep their scopes: if Factory has fewer, `setpoint rotate` authorizes it anew"
                .to_owned(),
        );
    }
    planned.change = Some(changed);
    planned
}

/// Whether what an authorization rests on changes.
fn touches_grant(edit: &ApplicationEdit) -> bool {
    edit.has(|attribute| match attribute {
        ApplicationAttribute::RedirectUris(_)
        | ApplicationAttribute::Confidential(_)
        | ApplicationAttribute::Scopes(_) => true,
        ApplicationAttribute::Name(_) | ApplicationAttribute::Trusted(_) => false,
    })
}

/// Whether a plan may have to set scopes: on creation, where they differ, and where anything else differs that only a
/// new application can have.
pub fn may_set_scopes(
    desired: &ApplicationFields,
    live: Option<&ObservedApplication>,
    recorded: &RecordedState,
    admin_session: bool,
) -> bool {
    live.is_none_or(|live| {
        let found = diff::compare(desired, &live.fields, remembered(recorded, live).as_ref());
        sets_scopes(&found.edit, admin_session)
    })
}

fn sets_scopes(edit: &ApplicationEdit, admin_session: bool) -> bool {
    edit.has(|attribute| match attribute {
        ApplicationAttribute::Scopes(_) => true,
        ApplicationAttribute::Trusted(_) => false,
        ApplicationAttribute::Name(_)
        | ApplicationAttribute::RedirectUris(_)
        | ApplicationAttribute::Confidential(_) => !admin_session,
    })
}

/// How a difference is made good.
enum Way {
    /// In place, through the administrator's session.
    Edit,
    /// By a person, who ticks or unticks `trusted`.
    Tick,
    /// By a new application.
    Replace,
    Blocked(Reason, String),
}

fn way(inputs: &Inputs<'_>, edit: &ApplicationEdit) -> Way {
    let admin_session = inputs.admin_session();
    if let (true, Some(note)) = (sets_scopes(edit, admin_session), unsupported(inputs)) {
        return Way::Blocked(Reason::UnsupportedScope, note);
    }
    let tick = !edit.has(|attribute| !matches!(attribute, ApplicationAttribute::Trusted(_)));
    if admin_session {
        Way::Edit
    } else if tick {
        Way::Tick
    } else if let Some(why) = inputs.closed_admin() {
        // Never replaced for want of a session that is configured: what is in the way passes.
        Way::Blocked(
            Reason::NoAdminSession,
            format!("it takes an administrator's session to edit it in place, and {why}"),
        )
    } else if inputs.policy.may_replace() {
        Way::Replace
    } else {
        Way::Blocked(
            Reason::ReplaceRefused,
            "GitLab's API cannot edit an application, and a new one drops every token of this one; configure \
             gitlab.admin_session to edit it in place, or allow the replacement with guards.replace_application = true or \
             --allow-replace"
                .to_owned(),
        )
    }
}

fn changed(
    inputs: &Inputs<'_>,
    live: &ObservedApplication,
    difference: Difference<ApplicationAttribute>,
    way: Way,
    leftovers: &[&ObservedApplication],
) -> Change {
    let Difference {
        edit,
        attributes,
        origins,
        unobservable: _,
    } = difference;
    let mut change = inputs.change(
        Address::Application,
        Actions::Update,
        Reason::Differs,
        origins,
        attributes,
    );
    match way {
        Way::Blocked(reason, note) => {
            if reason == Reason::ReplaceRefused {
                change.actions = Actions::Replace;
            }
            return block(change, reason, note);
        }
        Way::Edit => {
            let application = live.reference();
            change.write(ApplicationOperation::Edit { application, edit });
        }
        Way::Tick => {
            change.status = Status::Operator;
            change.reason = Reason::NoAdminSession;
            change.steps.push(OperatorStep::SetTrusted {
                application: live.reference(),
                name: live.fields.name.clone(),
                trusted: inputs.desired.application.trusted == Known::Known(true),
            });
            change.note(match inputs.closed_admin() {
                None => {
                    "`trusted` can be changed in GitLab's admin area only, and no gitlab.admin_session is configured"
                }
                Some(_) => "`trusted` can be changed in GitLab's admin area only, and nobody signs in there",
            });
        }
        Way::Replace => {
            change.actions = Actions::Replace;
            change.reason = Reason::RecreateRequired;
            change.note("every token of the old application is dropped when it is deleted, after Factory has moved");
            create_operations(inputs, &mut change);
            change.operations.extend(deletions(&[live]));
        }
    }
    if !leftovers.is_empty() {
        if change.status == Status::Operator {
            change.status = Status::Ready;
            change.reason = Reason::RecreateRequired;
        }
        change.actions = Actions::Replace;
        delete_leftovers(inputs, &mut change, leftovers);
    }
    change
}

/// The end of an interrupted replacement: nothing but the old application is left to go.
fn removal_of_leftovers(inputs: &Inputs<'_>, leftovers: &[&ObservedApplication]) -> Option<Change> {
    if leftovers.is_empty() {
        return None;
    }
    let mut removal = change(
        Address::Application,
        Actions::Delete,
        Reason::RecreateRequired,
        Origin::Pending,
    );
    removal.attributes = leftovers
        .iter()
        .flat_map(|leftover| {
            let ObservedApplication { id: _, uid, fields } = leftover;
            let uris: Vec<&String> = fields.redirect_uris.iter().collect();
            [
                AttributeChange::new("application_id", uid.0.as_str(), ()),
                AttributeChange::new("name", fields.name.as_str(), ()),
                AttributeChange::new("redirect_uri", json!(uris), ()),
            ]
        })
        .collect();
    delete_leftovers(inputs, &mut removal, leftovers);
    Some(removal)
}

/// Deletes the applications that were replaced, and says of each what it is.
fn delete_leftovers(inputs: &Inputs<'_>, change: &mut Change, leftovers: &[&ObservedApplication]) {
    change.operations.extend(deletions(leftovers));
    let notes = leftovers.iter().map(|leftover| leftover_note(inputs, leftover));
    change.notes.extend(notes);
}

/// What is to be deleted besides, so plainly that a record in which somebody wrote another application does no harm
/// unseen.
fn leftover_note(inputs: &Inputs<'_>, leftover: &ObservedApplication) -> String {
    let ObservedApplication { id, uid, fields } = leftover;
    let uris: Vec<&str> = fields.redirect_uris.iter().map(String::as_str).collect();
    let why = if inputs.recorded.vanished.get(id) == Some(uid) {
        "was missing from GitLab's list when another was made in its place"
    } else {
        "was replaced by an earlier run"
    };
    format!(
        "the application `{}` with id {id} ({uid}), which redirects to {}, {why} and is deleted now",
        fields.name,
        uris.join(" and ")
    )
}

fn deletions(applications: &[&ObservedApplication]) -> Vec<Operation> {
    let deletions = applications.iter().map(|app| (app.id, app.uid.clone()));
    deletions
        .map(|(id, uid)| ApplicationOperation::Delete { id, uid }.into())
        .collect()
}

/// Names the scopes that GitLab would refuse, where it says which it knows.
fn unsupported(inputs: &Inputs<'_>) -> Option<String> {
    let Known::Known(supported) = &inputs.observed.gitlab.supported_scopes else {
        return None;
    };
    let Known::Known(scopes) = &inputs.desired.application.scopes else {
        return None;
    };
    let unknown: Vec<_> = scopes.difference(supported).map(|scope| format!("`{scope}`")).collect();
    (!unknown.is_empty()).then(|| {
        format!(
            "GitLab {} does not know {}; take {} out of application.scopes or upgrade GitLab",
            inputs.observed.gitlab.version.text,
            unknown.join(", "),
            if unknown.len() == 1 { "it" } else { "them" },
        )
    })
}

/// Another application that looks like ours and that nothing says is ours: what a list that lagged may have led to, or
/// somebody's second try by hand.
fn warn_of_twins(builder: &mut PlanBuilder, inputs: &Inputs<'_>, live: &ObservedApplication) {
    let recorded = inputs.recorded;
    let is_twin = |app: &&ObservedApplication| {
        app.id != live.id
            && app.fields.name == live.fields.name
            && app.fields.redirect_uris == live.fields.redirect_uris
            && !recorded.has_replaced(app.id, &app.uid)
            && recorded.application.as_ref().is_none_or(|entry| !entry.is(app))
    };
    for twin in inputs.observed.gitlab.applications.iter().filter(is_twin) {
        builder.warn(
            WarningCode::TwinApplication,
            Some(Address::Application),
            format!(
                "GitLab has another application of this name and with these redirect URIs: id {}, application id {}; it is \
                 left alone: delete it in the admin area if nobody uses it",
                twin.id, twin.uid
            ),
        );
    }
}

/// Of a Factory that cannot be asked, the name alone tells which application is its own; what redirects to Factory under
/// another name may be it.
fn warn_of_another_name(builder: &mut PlanBuilder, inputs: &Inputs<'_>) {
    if !inputs.attested() || inputs.recorded.application.is_some() {
        return;
    }
    let desired = &inputs.desired.application;
    let is_alike = |app: &&ObservedApplication| {
        app.fields.redirect_uris == desired.redirect_uris && !inputs.recorded.has_replaced(app.id, &app.uid)
    };
    for app in inputs.observed.gitlab.applications.iter().filter(is_alike) {
        builder.warn(
            WarningCode::TwinApplication,
            Some(Address::Application),
            format!(
                "GitLab has the application `{}` (id {}), which redirects to the same place: if Factory works with that one, \
                 write its name as application.name, and `setpoint adopt` takes it over; this plan makes another",
                app.fields.name, app.id
            ),
        );
    }
}

fn warn_unobservable(builder: &mut PlanBuilder, difference: &Difference<ApplicationAttribute>, inputs: &Inputs<'_>) {
    if difference.unobservable.is_empty() {
        return;
    }
    let hint = if inputs.policy.admin_session {
        ""
    } else {
        "; configure gitlab.admin_session to have them read"
    };
    builder.warn(
        WarningCode::Unobservable,
        Some(Address::Application),
        format!(
            "not compared, because GitLab's API does not show it and nothing is recorded: {}{hint}",
            difference.unobservable.join(", ")
        ),
    );
}

/// Takes down all applications that are ours.
pub(crate) fn destroy(inputs: &Inputs<'_>, builder: &mut PlanBuilder) {
    let found = identify(inputs);
    if let ApplicationMatch::Ambiguous(candidates) = found {
        builder.push(several(
            inputs,
            &candidates,
            change(
                Address::Application,
                Actions::Delete,
                Reason::Ambiguous,
                Origin::Pending,
            ),
            "neither the state record nor Factory tells which one is ours; delete it in GitLab's admin area",
        ));
        return;
    }
    let current = found.found();
    let leftovers = superseded(inputs, current);
    if leftovers.is_empty() && current.is_none() {
        return;
    }
    let mut delete = change(Address::Application, Actions::Delete, Reason::Unlisted, Origin::Pending);
    let name = current.map(|current| AttributeChange::new("name", current.fields.name.as_str(), ()));
    let uids = leftovers
        .iter()
        .copied()
        .chain(current)
        .map(|app| AttributeChange::new("application_id", app.uid.0.as_str(), ()));
    delete.attributes = name.into_iter().chain(uids).collect();
    delete_leftovers(inputs, &mut delete, &leftovers);
    delete.operations.extend(deletions(current.as_slice()));
    // What a person disconnects later does not keep GitLab's half from being taken down now.
    if !inputs.attested() && builder.change(&Address::Connection).is_some() {
        delete.depends_on.push(Address::Connection);
    }
    builder.push(delete);
}

/// A change that cannot be done, because several applications have the name.
fn several(inputs: &Inputs<'_>, candidates: &[&ObservedApplication], change: Change, why: &str) -> Change {
    let mut candidates = candidates.to_vec();
    candidates.sort_by_key(|candidate| candidate.id);
    let (number, name) = (candidates.len(), &inputs.desired.application.name);
    let note = format!("{number} applications are named `{name}`, and {why}");
    let mut blocked = block(change, Reason::Ambiguous, note);
    blocked.notes.extend(
        candidates
            .iter()
            .map(|candidate| format!("candidate: id {}, application id {}", candidate.id, candidate.uid)),
    );
    blocked
}
