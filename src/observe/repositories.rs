//! The projects behind the repository selection: those of explicit paths that Factory's list does not answer, and the
//! candidates of globs where that list is not what the droid will see.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;

use crate::gitlab::{Below, GitlabRead, ResolvedPaths};
use crate::http::{ErrorKind, Result};
use crate::model::{
    Desired, FactoryRepository, FactorySource, FullPath, IntegrationStatus, Known as Seen, ObservedIntegration,
    ObservedProject, ProjectId, RecordedState, Resolution, SourceKind, Visibility,
};

use super::RepositoryList;
use super::account::Account;

/// What is known already.
pub(super) struct Known<'a> {
    pub(super) source: FactorySource,
    pub(super) list: &'a RepositoryList,
    pub(super) integration: Option<&'a ObservedIntegration>,
    pub(super) account: &'a Account,
    pub(super) recorded: &'a RecordedState,
    pub(super) namespaces: &'a BTreeMap<FullPath, Resolution>,
    /// See [`by_id`].
    pub(super) by_id: &'a [ObservedProject],
}

/// What GitLab shows of repositories.
#[derive(Debug, Default)]
pub(super) struct Repositories {
    pub(super) paths: BTreeMap<FullPath, Resolution>,
    pub(super) projects: BTreeMap<ProjectId, ObservedProject>,
    /// Groups above paths, where the droid is a member of groups that are not declared.
    pub(super) groups: BTreeMap<FullPath, Resolution>,
    /// See [`crate::model::ObservedGitlab::seen`].
    pub(super) seen: BTreeMap<ProjectId, bool>,
}

impl Known<'_> {
    /// Whether Factory's list is what the droid sees now.
    fn list_is_the_droids(&self) -> bool {
        let acts_as = self
            .integration
            .filter(|integration| integration.status == IntegrationStatus::Connected)
            .and_then(|integration| integration.user.as_ref());
        self.source == FactorySource::Live
            && !self.list.is_unknown()
            && acts_as.is_some_and(|acts_as| self.account.user.as_ref().is_some_and(|user| user.id == acts_as.id))
    }

    /// Declared groups in which the droid is no member yet: what is below them will come into its sight.
    fn new_groups(&self) -> impl Iterator<Item = &FullPath> {
        self.namespaces
            .iter()
            .filter_map(|(path, resolution)| match resolution {
                Resolution::Found(source @ SourceKind::Group(_)) if !self.is_member(*source) => Some(path),
                _ => None,
            })
    }

    /// Whether Factory has it enabled, as far as anybody says.
    fn is_enabled(&self, id: ProjectId) -> bool {
        let listed = self.list.as_ref().known().and_then(|list| list.get(&id));
        listed.is_some_and(|listed| listed.enabled)
    }

    /// Whether a membership that is there, or declared, shows the project.
    fn is_covered(&self, project: &ObservedProject) -> bool {
        let by_declared = self.namespaces.iter().any(|(path, resolution)| match resolution {
            Resolution::Found(SourceKind::Group(_)) => path.contains(&project.path),
            Resolution::Found(SourceKind::Project(id)) => *id == project.id,
            Resolution::Moved { .. } | Resolution::NotFound => false,
        });
        by_declared || self.is_member(SourceKind::Project(project.id))
    }

    fn is_member(&self, source: SourceKind) -> bool {
        self.account
            .memberships
            .iter()
            .any(|membership| membership.source == source)
    }

    /// Whether the droid is a member of groups that no declared path leads to.
    fn has_undeclared_groups(&self) -> bool {
        self.account.memberships.iter().any(|membership| {
            matches!(membership.source, SourceKind::Group(_))
                && !self
                    .namespaces
                    .values()
                    .any(|resolution| *resolution == Resolution::Found(membership.source))
        })
    }
}

/// The projects that are recorded under explicit paths, by their ids: where they are now, and whether they wait for
/// deletion.
pub(super) async fn by_id(
    gitlab: &dyn GitlabRead,
    desired: &Desired,
    recorded: &RecordedState,
) -> Result<Vec<ObservedProject>> {
    let explicit = desired.repositories.explicit();
    let ids: BTreeSet<ProjectId> = recorded
        .repositories
        .iter()
        .filter(|(_, recorded)| explicit.contains(&recorded.path))
        .map(|(id, _)| *id)
        .collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    gitlab.projects_by_id(&ids).await
}

/// Reads it.
pub(super) async fn read(gitlab: &dyn GitlabRead, desired: &Desired, known: &Known<'_>) -> Result<Repositories> {
    let explicit = unanswered(desired, known);
    let groups = groups_above(desired, known, &explicit);
    let regions = regions(desired, known);
    let (resolved, groups, found) = tokio::try_join!(
        resolve(gitlab, &explicit),
        resolve(gitlab, &groups),
        try_join_all(regions.iter().map(|region| projects(gitlab, region.as_ref(), known))),
    )?;
    let mut projects: BTreeMap<ProjectId, ObservedProject> = found
        .into_iter()
        .flatten()
        .chain(resolved.projects)
        .chain(known.by_id.iter().cloned())
        .map(|project| (project.id, project))
        .collect();
    let doubtful = doubtful(desired, known, &projects, &resolved.paths);
    if !doubtful.is_empty() {
        for mut project in gitlab.projects_by_id(&doubtful).await? {
            if let Some(before) = projects.get(&project.id) {
                project.invited_groups = before.invited_groups;
            }
            projects.insert(project.id, project);
        }
    }
    let seen = seen(gitlab, desired, known, &projects).await?;
    Ok(Repositories {
        paths: resolved.paths,
        projects,
        groups: groups.paths,
        seen,
    })
}

/// Projects that may be selected, and of which nobody has said yet whether they wait for deletion: Factory's list does not
/// say it, and GitLab's lists only of a project itself, not of the groups above it.
fn doubtful(
    desired: &Desired,
    known: &Known<'_>,
    projects: &BTreeMap<ProjectId, ObservedProject>,
    paths: &BTreeMap<FullPath, Resolution>,
) -> BTreeSet<ProjectId> {
    let certain = |id: ProjectId| {
        known.by_id.iter().any(|project| project.id == id)
            || paths
                .values()
                .any(|found| *found == Resolution::Found(SourceKind::Project(id)))
    };
    let explicit = desired.repositories.explicit();
    let would_be_enabled =
        |path: &FullPath, archived: bool| explicit.contains(path) || (!archived && desired.repositories.selects(path));
    let listed = known.list.as_ref().known().into_iter().flatten();
    let of_factory = listed
        .filter(|(_, one)| !one.enabled || explicit.contains(&one.path))
        .filter(|(_, one)| would_be_enabled(&one.path, one.archived))
        .map(|(id, _)| *id);
    let of_gitlab = projects
        .values()
        .filter(|one| !one.pending_deletion && !known.is_enabled(one.id) && would_be_enabled(&one.path, one.archived))
        .map(|one| one.id);
    let moved = paths.values().filter_map(|found| match found {
        Resolution::Moved {
            source: SourceKind::Project(id),
            ..
        } => Some(*id),
        Resolution::Moved { .. } | Resolution::Found(_) | Resolution::NotFound => None,
    });
    of_factory
        .chain(of_gitlab)
        .filter(|id| !certain(*id))
        .chain(moved)
        .collect()
}

/// Asks GitLab whether the droid sees what may be selected and what no list tells of: from the outermost groups inwards, and
/// project by project only where groups were invited into the project itself.
async fn seen(
    gitlab: &dyn GitlabRead,
    desired: &Desired,
    known: &Known<'_>,
    projects: &BTreeMap<ProjectId, ObservedProject>,
) -> Result<BTreeMap<ProjectId, bool>> {
    let account = known.account;
    // Who is a member of nothing was invited nowhere.
    let Some(user) = account.user.as_ref().filter(|_| !account.memberships.is_empty()) else {
        return Ok(BTreeMap::new());
    };
    if known.list_is_the_droids() {
        return Ok(BTreeMap::new());
    }
    let explicit = desired.repositories.explicit();
    let unknown: Vec<&ObservedProject> = projects
        .values()
        .filter(|project| {
            explicit.contains(&project.path) || (!project.archived && desired.repositories.selects(&project.path))
        })
        .filter(|project| !project.pending_deletion && !known.is_enabled(project.id))
        .filter(|project| match project.visibility {
            Visibility::Public => false,
            Visibility::Internal => user.external,
            Visibility::Private => true,
        })
        .filter(|project| !known.is_covered(project))
        .collect();
    let groups: BTreeSet<FullPath> = unknown
        .iter()
        .flat_map(|project| std::iter::successors(project.path.parent(), FullPath::parent))
        .collect();
    let groups = resolve(gitlab, &groups).await?.paths;
    let mut by_depth: BTreeMap<usize, Vec<(FullPath, SourceKind)>> = BTreeMap::new();
    for (path, found) in groups {
        if let Resolution::Found(source @ SourceKind::Group(_)) = found {
            let depth = path.as_str().matches('/').count();
            by_depth.entry(depth).or_default().push((path, source));
        }
    }
    let mut open: Vec<FullPath> = Vec::new();
    for groups in by_depth.into_values() {
        let asked: Vec<_> = groups
            .into_iter()
            .filter(|(path, _)| !open.iter().any(|group| group.contains(path)))
            .collect();
        let answers = try_join_all(asked.iter().map(|(_, source)| gitlab.sees(user.id, *source))).await?;
        let seen = asked.into_iter().zip(answers).filter(|(_, sees)| *sees);
        open.extend(seen.map(|((path, _), _)| path));
    }
    let answers = unknown.into_iter().map(async |project| {
        let sees = if open.iter().any(|group| group.contains(&project.path)) {
            true
        } else if project.invited_groups == Seen::Known(false) {
            false
        } else {
            gitlab.sees(user.id, SourceKind::Project(project.id)).await?
        };
        Ok::<_, crate::http::Error>((project.id, sees))
    });
    Ok(try_join_all(answers).await?.into_iter().collect())
}

async fn resolve(gitlab: &dyn GitlabRead, paths: &BTreeSet<FullPath>) -> Result<ResolvedPaths> {
    if paths.is_empty() {
        return Ok(ResolvedPaths::default());
    }
    gitlab.resolve(paths).await
}

/// A group that does not exist holds no projects.
async fn projects(
    gitlab: &dyn GitlabRead,
    below: Option<&FullPath>,
    known: &Known<'_>,
) -> Result<Vec<ObservedProject>> {
    let below = below.map(|path| Below {
        path,
        id: match known.namespaces.get(path) {
            Some(Resolution::Found(SourceKind::Group(id))) => Some(*id),
            _ => None,
        },
    });
    match gitlab.projects(below.as_ref()).await {
        Err(error) if error.kind == ErrorKind::NotFound && below.is_some() => Ok(Vec::new()),
        result => result,
    }
}

/// The explicit paths that Factory's list does not answer. What somebody else than the droid sees answers none, for it
/// does not say who else can see it.
fn unanswered(desired: &Desired, known: &Known<'_>) -> BTreeSet<FullPath> {
    let mut explicit = desired.repositories.explicit();
    for project in known.by_id {
        explicit.remove(&project.path);
    }
    if let Seen::Known(list) = known.list
        && (known.source == FactorySource::Attested || known.list_is_the_droids())
    {
        for repository in list.values() {
            explicit.remove(&repository.path);
        }
        explicit.extend(withdrawn(desired, known, list));
    }
    explicit
}

/// The listed repositories that would be enabled, and are below a membership of ours that is declared no longer: whether
/// they stay visible without it is for GitLab to say.
fn withdrawn(
    desired: &Desired,
    known: &Known<'_>,
    list: &BTreeMap<ProjectId, FactoryRepository>,
) -> impl Iterator<Item = FullPath> {
    let withdrawn: Vec<&FullPath> = known
        .recorded
        .memberships
        .keys()
        .filter(|path| !desired.memberships.contains_key(path))
        .collect();
    list.values()
        .filter(move |repository| {
            !repository.enabled
                && withdrawn.iter().any(|group| group.contains(&repository.path))
                && desired.repositories.selects(&repository.path)
        })
        .map(|repository| repository.path.clone())
}

/// The groups above declared memberships and unanswered paths, where a membership that is not declared may give the
/// droid what it needs already.
fn groups_above(desired: &Desired, known: &Known<'_>, explicit: &BTreeSet<FullPath>) -> BTreeSet<FullPath> {
    if !known.has_undeclared_groups() {
        return BTreeSet::new();
    }
    desired
        .memberships
        .keys()
        .chain(explicit)
        .flat_map(|path| std::iter::successors(path.parent(), FullPath::parent))
        .filter(|group| !known.namespaces.contains_key(group))
        .collect()
}

/// Where candidates of globs are read: below groups, or in the whole instance (`None`), none within another.
fn regions(desired: &Desired, known: &Known<'_>) -> Vec<Option<FullPath>> {
    let globs = desired.repositories.globs();
    let regions: BTreeSet<Option<FullPath>> = if known.list_is_the_droids() {
        let new: Vec<&FullPath> = known.new_groups().collect();
        globs
            .flat_map(|glob| {
                let prefix = glob.group_prefix();
                new.iter()
                    .filter_map(move |group| overlap(prefix.as_ref(), group))
                    .map(Some)
                    .collect::<Vec<_>>()
            })
            .collect()
    } else {
        globs.map(crate::model::PathPattern::group_prefix).collect()
    };
    if regions.contains(&None) {
        return vec![None];
    }
    let mut outermost: Vec<FullPath> = Vec::new();
    for region in regions.into_iter().flatten() {
        if !outermost.iter().any(|outer| outer.contains(&region)) {
            outermost.retain(|inner| !region.contains(inner));
            outermost.push(region);
        }
    }
    outermost.into_iter().map(Some).collect()
}

/// What a glob's prefix and a group have in common: the inner one of the two, if one is within the other.
fn overlap(prefix: Option<&FullPath>, group: &FullPath) -> Option<FullPath> {
    match prefix {
        Some(prefix) if group.contains(prefix) => Some(prefix.clone()),
        Some(prefix) if !prefix.contains(group) => None,
        _ => Some(group.clone()),
    }
}
