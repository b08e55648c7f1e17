//! What the writes of a plan refer to, and what is left to people. A write holds everything its execution needs, but
//! secrets and what an earlier write of the same plan brings into being; so a plan can be saved, shown and carried out
//! elsewhere.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{ApplicationId, ApplicationUid, Domain, FullPath, ProjectId, SourceKind, TermsVersion, UserId};

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

/// Something that a person has to do, because no interface lets a program do it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum OperatorStep {
    /// Tick or untick "Trusted" in GitLab's admin area.
    SetTrusted {
        application: ApplicationRef,
        /// Its name, to find it by.
        name: String,
        trusted: bool,
    },
    /// Accept GitLab's terms of service as the droid.
    AcceptTerms { username: String, version: TermsVersion },
    /// Save the three values on Factory's settings page.
    SaveConnection {
        domain: Domain,
        application: ApplicationRef,
        /// Where the secret comes from.
        secret: SecretSource,
    },
    /// Disconnect on Factory's settings page.
    DeleteConnection,
    /// Approve the popup while signed in to GitLab as the droid.
    Authorize { username: String },
    /// Approve at an address that Factory gives for it, while signed in to GitLab as the droid. Nobody attests it: Setpoint
    /// sees Factory's answer.
    Approve {
        username: String,
        /// The application that is approved, and no other.
        application: ApplicationRef,
        /// What it may be allowed: the declared scopes.
        scopes: BTreeSet<String>,
        /// Where GitLab may send the browser back to.
        redirect_uris: BTreeSet<String>,
    },
    /// Enable a repository in Factory's selection.
    EnableRepository { id: ProjectId, path: FullPath },
    /// Disable a repository in Factory's selection.
    DisableRepository { id: ProjectId, path: FullPath },
}

impl OperatorStep {
    /// The project that it enables or disables.
    pub fn project(&self) -> Option<ProjectId> {
        match self {
            Self::EnableRepository { id, .. } | Self::DisableRepository { id, .. } => Some(*id),
            Self::SetTrusted { .. }
            | Self::AcceptTerms { .. }
            | Self::SaveConnection { .. }
            | Self::DeleteConnection
            | Self::Authorize { .. }
            | Self::Approve { .. } => None,
        }
    }

    /// Whether a person's word is all there is of it. Of the others Setpoint sees for itself that they were done.
    pub fn is_attested(&self) -> bool {
        !matches!(self, Self::Approve { .. })
    }
}
