//! Which repositories the file selects: its explicit paths, and what its globs match among the projects that the droid
//! sees, or will see once the memberships of the same plan are there.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Address, FullPath, Known, ObservedProject, PathPattern, ProjectId, Resolution, Role, SourceKind, Visibility,
    WarningCode,
};

use crate::kinds::membership::{Coverage, Covered};
use crate::planning::{Inputs, PlanBuilder};

use super::enabled::is_enabled;

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

#[derive(Debug, Clone)]
pub(super) struct Selected {
    pub(super) path: FullPath,
    /// The membership of this plan that makes it visible, if it is not yet.
    pub(super) waits_for: Option<Address>,
    /// Another project that was enabled under this very path.
    pub(super) instead_of: Option<Displaced>,
}

/// A project whose path another one has taken.
#[derive(Debug, Clone)]
pub(super) struct Displaced {
    pub(super) id: ProjectId,
    /// Its path now, if it is to be found.
    pub(super) now: Option<FullPath>,
}

/// A path of the file that cannot be used.
#[derive(Debug, Clone)]
pub(super) enum Unselectable {
    NotFound,
    IsGroup,
    Moved {
        to: FullPath,
    },
    PendingDeletion,
    NotVisible,
    /// A group, in `except`.
    ExceptsGroup,
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
    /// Groups that the file means by their former paths, and their paths now.
    pub(super) moved_groups: BTreeMap<FullPath, FullPath>,
}

pub(super) fn select<'a>(inputs: &Inputs<'a>, builder: &mut PlanBuilder, coverage: &Coverage) -> Selection<'a> {
    let mut selection = Selection {
        candidates: candidates(inputs),
        ..Selection::default()
    };
    let sight = Sight { inputs, coverage };
    explicit(inputs, builder, &sight, &mut selection);
    globs(inputs, builder, &sight, &mut selection);
    exceptions(inputs, builder, &mut selection);
    selection.moved_groups = moved_groups(inputs, &selection.candidates);
    for (from, to) in &selection.moved_groups {
        let message = format!(
            "the group `{from}` is `{to}` now; write that in repositories.enable. What was enabled in it stays enabled until then"
        );
        builder.warn(WarningCode::GroupMoved, None, message);
    }
    selection
}

fn candidates<'a>(inputs: &Inputs<'a>) -> BTreeMap<ProjectId, Candidate<'a>> {
    let of_the_droid = inputs.attested() || inputs.list_is_the_droids();
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
            invited_groups: _,
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
    coverage: &'a Coverage,
}

impl Sight<'_> {
    fn of(&self, id: ProjectId, path: &FullPath, candidate: Option<&Candidate<'_>>) -> Option<Covered> {
        let listed = candidate.is_some_and(|candidate| candidate.listed);
        let withdrawn = self.coverage.is_withdrawn(id, path);
        if listed && (!withdrawn || is_enabled(self.inputs, id)) {
            return Some(Covered { by: None });
        }
        let open = match candidate.and_then(|candidate| candidate.visibility) {
            Some(Visibility::Public) => true,
            Some(Visibility::Internal) => !self.is_external(),
            Some(Visibility::Private) | None => false,
        };
        if open && (listed || !self.inputs.list_is_the_droids()) {
            return Some(Covered { by: None });
        }
        let told = self.inputs.observed.gitlab.roles.get(&id).copied().flatten();
        if !withdrawn && told.is_some_and(Role::shows_projects) {
            return Some(Covered { by: None });
        }
        self.coverage.of(id, path)
    }

    /// Whether the droid is, or will be, an external user, who sees no internal project.
    fn is_external(&self) -> bool {
        match self.inputs.droid() {
            Some(droid) => droid.external,
            None => self.inputs.observed.gitlab.accounts_are_external == Known::Known(true),
        }
    }
}

fn explicit(inputs: &Inputs<'_>, builder: &mut PlanBuilder, sight: &Sight<'_>, selection: &mut Selection<'_>) {
    let by_path: BTreeMap<&FullPath, ProjectId> = selection
        .candidates
        .iter()
        .map(|(id, candidate)| (candidate.path, *id))
        .collect();
    for path in inputs.desired.repositories.explicit() {
        let recorded = || {
            inputs
                .recorded
                .repositories
                .iter()
                .filter(|(_, recorded)| recorded.path == path)
        };
        let resolution = inputs.observed.gitlab.paths.get(&path);
        let found = match (resolution, by_path.get(&path)) {
            (Some(Resolution::Found(SourceKind::Project(id))), _) | (Some(Resolution::NotFound) | None, Some(id)) => {
                Ok(*id)
            }
            (
                Some(Resolution::Moved {
                    source: SourceKind::Project(id),
                    to,
                }),
                _,
            ) => Err(Some((*id, to.clone()))),
            (
                Some(
                    Resolution::Found(SourceKind::Group(_))
                    | Resolution::Moved {
                        source: SourceKind::Group(_),
                        ..
                    },
                ),
                _,
            ) => {
                selection.unselectable.insert(path, Unselectable::IsGroup);
                continue;
            }
            // What was enabled here is known by its id, wherever it is now.
            (Some(Resolution::NotFound) | None, None) => Err(recorded().find_map(|(id, _)| {
                let candidate = selection.candidates.get(id)?;
                Some((*id, candidate.path.clone()))
            })),
        };
        let id = match found {
            Ok(id) => id,
            Err(Some((id, to))) => {
                let doomed = selection
                    .candidates
                    .get(&id)
                    .is_some_and(|candidate| candidate.pending_deletion);
                let why = if doomed {
                    Unselectable::PendingDeletion
                } else {
                    Unselectable::Moved { to }
                };
                selection.meant.insert(id);
                selection.unselectable.insert(path, why);
                continue;
            }
            Err(None) => {
                selection.unselectable.insert(path, Unselectable::NotFound);
                continue;
            }
        };
        let candidate = selection.candidates.get(&id);
        selection.meant.insert(id);
        if candidate.is_some_and(|candidate| candidate.pending_deletion) && !is_enabled(inputs, id) {
            selection.unselectable.insert(path, Unselectable::PendingDeletion);
            continue;
        }
        let displaced: Vec<ProjectId> = recorded().map(|(id, _)| *id).filter(|other| *other != id).collect();
        let instead_of = displaced.first().map(|id| Displaced {
            id: *id,
            now: selection.candidates.get(id).map(|candidate| candidate.path.clone()),
        });
        selection.meant.extend(displaced);
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
                instead_of,
            },
        );
    }
}

/// Holds `except` against the world, as `enable` is. A group's path without `/**` would exclude nothing, and was meant to
/// exclude what is in the group: an error, and until it is mended nothing in it is enabled.
fn exceptions(inputs: &Inputs<'_>, builder: &mut PlanBuilder, selection: &mut Selection<'_>) {
    let repositories = &inputs.desired.repositories;
    let enabled_by = |path: &FullPath| repositories.enable.iter().any(|pattern| pattern.matches(path));
    for pattern in &repositories.except {
        let mut paths = selection.candidates.values().map(|candidate| candidate.path);
        let literals = repositories.enable.iter().filter_map(PathPattern::literal);
        if paths
            .clone()
            .chain(literals)
            .any(|path| pattern.matches(path) && enabled_by(path))
        {
            continue;
        }
        let group = pattern.literal().filter(|group| paths.any(|path| group.contains(path)));
        let Some(group) = group else {
            builder.warn(
                WarningCode::PatternMatchesNothing,
                None,
                format!(
                    "`{}` in repositories.except takes nothing out of what repositories.enable selects",
                    pattern.as_str()
                ),
            );
            continue;
        };
        let within: Vec<ProjectId> = selection
            .selected
            .iter()
            .filter(|(id, selected)| group.contains(&selected.path) && !is_enabled(inputs, **id))
            .map(|(id, _)| *id)
            .collect();
        for id in within {
            selection.selected.remove(&id);
            selection.meant.insert(id);
        }
        selection.unselectable.insert(group.clone(), Unselectable::ExceptsGroup);
    }
}

/// Groups whose paths in the file are former ones: those of memberships, which are known by their ids, and those that
/// everything enabled has left for one and the same place.
fn moved_groups(inputs: &Inputs<'_>, candidates: &BTreeMap<ProjectId, Candidate<'_>>) -> BTreeMap<FullPath, FullPath> {
    let repositories = &inputs.desired.repositories;
    let mut moved = BTreeMap::new();
    for (path, resolution) in &inputs.observed.gitlab.namespaces {
        let named = |prefix: Option<FullPath>| prefix.is_some_and(|prefix| prefix == *path || path.contains(&prefix));
        if let Resolution::Moved {
            source: SourceKind::Group(_),
            to,
        } = resolution
            && repositories.globs().any(|glob| named(glob.group_prefix()))
        {
            moved.insert(path.clone(), to.clone());
        }
    }
    for (id, recorded) in &inputs.recorded.repositories {
        let Some(now) = candidates.get(id).map(|candidate| candidate.path) else {
            continue;
        };
        let by_glob = repositories.globs().any(|glob| glob.matches(&recorded.path));
        if !by_glob || repositories.is_excepted(&recorded.path) || repositories.selects(now) {
            continue;
        }
        let Some((from, to)) = left(&recorded.path, now) else {
            continue;
        };
        let known = moved.keys().any(|group| *group == from || group.contains(&from));
        if !known && !candidates.values().any(|candidate| from.contains(candidate.path)) {
            moved.insert(from, to);
        }
    }
    moved
}

/// The group that a project left and the one that it is in now, as far up as both differ.
fn left(before: &FullPath, now: &FullPath) -> Option<(FullPath, FullPath)> {
    let last = |path: &FullPath| path.as_str().rsplit('/').next().map(str::to_lowercase);
    let (mut from, mut to) = (before.clone(), now.clone());
    while from != to && last(&from) == last(&to) {
        (from, to) = (from.parent()?, to.parent()?);
    }
    (from != *before && from != to).then_some((from, to))
}

fn warn_of_state(builder: &mut PlanBuilder, path: &FullPath, candidate: &Candidate<'_>) {
    let address = Some(Address::Repository(path.clone()));
    if candidate.pending_deletion {
        builder.warn(
            WarningCode::RepositoryPendingDeletion,
            address,
            format!("`{path}` is listed and waits for deletion in GitLab"),
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
                instead_of: None,
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
