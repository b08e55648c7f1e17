//! The record brought up to date with what a plan has found: what is as declared is adopted, what is gone is dropped,
//! and announcements whose end is known now are taken back. Writes nothing to either side.

use crate::model::{
    Address, ApplicationOperation, Command, Desired, FactorySource, Intent, Observed, ObservedApplication,
    ObservedIntegration, ObservedUser, Operation, Plan, Policy, RecordedApplication, RecordedAuthorization,
    RecordedConnection, RecordedMembership, RecordedRepository, RecordedState, RecordedUser, Resolution, SecretCheck,
    Status, UserOperation, WarningCode,
};

use super::application::{self, Remembered};
use super::inputs::Inputs;

/// The record as it should be before the plan is carried out.
///
/// Attributes of the application and the droid are adopted one by one: one that differs keeps its recorded value, for
/// that is what tells drift from a changed file. Where there was no record of them at all, the live values become it,
/// so that the execution has a record to continue.
pub fn refresh(desired: &Desired, observed: &Observed, recorded: &RecordedState, plan: &Plan) -> RecordedState {
    let policy = Policy::new(plan.command);
    let inputs = Inputs {
        desired,
        observed,
        recorded,
        policy: &policy,
    };
    let settled = Settled::of(plan);
    let mut next = recorded.clone();
    application(&inputs, &settled, &mut next);
    user(&inputs, &settled, &mut next);
    memberships(&inputs, &settled, &mut next);
    if observed.factory.source == FactorySource::Live {
        if let Some(live) = inputs.integration() {
            factory(&settled, live, &mut next);
        } else if settled.is_gone(&Address::Connection) {
            next.connection = None;
            next.authorization = None;
        }
        repositories(&inputs, &settled, &mut next);
    }
    next.intents
        .retain(|intent| is_open(intent, observed, &settled, next.application.as_ref()));
    next
}

/// Whether the end of an announced write is still not known.
fn is_open(
    intent: &Intent,
    observed: &Observed,
    settled: &Settled<'_>,
    application: Option<&RecordedApplication>,
) -> bool {
    let is_settled = settled.is_settled(&intent.address);
    // What an edit was to bring about is seen: what the plan does not do again is done.
    let unless_seen = || !is_settled && settled.does_again(&intent.address, &intent.operation);
    match &intent.operation {
        Operation::Application(operation) => match operation {
            ApplicationOperation::Create { application: _ } => {
                let answered = application.is_some_and(|found| !intent.applications_before.contains(&found.id));
                !answered && !is_settled
            }
            ApplicationOperation::Edit { .. } => unless_seen(),
            ApplicationOperation::RenewSecret { .. } => !is_settled,
            ApplicationOperation::Delete { id, uid } => observed
                .gitlab
                .applications
                .iter()
                .any(|application| application.id == *id && application.uid == *uid),
        },
        Operation::User(operation) => match operation {
            UserOperation::Edit { .. } | UserOperation::Unblock { .. } | UserOperation::Activate { .. } => {
                unless_seen()
            }
            UserOperation::Create { .. } | UserOperation::Block { .. } | UserOperation::Delete { .. } => !is_settled,
        },
        Operation::Membership(_)
        | Operation::Connection(_)
        | Operation::Authorization(_)
        | Operation::Repository(_) => !is_settled,
    }
}

/// What a plan says of addresses.
struct Settled<'a> {
    plan: &'a Plan,
    /// Whether an address that the plan does not name has nothing to it; not so where only targets were planned.
    complete: bool,
}

impl<'a> Settled<'a> {
    fn of(plan: &'a Plan) -> Self {
        let targeted = plan
            .warnings
            .iter()
            .any(|warning| warning.code == WarningCode::Targeted);
        Self {
            plan,
            complete: !targeted && plan.command != Command::Rotate,
        }
    }

    fn is_unchanged(&self, address: &Address) -> bool {
        self.plan.unchanged.binary_search(address).is_ok()
    }

    fn is_changed(&self, address: &Address) -> bool {
        self.plan
            .changes
            .binary_search_by(|change| change.address.cmp(address))
            .is_ok()
    }

    /// Whether the change of this address makes such a write; also where it cannot be made or is not planned for now.
    fn does_again(&self, address: &Address, operation: &Operation) -> bool {
        let mut changes = self.plan.changes.iter().filter(|change| change.address == *address);
        changes.next().is_none_or(|change| {
            change.status != Status::Ready || change.operations.iter().any(|planned| planned.is_like(operation))
        })
    }

    /// Neither live nor declared, as far as the plan looked.
    fn is_gone(&self, address: &Address) -> bool {
        self.complete && !self.is_unchanged(address) && !self.is_changed(address)
    }

    /// Nothing is left to do here.
    fn is_settled(&self, address: &Address) -> bool {
        self.is_unchanged(address) || self.is_gone(address)
    }
}

fn application(inputs: &Inputs<'_>, settled: &Settled<'_>, next: &mut RecordedState) {
    let recorded = inputs.recorded;
    let exists = |id, uid: &_| {
        inputs
            .observed
            .gitlab
            .applications
            .iter()
            .any(|application| application.id == id && application.uid == *uid)
    };
    next.superseded.retain(|id, uid| exists(*id, uid));
    let Some(live) = application::identify(inputs).found() else {
        if settled.is_gone(&Address::Application) {
            next.application = None;
        }
        return;
    };
    next.superseded.extend(application::superseded(inputs, Some(live)));
    next.application = Some(adopted(inputs, live, recorded.application.as_ref()));
}

fn adopted(
    inputs: &Inputs<'_>,
    live: &ObservedApplication,
    recorded: Option<&RecordedApplication>,
) -> RecordedApplication {
    let recorded = recorded.filter(|recorded| recorded.id == live.id && recorded.uid == live.uid);
    let remembered = Remembered::of(inputs.recorded, live);
    let declared = &inputs.desired.application;
    let trusted = live.trusted.known().or(remembered.trusted);
    let scopes = live.scopes.as_ref().known().or(remembered.scopes).cloned();
    let accepted = match &inputs.observed.gitlab.secret {
        SecretCheck::Accepted { fingerprint } => Some(fingerprint.clone()),
        _ => None,
    };
    let Some(recorded) = recorded else {
        return RecordedApplication {
            id: live.id,
            uid: live.uid.clone(),
            name: live.name.clone(),
            redirect_uris: live.redirect_uris.clone(),
            confidential: live.confidential,
            scopes,
            trusted,
            trusted_attested: None,
            secret_fingerprint: accepted,
            secret_at: None,
        };
    };
    let mut next = recorded.clone();
    if live.name == declared.name {
        next.name.clone_from(&live.name);
    }
    if live.redirect_uris == declared.redirect_uris {
        next.redirect_uris.clone_from(&live.redirect_uris);
    }
    if live.confidential == declared.confidential {
        next.confidential = live.confidential;
    }
    if next.scopes.is_none() || scopes.as_ref() == Some(&declared.scopes) {
        next.scopes = scopes;
    }
    if next.trusted.is_none() || trusted == Some(declared.trusted) {
        next.trusted = trusted;
    }
    if !live.trusted.is_unknown() {
        next.trusted_attested = None;
    }
    if accepted.is_some() && accepted != next.secret_fingerprint {
        // Another one than Setpoint got: since when it has been in force, nobody knows.
        (next.secret_fingerprint, next.secret_at) = (accepted, None);
    }
    next
}

fn user(inputs: &Inputs<'_>, settled: &Settled<'_>, next: &mut RecordedState) {
    let Some(live) = inputs.droid() else {
        if settled.is_gone(&Address::User) || settled.plan.command == Command::Destroy {
            next.user = None;
        }
        return;
    };
    let ObservedUser {
        id,
        username,
        name,
        email,
        ..
    } = live;
    let declared = &inputs.desired.user;
    let next = next.user.get_or_insert_with(|| RecordedUser {
        id: *id,
        username: username.clone(),
        name: name.clone(),
        email: email.clone(),
    });
    next.id = *id;
    if username.eq_ignore_ascii_case(&declared.username) {
        next.username.clone_from(username);
    }
    if *name == declared.name {
        next.name.clone_from(name);
    }
    if email.eq_ignore_ascii_case(&declared.email) {
        next.email.clone_from(email);
    }
}

fn memberships(inputs: &Inputs<'_>, settled: &Settled<'_>, next: &mut RecordedState) {
    if settled.plan.command == Command::Destroy {
        return;
    }
    next.memberships
        .retain(|path, _| !settled.is_gone(&Address::Membership(path.clone())));
    for (path, role) in &inputs.desired.memberships {
        let Some(Resolution::Found(source)) = inputs.observed.gitlab.namespaces.get(path) else {
            continue;
        };
        let held = inputs
            .observed
            .gitlab
            .memberships
            .iter()
            .any(|membership| membership.source == *source && membership.role() == Some(*role));
        if !settled.is_unchanged(&Address::Membership(path.clone())) {
            continue;
        }
        if held {
            let adopted = RecordedMembership {
                source: *source,
                role: *role,
            };
            next.memberships.insert(path.clone(), adopted);
        } else {
            next.memberships.remove(path);
        }
    }
}

fn factory(settled: &Settled<'_>, live: &ObservedIntegration, next: &mut RecordedState) {
    let ObservedIntegration {
        domain,
        application,
        redirect_uri: _,
        status: _,
        detail: _,
        user,
        secret_fingerprint: _,
    } = live;
    let newest = next
        .application
        .as_ref()
        .filter(|recorded| recorded.uid == *application)
        .and_then(|recorded| recorded.secret_fingerprint.clone());
    if settled.is_unchanged(&Address::Connection) {
        next.connection = Some(RecordedConnection {
            domain: domain.clone(),
            application: application.clone(),
            secret_fingerprint: newest.clone(),
            secret_refused: false,
            attested: None,
        });
    }
    if let (true, Some(user)) = (settled.is_unchanged(&Address::Authorization), user) {
        next.authorization = Some(RecordedAuthorization {
            user: user.clone(),
            application: application.clone(),
            secret_fingerprint: newest,
            attested: None,
        });
    }
}

fn repositories(inputs: &Inputs<'_>, settled: &Settled<'_>, next: &mut RecordedState) {
    let Some(list) = inputs.observed.factory.repositories.as_ref().known() else {
        if settled.complete && inputs.integration().is_none() && settled.plan.command == Command::Destroy {
            next.repositories.clear();
        }
        return;
    };
    if settled.complete && settled.plan.command != Command::Destroy {
        let still_there = |path: &crate::model::FullPath| {
            let address = Address::Repository(path.clone());
            settled.is_unchanged(&address) || settled.is_changed(&address)
        };
        next.repositories.retain(|id, recorded| match list.get(id) {
            Some(listed) => listed.enabled || still_there(&listed.path) || still_there(&recorded.path),
            None => still_there(&recorded.path) || inputs.desired.repositories.selects(&recorded.path),
        });
    }
    for (id, listed) in list.iter().filter(|(_, listed)| listed.enabled) {
        let path = inputs
            .observed
            .gitlab
            .projects
            .get(id)
            .map_or(&listed.path, |project| &project.path);
        if settled.is_unchanged(&Address::Repository(path.clone())) {
            let adopted = RecordedRepository {
                path: path.clone(),
                attested: None,
            };
            next.repositories.insert(*id, adopted);
        }
    }
}
