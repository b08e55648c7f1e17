//! The types that can be asked for, and their fields (GitLab: app/graphql/types/).

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::parser::{Fault, Field, Selection};
use crate::gitlab::access::Roles;
use crate::gitlab::auth::Caller;
use crate::gitlab::entities;
use crate::world::{Group, Project, User, World};

/// The most full paths that `projects` takes.
const MOST_PATHS: usize = 50;
/// The largest page.
const MOST_NODES: usize = 100;

/// What a query is answered from.
pub(super) struct Context<'w> {
    pub(super) world: &'w World,
    pub(super) roles: Roles,
    pub(super) caller: Option<Caller>,
    pub(super) base: &'w str,
}

/// An object whose fields can be asked for.
#[derive(Clone)]
pub(super) enum Object<'w> {
    Query,
    Metadata,
    User(&'w User),
    Project(&'w Project),
    Group(&'w Group),
    /// Access rights of the caller: to a project or to a group.
    MaxAccessLevel(u32),
    /// A page: of what type, its objects, and whether there are more after them.
    Connection(&'static str, Vec<Object<'w>>, Page),
    Edge(&'static str, Box<Object<'w>>),
    PageInfo(Page, Option<String>, Option<String>),
}

/// Where a page stands in its list.
#[derive(Clone, Copy)]
pub(super) struct Page {
    next: bool,
    previous: bool,
    count: usize,
}

type Found<'w> = Result<Selection<'w>, Fault>;

impl<'w> Context<'w> {
    /// A field of an object.
    pub(super) fn field(&self, object: &Object<'w>, field: &Field) -> Found<'w> {
        if field.name == "__typename" {
            return Ok(Selection::Value(json!(object.type_name())));
        }
        match object {
            Object::Query => self.query(field),
            Object::Metadata => self.metadata(field),
            Object::User(user) => self.user(user, field),
            Object::Project(project) => self.project(project, field),
            Object::Group(group) => self.group(group, field),
            Object::MaxAccessLevel(level) => access_level(*level, field),
            Object::Connection(kind, nodes, page) => connection(kind, nodes, *page, field),
            Object::Edge(kind, node) => match field.name.as_str() {
                "node" => Ok(Selection::One((**node).clone())),
                "cursor" => Ok(Selection::Value(json!(node.cursor()))),
                _ => unknown(&format!("{kind}Edge"), field),
            },
            Object::PageInfo(page, start, end) => match field.name.as_str() {
                "hasNextPage" => value(page.next),
                "hasPreviousPage" => value(page.previous),
                "startCursor" => value(start.clone()),
                "endCursor" => value(end.clone()),
                _ => unknown("PageInfo", field),
            },
        }
    }

    fn query(&self, field: &Field) -> Found<'w> {
        let arguments = &field.arguments;
        match field.name.as_str() {
            "currentUser" => {
                let user = self.caller.as_ref().and_then(|caller| self.world.user(caller.user_id));
                Ok(user.map_or(Selection::Nothing, |user| Selection::One(Object::User(user))))
            }
            "metadata" => Ok(match self.caller {
                Some(_) => Selection::One(Object::Metadata),
                None => Selection::Nothing,
            }),
            "user" => {
                let by_name = text(arguments, "username").and_then(|name| self.world.user_named(&name));
                let by_id = text(arguments, "id")
                    .and_then(|gid| gid_of(&gid, "User"))
                    .and_then(|id| self.world.user(id));
                Ok(or_null(by_name.or(by_id).map(Object::User)))
            }
            "users" => {
                let names = texts(arguments, "usernames");
                let users = self.world.users.iter().filter(|user| {
                    names
                        .as_ref()
                        .is_none_or(|names| names.iter().any(|name| name.eq_ignore_ascii_case(&user.username)))
                });
                self.page("UserCore", users.map(Object::User).collect(), arguments)
            }
            "project" => {
                let path = required(arguments, "fullPath", "project")?;
                Ok(or_null(self.project_at(&path).map(Object::Project)))
            }
            "group" => {
                let path = required(arguments, "fullPath", "group")?;
                let group = self.world.group_at(&path).filter(|group| self.roles.sees_group(group));
                Ok(or_null(group.map(Object::Group)))
            }
            "projects" => self.projects(arguments),
            "groups" => {
                let search = text(arguments, "search").map(|text| text.to_lowercase());
                let groups = self.world.groups.iter().filter(|group| {
                    self.roles.sees_group(group)
                        && search
                            .as_ref()
                            .is_none_or(|text| group.full_path.to_lowercase().contains(text))
                });
                self.page("Group", groups.map(Object::Group).collect(), arguments)
            }
            _ => unknown("Query", field),
        }
    }

    /// Old paths of moved projects are not followed here, unlike in REST.
    fn project_at(&self, path: &str) -> Option<&'w Project> {
        self.world
            .project_at(path)
            .filter(|project| self.roles.sees_project(project))
    }

    fn projects(&self, arguments: &Map<String, Value>) -> Found<'w> {
        let paths = texts(arguments, "fullPaths");
        if paths.as_ref().is_some_and(|paths| paths.len() > MOST_PATHS) {
            return Err(Fault::value(&format!(
                "You cannot query more than {MOST_PATHS} full_paths at once."
            )));
        }
        let ids: Option<Vec<u64>> =
            texts(arguments, "ids").map(|ids| ids.iter().filter_map(|gid| gid_of(gid, "Project")).collect());
        let member = arguments.get("membership") == Some(&Value::Bool(true));
        let search = text(arguments, "search").map(|text| text.to_lowercase());
        let archived = text(arguments, "archived");
        let mut rows: Vec<&'w Project> = self
            .world
            .projects
            .iter()
            .filter(|project| self.roles.sees_project(project))
            .filter(|project| {
                paths
                    .as_ref()
                    .is_none_or(|paths| paths.iter().any(|path| path.eq_ignore_ascii_case(&project.full_path)))
            })
            .filter(|project| ids.as_ref().is_none_or(|ids| ids.contains(&project.id)))
            .filter(|project| !member || self.roles.in_project(project) > 0)
            .filter(|project| {
                search
                    .as_ref()
                    .is_none_or(|text| project.name.to_lowercase().contains(text) || project.path().contains(text))
            })
            .filter(|project| match archived.as_deref() {
                Some("ONLY") => project.archived,
                Some("EXCLUDE") => !project.archived,
                _ => true,
            })
            .collect();
        rows.sort_by_key(|project| std::cmp::Reverse(project.id));
        if text(arguments, "sort").is_some_and(|sort| sort.to_lowercase() == "id_asc") {
            rows.reverse();
        }
        self.page("Project", rows.into_iter().map(Object::Project).collect(), arguments)
    }

    fn metadata(&self, field: &Field) -> Found<'w> {
        let version = &self.world.switches.gitlab_version;
        match field.name.as_str() {
            "version" => value(version),
            "revision" => value("5a2bcd3ef41"),
            "enterprise" => value(version.ends_with("-ee")),
            _ => unknown("Metadata", field),
        }
    }

    fn user(&self, user: &'w User, field: &Field) -> Found<'w> {
        let oneself = self.caller.as_ref().is_some_and(|caller| caller.user_id == user.id);
        match field.name.as_str() {
            "id" => value(format!("gid://gitlab/User/{}", user.id)),
            "username" => value(&user.username),
            "name" => value(&user.name),
            "state" => value(user.state.word()),
            "bot" => value(user.internal),
            "active" => value(user.state.word() == "active"),
            "webUrl" => value(format!("{}/{}", self.base, user.username)),
            "webPath" => value(format!("/{}", user.username)),
            "lastActivityOn" => value(&user.last_activity_on),
            "createdAt" => value(user.created_at),
            "admin" if oneself || self.roles_all() => value(user.admin),
            // Of somebody else it does not show; an address shows only where its owner made it public.
            "admin" | "publicEmail" | "avatarUrl" => value(Value::Null),
            _ => unknown("CurrentUser", field),
        }
    }

    fn roles_all(&self) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.admin)
    }

    fn project(&self, project: &'w Project, field: &Field) -> Found<'w> {
        match field.name.as_str() {
            "id" => value(format!("gid://gitlab/Project/{}", project.id)),
            "fullPath" => value(&project.full_path),
            "path" => value(project.path()),
            "name" => value(&project.name),
            "nameWithNamespace" => {
                let spaced = entities::spaced_name(self.world, project.group_id, project.namespace_path());
                value(format!("{spaced} / {}", project.name))
            }
            "archived" => value(project.archived),
            "visibility" => value(project.visibility.word()),
            "markedForDeletion" => value(project.marked_for_deletion_on.is_some()),
            "markedForDeletionOn" => value(&project.marked_for_deletion_on),
            "webUrl" => value(format!("{}/{}", self.base, project.full_path)),
            "createdAt" => value(project.created_at),
            "lastActivityAt" => value(project.last_activity_at),
            "description" => value(Value::Null),
            "maxAccessLevel" => Ok(Selection::One(Object::MaxAccessLevel(self.roles.in_project(project)))),
            "group" => Ok(or_null(
                project.group_id.and_then(|id| self.world.group(id)).map(Object::Group),
            )),
            _ => unknown("Project", field),
        }
    }

    fn group(&self, group: &'w Group, field: &Field) -> Found<'w> {
        match field.name.as_str() {
            "id" => value(format!("gid://gitlab/Group/{}", group.id)),
            "fullPath" => value(&group.full_path),
            "path" => value(group.path()),
            "name" => value(&group.name),
            "fullName" => value(entities::spaced_name(self.world, Some(group.id), &group.full_path)),
            "visibility" => value(group.visibility.word()),
            "webUrl" => value(format!("{}/groups/{}", self.base, group.full_path)),
            "markedForDeletion" => value(group.marked_for_deletion_on.is_some()),
            "markedForDeletionOn" => value(&group.marked_for_deletion_on),
            "description" => value(Value::Null),
            "maxAccessLevel" => Ok(Selection::One(Object::MaxAccessLevel(self.roles.in_group(group)))),
            "parent" => Ok(or_null(
                group.parent_id.and_then(|id| self.world.group(id)).map(Object::Group),
            )),
            "projects" => {
                let deep = field.arguments.get("includeSubgroups") == Some(&Value::Bool(true));
                let below = format!("{}/", group.full_path);
                let rows = self.world.projects.iter().filter(|project| {
                    self.roles.sees_project(project)
                        && (project.group_id == Some(group.id) || deep && project.full_path.starts_with(&below))
                });
                self.page("Project", rows.map(Object::Project).collect(), &field.arguments)
            }
            "descendantGroups" => {
                let below = format!("{}/", group.full_path);
                let rows = self
                    .world
                    .groups
                    .iter()
                    .filter(|other| other.full_path.starts_with(&below) && self.roles.sees_group(other));
                self.page("Group", rows.map(Object::Group).collect(), &field.arguments)
            }
            _ => unknown("Group", field),
        }
    }

    /// A page of a list by `first`, `last`, `after`, `before`.
    #[expect(
        clippy::unused_self,
        reason = "it reads as the other ways from the context to an answer"
    )]
    fn page(&self, kind: &'static str, mut rows: Vec<Object<'w>>, arguments: &Map<String, Value>) -> Found<'w> {
        let count = rows.len();
        let position = |rows: &[Object<'w>], cursor: &str| rows.iter().position(|row| row.cursor() == cursor);
        let (mut previous, mut next) = (false, false);
        if let Some(cursor) = text(arguments, "after") {
            let index = position(&rows, &cursor).ok_or_else(|| Fault::value("Invalid cursor provided"))?;
            rows.drain(..=index);
            previous = true;
        }
        if let Some(cursor) = text(arguments, "before") {
            let index = position(&rows, &cursor).ok_or_else(|| Fault::value("Invalid cursor provided"))?;
            rows.truncate(index);
            next = true;
        }
        let size = |name: &str| {
            let asked = arguments.get(name).and_then(Value::as_u64);
            asked.map(|asked| usize::try_from(asked).unwrap_or(MOST_NODES).min(MOST_NODES))
        };
        if let Some(last) = size("last") {
            let skipped = rows.len().saturating_sub(last);
            previous = previous || skipped > 0;
            rows.drain(..skipped);
        } else {
            let first = size("first").unwrap_or(MOST_NODES);
            next = next || rows.len() > first;
            rows.truncate(first);
        }
        Ok(Selection::One(Object::Connection(
            kind,
            rows,
            Page { next, previous, count },
        )))
    }
}

impl Object<'_> {
    fn type_name(&self) -> String {
        match self {
            Self::Query => "Query".to_owned(),
            Self::Metadata => "Metadata".to_owned(),
            Self::User(_) => "CurrentUser".to_owned(),
            Self::Project(_) => "Project".to_owned(),
            Self::Group(_) => "Group".to_owned(),
            Self::MaxAccessLevel(_) => "AccessLevel".to_owned(),
            Self::Connection(kind, ..) => format!("{kind}Connection"),
            Self::Edge(kind, _) => format!("{kind}Edge"),
            Self::PageInfo(..) => "PageInfo".to_owned(),
        }
    }

    /// The cursor of a row: its id, encoded, as GitLab's keyset connections give it.
    fn cursor(&self) -> String {
        let id = match self {
            Self::User(user) => user.id,
            Self::Project(project) => project.id,
            Self::Group(group) => group.id,
            _ => 0,
        };
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{{\"id\":\"{id}\"}}"))
    }
}

fn connection<'w>(kind: &'static str, nodes: &[Object<'w>], page: Page, field: &Field) -> Found<'w> {
    match field.name.as_str() {
        "nodes" => Ok(Selection::Many(nodes.to_vec())),
        "edges" => Ok(Selection::Many(
            nodes
                .iter()
                .map(|node| Object::Edge(kind, Box::new(node.clone())))
                .collect(),
        )),
        "count" => value(page.count),
        "pageInfo" => {
            let (start, end) = (nodes.first().map(Object::cursor), nodes.last().map(Object::cursor));
            Ok(Selection::One(Object::PageInfo(page, start, end)))
        }
        _ => unknown(&format!("{kind}Connection"), field),
    }
}

fn access_level<'w>(level: u32, field: &Field) -> Found<'w> {
    let word = match level {
        0 => "NO_ACCESS",
        1..=5 => "MINIMAL_ACCESS",
        6..=10 => "GUEST",
        11..=15 => "PLANNER",
        16..=20 => "REPORTER",
        21..=30 => "DEVELOPER",
        31..=40 => "MAINTAINER",
        _ => "OWNER",
    };
    match field.name.as_str() {
        "integerValue" => value(level),
        "stringValue" => value(word),
        _ => unknown("AccessLevel", field),
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "each arm of a type's fields gives what `Found` says"
)]
fn value<'w>(value: impl serde::Serialize) -> Found<'w> {
    Ok(Selection::Value(json!(value)))
}

fn or_null(object: Option<Object<'_>>) -> Selection<'_> {
    object.map_or(Selection::Nothing, Selection::One)
}

fn unknown<'w>(kind: &str, field: &Field) -> Found<'w> {
    Err(Fault::schema(&format!(
        "Field '{}' doesn't exist on type '{kind}'",
        field.name
    )))
}

fn required(arguments: &Map<String, Value>, name: &str, field: &str) -> Result<String, Fault> {
    text(arguments, name)
        .ok_or_else(|| Fault::schema(&format!("Field '{field}' is missing required arguments: {name}")))
}

fn text(arguments: &Map<String, Value>, name: &str) -> Option<String> {
    arguments.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// A list of texts; one text counts as a list of one, as GraphQL coerces it.
fn texts(arguments: &Map<String, Value>, name: &str) -> Option<Vec<String>> {
    match arguments.get(name)? {
        Value::Array(items) => Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        Value::String(text) => Some(vec![text.clone()]),
        _ => None,
    }
}

/// The number in `gid://gitlab/KIND/NUMBER`.
fn gid_of(gid: &str, kind: &str) -> Option<u64> {
    gid.strip_prefix("gid://gitlab/")?
        .strip_prefix(kind)?
        .strip_prefix('/')?
        .parse()
        .ok()
}
