//! Accounts: list, show, create, change, block, delete, and impersonation tokens.
//!
//! GitLab: lib/api/users.rb. A password that an administrator gives to somebody else later expires at once
//! (`password_expires_at`), one that is given at creation does not.

use axum::Router;
use axum::response::Response;
use axum::routing::{delete, get, patch, post};
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::{answers, entities, paging};
use crate::state::App;
use crate::world::{PersonalToken, Source, User, UserState, World, digest, random_hex};

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api/v4/users", get(list).post(create))
        .route("/api/v4/users/{id}", get(show).put(update).delete(remove))
        .route("/api/v4/users/{id}/block", post(block))
        .route("/api/v4/users/{id}/unblock", post(unblock))
        .route("/api/v4/users/{id}/activate", post(activate))
        .route("/api/v4/users/{id}/approve", post(approve))
        .route("/api/v4/users/{id}/ban", post(ban))
        .route("/api/v4/users/{id}/unban", post(unban))
        .route("/api/v4/users/{id}/deactivate", post(deactivate))
        .route("/api/v4/users/{id}/emails", get(emails))
        .route("/api/v4/users/{id}/disable_two_factor", patch(disable_two_factor))
        .route("/api/v4/users/{id}/memberships", get(memberships))
        .route("/api/v4/users/{id}/associations_count", get(associations_count))
        .route(
            "/api/v4/users/{id}/impersonation_tokens",
            get(list_tokens).post(create_token),
        )
        .route(
            "/api/v4/users/{id}/impersonation_tokens/{token_id}",
            delete(revoke_token),
        )
}

async fn list(call: Call) -> Answer {
    let filters = ["active", "blocked", "external", "admins"]
        .into_iter()
        .filter_map(|name| call.params.is_true(name).map(|on| on.then_some(name)).transpose())
        .collect::<Result<Vec<&str>, Response>>()?;
    call.app.read(|world| {
        let caller = call.caller_reading_users(world)?;
        let username = call.params.filled("username");
        let search = call.params.filled("search");
        let mut users: Vec<&User> = world
            .users
            .iter()
            .filter(|user| {
                username
                    .as_ref()
                    .is_none_or(|name| user.username.eq_ignore_ascii_case(name))
            })
            .filter(|user| search.as_ref().is_none_or(|text| found(user, text, caller.admin)))
            .filter(|user| filters.iter().all(|filter| fits(user, filter)))
            .collect();
        let render = |user: &&User| {
            if caller.admin {
                entities::user_for_admin(world, user, &call.base)
            } else {
                entities::user_basic(world, user, &call.base)
            }
        };
        users.sort_by_key(|user| user.id);
        if call.params.filled("pagination").as_deref() == Some("keyset") {
            return paging::keyset(&call, &users, |user| user.id, render);
        }
        if call.params.filled("sort").as_deref() != Some("asc") {
            users.reverse();
        }
        paging::bounded_offset(&call, &users, render)
    })
}

/// `UsersFinder`: parts of the name and the username, and the whole address (a private one for administrators only, and
/// then also a secondary one: `app/models/user.rb`, `with_primary_or_secondary_email`).
fn found(user: &User, text: &str, admin: bool) -> bool {
    let text = text.trim_start_matches('@').to_lowercase();
    let within = |field: &str| {
        let field = field.to_lowercase();
        if text.chars().count() < 3 {
            field == text
        } else {
            field.contains(&text)
        }
    };
    let mut addresses = user.secondary_emails.iter().chain([&user.email]);
    within(&user.name) || within(&user.username) || (admin && addresses.any(|address| address.to_lowercase() == text))
}

fn fits(user: &User, filter: &str) -> bool {
    match filter {
        "active" => user.state == UserState::Active && !user.internal,
        "blocked" => matches!(user.state, UserState::Blocked | UserState::LdapBlocked),
        "external" => user.external,
        "admins" => user.admin,
        _ => true,
    }
}

async fn show(call: Call) -> Answer {
    let id = call.id("id")?;
    call.app.read(|world| {
        let caller = call.caller_reading_users(world)?;
        let user = world.user(id).ok_or_else(|| answers::not_found("User"))?;
        let body = if caller.admin {
            entities::user_details_for_admin(world, user, &call.base)
        } else {
            entities::user_public(world, user, &call.base, false)
        };
        Ok(answers::json_answer(200, &body))
    })
}

async fn create(call: Call) -> Answer {
    call.app.read(|world| call.caller(world))?;
    let wanted = NewUser::read(&call)?;
    call.app.write(|world| {
        call.admin(world)?;
        if email_taken(world, &wanted.email, None) {
            return Err(answers::message(409, "Email has already been taken"));
        }
        if world.user_named(&wanted.username).is_some() {
            return Err(answers::message(409, "Username has already been taken"));
        }
        let faults = wanted.faults(world);
        if !faults.is_empty() {
            return Err(answers::json_answer(400, &json!({ "message": faults })));
        }
        let user = wanted.into_user(world);
        let body = entities::user_for_admin(world, &user, &call.base);
        world.users.push(user);
        Ok(answers::json_answer(201, &body))
    })
}

/// What POST /users takes.
struct NewUser {
    email: String,
    name: String,
    username: String,
    password: Option<String>,
    skip_confirmation: bool,
    admin: bool,
    external: Option<bool>,
    note: Option<String>,
}

impl NewUser {
    fn read(call: &Call) -> Result<Self, Response> {
        let params = &call.params;
        let mut missing: Vec<&str> = Vec::new();
        if !params.has("email") {
            missing.push("email is missing");
        }
        if !["password", "reset_password", "force_random_password"]
            .iter()
            .any(|name| params.has(name))
        {
            missing.push(
                "password, reset_password, force_random_password are missing, at least one parameter must be provided",
            );
        }
        if !params.has("name") {
            missing.push("name is missing");
        }
        if !params.has("username") {
            missing.push("username is missing");
        }
        if params.has("extern_uid") != params.has("provider") {
            missing.push("extern_uid, provider provide all or none of parameters");
        }
        if !missing.is_empty() {
            return Err(answers::error(400, &missing.join(", ")));
        }
        // These two win over a password that is given as well.
        let made_up = params.is_true("reset_password")? || params.is_true("force_random_password")?;
        Ok(Self {
            email: params.text("email").unwrap_or_default(),
            name: params.text("name").unwrap_or_default().trim().to_owned(),
            username: params.text("username").unwrap_or_default(),
            password: if made_up {
                None
            } else {
                Some(params.text("password").unwrap_or_default())
            },
            skip_confirmation: params.is_true("skip_confirmation")?,
            admin: params.is_true("admin")?,
            external: params.truth("external")?,
            note: params.text("note"),
        })
    }

    fn faults(&self, world: &World) -> serde_json::Map<String, Value> {
        let mut faults = serde_json::Map::new();
        if let Some(fault) = self
            .password
            .as_ref()
            .and_then(|password| password_fault(world, password))
        {
            faults.insert("password".to_owned(), json!([fault]));
        }
        if let Some(fault) = email_fault(&self.email) {
            faults.insert("email".to_owned(), json!([fault]));
        }
        if self.name.trim().is_empty() {
            faults.insert("name".to_owned(), json!(["can't be blank"]));
        }
        if let Some((field, fault)) = username_fault(world, &self.username) {
            faults.insert(field.to_owned(), json!([fault]));
        }
        faults
    }

    fn into_user(self, world: &mut World) -> User {
        let now = world.now();
        let confirmed = self.skip_confirmation || !world.switches.email_confirmation;
        User {
            id: world.next_id("user"),
            username: self.username,
            name: self.name,
            email: self.email.to_lowercase(),
            confirmed_at: confirmed.then_some(now),
            admin: self.admin,
            external: self.external.unwrap_or(world.switches.user_default_external),
            note: self.note,
            password_automatically_set: self.password.is_none(),
            password_digest: digest(&self.password.unwrap_or_else(|| random_hex(32))),
            created_at: now,
            ..User::default()
        }
    }
}

async fn update(call: Call) -> Answer {
    let id = call.id("id")?;
    let params = &call.params;
    let skip_reconfirmation = params.is_true("skip_reconfirmation")?;
    let (admin, external) = (params.truth("admin")?, params.truth("external")?);
    call.app.write(|world| {
        let caller = call.admin(world)?;
        let old = world.user(id).ok_or_else(|| answers::not_found("User"))?.clone();
        let email = params.filled("email").map(|email| email.to_lowercase());
        let username = params.filled("username");
        if email.as_ref().is_some_and(|email| email_taken(world, email, Some(id))) {
            return Err(answers::message(409, "Email has already been taken"));
        }
        if username
            .as_ref()
            .and_then(|name| world.user_named(name))
            .is_some_and(|user| user.id != id)
        {
            return Err(answers::message(409, "Username has already been taken"));
        }
        let renamed = username
            .as_ref()
            .filter(|name| !name.eq_ignore_ascii_case(&old.username));
        if let Some((field, fault)) = renamed.and_then(|name| username_fault(world, name)) {
            return Err(answers::invalid(400, field, &[fault]));
        }
        if let Some(fault) = email.as_ref().and_then(|email| email_fault(email)) {
            return Err(answers::invalid(400, "email", &[fault]));
        }
        let password = params.filled("password");
        if let Some(fault) = password.as_ref().and_then(|password| password_fault(world, password)) {
            return Err(answers::invalid(400, "password", &[&fault]));
        }
        let now = world.now();
        let renamed_from = renamed.map(|_| old.username.clone());
        let user = world.user_mut(id).ok_or_else(|| answers::not_found("User"))?;
        if let Some(email) = email.filter(|email| *email != user.email) {
            if skip_reconfirmation {
                user.email = email;
                user.unconfirmed_email = None;
            } else {
                user.unconfirmed_email = Some(email);
            }
        }
        user.username = username.unwrap_or_else(|| old.username.clone());
        user.name = params
            .filled("name")
            .map_or_else(|| old.name.clone(), |name| name.trim().to_owned());
        user.admin = admin.unwrap_or(old.admin);
        user.external = external.unwrap_or(old.external);
        user.note = params.text("note").or(old.note);
        if let Some(password) = password {
            user.password_digest = digest(&password);
            user.password_automatically_set = false;
            user.password_expires_at = (caller.user_id != id).then_some(now);
        }
        let user = user.clone();
        if let Some(from) = renamed_from {
            move_namespace(world, &from, &user.username);
        }
        Ok(answers::json_answer(
            200,
            &entities::user_for_admin(world, &user, &call.base),
        ))
    })
}

/// A renamed account takes its personal projects along; their old paths redirect.
fn move_namespace(world: &mut World, from: &str, to: &str) {
    let prefix = format!("{from}/");
    let moved: Vec<String> = world
        .projects
        .iter()
        .filter(|project| project.owner_id.is_some() && project.full_path.starts_with(&prefix))
        .map(|project| project.full_path.clone())
        .collect();
    for path in moved {
        let new_path = format!("{to}/{}", &path[prefix.len()..]);
        world.move_project(&path, &new_path);
    }
}

fn email_taken(world: &World, email: &str, except: Option<u64>) -> bool {
    world
        .users
        .iter()
        .filter(|user| Some(user.id) != except)
        .flat_map(|user| user.secondary_emails.iter().chain([&user.email]))
        .any(|taken| taken.eq_ignore_ascii_case(email))
}

fn email_fault(email: &str) -> Option<&'static str> {
    let valid = email
        .split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
        && !email.contains(char::is_whitespace);
    if email.trim().is_empty() {
        Some("can't be blank")
    } else {
        (!valid).then_some("is invalid")
    }
}

/// What is wrong with a username, and the field under which GitLab says so.
fn username_fault(world: &World, username: &str) -> Option<(&'static str, &'static str)> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    let reserved = ["duo-", "duo_", "ai-", "ai_"];
    if username.trim().is_empty() {
        return Some(("username", "can't be blank"));
    }
    if !username.chars().all(allowed) || username.starts_with('-') || username.ends_with(['.', '-']) {
        return Some((
            "username",
            "can contain only letters, digits, '_', '-' and '.'. Cannot start with '-' or end in '.', '.git' or '.atom'.",
        ));
    }
    let lower = username.to_ascii_lowercase();
    if world.switches.at_least(19, 0) && reserved.iter().any(|start| lower.starts_with(start)) {
        return Some(("username", "is a reserved name"));
    }
    // Accounts and top-level groups share one namespace.
    world
        .group_at(username)
        .map(|_| ("base", "A user, alias, or group already exists with that username."))
}

/// What is wrong with a password (Devise).
pub(crate) fn password_fault(world: &World, password: &str) -> Option<String> {
    let minimum = world.switches.minimum_password_length as usize;
    if password.is_empty() {
        return Some("can't be blank".to_owned());
    }
    (password.chars().count() < minimum).then(|| format!("is too short (minimum is {minimum} characters)"))
}

async fn block(call: Call) -> Answer {
    change_state(&call, |user, oneself| match user.state {
        _ if oneself => Err((403, "403 Forbidden - You cannot block yourself")),
        _ if user.internal => Err((403, "403 Forbidden - An internal user cannot be blocked")),
        UserState::LdapBlocked => Err((403, "403 Forbidden - LDAP blocked users cannot be modified by the API")),
        UserState::Blocked => Ok(None),
        _ => Ok(Some(UserState::Blocked)),
    })
}

async fn unblock(call: Call) -> Answer {
    change_state(&call, |user, _| match user.state {
        UserState::LdapBlocked => Err((403, "403 Forbidden - LDAP blocked users cannot be unblocked by the API")),
        UserState::Deactivated => Err((403, "403 Forbidden - Deactivated users cannot be unblocked by the API")),
        _ => Ok(Some(UserState::Active)),
    })
}

async fn activate(call: Call) -> Answer {
    change_state(&call, |user, _| match user.state {
        UserState::Blocked | UserState::LdapBlocked => {
            Err((403, "403 Forbidden - A blocked user must be unblocked to be activated"))
        }
        _ => Ok(Some(UserState::Active)),
    })
}

async fn approve(call: Call) -> Answer {
    change_state(&call, |user, _| match user.state {
        UserState::BlockedPendingApproval => Ok(Some(UserState::Active)),
        _ => Err((409, "The user you are trying to approve is not pending approval")),
    })
}

async fn ban(call: Call) -> Answer {
    change_state(&call, |user, oneself| match user.state {
        _ if oneself => Err((403, "403 Forbidden - You cannot ban yourself")),
        UserState::Active => Ok(Some(UserState::Banned)),
        _ => Err((403, "403 Forbidden - You cannot ban users who are not active.")),
    })
}

async fn unban(call: Call) -> Answer {
    change_state(&call, |user, _| match user.state {
        UserState::Banned => Ok(Some(UserState::Active)),
        _ => Err((403, "403 Forbidden - You cannot unban users who are not banned.")),
    })
}

async fn deactivate(call: Call) -> Answer {
    change_state(&call, |user, _| match user.state {
        UserState::Blocked | UserState::LdapBlocked => {
            Err((403, "403 Forbidden - A blocked user cannot be deactivated by the API"))
        }
        _ if user.internal => Err((403, "403 Forbidden - Internal users cannot be deactivated by the API")),
        UserState::Deactivated => Ok(None),
        _ => Ok(Some(UserState::Deactivated)),
    })
}

/// Changes the state of an account: `Ok(None)` leaves it and answers `null`, as GitLab does. A row that does not pass
/// GitLab's checks cannot be saved: 201 all the same, with `false`.
fn change_state(
    call: &Call,
    decide: impl FnOnce(&User, bool) -> Result<Option<UserState>, (u16, &'static str)>,
) -> Answer {
    let id = call.id("id")?;
    call.app.write(|world| {
        let caller = call.admin(world)?;
        let user = world.user_mut(id).ok_or_else(|| answers::not_found("User"))?;
        match decide(user, caller.user_id == id) {
            Err((status, text)) => Err(answers::message(status, text)),
            Ok(None) => Ok(answers::json_answer(201, &Value::Null)),
            Ok(Some(_)) if user.invalid => Ok(answers::json_answer(201, &json!(false))),
            Ok(Some(state)) => {
                user.state = state;
                if state != UserState::Active {
                    world.sessions.retain(|session| session.user_id != Some(id));
                }
                Ok(answers::json_answer(201, &json!(true)))
            }
        }
    })
}

async fn disable_two_factor(call: Call) -> Answer {
    let id = call.id("id")?;
    call.app.write(|world| {
        call.admin(world)?;
        let user = world.user_mut(id).ok_or_else(|| answers::not_found("User"))?;
        if user.admin {
            let text = "403 Forbidden - Two-factor authentication for admins cannot be disabled via the API. Use the Rails console";
            return Err(answers::message(403, text));
        }
        if !user.two_factor_enabled() {
            return Err(answers::message(400, "400 Bad request - Two-factor authentication is not enabled for this user"));
        }
        user.totp_secret = None;
        user.totp_last_step = None;
        user.security_key = false;
        user.recovery_digests.clear();
        Ok(answers::no_content())
    })
}

async fn remove(call: Call) -> Answer {
    let id = call.id("id")?;
    let hard = call.params.is_true("hard_delete")?;
    call.app.write(|world| {
        call.admin(world)?;
        world.user(id).ok_or_else(|| answers::not_found("User"))?;
        if !hard && sole_owner(world, id) {
            return Err(answers::message(
                409,
                "User cannot be removed while is the sole-owner of a group",
            ));
        }
        remove_user(world, id);
        Ok(answers::no_content())
    })
}

fn sole_owner(world: &World, id: u64) -> bool {
    world
        .members
        .iter()
        .filter(|member| member.user_id == id && member.access_level == 50 && !member.requested)
        .any(|owner| {
            matches!(owner.source, Source::Group(_))
                && !world
                    .members
                    .iter()
                    .any(|other| other.source == owner.source && other.user_id != id && other.access_level == 50)
        })
}

/// Deletes an account with its sessions, tokens, memberships and personal projects. GitLab does it a little later.
pub(crate) fn remove_user(world: &mut World, id: u64) {
    world.users.retain(|user| user.id != id);
    world.members.retain(|member| member.user_id != id);
    world.personal_tokens.retain(|token| token.user_id != id);
    world.oauth_tokens.retain(|token| token.user_id != id);
    world.grants.retain(|grant| grant.user_id != id);
    world.sessions.retain(|session| session.user_id != Some(id));
    world.projects.retain(|project| project.owner_id != Some(id));
}

async fn emails(call: Call) -> Answer {
    let id = call.id("id")?;
    call.app.read(|world| {
        call.admin(world)?;
        let user = world.user(id).ok_or_else(|| answers::not_found("User"))?;
        let all: Vec<(usize, &String)> = user.secondary_emails.iter().enumerate().collect();
        paging::offset(
            &call,
            &all,
            |(number, email)| json!({ "id": number + 1, "email": email, "confirmed_at": user.confirmed_at }),
        )
    })
}

/// Direct memberships, in no order that GitLab promises. Without `type` access requests are among them; with it they
/// are not, and of groups minimal access is left out.
async fn memberships(call: Call) -> Answer {
    let id = call.id("id")?;
    let kind = call.params.filled("type");
    if kind
        .as_ref()
        .is_some_and(|kind| kind != "Project" && kind != "Namespace")
    {
        return Err(answers::error(400, "type does not have a valid value"));
    }
    call.app.read(|world| {
        call.admin(world)?;
        world.user(id).ok_or_else(|| answers::not_found("User"))?;
        let members: Vec<_> = world
            .members
            .iter()
            .filter(|member| member.user_id == id)
            .filter(|member| match (kind.as_deref(), member.source) {
                (None, _) => true,
                (Some("Project"), Source::Project(_)) => !member.requested,
                (Some("Namespace"), Source::Group(_)) => !member.requested && member.access_level > 5,
                _ => false,
            })
            .collect();
        paging::offset(&call, &members, |member| entities::membership(world, member))
    })
}

async fn associations_count(call: Call) -> Answer {
    let id = call.id("id")?;
    call.app.read(|world| {
        call.admin(world)?;
        world.user(id).ok_or_else(|| answers::not_found("User"))?;
        let count = |group: bool| {
            let of = |source: Source| matches!(source, Source::Group(_)) == group;
            world.members.iter().filter(|member| member.user_id == id && of(member.source)).count()
        };
        Ok(answers::json_answer(
            200,
            &json!({
                "groups_count": count(true), "projects_count": count(false), "issues_count": 0, "merge_requests_count": 0,
            }),
        ))
    })
}

async fn list_tokens(call: Call) -> Answer {
    let id = call.id("id")?;
    call.app.read(|world| {
        impersonation_allowed(world)?;
        call.admin(world)?;
        world.user(id).ok_or_else(|| answers::not_found("User"))?;
        let tokens: Vec<_> = world
            .personal_tokens
            .iter()
            .filter(|token| token.impersonation && token.user_id == id)
            .collect();
        paging::offset(&call, &tokens, |token| token_json(token))
    })
}

async fn create_token(call: Call) -> Answer {
    let id = call.id("id")?;
    call.app.write(|world| {
        impersonation_allowed(world)?;
        call.admin(world)?;
        call.params.require(&["name", "scopes"])?;
        world.user(id).ok_or_else(|| answers::not_found("User"))?;
        let secret = format!("glpat-{}", random_hex(10));
        let token = PersonalToken {
            id: world.next_id("token"),
            user_id: id,
            name: call.params.text("name").unwrap_or_default(),
            token_digest: digest(&secret),
            scopes: call.params.list("scopes"),
            granular: None,
            revoked: false,
            impersonation: true,
            expires_at: call.params.filled("expires_at"),
            created_at: world.now(),
        };
        let mut body = token_json(&token);
        entities::extend(&mut body, json!({ "token": secret }));
        world.personal_tokens.push(token);
        Ok(answers::json_answer(201, &body))
    })
}

async fn revoke_token(call: Call) -> Answer {
    let (id, token_id) = (call.id("id")?, call.id("token_id")?);
    call.app.write(|world| {
        impersonation_allowed(world)?;
        call.admin(world)?;
        let token = world
            .personal_tokens
            .iter_mut()
            .find(|token| token.impersonation && token.user_id == id && token.id == token_id)
            .ok_or_else(|| answers::not_found("Impersonation Token"))?;
        token.revoked = true;
        Ok(answers::no_content())
    })
}

/// Without `impersonation_enabled` these endpoints are not there at all.
fn impersonation_allowed(world: &World) -> Result<(), Response> {
    if world.switches.impersonation_enabled {
        Ok(())
    } else {
        Err(answers::error(404, "404 Not Found"))
    }
}

fn token_json(token: &PersonalToken) -> Value {
    json!({
        "id": token.id, "name": token.name, "revoked": token.revoked, "created_at": token.created_at,
        "description": null, "scopes": token.scopes, "user_id": token.user_id, "last_used_at": null,
        "active": !token.revoked, "expires_at": token.expires_at, "impersonation": token.impersonation,
    })
}
