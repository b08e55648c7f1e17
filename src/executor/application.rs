//! The application: created, edited in place, its secret renewed, and the old one of a replacement deleted.

use jiff::Timestamp;

use super::run::{Failure, Fresh, Run, Step, describe};
use super::state_writer::Write;
use crate::http;
use crate::model::{
    ApplicationEdit, ApplicationFields, ApplicationId, ApplicationOperation, ApplicationRef, ApplicationUid, Known,
    ObservedApplication, Operation, Reason, RecordedApplication, RecordedState,
};
use crate::secrets::Secret;

impl Run<'_> {
    pub(super) async fn perform_on_application(&self, write: Write<'_>, operation: &ApplicationOperation) -> Step {
        match operation {
            ApplicationOperation::Create { application } => self.create_application(write, application).await,
            ApplicationOperation::Edit { application, edit } => self.edit_application(write, application, edit).await,
            ApplicationOperation::RenewSecret { application } => self.renew_secret(write, application).await,
            ApplicationOperation::Delete { id, uid } => {
                let request = self.effects.gitlab.delete_application(*id, uid);
                self.announced(write, request, |record, ()| {
                    record.superseded.remove(id);
                    record.vanished.remove(id);
                    if record.application.as_ref().is_some_and(|app| app.id == *id) {
                        record.application = None;
                    }
                })
                .await
            }
        }
    }

    /// Which applications are there is recorded before the creation, so that one whose answer was lost can be told
    /// from all others.
    async fn create_application(&self, write: Write<'_>, desired: &ApplicationFields) -> Step {
        let before = self.effects.gitlab_read.applications().await?;
        self.has_not_come_back(write, &before)?;
        let mut intent = self.intent(write);
        intent.applications_before = before.iter().map(|app| app.id).collect();
        self.state.begin(vec![intent.clone()], |_| {}).await?;
        match self.effects.gitlab.create_application(desired).await {
            Ok((created, secret)) => {
                self.count(write);
                let fingerprint = self.keep(secret).await;
                self.adopt(write, desired, &created, fingerprint).await
            }
            Err(error) if error.may_have_been_processed() => {
                let known = intent.applications_before;
                let new = self.find_created(desired, |id| known.contains(&id)).await;
                self.settle_lost_creation(write, desired, &error, new).await
            }
            Err(error) => Err(self.refused(write, &error).await),
        }
    }

    /// Refuses to make a second application where the recorded one, which the plan did not see, is listed after all: one
    /// of several replicas had lagged.
    fn has_not_come_back(&self, write: Write<'_>, listed: &[ObservedApplication]) -> Step {
        match &self.state.record().application {
            Some(entry) if is_unseen(write) && listed.iter().any(|app| entry.is(app)) => Err(Failure(format!(
                "the application with id {} is in GitLab's list again, which did not have it when this was planned; run it \
                 again, and no second one is made",
                entry.id
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// The one application that was not there before and is as it was to be created.
    async fn find_created(
        &self,
        desired: &ApplicationFields,
        was_there: impl Fn(ApplicationId) -> bool,
    ) -> Option<ObservedApplication> {
        let mut found: Vec<_> = self.effects.gitlab_read.applications().await.ok()?;
        found.retain(|app| {
            let ApplicationFields {
                name, redirect_uris, ..
            } = &app.fields;
            !was_there(app.id) && *name == desired.name && *redirect_uris == desired.redirect_uris
        });
        if found.len() == 1 { found.pop() } else { None }
    }

    /// The answer to a creation was lost, and with it the secret.
    async fn settle_lost_creation(
        &self,
        write: Write<'_>,
        desired: &ApplicationFields,
        error: &http::Error,
        new: Option<ObservedApplication>,
    ) -> Step {
        let Some(new) = new else {
            return Err(self.refused(write, error).await);
        };
        self.count(write);
        self.adopt(write, desired, &new, None).await?;
        Err(Failure(format!(
            "{}; the application was created, but its secret was lost with the answer: the next run renews it",
            describe(error)
        )))
    }

    /// Records a created application, and in a replacement the old one as superseded, which must not be forgotten
    /// before it is deleted.
    async fn adopt(
        &self,
        write: Write<'_>,
        desired: &ApplicationFields,
        created: &ObservedApplication,
        secret_fingerprint: Option<String>,
    ) -> Step {
        let old: Vec<_> = (write.change.operations.iter())
            .filter_map(Operation::deleted_application)
            .map(|(id, uid)| (id, uid.clone()))
            .collect();
        let now = (self.effects.clock)();
        *self.created_application.borrow_mut() = Some((created.id, created.uid.clone()));
        self.record(write, |record| {
            if let Some(entry) = &record.application
                && entry.id != created.id
            {
                // What was seen is replaced, also where its deletion is left to a later plan.
                let formers = if is_unseen(write) {
                    &mut record.vanished
                } else {
                    &mut record.superseded
                };
                formers.insert(entry.id, entry.uid.clone());
            }
            record.superseded.extend(old);
            record.application = Some(RecordedApplication {
                id: created.id,
                uid: created.uid.clone(),
                // GitLab's API makes an application untrusted, whatever it is sent.
                fields: ApplicationFields {
                    trusted: Known::Known(false),
                    ..desired.clone()
                },
                trusted_attested: None,
                secret_at: secret_fingerprint.as_ref().map(|_| now),
                adopted: None,
                secret_fingerprint,
            });
        })
        .await
    }

    async fn edit_application(&self, write: Write<'_>, reference: &ApplicationRef, edit: &ApplicationEdit) -> Step {
        let (id, uid) = self.application(reference)?;
        let Some(admin) = self.effects.admin else {
            return Err(Failure(
                "it takes an administrator's web session; configure gitlab.admin_session".to_owned(),
            ));
        };
        let base = self.recorded_or_read(id, &uid).await?;
        let request = admin.edit_application(id, edit);
        self.announced(write, request, |record, ()| {
            if let Some(mut application) = base {
                application.edit(edit);
                record.application = Some(application);
            }
        })
        .await
    }

    /// The record of this application; where there is none (it was found by its name), what GitLab shows of it.
    async fn recorded_or_read(&self, id: ApplicationId, uid: &ApplicationUid) -> Step<Option<RecordedApplication>> {
        let recorded = self.state.record().application.clone();
        if recorded.as_ref().is_some_and(|app| app.id == id && &app.uid == uid) {
            return Ok(recorded);
        }
        let applications = self.effects.gitlab_read.applications().await?;
        Ok(applications
            .into_iter()
            .find(|app| app.id == id && &app.uid == uid)
            .map(RecordedApplication::from))
    }

    /// The recorded fingerprint goes with the announcement: from then on nobody can say which secret is in force.
    async fn renew_secret(&self, write: Write<'_>, reference: &ApplicationRef) -> Step {
        let (id, uid) = self.application(reference)?;
        let recorded = self.recorded_or_read(id, &uid).await?;
        let before = recorded
            .as_ref()
            .and_then(|app| Some((app.secret_fingerprint.clone()?, app.secret_at)));
        let intent = self.intent(write);
        self.state
            .begin(vec![intent], |record| {
                if recorded.is_some() {
                    record.application = recorded;
                }
                set_secret(record, None);
            })
            .await?;
        match self.effects.gitlab.renew_secret(id).await {
            Ok(secret) => {
                self.count(write);
                let fingerprint = self.keep(secret).await;
                let now = (self.effects.clock)();
                self.record(write, |record| {
                    set_secret(record, fingerprint.map(|fingerprint| (fingerprint, Some(now))));
                })
                .await
            }
            Err(error) => {
                if !error.may_have_been_processed() {
                    self.state.commit(write, |record| set_secret(record, before)).await?;
                    return Err(error.into());
                }
                Err(Failure(format!(
                    "{}; the secret may have been renewed, and the new one is lost: the next run renews it again",
                    describe(&error)
                )))
            }
        }
    }

    /// Keeps a fresh secret: in memory for Factory, and in the secret store before anybody else has it. One that it does
    /// not take is in force all the same, and goes to Factory; it has no fingerprint in the record until Factory has it.
    async fn keep(&self, secret: Secret) -> Option<String> {
        let unsaved = self.effects.secret_store.save(&secret).await.err();
        let fingerprint = secret.fingerprint(&self.state.record().lineage);
        let kept = unsaved.is_none().then_some(fingerprint);
        *self.fresh.borrow_mut() = Some(Fresh {
            saved: self.effects.secret_store.saves() && unsaved.is_none(),
            unsaved,
            secret,
        });
        kept
    }
}

/// Whether the application is made because none was seen, and not in the place of one that was.
fn is_unseen(write: Write<'_>) -> bool {
    write.change.reason == Reason::Absent
}

/// Which secret is in force and since when, as far as that is known.
fn set_secret(record: &mut RecordedState, secret: Option<(String, Option<Timestamp>)>) {
    if let Some(application) = &mut record.application {
        let (fingerprint, at) = secret.unzip();
        application.secret_fingerprint = fingerprint;
        application.secret_at = at.flatten();
    }
}
