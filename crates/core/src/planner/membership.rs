//! `gitlab.membership["PATH"]`: the droid's direct roles, and what it will be able to see through them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::{
    Actions, Address, Change, FullPath, MemberRef, MembershipOperation, ObservedMembership, Operation, ProjectId,
    Reason, Resolution, Role, SourceKind, Status, WarningCode,
};

use super::builder::{PlanBuilder, attribute, block, change};
use super::inputs::Inputs;
use super::origin::Origins;
use super::user::UserPlan;

/// What the droid's memberships let it see once the plan is carried out.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    projects: BTreeMap<ProjectId, Option<Address>>,
    groups: BTreeMap<FullPath, Option<Address>>,
    removed: BTreeMap<SourceKind, FullPath>,
}

/// That a project will be visible, and the change that makes it so, if it is not visible yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Covered {
    pub(super) by: Option<Address>,
}

impl Coverage {
    /// Whether a membership covers the project; one that exists is preferred over one that is planned.
    pub(super) fn of(&self, id: ProjectId, path: &FullPath) -> Option<Covered> {
        let mut planned = None;
        let ancestors = std::iter::successors(path.parent(), FullPath::parent);
        let found = self
            .projects
            .get(&id)
            .into_iter()
            .chain(ancestors.filter_map(|group| self.groups.get(&group)));
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

    /// Whether this plan takes a membership away through which the project may be visible now.
    pub(super) fn is_withdrawn(&self, id: ProjectId, path: &FullPath) -> bool {
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

/// Plans the memberships.
pub(super) fn plan(inputs: &Inputs<'_>, builder: &mut PlanBuilder, user: &UserPlan) -> Coverage {
    let live = live_memberships(inputs);
    let mut coverage = Coverage::default();
    for (path, role) in &inputs.desired.memberships {
        declared(inputs, builder, user, &live, path, *role);
        let address = Address::Membership(path.clone());
        if let Some(Resolution::Found(source)) = inputs.observed.gitlab.namespaces.get(path) {
            match builder.change(&address) {
                Some(change) if change.status == Status::Blocked => {}
                Some(change) if change.actions == Actions::Create => coverage.add(*source, path, Some(address)),
                Some(_) | None => coverage.add(*source, path, None),
            }
        }
    }
    undeclared(inputs, builder, user, &live);
    let removed = removed_sources(builder);
    for (path, resolution) in &inputs.observed.gitlab.namespaces {
        if let Resolution::Found(source) = resolution
            && live.contains_key(source)
            && !removed.contains_key(source)
        {
            coverage.add(*source, path, None);
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

fn removed_sources(builder: &PlanBuilder) -> BTreeMap<SourceKind, FullPath> {
    builder
        .changes
        .values()
        .flat_map(|change| &change.operations)
        .filter_map(|operation| match operation {
            Operation::Membership(MembershipOperation::Remove { member }) => Some((member.source, member.path.clone())),
            Operation::Membership(MembershipOperation::Add { .. } | MembershipOperation::Edit { .. })
            | Operation::Application(_)
            | Operation::User(_)
            | Operation::Connection(_)
            | Operation::Authorization(_)
            | Operation::Repository(_) => None,
        })
        .collect()
}

fn declared(
    inputs: &Inputs<'_>,
    builder: &mut PlanBuilder,
    user: &UserPlan,
    live: &BTreeMap<SourceKind, ObservedMembership>,
    path: &FullPath,
    role: Role,
) {
    let address = Address::Membership(path.clone());
    let recorded = inputs.recorded.memberships.get(path);
    let source = match inputs.observed.gitlab.namespaces.get(path) {
        Some(Resolution::Found(source)) => *source,
        Some(Resolution::Moved { id: _, to }) => {
            let note = format!("`{path}` is `{to}` now; declare that path in user.memberships");
            builder.push(unreachable(inputs, &address, role, Reason::Moved, note));
            return;
        }
        Some(Resolution::NotFound) | None => {
            let note = format!("no group or project has the path `{path}`, or gitlab.token cannot see it");
            builder.push(unreachable(inputs, &address, role, Reason::NotFound, note));
            return;
        }
    };
    let direct = live.get(&source);
    let inherited = inherited_level(inputs, live, path);
    let level = direct.map(|membership| membership.access_level);
    // GitLab refuses a direct role below an inherited one, so an inherited one takes the place of a lower wish.
    let wanted = match inherited {
        Some(inherited) if inherited >= role.access_level() => {
            if level.is_none_or(|level| level <= inherited) {
                if level != Some(role.access_level()) {
                    builder.warn(
                        WarningCode::MembershipInherited,
                        Some(address.clone()),
                        format!(
                            "a group above `{path}` gives the droid the role {} already, so `{role}` needs nothing here",
                            level_word(inherited)
                        ),
                    );
                }
                builder.keep(address);
                return;
            }
            Role::from_access_level(inherited).unwrap_or(role)
        }
        _ => role,
    };
    if level == Some(wanted.access_level()) {
        builder.keep(address);
        return;
    }
    let mut origins = Origins::default();
    let recorded_level = recorded
        .filter(|recorded| recorded.source == source)
        .map(|recorded| recorded.role.access_level());
    origins.compare(Some(&role.access_level()), level.as_ref(), recorded_level.as_ref());
    let (actions, reason) = match direct {
        None => (Actions::Create, Reason::Absent),
        Some(_) => (Actions::Update, Reason::Differs),
    };
    let mut planned = change(
        address.clone(),
        actions,
        reason,
        origins.resolve(inputs.interrupted(&address)),
    );
    planned.attributes.push(attribute(
        "role",
        level.map_or(Value::Null, level_word),
        wanted.as_str(),
    ));
    let member = MemberRef {
        source,
        path: path.clone(),
        user: user.reference,
    };
    planned.operations.push(match direct {
        None => Operation::Membership(MembershipOperation::Add { member, role: wanted }),
        Some(_) => Operation::Membership(MembershipOperation::Edit { member, role: wanted }),
    });
    if wanted != role {
        planned.notes.push(format!(
            "a group above gives the role {wanted}, and GitLab takes no lower one here than that"
        ));
    }
    if user.gates_memberships {
        planned.depends_on.push(Address::User);
    }
    builder.push(planned);
}

fn unreachable(inputs: &Inputs<'_>, address: &Address, role: Role, reason: Reason, note: String) -> Change {
    let recorded = address.path().and_then(|path| inputs.recorded.memberships.get(path));
    let mut origins = Origins::default();
    origins.compare(Some(&role), None, recorded.map(|recorded| &recorded.role));
    let mut blocked = change(
        address.clone(),
        Actions::Create,
        reason,
        origins.resolve(inputs.interrupted(address)),
    );
    blocked.attributes.push(attribute("role", (), role.as_str()));
    block(blocked, reason, note)
}

/// The highest level that a group above gives, live or as this plan leaves it.
fn inherited_level(
    inputs: &Inputs<'_>,
    live: &BTreeMap<SourceKind, ObservedMembership>,
    path: &FullPath,
) -> Option<u64> {
    std::iter::successors(path.parent(), FullPath::parent)
        .filter_map(|group| {
            let Some(Resolution::Found(source @ SourceKind::Group(_))) = inputs.observed.gitlab.namespaces.get(&group)
            else {
                return None;
            };
            match inputs.desired.memberships.get(&group) {
                Some(role) => Some(role.access_level()),
                None if inputs.recorded.memberships.contains_key(&group) => None,
                None => live.get(source).map(|membership| membership.access_level),
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
            Some(Resolution::Found(source)) => Some(*source),
            Some(Resolution::Moved { .. } | Resolution::NotFound) | None => None,
        })
        .collect();
    let moved: BTreeSet<SourceKind> = inputs
        .desired
        .memberships
        .keys()
        .filter_map(|path| match inputs.observed.gitlab.namespaces.get(path) {
            Some(Resolution::Moved { id, to: _ }) => Some(SourceKind::Project(*id)),
            Some(Resolution::Found(_) | Resolution::NotFound) | None => None,
        })
        .collect();
    for (path, recorded) in &inputs.recorded.memberships {
        let source = recorded.source;
        if inputs.desired.memberships.contains_key(path) || declared.contains(&source) || moved.contains(&source) {
            continue;
        }
        let Some(membership) = live.get(&source) else {
            continue;
        };
        let address = Address::Membership(path.clone());
        let mut origins = Origins::default();
        origins.compare(
            None,
            Some(&membership.access_level),
            Some(&recorded.role.access_level()),
        );
        let mut removal = change(
            address.clone(),
            Actions::Delete,
            Reason::Unlisted,
            origins.resolve(inputs.interrupted(&address)),
        );
        removal
            .attributes
            .push(attribute("role", level_word(membership.access_level), ()));
        removal
            .operations
            .push(Operation::Membership(MembershipOperation::Remove {
                member: MemberRef {
                    source,
                    path: path.clone(),
                    user: user.reference,
                },
            }));
        builder.push(removal);
    }
}

/// A role's name, or the bare number of a level that is none.
fn level_word(level: u64) -> Value {
    Role::from_access_level(level).map_or_else(|| level.into(), |role| role.as_str().into())
}
