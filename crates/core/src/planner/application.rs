//! `gitlab.application`: created over the API, edited in place through an administrator's session, replaced where
//! there is none. GitLab's API can neither edit an application nor show or take `trusted`
//! (GitLab: `lib/api/applications.rb`).

use std::collections::BTreeSet;

use crate::model::{
    Actions, Address, ApplicationEdit, ApplicationId, ApplicationMatch, ApplicationOperation, ApplicationRef,
    ApplicationUid, Attestation, AttributeChange, Change, Command, DesiredApplication, Known, ObservedApplication,
    Operation, OperatorStep, Origin, Reason, RecordedApplication, RecordedState, Status, WarningCode,
    identify_application,
};

use super::builder::{PlanBuilder, attribute, block, change, list, secret_attribute};
use super::origin::Origins;
use super::secret::Renewal;
use super::inputs::Inputs;

/// What the other resources need to know of the application.
#[derive(Debug)]
pub(super) struct ApplicationPlan<'a> {
    /// The one that GitLab has, if it is known which one is ours.
    pub(super) live: Option<&'a ObservedApplication>,
    /// The change, if any; put into the plan once the secret's life is decided.
    pub(super) change: Option<Change>,
    /// The one that Factory shall use.
    pub(super) target: ApplicationRef,
    /// Whether this plan brings the target, and its secret, into being.
    pub(super) fresh: bool,
    /// The redirect URIs that will be registered when Factory is authorized.
    pub(super) redirect_uris: BTreeSet<String>,
    /// Whether what authorization depends on (redirect URIs, scopes, confidentiality) is edited in place.
    pub(super) grant_edited: bool,
    attested: Option<Attestation>,
}

impl ApplicationPlan<'_> {
    /// The target's public id, where it is known already.
    pub(super) fn uid(&self) -> Option<&ApplicationUid> {
        match &self.target {
            ApplicationRef::Existing { id: _, uid } => Some(uid),
            ApplicationRef::Planned => None,
        }
    }

    /// The origin of the change, if any.
    pub(super) fn origin(&self) -> Option<Origin> {
        self.change.as_ref().map(|change| change.origin)
    }

    /// Whether the application cannot be had, or not be changed.
    pub(super) fn is_blocked(&self) -> bool {
        self.change
            .as_ref()
            .is_some_and(|change| change.status == Status::Blocked)
    }

    /// Adds the renewal of the secret to the change, and makes one if there is none.
    pub(super) fn renew(&mut self, renewal: &Renewal) {
        let ApplicationRef::Existing { .. } = &self.target else {
            return;
        };
        if self.is_blocked() {
            return;
        }
        let operation = Operation::Application(ApplicationOperation::RenewSecret {
            application: self.target.clone(),
        });
        match &mut self.change {
            None => {
                let mut renewed = change(Address::Application, Actions::Update, renewal.reason, renewal.origin);
                renewed.attributes.push(secret_attribute());
                renewed.operations.push(operation);
                renewed.notes.push(renewal.note.clone());
                self.change = Some(renewed);
            }
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
                present.attributes.push(secret_attribute());
                let end = present
                    .operations
                    .iter()
                    .position(|operation| operation.deleted_application().is_some())
                    .unwrap_or(present.operations.len());
                present.operations.insert(end, operation);
                present.notes.push(renewal.note.clone());
            }
        }
    }

    /// Puts the change, or its absence, into the plan.
    pub(super) fn settle(&self, builder: &mut PlanBuilder) {
        match &self.change {
            Some(change) => builder.push(change.clone()),
            None => builder.keep_attested(Address::Application, self.attested.as_ref()),
        }
    }
}

/// The application that is meant.
pub(super) fn identify<'a>(inputs: &Inputs<'a>) -> ApplicationMatch<'a> {
    identify_application(
        &inputs.desired.application.name,
        &inputs.observed.gitlab.applications,
        inputs.recorded,
        inputs.integration().map(|integration| &integration.application),
    )
}

/// Plans the application, its secret aside.
pub(super) fn plan<'a>(inputs: &Inputs<'a>, builder: &mut PlanBuilder) -> ApplicationPlan<'a> {
    match identify(inputs) {
        ApplicationMatch::Found(live) => existing(inputs, builder, live),
        ApplicationMatch::None => absent(inputs),
        ApplicationMatch::Ambiguous(candidates) => ambiguous(inputs, &candidates),
    }
}

fn ambiguous<'a>(inputs: &Inputs<'a>, candidates: &[&ObservedApplication]) -> ApplicationPlan<'a> {
    let mut candidates = candidates.to_vec();
    candidates.sort_by_key(|candidate| candidate.id);
    let mut blocked = block(
        change(
            Address::Application,
            Actions::Update,
            Reason::Ambiguous,
            Origin::Unrecorded,
        ),
        Reason::Ambiguous,
        format!(
            "{} applications are named `{}`, and neither the state record nor Factory tells which one is meant; delete \
             or rename the others in GitLab's admin area",
            candidates.len(),
            inputs.desired.application.name
        ),
    );
    blocked.notes.extend(
        candidates
            .iter()
            .map(|candidate| format!("candidate: id {}, application id {}", candidate.id, candidate.uid)),
    );
    ApplicationPlan {
        live: None,
        change: Some(blocked),
        target: ApplicationRef::Planned,
        fresh: false,
        redirect_uris: inputs.desired.application.redirect_uris.clone(),
        grant_edited: false,
        attested: None,
    }
}

fn absent<'a>(inputs: &Inputs<'a>) -> ApplicationPlan<'a> {
    let desired = &inputs.desired.application;
    let superseded = superseded(inputs, None);
    let actions = if superseded.is_empty() {
        Actions::Create
    } else {
        Actions::Replace
    };
    let mut origins = Origins::default();
    origins.compare(Some(&()), None, inputs.recorded.application.as_ref().map(|_| &()));
    if let Some(recorded) = &inputs.recorded.application
        && file_moved(desired, recorded)
    {
        origins.add(Origin::Pending);
    }
    let mut created = change(
        Address::Application,
        actions,
        Reason::Absent,
        origins.resolve(inputs.interrupted(&Address::Application)),
    );
    let DesiredApplication {
        name,
        redirect_uris,
        trusted,
        confidential,
        scopes,
    } = desired;
    created.attributes = vec![
        attribute("name", (), name.as_str()),
        attribute("redirect_uri", (), list(redirect_uris)),
        attribute("trusted", (), *trusted),
        attribute("confidential", (), *confidential),
        attribute("scopes", (), list(scopes)),
    ];
    create_operations(inputs, &mut created);
    created.operations.extend(deletions(&superseded));
    if let Some(note) = unsupported(inputs) {
        created = block(created, Reason::UnsupportedScope, note);
    }
    ApplicationPlan {
        live: None,
        change: Some(created),
        target: ApplicationRef::Planned,
        fresh: true,
        redirect_uris: redirect_uris.clone(),
        grant_edited: false,
        attested: None,
    }
}

/// Creation over the API, and `trusted` by whoever can tick it.
fn create_operations(inputs: &Inputs<'_>, change: &mut Change) {
    let application = &inputs.desired.application;
    change
        .operations
        .push(Operation::Application(ApplicationOperation::Create {
            application: application.clone(),
        }));
    if !application.trusted {
        return;
    }
    if inputs.policy.admin_session {
        change
            .operations
            .push(Operation::Application(ApplicationOperation::Edit {
                application: ApplicationRef::Planned,
                edit: ApplicationEdit {
                    trusted: Some(true),
                    ..ApplicationEdit::default()
                },
            }));
    } else {
        change.steps.push(OperatorStep::SetTrusted {
            application: ApplicationRef::Planned,
            name: application.name.clone(),
            trusted: true,
        });
        change.notes.push(
            "`trusted` can be set in GitLab's admin area only: an operator step, as no gitlab.admin_session is configured"
                .to_owned(),
        );
    }
}

fn existing<'a>(inputs: &Inputs<'a>, builder: &mut PlanBuilder, live: &'a ObservedApplication) -> ApplicationPlan<'a> {
    let target = ApplicationRef::Existing {
        id: live.id,
        uid: live.uid.clone(),
    };
    let mut planned = ApplicationPlan {
        live: Some(live),
        change: None,
        target: target.clone(),
        fresh: false,
        redirect_uris: inputs.desired.application.redirect_uris.clone(),
        grant_edited: false,
        attested: None,
    };
    if inputs.policy.command == Command::Rotate {
        // Only the secret is renewed; the rest is left to an apply.
        planned.redirect_uris.clone_from(&live.redirect_uris);
        return planned;
    }
    let remembered = Remembered::of(inputs.recorded, live);
    let differences = compare(&inputs.desired.application, live, &remembered);
    warn_unobservable(builder, &differences, inputs);
    let leftovers = superseded(inputs, Some(live));
    planned.change = if differences.any {
        let way = way(inputs, &differences);
        planned.grant_edited = differences.touches_grant();
        match way {
            Way::Edit => {}
            Way::Tick => planned.grant_edited = false,
            Way::Replace => {
                planned.target = ApplicationRef::Planned;
                planned.fresh = true;
            }
            Way::Blocked(..) => {
                planned.grant_edited = false;
                planned.redirect_uris.clone_from(&live.redirect_uris);
            }
        }
        Some(changed(inputs, live, &target, differences, way, &leftovers))
    } else {
        if live.trusted.is_unknown() {
            planned.attested = remembered.trusted_attested;
        }
        removal_of_leftovers(&leftovers)
    };
    planned
}

/// How a difference is made good.
enum Way {
    /// In place, through the administrator's session.
    Edit,
    /// By a person, who ticks or unticks `trusted`.
    Tick,
    /// By a new application.
    Replace,
    /// Not at all.
    Blocked(Reason, String),
}

fn way(inputs: &Inputs<'_>, differences: &Differences) -> Way {
    let only_trusted = ApplicationEdit {
        trusted: differences.edit.trusted,
        ..ApplicationEdit::default()
    };
    let tick = !inputs.policy.admin_session && differences.edit == only_trusted;
    let sets_scopes = !tick && (differences.edit.scopes.is_some() || !inputs.policy.admin_session);
    if let (true, Some(note)) = (sets_scopes, unsupported(inputs)) {
        return Way::Blocked(Reason::UnsupportedScope, note);
    }
    if inputs.policy.admin_session {
        Way::Edit
    } else if tick {
        Way::Tick
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
    target: &ApplicationRef,
    differences: Differences,
    way: Way,
    leftovers: &[(ApplicationId, ApplicationUid)],
) -> Change {
    let widened = differences.widens_scopes;
    let Differences {
        any: _,
        edit,
        attributes,
        origins,
        unobservable: _,
        widens_scopes: _,
    } = differences;
    let mut change = change(
        Address::Application,
        Actions::Update,
        Reason::Differs,
        origins.resolve(inputs.interrupted(&Address::Application)),
    );
    change.attributes = attributes;
    match way {
        Way::Blocked(reason, note) => {
            if reason == Reason::ReplaceRefused {
                change.actions = Actions::Replace;
            }
            return block(change, reason, note);
        }
        Way::Edit => {
            change
                .operations
                .push(Operation::Application(ApplicationOperation::Edit {
                    application: target.clone(),
                    edit,
                }));
            if widened {
                change.notes.push(
                    "tokens that were issued before keep their scopes: if Factory has fewer, `setpoint rotate` authorizes it anew"
                        .to_owned(),
                );
            }
        }
        Way::Tick => {
            change.status = Status::Operator;
            change.reason = Reason::NoAdminSession;
            change.steps.push(OperatorStep::SetTrusted {
                application: target.clone(),
                name: live.name.clone(),
                trusted: inputs.desired.application.trusted,
            });
            change.notes.push(
                "`trusted` can be changed in GitLab's admin area only, and no gitlab.admin_session is configured"
                    .to_owned(),
            );
        }
        Way::Replace => {
            change.actions = Actions::Replace;
            change.reason = Reason::RecreateRequired;
            change.notes.push(
                "every token of the old application is dropped when it is deleted, after Factory has moved".to_owned(),
            );
            create_operations(inputs, &mut change);
            change
                .operations
                .push(Operation::Application(ApplicationOperation::Delete {
                    id: live.id,
                    uid: live.uid.clone(),
                }));
        }
    }
    if !leftovers.is_empty() {
        if change.status == Status::Operator {
            change.status = Status::Ready;
            change.reason = Reason::RecreateRequired;
        }
        change.actions = Actions::Replace;
        change.operations.extend(deletions(leftovers));
        change.notes.extend(leftovers.iter().map(leftover_note));
    }
    change
}

/// The end of an interrupted replacement: nothing but the old application is left to go.
fn removal_of_leftovers(leftovers: &[(ApplicationId, ApplicationUid)]) -> Option<Change> {
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
        .map(|(_, uid)| attribute("application_id", uid.0.as_str(), ()))
        .collect();
    removal.operations = deletions(leftovers);
    removal.notes = leftovers.iter().map(leftover_note).collect();
    Some(removal)
}

fn leftover_note((id, uid): &(ApplicationId, ApplicationUid)) -> String {
    format!("the application with id {id} ({uid}) was replaced by an earlier run and is deleted now")
}

fn deletions(applications: &[(ApplicationId, ApplicationUid)]) -> Vec<Operation> {
    applications
        .iter()
        .map(|(id, uid)| {
            Operation::Application(ApplicationOperation::Delete {
                id: *id,
                uid: uid.clone(),
            })
        })
        .collect()
}

/// The applications of ours that were replaced and still exist: those that the record names, and the recorded one
/// itself where an interrupted run has created its successor already.
pub(super) fn superseded(
    inputs: &Inputs<'_>,
    current: Option<&ObservedApplication>,
) -> Vec<(ApplicationId, ApplicationUid)> {
    let recorded = inputs.recorded;
    let replaced = recorded
        .application
        .as_ref()
        .map(|application| (application.id, &application.uid));
    let mut found: Vec<_> = inputs
        .observed
        .gitlab
        .applications
        .iter()
        .filter(|application| current.is_none_or(|current| current.id != application.id))
        .filter(|application| {
            recorded.superseded.get(&application.id) == Some(&application.uid)
                || (current.is_some() && replaced == Some((application.id, &application.uid)))
        })
        .map(|application| (application.id, application.uid.clone()))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Names the scopes that GitLab would refuse, where it says which it knows.
fn unsupported(inputs: &Inputs<'_>) -> Option<String> {
    let Known::Known(supported) = &inputs.observed.gitlab.supported_scopes else {
        return None;
    };
    let unknown: Vec<_> = inputs
        .desired
        .application
        .scopes
        .difference(supported)
        .map(|scope| format!("`{scope}`"))
        .collect();
    (!unknown.is_empty()).then(|| {
        format!(
            "GitLab {} does not know {}; take {} out of application.scopes or upgrade GitLab",
            inputs.observed.gitlab.version.text,
            unknown.join(", "),
            if unknown.len() == 1 { "it" } else { "them" },
        )
    })
}

fn warn_unobservable(builder: &mut PlanBuilder, differences: &Differences, inputs: &Inputs<'_>) {
    if differences.unobservable.is_empty() {
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
            differences.unobservable.join(", ")
        ),
    );
}

/// What the record knows of this very application.
#[derive(Debug, Default)]
pub(super) struct Remembered<'a> {
    name: Option<&'a str>,
    redirect_uris: Option<&'a BTreeSet<String>>,
    confidential: Option<bool>,
    pub(super) scopes: Option<&'a BTreeSet<String>>,
    pub(super) trusted: Option<bool>,
    trusted_attested: Option<Attestation>,
}

impl<'a> Remembered<'a> {
    /// From the record, or from the announcement of a creation whose end nobody saw. Over the API an application is
    /// never created trusted.
    pub(super) fn of(recorded: &'a RecordedState, live: &ObservedApplication) -> Self {
        if let Some(application) = &recorded.application
            && application.id == live.id
            && application.uid == live.uid
        {
            return Self {
                name: Some(&application.name),
                redirect_uris: Some(&application.redirect_uris),
                confidential: Some(application.confidential),
                scopes: application.scopes.as_ref(),
                trusted: application.trusted,
                trusted_attested: application.trusted_attested.clone(),
            };
        }
        match created_by(recorded, live) {
            Some(created) => Self {
                name: Some(&created.name),
                redirect_uris: Some(&created.redirect_uris),
                confidential: Some(created.confidential),
                scopes: Some(&created.scopes),
                trusted: Some(false),
                trusted_attested: None,
            },
            None => Self::default(),
        }
    }
}

/// The announced creation that this application is the answer to.
pub(super) fn created_by<'a>(
    recorded: &'a RecordedState,
    live: &ObservedApplication,
) -> Option<&'a DesiredApplication> {
    recorded.intents.iter().find_map(|intent| {
        intent.operation.created_application().filter(|created| {
            created.name == live.name
                && created.redirect_uris == live.redirect_uris
                && !intent.applications_before.contains(&live.id)
        })
    })
}

/// How the live application differs from the declared one.
#[derive(Debug, Default)]
struct Differences {
    any: bool,
    edit: ApplicationEdit,
    attributes: Vec<AttributeChange>,
    origins: Origins,
    unobservable: Vec<&'static str>,
    widens_scopes: bool,
}

impl Differences {
    fn touches_grant(&self) -> bool {
        let ApplicationEdit {
            name: _,
            redirect_uris,
            trusted: _,
            confidential,
            scopes,
        } = &self.edit;
        redirect_uris.is_some() || confidential.is_some() || scopes.is_some()
    }
}

fn compare(desired: &DesiredApplication, live: &ObservedApplication, remembered: &Remembered<'_>) -> Differences {
    let DesiredApplication {
        name,
        redirect_uris,
        trusted,
        confidential,
        scopes,
    } = desired;
    let ObservedApplication {
        id: _,
        uid: _,
        name: live_name,
        redirect_uris: live_redirect_uris,
        confidential: live_confidential,
        scopes: live_scopes,
        trusted: live_trusted,
    } = live;
    let mut found = Differences::default();
    if found
        .origins
        .compare(Some(name.as_str()), Some(live_name.as_str()), remembered.name)
    {
        found
            .attributes
            .push(attribute("name", live_name.as_str(), name.as_str()));
        found.edit.name = Some(name.clone());
    }
    if found
        .origins
        .compare(Some(redirect_uris), Some(live_redirect_uris), remembered.redirect_uris)
    {
        found
            .attributes
            .push(attribute("redirect_uri", list(live_redirect_uris), list(redirect_uris)));
        found.edit.redirect_uris = Some(redirect_uris.clone());
    }
    match live_trusted.known().or(remembered.trusted) {
        None => found.unobservable.push("trusted"),
        Some(seen) => {
            if found
                .origins
                .compare(Some(trusted), Some(&seen), remembered.trusted.as_ref())
            {
                found.attributes.push(attribute("trusted", seen, *trusted));
                found.edit.trusted = Some(*trusted);
            }
        }
    }
    if found.origins.compare(
        Some(confidential),
        Some(live_confidential),
        remembered.confidential.as_ref(),
    ) {
        found
            .attributes
            .push(attribute("confidential", *live_confidential, *confidential));
        found.edit.confidential = Some(*confidential);
    }
    match live_scopes.as_ref().known().or(remembered.scopes) {
        None => found.unobservable.push("scopes"),
        Some(seen) => {
            if found.origins.compare(Some(scopes), Some(seen), remembered.scopes) {
                found.attributes.push(attribute("scopes", list(seen), list(scopes)));
                found.edit.scopes = Some(scopes.clone());
                found.widens_scopes = !scopes.is_subset(seen);
            }
        }
    }
    found.any = found.edit != ApplicationEdit::default();
    found
}

/// Whether the file has changed since the application was recorded.
fn file_moved(desired: &DesiredApplication, recorded: &RecordedApplication) -> bool {
    let DesiredApplication {
        name,
        redirect_uris,
        trusted,
        confidential,
        scopes,
    } = desired;
    *name != recorded.name
        || *redirect_uris != recorded.redirect_uris
        || *confidential != recorded.confidential
        || recorded.trusted.is_some_and(|recorded| recorded != *trusted)
        || recorded.scopes.as_ref().is_some_and(|recorded| recorded != scopes)
}
