//! The projects behind the repository selection: those of explicit paths that Factory's list does not answer, and the
//! candidates of globs where that list is not what the droid will see.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;

use crate::gitlab::{Below, GitlabRead, ResolvedPaths};
use crate::http::{ErrorKind, Result};
use crate::model::{
    Desired, FactoryRepository, FactorySource, FullPath, IntegrationStatus, Known as Seen, ObservedIntegration,
    ObservedProject, ProjectId, RecordedState, Resolution, SourceKind,
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
}

/// What GitLab shows of repositories.
#[derive(Debug, Default)]
pub(super) struct Repositories {
    pub(super) paths: BTreeMap<FullPath, Resolution>,
    pub(super) projects: BTreeMap<ProjectId, ObservedProject>,
    /// Groups above paths, where the droid is a member of groups that are not declared.
    pub(super) groups: BTreeMap<FullPath, Resolution>,
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
    let projects = found
        .into_iter()
        .flatten()
        .chain(resolved.projects)
        .map(|project| (project.id, project))
        .collect();
    Ok(Repositories {
        paths: resolved.paths,
        projects,
        groups: groups.paths,
    })
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
