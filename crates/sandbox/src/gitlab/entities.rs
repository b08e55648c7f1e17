//! What GitLab shows of each kind of thing in its REST API (lib/api/entities/).

use serde_json::{Value, json};

use super::access::Roles;
use crate::world::{Application, Group, Member, Project, Source, User, World};

/// `UserBasic`: what anybody sees.
pub(crate) fn user_basic(world: &World, user: &User, base: &str) -> Value {
    json!({
        "id": user.id,
        "username": user.username,
        "public_email": null,
        "name": user.name,
        "state": user.state.word(),
        "locked": user.is_locked(world.now()),
        "avatar_url": null,
        "web_url": format!("{base}/{}", user.username),
    })
}

/// `UserPublic`, as an account sees itself (GET /user), or a colleague (GET /users/:id) without the private part.
pub(crate) fn user_public(world: &World, user: &User, base: &str, oneself: bool) -> Value {
    let mut value = user_basic(world, user, base);
    extend(
        &mut value,
        json!({
            "created_at": user.created_at, "bio": "", "location": "", "linkedin": "", "twitter": "", "discord": "",
            "website_url": "", "github": "", "job_title": "", "pronouns": null, "organization": "",
            "bot": user.internal, "work_information": null, "local_time": null,
        }),
    );
    if oneself {
        extend(&mut value, private_part(user));
        if user.admin {
            extend(&mut value, json!({ "is_admin": true, "note": user.note }));
        }
    }
    value
}

/// `UserWithAdmin`: what an administrator sees.
pub(crate) fn user_for_admin(world: &World, user: &User, base: &str) -> Value {
    let mut value = user_public(world, user, base, false);
    extend(&mut value, private_part(user));
    extend(
        &mut value,
        json!({
            "is_admin": user.admin, "note": user.note, "namespace_id": user_namespace_id(user), "created_by": null,
            "using_license_seat": true, "is_auditor": false, "provisioned_by_group_id": null,
        }),
    );
    value
}

/// `UserDetailsWithAdmin`: what an administrator sees of one account that it asks for by id.
pub(crate) fn user_details_for_admin(world: &World, user: &User, base: &str) -> Value {
    let mut value = user_for_admin(world, user, base);
    extend(
        &mut value,
        json!({ "highest_role": null, "current_sign_in_ip": null, "last_sign_in_ip": null }),
    );
    value
}

/// The id of a person's own namespace: from the sequence of the groups, far above them.
pub(crate) fn user_namespace_id(user: &User) -> u64 {
    user.id + 1_000_000
}

fn private_part(user: &User) -> Value {
    let identities: Vec<Value> = user
        .identities
        .iter()
        .map(|own| json!({ "provider": own.provider, "extern_uid": own.extern_uid, "saml_provider_id": null }))
        .collect();
    json!({
        "last_sign_in_at": user.last_sign_in_at, "confirmed_at": user.confirmed_at,
        "last_activity_on": user.last_activity_on, "email": user.email, "theme_id": 3, "color_scheme_id": 1,
        "projects_limit": 100_000, "current_sign_in_at": user.current_sign_in_at, "identities": identities,
        "can_create_group": true, "can_create_project": true, "two_factor_enabled": user.two_factor_enabled(),
        "external": user.external, "private_profile": false, "commit_email": user.email, "preferred_language": "en",
    })
}

/// An application; GitLab shows its scopes from 19, and `trusted` never.
pub(crate) fn application(world: &World, application: &Application) -> Value {
    let mut value = json!({
        "id": application.id,
        "application_id": application.uid,
        "application_name": application.name,
        "callback_url": application.redirect_uri,
        "confidential": application.confidential,
    });
    if world.switches.at_least(19, 0) {
        extend(&mut value, json!({ "scopes": application.scopes }));
    }
    value
}

/// `BasicProjectDetails`, which `simple=true` gives.
pub(crate) fn project_simple(world: &World, project: &Project, base: &str) -> Value {
    let spaced = spaced_name(world, project.group_id, project.namespace_path());
    json!({
        "id": project.id,
        "description": null,
        "name": project.name,
        "name_with_namespace": format!("{spaced} / {}", project.name),
        "path": project.path(),
        "path_with_namespace": project.full_path,
        "created_at": project.created_at,
        "default_branch": "main",
        "tag_list": [],
        "topics": [],
        "ssh_url_to_repo": format!("git@{}:{}.git", host(base), project.full_path),
        "http_url_to_repo": format!("{base}/{}.git", project.full_path),
        "web_url": format!("{base}/{}", project.full_path),
        "readme_url": format!("{base}/{}/-/blob/main/README.md", project.full_path),
        "forks_count": 0,
        "avatar_url": null,
        "star_count": 0,
        "last_activity_at": project.last_activity_at,
        "visibility": project.visibility.word(),
        "namespace": namespace(world, project, base),
    })
}

/// A project in full.
pub(crate) fn project(world: &World, project: &Project, roles: &Roles, base: &str) -> Value {
    let mut value = project_simple(world, project, base);
    let level = |level: u32| {
        if level == 0 {
            Value::Null
        } else {
            json!({ "access_level": level, "notification_level": 3 })
        }
    };
    let in_group = project
        .group_id
        .and_then(|id| world.group(id))
        .map_or(0, |group| roles.in_group(group));
    extend(
        &mut value,
        json!({
            "empty_repo": false,
            "archived": project.archived,
            "marked_for_deletion_at": project.marked_for_deletion_on,
            "marked_for_deletion_on": project.marked_for_deletion_on,
            "creator_id": 1,
            "issues_enabled": true,
            "merge_requests_enabled": true,
            "jobs_enabled": true,
            "open_issues_count": 0,
            "shared_with_groups": shared_with(world, Source::Project(project.id)),
            "permissions": {
                "project_access": level(roles.directly_in_project(project)),
                "group_access": level(in_group),
            },
        }),
    );
    // A project of a group has no owner.
    if let Some(owner) = project.owner_id.and_then(|id| world.user(id)) {
        extend(&mut value, json!({ "owner": user_basic(world, owner, base) }));
    }
    value
}

fn namespace(world: &World, project: &Project, base: &str) -> Value {
    let path = project.namespace_path();
    if let Some(group) = project.group_id.and_then(|id| world.group(id)) {
        return json!({
            "id": group.id, "name": group.name, "path": group.path(), "kind": "group", "full_path": group.full_path,
            "parent_id": group.parent_id, "avatar_url": null, "web_url": format!("{base}/groups/{}", group.full_path),
        });
    }
    let owner = project.owner_id.and_then(|id| world.user(id));
    json!({
        "id": owner.map_or(0, user_namespace_id), "name": owner.map_or(path, |user| user.name.as_str()),
        "path": path, "kind": "user", "full_path": path, "parent_id": null, "avatar_url": null,
        "web_url": format!("{base}/{path}"),
    })
}

pub(crate) fn group(world: &World, group: &Group, base: &str) -> Value {
    json!({
        "id": group.id,
        "web_url": format!("{base}/groups/{}", group.full_path),
        "name": group.name,
        "path": group.path(),
        "description": "",
        "visibility": group.visibility.word(),
        "share_with_group_lock": false,
        "require_two_factor_authentication": group.require_two_factor,
        "two_factor_grace_period": group.two_factor_grace_period.unwrap_or(48),
        "project_creation_level": "developer",
        "subgroup_creation_level": "maintainer",
        "avatar_url": null,
        "full_name": spaced_name(world, Some(group.id), &group.full_path),
        "full_path": group.full_path,
        "created_at": null,
        "parent_id": group.parent_id,
        "marked_for_deletion_on": group.marked_for_deletion_on,
        "archived": false,
    })
}

/// The groups that were invited into a group or project.
pub(crate) fn shared_with(world: &World, source: Source) -> Vec<Value> {
    let shares = world.shares.iter().filter(|share| share.source == source);
    let groups = shares.filter_map(|share| world.group(share.group_id).map(|group| (share, group)));
    groups
        .map(|(share, group)| {
            json!({
                "group_id": group.id, "group_name": group.name, "group_full_path": group.full_path,
                "group_access_level": share.access_level, "expires_at": share.expires_at,
            })
        })
        .collect()
}

/// A member, of whatever source the membership is.
pub(crate) fn member(world: &World, member: &Member, base: &str) -> Value {
    let mut value = world
        .user(member.user_id)
        .map_or_else(|| json!({}), |user| user_basic(world, user, base));
    extend(
        &mut value,
        json!({
            "access_level": member.access_level,
            "created_at": member.created_at,
            "created_by": member.created_by.and_then(|id| world.user(id)).map(|user| user_basic(world, user, base)),
            "expires_at": member.expires_at,
            "membership_state": if member.awaiting { "awaiting" } else { "active" },
        }),
    );
    if let Some(role) = world
        .member_roles
        .iter()
        .find(|role| Some(role.id) == member.member_role_id)
    {
        let role = json!({ "id": role.id, "name": role.name, "base_access_level": role.base_access_level });
        extend(&mut value, json!({ "member_role": role }));
    }
    value
}

/// A direct membership of a user, as `GET /users/:id/memberships` lists it.
pub(crate) fn membership(world: &World, member: &Member) -> Value {
    let (id, kind, name) = match member.source {
        Source::Group(id) => (id, "Namespace", world.group(id).map(|group| group.name.clone())),
        Source::Project(id) => (id, "Project", world.project(id).map(|project| project.name.clone())),
    };
    json!({ "source_id": id, "source_name": name, "source_type": kind, "access_level": member.access_level })
}

/// `Platform / Services`.
pub(crate) fn spaced_name(world: &World, group_id: Option<u64>, path: &str) -> String {
    let mut names = Vec::new();
    let mut at = group_id.and_then(|id| world.group(id));
    while let Some(group) = at {
        names.push(group.name.as_str());
        at = group.parent_id.and_then(|id| world.group(id));
    }
    if names.is_empty() {
        return world
            .user_named(path)
            .map_or_else(|| path.to_owned(), |user| user.name.clone());
    }
    names.reverse();
    names.join(" / ")
}

/// Adds the fields of one object to another.
pub(crate) fn extend(value: &mut Value, more: Value) {
    if let (Value::Object(map), Value::Object(more)) = (value, more) {
        map.extend(more);
    }
}

fn host(base: &str) -> &str {
    let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
    rest.split(['/', ':']).next().unwrap_or(rest)
}
