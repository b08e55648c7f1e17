//! What is enabled now, as far as anybody can tell: by Factory's list, and by the record where that says nothing.

use std::collections::BTreeMap;

use crate::model::{FullPath, Known, ProjectId};
use crate::planning::Inputs;

/// Whether a repository is enabled now. Where Factory lists nothing, or not what the droid sees, the record counts:
/// Factory keeps its selection while it is not connected, and forgets it together with the integration.
pub(super) fn is_enabled(inputs: &Inputs<'_>, id: ProjectId) -> bool {
    let recorded = || inputs.recorded.repositories.contains_key(&id);
    match &inputs.observed.factory.repositories {
        Known::Known(list) => match list.get(&id) {
            Some(repository) => repository.enabled,
            None => !inputs.attested() && !inputs.list_is_the_droids() && recorded(),
        },
        Known::Unknown => (inputs.attested() || inputs.integration().is_some()) && recorded(),
    }
}

/// Everything that is enabled now, as far as anybody can tell, with its path.
pub(crate) fn enabled<'a>(inputs: &Inputs<'a>) -> Vec<(ProjectId, &'a FullPath)> {
    let mut enabled: BTreeMap<ProjectId, &FullPath> = inputs
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
