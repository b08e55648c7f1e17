//! The API client of one GitLab. It implements the reading and the writing trait; who holds it as a reader cannot write.

use std::sync::atomic::AtomicUsize;

use serde::de::DeserializeOwned;

use super::errors::is_absent;
use super::settings::InstanceSettings;
use crate::http::{Client, Method, Request, Result};
use crate::model::{ApplicationUid, SourceKind, UserId};
use crate::secrets::Secret;

/// GitLab's REST and GraphQL API, as the administrator whose token the client carries.
#[derive(Debug)]
pub struct GitlabApi {
    pub(super) client: Client,
    /// The settings, once they were read.
    pub(super) settings: tokio::sync::OnceCell<InstanceSettings>,
    /// Which mark of deletion this GitLab's GraphQL knows, as far as it has said so.
    pub(super) deletion_mark: AtomicUsize,
}

impl GitlabApi {
    /// The API at the client's base URL, which holds the relative URL root if there is one.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            settings: tokio::sync::OnceCell::new(),
            deletion_mark: AtomicUsize::new(0),
        }
    }

    /// `GET {root}/api/v4/…`
    pub(super) fn get(&self, segments: &[impl AsRef<str>]) -> Request {
        self.client.get(&v4(segments))
    }

    /// `POST {root}/api/v4/…`
    pub(super) fn post(&self, segments: &[impl AsRef<str>]) -> Request {
        self.client.post(&v4(segments))
    }

    /// `PUT {root}/api/v4/…`
    pub(super) fn put(&self, segments: &[impl AsRef<str>]) -> Request {
        self.client.request(Method::PUT, &v4(segments))
    }

    /// `PATCH {root}/api/v4/…`
    pub(super) fn patch(&self, segments: &[impl AsRef<str>]) -> Request {
        self.client.request(Method::PATCH, &v4(segments))
    }

    /// `DELETE {root}/api/v4/…`
    pub(super) fn delete(&self, segments: &[impl AsRef<str>]) -> Request {
        self.client.request(Method::DELETE, &v4(segments))
    }

    /// What a request is answered with; none where GitLab says that there is no such thing.
    pub(super) async fn find<T: DeserializeOwned>(&self, request: Request) -> Result<Option<T>> {
        let answer = self.client.send(request).await?;
        if is_absent(&answer) {
            return Ok(None);
        }
        answer.success()?.json().map(Some)
    }

    /// `POST {root}/oauth/introspect` as the application, about a token that nobody has. It changes nothing, and tells
    /// a right secret (200) from a wrong one (401), unlike revocation.
    pub(super) fn introspection(&self, application: &ApplicationUid, secret: &Secret) -> Request {
        let form = [
            ("client_id", application.0.as_str()),
            ("client_secret", secret.expose()),
            ("token", "setpoint-verifies-a-client-secret"),
        ];
        self.client
            .post(&["oauth", "introspect"])
            .form(form)
            .anonymous()
            .reading()
    }
}

fn v4(segments: &[impl AsRef<str>]) -> Vec<&str> {
    ["api", "v4"]
        .into_iter()
        .chain(segments.iter().map(AsRef::as_ref))
        .collect()
}

/// The path of the members of a group or project, or of one member.
pub(super) fn members(source: SourceKind, user: Option<UserId>) -> Vec<String> {
    let (kind, id) = match source {
        SourceKind::Group(id) => ("groups", id.to_string()),
        SourceKind::Project(id) => ("projects", id.to_string()),
    };
    let mut segments = vec![kind.to_owned(), id, "members".to_owned()];
    segments.extend(user.map(|user| user.to_string()));
    segments
}

/// The path of one member of any kind: direct, inherited, or of an invited group.
pub(super) fn all_members(source: SourceKind, user: UserId) -> Vec<String> {
    let mut segments = members(source, None);
    segments.extend(["all".to_owned(), user.to_string()]);
    segments
}
