//! `gitlab.membership["PATH"]`: the droid's direct roles, and what it will be able to see through them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::diff;
use crate::model::{
    Actions, Address, Change, Command, Fields, FullPath, MemberRef, Observed, Operation, Origin, ProjectId, Reason,
    RecordedState, Resolution, Role, SourceKind, Status, WarningCode,
};
use crate::planning::builder::block;
use crate::planning::{Inputs, PlanBuilder, Settled};

use super::user::UserPlan;

/// How many days before the end of a membership somebody is told.
const NOTICE_DAYS: i32 = 30;

/// What is declared, live and recorded of a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipFields {
    /// What the droid may do there.
    pub role: Role,
    /// The day on which GitLab takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Date>,
}

impl fmt::Display for MembershipFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, expires_at } = self;
        match expires_at {
            Some(day) => write!(f, "{role} until {day}"),
            None => write!(f, "{role}"),
        }
    }
}

impl From<Role> for MembershipFields {
    /// A membership in this role that does not end.
    fn from(role: Role) -> Self {
        Self { role, expires_at: None }
    }
}

/// One of [`MembershipFields`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MembershipAttribute {
    /// [`MembershipFields::role`]
    Role(Role),
    /// [`MembershipFields::expires_at`]
    ExpiresAt(Option<Date>),
}

impl Fields for MembershipFields {
    type Attribute = MembershipAttribute;

    fn attributes(&self) -> Vec<MembershipAttribute> {
        let Self { role, expires_at } = self;
        vec![
            MembershipAttribute::Role(*role),
            MembershipAttribute::ExpiresAt(*expires_at),
        ]
    }

    fn set(&mut self, attribute: MembershipAttribute) {
        match attribute {
            MembershipAttribute::Role(role) => self.role = role,
            MembershipAttribute::ExpiresAt(expires_at) => self.expires_at = expires_at,
        }
    }
}

/// A direct membership of the droid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObservedMembership {
    /// The group or project.
    pub source: SourceKind,
    /// What it is like.
    pub fields: MembershipFields,
}

/// A membership as last written or adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedMembership {
    /// The group or project.
    pub source: SourceKind,
    /// What it was like.
    #[serde(flatten)]
    pub fields: MembershipFields,
    /// Whether GitLab has taken it and waits for an administrator's approval: until then it is none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaits_approval: bool,
}

/// A write to one of the droid's direct memberships.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do")]
pub enum MembershipOperation {
    /// Adds the droid as a member.
    #[serde(rename = "add_member")]
    Add {
        /// Where, and whom.
        member: MemberRef,
        #[serde(flatten)]
        fields: MembershipFields,
    },
    /// Changes the membership. GitLab takes all of it each time.
    #[serde(rename = "edit_member")]
    Edit {
        /// Where, and whose.
        member: MemberRef,
        #[serde(flatten)]
        fields: MembershipFields,
    },
    /// Takes the membership away.
    #[serde(rename = "remove_member")]
    Remove {
        /// Where, and whose.
        member: MemberRef,
    },
}

impl MembershipOperation {
    /// Where, and whose.
    pub fn member(&self) -> &MemberRef {
        match self {
            Self::Add { member, .. } | Self::Edit { member, .. } | Self::Remove { member } => member,
        }
    }
}

/// What the droid's memberships let it see once the plan is carried out.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    projects: BTreeMap<ProjectId, Option<Address>>,
    groups: BTreeMap<FullPath, Option<Address>>,
    removed: BTreeMap<SourceKind, FullPath>,
    /// The droid's role in each of these, once the plan is carried out.
    roles_in_projects: BTreeMap<ProjectId, Role>,
    roles_in_groups: BTreeMap<FullPath, Role>,
}

/// That a project will be visible, and the change that makes it so, if it is not visible yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Covered {
    pub(crate) by: Option<Address>,
}

impl Coverage {
    /// Whether a membership covers the project; one that exists is preferred over one that is planned.
    pub(crate) fn of(&self, id: ProjectId, path: &FullPath) -> Option<Covered> {
        let mut planned = None;
        let groups = path.ancestors().filter_map(|group| self.groups.get(&group));
        let found = self.projects.get(&id).into_iter().chain(groups);
        for by in found {
            match by {
                None => return Some(Covered { by: None }),
                Some(address) => {
                    planned.get_or_insert(address);
                }
            }
        }
        planned.map(|address| Covered {
            by: Some(address.clone()),
        })
    }

    /// The highest role that these memberships give in the project.
    pub(crate) fn role(&self, id: ProjectId, path: &FullPath) -> Option<Role> {
        let groups = path.ancestors().filter_map(|group| self.roles_in_groups.get(&group));
        self.roles_in_projects.get(&id).into_iter().chain(groups).max().copied()
    }

    fn give(&mut self, source: SourceKind, path: &FullPath, role: Role) {
        let present = match source {
            SourceKind::Project(id) => self.roles_in_projects.entry(id).or_insert(role),
            SourceKind::Group(_) => self.roles_in_groups.entry(path.clone()).or_insert(role),
        };
        *present = role.max(*present);
    }

    /// Whether this plan takes a membership away through which the project may be visible now.
    pub(crate) fn is_withdrawn(&self, id: ProjectId, path: &FullPath) -> bool {
        self.removed.iter().any(|(source, removed)| match source {
            SourceKind::Project(project) => *project == id,
            SourceKind::Group(_) => removed.contains(path),
        })
    }

    fn add(&mut self, source: SourceKind, path: &FullPath, by: Option<Address>) {
        match source {
            SourceKind::Project(id) => self.projects.entry(id).or_insert(by),
            SourceKind::Group(_) => self.groups.entry(path.clone()).or_insert(by),
        };
    }
}

pub(crate) fn plan(inputs: &Inputs<'_>, builder: &mut PlanBuilder, user: &UserPlan) -> Coverage {
    let live = live_memberships(inputs);
    let mut coverage = Coverage::default();
    for (path, fields) in &inputs.desired.memberships {
        declared(inputs, builder, user, &live, path, *fields);
        let address = Address::Membership(path.clone());
        let change = builder.change(&address);
        if let Some(Resolution::Found(source)) = inputs.observed.gitlab.namespaces.get(path)
            && change.is_none_or(|change| change.status != Status::Blocked)
        {
            let joins = change.is_some_and(|change| change.actions == Actions::Create);
            if fields.role.shows_projects() {
                coverage.add(*source, path, joins.then_some(address));
            }
            coverage.give(*source, path, fields.role);
        }
    }
    undeclared(inputs, builder, user, &live);
    warn_of_second_factor(inputs, builder);
    let removed = removed_sources(builder);
    let changing = changing_sources(builder);
    for (path, resolution) in &inputs.observed.gitlab.namespaces {
        let (source, path) = match resolution {
            Resolution::Found(source) => (source, path),
            Resolution::Moved { source, to } => (source, to),
            Resolution::NotFound => continue,
        };
        let Some(role) = live.get(source).map(|live| live.fields.role) else {
            continue;
        };
        if role.shows_projects() && !removed.contains_key(source) {
            coverage.add(*source, path, None);
        }
        if !changing.contains(source) {
            coverage.give(*source, path, role);
        }
    }
    for (source, live) in live.iter().filter(|(source, _)| !changing.contains(source)) {
        if let SourceKind::Project(id) = source {
            let present = coverage.roles_in_projects.entry(*id).or_insert(live.fields.role);
            *present = live.fields.role.max(*present);
        }
    }
    for (path, now) in &inputs.observed.gitlab.displaced {
        if let (Some(recorded), Some(now)) = (inputs.recorded.memberships.get(path), now)
            && live.contains_key(&recorded.source)
        {
            coverage.add(recorded.source, now, None);
        }
    }
    for source in live.keys().filter(|source| !removed.contains_key(source)) {
        if let SourceKind::Project(id) = source {
            coverage.projects.entry(*id).or_insert(None);
        }
    }
    coverage.removed = removed;
    coverage
}

fn live_memberships(inputs: &Inputs<'_>) -> BTreeMap<SourceKind, ObservedMembership> {
    match inputs.droid() {
        Some(_) => inputs
            .observed
            .gitlab
            .memberships
            .iter()
            .map(|membership| (membership.source, *membership))
            .collect(),
        None => BTreeMap::new(),
    }
}

/// Where this plan changes the droid's role, or takes it away.
fn changing_sources(builder: &PlanBuilder) -> BTreeSet<SourceKind> {
    let operations = builder.changes.values().flat_map(|change| &change.operations);
    let memberships = operations.filter_map(Operation::membership);
    memberships.map(|operation| operation.member().source).collect()
}

fn removed_sources(builder: &PlanBuilder) -> BTreeMap<SourceKind, FullPath> {
    builder
        .changes
        .values()
        .flat_map(|change| &change.operations)
        .filter_map(|operation| match operation.membership()? {
            MembershipOperation::Remove { member } => Some((member.source, member.path.clone())),
            MembershipOperation::Add { .. } | MembershipOperation::Edit { .. } => None,
        })
        .collect()
}

fn declared(
    inputs: &Inputs<'_>,
    builder: &mut PlanBuilder,
    user: &UserPlan,
    live: &BTreeMap<SourceKind, ObservedMembership>,
    path: &FullPath,
    desired: MembershipFields,
) {
    let address = Address::Membership(path.clone());
    let source = match inputs.observed.gitlab.namespaces.get(path) {
        Some(Resolution::Found(source)) => *source,
        Some(Resolution::Moved { source: _, to }) => {
            let note = format!("`{path}` is `{to}` now; declare that path in user.memberships");
            builder.push(unreachable(inputs, &address, desired, Reason::Moved, note));
            return;
        }
        Some(Resolution::NotFound) | None => {
            let note = format!("no group or project has the path `{path}`, or gitlab.token cannot see it");
            builder.push(unreachable(inputs, &address, desired, Reason::NotFound, note));
            return;
        }
    };
    let direct = live.get(&source).map(|membership| membership.fields);
    let inherited = inherited_role(inputs, live, path).filter(|inherited| *inherited >= desired.role);
    if let Some(inherited) = inherited
        && direct.is_none_or(|direct| direct.role <= inherited && direct.role != desired.role)
    {
        let message = format!(
            "a group above `{path}` gives the droid the role {inherited} already, so `{}` needs nothing here",
            desired.role
        );
        builder.warn(WarningCode::MembershipInherited, Some(address.clone()), message);
        builder.keep(address);
        return;
    }
    // GitLab refuses a direct role below an inherited one, so an inherited one takes the place of a lower wish.
    let wanted = MembershipFields {
        role: match (inherited, direct) {
            (Some(inherited), Some(direct)) if direct.role > inherited => inherited,
            _ => desired.role,
        },
        ..desired
    };
    warn_of_the_end(inputs, builder, &address, desired);
    if direct == Some(wanted) {
        builder.keep(address);
        return;
    }
    // By its id: its path may be another than when it was recorded.
    let mut of_record = inputs.recorded.memberships.values();
    let recorded = of_record.find(|recorded| recorded.source == source);
    let awaited = recorded.is_some_and(|recorded| recorded.awaits_approval && recorded.fields == wanted);
    let recorded = recorded.map(|recorded| &recorded.fields);
    let member = MemberRef {
        source,
        path: path.clone(),
        user: user.reference,
    };
    let (actions, reason, origins, attributes, operation) = match &direct {
        None => {
            let (origins, attributes) = diff::missing(&desired, recorded);
            let operation = MembershipOperation::Add { member, fields: wanted };
            (Actions::Create, Reason::Absent, origins, attributes, operation)
        }
        Some(direct) => {
            let origins = diff::compare(&desired, direct, recorded).origins;
            let attributes = diff::compare(&wanted, direct, recorded).attributes;
            let operation = MembershipOperation::Edit { member, fields: wanted };
            (Actions::Update, Reason::Differs, origins, attributes, operation)
        }
    };
    let mut planned = inputs.change(address, actions, reason, origins, attributes);
    planned.write(operation);
    if wanted.role != desired.role {
        planned.note(format!(
            "a group above gives the role {}, and GitLab takes no lower one here than that",
            wanted.role
        ));
    }
    if user.gates_memberships {
        planned.depends_on.push(Address::User);
    }
    if let Some(now) = inputs.observed.gitlab.displaced.get(path) {
        planned.origin = Origin::Drift;
        planned.note(taken_over(source, now.as_ref()));
    }
    if awaited {
        let note = format!(
            "GitLab has taken it and waits for an administrator, who approves it in the Admin area under Users > Role promotions; \
             if it was refused there, take `{path}` out of user.memberships for one apply: the next one asks again"
        );
        planned = block(planned, Reason::AwaitingApproval, note);
        planned.origin = Origin::Pending;
    }
    builder.push(planned);
}

/// Tells of a membership that ends soon, while there is time to have it last longer.
fn warn_of_the_end(inputs: &Inputs<'_>, builder: &mut PlanBuilder, address: &Address, desired: MembershipFields) {
    let (Some(day), Some(today)) = (desired.expires_at, inputs.policy.today) else {
        return;
    };
    let left = today.until(day).map_or(i32::MAX, |left| left.get_days());
    if left <= NOTICE_DAYS {
        let message = format!(
            "it ends on {day}, {left} days from now, and what the droid reaches through it ends with it; set a later \
             `expires_at`, or none"
        );
        builder.warn(WarningCode::MembershipExpires, Some(address.clone()), message);
    }
}

/// That the path leads to something else than what was recorded there.
fn taken_over(source: SourceKind, before: Option<&FullPath>) -> String {
    let what = match source {
        SourceKind::Group(_) => "group",
        SourceKind::Project(_) => "project",
    };
    match before {
        Some(now) => format!(
            "this is another {what} than the one that was recorded here, which is `{now}` now; the membership there stays as it is"
        ),
        None => format!("this is another {what} than the one that was recorded here, which is gone"),
    }
}

/// Tells of groups that enforce a second factor before the membership makes it bite: then every page redirects the droid
/// to its set-up, also the one where Factory's access is approved.
fn warn_of_second_factor(inputs: &Inputs<'_>, builder: &mut PlanBuilder) {
    const SHOWN: usize = 3;
    if inputs.desired.user.second_factor {
        return;
    }
    for path in inputs.desired.memberships.keys() {
        let address = Address::Membership(path.clone());
        let joins = builder
            .change(&address)
            .is_some_and(|change| change.actions == Actions::Create && change.status != Status::Blocked);
        let reached = |group: &&FullPath| group.contains(path) || path.contains(group) || *group == path;
        let groups: Vec<_> = inputs.observed.gitlab.enforcing_groups.iter().filter(reached).collect();
        if !joins || groups.is_empty() {
            continue;
        }
        let shown: Vec<String> = groups.iter().take(SHOWN).map(|group| format!("`{group}`")).collect();
        let more = match groups.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = format!(
            "{}{more} enforce{} two-factor authentication, and the droid has none: once it is a member of `{path}`, GitLab's \
             pages are closed to it when the grace period is over; give it an authenticator, and its key as user.totp_secret",
            shown.join(", "),
            if groups.len() == 1 { "s" } else { "" },
        );
        builder.warn(WarningCode::TwoFactorEnforced, Some(address), message);
    }
}

fn unreachable(
    inputs: &Inputs<'_>,
    address: &Address,
    desired: MembershipFields,
    reason: Reason,
    note: String,
) -> Change {
    let recorded = address.path().and_then(|path| inputs.recorded.memberships.get(path));
    let (origins, attributes) = diff::missing(&desired, recorded.map(|recorded| &recorded.fields));
    let blocked = inputs.change(address.clone(), Actions::Create, reason, origins, attributes);
    block(blocked, reason, note)
}

/// The highest role that a group above gives, live or as this plan leaves it.
fn inherited_role(
    inputs: &Inputs<'_>,
    live: &BTreeMap<SourceKind, ObservedMembership>,
    path: &FullPath,
) -> Option<Role> {
    path.ancestors()
        .filter_map(|group| {
            let Some(Resolution::Found(source @ SourceKind::Group(_))) = inputs.observed.gitlab.namespaces.get(&group)
            else {
                return None;
            };
            match inputs.desired.memberships.get(&group) {
                Some(desired) => Some(desired.role),
                None if inputs.recorded.memberships.contains_key(&group) => None,
                None => live.get(source).map(|membership| membership.fields.role),
            }
        })
        .max()
}

/// What was recorded as ours and is declared no longer is taken away; what somebody else gave stays.
fn undeclared(
    inputs: &Inputs<'_>,
    builder: &mut PlanBuilder,
    user: &UserPlan,
    live: &BTreeMap<SourceKind, ObservedMembership>,
) {
    let declared: BTreeSet<SourceKind> = inputs
        .desired
        .memberships
        .keys()
        .filter_map(|path| match inputs.observed.gitlab.namespaces.get(path) {
            Some(Resolution::Found(source) | Resolution::Moved { source, to: _ }) => Some(*source),
            Some(Resolution::NotFound) | None => None,
        })
        .collect();
    for (path, recorded) in &inputs.recorded.memberships {
        let source = recorded.source;
        if inputs.desired.memberships.contains_key(path) || declared.contains(&source) {
            continue;
        }
        let Some(membership) = live.get(&source) else {
            continue;
        };
        let address = Address::Membership(path.clone());
        let (origins, attributes) = diff::unlisted(&membership.fields, Some(&recorded.fields));
        let mut removal = inputs.change(address, Actions::Delete, Reason::Unlisted, origins, attributes);
        let member = MemberRef {
            source,
            path: path.clone(),
            user: user.reference,
        };
        removal.write(MembershipOperation::Remove { member });
        builder.push(removal);
    }
}

/// Whether the droid has a membership at this path, as far as the path is known.
pub(crate) fn is_live(inputs: &Inputs<'_>, path: &FullPath) -> bool {
    let source = match inputs.observed.gitlab.namespaces.get(path) {
        Some(Resolution::Found(source)) => Some(*source),
        Some(Resolution::Moved { .. } | Resolution::NotFound) | None => {
            inputs.recorded.memberships.get(path).map(|recorded| recorded.source)
        }
    };
    let memberships = &inputs.observed.gitlab.memberships;
    source.is_some_and(|source| memberships.iter().any(|membership| membership.source == source))
}

/// Adopts the memberships into the record.
pub(crate) fn adopt(inputs: &Inputs<'_>, settled: &Settled<'_>, next: &mut RecordedState) {
    if settled.is_of(Command::Destroy) {
        return;
    }
    next.memberships
        .retain(|path, _| !settled.is_gone(&Address::Membership(path.clone())));
    for (path, desired) in &inputs.desired.memberships {
        let Some(Resolution::Found(source)) = inputs.observed.gitlab.namespaces.get(path) else {
            continue;
        };
        if !settled.is_unchanged(&Address::Membership(path.clone())) {
            continue;
        }
        let (source, fields) = (*source, *desired);
        if inputs
            .observed
            .gitlab
            .memberships
            .contains(&ObservedMembership { source, fields })
        {
            let adopted = RecordedMembership {
                source,
                fields,
                awaits_approval: false,
            };
            next.memberships.insert(path.clone(), adopted);
        } else {
            next.memberships.remove(path);
        }
    }
}

/// What was seen of the membership, and of what its path leads to.
pub(crate) fn preconditions(change: &Change, path: &FullPath, observed: &Observed) -> Map<String, Value> {
    let leads_to = observed.gitlab.namespaces.get(path);
    let written = change
        .operations
        .iter()
        .find_map(Operation::member)
        .map(|member| member.source);
    let source = written.or(match leads_to {
        Some(Resolution::Found(source)) => Some(*source),
        Some(Resolution::Moved { .. } | Resolution::NotFound) | None => None,
    });
    let direct = observed
        .gitlab
        .memberships
        .iter()
        .find(|one| Some(one.source) == source);
    let mut seen = direct
        .map(|direct| diff::recorded_values(&direct.fields))
        .unwrap_or_default();
    // Where there is none, or one of a role without a name, the level says so.
    seen.remove("role");
    let level = direct.map(|direct| direct.fields.role.access_level());
    seen.insert("access_level".to_owned(), json!(level));
    let droid = observed.gitlab.user.as_ref().map(|user| user.id);
    seen.insert("user".to_owned(), json!(droid));
    if let Some(leads_to) = leads_to {
        let leads_to = match leads_to {
            Resolution::Found(SourceKind::Group(id)) => format!("group {id}"),
            Resolution::Found(SourceKind::Project(id)) => format!("project {id}"),
            Resolution::Moved {
                source: SourceKind::Group(id),
                to,
            } => format!("group {id}, moved to {to}"),
            Resolution::Moved {
                source: SourceKind::Project(id),
                to,
            } => format!("project {id}, moved to {to}"),
            Resolution::NotFound => "nothing".to_owned(),
        };
        seen.insert("leads_to".to_owned(), json!(leads_to));
    }
    seen
}
