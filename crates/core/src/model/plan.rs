//! The plan: plain data that every renderer and the executor take. What was shown is what runs.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Address, Attestation, Diagnostic, FactorySource, Operation, OperatorStep, SignIn};

/// The difference between what is desired and what is, in canonical order.
///
/// Its serialized form is the body of `--format json`; what the executor needs beyond that ([`Change::operations`],
/// [`Change::steps`], [`Plan::refusals`]) is not part of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// What the plan is for.
    pub command: Command,
    /// What differs, sorted by address.
    pub changes: Vec<Change>,
    /// What does not, sorted by address.
    pub unchanged: Vec<Address>,
    /// What the reader should know.
    pub warnings: Vec<Warning>,
    /// Counts.
    pub summary: PlanSummary,
    /// What is unchanged only because a person said so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attested: Vec<Attested>,
    /// What was allowed for this plan beyond the configuration. A saved plan keeps it, and its apply keeps to it.
    #[serde(default, skip_serializing_if = "Allowances::is_empty")]
    pub allowances: Allowances,
    /// Whether Factory was asked, or is known by what people attested.
    #[serde(default)]
    pub factory: FactorySource,
    /// What was asked for alone (`--target`); none where everything was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Address>,
    /// What differs as well, and was left out because only the targets were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<Address>,
    /// Targets that are neither declared nor live.
    #[serde(skip)]
    pub unknown_targets: Vec<Address>,
    /// Why an apply would be refused as a whole before its first write.
    #[serde(skip)]
    pub refusals: Vec<Diagnostic>,
}

impl Plan {
    /// What is to be done at an address.
    pub fn change(&self, address: &Address) -> Option<&Change> {
        let found = self.changes.binary_search_by(|change| change.address.cmp(address));
        found.ok().and_then(|at| self.changes.get(at))
    }

    /// Whether an address is as declared.
    pub fn is_unchanged(&self, address: &Address) -> bool {
        self.unchanged.binary_search(address).is_ok()
    }
}

/// What the operator allows for one run beyond what the configuration allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Allowances {
    /// Whether the application may be replaced (`--allow-replace`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replace_application: bool,
    /// How many removals there may be, in place of the guards (`--allow-removals`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removals: Option<u64>,
    /// Whether Factory may be cut off until a person ends it, also where nobody watches (`--allow-interruption`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interruption: bool,
}

impl Plan {
    /// Every write that carrying it out may come to, the possible ones among them.
    pub fn possible_writes(&self) -> impl Iterator<Item = &Operation> {
        self.changes
            .iter()
            .flat_map(|change| std::iter::once(change).chain(change.possible()))
            .flat_map(|change| &change.operations)
    }
}

impl Change {
    /// What is left to a person, each with the address.
    pub fn steps_with_address(&self) -> impl Iterator<Item = (&Address, &OperatorStep)> {
        self.steps.iter().map(|step| (&self.address, step))
    }

    /// What is done as well if something turns out.
    pub fn possible(&self) -> &[Change] {
        self.fallback.as_ref().map_or(&[], |fallback| &fallback.changes)
    }
}

impl Allowances {
    /// Whether nothing is allowed beyond the configuration.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A resource that is unchanged as far as a person attested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attested {
    /// The resource.
    pub address: Address,
    /// Who, as `user@host`.
    pub by: String,
    /// When, RFC 3339.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What GitLab says that bears it out, where it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Corroboration>,
}

/// What GitLab says in favour of an attested authorization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Corroboration {
    /// The application's name, which the droid's own page of authorized applications lists.
    pub authorized_application: String,
    /// When its newest token was made, RFC 3339, where the page says so.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub authorized_at: Option<Timestamp>,
    /// The droid's last day with any activity, `YYYY-MM-DD`, where GitLab knows one.
    pub last_activity_on: Option<String>,
}

/// What could be found out of a step that was just said to be done, and what not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// GitLab bears the approval out.
    Authorized(Corroboration),
    /// GitLab's page could not be read, and why.
    Unread(Option<String>),
    /// There is nothing to look at.
    Nothing,
}

impl Attested {
    /// Of an attestation.
    pub fn new(address: Address, attestation: &Attestation) -> Self {
        Self {
            address,
            by: attestation.by.clone(),
            at: attestation.at,
            evidence: None,
        }
    }
}

/// What a plan is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// A preview.
    #[default]
    Plan,
    /// A watch.
    Drift,
    /// To be carried out.
    Apply,
    /// A new application secret.
    Rotate,
    /// Taking the integration down.
    Destroy,
}

impl Command {
    /// What people call it, and type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Drift => "drift",
            Self::Apply => "apply",
            Self::Rotate => "rotate",
            Self::Destroy => "destroy",
        }
    }

    /// Whether it brings everything to what is declared, or shows how.
    pub(crate) fn converges(self) -> bool {
        match self {
            Self::Plan | Self::Apply => true,
            Self::Drift | Self::Rotate | Self::Destroy => false,
        }
    }
}

/// One resource's difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The resource.
    pub address: Address,
    /// What happens to it.
    pub actions: Actions,
    /// Who does it, or that nobody can.
    pub status: Status,
    /// Which side moved.
    pub origin: Origin,
    /// Why it is needed, or why it cannot be done.
    pub reason: Reason,
    /// What differs, by attribute.
    pub attributes: Vec<AttributeChange>,
    /// Changes of this plan that must be done before.
    pub depends_on: Vec<Address>,
    /// Remarks for the reader.
    pub notes: Vec<String>,
    /// That Factory works before it and not after it, and what ends that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupts: Option<Interruption>,
    /// What is done as well if something turns out that only the attempt shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// The writes, in order. A `delete_application` that comes after other writes, as in a replacement, waits until
    /// everything else of the plan is done. Once the writes are done, what depends on this change can go on, whatever
    /// [steps](Change::steps) are left.
    #[serde(skip)]
    pub operations: Vec<Operation>,
    /// What is left to a person, in order.
    #[serde(skip)]
    pub steps: Vec<OperatorStep>,
}

/// What is done as well if something turns out that only the attempt shows; the change is then tried once more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fallback {
    /// What turns out: `secret_rejected`, that GitLab refuses the secret which Factory has.
    pub when: Reason,
    /// What is done then, before the change is tried once more. They depend on each other only.
    pub changes: Vec<Change>,
}

/// That Factory is cut off until something else is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Interruption {
    /// The resource whose change ends it.
    pub until: Address,
    /// Who has to do that.
    pub ended_by: Ender,
}

/// Who ends an interruption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ender {
    /// Setpoint, within the same run.
    Setpoint,
    /// A person.
    Operator,
}

/// What happens to a resource; in JSON a list of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actions {
    /// `["create"]`
    Create,
    /// `["update"]`
    Update,
    /// `["create","delete"]`: the new one is there before the old one goes.
    Replace,
    /// `["delete"]`
    Delete,
}

impl Actions {
    /// The words of the JSON form.
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::Create => &["create"],
            Self::Update => &["update"],
            Self::Replace => &["create", "delete"],
            Self::Delete => &["delete"],
        }
    }

    /// The symbol of the human form.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Create => "+",
            Self::Update => "~",
            Self::Replace => "-/+",
            Self::Delete => "-",
        }
    }
}

impl Serialize for Actions {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.words().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Actions {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        [Self::Create, Self::Update, Self::Replace, Self::Delete]
            .into_iter()
            .find(|actions| actions.words() == words)
            .ok_or_else(|| serde::de::Error::custom(format!("unknown actions {words:?}")))
    }
}

impl JsonSchema for Actions {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Actions".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "What happens to a resource. [\"create\",\"delete\"] is a replacement: the new one is there before the old one goes.",
            "enum": [["create"], ["update"], ["create", "delete"], ["delete"]]
        })
    }
}

/// Who carries a change out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Setpoint does it.
    Ready,
    /// A person has to.
    Operator,
    /// It cannot be done; the reason says why.
    Blocked,
}

/// Which side moved, by comparison with the state record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The file changed, or nothing is recorded and nothing is live yet.
    Pending,
    /// The live side changed.
    Drift,
    /// Both changed.
    Both,
    /// Nothing is recorded, but something live differs.
    Unrecorded,
}

/// Why a change is needed, or why it cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is not there.
    Absent,
    /// An attribute differs.
    Differs,
    /// It differs in what cannot be edited.
    RecreateRequired,
    /// It is there and not listed.
    Unlisted,
    /// Nobody knows the secret that Factory would need.
    SecretUnknown,
    /// GitLab refuses the secret: the stored one, or the one that Factory has.
    SecretRejected,
    /// Factory is not authorized.
    NotConnected,
    /// Factory acts as somebody else.
    WrongUser,
    /// Factory's authorization no longer works.
    AuthorizationFailed,
    /// The path leads nowhere.
    NotFound,
    /// It exists, but the droid cannot see it.
    NotVisible,
    /// It has another path now.
    Moved,
    /// Several candidates.
    Ambiguous,
    /// A replacement would drop every token, and is not allowed.
    ReplaceRefused,
    /// The instance does not know a scope.
    UnsupportedScope,
    /// It needs an administrator's web session.
    NoAdminSession,
    /// Nobody can sign in as the droid: that would do harm, or takes a key that nobody gave.
    NoSignIn,
    /// The droid is blocked: Setpoint lifts that where the change is ready, and cannot where it is blocked.
    UserBlocked,
    /// What was attested no longer holds.
    AttestationDue,
    /// A group or another account holds the username.
    PathTaken,
    /// Another account holds the e-mail address.
    EmailTaken,
    /// GitLab has taken the membership, and waits for an administrator's approval.
    AwaitingApproval,
    /// Somebody else made it, and may be using it: `setpoint adopt` takes it over.
    AlreadyExists,
    /// It waits to be deleted in GitLab.
    PendingDeletion,
}

/// The code, as in JSON.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// One attribute's difference. Both sides are null where it is sensitive or not known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttributeChange {
    /// The attribute.
    pub path: String,
    /// Its value now.
    pub before: Value,
    /// Its value afterwards.
    pub after: Value,
    /// Whether the value is a secret, which is never shown.
    pub sensitive: bool,
}

impl AttributeChange {
    /// Of an attribute that may be shown.
    pub(crate) fn new(path: &str, before: impl Into<Value>, after: impl Into<Value>) -> Self {
        Self {
            path: path.to_owned(),
            before: before.into(),
            after: after.into(),
            sensitive: false,
        }
    }

    /// Of the application's secret: only that it changes is shown.
    pub(crate) fn of_secret() -> Self {
        Self {
            sensitive: true,
            ..Self::new("secret", (), ())
        }
    }
}

/// Something the reader should know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Warning {
    /// What kind.
    pub code: WarningCode,
    /// In words.
    pub message: String,
    /// The resource, if it is about one.
    pub address: Option<Address>,
}

/// Kinds of warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    /// An entry of `enable` selects nothing, or one of `except` excludes nothing.
    PatternMatchesNothing,
    /// Attributes that no reader can see are not compared.
    Unobservable,
    /// The droid has the role already, from a group above.
    MembershipInherited,
    /// A declared membership ends within thirty days.
    MembershipExpires,
    /// A membership of this plan brings the droid under an enforced second factor, which it does not have.
    TwoFactorEnforced,
    /// A group that the configuration names by its path has another one now.
    GroupMoved,
    /// A listed repository is archived.
    RepositoryArchived,
    /// A listed repository waits to be deleted.
    RepositoryPendingDeletion,
    /// The droid is an administrator.
    UserIsAdmin,
    /// A guard would refuse the apply.
    GuardExceeded,
    /// Only some addresses were asked for, and something else differs as well.
    Targeted,
    /// A write of an earlier run ended without its answer.
    Interrupted,
    /// The store of the application's secret has not the one that Factory has.
    SecretNotStored,
    /// A configured sign-in would do harm, so nobody signs in.
    SignInUnsafe,
    /// Nobody signed in to look, so what only a web session shows is what the record says.
    FromRecord,
    /// Another application looks like the managed one.
    TwinApplication,
    /// The droid's role in a repository is too low for a Droid to work there.
    RoleTooLow,
}

/// Counts over the changes. A change counts once by its action, and again under `operator` or `blocked`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanSummary {
    /// Changes that create.
    pub create: u64,
    /// Changes that update.
    pub update: u64,
    /// Changes that replace.
    pub replace: u64,
    /// Changes that delete.
    pub delete: u64,
    /// Changes whose origin is `drift`, `both` or `unrecorded`.
    pub drifted: u64,
    /// Changes whose origin is `pending` or `both`.
    pub pending: u64,
    /// Changes that leave something to a person.
    pub operator: u64,
    /// Changes that cannot be done.
    pub blocked: u64,
    /// Changes that cut Factory off until another one is done.
    #[serde(default)]
    pub interrupting: u64,
    /// Resources without a difference.
    pub unchanged: u64,
}

impl PlanSummary {
    /// Counts a plan. A change counts once by its action, again under `operator` if it leaves anything to a person, and
    /// again under `blocked` if it cannot be done.
    pub(crate) fn of(plan: &Plan) -> Self {
        let count = |what: &dyn Fn(&Change) -> bool| plan.changes.iter().filter(|change| what(change)).count() as u64;
        Self {
            create: count(&|change| change.actions == Actions::Create),
            update: count(&|change| change.actions == Actions::Update),
            replace: count(&|change| change.actions == Actions::Replace),
            delete: count(&|change| change.actions == Actions::Delete),
            drifted: count(&|change| matches!(change.origin, Origin::Drift | Origin::Both | Origin::Unrecorded)),
            pending: count(&|change| matches!(change.origin, Origin::Pending | Origin::Both)),
            operator: count(&|change| change.status == Status::Operator || !change.steps.is_empty()),
            blocked: count(&|change| change.status == Status::Blocked),
            interrupting: count(&|change| change.interrupts.is_some()),
            unchanged: plan.unchanged.len() as u64,
        }
    }
}

/// How much may be removed in one apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards {
    /// Disables and deletions, at most.
    pub max_removals: u64,
    /// The same as a percentage of what is enabled now; the lower of the two counts.
    pub max_removal_percent: u64,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            max_removals: 10,
            max_removal_percent: 25,
        }
    }
}

/// What may be done, and with what: everything beside the three worlds that a plan depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent fact of the configuration or a flag"
)]
pub struct Policy {
    /// What the plan is for.
    pub command: Command,
    /// Whether there is an administrator's web session.
    pub admin_session: bool,
    /// Whether no web session was opened to look, so that what only they show is taken from the record
    /// (`gitlab.admin_session.use`).
    pub sessions_unopened: bool,
    /// How to be the droid, if there is a way.
    pub sign_in: Option<SignIn>,
    /// Whether `application.secret.save` is configured, so that a person finds the newest secret there.
    pub saves_secret: bool,
    /// Whether the configuration allows replacing the application (`guards.replace_application`).
    pub replace_application: bool,
    /// The guards.
    pub guards: Guards,
    /// What the operator allows for this run.
    pub allowances: Allowances,
    /// The day on which the plan is made, for what ends on a day; none where nobody is told of that.
    pub today: Option<Date>,
    /// Only these and what they depend on; empty means all.
    pub targets: BTreeSet<Address>,
    /// `destroy --block-user`.
    pub block_user: bool,
    /// `destroy --delete-user`.
    pub delete_user: bool,
}

impl Policy {
    /// The policy of a plain run of a command: nothing special allowed, no session, no way to sign in.
    pub fn new(command: Command) -> Self {
        Self {
            command,
            ..Self::default()
        }
    }

    /// Whether the application may be replaced.
    pub fn may_replace(&self) -> bool {
        self.replace_application || self.allowances.replace_application
    }

    /// Whether the plan goes as far as Factory: a secret is renewed, and an application deleted, for Factory's sake only.
    pub fn goes_to_factory(&self) -> bool {
        self.targets.is_empty() || self.targets.iter().any(Address::is_factory)
    }
}
