//! Members of groups and projects: direct ones to read and write, inherited ones to read.
//!
//! GitLab: lib/api/members.rb, app/models/member.rb (a role may not be lower than an inherited one).

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::access::Roles;
use super::auth::Caller;
use super::call::{Answer, Call};
use super::rest_projects::{find_group, find_project, roles_of};
use super::{answers, entities, paging};
use crate::state::App;
use crate::world::{AccessLevel, Member, Source, World};

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api/v4/groups/{id}/members", get(list).post(add))
        .route("/api/v4/groups/{id}/members/all", get(list_all))
        .route("/api/v4/groups/{id}/members/all/{user_id}", get(show_all))
        .route(
            "/api/v4/groups/{id}/members/{user_id}",
            get(show).put(change).delete(remove),
        )
        .route("/api/v4/projects/{id}/members", get(list).post(add))
        .route("/api/v4/projects/{id}/members/all", get(list_all))
        .route("/api/v4/projects/{id}/members/all/{user_id}", get(show_all))
        .route(
            "/api/v4/projects/{id}/members/{user_id}",
            get(show).put(change).delete(remove),
        )
}

/// What `:id` names, who asks, and the caller's role there.
struct Place {
    source: Source,
    caller: Caller,
    level: AccessLevel,
    ldap_locked: bool,
}

impl Place {
    fn of(call: &Call, world: &World) -> Result<Self, Response> {
        let caller = call.caller(world)?;
        let roles: Roles = roles_of(world, Some(&caller));
        if call.parts.uri.path().starts_with("/api/v4/groups/") {
            let group = find_group(call, world, &roles)?;
            let (source, level, ldap_locked) = (Source::Group(group.id), roles.in_group(group), group.ldap_locked);
            return Ok(Self {
                source,
                caller,
                level,
                ldap_locked,
            });
        }
        let project = find_project(call, world, &roles)?;
        let level = roles.in_project(project);
        let ldap_locked = project
            .group_id
            .and_then(|id| world.group(id))
            .is_some_and(|group| group.ldap_locked);
        Ok(Self {
            source: Source::Project(project.id),
            caller,
            level,
            ldap_locked,
        })
    }

    /// Owners manage the members of a group, maintainers those of a project; only an owner makes an owner.
    fn may_manage(&self, given: AccessLevel) -> Result<(), Response> {
        let needed = if matches!(self.source, Source::Group(_)) || given >= 50 {
            50
        } else {
            40
        };
        if self.caller.admin || self.level >= needed {
            Ok(())
        } else {
            Err(answers::forbidden())
        }
    }
}

/// The sources from which memberships are inherited there, the nearest first, itself excluded.
fn above(world: &World, source: Source) -> Vec<u64> {
    let mut at = match source {
        Source::Group(id) => world.group(id).and_then(|group| group.parent_id),
        Source::Project(id) => world.project(id).and_then(|project| project.group_id),
    };
    let mut ids = Vec::new();
    while let Some(id) = at {
        ids.push(id);
        at = world.group(id).and_then(|group| group.parent_id);
    }
    ids
}

/// Direct and inherited members and those of invited groups, one row a user: that with the highest role.
fn all_members(world: &World, source: Source) -> Vec<Member> {
    let today = world.today();
    let mut places = vec![source];
    places.extend(above(world, source).into_iter().map(Source::Group));
    let own = world
        .members
        .iter()
        .filter(|member| places.contains(&member.source) && !member.requested)
        .cloned();
    let invited = world
        .shares
        .iter()
        .filter(|share| places.contains(&share.source) && share.expires_at.as_ref().is_none_or(|day| *day > today))
        .flat_map(|share| {
            let group = Source::Group(share.group_id);
            let mut groups = vec![group];
            groups.extend(above(world, group).into_iter().map(Source::Group));
            world
                .members
                .iter()
                .filter(move |member| groups.contains(&member.source) && !member.requested)
                .map(|member| Member {
                    access_level: member.access_level.min(share.access_level),
                    ..member.clone()
                })
        });
    let mut best: std::collections::BTreeMap<u64, Member> = std::collections::BTreeMap::new();
    for member in own.chain(invited) {
        if best
            .get(&member.user_id)
            .is_none_or(|known| known.access_level < member.access_level)
        {
            best.insert(member.user_id, member);
        }
    }
    best.into_values().collect()
}

fn direct(world: &World, source: Source) -> Vec<Member> {
    let members = world.members.iter();
    members
        .filter(|member| member.source == source && !member.requested)
        .cloned()
        .collect()
}

async fn list(call: Call) -> Answer {
    members_page(&call, direct)
}

async fn list_all(call: Call) -> Answer {
    members_page(&call, all_members)
}

fn members_page(call: &Call, rows: impl Fn(&World, Source) -> Vec<Member>) -> Answer {
    let query = call.params.filled("query").map(|text| text.to_lowercase());
    let ids: Vec<u64> = call
        .params
        .list("user_ids")
        .iter()
        .filter_map(|id| id.parse().ok())
        .collect();
    call.app.read(|world| {
        let place = Place::of(call, world)?;
        let rows: Vec<Member> = rows(world, place.source)
            .into_iter()
            .filter(|member| ids.is_empty() || ids.contains(&member.user_id))
            .filter(|member| {
                let user = world.user(member.user_id);
                query.as_ref().is_none_or(|text| {
                    user.is_some_and(|user| {
                        user.username.to_lowercase().contains(text) || user.name.to_lowercase().contains(text)
                    })
                })
            })
            .collect();
        paging::offset(call, &rows, |member| entities::member(world, member, &call.base))
    })
}

async fn show(call: Call) -> Answer {
    one_member(&call, direct)
}

async fn show_all(call: Call) -> Answer {
    one_member(&call, all_members)
}

fn one_member(call: &Call, rows: impl Fn(&World, Source) -> Vec<Member>) -> Answer {
    let user_id = call.id("user_id")?;
    call.app.read(|world| {
        let place = Place::of(call, world)?;
        let rows = rows(world, place.source);
        let member = rows
            .iter()
            .find(|member| member.user_id == user_id)
            .ok_or_else(no_member)?;
        Ok(answers::json_answer(200, &entities::member(world, member, &call.base)))
    })
}

/// How GitLab answers where a row is not found (`ActiveRecord::RecordNotFound`).
fn no_member() -> Response {
    answers::message(404, "404 Not found")
}

/// The role that is asked for; Planner came with 17.7, Security Manager with 19.
fn level_of(call: &Call) -> Result<AccessLevel, Response> {
    let level = call.params.number("access_level")?.unwrap_or(u64::MAX);
    let (planner, security_manager) = call
        .app
        .read(|world| (world.switches.at_least(17, 7), world.switches.at_least(19, 0)));
    let known = match level {
        5 | 10 | 20 | 30 | 40 | 50 => true,
        15 => planner,
        25 => security_manager,
        _ => false,
    };
    if known {
        Ok(u32::try_from(level).unwrap_or(0))
    } else {
        Err(answers::error(400, "access_level does not have a valid value"))
    }
}

/// The custom role that is asked for, if any: it must be there and add to that very role.
fn custom_role(call: &Call, world: &World, level: AccessLevel) -> Result<Option<u64>, Response> {
    let Some(id) = call.params.number("member_role_id")? else {
        return Ok(None);
    };
    let role = world
        .member_roles
        .iter()
        .find(|role| role.id == id)
        .ok_or_else(|| answers::invalid(400, "member_role", &["not found"]))?;
    if role.base_access_level == level {
        Ok(Some(id))
    } else {
        let fault = "role's base access level does not match the access level of the membership";
        Err(answers::invalid(400, "member_role_id", &[fault]))
    }
}

/// What a membership or role is answered with that waits for an administrator.
fn awaiting_approval(world: &World, user_id: u64) -> Response {
    let name = world.user(user_id).map_or("", |user| user.username.as_str());
    answers::json_answer(
        202,
        &json!({ "message": { name: "Request queued for administrator approval." } }),
    )
}

/// The fault of a role that is lower than one inherited from above.
fn lower_than_inherited(world: &World, source: Source, user_id: u64, level: AccessLevel) -> Option<String> {
    let highest = above(world, source)
        .into_iter()
        .filter_map(|id| {
            world
                .members
                .iter()
                .find(|member| member.source == Source::Group(id) && member.user_id == user_id && !member.requested)
        })
        .max_by_key(|member| member.access_level)?;
    if highest.access_level <= level {
        return None;
    }
    let Source::Group(id) = highest.source else { return None };
    let group = entities::spaced_name(world, Some(id), "");
    let role = role_name(highest.access_level);
    Some(format!(
        "should be greater than or equal to {role} inherited membership from group {group}"
    ))
}

fn role_name(level: AccessLevel) -> &'static str {
    match level {
        0..=5 => "Minimal Access",
        6..=10 => "Guest",
        11..=15 => "Planner",
        16..=20 => "Reporter",
        21..=25 => "Security Manager",
        26..=30 => "Developer",
        31..=40 => "Maintainer",
        _ => "Owner",
    }
}

async fn add(call: Call) -> Answer {
    call.app.read(|world| call.caller(world))?;
    let (has_id, has_name) = (call.params.has("user_id"), call.params.has("username"));
    let mut missing = Vec::new();
    if !call.params.has("access_level") {
        missing.push("access_level is missing");
    }
    if !has_id && !has_name {
        missing.push("user_id, username are missing, exactly one parameter must be provided");
    }
    if has_id && has_name {
        missing.push("user_id, username are mutually exclusive");
    }
    if !missing.is_empty() {
        return Err(answers::error(400, &missing.join(", ")));
    }
    let level = level_of(&call)?;
    let wanted = call
        .params
        .text("user_id")
        .or_else(|| call.params.text("username"))
        .unwrap_or_default();
    call.app.write(|world| {
        let place = Place::of(&call, world)?;
        place.may_manage(level)?;
        if place.ldap_locked {
            return Err(answers::message(405, "405 Method Not Allowed"));
        }
        refuse_past_end(&call, world)?;
        if wanted.contains(',') {
            return Ok(add_many(&call, world, &place, &wanted, level));
        }
        let user_id = user_id_of(world, &wanted, has_id).ok_or_else(|| answers::not_found("User"))?;
        let role = custom_role(&call, world, level)?;
        if world.switches.memberships_await_approval && !is_member(world, place.source, user_id) {
            return Ok(awaiting_approval(world, user_id));
        }
        match add_one(&call, world, &place, user_id, level, role) {
            Ok(member) => Ok(answers::json_answer(201, &entities::member(world, &member, &call.base))),
            Err(Refused::There) => Err(answers::message(409, "Member already exists")),
            Err(Refused::Lower(fault)) => Err(answers::invalid(400, "access_level", &[&fault])),
        }
    })
}

/// A membership may not end before today (GitLab: `app/validators/future_date_validator.rb`).
fn refuse_past_end(call: &Call, world: &World) -> Result<(), Response> {
    match call.params.filled("expires_at").map(|day| day.parse::<Date>()) {
        Some(Err(_)) => Err(answers::error(400, "expires_at is invalid")),
        Some(Ok(day)) if day.to_string() < world.today() => {
            Err(answers::invalid(400, "expires_at", &["cannot be a date in the past"]))
        }
        Some(Ok(_)) | None => Ok(()),
    }
}

/// Why a membership is not made.
enum Refused {
    There,
    Lower(String),
}

fn user_id_of(world: &World, wanted: &str, by_id: bool) -> Option<u64> {
    let wanted = wanted.trim();
    let user = if by_id {
        wanted.parse().ok().and_then(|id| world.user(id))
    } else {
        world.user_named(wanted)
    };
    user.map(|user| user.id)
}

fn is_member(world: &World, source: Source, user_id: u64) -> bool {
    world
        .members
        .iter()
        .any(|member| member.source == source && member.user_id == user_id && !member.requested)
}

/// Makes a member; somebody who had asked for access is one then.
fn add_one(
    call: &Call,
    world: &mut World,
    place: &Place,
    user_id: u64,
    access_level: AccessLevel,
    member_role_id: Option<u64>,
) -> Result<Member, Refused> {
    if is_member(world, place.source, user_id) {
        return Err(Refused::There);
    }
    if let Some(fault) = lower_than_inherited(world, place.source, user_id, access_level) {
        return Err(Refused::Lower(fault));
    }
    let member = Member {
        member_role_id,
        expires_at: call.params.filled("expires_at"),
        created_by: Some(place.caller.user_id),
        ..Member::new(place.source, user_id, access_level, world.now())
    };
    world
        .members
        .retain(|member| !(member.source == place.source && member.user_id == user_id));
    world.members.push(member.clone());
    Ok(member)
}

/// A list of ids or usernames with commas: 201 whatever comes of it, and the faults by name.
fn add_many(call: &Call, world: &mut World, place: &Place, wanted: &str, level: AccessLevel) -> Response {
    let by_id = call.params.has("user_id");
    let mut faults = serde_json::Map::new();
    for item in wanted.split(',') {
        let fault = match user_id_of(world, item, by_id) {
            None => Some("User not found".to_owned()),
            Some(id) => match add_one(call, world, place, id, level, None) {
                Err(Refused::Lower(fault)) => Some(format!("Access level {fault}")),
                // Somebody who is there already gets the role.
                Err(Refused::There) => {
                    world.set_member(place.source, id, level);
                    None
                }
                Ok(_) => None,
            },
        };
        if let Some(fault) = fault {
            faults.insert(item.trim().to_owned(), Value::from(fault));
        }
    }
    if faults.is_empty() {
        answers::json_answer(201, &json!({ "status": "success" }))
    } else {
        answers::json_answer(201, &json!({ "status": "error", "message": faults }))
    }
}

async fn change(call: Call) -> Answer {
    call.app.read(|world| call.caller(world))?;
    let user_id = call.id("user_id")?;
    call.params.require(&["access_level"])?;
    let level = level_of(&call)?;
    call.app.write(|world| {
        let place = Place::of(&call, world)?;
        place.may_manage(level)?;
        if place.ldap_locked {
            return Err(answers::forbidden());
        }
        refuse_past_end(&call, world)?;
        let fault = lower_than_inherited(world, place.source, user_id, level);
        let position = world
            .members
            .iter()
            .position(|member| member.source == place.source && member.user_id == user_id && !member.requested)
            .ok_or_else(no_member)?;
        if let Some(fault) = fault {
            return Err(answers::invalid(400, "access_level", &[&fault]));
        }
        // What is not sent stays (GitLab: `lib/api/members.rb`, `declared_params(include_missing: false)`), and a custom role
        // holds its base (`ee/app/models/concerns/member_roles/member_role_relation.rb`).
        let role = if call.params.was_sent("member_role_id") {
            custom_role(&call, world, level)?
        } else {
            world.members[position].member_role_id
        };
        let has_changed = role != world.members[position].member_role_id;
        if role.is_some() && !has_changed && world.members[position].access_level != level {
            let fault = "cannot be changed because of an existing association with a custom role";
            return Err(answers::invalid(400, "access_level", &[fault]));
        }
        if world.switches.memberships_await_approval && world.members[position].access_level < level {
            return Ok(awaiting_approval(world, user_id));
        }
        // A list without an order gives rows as they lie: one that was changed comes last.
        let mut member = world.members.remove(position);
        member.access_level = level;
        member.member_role_id = role;
        if call.params.has("expires_at") {
            member.expires_at = call.params.filled("expires_at");
        }
        world.members.push(member.clone());
        Ok(answers::json_answer(200, &entities::member(world, &member, &call.base)))
    })
}

async fn remove(call: Call) -> Answer {
    let user_id = call.id("user_id")?;
    let skip_subresources = call.params.is_true("skip_subresources")?;
    call.app.write(|world| {
        let place = Place::of(&call, world)?;
        let given = world
            .members
            .iter()
            .find(|member| member.source == place.source && member.user_id == user_id && !member.requested)
            .map(|member| member.access_level)
            .ok_or_else(no_member)?;
        if place.caller.user_id != user_id {
            place.may_manage(given)?;
        }
        if place.ldap_locked {
            return Err(answers::forbidden());
        }
        let below = if skip_subresources {
            Vec::new()
        } else {
            sources_below(world, place.source)
        };
        world.members.retain(|member| {
            member.user_id != user_id || (member.source != place.source && !below.contains(&member.source))
        });
        Ok(answers::no_content())
    })
}

/// Leaving a group takes the direct memberships in its subgroups and projects along.
fn sources_below(world: &World, source: Source) -> Vec<Source> {
    let Source::Group(id) = source else { return Vec::new() };
    let inside = |other: Source| above(world, other).contains(&id);
    let groups = world.groups.iter().map(|group| Source::Group(group.id));
    let projects = world.projects.iter().map(|project| Source::Project(project.id));
    groups.chain(projects).filter(|other| inside(*other)).collect()
}
