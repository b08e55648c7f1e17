//! Which repositories the file selects: its explicit paths, and what its globs match among the projects that the droid
//! sees, or will see once the memberships of the same plan are there.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Address, FullPath, IntegrationStatus, Known, ObservedProject, ProjectId, Resolution, SourceKind, Visibility,
    WarningCode,
};

use crate::kinds::membership::{Coverage, Covered};
use crate::planner::builder::PlanBuilder;
use crate::planner::inputs::Inputs;

use super::is_enabled;

/// A project that may be selected, as both sides show it.
#[derive(Debug, Clone)]
pub(super) struct Candidate<'a> {
    /// Its path now: GitLab's word counts before Factory's.
    pub(super) path: &'a FullPath,
    archived: bool,
    pending_deletion: bool,
    visibility: Option<Visibility>,
    /// Factory lists it for the droid.
    listed: bool,
}

/// A selected repository.
#[derive(Debug, Clone)]
pub(super) struct Selected {
    pub(super) path: FullPath,
    /// The membership of this plan that makes it visible, if it is not yet.
    pub(super) waits_for: Option<Address>,
}

/// An explicit path that cannot be selected.
#[derive(Debug, Clone)]
pub(super) enum Unselectable {
    NotFound,
    IsGroup,
    Moved { to: FullPath },
    NotVisible,
}

/// What the file selects.
#[derive(Debug, Default)]
pub(super) struct Selection<'a> {
    pub(super) candidates: BTreeMap<ProjectId, Candidate<'a>>,
    pub(super) selected: BTreeMap<ProjectId, Selected>,
    pub(super) unselectable: BTreeMap<FullPath, Unselectable>,
    /// Projects that the file means although they are not selected: moved, archived or out of sight. They are never
    /// taken for unlisted.
    pub(super) meant: BTreeSet<ProjectId>,
}

/// Whether Factory's list is what the droid sees, so that what is not on it is out of its sight.
pub(super) fn list_is_the_droids(inputs: &Inputs<'_>) -> bool {
    !inputs.attested() && !inputs.observed.factory.repositories.is_unknown() && inputs.connected_as_droid() && {
        inputs
            .integration()
            .is_some_and(|integration| integration.status == IntegrationStatus::Connected)
    }
}

/// Selects.
pub(super) fn select<'a>(inputs: &Inputs<'a>, builder: &mut PlanBuilder, coverage: &Coverage) -> Selection<'a> {
    let mut selection = Selection {
        candidates: candidates(inputs),
        ..Selection::default()
    };
    let sight = Sight {
        inputs,
        list_is_complete: list_is_the_droids(inputs),
        coverage,
    };
    explicit(inputs, builder, &sight, &mut selection);
    globs(inputs, builder, &sight, &mut selection);
    selection
}

fn candidates<'a>(inputs: &Inputs<'a>) -> BTreeMap<ProjectId, Candidate<'a>> {
    let of_the_droid = inputs.attested() || list_is_the_droids(inputs);
    let mut candidates = BTreeMap::new();
    if let Known::Known(list) = &inputs.observed.factory.repositories {
        candidates.extend(list.iter().map(|(id, repository)| {
            let candidate = Candidate {
                path: &repository.path,
                archived: repository.archived,
                pending_deletion: false,
                visibility: None,
                listed: of_the_droid,
            };
            (*id, candidate)
        }));
    }
    for project in inputs.observed.gitlab.projects.values() {
        let ObservedProject {
            id,
            path,
            archived,
            pending_deletion,
            visibility,
        } = project;
        let listed = candidates.get(id).is_some_and(|candidate| candidate.listed);
        candidates.insert(
            *id,
            Candidate {
                path,
                archived: *archived,
                pending_deletion: *pending_deletion,
                visibility: Some(*visibility),
                listed,
            },
        );
    }
    candidates
}

/// How to tell what the droid will see.
struct Sight<'a> {
    inputs: &'a Inputs<'a>,
    list_is_complete: bool,
    coverage: &'a Coverage,
}

impl Sight<'_> {
    fn of(&self, id: ProjectId, path: &FullPath, candidate: Option<&Candidate<'_>>) -> Option<Covered> {
        let listed = candidate.is_some_and(|candidate| candidate.listed);
        let withdrawn = self.coverage.is_withdrawn(id, path);
        if listed && (!withdrawn || is_enabled(self.inputs, id)) {
            return Some(Covered { by: None });
        }
        let open = candidate
            .is_some_and(|candidate| matches!(candidate.visibility, Some(Visibility::Internal | Visibility::Public)));
        if open && (listed || !self.list_is_complete) {
            return Some(Covered { by: None });
        }
        self.coverage.of(id, path)
    }
}

fn explicit(inputs: &Inputs<'_>, builder: &mut PlanBuilder, sight: &Sight<'_>, selection: &mut Selection<'_>) {
    let by_path: BTreeMap<&FullPath, ProjectId> = selection
        .candidates
        .iter()
        .map(|(id, candidate)| (candidate.path, *id))
        .collect();
    for path in inputs.desired.repositories.explicit() {
        let resolution = inputs.observed.gitlab.paths.get(&path);
        let id = match (resolution, by_path.get(&path)) {
            (Some(Resolution::Found(SourceKind::Project(id))), _) | (Some(Resolution::NotFound) | None, Some(id)) => {
                *id
            }
            (Some(Resolution::Moved { id, to }), _) => {
                selection.meant.insert(*id);
                selection
                    .unselectable
                    .insert(path, Unselectable::Moved { to: to.clone() });
                continue;
            }
            (Some(Resolution::Found(SourceKind::Group(_))), _) => {
                selection.unselectable.insert(path, Unselectable::IsGroup);
                continue;
            }
            (Some(Resolution::NotFound) | None, None) => {
                selection.unselectable.insert(path, Unselectable::NotFound);
                continue;
            }
        };
        let candidate = selection.candidates.get(&id);
        selection.meant.insert(id);
        let Some(covered) = sight.of(id, &path, candidate) else {
            selection.unselectable.insert(path, Unselectable::NotVisible);
            continue;
        };
        let path = candidate.map_or_else(|| path.clone(), |candidate| candidate.path.clone());
        if let Some(candidate) = candidate {
            warn_of_state(builder, &path, candidate);
        }
        selection.selected.insert(
            id,
            Selected {
                path,
                waits_for: covered.by,
            },
        );
    }
}

fn warn_of_state(builder: &mut PlanBuilder, path: &FullPath, candidate: &Candidate<'_>) {
    let address = Some(Address::Repository(path.clone()));
    if candidate.pending_deletion {
        builder.warn(
            WarningCode::RepositoryPendingDeletion,
            address,
            format!("`{path}` is listed and waits to be deleted in GitLab"),
        );
    } else if candidate.archived {
        builder.warn(
            WarningCode::RepositoryArchived,
            address,
            format!("`{path}` is listed and archived in GitLab, so nobody can push to it"),
        );
    }
}

fn globs(inputs: &Inputs<'_>, builder: &mut PlanBuilder, sight: &Sight<'_>, selection: &mut Selection<'_>) {
    let globs: Vec<_> = inputs.desired.repositories.globs().collect();
    let mut matched = vec![false; globs.len()];
    for (id, candidate) in &selection.candidates {
        let matching: Vec<usize> = (0..globs.len())
            .filter(|index| globs[*index].matches(candidate.path))
            .collect();
        if matching.is_empty() {
            continue;
        }
        let excepted = inputs.desired.repositories.is_excepted(candidate.path);
        if candidate.archived || candidate.pending_deletion {
            if !excepted {
                selection.meant.insert(*id);
            }
            continue;
        }
        let Some(covered) = sight.of(*id, candidate.path, Some(candidate)) else {
            if !excepted {
                selection.meant.insert(*id);
            }
            continue;
        };
        for index in matching {
            matched[index] = true;
        }
        if !excepted {
            selection.selected.entry(*id).or_insert_with(|| Selected {
                path: candidate.path.clone(),
                waits_for: covered.by,
            });
        }
    }
    for (glob, _) in globs.iter().zip(&matched).filter(|(_, matched)| !**matched) {
        builder.warn(
            WarningCode::PatternMatchesNothing,
            None,
            format!(
                "`{}` in repositories.enable matches no project that the droid sees, or will see with the memberships declared",
                glob.as_str()
            ),
        );
    }
}
