//! GitLab's API read: [`GitlabRead`] in as few requests as its questions need.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures_util::future::try_join_all;

use super::api::{GitlabApi, all_members};
use super::errors::is_absent;
use super::graphql::{Found, GROUPS, PROJECTS};
use super::members::Member;
use super::pages::offset;
use super::settings::InstanceSettings;
use super::version::{is_new_enough, parse_version, too_old};
use super::{Below, GitlabInspect as _, GitlabRead, Membership, OwnUser, ResolvedPaths, wire};
use crate::http::{Error, ErrorKind, Response, Result, StatusCode};
use crate::model::{
    ApplicationUid, Caseless, FullPath, GitlabVersion, GroupId, Known, NamespaceKind, ObservedApplication,
    ObservedMembership, ObservedProject, ObservedUser, ProjectId, Resolution, Role, SourceKind, TermsVersion, UserId,
};
use crate::secrets::{RemoteText, Secret};

/// The largest list of applications, in bytes. It comes in one piece, and where clients register themselves it has them
/// by the ten thousand.
const APPLICATIONS_LIMIT: usize = 64 * 1024 * 1024;

#[async_trait]
impl GitlabRead for GitlabApi {
    async fn version(&self) -> Result<GitlabVersion> {
        let answer = self.client.send(self.get(&["metadata"])).await?;
        // GitLab's own 404, not that of a server that knows nothing of its API.
        if answer.status() == StatusCode::NOT_FOUND && answer.said().text.is_some() && !answer.is_html() {
            return Err(too_old(&answer, "older than 15.2"));
        }
        let answer = answer.success()?;
        let metadata: wire::Metadata = answer.json()?;
        let version = parse_version(&metadata.version).ok_or_else(|| {
            let shown = RemoteText::within(&metadata.version, 40);
            answer.unexpected(format!("GitLab says that its version is `{shown}`, which is none"))
        })?;
        if !is_new_enough(&version.text) {
            return Err(too_old(&answer, &version.text));
        }
        Ok(version)
    }

    async fn own_user(&self) -> Result<OwnUser> {
        let user: wire::User = self.client.json(self.get(&["user"])).await?;
        Ok(OwnUser {
            id: UserId(user.id),
            username: user.username,
            is_admin: user.is_admin.unwrap_or(false),
        })
    }

    async fn applications(&self) -> Result<Vec<ObservedApplication>> {
        let request = self.get(&["applications"]).limit(APPLICATIONS_LIMIT);
        let rows: Vec<wire::Application> = self.client.json(request).await?;
        Ok(rows.into_iter().map(wire::Application::observed).collect())
    }

    async fn user(&self, username: &str) -> Result<Option<ObservedUser>> {
        let (answer, user) = self.user_row(username).await?;
        user.map(|user| user.observed().ok_or_else(|| no_administrator(&answer)))
            .transpose()
    }

    async fn user_with_email(&self, email: &str) -> Result<Option<String>> {
        let request = self.get(&["users"]).query([("search", email), ("per_page", "100")]);
        let rows: Vec<wire::User> = self.client.json(request).await?;
        let email = Caseless::from(email);
        let is_it = |known: &str| Caseless::from(known) == email;
        if let Some(user) = rows.iter().find(|user| user.email.as_deref().is_some_and(is_it)) {
            return Ok(Some(user.username.clone()));
        }
        // Whom the search finds for another reason may have it as a secondary address, which is taken, too.
        let secondary = try_join_all(rows.iter().map(|user| {
            let request = self.get(&["users", &user.id.to_string(), "emails"]);
            offset::<wire::Email>(&self.client, request)
        }));
        let holder = rows
            .iter()
            .zip(secondary.await?)
            .find(|(_, addresses)| addresses.iter().any(|address| is_it(&address.email)));
        Ok(holder.map(|(user, _)| user.username.clone()))
    }

    async fn namespace_holder(&self, name: &str) -> Result<Option<NamespaceKind>> {
        let found: Option<wire::Namespace> = self.find(self.get(&["namespaces", name])).await?;
        // A name of digits alone is taken as an id.
        let same = found.filter(|namespace| namespace.full_path == FullPath::new(name));
        Ok(same.map(|namespace| namespace.kind()))
    }

    async fn memberships(&self, user: UserId) -> Result<Vec<ObservedMembership>> {
        // Without `type` the list has requests for access, too, and nothing tells them apart.
        let lists = try_join_all(["Project", "Namespace"].map(|kind| {
            let request = self.get(&["users", &user.to_string(), "memberships"]);
            offset::<wire::Membership>(&self.client, request.query([("type", kind)]))
        }));
        let rows = lists.await?.into_iter().flatten();
        Ok(rows.map(wire::Membership::observed).collect())
    }

    async fn membership(&self, source: SourceKind, user: UserId) -> Result<Option<Membership>> {
        Ok(self.member(source, user).await?.and_then(Member::live))
    }

    async fn path_of(&self, source: SourceKind) -> Result<Option<FullPath>> {
        let id = match source {
            SourceKind::Project(id) => id,
            SourceKind::Group(id) => return Ok(self.group(id).await?.map(|group| group.full_path)),
        };
        let found: Option<wire::Project> = self.find(self.get(&["projects", &id.to_string()])).await?;
        Ok(found.map(|project| project.observed().path))
    }

    async fn resolve(&self, paths: &BTreeSet<FullPath>) -> Result<ResolvedPaths> {
        let found = self.look_up_all(paths).await?;
        let mut resolved = ResolvedPaths::default();
        let by_path: BTreeMap<&FullPath, &ObservedProject> =
            found.projects.iter().map(|project| (&project.path, project)).collect();
        let mut lost = Vec::new();
        for path in paths {
            let source = by_path
                .get(path)
                .map(|project| SourceKind::Project(project.id))
                .or_else(|| found.groups.get(path).copied().map(SourceKind::Group));
            match source {
                Some(source) => drop(resolved.paths.insert(path.clone(), Resolution::Found(source))),
                None => lost.push(path),
            }
        }
        for (path, (resolution, project)) in lost
            .iter()
            .zip(try_join_all(lost.iter().map(|path| self.trace(path))).await?)
        {
            resolved.paths.insert((*path).clone(), resolution);
            resolved.projects.extend(project);
        }
        resolved.projects.extend(found.projects);
        resolved.projects.sort_by_key(|project| project.id);
        resolved.projects.dedup_by_key(|project| project.id);
        Ok(resolved)
    }

    async fn projects_by_id(&self, ids: &BTreeSet<ProjectId>) -> Result<Vec<ObservedProject>> {
        self.look_up_ids(ids).await
    }

    async fn role(&self, user: UserId, source: SourceKind) -> Result<Option<Role>> {
        let member = self.member_in(&all_members(source, user)).await?;
        Ok(member.and_then(Member::live).map(|membership| membership.fields.role))
    }

    async fn accounts_are_external(&self) -> Result<Known<bool>> {
        let settings = self.settings_if_shown().await?;
        Ok(settings.map_or(Known::Unknown, |settings| Known::Known(settings.user_default_external)))
    }

    async fn terms(&self) -> Result<Known<Option<TermsVersion>>> {
        let settings = self.settings_if_shown().await?;
        Ok(settings.map_or(Known::Unknown, |settings| settings.terms_in_force()))
    }

    async fn enforcing_groups(&self, paths: &BTreeSet<FullPath>) -> Result<BTreeSet<FullPath>> {
        let groups = self.groups_around(paths).await?;
        let enforcing = groups
            .into_iter()
            .filter(|group| group.require_two_factor_authentication);
        Ok(enforcing.map(|group| group.full_path).collect())
    }

    async fn projects(&self, below: Option<&Below<'_>>) -> Result<Vec<ObservedProject>> {
        match below {
            Some(group) => self.projects_below(group).await,
            None => self.all_projects(None).await,
        }
    }

    async fn supported_scopes(&self) -> Result<Known<BTreeSet<String>>> {
        let request = self.client.get(&[".well-known", "openid-configuration"]).anonymous();
        let answer = self.client.send(request).await?;
        // Nothing depends on it, so an instance that hides it is no error.
        if !answer.status().is_success() {
            return Ok(Known::Unknown);
        }
        Ok(answer
            .json::<wire::Discovery>()
            .ok()
            .and_then(|discovery| discovery.scopes_supported)
            .into())
    }

    async fn accepts_secret(&self, application: &ApplicationUid, secret: &Secret) -> Result<bool> {
        let answer = self.client.send(self.introspection(application, secret)).await?;
        if answer.status() == StatusCode::UNAUTHORIZED
            && answer.said().code.is_some_and(|code| code.as_str() == "invalid_client")
        {
            return Ok(false);
        }
        answer.success()?.json::<wire::Introspection>().map(|_| true)
    }
}

impl GitlabApi {
    /// The account of a username as the list of users has it, and that list.
    pub(super) async fn user_row(&self, username: &str) -> Result<(Response, Option<wire::User>)> {
        let request = self.get(&["users"]).query([("username", username)]);
        let answer = self.client.call(request).await?;
        let rows: Vec<wire::User> = answer.json()?;
        let row = rows
            .into_iter()
            .find(|user| user.username.eq_ignore_ascii_case(username));
        Ok((answer, row))
    }

    /// All paths in batches, side by side. Up to a batch of paths is one request for both kinds; more are looked up as
    /// projects first, and what is left as groups.
    async fn look_up_all(&self, paths: &BTreeSet<FullPath>) -> Result<Found> {
        let is_project = |path: &&FullPath| path.parent().is_some();
        let all: Vec<&FullPath> = paths.iter().collect();
        if all.is_empty() {
            return Ok(Found::default());
        }
        let projects: Vec<_> = all.iter().copied().filter(is_project).collect();
        if all.len() <= GROUPS {
            return self.look_up(&projects, &all).await;
        }
        let mut found = Found::default();
        for part in try_join_all(projects.chunks(PROJECTS).map(|chunk| self.look_up(chunk, &[]))).await? {
            found.projects.extend(part.projects);
        }
        let known: BTreeSet<&FullPath> = found.projects.iter().map(|project| &project.path).collect();
        let rest: Vec<_> = all.into_iter().filter(|path| !known.contains(path)).collect();
        found.groups = self.groups_at(&rest).await?;
        Ok(found)
    }

    /// Those of the paths that are groups, in batches, side by side.
    pub(super) async fn groups_at(&self, paths: &[&FullPath]) -> Result<BTreeMap<FullPath, GroupId>> {
        let parts = try_join_all(paths.chunks(GROUPS).map(|chunk| self.look_up(&[], chunk))).await?;
        Ok(parts.into_iter().flat_map(|part| part.groups).collect())
    }

    /// The settings of the instance; none where the token may not see them.
    async fn settings_if_shown(&self) -> Result<Option<InstanceSettings>> {
        match self.settings().await {
            Ok(settings) => Ok(Some(settings)),
            Err(error) if error.kind == ErrorKind::Forbidden => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The groups at these paths, above them and below, each once.
    pub(super) async fn groups_around(&self, paths: &BTreeSet<FullPath>) -> Result<Vec<wire::Group>> {
        // What lies below another of them comes with that.
        let highest = |path: &&FullPath| path.ancestors().all(|above| !paths.contains(&above));
        let paths: BTreeSet<&FullPath> = paths.iter().filter(highest).collect();
        let above = paths
            .iter()
            .flat_map(|path| std::iter::successors(Some((*path).clone()), FullPath::parent));
        let asked: BTreeSet<FullPath> = above.collect();
        let ids = self.groups_at(&asked.iter().collect::<Vec<_>>()).await?;
        let there = try_join_all(ids.values().map(|id| self.group(*id)));
        let joined = ids.iter().filter(|(path, _)| paths.contains(path));
        let below = try_join_all(joined.map(|(_, id)| {
            let request = self.get(&["groups", &id.to_string(), "descendant_groups"]);
            offset::<wire::Group>(&self.client, request)
        }));
        let (there, below) = tokio::try_join!(there, below)?;
        Ok(there.into_iter().flatten().chain(below.into_iter().flatten()).collect())
    }

    async fn group(&self, id: GroupId) -> Result<Option<wire::Group>> {
        // Its projects would come with it.
        let request = self
            .get(&["groups", &id.to_string()])
            .query([("with_projects", "false")]);
        self.find(request).await
    }

    /// Where a path leads that GraphQL does not know, which follows no redirects: GitLab's REST API answers for a project that
    /// moved with a redirect to its id (since 16.7), or as if nothing had happened (before). Here alone a path stands in a URL.
    async fn trace(&self, path: &FullPath) -> Result<(Resolution, Option<ObservedProject>)> {
        if path.parent().is_none() {
            return Ok((Resolution::NotFound, None));
        }
        let answer = self.client.send(self.get(&["projects", path.as_str()])).await?;
        let answer = match moved_to(&answer) {
            // Only the id is taken from the redirect: its host may be another, and is never followed.
            Some(id) => self.client.send(self.get(&["projects", &id.to_string()])).await?,
            None => answer,
        };
        // Some proxies refuse a path whose slashes are encoded. GraphQL has said that nothing is there; only where it may have
        // moved to stays unknown.
        let is_refused = answer.is_html() && matches!(answer.status().as_u16(), 400 | 403 | 404);
        if is_absent(&answer) || is_refused {
            return Ok((Resolution::NotFound, None));
        }
        let project = answer.success()?.json::<wire::Project>()?.observed();
        let resolution = if project.path == *path {
            Resolution::Found(SourceKind::Project(project.id))
        } else {
            Resolution::Moved {
                source: SourceKind::Project(project.id),
                to: project.path.clone(),
            }
        };
        Ok((resolution, Some(project)))
    }
}

/// The project id that a redirect of GitLab's API leads to.
fn moved_to(answer: &Response) -> Option<ProjectId> {
    let location = answer.location()?;
    let mut segments = location.path_segments()?.rev();
    let id = segments.next()?.parse().ok()?;
    (segments.next() == Some("projects")).then_some(ProjectId(id))
}

fn no_administrator(answer: &Response) -> Error {
    answer
        .failed(
            ErrorKind::Forbidden,
            "GitLab does not show e-mail addresses to the owner of the token, who is no administrator",
        )
        .with_hint("give gitlab.token an administrator's token, with the scope admin_mode where Admin Mode is on")
}
