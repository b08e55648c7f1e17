//! The droid and its memberships.

use super::run::{Run, Step, Write};
use crate::gitlab::NewUser;
use crate::model::{
    MemberRef, MembershipOperation, ObservedUser, RecordedMembership, RecordedState, RecordedUser, Role, UserOperation,
};

impl Run<'_> {
    pub(super) async fn perform_on_user(&self, write: Write<'_>, operation: &UserOperation) -> Step {
        let gitlab = self.effects.gitlab;
        match operation {
            UserOperation::Create { username, name, email } => {
                let user = NewUser {
                    username: username.clone(),
                    name: name.clone(),
                    email: email.clone(),
                };
                let request = gitlab.create_user(&user, self.effects.droid_password.as_ref());
                self.announced(write, request, |record, user| {
                    self.set_created_user(user.id);
                    set_user(record, user);
                })
                .await
            }
            UserOperation::Edit { id, edit } => self.announced(write, gitlab.edit_user(*id, edit), set_user).await,
            UserOperation::Unblock { id } => self.announced(write, gitlab.unblock_user(*id), |_, ()| {}).await,
            UserOperation::Activate { id } => self.announced(write, gitlab.activate_user(*id), |_, ()| {}).await,
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
            MembershipOperation::Add { role, .. } => {
                let request = gitlab.add_member(source, user, *role);
                self.announced(write, request, |record, ()| set_role(record, member, *role))
                    .await
            }
            MembershipOperation::Edit { role, .. } => {
                let request = gitlab.edit_member(source, user, *role);
                self.announced(write, request, |record, ()| set_role(record, member, *role))
                    .await
            }
            MembershipOperation::Remove { .. } => {
                self.announced(write, gitlab.remove_member(source, user), |record, ()| {
                    record.memberships.remove(&member.path);
                })
                .await
            }
        }
    }
}

fn set_user(record: &mut RecordedState, user: ObservedUser) {
    record.user = Some(RecordedUser {
        id: user.id,
        username: user.username,
        name: user.name,
        email: user.email,
    });
}

fn set_role(record: &mut RecordedState, member: &MemberRef, role: Role) {
    let source = member.source;
    record
        .memberships
        .insert(member.path.clone(), RecordedMembership { source, role });
}
