//! Which applications of GitLab's are ours, and what the record knows of them.

use crate::model::{
    ApplicationFields, ApplicationId, ApplicationMatch, ApplicationUid, Known, Observed, ObservedApplication,
    RecordedState,
};
use crate::planning::Inputs;

use super::identity::created_by;

/// The application that is meant.
pub(crate) fn identify<'a>(inputs: &Inputs<'a>) -> ApplicationMatch<'a> {
    ApplicationMatch::of(inputs.desired, inputs.observed, inputs.recorded)
}

/// What the record knows of this very application: from its entry, or from the announcement of a creation whose end
/// nobody saw. Over the API an application is never created trusted.
pub(super) fn remembered(recorded: &RecordedState, live: &ObservedApplication) -> Option<ApplicationFields> {
    let entry = recorded.application.as_ref().filter(|entry| entry.is(live));
    let created = || {
        created_by(recorded, live).map(|created| ApplicationFields {
            trusted: Known::Known(false),
            ..created.clone()
        })
    };
    entry.map(|entry| entry.fields.clone()).or_else(created)
}

/// What of the live application is not shown, and known from the record.
pub(crate) fn taken_from_record(inputs: &Inputs<'_>) -> Vec<&'static str> {
    let Some(live) = identify(inputs).found() else {
        return Vec::new();
    };
    let Some(recorded) = remembered(inputs.recorded, live) else {
        return Vec::new();
    };
    let fields = &live.fields;
    let unseen = [
        (
            "`trusted`",
            fields.trusted.is_unknown() && !recorded.trusted.is_unknown(),
        ),
        ("`scopes`", fields.scopes.is_unknown() && !recorded.scopes.is_unknown()),
    ];
    let unseen = unseen.into_iter().filter(|(_, unseen)| *unseen);
    unseen.map(|(name, _)| name).collect()
}

/// Whether GitLab has this very application.
pub(crate) fn is_there(observed: &Observed, id: ApplicationId, uid: &ApplicationUid) -> bool {
    let mut applications = observed.gitlab.applications.iter();
    applications.any(|application| application.id == id && application.uid == *uid)
}

/// The applications of ours that were replaced and still exist: those that the record names, and the recorded one
/// itself where an interrupted run has created its successor already.
pub(super) fn superseded<'a>(
    inputs: &Inputs<'a>,
    current: Option<&ObservedApplication>,
) -> Vec<&'a ObservedApplication> {
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
            recorded.has_replaced(application.id, &application.uid)
                || (current.is_some() && replaced == Some((application.id, &application.uid)))
        })
        .collect();
    found.sort_by_key(|application| application.id);
    found.dedup_by_key(|application| application.id);
    found
}
