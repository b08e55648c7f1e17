//! Factory's side behind one pair of traits, so that its own endpoints, once published, are one new file.

mod api;
mod assisted;
mod audit_log;
mod errors;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod page;
#[cfg(test)]
mod rebuilt_tests;
mod site;
mod wire;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use crate::http::Result;
use crate::model::{ApplicationUid, FactoryRepository, FactorySource, Known, ObservedIntegration, ProjectId};
use crate::secrets::Secret;

pub use api::FactoryApi;
pub use assisted::AssistedFactory;
pub use audit_log::{AuditEvent, AuditLog, Entry as AuditEntry, Intent as AuditIntent, MOST_BYTES as AUDIT_LOG_BYTES};
pub use errors::PEER;
#[cfg(any(test, fuzzing))]
pub(crate) use fuzz::{fuzz_json, fuzz_page};
pub use site::{FactoryInspect, FactorySite};
pub use wire::Attempt;

/// Repositories in one page, and ids in one change: the most that the contract allows.
pub const BATCH: usize = 100;

/// What Factory shows, or what was attested about it.
#[async_trait]
pub trait FactoryRead: Send + Sync {
    /// Whether the answers are live or attested.
    fn source(&self) -> FactorySource;
    /// The integration, if one is configured.
    async fn integration(&self) -> Result<Option<ObservedIntegration>>;
    /// Every repository that the authorized user can see, enabled or not; unknown while nothing is connected.
    async fn repositories(&self) -> Result<Known<BTreeMap<ProjectId, FactoryRepository>>>;
}

#[async_trait]
pub trait FactoryWrite: Send + Sync {
    /// Saves domain, application id and secret. Idempotent, so it is repeated after a lost answer.
    async fn save_connection(
        &self,
        domain: &str,
        application: &ApplicationUid,
        secret: &Secret,
    ) -> Result<ObservedIntegration>;
    /// Disconnects and forgets; absent already counts as done.
    async fn delete_connection(&self) -> Result<()>;
    /// Starts an authorization attempt, whose URL is opened as the droid.
    async fn start_authorization(&self) -> Result<Attempt>;
    /// Requests the redirect URI with its code, at the host of the configuration that it belongs to, without a credential.
    /// Fails with the reason that Factory's page gives.
    async fn finish_authorization(&self, redirect: &url::Url) -> Result<()>;
    /// Enables and disables, at most [`BATCH`] together, none of them both. The result has an entry for each id: whether it
    /// is enabled now, or Factory's refusal.
    async fn set_repositories(
        &self,
        enable: &BTreeSet<ProjectId>,
        disable: &BTreeSet<ProjectId>,
    ) -> Result<BTreeMap<ProjectId, std::result::Result<bool, String>>>;
}
