//! What only `doctor` asks: the instance itself, its settings, Setpoint's own token, and whether the doors open that an
//! apply would go through. Reads, all of it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;

use super::api::GitlabApi;
use super::settings::InstanceSettings;
use super::version::is_new_enough;
use super::wire;
use crate::http::{Error, Response, Result, StatusCode};
use crate::model::FullPath;
use crate::secrets::RemoteText;

/// What GitLab's API says of the instance and of the token.
#[async_trait]
pub trait GitlabInspect: Send + Sync {
    /// Whether anything answers, what time it has, and which GitLab it is (`GET /metadata`). An error is of the way
    /// there; what is wrong with the answer is in [`Probe::instance`].
    async fn probe(&self) -> Result<Probe>;
    /// The token itself (`GET /personal_access_tokens/self`); none where it is no personal access token.
    async fn own_token(&self) -> Result<Option<OwnToken>>;
    /// The settings that matter to a sign-in (`GET /application/settings`), for administrators only. Asked once.
    async fn settings(&self) -> Result<InstanceSettings>;
    /// What the groups at these paths, above and below them ask of whoever comes.
    async fn group_rules(&self, paths: &BTreeSet<FullPath>) -> Result<Vec<GroupRules>>;
    /// The URL that GitLab is configured with: `issuer` of its discovery document, asked without a credential. None
    /// where the answer holds no such thing.
    async fn issuer(&self) -> Result<Option<String>>;
}

/// What an administrator's web session shows of the doors.
#[async_trait]
pub trait AdminInspect: Send + Sync {
    /// Signs in, enters Admin Mode where asked, and opens the list of applications in the admin area.
    async fn enter(&self) -> Result<()>;
    /// Whether the page of this user offers impersonation; the error says which of GitLab's rules is against it.
    async fn offers_impersonation(&self, username: &str) -> Result<()>;
}

#[derive(Debug, Clone)]
pub struct Probe {
    /// The server's time, from its `Date` header.
    pub date: Option<Timestamp>,
    /// Which GitLab it is, or what the answer was instead.
    pub instance: Result<Instance>,
}

/// What a group asks of whoever comes to it, or to what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRules {
    pub path: FullPath,
    /// Whether members need two-factor authentication.
    pub two_factor: bool,
    /// The addresses that may come, where not all may (Enterprise Edition, groups at the top only).
    pub addresses: Option<RemoteText>,
    /// Whether Git is spoken over HTTPS.
    pub git_over_https: bool,
}

/// Which GitLab it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Version as GitLab spells it, made fit for a terminal.
    pub version: String,
    /// Whether this version has all that Setpoint needs.
    pub is_new_enough: bool,
    /// Whether it is the Enterprise Edition.
    pub enterprise: Option<bool>,
}

/// Setpoint's own token (GitLab: `lib/api/entities/personal_access_token.rb`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OwnToken {
    id: u64,
    pub scopes: BTreeSet<String>,
    /// The day at whose start, in UTC, it expires (GitLab: `app/models/concerns/expirable.rb`).
    #[serde(default)]
    pub expires_at: Option<Date>,
    /// Whether it is a fine-grained token, which has permissions in place of scopes (since 18).
    #[serde(default)]
    pub granular: bool,
    /// The permissions of a fine-grained token, where GitLab shows them.
    #[serde(default)]
    pub granular_scopes: Option<Vec<GranularScope>>,
}

/// Permissions of a fine-grained token within one boundary.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct GranularScope {
    /// The boundary: `instance`, `user`, `all_memberships`, `selected_memberships`, `personal_projects`.
    #[serde(default)]
    pub access: Option<String>,
    /// The permissions, such as `read_oauth_application`.
    #[serde(default)]
    pub permissions: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
}

#[async_trait]
impl GitlabInspect for GitlabApi {
    async fn probe(&self) -> Result<Probe> {
        let answer = self.client.send(self.get(&["metadata"])).await?;
        let date = answer.header("date").and_then(crate::http::parse_date);
        Ok(Probe {
            date,
            instance: instance(answer),
        })
    }

    async fn own_token(&self) -> Result<Option<OwnToken>> {
        let request = self.get(&["personal_access_tokens", "self"]);
        let answer = self.client.send(request).await?;
        // So GitLab answers an OAuth or job token.
        if answer.status() == StatusCode::BAD_REQUEST {
            return Ok(None);
        }
        let token: OwnToken = answer.success()?.json()?;
        if !token.granular || token.granular_scopes.is_some() {
            return Ok(Some(token));
        }
        // The permissions are shown where a token is asked for by its id.
        let by_id = self.get(&["personal_access_tokens", &token.id.to_string()]);
        let shown = self.client.send(by_id).await?;
        match shown.status() {
            StatusCode::OK => shown.json().map(Some),
            _ => Ok(Some(token)),
        }
    }

    async fn settings(&self) -> Result<InstanceSettings> {
        let read = || self.client.json(self.get(&["application", "settings"]));
        self.settings.get_or_try_init(read).await.cloned()
    }

    async fn group_rules(&self, paths: &BTreeSet<FullPath>) -> Result<Vec<GroupRules>> {
        let groups = self.groups_around(paths).await?;
        let rules = groups.into_iter().map(|group| GroupRules {
            two_factor: group.require_two_factor_authentication,
            addresses: group
                .ip_restriction_ranges
                .filter(|ranges| !ranges.trim().is_empty())
                .map(|ranges| RemoteText::within(&ranges, 200)),
            git_over_https: speaks_https(group.enabled_git_access_protocol.as_deref()),
            path: group.full_path,
        });
        Ok(rules.collect())
    }

    async fn issuer(&self) -> Result<Option<String>> {
        let request = self.client.get(&[".well-known", "openid-configuration"]).anonymous();
        let answer = self.client.call(request).await?;
        let issuer = answer.json::<Discovery>().ok().map(|document| document.issuer);
        Ok(issuer.map(|issuer| RemoteText::within(&issuer, 200).into()))
    }
}

/// Whether Git is spoken over HTTPS where this is the setting; `ssh_certificates` is a group's.
pub fn speaks_https(protocol: Option<&str>) -> bool {
    !matches!(protocol, Some("ssh" | "ssh_certificates"))
}

fn instance(answer: Response) -> Result<Instance, Error> {
    let metadata: wire::Metadata = answer.success()?.json()?;
    Ok(Instance {
        is_new_enough: is_new_enough(&metadata.version),
        version: RemoteText::within(&metadata.version, 40).into(),
        enterprise: metadata.enterprise,
    })
}
