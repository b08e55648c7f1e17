//! What is left to people of a plan, with all that its telling needs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{ApplicationRef, Domain, FullPath, ProjectId, SecretSource, TermsVersion};

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
