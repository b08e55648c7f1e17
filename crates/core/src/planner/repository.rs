//! `factory.repository["PATH"]`: what is enabled in Factory. Enabling is a creation, disabling a deletion; ids are
//! GitLab's project ids, addresses are paths.

use crate::model::{
    Actions, Address, Change, FullPath, Known, Operation, OperatorStep, ProjectId, Reason, RepositoryOperation, Status,
    Unlisted,
};

use super::draft::{Draft, attribute, block, change};
use super::membership::Coverage;
use super::origin::Origins;
use super::selection::{Selected, Selection, Unselectable, list_is_the_droids, select};
use super::world::World;

/// Plans the repositories; everything they depend on is in the draft already.
pub(super) fn plan(world: &World<'_>, draft: &mut Draft, coverage: &Coverage) {
    let selection = select(world, draft, coverage);
    for (id, selected) in &selection.selected {
        if is_enabled(world, *id) {
            let address = Address::Repository(selected.path.clone());
            let attestation = world
                .recorded_repository(*id)
                .and_then(|repository| repository.attested.as_ref())
                .filter(|_| world.attested());
            draft.keep_attested(address, attestation);
        } else {
            let enable = enable(world, draft, *id, selected);
            draft.push(enable);
        }
    }
    for (path, why) in &selection.unselectable {
        let blocked = unselectable(world, path, why);
        if !draft.changes.contains_key(&blocked.address) {
            draft.push(blocked);
        }
    }
    match world.desired.repositories.unlisted {
        Unlisted::Keep => {}
        Unlisted::Disable => disable_unlisted(world, draft, &selection),
    }
}

/// Whether a repository is enabled now. Where Factory lists nothing, or not what the droid sees, the record counts:
/// Factory keeps its selection while it is not connected, and forgets it together with the integration.
pub(super) fn is_enabled(world: &World<'_>, id: ProjectId) -> bool {
    let recorded = || world.recorded_repository(id).is_some();
    match &world.observed.factory.repositories {
        Known::Known(list) => match list.get(&id) {
            Some(repository) => repository.enabled,
            None => !world.attested() && !list_is_the_droids(world) && recorded(),
        },
        Known::Unknown => (world.attested() || world.integration().is_some()) && recorded(),
    }
}

/// Everything that is enabled now, as far as anybody can tell, with its path.
pub(super) fn enabled<'a>(world: &World<'a>) -> Vec<(ProjectId, &'a FullPath)> {
    let mut enabled: std::collections::BTreeMap<ProjectId, &FullPath> = world
        .recorded
        .repositories
        .iter()
        .filter(|(id, _)| is_enabled(world, **id))
        .map(|(id, repository)| (*id, &repository.path))
        .collect();
    if let Known::Known(list) = &world.observed.factory.repositories {
        enabled.extend(
            list.iter()
                .filter(|(_, repository)| repository.enabled)
                .map(|(id, repository)| (*id, &repository.path)),
        );
    }
    enabled.into_iter().collect()
}

fn enable(world: &World<'_>, draft: &Draft, id: ProjectId, selected: &Selected) -> Change {
    let address = Address::Repository(selected.path.clone());
    let recorded = world.recorded_repository(id);
    let mut origins = Origins::default();
    origins.compare(Some(&()), None, recorded.map(|_| &()));
    let mut enable = change(
        address.clone(),
        Actions::Create,
        Reason::Absent,
        origins.resolve(world.interrupted(&address)),
    );
    enable.attributes.push(attribute("enabled", (), true));
    if let Some(membership) = &selected.waits_for {
        enable.depends_on.push(membership.clone());
    }
    carry_out(world, draft, &mut enable, id, &selected.path, true);
    enable
}

fn disable_unlisted(world: &World<'_>, draft: &mut Draft, selection: &Selection<'_>) {
    for (id, listed_path) in enabled(world) {
        if selection.selected.contains_key(&id) || selection.meant.contains(&id) {
            continue;
        }
        let path = selection
            .candidates
            .get(&id)
            .map_or(listed_path, |candidate| candidate.path);
        // Out of sight is not out of the file.
        if !selection.candidates.contains_key(&id) && world.desired.repositories.selects(path) {
            continue;
        }
        let disable = disable(world, draft, id, path);
        draft.push(disable);
    }
}

/// Disables a repository.
pub(super) fn disable(world: &World<'_>, draft: &Draft, id: ProjectId, path: &FullPath) -> Change {
    let address = Address::Repository(path.clone());
    let mut origins = Origins::default();
    origins.compare(None, Some(&()), world.recorded_repository(id).map(|_| &()));
    let mut disable = change(
        address.clone(),
        Actions::Delete,
        Reason::Unlisted,
        origins.resolve(world.interrupted(&address)),
    );
    disable.attributes.push(attribute("enabled", true, ()));
    carry_out(world, draft, &mut disable, id, path, false);
    disable
}

/// Adds the write, or the step, and what has to be done before it.
fn carry_out(world: &World<'_>, draft: &Draft, change: &mut Change, id: ProjectId, path: &FullPath, enable: bool) {
    if world.attested() {
        let path = path.clone();
        change.status = Status::Operator;
        change.steps.push(if enable {
            OperatorStep::EnableRepository { id, path }
        } else {
            OperatorStep::DisableRepository { id, path }
        });
    } else {
        change.operations.push(if enable {
            Operation::Repository(RepositoryOperation::Enable { id })
        } else {
            Operation::Repository(RepositoryOperation::Disable { id })
        });
    }
    if draft.change(&Address::Authorization).is_some() {
        change.depends_on.push(Address::Authorization);
    }
}

fn unselectable(world: &World<'_>, path: &FullPath, why: &Unselectable) -> Change {
    let address = Address::Repository(path.clone());
    let recorded = world
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
        Unselectable::NotVisible => (Reason::NotVisible, help_to_see(world, path)),
    };
    let mut blocked = change(
        address.clone(),
        Actions::Create,
        reason,
        origins.resolve(world.interrupted(&address)),
    );
    blocked.attributes.push(attribute("enabled", (), true));
    block(blocked, reason, note)
}

/// Names the membership that would make a project visible: a declared one that cannot be had, or a new one.
fn help_to_see(world: &World<'_>, path: &FullPath) -> String {
    if let Some(group) = world.desired.memberships.keys().find(|group| group.contains(path)) {
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
