//! The whole world of the sandbox as plain data: what a GitLab instance and one Factory organization remember.
//!
//! It is one serde value, so that a test can build it, look at it and change it, and so that `--sandbox=FILE` keeps
//! it between runs. Passwords and tokens are kept as digests, as GitLab keeps them; what Factory must be able to use
//! again (the application's secret, its own access token) is kept as it is. Behaviour lives in the handlers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::switches::Switches;

/// Access levels of GitLab (lib/gitlab/access.rb): 10 guest, 15 planner, 20 reporter, 30 developer, 40 maintainer, 50 owner.
pub type AccessLevel = u32;

/// Everything that both sides remember.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct World {
    /// Format of this file.
    pub version: u32,
    /// How the instance and Factory behave.
    pub switches: Switches,
    /// People and bots of GitLab.
    pub users: Vec<User>,
    /// Personal access and impersonation tokens.
    pub personal_tokens: Vec<PersonalToken>,
    /// Browser sessions (`_gitlab_session`).
    pub sessions: Vec<WebSession>,
    /// Groups, of any depth.
    pub groups: Vec<Group>,
    /// Projects, by ascending id.
    pub projects: Vec<Project>,
    /// Direct memberships, requests for access among them.
    pub members: Vec<Member>,
    /// Groups that were invited into other groups or projects.
    pub shares: Vec<Share>,
    /// Roles of the instance's own making (Ultimate).
    pub member_roles: Vec<MemberRole>,
    /// Old full paths of projects that were moved or renamed.
    pub redirects: Vec<Redirect>,
    /// Instance-wide OAuth applications, by ascending id.
    pub applications: Vec<Application>,
    /// Authorization codes that were given out and not exchanged yet.
    pub grants: Vec<OauthGrant>,
    /// OAuth access tokens, alive and revoked.
    pub oauth_tokens: Vec<OauthToken>,
    /// Terraform states of projects.
    pub terraform_states: Vec<TerraformState>,
    /// The versions of the terms of service; the last one is in force where the switch `enforce_terms` is on.
    pub terms: Vec<String>,
    pub factory: FactoryOrganization,
    /// The last id given out, by kind of object: ids are never used twice.
    pub last_ids: BTreeMap<String, u64>,
}

/// The state of an account (GitLab: app/models/user.rb, `state_machine`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum UserState {
    #[default]
    Active,
    /// Blocked by an administrator.
    Blocked,
    /// Signed up, not approved yet.
    BlockedPendingApproval,
    /// Deactivated; a sign-in activates it again.
    Deactivated,
    Banned,
    /// Blocked by LDAP; cannot be unblocked by the API.
    LdapBlocked,
}

impl UserState {
    /// The word that GitLab's API uses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Blocked => "blocked",
            Self::BlockedPendingApproval => "blocked_pending_approval",
            Self::Deactivated => "deactivated",
            Self::Banned => "banned",
            Self::LdapBlocked => "ldap_blocked",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent marks of an account")]
pub struct User {
    pub id: u64,
    /// Username, unique whatever its case, also among group paths.
    pub username: String,
    pub name: String,
    pub email: String,
    /// An address that waits for its confirmation.
    pub unconfirmed_email: Option<String>,
    /// When the primary address was confirmed; `None` refuses sign-in and API.
    pub confirmed_at: Option<Timestamp>,
    /// State of the account.
    pub state: UserState,
    /// Locked by Devise: after wrong passwords, or until a code that was mailed is given.
    pub locked: bool,
    /// When the lock ends by itself; `None`: it stays.
    pub locked_until: Option<Timestamp>,
    /// Wrong passwords since the last right one.
    pub failed_attempts: u32,
    /// Sign-ins that were tried in the last ten minutes, where GitLab counts them.
    pub sign_in_attempts: Vec<Timestamp>,
    /// Addresses from which somebody signed in under this account.
    pub known_addresses: BTreeSet<String>,
    /// The code that was mailed to unlock the account.
    pub verification_code: Option<String>,
    pub admin: bool,
    /// Digest of the password, see [`digest`].
    pub password_digest: String,
    /// When the password ends; in the past: sign-in leads to the change form, API and Git answer 403.
    pub password_expires_at: Option<Timestamp>,
    /// The password was made up by GitLab, nobody knows it.
    pub password_automatically_set: bool,
    /// Base32 secret of the authenticator, when two-factor authentication is on.
    pub totp_secret: Option<String>,
    /// The last 30 s step whose code was accepted: a code works once.
    pub totp_last_step: Option<i64>,
    /// The authenticator that is shown on the set-up page and not confirmed yet.
    pub totp_offer: Option<TotpOffer>,
    /// Digests of the recovery codes that were not used.
    pub recovery_digests: BTreeSet<String>,
    /// A security key is registered: two-factor authentication without an authenticator, or beside it.
    pub security_key: bool,
    /// When the grace period of an enforced second factor began.
    pub two_factor_grace_started_at: Option<Timestamp>,
    /// The version of the terms of service that was accepted, see [`World::terms`].
    pub accepted_terms: Option<u64>,
    /// External user: sees internal projects only as a member.
    pub external: bool,
    /// Bots, service accounts, ghosts: cannot sign in nor be impersonated.
    pub internal: bool,
    /// Accounts at LDAP servers and other providers.
    pub identities: Vec<Identity>,
    /// Further addresses, which nobody else can have.
    pub secondary_emails: Vec<String>,
    /// The row no longer passes GitLab's own checks, so that its state cannot be changed: `unblock` answers `false`.
    pub invalid: bool,
    /// Note of the administrators.
    pub note: Option<String>,
    pub created_at: Timestamp,
    /// Last day of activity, `YYYY-MM-DD`.
    pub last_activity_on: Option<String>,
    pub current_sign_in_at: Option<Timestamp>,
    /// The sign-in before that.
    pub last_sign_in_at: Option<Timestamp>,
}

impl User {
    /// Whether Devise lets nobody in at that moment.
    pub fn is_locked(&self, now: Timestamp) -> bool {
        self.locked && self.locked_until.is_none_or(|until| now < until)
    }

    /// Whether a sign-in asks for a second factor.
    pub fn two_factor_enabled(&self) -> bool {
        self.totp_secret.is_some() || self.security_key
    }
}

/// An account at a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Identity {
    /// The provider's name, such as `ldapmain` or `saml`.
    pub provider: String,
    /// Who the user is there: what is typed into an LDAP server's form.
    pub extern_uid: String,
    /// Digest of the password there, see [`digest`].
    pub password_digest: String,
}

/// An authenticator that was offered on the set-up page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct TotpOffer {
    /// Base32 secret.
    pub secret: String,
    /// When it was made: the page shows it for two minutes.
    pub made_at: Timestamp,
}

/// A personal access token, or an impersonation token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct PersonalToken {
    pub id: u64,
    pub user_id: u64,
    pub name: String,
    /// Digest of the token, see [`digest`].
    pub token_digest: String,
    pub scopes: Vec<String>,
    /// The permissions of a fine-grained token, such as `read_user`; a legacy token has none.
    pub granular: Option<BTreeSet<String>>,
    pub revoked: bool,
    /// Made by an administrator for somebody else.
    pub impersonation: bool,
    /// The day at whose start (UTC) it stops working, `YYYY-MM-DD`.
    pub expires_at: Option<String>,
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct WebSession {
    /// Value of the `_gitlab_session` cookie.
    pub id: String,
    /// Who is signed in.
    pub user_id: Option<u64>,
    /// Who gave the password and still owes the one-time code.
    pub otp_user_id: Option<u64>,
    /// Who gave the password and still owes the code that was mailed.
    pub verification_user_id: Option<u64>,
    /// The provider through which the user signed in; `None`: by GitLab's own form.
    pub provider: Option<String>,
    /// The administrator who impersonates `user_id`.
    pub impersonator_id: Option<u64>,
    /// Until when the set-up of an enforced second factor is put off.
    pub skip_two_factor_until: Option<Timestamp>,
    /// Token of the forms; made anew at sign-in.
    pub csrf_token: String,
    /// When Admin Mode was asked for: the password must follow within five minutes.
    pub admin_mode_requested_at: Option<Timestamp>,
    /// Until when Admin Mode is on.
    pub admin_mode_until: Option<Timestamp>,
    /// Where to go after sign-in (`session[:user_return_to]`).
    pub return_to: Option<String>,
    /// Messages for the next page: kind and text.
    pub flash: Vec<(String, String)>,
    /// Wrong passwords given in this session (reCAPTCHA appears after five).
    pub failed_logins: u32,
    pub created_at: Timestamp,
}

/// Who sees a group or a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    #[default]
    Private,
    /// Everybody who is signed in and not external.
    Internal,
    Public,
}

impl Visibility {
    /// The word that GitLab's API uses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Internal => "internal",
            Self::Public => "public",
        }
    }
}

/// A group or subgroup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Group {
    /// Numeric id, from the one sequence of namespaces.
    pub id: u64,
    /// Full path, `platform/services`.
    pub full_path: String,
    pub name: String,
    /// The group that it is in.
    pub parent_id: Option<u64>,
    pub visibility: Visibility,
    /// The day on which it is due to be deleted, `YYYY-MM-DD`.
    pub marked_for_deletion_on: Option<String>,
    /// Membership is locked by LDAP (EE): adding and changing members is refused.
    pub ldap_locked: bool,
    /// Two-factor authentication is enforced for the members.
    pub require_two_factor: bool,
    /// Hours in which they can put its set-up off; GitLab's default is 48.
    pub two_factor_grace_period: Option<u32>,
    /// Addresses and networks that alone may come to it and to all in it (EE), by commas.
    pub ip_restriction_ranges: Option<String>,
    /// By which protocols Git is spoken in it: `ssh`, `http` or `ssh_certificates`; none: by all.
    pub enabled_git_access_protocol: Option<String>,
}

impl Group {
    /// The last segment of the full path.
    pub fn path(&self) -> &str {
        self.full_path.rsplit('/').next().unwrap_or_default()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Project {
    pub id: u64,
    /// Full path, `platform/services/checkout`.
    pub full_path: String,
    pub name: String,
    /// The group that it is in; `None` in a user's own namespace.
    pub group_id: Option<u64>,
    /// The owner of the personal namespace, where there is no group.
    pub owner_id: Option<u64>,
    pub visibility: Visibility,
    pub archived: bool,
    /// The day on which it is due to be deleted, `YYYY-MM-DD`.
    pub marked_for_deletion_on: Option<String>,
    pub created_at: Timestamp,
    pub last_activity_at: Timestamp,
}

impl Project {
    /// The last segment of the full path.
    pub fn path(&self) -> &str {
        self.full_path.rsplit('/').next().unwrap_or_default()
    }

    /// The full path without the last segment.
    pub fn namespace_path(&self) -> &str {
        self.full_path.rsplit_once('/').map_or("", |(namespace, _)| namespace)
    }
}

/// What a membership is a membership of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A group, by id.
    Group(u64),
    /// A project, by id.
    Project(u64),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    pub source: Source,
    pub user_id: u64,
    pub access_level: AccessLevel,
    /// The role of the instance's own making, see [`MemberRole::id`].
    #[serde(default)]
    pub member_role_id: Option<u64>,
    /// Last day, `YYYY-MM-DD`.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// It was asked for and not granted: an access request.
    #[serde(default)]
    pub requested: bool,
    /// It waits for an administrator's approval and gives nothing until then.
    #[serde(default)]
    pub awaiting: bool,
    #[serde(default)]
    pub created_at: Timestamp,
    #[serde(default)]
    pub created_by: Option<u64>,
}

impl Member {
    /// A membership that is nothing but that.
    pub fn new(source: Source, user_id: u64, access_level: AccessLevel, created_at: Timestamp) -> Self {
        Self {
            source,
            user_id,
            access_level,
            member_role_id: None,
            expires_at: None,
            requested: false,
            awaiting: false,
            created_at,
            created_by: None,
        }
    }

    /// Whether it gives its role on that day.
    pub fn counts(&self, today: &str) -> bool {
        !self.requested && !self.awaiting && self.expires_at.as_deref().is_none_or(|day| day > today)
    }
}

/// A group that was invited: its members have their role there, too, up to that of the invitation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    pub source: Source,
    pub group_id: u64,
    /// The highest role that its members get.
    pub access_level: AccessLevel,
    /// Last day, `YYYY-MM-DD`.
    #[serde(default)]
    pub expires_at: Option<String>,
}

/// A role of the instance's own making.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct MemberRole {
    pub id: u64,
    pub name: String,
    /// The role that it adds to.
    pub base_access_level: AccessLevel,
}

/// An old full path that leads to a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Redirect {
    /// The old full path.
    pub old_path: String,
    /// The project that is elsewhere now.
    pub project_id: u64,
}

/// An OAuth application of the instance (owner NULL).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Application {
    /// Row id, what `:id` is in the API and in the admin pages.
    pub id: u64,
    /// The client id that OAuth uses (`application_id` in the API).
    pub uid: String,
    pub name: String,
    /// Redirect URIs, one a line, as they were given.
    pub redirect_uri: String,
    /// Scopes, in the order given.
    pub scopes: Vec<String>,
    pub confidential: bool,
    /// Trusted: no consent page.
    pub trusted: bool,
    /// A client registered it by itself (dynamic registration).
    pub dynamic: bool,
    /// Digest of the secret, see [`digest`].
    pub secret_digest: String,
    /// The secret itself, only on instances that do not hash secrets (switch `hash_secrets`).
    pub secret_plain: Option<String>,
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct OauthGrant {
    /// Digest of the code, see [`digest`].
    pub code_digest: String,
    /// [`Application::id`].
    pub application_id: u64,
    pub user_id: u64,
    /// Redirect URI of the request; the exchange must repeat it.
    pub redirect_uri: String,
    pub scopes: Vec<String>,
    pub code_challenge: Option<String>,
    pub code_challenge_method: Option<String>,
    /// Created at; a code lives ten minutes.
    pub created_at: Timestamp,
    /// When it was exchanged: a second exchange is refused.
    pub revoked_at: Option<Timestamp>,
}

/// An access token with its refresh token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct OauthToken {
    /// Numeric id (`?token_id` of the user's settings page).
    pub id: u64,
    /// Digest of the access token, see [`digest`].
    pub token_digest: String,
    /// Digest of the refresh token.
    pub refresh_digest: Option<String>,
    /// [`Application::id`].
    pub application_id: u64,
    pub user_id: u64,
    pub scopes: Vec<String>,
    /// Seconds that it lives.
    pub expires_in: i64,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

impl OauthToken {
    /// Whether the API takes it at that moment.
    pub fn alive(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.created_at + SignedDuration::from_secs(self.expires_in)
    }
}

/// A GitLab-managed Terraform state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct TerraformState {
    pub project_id: u64,
    pub name: String,
    /// The text of the version with the highest serial; `None`: locked before anything was stored.
    pub content: Option<String>,
    /// `serial` of each version that was stored: GitLab takes each only once.
    pub serials: BTreeSet<u64>,
    /// Who holds the lock.
    pub lock: Option<TerraformLock>,
}

/// The lock of a state, as much of it as GitLab keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct TerraformLock {
    /// Lock id, made up by the client.
    pub id: String,
    /// The GitLab user who locked; GitLab shows this name, not the one that the client sent.
    pub user_id: u64,
    /// When GitLab took the lock.
    pub created: String,
}

/// Role of a Factory key: a personal key acts with its owner's role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum FactoryRole {
    /// May not touch integrations.
    User,
    Manager,
    #[default]
    Owner,
}

/// A Factory API key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct FactoryKey {
    /// Digest of the key, see [`digest`].
    pub key_digest: String,
    /// Role of its owner.
    pub role: FactoryRole,
    /// E-mail address of its owner.
    pub owner: String,
}

/// The organization in Factory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct FactoryOrganization {
    pub name: String,
    /// Plan; integrations with a self-hosted GitLab need `enterprise`.
    pub plan: String,
    /// Keys that the API takes.
    pub keys: Vec<FactoryKey>,
    /// The GitLab Self-Hosted integration.
    pub integration: Option<FactoryIntegration>,
    /// Authorization attempts that were started.
    pub attempts: Vec<FactoryAttempt>,
    /// GitLab project ids of the enabled repositories.
    pub enabled: BTreeSet<u64>,
    /// What people and keys did, newest last: intents such as `configured`, `connected`, `disconnected`.
    pub audit: Vec<FactoryAudit>,
    /// Cookies of browsers that are signed in to the settings page.
    pub sessions: Vec<String>,
}

/// What the settings page of Factory holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct FactoryIntegration {
    /// External URL of GitLab.
    pub domain: String,
    pub application_id: String,
    pub secret: String,
    /// When it was saved.
    pub configured_at: Timestamp,
    /// The authorization, if any.
    pub authorization: Option<FactoryAuthorization>,
}

/// Factory's tokens for GitLab, and whose they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct FactoryAuthorization {
    /// Id of the GitLab user.
    pub user_id: u64,
    /// Username at the time.
    pub username: String,
    pub access_token: String,
    pub refresh_token: Option<String>,
    /// When the access token ends.
    pub expires_at: Timestamp,
    /// When it was approved.
    pub authorized_at: Timestamp,
    /// Why it no longer works; `None` while it does.
    pub broken: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct FactoryAttempt {
    pub id: String,
    /// The `state` parameter of the authorize URL.
    pub state: String,
    /// The redirect URI that the authorize URL carries.
    pub redirect_uri: String,
    pub expires_at: Timestamp,
    /// Finished, well or badly.
    pub finished: bool,
}

/// An event in Factory's audit log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct FactoryAudit {
    pub at: Timestamp,
    /// `configured`, `connected`, `disconnected`, `availability_changed`.
    pub intent: String,
    /// `web_settings_integrations` or `public_api_v0`.
    pub source: String,
}

impl Default for World {
    fn default() -> Self {
        Self {
            version: 1,
            switches: Switches::default(),
            users: Vec::new(),
            personal_tokens: Vec::new(),
            sessions: Vec::new(),
            groups: Vec::new(),
            projects: Vec::new(),
            members: Vec::new(),
            shares: Vec::new(),
            member_roles: Vec::new(),
            redirects: Vec::new(),
            applications: Vec::new(),
            grants: Vec::new(),
            oauth_tokens: Vec::new(),
            terraform_states: Vec::new(),
            terms: vec!["Be kind to this sandbox.".to_owned()],
            factory: FactoryOrganization::default(),
            last_ids: BTreeMap::new(),
        }
    }
}

impl World {
    /// The time of this world: the machine's, moved by the switch `clock_offset_seconds`.
    pub fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.switches.clock_offset_seconds)
    }

    /// The day of this world, `YYYY-MM-DD` in UTC.
    pub fn today(&self) -> String {
        self.now().strftime("%Y-%m-%d").to_string()
    }

    /// A new id of that kind (`user`, `project`, `namespace`, `application`, `token`), never given out before.
    pub fn next_id(&mut self, kind: &str) -> u64 {
        let last = self.last_ids.entry(kind.to_owned()).or_default();
        *last += 1;
        *last
    }

    /// A user by id.
    pub fn user(&self, id: u64) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    /// A user by id, to change it.
    pub fn user_mut(&mut self, id: u64) -> Option<&mut User> {
        self.users.iter_mut().find(|user| user.id == id)
    }

    /// A user by username, whatever its case.
    pub fn user_named(&self, username: &str) -> Option<&User> {
        self.users
            .iter()
            .find(|user| user.username.eq_ignore_ascii_case(username))
    }

    /// A group by id.
    pub fn group(&self, id: u64) -> Option<&Group> {
        self.groups.iter().find(|group| group.id == id)
    }

    /// A group by full path, whatever its case.
    pub fn group_at(&self, full_path: &str) -> Option<&Group> {
        self.groups
            .iter()
            .find(|group| group.full_path.eq_ignore_ascii_case(full_path))
    }

    /// A project by id.
    pub fn project(&self, id: u64) -> Option<&Project> {
        self.projects.iter().find(|project| project.id == id)
    }

    /// A project by full path, whatever its case; old paths of moved projects are not looked at.
    pub fn project_at(&self, full_path: &str) -> Option<&Project> {
        self.projects
            .iter()
            .find(|project| project.full_path.eq_ignore_ascii_case(full_path))
    }

    /// An application by row id.
    pub fn application(&self, id: u64) -> Option<&Application> {
        self.applications.iter().find(|application| application.id == id)
    }

    /// An application by client id.
    pub fn application_by_uid(&self, uid: &str) -> Option<&Application> {
        self.applications.iter().find(|application| application.uid == uid)
    }

    /// The version of the terms of service that must be accepted, where they are enforced.
    pub fn terms_in_force(&self) -> Option<u64> {
        let version = u64::try_from(self.terms.len()).unwrap_or(0);
        (self.switches.enforce_terms && version > 0).then_some(version)
    }

    /// Whether an account has yet to accept the terms of service.
    pub fn owes_terms(&self, user: &User) -> bool {
        !user.internal
            && self
                .terms_in_force()
                .is_some_and(|version| user.accepted_terms != Some(version))
    }

    /// A browser session by cookie.
    pub fn session(&self, id: &str) -> Option<&WebSession> {
        self.sessions.iter().find(|session| session.id == id)
    }

    /// A browser session by cookie, to change it.
    pub fn session_mut(&mut self, id: &str) -> Option<&mut WebSession> {
        self.sessions.iter_mut().find(|session| session.id == id)
    }

    /// Adds a group under that full path; the group above must be there already, else it is a top-level group.
    pub fn add_group(&mut self, full_path: &str, name: &str, visibility: Visibility) -> u64 {
        let id = self.next_id("namespace");
        let parent_id = full_path
            .rsplit_once('/')
            .and_then(|(parent, _)| self.group_at(parent))
            .map(|group| group.id);
        self.groups.push(Group {
            id,
            full_path: full_path.to_owned(),
            name: name.to_owned(),
            parent_id,
            visibility,
            ..Group::default()
        });
        id
    }

    /// Adds a project under that full path, into the group or the user's namespace that the path names.
    pub fn add_project(&mut self, full_path: &str, name: &str, visibility: Visibility) -> u64 {
        let id = self.next_id("project");
        let namespace = full_path.rsplit_once('/').map_or("", |(namespace, _)| namespace);
        let group_id = self.group_at(namespace).map(|group| group.id);
        let owner_id = if group_id.is_none() {
            self.user_named(namespace).map(|user| user.id)
        } else {
            None
        };
        let now = self.now();
        self.projects.push(Project {
            id,
            full_path: full_path.to_owned(),
            name: name.to_owned(),
            group_id,
            owner_id,
            visibility,
            created_at: now,
            last_activity_at: now,
            ..Project::default()
        });
        id
    }

    /// Makes somebody a direct member, or changes the role that is there.
    pub fn set_member(&mut self, source: Source, user_id: u64, access_level: AccessLevel) {
        let now = self.now();
        if let Some(member) = self
            .members
            .iter_mut()
            .find(|member| member.source == source && member.user_id == user_id)
        {
            member.access_level = access_level;
            return;
        }
        self.members.push(Member::new(source, user_id, access_level, now));
    }

    /// Moves a project to another full path; the old one then answers 301.
    pub fn move_project(&mut self, from: &str, to: &str) -> bool {
        let namespace = to.rsplit_once('/').map_or("", |(namespace, _)| namespace);
        let group_id = self.group_at(namespace).map(|group| group.id);
        let Some(project) = self
            .projects
            .iter_mut()
            .find(|project| project.full_path.eq_ignore_ascii_case(from))
        else {
            return false;
        };
        let old_path = std::mem::replace(&mut project.full_path, to.to_owned());
        project.group_id = group_id;
        let project_id = project.id;
        self.redirects
            .retain(|redirect| !redirect.old_path.eq_ignore_ascii_case(to));
        self.redirects.push(Redirect { old_path, project_id });
        true
    }

    /// Moves a group to another full path, with all that is in it; the old paths of its projects then answer 301.
    pub fn move_group(&mut self, from: &str, to: &str) -> bool {
        let Some(id) = self.group_at(from).map(|group| group.id) else {
            return false;
        };
        let parent_id = to
            .rsplit_once('/')
            .and_then(|(parent, _)| self.group_at(parent))
            .map(|group| group.id);
        let old = self.group(id).map_or_else(String::new, |group| group.full_path.clone());
        let inside = format!("{old}/");
        for group in &mut self.groups {
            if group.id == id {
                to.clone_into(&mut group.full_path);
                group.parent_id = parent_id;
            } else if let Some(rest) = group.full_path.strip_prefix(&inside) {
                group.full_path = format!("{to}/{rest}");
            }
        }
        let projects: Vec<String> = self
            .projects
            .iter()
            .filter(|project| project.full_path.starts_with(&inside))
            .map(|project| project.full_path.clone())
            .collect();
        for path in projects {
            let moved = format!("{to}/{}", &path[inside.len()..]);
            self.move_project(&path, &moved);
        }
        true
    }

    /// Marks a project for deletion; from 18 on that renames it, and its old path redirects.
    pub fn schedule_project_deletion(&mut self, full_path: &str) -> bool {
        let Some((id, path)) = self
            .project_at(full_path)
            .map(|project| (project.id, project.full_path.clone()))
        else {
            return false;
        };
        let renamed = self.switches.at_least(18, 0);
        let ending = format!("-deletion_scheduled-{id}");
        if renamed {
            self.move_project(&path, &format!("{path}{ending}"));
        }
        let day = self.deletion_day();
        if let Some(project) = self.projects.iter_mut().find(|project| project.id == id) {
            project.marked_for_deletion_on = Some(day);
            if renamed {
                project.name.push_str(&ending);
            }
        }
        true
    }

    /// Marks a group for deletion, which dooms all that is in it; from 18 on that renames it.
    pub fn schedule_group_deletion(&mut self, full_path: &str) -> bool {
        let Some((id, path)) = self
            .group_at(full_path)
            .map(|group| (group.id, group.full_path.clone()))
        else {
            return false;
        };
        let renamed = self.switches.at_least(18, 0);
        let ending = format!("-deletion_scheduled-{id}");
        if renamed {
            self.move_group(&path, &format!("{path}{ending}"));
        }
        let day = self.deletion_day();
        if let Some(group) = self.groups.iter_mut().find(|group| group.id == id) {
            group.marked_for_deletion_on = Some(day);
            if renamed {
                group.name.push_str(&ending);
            }
        }
        true
    }

    /// The day on which what is marked today will be deleted.
    fn deletion_day(&self) -> String {
        let day = self.now() + SignedDuration::from_hours(30 * 24);
        day.strftime("%Y-%m-%d").to_string()
    }

    /// Whether a project waits for its deletion, itself or through a group above it.
    pub fn is_doomed(&self, project: &Project) -> bool {
        let mut at = project.group_id.and_then(|id| self.group(id));
        while let Some(group) = at {
            if group.marked_for_deletion_on.is_some() {
                return true;
            }
            at = group.parent_id.and_then(|id| self.group(id));
        }
        project.marked_for_deletion_on.is_some()
    }

    /// Adds applications that clients registered by themselves: public, without an owner, listed with the others.
    pub fn add_dynamic_applications(&mut self, count: usize) {
        let created_at = self.now();
        for _ in 0..count {
            let id = self.next_id("application");
            self.applications.push(Application {
                id,
                uid: format!("{id:064x}"),
                name: "[Unverified Dynamic Application] Example Client".to_owned(),
                redirect_uri: "http://127.0.0.1:3000/callback".to_owned(),
                scopes: vec!["mcp".to_owned()],
                dynamic: true,
                created_at,
                ..Application::default()
            });
        }
    }

    /// Reads a world from its file.
    ///
    /// # Errors
    /// The file cannot be read, or is no world.
    pub fn load(path: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        serde_json::from_str(&text)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display())))
    }

    /// Writes the world to its file: a new file beside it, synced, then renamed over it; only its owner may read it.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(io::BufWriter::new(file.as_file_mut()), self)?;
        file.as_file_mut().flush()?;
        file.persist(path)?;
        Ok(())
    }
}

/// The digest under which passwords, tokens, codes and secrets are kept: SHA-512 in hexadecimal.
pub fn digest(secret: &str) -> String {
    use sha2::Digest as _;
    hex(&sha2::Sha512::digest(secret.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Random bytes from the operating system.
pub fn random_bytes(count: usize) -> Vec<u8> {
    let mut bytes = vec![0_u8; count];
    // The operating system's generator does not fail on the platforms that the sandbox runs on; zeroes would only
    // make a toy predictable.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

/// Random lower-case hexadecimal text from the operating system.
pub fn random_hex(bytes: usize) -> String {
    hex(&random_bytes(bytes))
}
