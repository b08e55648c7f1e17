//! The JSON of the contract, as far as it is read.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::model::{
    ApplicationUid, AuthorizedUser, FactoryRepository, FullPath, IntegrationStatus, Known, ObservedIntegration,
    ProjectId, UserId,
};
use crate::secrets::RemoteText;

/// `{"integration": …}`
#[derive(Debug, Deserialize)]
pub(super) struct Wrapped {
    pub(super) integration: Integration,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Integration {
    domain: String,
    application_id: String,
    #[serde(default)]
    redirect_uri: Option<String>,
    status: IntegrationStatus,
    #[serde(default)]
    status_detail: Option<RemoteText>,
    #[serde(default)]
    authorized_user: Option<User>,
    #[serde(default)]
    authorized_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
struct User {
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    username: Option<String>,
}

impl Integration {
    pub(super) fn observed(self) -> ObservedIntegration {
        let user = self.authorized_user.and_then(|user| {
            Some(AuthorizedUser {
                id: UserId(user.id?),
                username: user.username?,
            })
        });
        ObservedIntegration {
            domain: self.domain.trim_end_matches('/').into(),
            application: ApplicationUid(self.application_id),
            redirect_uri: self.redirect_uri,
            status: self.status,
            detail: self.status_detail.map(String::from),
            user,
            authorized_at: self.authorized_at,
            secret_fingerprint: Known::Unknown,
        }
    }
}

/// An authorization attempt that waits for an approval in GitLab: the answer to its start.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Where it is approved; as Factory gives it, unchecked.
    #[serde(rename = "authorizationUrl")]
    pub url: String,
    /// Until when, where Factory says.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// A page of repositories.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) repositories: Vec<Repository>,
    pub(super) pagination: Pagination,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pagination {
    pub(super) has_more: bool,
    #[serde(default)]
    pub(super) next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Repository {
    #[serde(deserialize_with = "project_id")]
    pub(super) id: ProjectId,
    #[serde(deserialize_with = "FullPath::received")]
    full_path: FullPath,
    enabled: bool,
    #[serde(default)]
    archived: bool,
}

impl Repository {
    /// The bytes of text that are kept of it.
    pub(super) fn text(&self) -> usize {
        self.full_path.as_str().len()
    }

    pub(super) fn observed(self) -> FactoryRepository {
        FactoryRepository {
            path: self.full_path,
            enabled: self.enabled,
            archived: self.archived,
        }
    }
}

/// What became of a change.
#[derive(Debug, Deserialize)]
pub(super) struct Changes {
    pub(super) results: Vec<Change>,
}

/// What became of one id.
#[derive(Debug, Deserialize)]
pub(super) struct Change {
    #[serde(deserialize_with = "project_id")]
    pub(super) id: ProjectId,
    pub(super) enabled: bool,
    #[serde(default)]
    pub(super) error: Option<RemoteText>,
}

/// The error body of the contract: what tells its own 404 from that of a server without these endpoints.
#[derive(Debug, Deserialize)]
pub(super) struct Problem {
    #[serde(rename = "detail")]
    _detail: String,
    #[serde(rename = "status")]
    _status: u16,
}

/// A project id as a string of digits.
fn project_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ProjectId, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map(ProjectId)
        .map_err(|_| serde::de::Error::custom("no GitLab project id"))
}
