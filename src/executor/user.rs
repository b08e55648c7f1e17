//! The droid and its memberships.

use std::cell::Cell;
use std::future::Future;

use super::run::{Failure, Run, Step, Write};
use crate::gitlab::Granted;
use crate::http;
use crate::model::{
    MemberRef, MembershipFields, MembershipOperation, ObservedUser, RecordedMembership, RecordedState, RecordedTerms,
    RecordedUser, UserOperation,
};

impl Run<'_> {
    pub(super) async fn perform_on_user(&self, write: Write<'_>, operation: &UserOperation) -> Step {
        let gitlab = self.effects.gitlab;
        match operation {
            UserOperation::Create { user } => {
                let request = gitlab.create_user(user, self.effects.droid_password.as_ref());
                self.announced(write, request, |record, user| {
                    self.set_created_user(user.id);
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

fn set_user(record: &mut RecordedState, user: ObservedUser) {
    let ObservedUser { id, fields, .. } = user;
    match &mut record.user {
        Some(recorded) if recorded.id == id => recorded.fields = fields,
        Some(_) | None => record.user = Some(RecordedUser::new(id, fields)),
    }
}
