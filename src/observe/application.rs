//! The application, and more of the one that is ours: its admin page, and what GitLab says of its stored secret.

use std::collections::BTreeSet;

use crate::http::Result;
use crate::model::{
    ApplicationFields, ClosedDoors, Desired, Known, ObservedApplication, ObservedIntegration, RecordedState,
    SecretCheck, identify_application, may_set_scopes,
};

use super::{LoadedSecret, Sources};

/// What GitLab shows of applications.
#[derive(Debug)]
pub(super) struct Applications {
    pub(super) all: Vec<ObservedApplication>,
    pub(super) secret: SecretCheck,
    pub(super) supported_scopes: Known<BTreeSet<String>>,
}

/// The list, and which of it is ours.
pub(super) type Listed = (Vec<ObservedApplication>, Option<ObservedApplication>);

pub(super) async fn list(
    sources: &Sources<'_>,
    desired: &Desired,
    recorded: &RecordedState,
    integration: impl Future<Output = Result<Option<ObservedIntegration>>>,
) -> Result<Listed> {
    let (applications, integration) = tokio::try_join!(sources.gitlab.applications(), integration)?;
    let used = integration.as_ref().map(|integration| &integration.application);
    let ours = identify_application(&desired.application.name, &applications, recorded, used)
        .found()
        .cloned();
    Ok((applications, ours))
}

/// Reads the admin page of the one that is ours. Where the record says that there is one, the administrator signs in
/// while the list is read: the sign-in is the longest answer of all.
pub(super) async fn admin_page(
    sources: &Sources<'_>,
    recorded: &RecordedState,
    listed: impl Future<Output = Result<Listed>>,
    closed: impl Future<Output = Result<ClosedDoors>>,
) -> Result<Option<ApplicationFields>> {
    let Some(admin) = sources.admin else {
        return Ok(None);
    };
    let opened = async {
        let is_open = closed.await?.admin.is_none();
        if is_open && recorded.application.is_some() {
            admin.open().await?;
        }
        Ok(is_open)
    };
    match tokio::try_join!(opened, listed)? {
        (true, (_, Some(ours))) => admin.application(ours.id).await.map(Some),
        _ => Ok(None),
    }
}

/// Puts together what GitLab shows of them.
pub(super) async fn read(
    sources: &Sources<'_>,
    desired: &Desired,
    recorded: &RecordedState,
    listed: impl Future<Output = Result<Listed>>,
    page: impl Future<Output = Result<Option<ApplicationFields>>>,
) -> Result<Applications> {
    let listed = async {
        let (applications, ours) = listed.await?;
        let secret = check_secret(sources, ours.as_ref(), recorded).await?;
        Ok((applications, ours, secret))
    };
    let ((mut applications, mut ours, secret), page) = tokio::try_join!(listed, page)?;
    if let (Some(fields), Some(ours)) = (page, &mut ours) {
        ours.fields = fields;
        for application in applications.iter_mut().filter(|application| application.id == ours.id) {
            application.clone_from(ours);
        }
    }
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
