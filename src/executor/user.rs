//! The droid and its memberships.

use super::run::{Run, Step};
use crate::gitlab::NewUser;
use crate::model::{Change, MemberRef, ObservedUser, Operation, RecordedMembership, RecordedState, RecordedUser, Role};

impl Run<'_> {
    pub(super) async fn perform_on_user(&self, change: &Change, operation: &Operation) -> Step {
        let gitlab = self.effects.gitlab;
        let address = &change.address;
        match operation {
            Operation::CreateUser { username, name, email } => {
                let user = NewUser {
                    username: username.clone(),
                    name: name.clone(),
                    email: email.clone(),
                };
                let request = gitlab.create_user(&user, self.effects.droid_password.as_ref());
                self.announced(address, operation, request, |record, user| {
                    self.set_created_user(user.id);
                    set_user(record, user);
                })
                .await
            }
            Operation::EditUser { id, edit } => {
                let request = gitlab.edit_user(*id, edit);
                self.announced(address, operation, request, set_user).await
            }
            Operation::UnblockUser { id } => {
                self.announced(address, operation, gitlab.unblock_user(*id), |_, ()| {})
                    .await
            }
            Operation::ActivateUser { id } => {
                self.announced(address, operation, gitlab.activate_user(*id), |_, ()| {})
                    .await
            }
            Operation::BlockUser { id } => {
                self.announced(address, operation, gitlab.block_user(*id), |_, ()| {})
                    .await
            }
            Operation::DeleteUser { id } => {
                self.announced(address, operation, gitlab.delete_user(*id), |record, ()| {
                    record.user = None;
                    record.memberships.clear();
                })
                .await
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn perform_on_member(&self, change: &Change, operation: &Operation) -> Step {
        let gitlab = self.effects.gitlab;
        let address = &change.address;
        match operation {
            Operation::AddMember { member, role } => {
                let request = gitlab.add_member(member.source, self.user(member.user)?, *role);
                self.announced(address, operation, request, |record, ()| {
                    set_role(record, member, *role);
                })
                .await
            }
            Operation::EditMember { member, role } => {
                let request = gitlab.edit_member(member.source, self.user(member.user)?, *role);
                self.announced(address, operation, request, |record, ()| {
                    set_role(record, member, *role);
                })
                .await
            }
            Operation::RemoveMember { member } => {
                let request = gitlab.remove_member(member.source, self.user(member.user)?);
                self.announced(address, operation, request, |record, ()| {
                    record.memberships.remove(&member.path);
                })
                .await
            }
            _ => Ok(()),
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
