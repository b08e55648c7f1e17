//! What the writes of a plan refer to, each as something that is there or that an earlier write brings into being.

use serde::{Deserialize, Serialize};

use super::{ApplicationId, ApplicationUid, FullPath, GroupId, ProjectId, UserId};

/// An application that is there, or the one that this plan creates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationRef {
    Existing {
        id: ApplicationId,
        uid: ApplicationUid,
    },
    /// This plan creates it.
    #[default]
    Planned,
}

/// A user that is there, or the one that this plan creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserRef {
    Existing(UserId),
    /// This plan creates it.
    Planned,
}

/// Where a membership is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum SourceKind {
    /// In a group, and so in everything below it.
    Group(GroupId),
    /// In one project.
    Project(ProjectId),
}

/// Where a membership is, and whose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRef {
    pub source: SourceKind,
    /// Its path, for people.
    pub path: FullPath,
    pub user: UserRef,
}

/// Where the secret for Factory comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// GitLab's answer to the creation or renewal in this very plan.
    Fresh,
    /// `application.secret.load`.
    Loaded,
}

/// How the droid's GitLab session is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignIn {
    /// Through the sign-in form, with its password and, where asked, a TOTP code.
    Password,
    /// From the administrator's web session.
    Impersonate,
}
