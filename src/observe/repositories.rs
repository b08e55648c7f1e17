//! The projects behind the repository selection: those of explicit paths that Factory's list does not answer, and the
//! candidates of globs where that list is not what the droid will see.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;

use crate::gitlab::{Below, GitlabRead, ResolvedPaths};
use crate::http::{ErrorKind, Result};
use crate::model::{
    Desired, FactoryRepository, FactorySource, FullPath, IntegrationStatus, Known as Seen, ObservedIntegration,
    ObservedProject, ProjectId, RecordedState, Resolution, Role, SourceKind,
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
    /// See [`crate::model::ObservedGitlab::roles`].
    pub(super) roles: BTreeMap<ProjectId, Option<Role>>,
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

    /// The highest role that memberships which are there, or declared, give in a project.
    fn role_in(&self, desired: &Desired, id: ProjectId, path: &FullPath) -> Option<Role> {
        let of_namespaces = self.namespaces.iter().filter_map(|(namespace, resolution)| {
            let (source, at) = match resolution {
                Resolution::Found(source) => (*source, namespace),
                Resolution::Moved { source, to } => (*source, to),
                Resolution::NotFound => return None,
            };
            let reaches = match source {
                SourceKind::Group(_) => at.contains(path),
                SourceKind::Project(project) => project == id,
            };
            let declared = desired.memberships.get(namespace).map(|declared| declared.role);
            reaches.then(|| declared.max(self.role_as_member(source))).flatten()
        });
        let direct = self.role_as_member(SourceKind::Project(id));
        of_namespaces.chain(direct).max()
    }

    fn role_as_member(&self, source: SourceKind) -> Option<Role> {
        let mut memberships = self.account.memberships.iter();
        memberships
            .find(|membership| membership.source == source)
            .map(|membership| membership.fields.role)
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
    let roles = roles(gitlab, desired, known, &projects).await?;
    Ok(Repositories {
        paths: resolved.paths,
        projects,
        groups: groups.paths,
        roles,
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

/// A project of which it has to be asked.
struct Asked<'a> {
    id: ProjectId,
    path: &'a FullPath,
    /// Whether groups were invited into the project itself.
    invited: Seen<bool>,
}

/// What may be selected or is enabled, and of which no membership that is there or declared says that the droid can work
/// there.
fn to_ask<'a>(
    desired: &Desired,
    known: &'a Known<'_>,
    projects: &'a BTreeMap<ProjectId, ObservedProject>,
) -> Vec<Asked<'a>> {
    let explicit = desired.repositories.explicit();
    let selects =
        |path: &FullPath, archived: bool| explicit.contains(path) || (!archived && desired.repositories.selects(path));
    let list = known.list.as_ref().known();
    // What is not on the droid's own list is out of its sight.
    let out_of_sight = |id: ProjectId| known.list_is_the_droids() && !list.is_some_and(|list| list.contains_key(&id));
    let of_gitlab = projects
        .values()
        .filter(|one| known.is_enabled(one.id) || (!one.pending_deletion && selects(&one.path, one.archived)))
        .filter(move |one| !out_of_sight(one.id))
        .map(|one| Asked {
            id: one.id,
            path: &one.path,
            invited: one.invited_groups,
        });
    let of_factory = list
        .into_iter()
        .flatten()
        .filter(|(id, one)| !projects.contains_key(id) && (one.enabled || selects(&one.path, one.archived)))
        .map(|(id, one)| Asked {
            id: *id,
            path: &one.path,
            invited: Seen::Unknown,
        });
    of_gitlab
        .chain(of_factory)
        .filter(|one| known.role_in(desired, one.id, one.path) < Some(Role::LEAST_OF_A_DROID))
        .collect()
}

/// Asks GitLab for the droid's role where no list tells of it: from the outermost groups inwards, until it is high enough,
/// and project by project only where groups may have been invited into the project itself.
async fn roles(
    gitlab: &dyn GitlabRead,
    desired: &Desired,
    known: &Known<'_>,
    projects: &BTreeMap<ProjectId, ObservedProject>,
) -> Result<BTreeMap<ProjectId, Option<Role>>> {
    let account = known.account;
    // Who is a member of nothing was invited nowhere.
    let Some(user) = account.user.as_ref().filter(|_| !account.memberships.is_empty()) else {
        return Ok(BTreeMap::new());
    };
    let asked = to_ask(desired, known, projects);
    let groups: BTreeSet<FullPath> = asked.iter().flat_map(|one| one.path.ancestors()).collect();
    let mut by_depth: BTreeMap<usize, Vec<(FullPath, SourceKind)>> = BTreeMap::new();
    for (path, found) in resolve(gitlab, &groups).await?.paths {
        if let Resolution::Found(source @ SourceKind::Group(_)) = found {
            let depth = path.as_str().matches('/').count();
            by_depth.entry(depth).or_default().push((path, source));
        }
    }
    let mut in_groups: BTreeMap<FullPath, Role> = BTreeMap::new();
    let above = |in_groups: &BTreeMap<FullPath, Role>, path: &FullPath| {
        let groups = path.ancestors();
        groups.filter_map(|group| in_groups.get(&group).copied()).max()
    };
    let is_enough = |role: Option<Role>| role >= Some(Role::LEAST_OF_A_DROID);
    for groups in by_depth.into_values() {
        let open: Vec<_> = groups
            .into_iter()
            .filter(|(path, _)| !is_enough(above(&in_groups, path)))
            .collect();
        let answers = open
            .iter()
            .map(async |(_, source)| match known.role_as_member(*source) {
                role if is_enough(role) => Ok(role),
                _ => gitlab.role(user.id, *source).await,
            });
        let told = open.iter().zip(try_join_all(answers).await?);
        in_groups.extend(told.filter_map(|((path, _), role)| Some((path.clone(), role?))));
    }
    let mut roles: BTreeMap<_, _> = asked.iter().map(|one| (one.id, above(&in_groups, one.path))).collect();
    let alone: Vec<_> = asked
        .iter()
        .filter(|one| one.invited != Seen::Known(false) && !is_enough(roles[&one.id]))
        .collect();
    let uninvited = uninvited(gitlab, known, &alone).await?;
    let alone = alone.into_iter().filter(|one| !uninvited.contains(&one.id));
    let answers = alone.map(async |one| {
        let role = gitlab.role(user.id, SourceKind::Project(one.id)).await?;
        Ok::<_, crate::http::Error>((one.id, role))
    });
    let told = try_join_all(answers).await?;
    roles.extend(told);
    Ok(roles)
}

/// Of many projects, the lists of the groups that hold them tell into which no group was invited, a hundred at a time.
async fn uninvited(gitlab: &dyn GitlabRead, known: &Known<'_>, alone: &[&Asked<'_>]) -> Result<BTreeSet<ProjectId>> {
    const FEW: usize = 100;
    let unsaid = alone.iter().filter(|one| one.invited.is_unknown());
    if unsaid.clone().count() <= FEW {
        return Ok(BTreeSet::new());
    }
    let groups = outermost(unsaid.filter_map(|one| one.path.parent()).collect());
    let lists = try_join_all(groups.iter().map(|group| projects(gitlab, Some(group), known))).await?;
    let listed = lists.into_iter().flatten();
    Ok(listed
        .filter(|one| one.invited_groups == Seen::Known(false))
        .map(|one| one.id)
        .collect())
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
        .flat_map(FullPath::ancestors)
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
    let regions = outermost(regions.into_iter().flatten().collect());
    regions.into_iter().map(Some).collect()
}

/// Those that are within no other.
fn outermost(groups: BTreeSet<FullPath>) -> Vec<FullPath> {
    let mut outermost: Vec<FullPath> = Vec::new();
    for group in groups {
        if !outermost.iter().any(|outer| outer.contains(&group)) {
            outermost.retain(|inner| !group.contains(inner));
            outermost.push(group);
        }
    }
    outermost
}

/// What a glob's prefix and a group have in common: the inner one of the two, if one is within the other.
fn overlap(prefix: Option<&FullPath>, group: &FullPath) -> Option<FullPath> {
    match prefix {
        Some(prefix) if group.contains(prefix) => Some(prefix.clone()),
        Some(prefix) if !prefix.contains(group) => None,
        _ => Some(group.clone()),
    }
}
