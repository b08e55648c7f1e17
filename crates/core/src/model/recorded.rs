//! The state record: what Setpoint wrote last, and what it was about to write. The third side of the comparison,
//! and the only place that remembers what no side shows.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Address, ApplicationId, ApplicationUid, Attestation, AuthorizedUser, FullPath, Operation, ProjectId, Role,
    SourceKind, UserId,
};

/// The version of the record that this program writes. A higher one is refused, never guessed at.
pub const STATE_VERSION: u32 = 1;

/// The state record. Holds no secret: a fingerprint at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedState {
    /// [`STATE_VERSION`].
    pub version: u32,
    /// Goes up with each write.
    pub serial: u64,
    /// Random, made with the record; tells two histories apart.
    pub lineage: String,
    /// Who wrote it.
    pub setpoint_version: String,
    /// Whether it describes the embedded sandbox; such a record is never used for real sides, nor the reverse.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sandbox: bool,
    /// The OAuth application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<RecordedApplication>,
    /// Replaced applications that are still to be deleted, by row id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub superseded: BTreeMap<ApplicationId, ApplicationUid>,
    /// The droid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<RecordedUser>,
    /// The droid's memberships.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub memberships: BTreeMap<FullPath, RecordedMembership>,
    /// What was saved in Factory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<RecordedConnection>,
    /// Whose grant Factory got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<RecordedAuthorization>,
    /// Repositories that were enabled.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub repositories: BTreeMap<ProjectId, RecordedRepository>,
    /// Writes that were announced and not yet recorded as done: what a crash leaves behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intents: Vec<Intent>,
}

impl RecordedState {
    /// A record of nothing.
    pub fn empty(lineage: impl Into<String>, setpoint_version: impl Into<String>) -> Self {
        Self {
            version: STATE_VERSION,
            serial: 0,
            lineage: lineage.into(),
            setpoint_version: setpoint_version.into(),
            sandbox: false,
            application: None,
            superseded: BTreeMap::new(),
            user: None,
            memberships: BTreeMap::new(),
            connection: None,
            authorization: None,
            repositories: BTreeMap::new(),
            intents: Vec::new(),
        }
    }

    /// Whether it remembers no resource and no intent.
    pub fn is_empty(&self) -> bool {
        let Self {
            version: _,
            serial: _,
            lineage: _,
            setpoint_version: _,
            sandbox: _,
            application,
            superseded,
            user,
            memberships,
            connection,
            authorization,
            repositories,
            intents,
        } = self;
        application.is_none()
            && superseded.is_empty()
            && user.is_none()
            && memberships.is_empty()
            && connection.is_none()
            && authorization.is_none()
            && repositories.is_empty()
            && intents.is_empty()
    }

    /// The intents of one address, oldest first.
    pub fn intents_of<'a>(&'a self, address: &'a Address) -> impl Iterator<Item = &'a Intent> {
        self.intents.iter().filter(move |intent| &intent.address == address)
    }
}

/// The application as last written or adopted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedApplication {
    /// Row id.
    pub id: ApplicationId,
    /// Public id; a row id alone is not trusted, for it says nothing on another instance.
    pub uid: ApplicationUid,
    /// Name.
    pub name: String,
    /// Redirect URIs.
    pub redirect_uris: BTreeSet<String>,
    /// Confidential.
    pub confidential: bool,
    /// Scopes, where they were written or seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<BTreeSet<String>>,
    /// Trusted, where it was written, seen or attested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted: Option<bool>,
    /// Who attested `trusted`, where nobody could see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_attested: Option<Attestation>,
    /// Fingerprint of the newest secret that Setpoint got for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_fingerprint: Option<String>,
    /// When Setpoint got that secret: what was authorized before was authorized with another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_at: Option<Timestamp>,
}

/// The droid as last written or adopted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedUser {
    /// Id.
    pub id: UserId,
    /// Username.
    pub username: String,
    /// Display name.
    pub name: String,
    /// E-mail address.
    pub email: String,
}

/// A membership as last written or adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedMembership {
    /// Where.
    pub source: SourceKind,
    /// The role.
    pub role: Role,
}

/// The connection as last written, adopted or attested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedConnection {
    /// Domain.
    pub domain: String,
    /// Application id.
    pub application: ApplicationUid,
    /// Fingerprint of the secret that Factory was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_fingerprint: Option<String>,
    /// Whether GitLab refused the secret that Factory has, when Factory was last to be authorized.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret_refused: bool,
    /// Who attested it, under the `assisted` driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attested: Option<Attestation>,
}

/// The authorization as last made, adopted or attested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedAuthorization {
    /// Whom Factory acts as.
    pub user: AuthorizedUser,
    /// The application that the grant is of.
    pub application: ApplicationUid,
    /// Fingerprint of the secret that was in force; a renewal ends the authorization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_fingerprint: Option<String>,
    /// Who attested it, under the `assisted` driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attested: Option<Attestation>,
}

/// A repository as last enabled, adopted or attested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedRepository {
    /// Its path at that time.
    pub path: FullPath,
    /// Who attested it, under the `assisted` driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attested: Option<Attestation>,
}

/// A write that was announced. It is recorded before the request goes out and taken out again together with what the
/// answer said, so that one found on start is a write whose end nobody saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// The resource.
    pub address: Address,
    /// The write.
    pub operation: Operation,
    /// When it was announced.
    pub at: Timestamp,
    /// For `create_application`: the applications that were there before, so that a new one can be told from them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub applications_before: BTreeSet<ApplicationId>,
}
