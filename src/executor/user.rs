//! The droid and its memberships.

use std::cell::Cell;
use std::future::Future;

use async_trait::async_trait;

use super::effects::SecretStore;
use super::run::{Failure, Run, Step, describe};
use super::state_writer::Write;
use crate::gitlab::{Authenticator, Granted, Keeper, NotEnrolled};
use crate::http;
use crate::model::{
    MemberRef, MembershipFields, MembershipOperation, ObservedUser, RecordedMembership, RecordedSecondFactor,
    RecordedState, RecordedTerms, RecordedUser, UserOperation,
};

impl Run<'_> {
    pub(super) async fn perform_on_user(&self, write: Write<'_>, operation: &UserOperation) -> Step {
        let gitlab = self.effects.gitlab;
        match operation {
            UserOperation::Create { user } => {
                let request = gitlab.create_user(user, self.effects.droid_password.as_ref());
                self.announced(write, request, |record, user| {
                    self.created_user.set(Some(user.id));
                    set_user(record, user);
                })
                .await
            }
            UserOperation::Edit { id, edit } => self.announced(write, gitlab.edit_user(*id, edit), set_user).await,
            UserOperation::Unblock { id } => self.announced(write, gitlab.unblock_user(*id), |_, ()| {}).await,
            UserOperation::Approve { id } => self.announced(write, gitlab.approve_user(*id), |_, ()| {}).await,
            UserOperation::Activate { id } => self.announced(write, gitlab.activate_user(*id), |_, ()| {}).await,
            UserOperation::AcceptTerms {
                username,
                sign_in: _,
                version,
            } => {
                let request = self.droid_session()?.accept_terms(username, version);
                self.announced(write, request, |record, id| {
                    if let Some(user) = &mut record.user {
                        user.terms = Some(RecordedTerms {
                            version: version.clone(),
                            id,
                            attested: None,
                        });
                    }
                })
                .await
            }
            UserOperation::DisableSecondFactor { id } => {
                let request = gitlab.disable_second_factor(*id);
                self.announced(write, request, |record, ()| set_second_factor(record, None))
                    .await
            }
            UserOperation::EnrolSecondFactor { username } => self.enrol(write, username).await,
            UserOperation::VerifySecondFactor { username } => {
                let kept = self.effects.authenticator_store.load().await?;
                let kept = kept.and_then(|kept| Authenticator::parse(&kept).ok());
                let Authenticator { key, .. } =
                    kept.ok_or_else(|| Failure("user.totp.load gives no key any more".to_owned()))?;
                let fingerprint = key.fingerprint(&self.state.record().lineage);
                let request = self.droid_session()?.verify_second_factor(username, &key);
                self.announced(write, request, |record, ()| {
                    set_second_factor(record, Some(fingerprint));
                })
                .await
            }
            UserOperation::Block { id } => self.announced(write, gitlab.block_user(*id), |_, ()| {}).await,
            UserOperation::Delete { id } => {
                self.announced(write, gitlab.delete_user(*id), |record, ()| {
                    record.user = None;
                    record.memberships.clear();
                })
                .await
            }
        }
    }

    /// From the announcement on nobody knows which authenticator is in force, until the droid has signed in with it. What
    /// was cut off in between the next run begins anew.
    async fn enrol(&self, write: Write<'_>, username: &str) -> Step {
        let droid = self.droid_session()?;
        let intent = self.intent(write);
        self.state
            .begin(vec![intent], |record| set_second_factor(record, None))
            .await?;
        match droid.enrol(username, &Kept(self.effects.authenticator_store)).await {
            Ok(authenticator) => {
                self.count(write);
                let fingerprint = authenticator.key.fingerprint(&self.state.record().lineage);
                self.record(write, |record| set_second_factor(record, Some(fingerprint)))
                    .await
            }
            Err(NotEnrolled {
                error,
                is_certain: true,
            }) => {
                self.state.commit(write, |_| {}).await?;
                Err(error.into())
            }
            Err(NotEnrolled {
                error,
                is_certain: false,
            }) => Err(Failure(format!(
                "{}; the next run switches that authenticator off and registers another",
                describe(&error)
            ))),
        }
    }

    pub(super) async fn perform_on_membership(&self, write: Write<'_>, operation: &MembershipOperation) -> Step {
        let gitlab = self.effects.gitlab;
        let member = operation.member();
        let (source, user) = (member.source, self.user(member.user)?);
        match operation {
            MembershipOperation::Add { fields, .. } => {
                let request = gitlab.add_member(source, user, *fields);
                self.grant(write, member, *fields, request).await
            }
            MembershipOperation::Edit { fields, .. } => {
                let request = gitlab.edit_member(source, user, *fields);
                self.grant(write, member, *fields, request).await
            }
            MembershipOperation::Remove { .. } => {
                self.announced(write, gitlab.remove_member(source, user), |record, ()| {
                    record.memberships.remove(&member.path);
                })
                .await
            }
        }
    }

    /// A membership that waits for an administrator is recorded, for the next plan to know, and is not done.
    async fn grant(
        &self,
        write: Write<'_>,
        member: &MemberRef,
        fields: MembershipFields,
        request: impl Future<Output = http::Result<Granted>>,
    ) -> Step {
        let awaits = Cell::new(false);
        self.announced(write, request, |record, granted| {
            awaits.set(granted == Granted::AwaitsApproval);
            let asked_for = RecordedMembership {
                source: member.source,
                fields,
                awaits_approval: awaits.get(),
            };
            record.memberships.insert(member.path.clone(), asked_for);
        })
        .await?;
        if awaits.get() {
            return Err(Failure(
                "GitLab has taken it, and an administrator has to approve it before it counts: in the Admin area under Users > \
                 Role promotions"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

/// The store of the authenticator, as whoever registers it needs it.
struct Kept<'a>(&'a dyn SecretStore);

#[async_trait]
impl Keeper for Kept<'_> {
    async fn keep(&self, authenticator: &Authenticator) -> Result<(), String> {
        self.0.save(&authenticator.text()).await
    }
}

fn set_second_factor(record: &mut RecordedState, fingerprint: Option<String>) {
    if let Some(user) = &mut record.user {
        user.second_factor = fingerprint.map(|key_fingerprint| RecordedSecondFactor { key_fingerprint });
    }
}

fn set_user(record: &mut RecordedState, user: ObservedUser) {
    let ObservedUser { id, fields, .. } = user;
    match &mut record.user {
        Some(recorded) if recorded.id == id => recorded.fields = fields,
        Some(_) | None => record.user = Some(RecordedUser::new(id, fields)),
    }
}
