//! `factory.repository["PATH"]`: what is enabled in Factory. Enabling is a creation, disabling a deletion; ids are
//! GitLab's project ids, addresses are paths.

mod enabled;
mod selection;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::diff::Origins;
use crate::model::{
    Actions, Address, Attestation, AttributeChange, Change, Command, FullPath, Known, Observed, Operation,
    OperatorStep, Origin, PathPattern, ProjectId, Reason, RecordedState, Role, Status, WarningCode,
};
use crate::planning::builder::block;
use crate::planning::{Inputs, PlanBuilder, Settled};

use super::application::held;
use super::membership::Coverage;
use enabled::is_enabled;
use selection::{Selected, Selection, Unselectable, select};

pub(crate) use enabled::enabled;

/// The repository selection as declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DesiredRepositories {
    /// Full paths and globs to enable.
    pub enable: Vec<PathPattern>,
    /// Full paths and globs taken out of `enable` again.
    pub except: Vec<PathPattern>,
    /// What becomes of repositories that are enabled in Factory but not listed.
    pub unlisted: Unlisted,
}

impl DesiredRepositories {
    /// Whether the patterns select this path.
    pub fn selects(&self, path: &FullPath) -> bool {
        self.enable.iter().any(|pattern| pattern.matches(path)) && !self.is_excepted(path)
    }

    /// Whether `except` takes this path out.
    pub fn is_excepted(&self, path: &FullPath) -> bool {
        self.except.iter().any(|pattern| pattern.matches(path))
    }

    /// The paths listed literally in `enable` that `except` does not take out.
    pub fn explicit(&self) -> BTreeSet<FullPath> {
        self.enable
            .iter()
            .filter_map(PathPattern::literal)
            .filter(|path| !self.is_excepted(path))
            .cloned()
            .collect()
    }

    /// The globs of `enable`.
    pub fn globs(&self) -> impl Iterator<Item = &PathPattern> {
        self.enable.iter().filter(|pattern| pattern.literal().is_none())
    }
}

/// What becomes of repositories that are enabled in Factory but not listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unlisted {
    /// They stay as they are.
    #[default]
    Keep,
    /// They are disabled, within the guards.
    Disable,
}

/// A repository as Factory lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactoryRepository {
    /// The full path of its project, as Factory last saw it.
    pub path: FullPath,
    /// Whether Droids may work on it.
    pub enabled: bool,
    /// Archived in GitLab, where Factory says.
    pub archived: bool,
}

/// A repository as last enabled, adopted or attested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedRepository {
    /// Its path at that time.
    pub path: FullPath,
    /// Who attested it, under the `assisted` driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attested: Option<Attestation>,
}

/// A write to Factory's selection of repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do")]
pub enum RepositoryOperation {
    /// Enables one.
    #[serde(rename = "enable_repository")]
    Enable {
        /// Its project.
        id: ProjectId,
    },
    /// Disables one.
    #[serde(rename = "disable_repository")]
    Disable {
        /// Its project.
        id: ProjectId,
    },
}

impl RepositoryOperation {
    /// Its project.
    pub fn id(self) -> ProjectId {
        match self {
            Self::Enable { id } | Self::Disable { id } => id,
        }
    }
}

/// Plans the repositories; everything they depend on is in the plan already.
pub(crate) fn plan(inputs: &Inputs<'_>, builder: &mut PlanBuilder, coverage: &Coverage, unadopted: bool) {
    let selection = select(inputs, builder, coverage);
    for (id, selected) in &selection.selected {
        if is_enabled(inputs, *id) {
            let address = Address::Repository(selected.path.clone());
            let attestation = inputs
                .recorded
                .repositories
                .get(id)
                .and_then(|repository| repository.attested.as_ref())
                .filter(|_| inputs.attested());
            builder.keep_attested(address, attestation);
        } else {
            let enable = enable(inputs, builder, *id, selected);
            builder.push(if unadopted && inputs.attested() {
                held(enable, "it may be enabled already, and Factory cannot be asked")
            } else {
                enable
            });
        }
    }
    for (path, why) in &selection.unselectable {
        let blocked = unselectable(inputs, path, why);
        if !builder.changes.contains_key(&blocked.address) {
            builder.push(blocked);
        }
    }
    match inputs.desired.repositories.unlisted {
        Unlisted::Keep => {}
        Unlisted::Disable => disable_unlisted(inputs, builder, &selection),
    }
    warn_of_roles(inputs, builder, coverage, &selection);
}

/// Tells of each repository that is or will be enabled, and in which the droid's role is too low to work. A role that an
/// invited group gives counts as any other; an administrator needs none.
fn warn_of_roles(inputs: &Inputs<'_>, builder: &mut PlanBuilder, coverage: &Coverage, selection: &Selection<'_>) {
    let gitlab = &inputs.observed.gitlab;
    if inputs.droid().is_some_and(|droid| droid.is_admin) {
        return;
    }
    let mut repositories: BTreeMap<ProjectId, &FullPath> = enabled(inputs).into_iter().collect();
    for (id, path) in &mut repositories {
        *path = selection.candidates.get(id).map_or(*path, |candidate| candidate.path);
    }
    repositories.extend(selection.selected.iter().map(|(id, selected)| (*id, &selected.path)));
    for (id, path) in repositories {
        let address = Address::Repository(path.clone());
        let goes = builder
            .change(&address)
            .is_some_and(|change| change.actions == Actions::Delete);
        let told = gitlab.roles.get(&id).filter(|_| !coverage.is_withdrawn(id, path));
        let role = coverage.role(id, path).max(told.copied().flatten());
        // What a group that nobody named may give was not asked.
        let is_unknown = role.is_none() && told.is_none() && inputs.droid().is_some() && !gitlab.memberships.is_empty();
        if goes || is_unknown || role >= Some(Role::LEAST_OF_A_DROID) {
            continue;
        }
        let has = role.map_or_else(|| "none".to_owned(), |role| role.to_string());
        let message = format!(
            "the droid's role here is {has}, with which a Droid cannot push: give it {} in user.memberships, for the project \
             or a group above it",
            Role::LEAST_OF_A_DROID
        );
        builder.warn(WarningCode::RoleTooLow, Some(address), message);
    }
}

/// Whether Factory lists a repository of this path, or has it enabled.
pub(crate) fn is_live(inputs: &Inputs<'_>, path: &FullPath) -> bool {
    let listed = inputs.observed.factory.repositories.as_ref().known();
    listed.is_some_and(|list| list.values().any(|listed| listed.path == *path))
        || enabled(inputs).iter().any(|(_, enabled)| *enabled == path)
}

fn enable(inputs: &Inputs<'_>, builder: &PlanBuilder, id: ProjectId, selected: &Selected) -> Change {
    let address = Address::Repository(selected.path.clone());
    let recorded = inputs.recorded.repositories.get(&id);
    let mut origins = Origins::default();
    origins.compare(Some(&()), None, recorded.map(|_| &()));
    let shown = vec![AttributeChange::new("enabled", (), true)];
    let mut enable = inputs.change(address, Actions::Create, Reason::Absent, origins, shown);
    if let Some(before) = &selected.instead_of {
        enable.origin = Origin::Drift;
        let now = match &before.now {
            Some(now) => format!("`{now}` now and stays as it is"),
            None => "not to be found any more".to_owned(),
        };
        enable.note(format!(
            "this is another project than the one that was enabled here (id {}), which is {now}",
            before.id
        ));
    }
    if let Some(membership) = &selected.waits_for {
        enable.depends_on.push(membership.clone());
    }
    carry_out(inputs, builder, &mut enable, id, &selected.path, true);
    enable
}

fn disable_unlisted(inputs: &Inputs<'_>, builder: &mut PlanBuilder, selection: &Selection<'_>) {
    for (id, listed_path) in enabled(inputs) {
        if selection.selected.contains_key(&id) || selection.meant.contains(&id) {
            continue;
        }
        let path = selection
            .candidates
            .get(&id)
            .map_or(listed_path, |candidate| candidate.path);
        // Out of sight is not out of the file.
        if !selection.candidates.contains_key(&id) && inputs.desired.repositories.selects(path) {
            continue;
        }
        // It moved with its group, which the file means by its former path.
        let meant = |recorded: &RecordedRepository| inputs.desired.repositories.selects(&recorded.path);
        if selection.moved_groups.values().any(|to| to.contains(path))
            && inputs.recorded.repositories.get(&id).is_some_and(meant)
        {
            continue;
        }
        let disable = disable(inputs, builder, id, path);
        builder.push(disable);
    }
}

/// Disables a repository.
pub(crate) fn disable(inputs: &Inputs<'_>, builder: &PlanBuilder, id: ProjectId, path: &FullPath) -> Change {
    let address = Address::Repository(path.clone());
    let mut origins = Origins::default();
    origins.compare(None, Some(&()), inputs.recorded.repositories.get(&id).map(|_| &()));
    let shown = vec![AttributeChange::new("enabled", true, ())];
    let mut disable = inputs.change(address, Actions::Delete, Reason::Unlisted, origins, shown);
    carry_out(inputs, builder, &mut disable, id, path, false);
    disable
}

/// Adds the write, or the step, and what has to be done before it.
fn carry_out(
    inputs: &Inputs<'_>,
    builder: &PlanBuilder,
    change: &mut Change,
    id: ProjectId,
    path: &FullPath,
    enable: bool,
) {
    if inputs.attested() {
        let path = path.clone();
        change.status = Status::Operator;
        change.steps.push(if enable {
            OperatorStep::EnableRepository { id, path }
        } else {
            OperatorStep::DisableRepository { id, path }
        });
    } else {
        let operation = if enable {
            RepositoryOperation::Enable { id }
        } else {
            RepositoryOperation::Disable { id }
        };
        change.write(operation);
    }
    if builder.change(&Address::Authorization).is_some() {
        change.depends_on.push(Address::Authorization);
    }
}

fn unselectable(inputs: &Inputs<'_>, path: &FullPath, why: &Unselectable) -> Change {
    let address = Address::Repository(path.clone());
    let recorded = inputs
        .recorded
        .repositories
        .values()
        .any(|repository| repository.path == *path);
    let mut origins = Origins::default();
    origins.compare(Some(&()), None, recorded.then_some(&()));
    let (reason, note) = match why {
        Unselectable::NotFound => (
            Reason::NotFound,
            format!("no project has the path `{path}`, or gitlab.token cannot see it"),
        ),
        Unselectable::IsGroup => (
            Reason::NotFound,
            format!("`{path}` is a group; list `{path}/**` to enable what is in it"),
        ),
        Unselectable::Moved { to } => (
            Reason::Moved,
            format!("`{path}` is `{to}` now; list that path in repositories.enable"),
        ),
        Unselectable::PendingDeletion => (
            Reason::PendingDeletion,
            format!("`{path}` waits for deletion in GitLab; restore it there, or take it out of repositories.enable"),
        ),
        Unselectable::ExceptsGroup => (
            Reason::NotFound,
            format!(
                "`{path}` in repositories.except is a group; write `{path}/**` to take out what is in it. Until then nothing in it \
                 is enabled"
            ),
        ),
        Unselectable::NotVisible => (Reason::NotVisible, help_to_see(inputs, path)),
    };
    let shown = vec![AttributeChange::new("enabled", (), true)];
    let blocked = inputs.change(address, Actions::Create, reason, origins, shown);
    block(blocked, reason, note)
}

/// Names the membership that would make a project visible: a declared one that cannot be had, or a new one.
fn help_to_see(inputs: &Inputs<'_>, path: &FullPath) -> String {
    if let Some(group) = inputs.desired.memberships.keys().find(|group| group.contains(path)) {
        return format!(
            "it exists, but the droid does not see it; the declared membership in `{group}` would help, and cannot be had as it \
             is declared"
        );
    }
    let group = path.parent().unwrap_or_else(|| path.clone());
    format!(
        "it exists, but the droid does not see it; a membership would help: `\"{group}\" = \"developer\"` under \
         user.memberships"
    )
}

/// Disables what is recorded or declared; the rest of Factory's selection is forgotten together with the connection.
/// A person disconnects with one click, and is not asked to disable one by one before that.
pub(crate) fn destroy(inputs: &Inputs<'_>, builder: &mut PlanBuilder) {
    let Known::Known(list) = &inputs.observed.factory.repositories else {
        return;
    };
    if inputs.attested() && inputs.integration().is_some() {
        return;
    }
    for (id, listed) in list.iter().filter(|(_, listed)| listed.enabled) {
        let ours = inputs.recorded.repositories.contains_key(id) || inputs.desired.repositories.selects(&listed.path);
        if ours {
            let mut disable = disable(inputs, builder, *id, &listed.path);
            disable.origin = Origin::Pending;
            builder.push(disable);
        }
    }
}

/// Adopts the repositories into the record.
pub(crate) fn adopt(inputs: &Inputs<'_>, settled: &Settled<'_>, next: &mut RecordedState) {
    if inputs.attested() {
        return;
    }
    let Some(list) = inputs.observed.factory.repositories.as_ref().known() else {
        if settled.is_complete() && inputs.integration().is_none() && settled.is_of(Command::Destroy) {
            next.repositories.clear();
        }
        return;
    };
    if settled.is_complete() && !settled.is_of(Command::Destroy) {
        let still_there = |path: &FullPath| {
            let address = Address::Repository(path.clone());
            settled.is_unchanged(&address) || settled.is_changed(&address)
        };
        next.repositories.retain(|id, recorded| match list.get(id) {
            Some(listed) => listed.enabled || still_there(&listed.path) || still_there(&recorded.path),
            None => still_there(&recorded.path) || inputs.desired.repositories.selects(&recorded.path),
        });
    }
    for (id, listed) in list.iter().filter(|(_, listed)| listed.enabled) {
        let path = inputs
            .observed
            .gitlab
            .projects
            .get(id)
            .map_or(&listed.path, |project| &project.path);
        if settled.is_unchanged(&Address::Repository(path.clone())) {
            let adopted = RecordedRepository {
                path: path.clone(),
                attested: None,
            };
            next.repositories.insert(*id, adopted);
        }
    }
}

/// What was seen of the repository.
pub(crate) fn preconditions(change: &Change, observed: &Observed) -> Map<String, Value> {
    let written = change.operations.iter().find_map(Operation::project);
    let Some(id) = written.or_else(|| change.steps.iter().find_map(OperatorStep::project)) else {
        return Map::new();
    };
    let listed = match &observed.factory.repositories {
        Known::Known(list) => list.get(&id),
        Known::Unknown => None,
    };
    let project = observed.gitlab.projects.get(&id);
    let path = project
        .map(|project| &project.path)
        .or(listed.map(|listed| &listed.path));
    let archived = project.is_some_and(|project| project.archived) || listed.is_some_and(|listed| listed.archived);
    Map::from_iter([
        ("id".to_owned(), json!(id)),
        ("path".to_owned(), json!(path)),
        ("archived".to_owned(), json!(archived)),
        ("enabled".to_owned(), json!(listed.is_some_and(|listed| listed.enabled))),
    ])
}
