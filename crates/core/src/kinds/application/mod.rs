//! `gitlab.application`: created over the API, edited in place through an administrator's session, replaced where
//! there is none. GitLab's API can neither edit an application nor show or take `trusted`
//! (GitLab: `lib/api/applications.rb`).

mod identity;
mod ours;
mod plan;
mod planned;
mod secret;
mod unadopted;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::diff;
use crate::model::{
    Address, ApplicationId, ApplicationRef, ApplicationUid, Attestation, Change, Desired, Edit, Fields, Known,
    Observed, Operation, Reason, RecordedState, SecretCheck,
};
use crate::planning::{Inputs, Settled};

pub use identity::{ApplicationMatch, identify_application};
pub(crate) use ours::{identify, is_there, taken_from_record};
pub use plan::may_set_scopes;
pub(crate) use plan::{destroy, plan};
pub(crate) use planned::ApplicationPlan;
pub(crate) use secret::{ConnectionSecret, decide as decide_secret, decide_if_refused, warn_of_store};
pub(crate) use unadopted::{held, hold, is_found_in_use, is_in_use, is_learned, is_recorded, take_over};

use ours::{remembered, superseded};

/// What is declared, live and recorded of an application. Everything is declared; what GitLab does not show, and nobody
/// recorded, is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationFields {
    /// Its name; GitLab allows several applications of one name.
    pub name: String,
    /// Redirect URIs, as a set: GitLab keeps them one to a line.
    pub redirect_uris: BTreeSet<String>,
    /// Whether it keeps a secret (OAuth's confidential client).
    pub confidential: bool,
    /// OAuth scopes, as a set: shown by the API from 19 on, by the admin pages always.
    #[serde(default, skip_serializing_if = "Known::is_unknown")]
    pub scopes: Known<BTreeSet<String>>,
    /// Whether GitLab skips the consent page: shown, and taken, by the admin pages only.
    #[serde(default, skip_serializing_if = "Known::is_unknown")]
    pub trusted: Known<bool>,
}

/// One of [`ApplicationFields`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationAttribute {
    /// [`ApplicationFields::name`]
    Name(String),
    /// [`ApplicationFields::redirect_uris`]
    RedirectUris(BTreeSet<String>),
    /// [`ApplicationFields::trusted`]
    Trusted(bool),
    /// [`ApplicationFields::confidential`]
    Confidential(bool),
    /// [`ApplicationFields::scopes`]
    Scopes(BTreeSet<String>),
}

/// What changes of an application.
pub type ApplicationEdit = Edit<ApplicationAttribute>;

impl Fields for ApplicationFields {
    type Attribute = ApplicationAttribute;

    fn attributes(&self) -> Vec<ApplicationAttribute> {
        let Self {
            name,
            redirect_uris,
            confidential,
            scopes,
            trusted,
        } = self;
        let attributes = [
            Some(ApplicationAttribute::Name(name.clone())),
            Some(ApplicationAttribute::RedirectUris(redirect_uris.clone())),
            trusted.known().map(ApplicationAttribute::Trusted),
            Some(ApplicationAttribute::Confidential(*confidential)),
            scopes.clone().known().map(ApplicationAttribute::Scopes),
        ];
        attributes.into_iter().flatten().collect()
    }

    fn set(&mut self, attribute: ApplicationAttribute) {
        match attribute {
            ApplicationAttribute::Name(name) => self.name = name,
            ApplicationAttribute::RedirectUris(redirect_uris) => self.redirect_uris = redirect_uris,
            ApplicationAttribute::Trusted(trusted) => self.trusted = Known::Known(trusted),
            ApplicationAttribute::Confidential(confidential) => self.confidential = confidential,
            ApplicationAttribute::Scopes(scopes) => self.scopes = Known::Known(scopes),
        }
    }

    fn path(name: &str) -> &str {
        match name {
            "redirect_uris" => "redirect_uri",
            name => name,
        }
    }
}

/// An instance-wide OAuth application as GitLab shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedApplication {
    /// The number of its row.
    pub id: ApplicationId,
    /// The id that OAuth knows it by.
    pub uid: ApplicationUid,
    /// What it is like.
    pub fields: ApplicationFields,
}

impl ObservedApplication {
    /// Reference to it.
    pub(crate) fn reference(&self) -> ApplicationRef {
        ApplicationRef::Existing {
            id: self.id,
            uid: self.uid.clone(),
        }
    }
}

/// The application as last written or adopted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedApplication {
    /// The number of its row.
    pub id: ApplicationId,
    /// The id that OAuth knows it by. A row id alone is not trusted, for it says nothing on another instance.
    pub uid: ApplicationUid,
    /// What it was like, as far as it was written, seen or attested.
    #[serde(flatten)]
    pub fields: ApplicationFields,
    /// Who attested `trusted`, where nobody could see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_attested: Option<Attestation>,
    /// Fingerprint of the newest secret that Setpoint got for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_fingerprint: Option<String>,
    /// When Setpoint got that secret: what was authorized before was authorized with another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_at: Option<Timestamp>,
    /// Who took it over, where somebody else had made it (`setpoint adopt`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Attestation>,
}

impl From<ObservedApplication> for RecordedApplication {
    fn from(live: ObservedApplication) -> Self {
        let ObservedApplication { id, uid, fields } = live;
        Self {
            id,
            uid,
            fields,
            trusted_attested: None,
            secret_fingerprint: None,
            secret_at: None,
            adopted: None,
        }
    }
}

impl RecordedApplication {
    /// Whether this is what was recorded.
    pub fn is(&self, live: &ObservedApplication) -> bool {
        self.id == live.id && self.uid == live.uid
    }

    /// Records an edit. What Setpoint wrote itself needs nobody's word.
    pub fn edit(&mut self, edit: &ApplicationEdit) {
        edit.apply(&mut self.fields);
        if edit.has(|attribute| matches!(attribute, ApplicationAttribute::Trusted(_))) {
            self.trusted_attested = None;
        }
    }
}

/// A write to the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do")]
pub enum ApplicationOperation {
    /// Creates it over the API, which answers the secret, once. Trusted is not part of it: GitLab's API drops it
    /// without a word.
    #[serde(rename = "create_application")]
    Create { application: ApplicationFields },
    /// Edits it in place through the admin form.
    #[serde(rename = "edit_application")]
    Edit {
        application: ApplicationRef,
        edit: ApplicationEdit,
    },
    /// Renews its secret over the API, which answers it, once.
    #[serde(rename = "renew_secret")]
    RenewSecret { application: ApplicationRef },
    /// Deletes it, with all its grants and tokens. In a replacement it is the last write of the plan.
    #[serde(rename = "delete_application")]
    Delete {
        /// The number of its row.
        id: ApplicationId,
        /// The id that OAuth knows it by: verified before it is deleted.
        uid: ApplicationUid,
    },
}

/// Adopts the application into the record, and drops those that are gone.
pub(crate) fn adopt(inputs: &Inputs<'_>, settled: &Settled<'_>, next: &mut RecordedState) {
    next.superseded.retain(|id, uid| is_there(inputs.observed, *id, uid));
    let Some(live) = identify(inputs).found() else {
        if settled.is_gone(&Address::Application) {
            next.application = None;
        }
        return;
    };
    // What is not ours yet becomes ours by a plan that decided about it, and never in passing.
    let decided = settled.is_unchanged(&Address::Application)
        || settled
            .change(&Address::Application)
            .is_some_and(|change| change.reason != Reason::AlreadyExists);
    if !is_recorded(inputs.recorded, live) && (inputs.attested() || !decided) {
        return;
    }
    let replaced = superseded(inputs, Some(live));
    next.superseded
        .extend(replaced.iter().map(|app| (app.id, app.uid.clone())));
    next.vanished.extend(missing(inputs, live));
    let remembered = remembered(inputs.recorded, live);
    let mut adopted = if let Some(entry) = inputs.recorded.application.as_ref().filter(|entry| entry.is(live)) {
        entry.clone()
    } else {
        let mut fields = remembered.unwrap_or_else(|| live.fields.clone());
        diff::take_over(&mut fields, &live.fields);
        RecordedApplication {
            fields,
            ..RecordedApplication::from(live.clone())
        }
    };
    diff::adopt(&mut adopted.fields, &inputs.desired.application, &live.fields);
    if !live.fields.trusted.is_unknown() {
        adopted.trusted_attested = None;
    }
    if let Some(fingerprint) = inputs.observed.gitlab.secret.accepted()
        && adopted.secret_fingerprint.as_ref() != Some(fingerprint)
    {
        // Another one than Setpoint got: since when it has been in force, nobody knows.
        (adopted.secret_fingerprint, adopted.secret_at) = (Some(fingerprint.clone()), None);
    }
    next.application = Some(adopted);
}

/// The recorded application where another took its place and it is not listed: its list may have lagged.
fn missing(inputs: &Inputs<'_>, live: &ObservedApplication) -> Option<(ApplicationId, ApplicationUid)> {
    let entry = inputs.recorded.application.as_ref().filter(|entry| !entry.is(live))?;
    (!is_there(inputs.observed, entry.id, &entry.uid)).then(|| (entry.id, entry.uid.clone()))
}

/// What was seen of the application, of those that are to be deleted, and of the stored secret.
pub(crate) fn preconditions(
    change: &Change,
    desired: &Desired,
    observed: &Observed,
    recorded: &RecordedState,
) -> Map<String, Value> {
    let mut seen = Map::new();
    let matched = ApplicationMatch::of(desired, observed, recorded);
    seen.insert("exists".to_owned(), json!(matched != ApplicationMatch::None));
    match matched {
        ApplicationMatch::None => {}
        ApplicationMatch::Found(ObservedApplication { id, uid, fields }) => {
            seen.insert("id".to_owned(), json!(id));
            seen.insert("application_id".to_owned(), json!(uid));
            seen.extend(diff::recorded_values(fields));
        }
        ApplicationMatch::Ambiguous(candidates) => {
            let ids: Vec<ApplicationId> = candidates.iter().map(|candidate| candidate.id).collect();
            seen.insert("candidates".to_owned(), json!(ids));
        }
    }
    for (id, uid) in change.operations.iter().filter_map(Operation::deleted_application) {
        seen.insert(format!("application {id} exists"), json!(is_there(observed, id, uid)));
    }
    seen.extend(stored_secret(&observed.gitlab.secret));
    seen
}

/// What GitLab says of the stored secret, by its fingerprint: the secret itself is nowhere here.
pub(crate) fn stored_secret(check: &SecretCheck) -> Option<(String, Value)> {
    let says = match check {
        SecretCheck::NotChecked => return None,
        SecretCheck::NoneStored => json!("none stored"),
        SecretCheck::Accepted { fingerprint } => json!(format!("accepted, {fingerprint}")),
        SecretCheck::Rejected { fingerprint } => json!(format!("rejected, {fingerprint}")),
    };
    Some(("stored_secret".to_owned(), says))
}
