//! `gitlab.user`: the droid. Its password is given at creation only, because GitLab expires a password that an
//! administrator changes (GitLab: `lib/api/users.rb`); the account of our own token is never touched.

mod second_factor;
mod terms;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use second_factor::{KeptKey, RecordedSecondFactor};

use crate::diff;
use crate::model::{
    Actions, Address, Attestation, AttributeChange, Caseless, Change, Command, Edit, Fields, NamespaceKind, Observed,
    Origin, Reason, RecordedState, SignIn, Status, UserId, UserRef, WarningCode,
};
use crate::planning::builder::{block, change};
use crate::planning::{Inputs, PlanBuilder, Settled};

/// What is declared, live and recorded of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserFields {
    pub username: Caseless,
    pub name: String,
    /// Primary e-mail address, set without a confirmation that would stay pending.
    pub email: Caseless,
}

/// One of [`UserFields`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserAttribute {
    /// [`UserFields::username`]
    Username(Caseless),
    /// [`UserFields::name`]
    Name(String),
    /// [`UserFields::email`]
    Email(Caseless),
}

/// What changes of the account.
pub type UserEdit = Edit<UserAttribute>;

impl Fields for UserFields {
    type Attribute = UserAttribute;

    fn attributes(&self) -> Vec<UserAttribute> {
        let Self { username, name, email } = self;
        vec![
            UserAttribute::Name(name.clone()),
            UserAttribute::Username(username.clone()),
            UserAttribute::Email(email.clone()),
        ]
    }

    fn set(&mut self, attribute: UserAttribute) {
        match attribute {
            UserAttribute::Username(username) => self.username = username,
            UserAttribute::Name(name) => self.name = name,
            UserAttribute::Email(email) => self.email = email,
        }
    }
}

/// The droid user as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredUser {
    /// What it shall be like.
    pub fields: UserFields,
    /// Earlier usernames: an account found under one of them is renamed.
    pub previously: Vec<String>,
    /// Whether Setpoint accepts the terms of service that are in force, as the droid.
    pub accept_terms: bool,
    /// Whether Setpoint keeps the key of an authenticator of the droid's, and registers one where there is none.
    pub second_factor: bool,
}

/// Which terms of service: the digest of their text, `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TermsVersion(pub String);

/// Terms of service that the droid has accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedTerms {
    pub version: TermsVersion,
    /// GitLab's number for them, where Setpoint accepted them itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Who attested it, where a person accepted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attested: Option<Attestation>,
}

#[expect(clippy::struct_excessive_bools, reason = "GitLab shows these as independent flags")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedUser {
    /// GitLab's number for it.
    pub id: UserId,
    /// What it is like.
    pub fields: UserFields,
    /// Whether it can be used.
    pub state: UserState,
    /// Whether it is an administrator, which a droid should not be.
    pub is_admin: bool,
    /// Whether it is external: it sees no internal project.
    pub external: bool,
    /// Whether the primary e-mail address is confirmed; GitLab refuses OAuth otherwise.
    pub confirmed: bool,
    /// Whether it has two-factor authentication.
    pub two_factor: bool,
    /// Locked after failed sign-ins; a lock ends by itself.
    pub locked: bool,
    /// Last day with any activity, `YYYY-MM-DD`.
    pub last_activity_on: Option<String>,
}

/// The droid as last written or adopted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedUser {
    /// GitLab's number for it.
    pub id: UserId,
    /// What it was like.
    #[serde(flatten)]
    pub fields: UserFields,
    /// The terms of service that it has accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<RecordedTerms>,
    /// The authenticator that it has signed in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<RecordedSecondFactor>,
}

impl RecordedUser {
    /// What is recorded of an account that nothing else is known of.
    pub fn new(id: UserId, fields: UserFields) -> Self {
        Self {
            id,
            fields,
            terms: None,
            second_factor: None,
        }
    }
}

/// The state of a GitLab account (GitLab: app/models/user.rb).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserState {
    Active,
    /// Blocked by an administrator; `unblock` heals it.
    Blocked,
    /// Waits for approval; `approve` heals it.
    BlockedPendingApproval,
    /// Blocked by LDAP; only the directory can heal it.
    LdapBlocked,
    /// Dormant; `activate` heals it.
    Deactivated,
    /// Banned; `unban` heals it.
    Banned,
    /// A state that this version of Setpoint does not know.
    #[serde(untagged)]
    Other(String),
}

impl ObservedUser {
    /// Whether somebody can sign in as it, only to look, without changing it: a sign-in ends a deactivation, and counts
    /// as one more failure of a locked account.
    pub fn can_be_visited(&self) -> bool {
        self.state.can_sign_in() && self.state != UserState::Deactivated && !self.locked && self.confirmed
    }
}

impl UserState {
    /// Whether the account can be used now. A deactivated one can: signing in ends the deactivation.
    pub fn can_sign_in(&self) -> bool {
        match self {
            Self::Active | Self::Deactivated | Self::Other(_) => true,
            Self::Blocked | Self::BlockedPendingApproval | Self::LdapBlocked | Self::Banned => false,
        }
    }
}

/// A write to the droid's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do")]
pub enum UserOperation {
    /// Creates it, with the password of the configuration, or a random one that nobody knows.
    #[serde(rename = "create_user")]
    Create {
        /// What to create. The e-mail address is taken as confirmed.
        #[serde(flatten)]
        user: UserFields,
    },
    /// Edits it. Never its password: an administrator's change would expire it.
    #[serde(rename = "edit_user")]
    Edit { id: UserId, edit: UserEdit },
    #[serde(rename = "unblock_user")]
    Unblock { id: UserId },
    /// Approves an account that waits for an administrator's approval.
    #[serde(rename = "approve_user")]
    Approve { id: UserId },
    #[serde(rename = "activate_user")]
    Activate { id: UserId },
    /// Accepts, as the droid, the terms of service that are in force. Others than these are not accepted.
    #[serde(rename = "accept_terms")]
    AcceptTerms {
        username: Caseless,
        /// How the droid's GitLab session is had.
        sign_in: SignIn,
        version: TermsVersion,
    },
    /// Switches its second factor off, whatever it is, as an administrator.
    #[serde(rename = "disable_second_factor")]
    DisableSecondFactor { id: UserId },
    /// Registers an authenticator as the droid, whose key and recovery codes are kept, and signs in with it.
    #[serde(rename = "enrol_second_factor")]
    EnrolSecondFactor { username: Caseless },
    /// Signs in as the droid with the key that is kept.
    #[serde(rename = "verify_second_factor")]
    VerifySecondFactor { username: Caseless },
    /// Blocks it (`destroy --block-user`).
    #[serde(rename = "block_user")]
    Block { id: UserId },
    /// Deletes it; its contributions go to GitLab's ghost user (`destroy --delete-user`).
    #[serde(rename = "delete_user")]
    Delete { id: UserId },
}

impl UserOperation {
    /// The account, where it is there already.
    pub fn user(&self) -> Option<UserId> {
        match self {
            Self::Create { .. }
            | Self::AcceptTerms { .. }
            | Self::EnrolSecondFactor { .. }
            | Self::VerifySecondFactor { .. } => None,
            Self::Edit { id, .. }
            | Self::Unblock { id }
            | Self::Approve { id }
            | Self::Activate { id }
            | Self::DisableSecondFactor { id }
            | Self::Block { id }
            | Self::Delete { id } => Some(*id),
        }
    }

    /// Whether its end can be seen on the account.
    pub(crate) fn shows(&self) -> bool {
        match self {
            Self::Edit { .. }
            | Self::Unblock { .. }
            | Self::Approve { .. }
            | Self::Activate { .. }
            | Self::AcceptTerms { .. }
            | Self::DisableSecondFactor { .. }
            | Self::EnrolSecondFactor { .. }
            | Self::VerifySecondFactor { .. } => true,
            Self::Create { .. } | Self::Block { .. } | Self::Delete { .. } => false,
        }
    }
}

/// What the other resources need to know of the droid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UserPlan {
    /// The account that there will be.
    pub(crate) reference: UserRef,
    /// Whether memberships have to wait for its change.
    pub(crate) gates_memberships: bool,
    /// Whether the authorization has to wait for its change.
    pub(crate) gates_authorization: bool,
    /// It is blocked in a way that Setpoint cannot lift.
    pub(crate) unrecoverable: bool,
}

pub(crate) fn plan(inputs: &Inputs<'_>, builder: &mut PlanBuilder) -> UserPlan {
    match inputs.droid() {
        None => absent(inputs, builder),
        Some(live) => existing(inputs, builder, live),
    }
}

fn absent(inputs: &Inputs<'_>, builder: &mut PlanBuilder) -> UserPlan {
    let desired = &inputs.desired.user.fields;
    let recorded = inputs.recorded.user.as_ref().map(|recorded| &recorded.fields);
    let (origins, attributes) = diff::missing(desired, recorded);
    let mut created = inputs.change(Address::User, Actions::Create, Reason::Absent, origins, attributes);
    created.write(UserOperation::Create { user: desired.clone() });
    let left = Setup::of(inputs).plan(inputs, &mut created);
    created.notes.extend(left.map(|(_, why)| why));
    builder.push(taken(inputs, created, &desired.attributes().into_iter().collect()));
    UserPlan {
        reference: UserRef::Planned,
        gates_memberships: true,
        gates_authorization: true,
        unrecoverable: false,
    }
}

/// Blocks the change where somebody else holds the username or the e-mail address that it would set.
fn taken(inputs: &Inputs<'_>, change: Change, edit: &UserEdit) -> Change {
    let UserFields {
        username,
        name: _,
        email,
    } = &inputs.desired.user.fields;
    let gitlab = &inputs.observed.gitlab;
    let sets_username = edit.has(|attribute| matches!(attribute, UserAttribute::Username(_)));
    let sets_email = edit.has(|attribute| matches!(attribute, UserAttribute::Email(_)));
    if let (true, Some(holder)) = (sets_username, gitlab.username_holder) {
        let holder = match holder {
            NamespaceKind::Group => "a group",
            NamespaceKind::User => "another account",
        };
        let note = format!("{holder} holds the name `{username}`; choose another user.username");
        return block(change, Reason::PathTaken, note);
    }
    if let (true, Some(holder)) = (sets_email, &gitlab.email_holder) {
        let note = format!("the account `{holder}` holds the address {email}; choose another user.email");
        return block(change, Reason::EmailTaken, note);
    }
    change
}

fn existing(inputs: &Inputs<'_>, builder: &mut PlanBuilder, live: &ObservedUser) -> UserPlan {
    let username = &live.fields.username;
    if live.is_admin {
        builder.warn(
            WarningCode::UserIsAdmin,
            Some(Address::User),
            format!(
                "`{username}` is an administrator, so Factory acts as one; take the role away in GitLab's admin area"
            ),
        );
    }
    let remediation = Remediation::of(live);
    let setup = Setup::of(inputs);
    let may_do_nothing = !setup.is_empty();
    let (mut planned, edit) = compared(inputs, live, &remediation, setup);
    let mut plan = UserPlan {
        reference: UserRef::Existing(live.id),
        gates_memberships: false,
        gates_authorization: may_do_nothing
            || !matches!(remediation, Remediation::Nothing)
            || edit.has(|attribute| matches!(attribute, UserAttribute::Username(_))),
        unrecoverable: matches!(remediation, Remediation::Impossible(_)),
    };
    if planned.attributes.is_empty() {
        builder.keep_attested(Address::User, terms::attestation(inputs));
        return plan;
    }
    if live.id == inputs.observed.gitlab.own_user {
        let note = format!(
            "`{username}` is the account that gitlab.token belongs to, which is never changed; the droid needs an account \
             of its own"
        );
        planned = block(planned, Reason::PathTaken, note);
        plan.unrecoverable = false;
    } else if let Remediation::Impossible(how) = remediation {
        planned = block(planned, Reason::UserBlocked, how);
    } else {
        planned = taken(inputs, planned, &edit);
    }
    plan.gates_authorization |= planned.status == Status::Blocked && plan.unrecoverable;
    builder.push(planned);
    plan
}

fn compared(inputs: &Inputs<'_>, live: &ObservedUser, remediation: &Remediation, setup: Setup) -> (Change, UserEdit) {
    let recorded = inputs.recorded.user.as_ref().map(|recorded| &recorded.fields);
    let mut found = diff::compare(&inputs.desired.user.fields, &live.fields, recorded);
    if !matches!(remediation, Remediation::Nothing) {
        let active = UserState::Active;
        let remembered = recorded.map(|_| &active);
        found.origins.compare(Some(&active), Some(&live.state), remembered);
        found
            .attributes
            .push(AttributeChange::new("state", json!(live.state), json!(active)));
    }
    setup.count(&mut found.origins);
    let reason = match remediation {
        Remediation::Unblock | Remediation::Approve => Reason::UserBlocked,
        Remediation::Nothing | Remediation::Activate | Remediation::Impossible(_) => Reason::Differs,
    };
    let mut planned = inputs.change(Address::User, Actions::Update, reason, found.origins, found.attributes);
    let id = live.id;
    match remediation {
        Remediation::Unblock => planned.write(UserOperation::Unblock { id }),
        Remediation::Approve => planned.write(UserOperation::Approve { id }),
        Remediation::Activate => planned.write(UserOperation::Activate { id }),
        Remediation::Nothing | Remediation::Impossible(_) => {}
    }
    let edit = found.edit;
    if !edit.is_empty() {
        planned.write(UserOperation::Edit { id, edit: edit.clone() });
    }
    match setup.plan(inputs, &mut planned) {
        Some((reason, why)) if planned.operations.is_empty() && planned.steps.is_empty() => {
            planned = block(planned, reason, why);
        }
        left => planned.notes.extend(left.map(|(_, why)| why)),
    }
    if planned.operations.is_empty() && !planned.steps.is_empty() {
        planned.status = Status::Operator;
    }
    (planned, edit)
}

/// What GitLab asks of an account before it may act, and what is declared of that.
struct Setup {
    terms: Option<terms::Due>,
    second_factor: Option<second_factor::Need>,
}

impl Setup {
    fn of(inputs: &Inputs<'_>) -> Self {
        Self {
            terms: terms::due(inputs),
            second_factor: second_factor::need(inputs),
        }
    }

    fn is_empty(&self) -> bool {
        self.terms.is_none() && self.second_factor.is_none()
    }

    fn count(&self, origins: &mut diff::Origins) {
        if let Some(due) = &self.terms {
            due.count(origins);
        }
        if let Some(need) = self.second_factor {
            need.count(origins);
        }
    }

    /// Puts it into the change. What is in the way of a sign-in goes first, and the terms come before the second factor, as
    /// GitLab has them on its pages. Gives why a part of it cannot be done.
    fn plan(self, inputs: &Inputs<'_>, planned: &mut Change) -> Option<(Reason, String)> {
        if let Some(need) = self.second_factor {
            need.begin(inputs, planned);
        }
        if let Some(due) = self.terms {
            due.plan(inputs, planned);
        }
        self.second_factor.and_then(|need| need.plan(inputs, planned))
    }
}

/// What makes the account able to sign in again.
enum Remediation {
    Nothing,
    Unblock,
    Approve,
    Activate,
    Impossible(String),
}

impl Remediation {
    fn of(user: &ObservedUser) -> Self {
        let username = &user.fields.username;
        match &user.state {
            UserState::Active => Self::Nothing,
            UserState::Blocked => Self::Unblock,
            UserState::Deactivated => Self::Activate,
            UserState::BlockedPendingApproval => Self::Approve,
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

/// Takes the droid down where that is asked for; otherwise it stays.
pub(crate) fn destroy(inputs: &Inputs<'_>, builder: &mut PlanBuilder) {
    let Some(live) = inputs.droid() else {
        return;
    };
    let id = live.id;
    let mut planned = if inputs.policy.delete_user {
        let mut delete = change(Address::User, Actions::Delete, Reason::Unlisted, Origin::Pending);
        delete.show("username", &*live.fields.username, ());
        delete.write(UserOperation::Delete { id });
        delete
    } else if inputs.policy.block_user && live.state.can_sign_in() {
        let mut blocking = change(Address::User, Actions::Update, Reason::Differs, Origin::Pending);
        blocking.show("state", json!(live.state), "blocked");
        blocking.write(UserOperation::Block { id });
        blocking
    } else {
        return;
    };
    if id == inputs.observed.gitlab.own_user {
        let note = format!(
            "`{}` is the account that gitlab.token belongs to, which is never blocked or deleted",
            live.fields.username
        );
        planned = block(planned, Reason::PathTaken, note);
    } else if !inputs.attested() {
        planned.depends_on = [Address::Application, Address::Connection]
            .into_iter()
            .filter(|address| builder.change(address).is_some())
            .collect();
    }
    builder.push(planned);
}

/// Adopts the droid into the record.
pub(crate) fn adopt(inputs: &Inputs<'_>, settled: &Settled<'_>, next: &mut RecordedState) {
    let Some(ObservedUser { id, fields, .. }) = inputs.droid() else {
        if settled.is_gone(&Address::User) || settled.is_of(Command::Destroy) {
            next.user = None;
        }
        return;
    };
    let recorded = next.user.get_or_insert_with(|| RecordedUser::new(*id, fields.clone()));
    if recorded.id != *id {
        recorded.id = *id;
        recorded.terms = None;
        recorded.second_factor = None;
    }
    if let Some(seen) = terms::seen(inputs) {
        recorded.terms = Some(seen);
    }
    diff::adopt(&mut recorded.fields, &inputs.desired.user.fields, fields);
}

/// What was seen of the account, and of who stands in its way.
pub(crate) fn preconditions(observed: &Observed) -> Map<String, Value> {
    let gitlab = &observed.gitlab;
    let mut seen = Map::new();
    seen.insert("exists".to_owned(), json!(gitlab.user.is_some()));
    seen.insert("username_held_by".to_owned(), json!(gitlab.username_holder));
    seen.insert("email_held_by".to_owned(), json!(gitlab.email_holder));
    if let Some(terms) = gitlab.terms.as_ref().known() {
        seen.insert("terms".to_owned(), json!(terms));
    }
    if let Some(user) = &gitlab.user {
        if gitlab.second_factor_key != KeptKey::NotConfigured {
            seen.insert("second_factor".to_owned(), json!(user.two_factor));
        }
        seen.insert("id".to_owned(), json!(user.id));
        seen.insert("state".to_owned(), json!(user.state));
        seen.extend(diff::recorded_values(&user.fields));
    }
    seen
}
