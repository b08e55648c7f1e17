//! Projects and groups: the long lists with their filters and pages, one by id or by encoded path, and the 301 of a
//! moved project.
//!
//! GitLab: lib/api/projects.rb, lib/api/groups.rb, lib/api/helpers.rb (`find_project!`).

use axum::Router;
use axum::response::Response;
use axum::routing::get;

use super::access::Roles;
use super::auth::{self, Caller};
use super::call::{Answer, Call, Params};
use super::{answers, entities, paging};
use crate::state::App;
use crate::world::{Group, Project, Source, World};

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api/v4/projects", get(list))
        .route("/api/v4/projects/{id}", get(show))
        .route("/api/v4/groups", get(list_groups))
        .route("/api/v4/groups/{id}", get(show_group))
        .route("/api/v4/groups/{id}/projects", get(group_projects))
        .route("/api/v4/groups/{id}/subgroups", get(subgroups))
        .route("/api/v4/groups/{id}/descendant_groups", get(descendant_groups))
}

/// The caller, if any: public things need nobody.
pub(crate) fn anybody(call: &Call, world: &World) -> Result<Option<Caller>, Response> {
    auth::identify(world, &call.parts, auth::usual_scopes(&call.parts))
}

/// The roles of a caller, or of nobody.
pub(crate) fn roles_of(world: &World, caller: Option<&Caller>) -> Roles {
    Roles::of(
        world,
        caller.map(|caller| caller.user_id),
        caller.is_some_and(|caller| caller.admin),
    )
}

/// The filters that lists of projects share.
struct Filters {
    archived: Option<bool>,
    active: Option<bool>,
    visibility: Option<String>,
    search: Option<String>,
    namespaces: bool,
    membership: bool,
    owned: bool,
    min_access_level: u32,
    marked: Option<String>,
}

impl Filters {
    fn read(params: &Params) -> Result<Self, Response> {
        let visibility = params.filled("visibility");
        if visibility
            .as_deref()
            .is_some_and(|word| !matches!(word, "private" | "internal" | "public"))
        {
            return Err(answers::error(400, "visibility does not have a valid value"));
        }
        let level = params.number("min_access_level")?.unwrap_or(0);
        let min_access_level =
            u32::try_from(level).map_err(|_| answers::error(400, "min_access_level does not have a valid value"))?;
        Ok(Self {
            archived: params.truth("archived")?,
            active: params.truth("active")?,
            visibility,
            search: params.filled("search").map(|text| text.to_lowercase()),
            namespaces: params.is_true("search_namespaces")?,
            membership: params.is_true("membership")?,
            owned: params.is_true("owned")?,
            min_access_level,
            marked: params.filled("marked_for_deletion_on"),
        })
    }

    fn keeps(&self, world: &World, project: &Project, roles: &Roles) -> bool {
        let active = !project.archived && !world.is_doomed(project);
        self.archived.is_none_or(|archived| archived == project.archived)
            && self.active.is_none_or(|wanted| wanted == active)
            && self
                .visibility
                .as_ref()
                .is_none_or(|word| word == project.visibility.word())
            && self.search.as_ref().is_none_or(|text| self.finds(project, text))
            && (!self.membership || roles.in_project(project) > 0)
            && (!self.owned || roles.in_project(project) >= 50)
            && (self.min_access_level == 0 || roles.in_project(project) >= self.min_access_level)
            && self
                .marked
                .as_ref()
                .is_none_or(|day| project.marked_for_deletion_on.as_ref() == Some(day))
    }

    fn finds(&self, project: &Project, text: &str) -> bool {
        let path = if self.namespaces {
            project.full_path.as_str()
        } else {
            project.path()
        };
        path.to_lowercase().contains(text) || project.name.to_lowercase().contains(text)
    }
}

async fn list(call: Call) -> Answer {
    let filters = Filters::read(&call.params)?;
    call.app.read(|world| {
        let caller = anybody(&call, world)?;
        let roles = roles_of(world, caller.as_ref());
        let rows: Vec<&Project> = world
            .projects
            .iter()
            .filter(|project| roles.sees_project(project) && filters.keeps(world, project, &roles))
            .collect();
        page_of_projects(&call, world, &roles, rows, caller.is_none())
    })
}

/// A page of projects in the order that the call asks for.
fn page_of_projects(
    call: &Call,
    world: &World,
    roles: &Roles,
    mut rows: Vec<&Project>,
    anonymous: bool,
) -> Result<Response, Response> {
    let simple = call.params.is_true("simple")? || anonymous;
    let render = |project: &&Project| {
        if simple {
            entities::project_simple(world, project, &call.base)
        } else {
            entities::project(world, project, roles, &call.base)
        }
    };
    rows.sort_by_key(|project| project.id);
    if call.params.filled("pagination").as_deref() == Some("keyset") {
        return paging::keyset(call, &rows, |project| project.id, render);
    }
    let after = call.params.number("id_after")?.unwrap_or(0);
    let before = call.params.number("id_before")?.unwrap_or(u64::MAX);
    rows.retain(|project| project.id > after && project.id < before);
    match call.params.filled("order_by").as_deref().unwrap_or("created_at") {
        "id" => {}
        "name" => rows.sort_by_key(|project| project.name.to_lowercase()),
        "path" => rows.sort_by_key(|project| project.path().to_owned()),
        "created_at" => rows.sort_by_key(|project| project.created_at),
        "updated_at" | "last_activity_at" | "similarity" => rows.sort_by_key(|project| project.last_activity_at),
        _ => return Err(answers::error(400, "order_by does not have a valid value")),
    }
    match call.params.filled("sort").as_deref() {
        Some("asc") => {}
        None | Some("desc") => rows.reverse(),
        Some(_) => return Err(answers::error(400, "sort does not have a valid value")),
    }
    if anonymous {
        return paging::bounded_offset(call, &rows, render);
    }
    paging::offset(call, &rows, render)
}

async fn show(call: Call) -> Answer {
    call.app.read(|world| {
        let caller = anybody(&call, world)?;
        let roles = roles_of(world, caller.as_ref());
        let project = find_project(&call, world, &roles)?;
        let body = if caller.is_some() {
            entities::project(world, project, &roles, &call.base)
        } else {
            entities::project_simple(world, project, &call.base)
        };
        Ok(answers::json_answer(200, &body))
    })
}

/// The project that `:id` names, by id or by path; a moved one answers 301 (16.7 and later), and refuses all but GET.
pub(crate) fn find_project<'w>(call: &Call, world: &'w World, roles: &Roles) -> Result<&'w Project, Response> {
    let wanted = call.path("id");
    let missing = || answers::not_found("Project");
    let direct = wanted
        .parse()
        .ok()
        .and_then(|id| world.project(id))
        .or_else(|| world.project_at(wanted));
    if let Some(project) = direct {
        return if roles.sees_project(project) {
            Ok(project)
        } else {
            Err(missing())
        };
    }
    let redirect = world
        .redirects
        .iter()
        .find(|redirect| redirect.old_path.eq_ignore_ascii_case(wanted));
    let project = redirect
        .and_then(|redirect| world.project(redirect.project_id))
        .filter(|project| roles.sees_project(project))
        .ok_or_else(missing)?;
    if !world.switches.at_least(16, 7) {
        return Ok(project);
    }
    if !matches!(call.parts.method.as_str(), "GET" | "HEAD") {
        return Err(answers::message(
            405,
            "Non GET methods are not allowed for moved projects",
        ));
    }
    Err(moved(call, world, project))
}

fn moved(call: &Call, world: &World, project: &Project) -> Response {
    let path = call.parts.uri.path();
    let rest = path
        .split('/')
        .skip(5)
        .fold(String::new(), |rest, segment| format!("{rest}/{segment}"));
    let host = call
        .parts
        .headers
        .get("host")
        .and_then(|value| value.to_str().ok())
        .unwrap_or("localhost");
    let root = world.switches.relative_url_root.trim_end_matches('/');
    let query = call
        .parts
        .uri
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let location = format!("http://{host}{root}/api/v4/projects/{}{rest}{query}", project.id);
    let body = format!("This resource has been moved permanently to {location}.");
    answers::with_header(answers::answer(301, "text/plain", body), "location", &location)
}

/// The group that `:id` names, by id or by path.
pub(crate) fn find_group<'w>(call: &Call, world: &'w World, roles: &Roles) -> Result<&'w Group, Response> {
    let wanted = call.path("id");
    wanted
        .parse()
        .ok()
        .and_then(|id| world.group(id))
        .or_else(|| world.group_at(wanted))
        .filter(|group| roles.sees_group(group))
        .ok_or_else(|| answers::not_found("Group"))
}

async fn list_groups(call: Call) -> Answer {
    groups_page(&call, |_, _| true)
}

async fn subgroups(call: Call) -> Answer {
    call.app
        .clone()
        .read(|world| {
            let caller = anybody(&call, world)?;
            let roles = roles_of(world, caller.as_ref());
            find_group(&call, world, &roles).map(|group| group.id)
        })
        .and_then(|parent| groups_page(&call, move |group, _| group.parent_id == Some(parent)))
}

async fn descendant_groups(call: Call) -> Answer {
    call.app
        .clone()
        .read(|world| {
            let caller = anybody(&call, world)?;
            let roles = roles_of(world, caller.as_ref());
            find_group(&call, world, &roles).map(|group| format!("{}/", group.full_path))
        })
        .and_then(|above| groups_page(&call, move |group, _| group.full_path.starts_with(&above)))
}

fn groups_page(call: &Call, keep: impl Fn(&Group, &Roles) -> bool) -> Answer {
    let search = call.params.filled("search").map(|text| text.to_lowercase());
    let (owned, top_level) = (call.params.is_true("owned")?, call.params.is_true("top_level_only")?);
    let level = call.params.number("min_access_level")?.unwrap_or(0);
    call.app.read(|world| {
        let caller = anybody(call, world)?;
        let roles = roles_of(world, caller.as_ref());
        let mut rows: Vec<&Group> = world
            .groups
            .iter()
            .filter(|group| roles.sees_group(group) && keep(group, &roles))
            .filter(|group| !owned || roles.in_group(group) >= 50)
            .filter(|group| !top_level || group.parent_id.is_none())
            .filter(|group| level == 0 || u64::from(roles.in_group(group)) >= level)
            .filter(|group| {
                search.as_ref().is_none_or(|text| {
                    group.path().to_lowercase().contains(text) || group.name.to_lowercase().contains(text)
                })
            })
            .collect();
        rows.sort_by_key(|group| group.name.to_lowercase());
        paging::bounded_offset(call, &rows, |group| entities::group(world, group, &call.base))
    })
}

async fn show_group(call: Call) -> Answer {
    let with_projects = call.params.truth("with_projects")?.unwrap_or(true);
    call.app.read(|world| {
        let caller = anybody(&call, world)?;
        let roles = roles_of(world, caller.as_ref());
        let group = find_group(&call, world, &roles)?;
        let mut body = entities::group(world, group, &call.base);
        if with_projects {
            let projects: Vec<_> = world
                .projects
                .iter()
                .filter(|project| project.group_id == Some(group.id) && roles.sees_project(project))
                .take(100)
                .map(|project| entities::project(world, project, &roles, &call.base))
                .collect();
            entities::extend(
                &mut body,
                serde_json::json!({ "projects": projects, "shared_projects": [] }),
            );
        }
        if world.switches.gitlab_version.ends_with("-ee") {
            entities::extend(
                &mut body,
                serde_json::json!({ "ip_restriction_ranges": group.ip_restriction_ranges }),
            );
        }
        // Of groups at the top, for owners and administrators (GitLab: lib/api/entities/group_detail.rb).
        if group.parent_id.is_none() && caller.as_ref().is_some_and(|caller| caller.admin) {
            let protocol = group.enabled_git_access_protocol.as_deref().unwrap_or("all");
            entities::extend(
                &mut body,
                serde_json::json!({ "enabled_git_access_protocol": protocol }),
            );
        }
        let shared = entities::shared_with(world, Source::Group(group.id));
        entities::extend(&mut body, serde_json::json!({ "shared_with_groups": shared }));
        Ok(answers::json_answer(200, &body))
    })
}

async fn group_projects(call: Call) -> Answer {
    let filters = Filters::read(&call.params)?;
    let deep = call.params.is_true("include_subgroups")?;
    call.app.read(|world| {
        let caller = anybody(&call, world)?;
        let roles = roles_of(world, caller.as_ref());
        let group = find_group(&call, world, &roles)?;
        let below = format!("{}/", group.full_path);
        let rows: Vec<&Project> = world
            .projects
            .iter()
            .filter(|project| project.group_id == Some(group.id) || (deep && project.full_path.starts_with(&below)))
            .filter(|project| roles.sees_project(project) && filters.keeps(world, project, &roles))
            .collect();
        page_of_projects(&call, world, &roles, rows, caller.is_none())
    })
}
