//! Factory behind its reading and writing traits, and the person who does its half where no program can.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use super::world::{Sides, World};
use crate::executor::{Answer, Invitation, Operator, Prompt, Waited};
use crate::factory::{Attempt, FactoryRead, FactoryWrite};
use crate::http::{Error, ErrorKind, Result, Side};
use crate::model::{
    ApplicationUid, AuthorizedUser, FactoryRepository, FactorySource, IntegrationStatus, Kind, Known,
    ObservedIntegration, OperatorStep, ProjectId, Seen,
};
use crate::secrets::Secret;

#[async_trait]
impl FactoryRead for World {
    fn source(&self) -> FactorySource {
        FactorySource::Live
    }

    async fn integration(&self) -> Result<Option<ObservedIntegration>> {
        self.read_from("integration", |sides| Ok(shown(sides))).await
    }

    async fn repositories(&self) -> Result<Known<BTreeMap<ProjectId, FactoryRepository>>> {
        let list = |sides: &Sides| {
            let user = sides.connected()?;
            let seen = sides.projects.values().filter(|project| sides.sees(user, project));
            let listed = seen.map(|project| {
                let listed = FactoryRepository {
                    path: project.path.clone(),
                    enabled: sides.enabled.contains(&project.id),
                    archived: project.archived,
                };
                (project.id, listed)
            });
            Some(listed.collect::<BTreeMap<_, _>>())
        };
        let length = list(&self.get()).map_or(0, |list| list.len());
        for _ in 1..length.div_ceil(100) {
            self.read_from("repositories", |_| Ok(())).await?;
        }
        self.read_from("repositories", |sides| Ok(list(sides).into())).await
    }
}

fn shown(sides: &Sides) -> Option<ObservedIntegration> {
    let connected = sides.connected();
    sides.integration.as_ref().map(|integration| ObservedIntegration {
        domain: integration.domain.clone(),
        application: integration.uid.clone(),
        redirect_uri: None,
        status: match (connected, integration.authorized) {
            (Some(_), _) => IntegrationStatus::Connected,
            (None, Some(_)) => IntegrationStatus::Error,
            (None, None) => IntegrationStatus::Configured,
        },
        detail: None,
        user: integration.authorized.map(|id| AuthorizedUser {
            id,
            username: sides
                .users
                .get(&id)
                .map_or_else(String::new, |user| user.fields.username.to_string()),
        }),
        authorized_at: None,
        secret_fingerprint: Known::Unknown,
    })
}

fn refuse<T>(kind: ErrorKind, why: &str) -> Result<T> {
    Err(Error::new(Side::Factory, kind, "a request", why))
}

#[async_trait]
impl FactoryWrite for World {
    async fn save_connection(
        &self,
        domain: &str,
        uid: &ApplicationUid,
        secret: &Secret,
    ) -> Result<ObservedIntegration> {
        self.write_to("save connection", Kind::Connection, |sides| {
            let kept = !sides.saves || sides.unsaved || sides.saved.iter().any(|saved| saved == secret.expose());
            assert!(kept, "Factory is given what the secret store has not");
            sides.save_connection(&domain.into(), uid, secret.expose());
            sides.made.connection = true;
            Ok(shown(sides).expect("it was saved just now"))
        })
        .await
    }

    async fn delete_connection(&self) -> Result<()> {
        self.write_to("delete connection", Kind::Connection, |sides| {
            sides.disconnect();
            Ok(())
        })
        .await
    }

    async fn start_authorization(&self) -> Result<Attempt> {
        // What nobody finishes expires: it is no write that has to be announced.
        self.call("start authorization", |sides| match &sides.integration {
            Some(integration) => Ok(Attempt {
                url: format!(
                    "https://gitlab.example.com/oauth/authorize?client_id={}",
                    integration.uid
                ),
                expires_at: None,
            }),
            None => refuse(ErrorKind::Conflict, "nothing is configured"),
        })
        .await
    }

    async fn finish_authorization(&self, redirect: &url::Url) -> Result<()> {
        self.write_to("finish authorization", Kind::Authorization, |sides| {
            let code = redirect.query_pairs().next().expect("a code").1;
            let user = crate::model::UserId(code.parse().expect("the id of who consented"));
            if !sides.takes_factorys_secret() {
                return refuse(ErrorKind::InvalidClient, "invalid_client");
            }
            sides.consent(user);
            Ok(())
        })
        .await
    }

    async fn set_repositories(
        &self,
        enable: &BTreeSet<ProjectId>,
        disable: &BTreeSet<ProjectId>,
    ) -> Result<BTreeMap<ProjectId, std::result::Result<bool, String>>> {
        let name = format!("set {} repositories", enable.len() + disable.len());
        self.write_to(&name, Kind::Repository, |sides| {
            let user = sides.connected().expect("repositories are set while not connected");
            let mut answers = BTreeMap::new();
            for id in enable {
                assert!(sides.sees(user, &sides.projects[id]), "enabled out of sight");
                if sides.refused == Some(*id) {
                    answers.insert(*id, Err("no".to_owned()));
                } else {
                    sides.enabled.insert(*id);
                    sides.made.repositories.insert(*id);
                    answers.insert(*id, Ok(true));
                }
            }
            for id in disable {
                sides.enabled.remove(id);
                answers.insert(*id, Ok(false));
            }
            Ok(answers)
        })
        .await
    }
}

#[async_trait]
impl Operator for World {
    async fn ask(&self, prompt: Prompt<'_>) -> Answer {
        let answer = {
            let mut sides = self.get();
            let addresses = prompt.steps.iter().map(|(address, _)| address.to_string()).collect();
            sides.prompts.push((addresses, prompt.secret.is_some()));
            assert!(
                sides.prompts.len() < 1000,
                "a person is asked again and again: {prompt:?}"
            );
            sides.answers.pop_front().unwrap_or(sides.otherwise.clone())
        };
        if !matches!(answer, Answer::Attested { .. }) {
            return answer;
        }
        let done = self.call("a person", |sides| {
            for (_, step) in &prompt.steps {
                sides.do_by_hand(step, &prompt);
            }
            Ok(())
        });
        done.await.map_or(Answer::Skipped, |()| answer)
    }

    async fn invite(&self, invitation: &Invitation<'_>) -> Waited {
        let answer = {
            let mut sides = self.get();
            sides.invitations.push(invitation.objection.map(str::to_owned));
            assert!(sides.invitations.len() < 1000, "a person is invited again and again");
            sides.answers.pop_front().unwrap_or(sides.otherwise.clone())
        };
        match answer {
            Answer::Attested { .. } => {}
            Answer::Skipped => return Waited::Skipped,
            Answer::Quit => return Waited::Quit,
            Answer::Later => return Waited::Later,
        }
        let approved = self.call("a person", |sides| {
            let droid = sides.user_named(&invitation.at.username).map(|user| user.id);
            sides.consent(droid.expect("the droid has an account"));
            Ok(())
        });
        approved.await.map_or(Waited::Skipped, |()| Waited::ForAWhile)
    }

    fn recorded(&self, _: &OperatorStep, _: &Seen) {}
}

impl Sides {
    /// What a person does who has this prompt in front.
    fn do_by_hand(&mut self, step: &OperatorStep, prompt: &Prompt<'_>) {
        let meant = || prompt.application.expect("the prompt says which application is meant");
        match step {
            OperatorStep::SetTrusted { trusted, .. } => {
                let app = self.apps.iter_mut().find(|app| app.id == meant().0);
                app.expect("the application of the prompt").declared.trusted = Known::Known(*trusted);
            }
            OperatorStep::AcceptTerms { .. } => panic!("there are no terms here"),
            OperatorStep::SaveConnection { domain, .. } => {
                let (_, uid) = meant();
                let shown = prompt.secret.map(|secret| secret.expose().to_owned());
                let live = || {
                    self.apps
                        .iter()
                        .find(|app| app.uid == *uid)
                        .map(|app| app.secret.clone())
                };
                let secret = shown.or_else(|| self.saved.last().cloned()).or_else(live);
                self.save_connection(domain, uid, &secret.expect("a secret to type in"));
            }
            OperatorStep::DeleteConnection => self.disconnect(),
            OperatorStep::Authorize { .. } if self.false_claims > 0 => self.false_claims -= 1,
            OperatorStep::Authorize { username } => {
                let user = self.user_named(username).expect("the droid has an account").id;
                // Nobody sees where Factory has lost the connection that was attested: it is typed in again.
                if self.integration.is_none()
                    && let Some(saved) = self.record.connection.clone()
                {
                    let app = self.apps.iter().find(|app| app.uid == saved.application);
                    let secret = app.map_or_else(String::new, |app| app.secret.clone());
                    self.save_connection(&saved.domain, &saved.application, &secret);
                }
                self.consent(user);
            }
            OperatorStep::Approve { .. } => panic!("it is approved by invitation"),
            OperatorStep::EnableRepository { id, .. } => {
                self.enabled.insert(*id);
            }
            OperatorStep::DisableRepository { id, .. } => {
                self.enabled.remove(id);
            }
        }
    }
}
