//! Factory's half: the connection, the authorization as the droid, and the repository selection in batches.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::run::{Failure, LeftToAPerson, Run, Step, describe, struck_off, uncertain, unrecorded};
use super::state_writer::{Write, clear};
use crate::factory::FactoryWrite;
use crate::gitlab::Approval;
use crate::http;
use crate::model::{
    Address, ApplicationRef, ApplicationUid, AuthorizationOperation, ConnectionOperation, Domain, IntegrationStatus,
    ObservedIntegration, OperatorStep, ProjectId, RecordedAuthorization, RecordedConnection, RecordedRepository,
    RecordedState, RepositoryOperation, SecretSource,
};
use crate::secrets::Secret;

impl Run<'_> {
    pub(super) async fn perform_on_connection(&self, write: Write<'_>, operation: &ConnectionOperation) -> Step {
        match operation {
            ConnectionOperation::Save {
                domain,
                application,
                secret,
            } => self.save_connection(write, domain, application, *secret).await,
            ConnectionOperation::Delete => {
                let request = self.factory()?.delete_connection();
                self.announced(write, request, |record, ()| forget_connection(record))
                    .await
            }
        }
    }

    pub(super) async fn perform_on_authorization(&self, write: Write<'_>, operation: &AuthorizationOperation) -> Step {
        let AuthorizationOperation::Authorize {
            username,
            sign_in: _,
            application,
            scopes,
            redirect_uris,
        } = operation;
        let (_, uid) = self.application(application)?;
        let approval = Approval {
            application: &uid,
            scopes,
            redirect_uris,
        };
        let by_hand = || OperatorStep::Approve {
            username: username.clone(),
            application: application.clone(),
            scopes: scopes.clone(),
            redirect_uris: redirect_uris.clone(),
        };
        self.authorize(write, username, &approval, by_hand).await
    }

    pub(super) fn factory(&self) -> Step<&dyn FactoryWrite> {
        self.effects.factory.ok_or_else(|| {
            Failure("Factory is not written to under the `assisted` driver; make the plan again".to_owned())
        })
    }

    /// The secret that Factory is to be given.
    pub(super) async fn secret(&self, source: SecretSource) -> Step<Secret> {
        match source {
            SecretSource::Fresh => {
                let fresh = self.fresh.borrow();
                fresh
                    .as_ref()
                    .map(|fresh| fresh.secret.clone())
                    .ok_or_else(|| Failure("this run got no secret from GitLab; the next run renews it".to_owned()))
            }
            SecretSource::Loaded => match self.effects.secret_store.load().await {
                Ok(Some(secret)) => Ok(secret),
                Ok(None) => Err(Failure("application.secret.load gives no secret any more".to_owned())),
                Err(why) => Err(Failure(format!("application.secret.load failed: {why}"))),
            },
        }
    }

    async fn save_connection(
        &self,
        write: Write<'_>,
        domain: &Domain,
        application: &ApplicationRef,
        source: SecretSource,
    ) -> Step {
        let factory = self.factory()?;
        let (_, uid) = self.application(application)?;
        let secret = self.secret(source).await?;
        let fingerprint = secret.fingerprint(&self.state.record().lineage);
        let now = (self.effects.clock)();
        let request = factory.save_connection(domain.as_str(), &uid, &secret);
        self.announced(write, request, |record, integration| {
            if source == SecretSource::Fresh {
                handed_over(record, &uid, &fingerprint, now);
            }
            record.connection = Some(RecordedConnection::new(domain, &uid, Some(fingerprint)));
            if integration.status != IntegrationStatus::Connected {
                record.authorization = None;
            }
        })
        .await
    }

    /// Through OAuth as the droid, and then the proof: Factory itself has to say that it is connected, and as whom.
    /// Where no program can sign in as the droid, the approval is left to a person, in the same run.
    async fn authorize(
        &self,
        write: Write<'_>,
        username: &str,
        approval: &Approval<'_>,
        by_hand: impl FnOnce() -> OperatorStep,
    ) -> Step {
        let factory = self.factory()?;
        let droid = self.droid_session()?;
        self.begin(write).await?;
        let attempt = async {
            let attempt = factory.start_authorization().await?;
            let redirect = droid.authorize(&attempt.url, approval, username).await?;
            factory.finish_authorization(&redirect).await
        };
        if let Err(error) = attempt.await {
            if error.kind == http::ErrorKind::InvalidClient {
                return Err(self.secret_refused(write, &error).await);
            }
            if error.kind == http::ErrorKind::PersonNeeded {
                let why = describe(&error);
                self.state.commit(write, |_| {}).await?;
                let _ = self.left_to_a_person.set(LeftToAPerson { step: by_hand(), why });
                return Ok(());
            }
            return Err(self.refused(write, &error).await);
        }
        self.count(write);
        let integration = self.effects.factory_read.integration().await.map_err(|error| {
            Failure(format!(
                "the authorization went through, but Factory could not be asked whom it is connected as: {}",
                describe(&error)
            ))
        })?;
        let checked = self.check_connected(integration, username);
        let (authorization, result) = match checked {
            Ok(authorization) => (Some(authorization), Ok(())),
            Err(why) => (None, Err(Failure(why))),
        };
        self.record(write, |record| record.authorization = authorization)
            .await?;
        result
    }

    /// GitLab does not take the secret that Factory has: somebody renewed it, or typed in another. It is recorded before
    /// anything is done about it, so that the next plan knows.
    async fn secret_refused(&self, write: Write<'_>, error: &http::Error) -> Failure {
        let settled = self
            .state
            .commit(write, |record| {
                if let Some(connection) = &mut record.connection {
                    connection.secret_refused = true;
                }
            })
            .await;
        let why = describe(error);
        match settled {
            Ok(()) => {
                self.secret_was_refused.set(true);
                Failure(format!(
                    "{why}. GitLab does not take the secret that Factory has; the next apply gives Factory one that works"
                ))
            }
            Err(state) => Failure(format!("{why}; besides, {state}")),
        }
    }

    pub(super) fn check_connected(
        &self,
        integration: Option<ObservedIntegration>,
        username: &str,
    ) -> Result<RecordedAuthorization, String> {
        let Some(integration) = integration else {
            return Err("Factory has no integration any more: it was deleted during the authorization".to_owned());
        };
        if integration.status != IntegrationStatus::Connected {
            let detail = integration
                .detail
                .map(|detail| format!(": {detail}"))
                .unwrap_or_default();
            return Err(format!("Factory took the authorization and is not connected{detail}"));
        }
        let Some(user) = integration.user else {
            return Err(format!(
                "Factory is connected and does not say as whom; it should be `{username}`"
            ));
        };
        let is_droid = user.username.eq_ignore_ascii_case(username) && self.droid().is_none_or(|id| id == user.id);
        if !is_droid {
            return Err(format!(
                "Factory is connected as `{}` (user {}) and not as `{username}`{}",
                user.username,
                user.id,
                self.droid().map(|id| format!(" (user {id})")).unwrap_or_default()
            ));
        }
        let record = self.state.record();
        let connection = record.connection.as_ref();
        if let Some(saved) = connection
            && saved.application != integration.application
        {
            return Err(format!(
                "Factory uses the application {} and not {}: somebody saved another one meanwhile",
                integration.application, saved.application
            ));
        }
        Ok(RecordedAuthorization {
            user,
            application: integration.application,
            secret_fingerprint: connection.and_then(|connection| connection.secret_fingerprint.clone()),
            attested: None,
        })
    }

    /// Enables or disables one repository.
    pub(super) async fn set_repository(&self, write: Write<'_>, operation: RepositoryOperation) -> Step {
        let mut results = self.set_repositories(&[(write, operation)]).await;
        let unanswered = || Failure("nothing was answered for it".to_owned());
        results.pop().unwrap_or_else(|| Err(unanswered()))
    }

    /// Enables and disables at most [`crate::factory::BATCH`] repositories: one group of announcements, one call, one record of what
    /// became of each. The results are in the order of the writes.
    pub(super) async fn set_repositories(&self, batch: &[Selecting<'_>]) -> Vec<Step> {
        match self.try_set_repositories(batch).await {
            Ok(results) => results,
            Err(Failure(why)) => batch.iter().map(|_| Err(Failure(why.clone()))).collect(),
        }
    }

    async fn try_set_repositories(&self, batch: &[Selecting<'_>]) -> Step<Vec<Step>> {
        let factory = self.factory()?;
        let (mut enable, mut disable) = (BTreeSet::new(), BTreeSet::new());
        for (_, operation) in batch {
            match operation {
                RepositoryOperation::Enable { id } => enable.insert(*id),
                RepositoryOperation::Disable { id } => disable.insert(*id),
            };
        }
        let intents = batch.iter().map(|(write, _)| self.intent(*write)).collect();
        self.state.begin(intents, |_| {}).await?;
        let answers = match factory.set_repositories(&enable, &disable).await {
            Ok(answers) => answers,
            Err(error) if error.may_have_been_processed() => return Err(uncertain(&error)),
            Err(error) => {
                let dropped = self.state.edit(|record| {
                    for (write, _) in batch {
                        clear(record, *write);
                    }
                });
                return Err(struck_off(&error, dropped.await));
            }
        };
        let results: Vec<Step> = batch
            .iter()
            .map(|(_, operation)| result_of(*operation, &answers))
            .collect();
        for ((write, _), _) in batch.iter().zip(&results).filter(|(_, result)| result.is_ok()) {
            self.count(*write);
        }
        self.state
            .edit(|record| {
                for ((write, operation), result) in batch.iter().zip(&results) {
                    clear(record, *write);
                    if result.is_ok() {
                        record_selection(record, &write.change.address, *operation);
                    }
                }
            })
            .await
            .map_err(|state| unrecorded(&state))?;
        Ok(results)
    }
}

/// A write to the selection of repositories.
pub(super) type Selecting<'a> = (Write<'a>, RepositoryOperation);

fn result_of(operation: RepositoryOperation, answers: &BTreeMap<ProjectId, Result<bool, String>>) -> Step {
    let wanted = match operation {
        RepositoryOperation::Enable { .. } => true,
        RepositoryOperation::Disable { .. } => false,
    };
    match answers.get(&operation.id()) {
        Some(Ok(enabled)) if *enabled == wanted => Ok(()),
        Some(Ok(_)) if wanted => Err(Failure("Factory answered that it is still disabled".to_owned())),
        Some(Ok(_)) => Err(Failure("Factory answered that it is still enabled".to_owned())),
        Some(Err(why)) => Err(Failure(format!("Factory refused: {why}"))),
        None => Err(Failure("Factory's answer does not mention it".to_owned())),
    }
}

fn record_selection(record: &mut RecordedState, address: &Address, operation: RepositoryOperation) {
    match operation {
        RepositoryOperation::Enable { id } => {
            if let Some(path) = address.path().cloned() {
                let enabled = RecordedRepository { path, attested: None };
                record.repositories.insert(id, enabled);
            }
        }
        RepositoryOperation::Disable { id } => drop(record.repositories.remove(&id)),
    }
}

/// Factory has the secret that is in force: it is known by that, also where nobody else could keep it.
pub(super) fn handed_over(record: &mut RecordedState, uid: &ApplicationUid, fingerprint: &str, at: Timestamp) {
    let application = record
        .application
        .as_mut()
        .filter(|application| &application.uid == uid);
    if let Some(application) = application
        && application.secret_fingerprint.as_deref() != Some(fingerprint)
    {
        application.secret_fingerprint = Some(fingerprint.to_owned());
        application.secret_at = Some(at);
    }
}

/// Disconnecting forgets the authorization and the repository selection too.
pub(super) fn forget_connection(record: &mut RecordedState) {
    record.connection = None;
    record.authorization = None;
    record.repositories.clear();
}
