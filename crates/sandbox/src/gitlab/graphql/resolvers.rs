//! What the fields of `schema.graphql` hold. The engine asks for declared fields only, with arguments of the declared
//! types, and refuses a value that is not of the declared type.

#![expect(
    clippy::unnecessary_wraps,
    reason = "each arm of a type's fields gives what `Resolved` says"
)]

use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use apollo_compiler::response::{JsonMap, JsonValue};
use base64::Engine as _;
use serde_json::json;

use super::complexity::PAGE;
use crate::gitlab::access::Roles;
use crate::gitlab::entities;
use crate::world::{Group, Project, User, World};

/// The most full paths that `projects` takes (`app/graphql/resolvers/projects_resolver.rb`).
const MOST_PATHS: usize = 50;

/// What a query is answered from: the object at its root.
pub(super) struct Context<'w> {
    pub(super) world: &'w World,
    pub(super) roles: Roles,
    pub(super) caller: Option<u64>,
    pub(super) base: &'w str,
    /// The complexity of the query, and the most that it may be.
    pub(super) score: usize,
    pub(super) limit: usize,
}

/// An object below the root.
struct Object<'w> {
    context: &'w Context<'w>,
    kind: Kind<'w>,
}

#[derive(Clone)]
enum Kind<'w> {
    Metadata,
    QueryComplexity,
    CurrentUser(&'w User),
    Project(&'w Project),
    Group(&'w Group),
    Namespace(Namespace<'w>),
    /// The caller's role in a project.
    AccessLevel(u32),
    Projects(Page<'w>),
    ProjectEdge(&'w Project),
    PageInfo(Page<'w>),
}

#[derive(Clone, Copy)]
enum Namespace<'w> {
    Group(&'w Group),
    User(&'w User),
}

/// A part of a list.
#[derive(Clone)]
struct Page<'w> {
    rows: Vec<&'w Project>,
    next: bool,
    previous: bool,
    /// Rows of the whole list.
    count: usize,
}

type Resolved<'w> = Result<ResolvedValue<'w>, FieldError>;

impl ObjectValue for Context<'_> {
    fn type_name(&self) -> &'static str {
        "Query"
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        let path = || text(info.arguments(), "fullPath").unwrap_or_default();
        match info.field_name() {
            "currentUser" => self.maybe(self.caller.and_then(|id| self.world.user(id)).map(Kind::CurrentUser)),
            "metadata" => self.maybe(self.caller.map(|_| Kind::Metadata)),
            "queryComplexity" => self.one(Kind::QueryComplexity),
            // Old paths of moved projects are not followed here, unlike in REST.
            "project" => self.maybe(
                self.world
                    .project_at(path())
                    .filter(|project| self.roles.sees_project(project))
                    .map(Kind::Project),
            ),
            "group" => self.maybe(self.group_at(path()).map(Kind::Group)),
            "namespace" => {
                let group = self.group_at(path()).map(Namespace::Group);
                let user = || self.world.user_named(path()).map(Namespace::User);
                self.maybe(group.or_else(user).map(Kind::Namespace))
            }
            "projects" => self.projects(info.arguments()),
            _ => Err(self.unknown_field_error(info)),
        }
    }
}

impl<'w> Context<'w> {
    fn one(&'w self, kind: Kind<'w>) -> Resolved<'w> {
        Ok(ResolvedValue::object(Object { context: self, kind }))
    }

    fn maybe(&'w self, kind: Option<Kind<'w>>) -> Resolved<'w> {
        Ok(ResolvedValue::nullable_object(
            kind.map(|kind| Object { context: self, kind }),
        ))
    }

    fn group_at(&self, path: &str) -> Option<&'w Group> {
        self.world.group_at(path).filter(|group| self.roles.sees_group(group))
    }

    /// The groups above, the nearest first.
    fn above(&self, mut group_id: Option<u64>) -> impl Iterator<Item = &'w Group> {
        let world = self.world;
        std::iter::from_fn(move || {
            let group = world.group(group_id?)?;
            group_id = group.parent_id;
            Some(group)
        })
    }

    fn marked(&self, project: &Project) -> bool {
        project.marked_for_deletion_on.is_some()
            || self
                .above(project.group_id)
                .any(|group| group.marked_for_deletion_on.is_some())
    }

    fn projects(&'w self, arguments: &JsonMap) -> Resolved<'w> {
        let paths = texts(arguments, "fullPaths");
        if paths.as_ref().is_some_and(|paths| paths.len() > MOST_PATHS) {
            return fault(&format!("You cannot query more than {MOST_PATHS} full_paths at once."));
        }
        let ids: Option<Vec<Option<u64>>> =
            texts(arguments, "ids").map(|ids| ids.into_iter().map(|gid| gid_of(gid, "Project")).collect());
        let truth = |name: &str| arguments.get(name).and_then(JsonValue::as_bool);
        let search = text(arguments, "search").map(str::to_lowercase);
        let within = truth("searchNamespaces") == Some(true);
        let least = text(arguments, "minAccessLevel").and_then(level_of);
        let below = text(arguments, "namespacePath");
        let topics = texts(arguments, "topics").is_some_and(|topics| !topics.is_empty());
        let matches = |project: &Project| {
            let found = search.as_deref().is_none_or(|text| {
                let place = if within {
                    project.full_path.as_str()
                } else {
                    project.path()
                };
                project.name.to_lowercase().contains(text) || place.to_lowercase().contains(text)
            });
            let own = project.owner_id.is_some() && project.owner_id == self.caller;
            let marked = self.marked(project);
            found
                && paths
                    .as_ref()
                    .is_none_or(|paths| paths.iter().any(|path| path.eq_ignore_ascii_case(&project.full_path)))
                && ids.as_ref().is_none_or(|ids| ids.contains(&Some(project.id)))
                && (truth("membership") != Some(true) || self.roles.in_project(project) > 0)
                && (truth("personal") != Some(true) || own)
                && least.is_none_or(|least| self.roles.in_project(project) >= least)
                && below.is_none_or(|path| path.eq_ignore_ascii_case(project.namespace_path()))
                && match text(arguments, "archived") {
                    Some("ONLY") => project.archived,
                    Some("EXCLUDE") => !project.archived,
                    _ => true,
                }
                && (truth("aimedForDeletion") != Some(true) || marked)
                && (truth("notAimedForDeletion") != Some(true) || !marked)
                && truth("active").is_none_or(|active| active != (project.archived || marked))
                && text(arguments, "markedForDeletionOn")
                    .is_none_or(|day| project.marked_for_deletion_on.as_deref() == Some(day))
                && text(arguments, "visibilityLevel").is_none_or(|word| word == project.visibility.word())
                // No project here has a topic.
                && !topics
        };
        let seen = self
            .world
            .projects
            .iter()
            .filter(|project| self.roles.sees_project(project) && matches(project));
        let mut rows: Vec<&Project> = seen.collect();
        let sort = text(arguments, "sort").unwrap_or_default().to_lowercase();
        if sort.starts_with("name_") {
            rows.sort_by(|one, other| one.name.cmp(&other.name).then(one.id.cmp(&other.id)));
        } else {
            rows.sort_by_key(|project| project.id);
        }
        if !sort.ends_with("_asc") {
            rows.reverse();
        }
        self.page(rows, arguments)
    }

    /// A page of a list by `first`, `last`, `after`, `before`.
    fn page(&'w self, mut rows: Vec<&'w Project>, arguments: &JsonMap) -> Resolved<'w> {
        let count = rows.len();
        let (mut previous, mut next) = (false, false);
        let place = |rows: &[&Project], name: &str| match text(arguments, name) {
            None => Ok(None),
            Some(sought) => rows
                .iter()
                .position(|row| cursor(row) == sought)
                .map(Some)
                .ok_or_else(|| FieldError {
                    message: "Please provide a valid cursor".to_owned(),
                }),
        };
        if let Some(index) = place(&rows, "after")? {
            rows.drain(..=index);
            previous = true;
        }
        if let Some(index) = place(&rows, "before")? {
            rows.truncate(index);
            next = true;
        }
        let size = |name: &str| {
            let asked = arguments.get(name).and_then(JsonValue::as_u64);
            asked.map(|asked| usize::try_from(asked).unwrap_or(PAGE).min(PAGE))
        };
        if let Some(last) = size("last") {
            let skipped = rows.len().saturating_sub(last);
            previous = previous || skipped > 0;
            rows.drain(..skipped);
        } else {
            let first = size("first").unwrap_or(PAGE);
            next = next || rows.len() > first;
            rows.truncate(first);
        }
        self.one(Kind::Projects(Page {
            rows,
            next,
            previous,
            count,
        }))
    }

    fn namespace_of(&self, project: &Project) -> Option<Namespace<'w>> {
        let group = project
            .group_id
            .and_then(|id| self.world.group(id))
            .map(Namespace::Group);
        group.or_else(|| project.owner_id.and_then(|id| self.world.user(id)).map(Namespace::User))
    }
}

impl ObjectValue for Object<'_> {
    fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Metadata => "Metadata",
            Kind::QueryComplexity => "QueryComplexity",
            Kind::CurrentUser(_) => "CurrentUser",
            Kind::Project(_) => "Project",
            Kind::Group(_) => "Group",
            Kind::Namespace(_) => "Namespace",
            Kind::AccessLevel(_) => "AccessLevel",
            Kind::Projects(_) => "ProjectConnection",
            Kind::ProjectEdge(_) => "ProjectEdge",
            Kind::PageInfo(_) => "PageInfo",
        }
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        let context = self.context;
        let version = &context.world.switches.gitlab_version;
        match (&self.kind, info.field_name()) {
            (Kind::Metadata, "version") => leaf(version),
            (Kind::Metadata, "revision") => leaf("5a2bcd3ef41"),
            (Kind::Metadata, "enterprise") => leaf(version.ends_with("-ee")),
            (Kind::QueryComplexity, "score") => leaf(context.score),
            (Kind::QueryComplexity, "limit") => leaf(context.limit),
            (Kind::CurrentUser(user), "id") => leaf(format!("gid://gitlab/User/{}", user.id)),
            (Kind::CurrentUser(user), "username") => leaf(&user.username),
            (Kind::CurrentUser(user), "name") => leaf(&user.name),
            (Kind::AccessLevel(level), "integerValue") => leaf(level),
            (Kind::AccessLevel(level), "stringValue") => leaf(level_named(*level).map(|(_, word, _)| word)),
            (Kind::AccessLevel(level), "humanAccess") => leaf(level_named(*level).and_then(|(_, _, people)| people)),
            (Kind::Projects(page), "count") => leaf(page.count),
            (Kind::Projects(page), "pageInfo") => context.one(Kind::PageInfo(page.clone())),
            (Kind::Projects(page), "nodes") => Ok(context.list(&page.rows, Kind::Project)),
            (Kind::Projects(page), "edges") => Ok(context.list(&page.rows, Kind::ProjectEdge)),
            (Kind::ProjectEdge(project), "cursor") => leaf(cursor(project)),
            (Kind::ProjectEdge(project), "node") => context.one(Kind::Project(project)),
            (Kind::PageInfo(page), "hasNextPage") => leaf(page.next),
            (Kind::PageInfo(page), "hasPreviousPage") => leaf(page.previous),
            (Kind::PageInfo(page), "startCursor") => leaf(page.rows.first().map(|row| cursor(row))),
            (Kind::PageInfo(page), "endCursor") => leaf(page.rows.last().map(|row| cursor(row))),
            (Kind::Project(project), name) => context.of_project(project, name, || self.unknown_field_error(info)),
            (Kind::Group(group), name) => context.of_group(group, name, || self.unknown_field_error(info)),
            (Kind::Namespace(namespace), name) => {
                context.of_namespace(*namespace, name, || self.unknown_field_error(info))
            }
            _ => Err(self.unknown_field_error(info)),
        }
    }
}

impl<'w> Context<'w> {
    fn list(&'w self, rows: &[&'w Project], kind: fn(&'w Project) -> Kind<'w>) -> ResolvedValue<'w> {
        let objects: Vec<ResolvedValue<'w>> = rows
            .iter()
            .map(|row| {
                ResolvedValue::object(Object {
                    context: self,
                    kind: kind(row),
                })
            })
            .collect();
        ResolvedValue::list(objects)
    }

    fn of_project(&'w self, project: &'w Project, name: &str, unknown: impl Fn() -> FieldError) -> Resolved<'w> {
        match name {
            "id" => leaf(format!("gid://gitlab/Project/{}", project.id)),
            "fullPath" => leaf(&project.full_path),
            "path" => leaf(project.path()),
            "name" => leaf(&project.name),
            "nameWithNamespace" => {
                let spaced = entities::spaced_name(self.world, project.group_id, project.namespace_path());
                leaf(format!("{spaced} / {}", project.name))
            }
            "visibility" => leaf(project.visibility.word()),
            "archived" | "isSelfArchived" => leaf(project.archived),
            "isSelfDeletionInProgress" => leaf(false),
            "isSelfDeletionScheduled" => leaf(project.marked_for_deletion_on.is_some()),
            "markedForDeletion" => leaf(self.marked(project)),
            "markedForDeletionOn" => leaf(&project.marked_for_deletion_on),
            "maxAccessLevel" => self.one(Kind::AccessLevel(self.roles.in_project(project))),
            "group" => self.maybe(project.group_id.and_then(|id| self.world.group(id)).map(Kind::Group)),
            "namespace" => self.maybe(self.namespace_of(project).map(Kind::Namespace)),
            "webUrl" => leaf(format!("{}/{}", self.base, project.full_path)),
            _ => Err(unknown()),
        }
    }

    fn of_group(&self, group: &Group, name: &str, unknown: impl Fn() -> FieldError) -> Resolved<'w> {
        match name {
            "webUrl" => leaf(format!("{}/groups/{}", self.base, group.full_path)),
            _ => self.of_namespace(Namespace::Group(group), name, unknown),
        }
    }

    fn of_namespace(&self, namespace: Namespace<'_>, name: &str, unknown: impl Fn() -> FieldError) -> Resolved<'w> {
        match (namespace, name) {
            (Namespace::Group(group), "id") => leaf(format!("gid://gitlab/Group/{}", group.id)),
            (Namespace::Group(group), "name") => leaf(&group.name),
            (Namespace::Group(group), "path") => leaf(group.path()),
            (Namespace::Group(group), "fullPath") => leaf(&group.full_path),
            (Namespace::Group(group), "fullName") => {
                leaf(entities::spaced_name(self.world, Some(group.id), &group.full_path))
            }
            (Namespace::Group(group), "visibility") => leaf(group.visibility.word()),
            (Namespace::User(user), "id") => leaf(format!(
                "gid://gitlab/Namespaces::UserNamespace/{}",
                entities::user_namespace_id(user)
            )),
            (Namespace::User(user), "name" | "fullName") => leaf(&user.name),
            (Namespace::User(user), "path" | "fullPath") => leaf(&user.username),
            (Namespace::User(_), "visibility") => leaf("public"),
            _ => Err(unknown()),
        }
    }
}

/// Roles by number, in the words of the API and of the pages.
const LEVELS: [(u32, &str, Option<&str>); 9] = [
    (0, "NO_ACCESS", None),
    (5, "MINIMAL_ACCESS", Some("Minimal Access")),
    (10, "GUEST", Some("Guest")),
    (15, "PLANNER", Some("Planner")),
    (20, "REPORTER", Some("Reporter")),
    (25, "SECURITY_MANAGER", Some("Security Manager")),
    (30, "DEVELOPER", Some("Developer")),
    (40, "MAINTAINER", Some("Maintainer")),
    (50, "OWNER", Some("Owner")),
];

fn level_named(level: u32) -> Option<(u32, &'static str, Option<&'static str>)> {
    LEVELS.into_iter().find(|(number, ..)| *number == level)
}

fn level_of(word: &str) -> Option<u32> {
    LEVELS
        .iter()
        .find(|(_, name, _)| *name == word)
        .map(|(number, ..)| *number)
}

/// The cursor of a row: its id, encoded, as GitLab's keyset connections give it.
fn cursor(project: &Project) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{{\"id\":\"{}\"}}", project.id))
}

fn leaf<'w>(value: impl serde::Serialize) -> Resolved<'w> {
    Ok(ResolvedValue::leaf(json!(value)))
}

fn fault<'w>(message: &str) -> Resolved<'w> {
    Err(FieldError {
        message: message.to_owned(),
    })
}

fn text<'a>(arguments: &'a JsonMap, name: &str) -> Option<&'a str> {
    arguments.get(name).and_then(JsonValue::as_str)
}

fn texts<'a>(arguments: &'a JsonMap, name: &str) -> Option<Vec<&'a str>> {
    let list = arguments.get(name)?.as_array()?;
    Some(list.iter().filter_map(JsonValue::as_str).collect())
}

/// The number in `gid://gitlab/KIND/NUMBER`.
fn gid_of(gid: &str, kind: &str) -> Option<u64> {
    gid.strip_prefix("gid://gitlab/")?
        .strip_prefix(kind)?
        .strip_prefix('/')?
        .parse()
        .ok()
}
