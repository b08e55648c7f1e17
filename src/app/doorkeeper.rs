//! Remembers from run to run which sign-ins GitLab refused. After so many wrong passwords or codes in a row, however far
//! apart, it locks the account and with it all its tokens, and its API does not show how many there were: a job that looks
//! every hour with an old password would lock the administrator overnight. So those from this folder are counted, and
//! nobody signs in any more before they could be enough.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::records::refused_sign_ins;
use crate::files::{self, Readers};
use crate::gitlab::{Door, Doorkeeper, GitlabApi, GitlabInspect as _, Harm, Resident};
use crate::http::Result;
use crate::model::TermsVersion;
use crate::secrets::to_json;
use crate::urls;

/// Refusals in a row after which nobody tries again, where GitLab's own limit is not lower.
const ENOUGH: u64 = 3;
/// GitLab's own limit where none is set (GitLab: `config/initializers/8_devise.rb`).
const GITLABS: u64 = 10;
/// The same of an account without an authenticator, where sign-ins are verified by e-mail; wrong passwords of a directory
/// count, too (GitLab: `app/models/concerns/require_email_verification.rb`, `omniauth_callbacks_controller.rb`).
const VERIFIED: u64 = 3;
/// More bytes than the memory ever has.
const LIMIT: u64 = 64 * 1024;

/// GitLab's own answers, and what is remembered here.
pub(crate) struct RememberingDoorkeeper {
    gitlab: Arc<GitlabApi>,
    /// Which GitLab that is: configurations of several may lie in one folder.
    place: String,
    memory: PathBuf,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    /// Refusals in a row by account and GitLab.
    refused: BTreeMap<String, u64>,
}

impl RememberingDoorkeeper {
    /// With the memory beside the record.
    pub(crate) fn new(context: &Context, gitlab: Arc<GitlabApi>) -> Self {
        Self {
            gitlab,
            place: urls::bare(&context.config.gitlab.external_url).to_owned(),
            memory: refused_sign_ins(&context.records.local),
        }
    }

    fn key(&self, door: &Door) -> String {
        format!("{} at {}", door.username.to_lowercase(), self.place)
    }

    /// What is there; nothing where it cannot be read, for it is no record of truth.
    fn read(&self) -> Memory {
        let bytes = files::read(&self.memory, LIMIT).ok();
        bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    fn write(&self, memory: &Memory) {
        let written = to_json(memory, true)
            .map_err(|error| error.to_string())
            .and_then(|text| files::replace(&self.memory, &text, Readers::Owner).map_err(|error| error.to_string()));
        if let Err(error) = written {
            tracing::warn!(file = %self.memory.display(), error, "refused sign-ins cannot be counted");
        }
    }
}

#[async_trait]
impl Doorkeeper for RememberingDoorkeeper {
    async fn harm(&self, door: &Door) -> Result<Option<Harm>> {
        if let Some(harm) = self.gitlab.harm(door).await? {
            return Ok(Some(harm));
        }
        let Some(refused) = self.read().refused.remove(&self.key(door)) else {
            return Ok(None);
        };
        let settings = self.gitlab.settings().await?;
        let limit = match settings.require_email_verification_on_account_locked {
            Some(true) if !door.has_totp => VERIFIED,
            _ => settings.max_login_attempts.unwrap_or(GITLABS),
        };
        if refused < limit.saturating_sub(1).clamp(1, ENOUGH) {
            return Ok(None);
        }
        let (Door { username, table, .. }, key) = (door, door.key());
        let refused = match refused {
            1 => "once".to_owned(),
            more => format!("{more} times in a row"),
        };
        Ok(Some(Harm {
            message: format!(
                "nobody signs in as {username}: GitLab refused that {refused}, and locks the account with all its \
                 tokens after {limit}"
            ),
            way_out: format!(
                "correct {table}.password (and {key}, if there is one), sign in once as {username} in a browser, which \
                 sets GitLab's count back, and remove {}",
                self.memory.display()
            ),
        }))
    }

    async fn terms_now(&self) -> Result<Option<TermsVersion>> {
        self.gitlab.terms_now().await
    }

    async fn account(&self, login: &str) -> Result<Option<Resident>> {
        self.gitlab.account(login).await
    }

    fn tried(&self, door: &Door, was_refused: bool) {
        let mut memory = self.read();
        if was_refused {
            *memory.refused.entry(self.key(door)).or_default() += 1;
        } else if memory.refused.remove(&self.key(door)).is_none() {
            return;
        }
        self.write(&memory);
    }
}
