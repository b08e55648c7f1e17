//! Which of GitLab's applications is ours. Names are not unique there, so a name alone is the last resort; both the
//! observer, which reads more of that one application, and the planner have to agree on the answer.

use crate::model::{ApplicationUid, Desired, Observed, RecordedState};

use super::{ApplicationFields, ObservedApplication};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplicationMatch<'a> {
    None,
    Found(&'a ObservedApplication),
    /// Several have the name, and nothing tells them apart.
    Ambiguous(Vec<&'a ObservedApplication>),
}

impl<'a> ApplicationMatch<'a> {
    /// Of what both sides show.
    pub fn of(desired: &Desired, observed: &'a Observed, recorded: &RecordedState) -> Self {
        let used = observed.factory.integration.as_ref().map(|live| &live.application);
        let applications = &observed.gitlab.applications;
        identify_application(&desired.application.name, applications, recorded, used)
    }

    /// The application, if there is exactly one.
    pub fn found(&self) -> Option<&'a ObservedApplication> {
        match self {
            Self::Found(application) => Some(application),
            Self::None | Self::Ambiguous(_) => None,
        }
    }
}

/// Finds our application: the one that an interrupted creation of ours left behind, else the recorded one (row id and
/// public id must both agree), else the one that Factory uses, else the only one of that name. Applications that
/// were replaced and wait for their deletion are never ours.
pub fn identify_application<'a>(
    name: &str,
    applications: &'a [ObservedApplication],
    recorded: &RecordedState,
    factory: Option<&ApplicationUid>,
) -> ApplicationMatch<'a> {
    let candidates = || {
        applications
            .iter()
            .filter(|app| !recorded.has_replaced(app.id, &app.uid))
    };
    let created = candidates().find(|app| created_by(recorded, app).is_some());
    let by_record = || candidates().find(|app| recorded.application.as_ref().is_some_and(|entry| entry.is(app)));
    let by_factory = || candidates().find(|app| Some(&app.uid) == factory);
    if let Some(app) = created.or_else(by_record).or_else(by_factory) {
        return ApplicationMatch::Found(app);
    }
    let named: Vec<_> = candidates().filter(|app| app.fields.name == name).collect();
    match named.as_slice() {
        [] => ApplicationMatch::None,
        [app] => ApplicationMatch::Found(app),
        _ => ApplicationMatch::Ambiguous(named),
    }
}

/// The announced creation that this application is the answer to.
pub(crate) fn created_by<'a>(recorded: &'a RecordedState, live: &ObservedApplication) -> Option<&'a ApplicationFields> {
    recorded.intents.iter().find_map(|intent| {
        intent.operation.created_application().filter(|created| {
            created.name == live.fields.name
                && created.redirect_uris == live.fields.redirect_uris
                && !intent.applications_before.contains(&live.id)
        })
    })
}
