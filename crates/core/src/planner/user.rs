//! `gitlab.user`: the droid. Its password is given at creation only, because GitLab expires a password that an
//! administrator changes (GitLab: `lib/api/users.rb`); the account of our own token is never touched.

use serde_json::Value;

use crate::model::{
    Actions, Address, Change, DesiredUser, NamespaceKind, ObservedUser, Operation, Origin, Reason, Status, UserEdit,
    UserOperation, UserRef, UserState, WarningCode,
};

use super::builder::{PlanBuilder, attribute, block, change};
use super::inputs::Inputs;
use super::origin::Origins;

/// What the other resources need to know of the droid.
#[derive(Debug, Clone, Copy)]
pub(super) struct UserPlan {
    /// The account that there will be.
    pub(super) reference: UserRef,
    /// Whether memberships have to wait for its change.
    pub(super) gates_memberships: bool,
    /// Whether the authorization has to wait for its change.
    pub(super) gates_authorization: bool,
    /// It is blocked in a way that Setpoint cannot lift.
    pub(super) unrecoverable: bool,
}

/// Plans the droid.
pub(super) fn plan(inputs: &Inputs<'_>, builder: &mut PlanBuilder) -> UserPlan {
    match inputs.droid() {
        None => absent(inputs, builder),
        Some(live) => existing(inputs, builder, live),
    }
}

fn absent(inputs: &Inputs<'_>, builder: &mut PlanBuilder) -> UserPlan {
    let DesiredUser {
        name,
        username,
        email,
        previously: _,
    } = &inputs.desired.user;
    let recorded = inputs.recorded.user.as_ref();
    let mut origins = Origins::default();
    origins.compare(Some(&()), None, recorded.map(|_| &()));
    if recorded.is_some_and(|recorded| {
        recorded.name != *name
            || !recorded.username.eq_ignore_ascii_case(username)
            || !recorded.email.eq_ignore_ascii_case(email)
    }) {
        origins.add(Origin::Pending);
    }
    let mut created = change(
        Address::User,
        Actions::Create,
        Reason::Absent,
        origins.resolve(inputs.interrupted(&Address::User)),
    );
    created.attributes = vec![
        attribute("name", (), name.as_str()),
        attribute("username", (), username.as_str()),
        attribute("email", (), email.as_str()),
    ];
    created.operations.push(Operation::User(UserOperation::Create {
        username: username.clone(),
        name: name.clone(),
        email: email.clone(),
    }));
    builder.push(taken(inputs, created, true, true));
    UserPlan {
        reference: UserRef::Planned,
        gates_memberships: true,
        gates_authorization: true,
        unrecoverable: false,
    }
}

/// Blocks the change where somebody else holds the username or the e-mail address that it would set.
fn taken(inputs: &Inputs<'_>, change: Change, sets_username: bool, sets_email: bool) -> Change {
    let DesiredUser { username, email, .. } = &inputs.desired.user;
    if let (true, Some(holder)) = (sets_username, inputs.observed.gitlab.username_holder) {
        let holder = match holder {
            NamespaceKind::Group => "a group",
            NamespaceKind::User => "another account",
        };
        return block(
            change,
            Reason::PathTaken,
            format!("{holder} holds the name `{username}`; choose another user.username"),
        );
    }
    if let (true, Some(holder)) = (sets_email, &inputs.observed.gitlab.email_holder) {
        return block(
            change,
            Reason::EmailTaken,
            format!("the account `{holder}` holds the address {email}; choose another user.email"),
        );
    }
    change
}

fn existing(inputs: &Inputs<'_>, builder: &mut PlanBuilder, live: &ObservedUser) -> UserPlan {
    if live.is_admin {
        builder.warn(
            WarningCode::UserIsAdmin,
            Some(Address::User),
            format!(
                "`{}` is an administrator, so Factory acts as one; take the role away in GitLab's admin area",
                live.username
            ),
        );
    }
    let remediation = Remediation::of(live);
    let (mut planned, edit) = compared(inputs, live, &remediation);
    let mut plan = UserPlan {
        reference: UserRef::Existing(live.id),
        gates_memberships: false,
        gates_authorization: !matches!(remediation, Remediation::Nothing) || edit.username.is_some(),
        unrecoverable: matches!(remediation, Remediation::Impossible(_)),
    };
    if planned.attributes.is_empty() {
        builder.keep(Address::User);
        return plan;
    }
    if live.id == inputs.observed.gitlab.own_user {
        planned = block(
            planned,
            Reason::PathTaken,
            format!(
                "`{}` is the account that gitlab.token belongs to, which is never changed; the droid needs an account of its \
                 own",
                live.username
            ),
        );
        plan.unrecoverable = false;
    } else if let Remediation::Impossible(how) = remediation {
        planned = block(planned, Reason::UserBlocked, how);
    } else {
        planned = taken(inputs, planned, edit.username.is_some(), edit.email.is_some());
    }
    plan.gates_authorization |= planned.status == Status::Blocked && plan.unrecoverable;
    builder.push(planned);
    plan
}

fn compared(inputs: &Inputs<'_>, live: &ObservedUser, remediation: &Remediation) -> (Change, UserEdit) {
    let DesiredUser {
        name,
        username,
        email,
        previously: _,
    } = &inputs.desired.user;
    let ObservedUser {
        id,
        username: live_username,
        name: live_name,
        email: live_email,
        state,
        is_admin: _,
        confirmed: _,
        two_factor: _,
        locked: _,
        last_activity_on: _,
    } = live;
    let recorded = inputs.recorded.user.as_ref();
    let fold = str::to_ascii_lowercase;
    let mut origins = Origins::default();
    let mut attributes = Vec::new();
    let mut edit = UserEdit::default();
    if origins.compare(
        Some(name.as_str()),
        Some(live_name.as_str()),
        recorded.map(|recorded| recorded.name.as_str()),
    ) {
        attributes.push(attribute("name", live_name.as_str(), name.as_str()));
        edit.name = Some(name.clone());
    }
    if origins.compare(
        Some(&fold(username)),
        Some(&fold(live_username)),
        recorded.map(|recorded| fold(&recorded.username)).as_ref(),
    ) {
        attributes.push(attribute("username", live_username.as_str(), username.as_str()));
        edit.username = Some(username.clone());
    }
    if origins.compare(
        Some(&fold(email)),
        Some(&fold(live_email)),
        recorded.map(|recorded| fold(&recorded.email)).as_ref(),
    ) {
        attributes.push(attribute("email", live_email.as_str(), email.as_str()));
        edit.email = Some(email.clone());
    }
    if !matches!(remediation, Remediation::Nothing) {
        let active = UserState::Active;
        origins.compare(Some(&active), Some(state), recorded.map(|_| &active));
        attributes.push(attribute("state", state_word(state), state_word(&active)));
    }
    let mut planned = change(
        Address::User,
        Actions::Update,
        Reason::Differs,
        origins.resolve(inputs.interrupted(&Address::User)),
    );
    planned.attributes = attributes;
    match remediation {
        Remediation::Unblock => planned
            .operations
            .push(Operation::User(UserOperation::Unblock { id: *id })),
        Remediation::Activate => planned
            .operations
            .push(Operation::User(UserOperation::Activate { id: *id })),
        Remediation::Nothing | Remediation::Impossible(_) => {}
    }
    if edit != UserEdit::default() {
        planned.operations.push(Operation::User(UserOperation::Edit {
            id: *id,
            edit: edit.clone(),
        }));
    }
    (planned, edit)
}

/// What makes the account able to sign in again.
enum Remediation {
    Nothing,
    Unblock,
    Activate,
    Impossible(String),
}

impl Remediation {
    fn of(user: &ObservedUser) -> Self {
        let username = &user.username;
        match &user.state {
            UserState::Active => Self::Nothing,
            UserState::Blocked => Self::Unblock,
            UserState::Deactivated => Self::Activate,
            UserState::BlockedPendingApproval => Self::Impossible(format!(
                "`{username}` waits for approval; approve it in GitLab's admin area under Users"
            )),
            UserState::LdapBlocked => Self::Impossible(format!(
                "`{username}` is blocked by LDAP; only the directory can lift that"
            )),
            UserState::Banned => Self::Impossible(format!(
                "`{username}` is banned; if that is a mistake, unban it in GitLab's admin area under Users"
            )),
            UserState::Other(state) => Self::Impossible(format!(
                "`{username}` is in the state `{state}`, which Setpoint does not know how to leave; make it active in GitLab's \
                 admin area under Users"
            )),
        }
    }
}

/// GitLab's word for a state.
pub(super) fn state_word(state: &UserState) -> Value {
    match state {
        UserState::Active => "active",
        UserState::Blocked => "blocked",
        UserState::BlockedPendingApproval => "blocked_pending_approval",
        UserState::LdapBlocked => "ldap_blocked",
        UserState::Deactivated => "deactivated",
        UserState::Banned => "banned",
        UserState::Other(other) => other,
    }
    .into()
}
