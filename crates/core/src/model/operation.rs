//! The writes that a plan consists of. Each holds everything its execution needs, but secrets and what an earlier
//! write of the same plan brings into being; so a plan can be saved, shown and carried out elsewhere.

use serde::{Deserialize, Serialize};

use super::{ApplicationId, ApplicationUid, DesiredApplication, FullPath, ProjectId, Role, SourceKind, UserId};

/// A write to one of the two sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Operation {
    /// Creates the application over the API, which answers the secret, once. Trusted is not part of it: GitLab's API
    /// drops it without a word.
    CreateApplication {
        /// What to create.
        application: DesiredApplication,
    },
    /// Edits the application in place through the admin form.
    EditApplication {
        /// Which.
        application: ApplicationRef,
        /// The fields that change.
        edit: ApplicationEdit,
    },
    /// Renews the application's secret over the API, which answers it, once.
    RenewSecret {
        /// Whose.
        application: ApplicationRef,
    },
    /// Deletes an application, with all its grants and tokens. In a replacement it is the last write of the plan.
    DeleteApplication {
        /// Row id.
        id: ApplicationId,
        /// Public id: verified before it is deleted.
        uid: ApplicationUid,
    },
    /// Creates the droid, with the password of the configuration, or a random one that nobody knows.
    CreateUser {
        /// Username.
        username: String,
        /// Display name.
        name: String,
        /// E-mail address, taken as confirmed.
        email: String,
    },
    /// Edits the droid. Never its password: an administrator's change would expire it.
    EditUser {
        /// Whom.
        id: UserId,
        /// The fields that change.
        edit: UserEdit,
    },
    /// Lifts a block.
    UnblockUser {
        /// Whom.
        id: UserId,
    },
    /// Ends a deactivation.
    ActivateUser {
        /// Whom.
        id: UserId,
    },
    /// Blocks the droid (`destroy --block-user`).
    BlockUser {
        /// Whom.
        id: UserId,
    },
    /// Deletes the droid; its contributions go to GitLab's ghost user (`destroy --delete-user`).
    DeleteUser {
        /// Whom.
        id: UserId,
    },
    /// Adds the droid as a member.
    AddMember {
        /// Where.
        member: MemberRef,
        /// As what.
        role: Role,
    },
    /// Changes the droid's direct role.
    EditMember {
        /// Where.
        member: MemberRef,
        /// To what.
        role: Role,
    },
    /// Takes the droid's direct membership away.
    RemoveMember {
        /// Where.
        member: MemberRef,
    },
    /// Saves domain, application id and secret in Factory.
    SaveConnection {
        /// The external URL.
        domain: String,
        /// The application.
        application: ApplicationRef,
        /// Where the secret comes from.
        secret: SecretSource,
    },
    /// Disconnects Factory.
    DeleteConnection,
    /// Goes through OAuth as the droid.
    Authorize {
        /// The username that Factory must be connected as afterwards.
        username: String,
        /// How the droid's GitLab session is had.
        sign_in: SignIn,
        /// The application that is approved, and no other.
        application: ApplicationRef,
        /// What it may be allowed: the declared scopes.
        scopes: std::collections::BTreeSet<String>,
        /// Where GitLab may send the browser back to.
        redirect_uris: std::collections::BTreeSet<String>,
    },
    /// Enables a repository.
    EnableRepository {
        /// Its project.
        id: ProjectId,
    },
    /// Disables a repository.
    DisableRepository {
        /// Its project.
        id: ProjectId,
    },
}

/// An application that is there, or the one that this plan creates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationRef {
    /// It is there.
    Existing {
        /// Row id.
        id: ApplicationId,
        /// Public id.
        uid: ApplicationUid,
    },
    /// This plan creates it.
    Planned,
}

/// A user that is there, or the one that this plan creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserRef {
    /// It is there.
    Existing(UserId),
    /// This plan creates it.
    Planned,
}

/// Where a membership is, and whose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRef {
    /// Group or project.
    pub source: SourceKind,
    /// Its path, for people.
    pub path: FullPath,
    /// The droid.
    pub user: UserRef,
}

/// The fields of an application that change; none stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationEdit {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Redirect URIs, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uris: Option<std::collections::BTreeSet<String>>,
    /// Trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted: Option<bool>,
    /// Confidential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidential: Option<bool>,
    /// Scopes, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<std::collections::BTreeSet<String>>,
}

/// The fields of the droid that change; none stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEdit {
    /// Username.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// E-mail address, without a confirmation that would stay pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
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
        /// The application.
        application: ApplicationRef,
        /// Its name, to find it by.
        name: String,
        /// Ticked or not.
        trusted: bool,
    },
    /// Save the three values on Factory's settings page.
    SaveConnection {
        /// The external URL.
        domain: String,
        /// The application.
        application: ApplicationRef,
        /// Where the secret comes from.
        secret: SecretSource,
    },
    /// Disconnect on Factory's settings page.
    DeleteConnection,
    /// Approve the popup while signed in to GitLab as the droid.
    Authorize {
        /// The droid.
        username: String,
    },
    /// Enable a repository in Factory's selection.
    EnableRepository {
        /// Its project.
        id: ProjectId,
        /// Its path.
        path: FullPath,
    },
    /// Disable a repository in Factory's selection.
    DisableRepository {
        /// Its project.
        id: ProjectId,
        /// Its path.
        path: FullPath,
    },
}
