//! The application, and more of the one that is ours: its admin page, and what GitLab says of its stored secret.

use std::collections::BTreeSet;

use crate::http::Result;
use crate::model::{
    ApplicationId, ClosedDoors, Desired, Known, ObservedApplication, ObservedIntegration, RecordedState, SecretCheck,
    identify_application, may_set_scopes,
};

use super::{LoadedSecret, Sources};

/// What GitLab shows of applications.
#[derive(Debug)]
pub(super) struct Applications {
    pub(super) all: Vec<ObservedApplication>,
    pub(super) secret: SecretCheck,
    pub(super) supported_scopes: Known<BTreeSet<String>>,
}

/// Reads it.
pub(super) async fn read(
    sources: &Sources<'_>,
    desired: &Desired,
    recorded: &RecordedState,
    integration: impl Future<Output = Result<Option<ObservedIntegration>>>,
    closed: impl Future<Output = Result<ClosedDoors>>,
) -> Result<Applications> {
    let (mut applications, integration) = tokio::try_join!(sources.gitlab.applications(), integration)?;
    let used = integration.as_ref().map(|integration| &integration.application);
    let ours = identify_application(&desired.application.name, &applications, recorded, used)
        .found()
        .cloned();
    let (page, secret) = tokio::try_join!(
        admin_page(sources, ours.as_ref().map(|ours| ours.id), closed),
        check_secret(sources, ours.as_ref(), recorded),
    )?;
    let ours = match (page, ours) {
        (Some(page), Some(ours)) if page.uid == ours.uid => {
            for application in applications.iter_mut().filter(|application| application.id == page.id) {
                application.clone_from(&page);
            }
            Some(page)
        }
        (_, ours) => ours,
    };
    let supported_scopes = if may_set_scopes(&desired.application, ours.as_ref(), recorded, sources.admin.is_some()) {
        sources.gitlab.supported_scopes().await?
    } else {
        Known::Unknown
    };
    Ok(Applications {
        all: applications,
        secret,
        supported_scopes,
    })
}

async fn admin_page(
    sources: &Sources<'_>,
    id: Option<ApplicationId>,
    closed: impl Future<Output = Result<ClosedDoors>>,
) -> Result<Option<ObservedApplication>> {
    match (sources.admin, id) {
        (Some(admin), Some(id)) if closed.await?.admin.is_none() => admin.application(id).await.map(Some),
        _ => Ok(None),
    }
}

async fn check_secret(
    sources: &Sources<'_>,
    ours: Option<&ObservedApplication>,
    recorded: &RecordedState,
) -> Result<SecretCheck> {
    let secret = match &sources.loaded_secret {
        LoadedSecret::NotConfigured => return Ok(SecretCheck::NotChecked),
        LoadedSecret::Nothing => return Ok(SecretCheck::NoneStored),
        LoadedSecret::Secret(secret) => secret,
    };
    let Some(ours) = ours else {
        return Ok(SecretCheck::NotChecked);
    };
    let fingerprint = secret.fingerprint(&recorded.lineage);
    Ok(if sources.gitlab.accepts_secret(&ours.uid, secret).await? {
        SecretCheck::Accepted { fingerprint }
    } else {
        SecretCheck::Rejected { fingerprint }
    })
}
