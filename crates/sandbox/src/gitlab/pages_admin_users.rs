//! Admin area > Users: the page of an account, and impersonation.
//!
//! GitLab: `admin/users_controller.rb`, `admin/impersonations_controller.rb`, `helpers/users_helper.rb`.

use std::fmt::Write as _;

use axum::http::StatusCode;

use super::pages_admin::enter;
use super::pages_gate::sign_in_refusal;
use super::pages_html::escape;
use super::pages_http::Page;
use super::pages_visit::Visit;
use crate::generation::{Generation, PageKind};
use crate::world::{User, UserState};

/// `GET /admin/users`
pub(super) fn index(visit: &mut Visit<'_>) -> Page {
    if let Err(page) = enter(visit) {
        return page;
    }
    let mut rows = String::new();
    for user in &visit.world.users {
        let _ = writeln!(
            rows,
            "<tr><td><a href=\"{}\">{}</a></td><td>@{}</td><td>{}</td><td>{}</td></tr>",
            escape(&visit.path(&format!("/admin/users/{}", user.username))),
            escape(&user.name),
            escape(&user.username),
            escape(&user.email),
            user.state.word()
        );
    }
    let content = format!(
        "<h1>Users</h1>\n<table>\n<thead><tr><th>Name</th><th>Username</th><th>Email</th><th>State</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>"
    );
    visit.page(StatusCode::OK, "Users", None, &content)
}

/// `GET /admin/users/:username`
pub(super) fn show(visit: &mut Visit<'_>, username: &str) -> Page {
    let user = match door_and_user(visit, username) {
        Ok(user) => user,
        Err(page) => return page,
    };
    if visit.unheard_of(PageKind::User) {
        return visit.unheard_page();
    }
    let impersonate = impersonation(visit, &user);
    let confirmed = if user.confirmed_at.is_some() { "Yes" } else { "No" };
    let content = format!(
        "<h1>{name}{admin}</h1>\n{impersonate}\n<table>\n<tr><td>ID</td><td>{id}</td></tr>\n<tr><td>Username</td><td>{username}</td></tr>\n\
         <tr><td>Email</td><td>{email}</td></tr>\n<tr><td>State</td><td>{state}</td></tr>\n<tr><td>Confirmed</td><td>{confirmed}</td></tr>\n\
         <tr><td>Two-factor Authentication</td><td>{two_factor}</td></tr>\n<tr><td>Last activity</td><td>{activity}</td></tr>\n</table>",
        name = escape(&user.name),
        admin = if user.admin { " (Admin)" } else { "" },
        id = user.id,
        username = escape(&user.username),
        email = escape(&user.email),
        state = user.state.word(),
        two_factor = if user.two_factor_enabled() {
            "Enabled"
        } else {
            "Disabled"
        },
        activity = user.last_activity_on.as_deref().unwrap_or("never"),
    );
    visit.page(StatusCode::OK, &user.name, None, &content)
}

/// The link that impersonates, or why it does not.
fn impersonation(visit: &Visit<'_>, user: &User) -> String {
    let oneself = visit.current_user().is_some_and(|current| current.id == user.id);
    if !visit.world.switches.impersonation_enabled || oneself {
        return String::new();
    }
    let path = visit.path(&format!("/admin/users/{}/impersonate", user.username));
    let path = escape(&path);
    let refusal = refusal(visit, user);
    if visit.world.switches.shape(PageKind::User) >= Generation::V19_3 {
        let (disabled, reason) = refusal.map_or(("", ""), |reason| (" disabled=\"disabled\"", reason));
        return format!(
            "<span class=\"btn-group\" title=\"{}\"><a class=\"gl-button btn{}\" rel=\"nofollow\" data-method=\"post\"{disabled} \
             href=\"{path}\">Impersonate</a></span>",
            escape(reason),
            if disabled.is_empty() { "" } else { " disabled" },
        );
    }
    match refusal {
        Some(reason) => format!(
            "<p><span title=\"{0}\"><button disabled>Impersonate</button></span> {0}</p>",
            escape(reason)
        ),
        None => format!(
            "<p><a rel=\"nofollow\" data-method=\"post\" data-testid=\"impersonate-user-link\" href=\"{path}\">Impersonate</a></p>"
        ),
    }
}

/// `POST /admin/users/:username/impersonate`: home as that user, or back to the user's page with the reason.
pub(super) fn impersonate(visit: &mut Visit<'_>, username: &str) -> Page {
    if !visit.csrf_valid() {
        return Visit::rejected();
    }
    // While one impersonates a user who is no administrator, the door itself answers 404.
    let user = match door_and_user(visit, username) {
        Ok(user) => user,
        Err(page) => return page,
    };
    if !visit.world.switches.impersonation_enabled {
        return Visit::not_found();
    }
    if let Some(reason) = refusal(visit, &user) {
        return visit.redirect(&format!("/admin/users/{}", user.username), Some(("alert", reason)));
    }
    let impersonator = visit.current_user().map(|current| current.id);
    switch(visit, user.id, impersonator);
    let notice = format!("You are now impersonating {}", user.username);
    visit.redirect("/", Some(("notice", &notice)))
}

/// `DELETE /admin/impersonation`: back to the administrator, on the page of the user that was impersonated.
pub(super) fn stop(visit: &mut Visit<'_>) -> Page {
    if !visit.csrf_valid() {
        return Visit::rejected();
    }
    // What stands before every page of the impersonated user stands before this one, too.
    let user = match visit.authenticate() {
        Ok(user) => user,
        Err(page) => return page,
    };
    let Some(impersonator) = visit.impersonator() else {
        return Visit::not_found();
    };
    if !impersonator.admin || sign_in_refusal(&impersonator, visit.now).is_some() {
        return Visit::not_found();
    }
    switch(visit, impersonator.id, None);
    visit.redirect(&format!("/admin/users/{}", user.username), None)
}

/// Changes who the session is (Warden: `set_user`): a new cookie, no CSRF token, Admin Mode stays as it was.
fn switch(visit: &mut Visit<'_>, user_id: u64, impersonator_id: Option<u64>) {
    visit.become_user(user_id);
    visit.session_mut().impersonator_id = impersonator_id;
}

fn refusal(visit: &Visit<'_>, user: &User) -> Option<&'static str> {
    if visit.impersonator().is_some() {
        return Some("You are already impersonating another user");
    }
    match user.state {
        UserState::Blocked | UserState::LdapBlocked | UserState::Banned | UserState::BlockedPendingApproval => {
            return Some("You cannot impersonate a blocked user");
        }
        UserState::Deactivated => return Some("You cannot impersonate a user who cannot log in"),
        UserState::Active => {}
    }
    if user.password_expires_at.is_some_and(|end| end <= visit.now) {
        return Some("You cannot impersonate a user with an expired password");
    }
    if user.internal {
        return Some("You cannot impersonate an internal user");
    }
    if sign_in_refusal(user, visit.now).is_some() {
        return Some("You cannot impersonate a user who cannot log in");
    }
    None
}

fn door_and_user(visit: &mut Visit<'_>, username: &str) -> Result<User, Page> {
    enter(visit)?;
    visit.world.user_named(username).cloned().ok_or_else(Visit::not_found)
}
