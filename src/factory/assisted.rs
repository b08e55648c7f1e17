//! The `assisted` driver's reading half: Factory as it is today shows nothing, so what is known is what a person
//! attested, and what Setpoint itself saw or wrote while the driver was `api`: going back to `assisted` makes nobody do
//! again what was done. The writing half is that person.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::FactoryRead;
use crate::http::Result;
use crate::model::{
    FactoryRepository, FactorySource, IntegrationStatus, Known, ObservedIntegration, ProjectId, RecordedState,
};

/// Factory as the state record describes it.
#[derive(Debug, Clone)]
pub struct AssistedFactory {
    record: RecordedState,
}

impl AssistedFactory {
    /// Speaks for this record.
    pub fn new(record: RecordedState) -> Self {
        Self { record }
    }
}

#[async_trait]
impl FactoryRead for AssistedFactory {
    fn source(&self) -> FactorySource {
        FactorySource::Attested
    }

    /// Connected only if the recorded authorization is of the very application and secret that were recorded as saved:
    /// another application or a renewed secret ends it.
    async fn integration(&self) -> Result<Option<ObservedIntegration>> {
        Ok(self.record.connection.as_ref().map(|saved| {
            let authorization = self.record.authorization.as_ref().filter(|authorization| {
                authorization.application == saved.application
                    && authorization.secret_fingerprint == saved.secret_fingerprint
            });
            ObservedIntegration {
                domain: saved.domain.clone(),
                application: saved.application.clone(),
                redirect_uri: None,
                status: match authorization {
                    Some(_) => IntegrationStatus::Connected,
                    None => IntegrationStatus::Configured,
                },
                detail: None,
                user: authorization.map(|authorization| authorization.user.clone()),
                authorized_at: None,
                secret_fingerprint: saved.secret_fingerprint.clone().into(),
            }
        }))
    }

    /// The repositories recorded as enabled, also while the authorization is due again: Factory keeps the selection.
    async fn repositories(&self) -> Result<Known<BTreeMap<ProjectId, FactoryRepository>>> {
        Ok(Known::Known(
            self.record
                .repositories
                .iter()
                .map(|(id, saved)| {
                    let repository = FactoryRepository {
                        path: saved.path.clone(),
                        enabled: true,
                        archived: false,
                    };
                    (*id, repository)
                })
                .collect(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::AssistedFactory;
    use crate::factory::FactoryRead as _;
    use crate::model::{
        ApplicationUid, Attestation, AuthorizedUser, FullPath, IntegrationStatus, Known, ProjectId,
        RecordedAuthorization, RecordedConnection, RecordedRepository, RecordedState, UserId,
    };

    fn attested() -> Attestation {
        Attestation {
            by: "ops@host".to_owned(),
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
        }
    }

    fn record() -> RecordedState {
        let mut record = RecordedState::empty("lineage", "0.1.0");
        record.connection = Some(RecordedConnection {
            domain: "https://gitlab.example.com".into(),
            application: ApplicationUid("abc".to_owned()),
            secret_fingerprint: Some("sha256:1".to_owned()),
            secret_refused: false,
            attested: Some(attested()),
        });
        record.authorization = Some(RecordedAuthorization {
            user: AuthorizedUser {
                id: UserId(7),
                username: "factory-droid".to_owned(),
            },
            application: ApplicationUid("abc".to_owned()),
            secret_fingerprint: Some("sha256:1".to_owned()),
            attested: Some(attested()),
        });
        for (id, attested) in [(1, Some(attested())), (2, None)] {
            record.repositories.insert(
                ProjectId(id),
                RecordedRepository {
                    path: FullPath::new(format!("a/{id}")),
                    attested,
                },
            );
        }
        record
    }

    #[tokio::test]
    async fn what_was_attested_or_written_by_the_other_driver_is_shown() {
        let factory = AssistedFactory::new(record());
        let integration = factory.integration().await.unwrap().unwrap();
        assert_eq!(integration.status, IntegrationStatus::Connected);
        assert_eq!(integration.user.unwrap().username, "factory-droid");
        assert_eq!(integration.secret_fingerprint, Known::Known("sha256:1".to_owned()));
        let Known::Known(repositories) = factory.repositories().await.unwrap() else {
            panic!("attested repositories are known")
        };
        assert_eq!(
            repositories.into_keys().collect::<Vec<_>>(),
            [ProjectId(1), ProjectId(2)]
        );
    }

    #[tokio::test]
    async fn a_renewed_secret_ends_the_authorization_only() {
        let mut record = record();
        record.connection.as_mut().unwrap().secret_fingerprint = Some("sha256:2".to_owned());
        let integration = AssistedFactory::new(record).integration().await.unwrap().unwrap();
        assert_eq!(integration.status, IntegrationStatus::Configured);
        assert_eq!(integration.user, None);
    }

    #[tokio::test]
    async fn a_connection_that_is_not_recorded_is_not_there() {
        let mut record = record();
        record.connection = None;
        assert_eq!(AssistedFactory::new(record).integration().await.unwrap(), None);
    }
}
