//! What a plan has seen of the objects that its changes touch: enough of each to tell that somebody moved it, and to
//! say how. What a side did not show is left out, and nothing that moves by itself is in it.

use serde_json::{Map, Value, json};

use crate::model::{
    Address, ApplicationId, ApplicationMatch, Change, Desired, FullPath, Known, Observed, ObservedApplication,
    Operation, OperatorStep, ProjectId, RecordedState, Resolution, SecretCheck, SourceKind, identify_application,
};

/// The fields of an object as they were seen, by name.
pub(super) type Seen = Map<String, Value>;

/// What a change's object looks like.
pub(super) fn of(change: &Change, desired: &Desired, observed: &Observed, recorded: &RecordedState) -> Seen {
    let value = match &change.address {
        Address::Application => application(change, desired, observed, recorded),
        Address::User => user(observed),
        Address::Membership(path) => membership(change, path, observed),
        Address::Connection => connection(observed),
        Address::Authorization => authorization(observed),
        Address::Repository(_) => repository(change, observed),
    };
    match value {
        Value::Object(seen) => seen,
        _ => Seen::new(),
    }
}

fn application(change: &Change, desired: &Desired, observed: &Observed, recorded: &RecordedState) -> Value {
    let integration = observed.factory.integration.as_ref();
    let applications = &observed.gitlab.applications;
    let matched = identify_application(
        &desired.application.name,
        applications,
        recorded,
        integration.map(|integration| &integration.application),
    );
    let mut seen = match matched {
        ApplicationMatch::None => Seen::from_iter([("exists".to_owned(), json!(false))]),
        ApplicationMatch::Found(application) => fields(application),
        ApplicationMatch::Ambiguous(candidates) => {
            let ids: Vec<ApplicationId> = candidates.iter().map(|candidate| candidate.id).collect();
            Seen::from_iter([
                ("exists".to_owned(), json!(true)),
                ("candidates".to_owned(), json!(ids)),
            ])
        }
    };
    for operation in &change.operations {
        if let Some((id, uid)) = operation.deleted_application() {
            let is_there = applications.iter().any(|one| one.id == id && one.uid == *uid);
            seen.insert(format!("application {id} exists"), json!(is_there));
        }
    }
    add_secret(&mut seen, &observed.gitlab.secret);
    Value::Object(seen)
}

fn fields(application: &ObservedApplication) -> Seen {
    let ObservedApplication {
        id,
        uid,
        name,
        redirect_uris,
        confidential,
        scopes,
        trusted,
    } = application;
    let mut seen = Seen::from_iter([
        ("exists".to_owned(), json!(true)),
        ("id".to_owned(), json!(id)),
        ("application_id".to_owned(), json!(uid)),
        ("name".to_owned(), json!(name)),
        ("redirect_uris".to_owned(), json!(redirect_uris)),
        ("confidential".to_owned(), json!(confidential)),
    ]);
    if let Known::Known(scopes) = scopes {
        seen.insert("scopes".to_owned(), json!(scopes));
    }
    if let Known::Known(trusted) = trusted {
        seen.insert("trusted".to_owned(), json!(trusted));
    }
    seen
}

/// What GitLab says of the stored secret, by its fingerprint: the secret itself is nowhere here.
fn add_secret(seen: &mut Seen, check: &SecretCheck) {
    let said = match check {
        SecretCheck::NotChecked => return,
        SecretCheck::NoneStored => json!("none stored"),
        SecretCheck::Accepted { fingerprint } => json!(format!("accepted, {fingerprint}")),
        SecretCheck::Rejected { fingerprint } => json!(format!("rejected, {fingerprint}")),
    };
    seen.insert("stored_secret".to_owned(), said);
}

fn user(observed: &Observed) -> Value {
    match &observed.gitlab.user {
        Some(user) => json!({
            "exists": true,
            "id": user.id,
            "username": user.username,
            "name": user.name,
            "email": user.email,
            "state": user.state,
            "username_held_by": observed.gitlab.username_holder,
            "email_held_by": observed.gitlab.email_holder,
        }),
        None => json!({
            "exists": false,
            "username_held_by": observed.gitlab.username_holder,
            "email_held_by": observed.gitlab.email_holder,
        }),
    }
}

fn membership(change: &Change, path: &FullPath, observed: &Observed) -> Value {
    let leads_to = observed.gitlab.namespaces.get(path);
    let source = change
        .operations
        .iter()
        .find_map(|operation| match operation {
            Operation::Membership(operation) => Some(operation.member().source),
            Operation::Application(_)
            | Operation::User(_)
            | Operation::Connection(_)
            | Operation::Authorization(_)
            | Operation::Repository(_) => None,
        })
        .or(match leads_to {
            Some(Resolution::Found(source)) => Some(*source),
            Some(Resolution::Moved { .. } | Resolution::NotFound) | None => None,
        });
    let direct = source.and_then(|source| observed.gitlab.memberships.iter().find(|one| one.source == source));
    let mut seen = json!({
        "user": observed.gitlab.user.as_ref().map(|user| user.id),
        "access_level": direct.map(|direct| direct.access_level),
    });
    if let Some(leads_to) = leads_to {
        seen["leads_to"] = json!(match leads_to {
            Resolution::Found(SourceKind::Group(id)) => format!("group {id}"),
            Resolution::Found(SourceKind::Project(id)) => format!("project {id}"),
            Resolution::Moved { id, to } => format!("project {id}, moved to {to}"),
            Resolution::NotFound => "nothing".to_owned(),
        });
    }
    seen
}

fn connection(observed: &Observed) -> Value {
    let mut seen = match &observed.factory.integration {
        Some(integration) => Seen::from_iter([
            ("exists".to_owned(), json!(true)),
            ("domain".to_owned(), json!(integration.domain)),
            ("application_id".to_owned(), json!(integration.application)),
        ]),
        None => Seen::from_iter([("exists".to_owned(), json!(false))]),
    };
    add_secret(&mut seen, &observed.gitlab.secret);
    Value::Object(seen)
}

fn authorization(observed: &Observed) -> Value {
    match &observed.factory.integration {
        Some(integration) => json!({
            "exists": true,
            "status": integration.status,
            "application_id": integration.application,
            "user": integration.user,
            "droid": observed.gitlab.user.as_ref().map(|user| (user.id, &user.state)),
        }),
        None => json!({ "exists": false }),
    }
}

fn repository(change: &Change, observed: &Observed) -> Value {
    let Some(id) = project_of(change) else {
        return json!({});
    };
    let listed = match &observed.factory.repositories {
        Known::Known(list) => list.get(&id),
        Known::Unknown => None,
    };
    let project = observed.gitlab.projects.get(&id);
    json!({
        "id": id,
        "path": project.map(|project| &project.path).or(listed.map(|listed| &listed.path)),
        "archived": project.is_some_and(|project| project.archived) || listed.is_some_and(|listed| listed.archived),
        "enabled": listed.is_some_and(|listed| listed.enabled),
    })
}

fn project_of(change: &Change) -> Option<ProjectId> {
    let by_operation = change.operations.iter().find_map(|operation| match operation {
        Operation::Repository(operation) => Some(operation.id()),
        Operation::Application(_)
        | Operation::User(_)
        | Operation::Membership(_)
        | Operation::Connection(_)
        | Operation::Authorization(_) => None,
    });
    let by_step = change.steps.iter().find_map(|step| match step {
        OperatorStep::EnableRepository { id, .. } | OperatorStep::DisableRepository { id, .. } => Some(*id),
        _ => None,
    });
    by_operation.or(by_step)
}
