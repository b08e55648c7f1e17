//! What both sides show, already in the planner's terms: parsed, typed, and free of spelling that means nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ApplicationId, ApplicationUid, FullPath, GroupId, Known, ProjectId, Role, UserId};

/// What both sides show. Fields hold only what was worth reading for the configuration at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// GitLab's side.
    pub gitlab: ObservedGitlab,
    /// Factory's side.
    pub factory: ObservedFactory,
}

/// GitLab's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedGitlab {
    /// The version that answers.
    pub version: GitlabVersion,
    /// The account that Setpoint's own token belongs to; it is never edited, blocked or deleted.
    pub own_user: UserId,
    /// The OAuth scopes that this instance knows (`scopes_supported` of its discovery document); read only where a
    /// scope would have to be set.
    pub supported_scopes: Known<BTreeSet<String>>,
    /// All instance-wide OAuth applications.
    pub applications: Vec<ObservedApplication>,
    /// The droid: the account with the declared username, else one with a previous username.
    pub user: Option<ObservedUser>,
    /// Who holds the declared username where the droid does not.
    pub username_holder: Option<NamespaceKind>,
    /// The username of another account that holds the declared e-mail address.
    pub email_holder: Option<String>,
    /// What the paths of declared memberships lead to.
    pub namespaces: BTreeMap<FullPath, Resolution>,
    /// The droid's direct memberships, all of them.
    pub memberships: Vec<ObservedMembership>,
    /// What the explicitly listed repository paths lead to, as far as Factory's list has not answered already.
    pub paths: BTreeMap<FullPath, Resolution>,
    /// Projects read from GitLab: those of explicit paths, and candidates of globs.
    pub projects: BTreeMap<ProjectId, ObservedProject>,
    /// What GitLab says of the secret that `application.secret.load` gave.
    pub secret: SecretCheck,
    /// What the droid's own page of authorized applications says.
    pub evidence: Known<Evidence>,
}

/// A version such as `18.5.1-ee`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GitlabVersion {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// The version as GitLab spells it.
    pub text: String,
}

/// An instance-wide OAuth application as GitLab shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedApplication {
    /// Row id.
    pub id: ApplicationId,
    /// Public id.
    pub uid: ApplicationUid,
    /// Name.
    pub name: String,
    /// Redirect URIs, as a set of lines.
    pub redirect_uris: BTreeSet<String>,
    /// Whether it is confidential.
    pub confidential: bool,
    /// Scopes: in the API from 19 on, in the admin pages always.
    pub scopes: Known<BTreeSet<String>>,
    /// Trusted: in the admin pages only.
    pub trusted: Known<bool>,
}

/// The state of a GitLab account (GitLab: app/models/user.rb).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserState {
    /// Can sign in.
    Active,
    /// Blocked by an administrator; `unblock` heals it.
    Blocked,
    /// Waits for approval; `approve` heals it.
    BlockedPendingApproval,
    /// Blocked by LDAP; only the directory can heal it.
    LdapBlocked,
    /// Dormant; `activate` heals it.
    Deactivated,
    /// Banned; `unban` heals it.
    Banned,
    /// A state that this version of Setpoint does not know.
    #[serde(untagged)]
    Other(String),
}

impl UserState {
    /// Whether the account can be used now. A deactivated one can: signing in ends the deactivation.
    pub fn can_sign_in(&self) -> bool {
        match self {
            Self::Active | Self::Deactivated | Self::Other(_) => true,
            Self::Blocked | Self::BlockedPendingApproval | Self::LdapBlocked | Self::Banned => false,
        }
    }
}

/// The droid's account.
#[expect(clippy::struct_excessive_bools, reason = "GitLab shows these as independent flags")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedUser {
    /// Id.
    pub id: UserId,
    /// Username as GitLab spells it.
    pub username: String,
    /// Display name.
    pub name: String,
    /// Primary e-mail address.
    pub email: String,
    /// State.
    pub state: UserState,
    /// Whether it is an administrator, which a droid should not be.
    pub is_admin: bool,
    /// Whether the primary e-mail address is confirmed; GitLab refuses OAuth otherwise.
    pub confirmed: bool,
    /// Whether it has two-factor authentication.
    pub two_factor: bool,
    /// Locked after failed sign-ins; a lock ends by itself.
    pub locked: bool,
    /// Last day with any activity, `YYYY-MM-DD`.
    pub last_activity_on: Option<String>,
}

/// What a path or name belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamespaceKind {
    /// A user's own namespace.
    User,
    /// A group.
    Group,
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

/// A direct membership of the droid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObservedMembership {
    /// Where.
    pub source: SourceKind,
    /// GitLab's access level; not every level is a [`Role`].
    pub access_level: u64,
}

impl ObservedMembership {
    /// The role, where the level is one.
    pub fn role(&self) -> Option<Role> {
        Role::from_access_level(self.access_level)
    }
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// A group or project that has this very path (case aside).
    Found(SourceKind),
    /// A project that moved here from the path that was asked for.
    Moved {
        /// Its id.
        id: ProjectId,
        /// Its path now.
        to: FullPath,
    },
    /// Nothing that the administrator's token can see.
    NotFound,
}

/// Who can see a project (GitLab: `lib/gitlab/visibility_level.rb`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Members.
    Private,
    /// Everyone who is signed in, but external users.
    Internal,
    /// Everyone.
    Public,
}

/// A project as GitLab shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedProject {
    /// Id.
    pub id: ProjectId,
    /// Full path now.
    pub path: FullPath,
    /// Read-only by archiving.
    pub archived: bool,
    /// Waiting to be deleted.
    pub pending_deletion: bool,
    /// Who can see it.
    pub visibility: Visibility,
}

/// What GitLab says of a stored client secret (token introspection, which changes nothing).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SecretCheck {
    /// No `application.secret.load`, or no application to check it with.
    #[default]
    NotChecked,
    /// `load` gave nothing: there is none yet.
    NoneStored,
    /// GitLab accepts it.
    Accepted {
        /// Its fingerprint.
        fingerprint: String,
    },
    /// GitLab refuses it: someone renewed it, or it is another application's.
    Rejected {
        /// Its fingerprint.
        fingerprint: String,
    },
}

/// How far the clocks of GitLab and of this machine may differ, in seconds, before a time of the one says nothing
/// about a time of the other.
const CLOCK_SKEW_SECONDS: i64 = 60;

/// What the droid's "Authorized applications" page says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The applications on it by row id, which no two share as they may share a name. The time is that of the newest
    /// token ("Authorized At"), where it could be read: an exchange of a code or a refresh, each of which takes the
    /// secret that is in force.
    pub authorized: BTreeMap<ApplicationId, Option<Timestamp>>,
}

/// What that page says of one application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Testimony {
    /// It does not list the application.
    Absent,
    /// It lists it with a time before the present secret was given out: what was authorized then is over.
    Outdated(Timestamp),
    /// It lists it.
    Authorized(Option<Timestamp>),
}

impl Evidence {
    /// Of this application, whose present secret was given out at that time, where that is known.
    pub fn of(&self, application: ApplicationId, secret_at: Option<Timestamp>) -> Testimony {
        match (self.authorized.get(&application), secret_at) {
            (None, _) => Testimony::Absent,
            (Some(Some(at)), Some(since)) if since.as_second() - at.as_second() > CLOCK_SKEW_SECONDS => {
                Testimony::Outdated(*at)
            }
            (Some(at), _) => Testimony::Authorized(*at),
        }
    }
}

/// Factory's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedFactory {
    /// Where this knowledge comes from.
    pub source: FactorySource,
    /// The self-hosted GitLab integration, if one is configured.
    pub integration: Option<ObservedIntegration>,
    /// The repositories that the authorized user can see, enabled or not; unknown while nothing is connected.
    /// Attested knowledge lists the enabled ones only.
    pub repositories: Known<BTreeMap<ProjectId, FactoryRepository>>,
}

/// Where knowledge of Factory's side comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactorySource {
    /// Factory answered.
    Live,
    /// A person attested it; Factory was not asked.
    Attested,
}

/// The integration as Factory shows it, or as it was attested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedIntegration {
    /// GitLab's external URL, no final slash.
    pub domain: String,
    /// The application it uses.
    pub application: ApplicationUid,
    /// Where GitLab must send the browser back to, where Factory says.
    pub redirect_uri: Option<String>,
    /// Whether it works.
    pub status: IntegrationStatus,
    /// What Factory adds to the status.
    pub detail: Option<String>,
    /// Whom it acts as.
    pub user: Option<AuthorizedUser>,
    /// Fingerprint of the secret it holds: known only where it was attested; Factory never answers secrets.
    pub secret_fingerprint: Known<String>,
}

/// The state of the integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntegrationStatus {
    /// Saved, not authorized.
    Configured,
    /// Authorized and working.
    Connected,
    /// The stored authorization no longer works.
    Error,
}

/// Whom Factory acts as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizedUser {
    /// GitLab user id.
    pub id: UserId,
    /// Username.
    pub username: String,
}

/// A repository as Factory lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactoryRepository {
    /// Full path.
    pub path: FullPath,
    /// Whether Droids may work on it.
    pub enabled: bool,
    /// Archived in GitLab, where Factory says.
    pub archived: bool,
}

/// That a person said a step was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// Who, as `user@host`.
    pub by: String,
    /// When.
    pub at: Timestamp,
}
