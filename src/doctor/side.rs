//! GitLab's side as its checks are given it: what is known before the first request, and what the API said.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use url::Url;

use crate::config::Config;
use crate::gitlab::{
    AdminInspect, DroidSession, GitlabInspect, GitlabRead, GroupRules, InstanceSettings, OwnToken, OwnUser,
};
use crate::http::{Client, Result};
use crate::model::{Known, ObservedUser};
use crate::observe::Doors;

/// What is known of GitLab's side before the first request.
pub struct GitlabSide<'a> {
    pub config: &'a Config,
    /// Where it is asked.
    pub url: &'a Url,
    /// What it is asked with.
    pub client: &'a Client,
    /// Certificates for it, added to the system's.
    pub ca_file: Option<&'a Path>,
    pub read: &'a dyn GitlabRead,
    /// The same, asked about itself.
    pub inspect: &'a dyn GitlabInspect,
    /// The sign-ins that are configured.
    pub doors: Doors<'a>,
    /// Whether a token was found to ask with.
    pub has_token: bool,
    /// GitLab at its external URL, asked without a credential; none where that is `gitlab.url`, or the sandbox stands in.
    pub external: Option<&'a dyn GitlabInspect>,
    /// GitLab at its external URL, trusted as strangers trust it: by the public authorities, without a credential;
    /// none where the sandbox stands in, or that is no `https` address.
    pub as_the_public: Option<&'a dyn GitlabInspect>,
    /// The administrator's web session, where it is configured and its password was found.
    pub admin: Option<&'a dyn AdminInspect>,
    /// The droid's web session, where it signs in by password and that was found.
    pub droid: Option<&'a dyn DroidSession>,
    pub clock: &'a (dyn Fn() -> Timestamp + Sync),
}

/// What the API said, question by question.
pub(super) struct Answers {
    pub(super) token: Result<Option<OwnToken>>,
    pub(super) own_user: Result<OwnUser>,
    pub(super) settings: Result<InstanceSettings>,
    pub(super) scopes: Result<Known<BTreeSet<String>>>,
    pub(super) droid: Result<Option<ObservedUser>>,
    pub(super) groups: Result<Vec<GroupRules>>,
}
