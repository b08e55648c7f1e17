//! GitLab's JSON, as far as it is read, and its translation into the vocabulary of the model. Fields that some version
//! or edition leaves out are optional here; an answer without any other is refused, and the error names the field.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer};

use super::pages::Row;

use crate::model::{
    ApplicationFields, ApplicationId, ApplicationUid, FullPath, GroupId, Known, NamespaceKind, ObservedApplication,
    ObservedMembership, ObservedProject, ObservedUser, ProjectId, Role, SourceKind, UserFields, UserId, UserState,
    Visibility,
};
use crate::secrets::RemoteText;

/// `GET /metadata` (GitLab: lib/api/metadata.rb).
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) version: String,
    /// Shown since 15.6.
    #[serde(default)]
    pub(super) enterprise: Option<bool>,
}

/// An application (GitLab: lib/api/entities/application.rb). The secret is there after creation and renewal only;
/// `scopes` since 19; `trusted` never.
#[derive(Deserialize)]
pub(super) struct Application {
    #[serde(deserialize_with = "number")]
    id: u64,
    #[serde(rename = "application_id")]
    uid: String,
    #[serde(rename = "application_name")]
    name: String,
    #[serde(default)]
    callback_url: Option<String>,
    #[serde(default)]
    confidential: Option<bool>,
    #[serde(default)]
    scopes: Option<Vec<String>>,
    #[serde(default)]
    pub(super) secret: Option<String>,
}

impl Application {
    pub(super) fn observed(self) -> ObservedApplication {
        ObservedApplication {
            id: ApplicationId(self.id),
            uid: ApplicationUid(self.uid),
            fields: ApplicationFields {
                name: self.name,
                // One URI a line; forms leave carriage returns.
                redirect_uris: self
                    .callback_url
                    .unwrap_or_default()
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect(),
                confidential: self.confidential.unwrap_or(true),
                scopes: self.scopes.map(BTreeSet::from_iter).into(),
                trusted: Known::Unknown,
            },
        }
    }
}

/// A user as an administrator sees it (GitLab: `lib/api/entities/user_with_admin.rb`).
#[derive(Debug, Deserialize)]
pub(super) struct User {
    #[serde(deserialize_with = "number")]
    pub(super) id: u64,
    pub(super) username: String,
    #[serde(default)]
    pub(super) name: String,
    /// Administrators see it; everybody else does not.
    #[serde(default)]
    pub(super) email: Option<String>,
    #[serde(default)]
    pub(super) state: Option<UserState>,
    #[serde(default)]
    pub(super) is_admin: Option<bool>,
    /// Whether it is set; a GitLab that does not show it has nothing against the account.
    #[serde(default = "yes", deserialize_with = "is_set", rename = "confirmed_at")]
    confirmed: bool,
    #[serde(default)]
    two_factor_enabled: Option<bool>,
    #[serde(default)]
    external: Option<bool>,
    #[serde(default)]
    locked: Option<bool>,
    #[serde(default)]
    last_activity_on: Option<String>,
    /// Where else it signs in: administrators see it.
    #[serde(default)]
    pub(super) identities: Option<Vec<Identity>>,
}

/// A secondary address of a user (GitLab: lib/api/entities/email.rb).
#[derive(Debug, Deserialize)]
pub(super) struct Email {
    pub(super) email: String,
}

impl Row for Email {
    fn text(&self) -> usize {
        self.email.len()
    }
}

/// An identity of a user with a provider.
#[derive(Debug, Deserialize)]
pub(super) struct Identity {
    pub(super) provider: RemoteText,
}

impl User {
    /// The user, unless GitLab does not show an administrator's view of it.
    pub(super) fn observed(self) -> Option<ObservedUser> {
        Some(ObservedUser {
            id: UserId(self.id),
            fields: UserFields {
                username: self.username.into(),
                name: self.name,
                email: self.email?.into(),
            },
            state: self.state.unwrap_or(UserState::Active),
            is_admin: self.is_admin.unwrap_or(false),
            external: self.external.unwrap_or(false),
            confirmed: self.confirmed,
            two_factor: self.two_factor_enabled.unwrap_or(false),
            locked: self.locked.unwrap_or(false),
            last_activity_on: self.last_activity_on,
        })
    }
}

/// `GET /namespaces/:id`
#[derive(Debug, Deserialize)]
pub(super) struct Namespace {
    #[serde(deserialize_with = "FullPath::received")]
    pub(super) full_path: FullPath,
    kind: String,
}

impl Namespace {
    pub(super) fn kind(&self) -> NamespaceKind {
        if self.kind == "user" {
            NamespaceKind::User
        } else {
            NamespaceKind::Group
        }
    }
}

/// A group (GitLab: lib/api/entities/group.rb), as far as it matters here.
#[derive(Debug, Deserialize)]
pub(super) struct Group {
    #[serde(deserialize_with = "FullPath::received")]
    pub(super) full_path: FullPath,
    #[serde(default)]
    pub(super) require_two_factor_authentication: bool,
    #[serde(default)]
    pub(super) ip_restriction_ranges: Option<String>,
    #[serde(default)]
    pub(super) enabled_git_access_protocol: Option<String>,
}

impl Row for Group {
    fn text(&self) -> usize {
        self.full_path.as_str().len()
    }
}

/// A row of `GET /users/:id/memberships`.
#[derive(Debug, Deserialize)]
pub(super) struct Membership {
    #[serde(deserialize_with = "number")]
    source_id: u64,
    source_type: SourceType,
    access_level: u64,
}

/// What a membership is in.
#[derive(Debug, Deserialize)]
enum SourceType {
    Project,
    #[serde(alias = "Group")]
    Namespace,
}

impl Row for Membership {
    fn text(&self) -> usize {
        0
    }
}

impl Membership {
    pub(super) fn observed(self) -> ObservedMembership {
        ObservedMembership {
            source: match self.source_type {
                SourceType::Project => SourceKind::Project(ProjectId(self.source_id)),
                SourceType::Namespace => SourceKind::Group(GroupId(self.source_id)),
            },
            fields: Role::from_access_level(self.access_level).into(),
        }
    }
}

/// A project in full: the simple form has neither `archived` nor the mark of deletion
/// (GitLab: lib/api/entities/project.rb).
#[derive(Debug, Deserialize)]
pub(super) struct Project {
    #[serde(deserialize_with = "number")]
    pub(super) id: u64,
    #[serde(deserialize_with = "FullPath::received")]
    path_with_namespace: FullPath,
    visibility: Visibility,
    archived: bool,
    /// Absent in editions and versions without delayed deletion.
    #[serde(default)]
    marked_for_deletion_on: Option<String>,
    #[serde(default)]
    marked_for_deletion_at: Option<String>,
    #[serde(default)]
    shared_with_groups: Option<Vec<serde::de::IgnoredAny>>,
}

impl Row for Project {
    fn text(&self) -> usize {
        let marks = [&self.marked_for_deletion_on, &self.marked_for_deletion_at];
        self.path_with_namespace.as_str().len() + marks.into_iter().flatten().map(String::len).sum::<usize>()
    }
}

impl Project {
    pub(super) fn observed(self) -> ObservedProject {
        ObservedProject {
            id: ProjectId(self.id),
            path: self.path_with_namespace,
            archived: self.archived,
            pending_deletion: self.marked_for_deletion_on.is_some() || self.marked_for_deletion_at.is_some(),
            invited_groups: self.shared_with_groups.map(|groups| !groups.is_empty()).into(),
            visibility: self.visibility,
        }
    }
}

/// `GET /.well-known/openid-configuration`
#[derive(Debug, Deserialize)]
pub(super) struct Discovery {
    #[serde(default)]
    pub(super) scopes_supported: Option<BTreeSet<String>>,
}

/// `POST /oauth/introspect`
#[derive(Debug, Deserialize)]
pub(super) struct Introspection {
    #[serde(rename = "active")]
    pub(super) _active: bool,
}

/// An id as a number or, as GitLab's own `OpenAPI` document has it, as a string of digits.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Plain(u64),
        Text(String),
    }
    match Number::deserialize(deserializer)? {
        Number::Plain(number) => Ok(number),
        Number::Text(text) => text.parse().map_err(|_| serde::de::Error::custom("no id")),
    }
}

fn yes() -> bool {
    true
}

/// Whether a field is anything but null.
fn is_set<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<serde::de::IgnoredAny>::deserialize(deserializer)?.is_some())
}

#[cfg(test)]
mod tests {
    use super::{Application, Membership, Project, User};
    use crate::model::{GroupId, Known, SourceKind, UserState};
    use serde_json::json;

    #[test]
    fn an_application_of_an_older_gitlab_has_unknown_scopes_and_its_lines_are_a_set() {
        let app: Application = serde_json::from_value(json!({
            "id": "7", "application_id": "abc", "application_name": "Factory Integration",
            "callback_url": "https://b.example.com/x\r\nhttps://a.example.com/x\n", "confidential": true
        }))
        .unwrap();
        let app = app.observed();
        assert_eq!(app.id.0, 7);
        assert_eq!(app.fields.scopes, Known::Unknown);
        assert_eq!(app.fields.trusted, Known::Unknown);
        let uris: Vec<_> = app.fields.redirect_uris.iter().map(String::as_str).collect();
        assert_eq!(uris, ["https://a.example.com/x", "https://b.example.com/x"]);
    }

    #[test]
    fn a_user_is_confirmed_unless_gitlab_says_it_is_not() {
        let user = |extra: serde_json::Value| {
            let mut value = json!({"id": 3, "username": "d", "name": "D", "email": "d@example.com", "state": "active"});
            value
                .as_object_mut()
                .unwrap()
                .extend(extra.as_object().unwrap().clone());
            serde_json::from_value::<User>(value).unwrap().observed().unwrap()
        };
        assert!(!user(json!({"confirmed_at": null})).confirmed);
        assert!(user(json!({"confirmed_at": "2026-01-01T00:00:00Z"})).confirmed);
        assert!(user(json!({})).confirmed);
        assert_eq!(user(json!({"state": "ldap_blocked"})).state, UserState::LdapBlocked);
        assert_eq!(
            user(json!({"state": "strange"})).state,
            UserState::Other("strange".to_owned())
        );
    }

    #[test]
    fn who_is_no_administrator_sees_no_user() {
        let user: User = serde_json::from_value(json!({"id": 3, "username": "d", "name": "D"})).unwrap();
        assert_eq!(user.observed(), None);
    }

    #[test]
    fn a_namespace_is_a_group() {
        let membership: Membership =
            serde_json::from_value(json!({"source_id": 5, "source_type": "Namespace", "access_level": 30})).unwrap();
        assert_eq!(membership.observed().source, SourceKind::Group(GroupId(5)));
    }

    #[test]
    fn a_project_marked_for_deletion_is_pending_deletion() {
        let project = |extra: serde_json::Value| {
            let mut value = json!({"id": 3, "path_with_namespace": "a/b", "visibility": "private", "archived": false});
            value
                .as_object_mut()
                .unwrap()
                .extend(extra.as_object().unwrap().clone());
            serde_json::from_value::<Project>(value)
                .unwrap()
                .observed()
                .pending_deletion
        };
        assert!(project(json!({"marked_for_deletion_on": "2026-01-01"})));
        assert!(!project(json!({"marked_for_deletion_on": null})));
        assert!(!project(json!({})));
    }
}
