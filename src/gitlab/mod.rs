//! GitLab's side: its API read and written by different traits, and web sessions for what no API does.
//!
//! `plan`, `drift`, `doctor` and `export` are handed the reading traits only, so they cannot write.

mod api;
mod doors;
mod errors;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod graphql;
mod inspect;
mod members;
mod pages;
mod projects;
mod read;
mod settings;
mod version;
pub mod web;
mod wire;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use crate::http::Result;
use crate::model::{
    ApplicationEdit, ApplicationFields, ApplicationId, ApplicationUid, Evidence, FullPath, GitlabVersion, GroupId,
    Known, MembershipFields, NamespaceKind, ObservedApplication, ObservedMembership, ObservedProject, ObservedUser,
    ProjectId, Resolution, Role, SourceKind, TermsVersion, UserEdit, UserFields, UserId,
};
use crate::secrets::{RemoteText, Secret};

pub use api::GitlabApi;
pub use doors::{Door, Doorkeeper, Harm, KeyPlace, Resident};
pub use errors::PEER;
#[cfg(any(test, fuzzing))]
pub(crate) use fuzz::fuzz_json;
pub use web::{Authenticator, Keeper, NotEnrolled};

pub use inspect::{AdminInspect, GitlabInspect, GranularScope, GroupRules, Instance, OwnToken, Probe, speaks_https};
pub use settings::InstanceSettings;

/// What GitLab's REST and GraphQL API shows.
#[async_trait]
pub trait GitlabRead: Send + Sync {
    /// Version and edition (`GET /metadata`). Fails with a clear message for a GitLab older than 16.11.
    async fn version(&self) -> Result<GitlabVersion>;
    /// The account of Setpoint's own token, and whether it is an administrator (`GET /user`).
    async fn own_user(&self) -> Result<OwnUser>;
    /// All instance-wide applications, with `trusted` unknown (`GET /applications`, one unpaginated answer).
    async fn applications(&self) -> Result<Vec<ObservedApplication>>;
    /// The account of a username, case aside (`GET /users?username=`).
    async fn user(&self, username: &str) -> Result<Option<ObservedUser>>;
    /// The username of the account with exactly this e-mail address (`GET /users?search=`).
    async fn user_with_email(&self, email: &str) -> Result<Option<String>>;
    /// What holds a top-level name, if anything does.
    async fn namespace_holder(&self, name: &str) -> Result<Option<NamespaceKind>>;
    /// The user's direct memberships, all pages (`GET /users/:id/memberships?type=`). Requests for access are none; and
    /// Minimal Access, which GitLab leaves out of this list, is for [`GitlabRead::membership`] to tell.
    async fn memberships(&self, user: UserId) -> Result<Vec<ObservedMembership>>;
    /// One direct membership in full, which the list does not show (`GET …/members/:user_id`). One that waits for an
    /// administrator's approval is none yet.
    async fn membership(&self, source: SourceKind, user: UserId) -> Result<Option<Membership>>;
    /// The full path of a group or project now; none where there is none that the token can see.
    async fn path_of(&self, source: SourceKind) -> Result<Option<FullPath>>;
    /// What paths lead to, groups as well as projects, in batches of GraphQL. Every path asked for has an entry; a
    /// project that moved is found by one more request for each path that led nowhere. Projects come with their data.
    async fn resolve(&self, paths: &BTreeSet<FullPath>) -> Result<ResolvedPaths>;
    /// Projects by their ids, in batches of GraphQL; what is gone, or hidden from the token, is not among them. Only this
    /// tells of a deletion that a project waits for with a group above it.
    async fn projects_by_id(&self, ids: &BTreeSet<ProjectId>) -> Result<Vec<ObservedProject>>;
    /// The role of a user who is a member of any kind, inherited and through invited groups: the highest of them; none where
    /// that user is none (`GET …/members/all/:user_id`). A custom role counts as the one that it is based on.
    async fn role(&self, user: UserId, source: SourceKind) -> Result<Option<Role>>;
    /// Whether accounts that are made now are external (`user_default_external`); unknown where the token may not ask.
    async fn accounts_are_external(&self) -> Result<Known<bool>>;
    /// The terms of service that every account has to accept; none where there are none. Unknown where the token may not
    /// ask.
    async fn terms(&self) -> Result<Known<Option<TermsVersion>>>;
    /// Of these groups, and of all above and below them, those that enforce a second factor. A path that is no group's
    /// has none, but those above it count.
    async fn enforcing_groups(&self, paths: &BTreeSet<FullPath>) -> Result<BTreeSet<FullPath>>;
    /// All projects below a group, or of the instance, archived ones and those pending deletion included.
    async fn projects(&self, below: Option<&Below<'_>>) -> Result<Vec<ObservedProject>>;
    /// Scopes that the instance knows (`/.well-known/openid-configuration`), unknown where it does not say.
    async fn supported_scopes(&self) -> Result<Known<BTreeSet<String>>>;
    /// Whether GitLab accepts this client secret, by token introspection, which changes nothing.
    async fn accepts_secret(&self, application: &ApplicationUid, secret: &Secret) -> Result<bool>;
}

/// A group whose projects are read.
#[derive(Debug, Clone)]
pub struct Below<'a> {
    pub path: &'a FullPath,
    /// Its id, where that is known.
    pub id: Option<GroupId>,
}

/// The account of Setpoint's own token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnUser {
    pub id: UserId,
    pub username: String,
    /// GitLab shows this to administrators only.
    pub is_admin: bool,
}

/// What a set of paths leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvedPaths {
    /// An entry for each path that was asked for.
    pub paths: BTreeMap<FullPath, Resolution>,
    /// The projects among them.
    pub projects: Vec<ObservedProject>,
}

/// A direct membership in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// What a configuration says of it. Of a custom role this has the role that it is based on.
    pub fields: MembershipFields,
    /// The name of the custom role, where it has one.
    pub custom_role: Option<RemoteText>,
}

/// What became of a membership that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granted {
    /// It is as asked for.
    Now,
    /// GitLab has taken it and waits for an administrator's approval (Enterprise Edition).
    AwaitsApproval,
}

/// The writes of GitLab's API. None is repeated after an answer was lost, unless repeating it is harmless.
#[async_trait]
pub trait GitlabWrite: Send + Sync {
    /// `POST /applications`: the only moment, but renewal, at which GitLab shows the secret. `trusted` is not sent.
    async fn create_application(&self, application: &ApplicationFields) -> Result<(ObservedApplication, Secret)>;
    /// `POST /applications/:id/renew-secret`
    async fn renew_secret(&self, id: ApplicationId) -> Result<Secret>;
    /// `DELETE /applications/:id`, after the uid was verified; absent already counts as done.
    async fn delete_application(&self, id: ApplicationId, uid: &ApplicationUid) -> Result<()>;
    /// `POST /users` with `skip_confirmation`; without a password GitLab makes a random one.
    async fn create_user(&self, user: &UserFields, password: Option<&Secret>) -> Result<ObservedUser>;
    /// `PUT /users/:id` with `skip_reconfirmation`, never with a password.
    async fn edit_user(&self, id: UserId, edit: &UserEdit) -> Result<ObservedUser>;
    /// `POST /users/:id/unblock`
    async fn unblock_user(&self, id: UserId) -> Result<()>;

    /// `POST /users/:id/approve`
    async fn approve_user(&self, id: UserId) -> Result<()>;
    /// `POST /users/:id/activate`
    async fn activate_user(&self, id: UserId) -> Result<()>;
    /// `PATCH /users/:id/disable_two_factor`
    async fn disable_second_factor(&self, id: UserId) -> Result<()>;
    /// `POST /users/:id/block`
    async fn block_user(&self, id: UserId) -> Result<()>;
    /// `DELETE /users/:id`
    async fn delete_user(&self, id: UserId) -> Result<()>;
    /// `POST …/members`
    async fn add_member(&self, source: SourceKind, user: UserId, fields: MembershipFields) -> Result<Granted>;
    /// `PUT …/members/:user_id`
    async fn edit_member(&self, source: SourceKind, user: UserId, fields: MembershipFields) -> Result<Granted>;
    /// `DELETE …/members/:user_id`; absent already counts as done.
    async fn remove_member(&self, source: SourceKind, user: UserId) -> Result<()>;
}

/// What only an administrator's web session shows. The session is opened at the first use, and not at all if there is none.
#[async_trait]
pub trait AdminRead: Send + Sync {
    /// Signs in, so that what is asked later need not wait for it.
    async fn open(&self) -> Result<()>;
    /// What the application is like, `trusted` and scopes included, from its admin page.
    async fn application(&self, id: ApplicationId) -> Result<ApplicationFields>;
}

/// What only an administrator's web session can write.
#[async_trait]
pub trait AdminWrite: Send + Sync {
    /// Edits an application in place through the admin form: no token is lost.
    async fn edit_application(&self, id: ApplicationId, edit: &ApplicationEdit) -> Result<()>;
}

/// The droid's own web session, had by password or by impersonation, opened at the first use.
#[async_trait]
pub trait DroidSession: Send + Sync {
    /// Opens the authorize URL as the droid, consents if asked, and gives the address that GitLab sends the browser to,
    /// with its code. The URL must be one of the configured GitLab (`external_url` or `url`; it is opened at `url`) and ask
    /// for no more than is to be approved: otherwise it is refused before a password is sent anywhere.
    async fn authorize(&self, authorize_url: &str, approval: &Approval<'_>, droid: &str) -> Result<url::Url>;
    /// The droid's own page of authorized applications.
    async fn evidence(&self, droid: &str) -> Result<Evidence>;
    /// Registers an authenticator as the droid: reads its key, has it kept, confirms it, has the recovery codes kept with it,
    /// and signs in with it.
    async fn enrol(&self, droid: &str, keeper: &dyn Keeper) -> std::result::Result<Authenticator, NotEnrolled>;
    /// Signs in as the droid with codes of this key.
    async fn verify_second_factor(&self, droid: &str, key: &Secret) -> Result<()>;
    /// Accepts the terms of service as the droid, and gives GitLab's number for them; none where they were accepted
    /// already. Where others are in force than these, nothing is accepted.
    async fn accept_terms(&self, droid: &str, version: &TermsVersion) -> Result<Option<u64>>;
}

/// What the droid approves, whatever an authorize URL asks for.
#[derive(Debug, Clone, Copy)]
pub struct Approval<'a> {
    pub application: &'a ApplicationUid,
    /// The most that it may be allowed.
    pub scopes: &'a BTreeSet<String>,
    /// Where the browser may go afterwards.
    pub redirect_uris: &'a BTreeSet<String>,
}

/// A web session that has to be ended: signed out, and an impersonation stopped, also after failures.
#[async_trait]
pub trait EndSession: Send + Sync {
    /// Ends it. A session that was never opened costs no request.
    async fn end(&self) -> Result<()>;
}
