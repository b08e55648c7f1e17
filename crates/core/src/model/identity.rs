//! Which of GitLab's applications is ours. Names are not unique there, so a name alone is the last resort; both the
//! observer, which reads more of that one application, and the planner have to agree on the answer.

use super::{ApplicationUid, ObservedApplication, RecordedState};

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplicationMatch<'a> {
    /// There is none.
    None,
    /// This one.
    Found(&'a ObservedApplication),
    /// Several have the name, and nothing tells them apart.
    Ambiguous(Vec<&'a ObservedApplication>),
}

impl<'a> ApplicationMatch<'a> {
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
            .filter(|app| recorded.superseded.get(&app.id) != Some(&app.uid))
    };
    let created = candidates().find(|app| {
        recorded.intents.iter().any(|intent| {
            intent.operation.created_application().is_some_and(|created| {
                created.name == app.name
                    && created.redirect_uris == app.redirect_uris
                    && !intent.applications_before.contains(&app.id)
            })
        })
    });
    let by_record = || {
        candidates().find(|app| {
            recorded
                .application
                .as_ref()
                .is_some_and(|r| r.id == app.id && r.uid == app.uid)
        })
    };
    let by_factory = || candidates().find(|app| Some(&app.uid) == factory);
    if let Some(app) = created.or_else(by_record).or_else(by_factory) {
        return ApplicationMatch::Found(app);
    }
    let named: Vec<_> = candidates().filter(|app| app.name == name).collect();
    match named.as_slice() {
        [] => ApplicationMatch::None,
        [app] => ApplicationMatch::Found(app),
        _ => ApplicationMatch::Ambiguous(named),
    }
}
