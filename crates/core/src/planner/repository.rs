//! `factory.repository["PATH"]`: what is enabled in Factory. Enabling is a creation, disabling a deletion; ids are
//! GitLab's project ids, addresses are paths.

use crate::model::{
    Actions, Address, Change, FullPath, Known, Operation, OperatorStep, ProjectId, Reason, RepositoryOperation, Status,
    Unlisted,
};

use super::builder::{PlanBuilder, attribute, block, change};
use super::inputs::Inputs;
use super::membership::Coverage;
use super::origin::Origins;
use super::selection::{Selected, Selection, Unselectable, list_is_the_droids, select};

/// Plans the repositories; everything they depend on is in the plan already.
pub(super) fn plan(inputs: &Inputs<'_>, builder: &mut PlanBuilder, coverage: &Coverage) {
    let selection = select(inputs, builder, coverage);
    for (id, selected) in &selection.selected {
        if is_enabled(inputs, *id) {
            let address = Address::Repository(selected.path.clone());
            let attestation = inputs
                .recorded_repository(*id)
                .and_then(|repository| repository.attested.as_ref())
                .filter(|_| inputs.attested());
            builder.keep_attested(address, attestation);
        } else {
            let enable = enable(inputs, builder, *id, selected);
            builder.push(enable);
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
}

/// Whether a repository is enabled now. Where Factory lists nothing, or not what the droid sees, the record counts:
/// Factory keeps its selection while it is not connected, and forgets it together with the integration.
pub(super) fn is_enabled(inputs: &Inputs<'_>, id: ProjectId) -> bool {
    let recorded = || inputs.recorded_repository(id).is_some();
    match &inputs.observed.factory.repositories {
        Known::Known(list) => match list.get(&id) {
            Some(repository) => repository.enabled,
            None => !inputs.attested() && !list_is_the_droids(inputs) && recorded(),
        },
        Known::Unknown => (inputs.attested() || inputs.integration().is_some()) && recorded(),
    }
}

/// Everything that is enabled now, as far as anybody can tell, with its path.
pub(super) fn enabled<'a>(inputs: &Inputs<'a>) -> Vec<(ProjectId, &'a FullPath)> {
    let mut enabled: std::collections::BTreeMap<ProjectId, &FullPath> = inputs
        .recorded
        .repositories
        .iter()
        .filter(|(id, _)| is_enabled(inputs, **id))
        .map(|(id, repository)| (*id, &repository.path))
        .collect();
    if let Known::Known(list) = &inputs.observed.factory.repositories {
        enabled.extend(
            list.iter()
                .filter(|(_, repository)| repository.enabled)
                .map(|(id, repository)| (*id, &repository.path)),
        );
    }
    enabled.into_iter().collect()
}

fn enable(inputs: &Inputs<'_>, builder: &PlanBuilder, id: ProjectId, selected: &Selected) -> Change {
    let address = Address::Repository(selected.path.clone());
    let recorded = inputs.recorded_repository(id);
    let mut origins = Origins::default();
    origins.compare(Some(&()), None, recorded.map(|_| &()));
    let mut enable = change(
        address.clone(),
        Actions::Create,
        Reason::Absent,
        origins.resolve(inputs.interrupted(&address)),
    );
    enable.attributes.push(attribute("enabled", (), true));
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
        let disable = disable(inputs, builder, id, path);
        builder.push(disable);
    }
}

/// Disables a repository.
pub(super) fn disable(inputs: &Inputs<'_>, builder: &PlanBuilder, id: ProjectId, path: &FullPath) -> Change {
    let address = Address::Repository(path.clone());
    let mut origins = Origins::default();
    origins.compare(None, Some(&()), inputs.recorded_repository(id).map(|_| &()));
    let mut disable = change(
        address.clone(),
        Actions::Delete,
        Reason::Unlisted,
        origins.resolve(inputs.interrupted(&address)),
    );
    disable.attributes.push(attribute("enabled", true, ()));
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
        change.operations.push(if enable {
            Operation::Repository(RepositoryOperation::Enable { id })
        } else {
            Operation::Repository(RepositoryOperation::Disable { id })
        });
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
        Unselectable::NotVisible => (Reason::NotVisible, help_to_see(inputs, path)),
    };
    let mut blocked = change(
        address.clone(),
        Actions::Create,
        reason,
        origins.resolve(inputs.interrupted(&address)),
    );
    blocked.attributes.push(attribute("enabled", (), true));
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
