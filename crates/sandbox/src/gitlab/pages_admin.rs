//! The door of the admin area: who may pass, and Admin Mode's second sign-in.
//!
//! GitLab: `concerns/enforces_admin_authentication.rb`, `admin/sessions_controller.rb`,
//! `lib/gitlab/auth/current_user_mode.rb` (requested for five minutes, on for six hours).

use axum::http::StatusCode;
use jiff::SignedDuration;

use super::pages_gate::password_is;
use super::pages_html::{Form, escape};
use super::pages_http::Page;
use super::pages_providers as providers;
use super::pages_second_factor::{self as second_factor, Door};
use super::pages_visit::Visit;
use crate::generation::PageKind;
use crate::world::User;

/// Lets an administrator in. Others get 404, strangers the sign-in page, and an administrator without Admin Mode
/// where it is required the page that asks for the password again.
pub(super) fn enter(visit: &mut Visit<'_>) -> Result<User, Page> {
    let user = visit.authenticate()?;
    if !user.admin {
        return Err(Visit::not_found());
    }
    if visit.world.switches.admin_mode && !admin_mode_on(visit) {
        let back = visit.full_path();
        visit.session_mut().return_to = Some(back);
        return Err(visit.redirect("/admin/session/new", Some(("notice", "Re-authentication required"))));
    }
    if visit.world.switches.admin_mode && visit.world.switches.step_up_for_admin_mode {
        // The session was not stepped up at a provider: Admin Mode ends again at the first page that it opens.
        visit.session_mut().admin_mode_until = None;
        return Err(visit.redirect("/admin/session/new", Some(("notice", "Step-up authentication failed."))));
    }
    Ok(user)
}

fn admin_mode_on(visit: &Visit<'_>) -> bool {
    visit
        .session()
        .and_then(|session| session.admin_mode_until)
        .is_some_and(|until| until > visit.now)
}

/// `GET /admin`
pub(super) fn dashboard(visit: &mut Visit<'_>) -> Page {
    if let Err(page) = enter(visit) {
        return page;
    }
    let leave = if visit.world.switches.admin_mode {
        let path = visit.path("/admin/session/destroy");
        format!(
            "<p><a data-method=\"post\" rel=\"nofollow\" href=\"{}\">Leave admin mode</a></p>",
            escape(&path)
        )
    } else {
        String::new()
    };
    let content = format!(
        "<h1>Admin area</h1>\n<ul><li><a href=\"{}\">Users</a></li><li><a href=\"{}\">Applications</a></li></ul>\n{leave}",
        escape(&visit.path("/admin/users")),
        escape(&visit.path("/admin/applications")),
    );
    visit.page(StatusCode::OK, "Admin area", None, &content)
}

/// `GET /admin/session/new`
pub(super) fn session_form(visit: &mut Visit<'_>) -> Page {
    if let Err(page) = administrator(visit) {
        return page;
    }
    if !visit.world.switches.admin_mode || admin_mode_on(visit) {
        return to_stored(visit, "Admin mode already enabled");
    }
    let now = visit.now;
    visit.session_mut().admin_mode_requested_at = Some(now);
    render_password_form(visit, None)
}

/// `POST /admin/session`: the password, then the one-time code where the account has one.
pub(super) fn session_submit(visit: &mut Visit<'_>) -> Page {
    if !visit.csrf_valid() {
        return Visit::rejected();
    }
    let user = match administrator(visit) {
        Ok(user) => user,
        Err(page) => return page,
    };
    let password = visit.request.present("user[password]").map(ToOwned::to_owned);
    let code = visit.request.present("user[otp_attempt]").map(ToOwned::to_owned);
    let right = password_is(visit.world, &user, password.as_deref());
    if user.two_factor_enabled() {
        let asked = visit.session().and_then(|session| session.otp_user_id) == Some(user.id);
        return match code {
            Some(code) if asked => {
                if second_factor::takes(visit.world, user.id, &code) {
                    visit.session_mut().otp_user_id = None;
                    enable(visit)
                } else {
                    second_factor::refuse(visit, Door::AdminMode, &user)
                }
            }
            _ if right => {
                visit.session_mut().otp_user_id = Some(user.id);
                second_factor::ask(visit, Door::AdminMode, &user)
            }
            _ => visit.redirect("/admin/session/new", Some(("alert", "Invalid login or password"))),
        };
    }
    if right {
        enable(visit)
    } else {
        render_password_form(visit, Some("Invalid login or password"))
    }
}

/// `POST /admin/session/destroy`: leaves Admin Mode.
pub(super) fn session_end(visit: &mut Visit<'_>) -> Page {
    if !visit.csrf_valid() {
        return Visit::rejected();
    }
    if let Err(page) = administrator(visit) {
        return page;
    }
    let session = visit.session_mut();
    session.admin_mode_until = None;
    session.admin_mode_requested_at = None;
    visit.redirect("/", Some(("notice", "Admin mode disabled")))
}

fn administrator(visit: &mut Visit<'_>) -> Result<User, Page> {
    let user = visit.authenticate()?;
    if user.admin { Ok(user) } else { Err(Visit::not_found()) }
}

/// Turns Admin Mode on, where it was asked for lately.
pub(super) fn enable(visit: &mut Visit<'_>) -> Page {
    let now = visit.now;
    let session = visit.session_mut();
    let requested = session
        .admin_mode_requested_at
        .is_some_and(|at| at + SignedDuration::from_mins(5) > now);
    if !requested {
        return visit.redirect(
            "/admin/session/new",
            Some((
                "alert",
                "Re-authentication period expired or never requested. Please try again",
            )),
        );
    }
    session.admin_mode_requested_at = None;
    session.admin_mode_until = Some(now + SignedDuration::from_hours(6));
    to_stored(visit, "Admin mode enabled")
}

fn to_stored(visit: &mut Visit<'_>, notice: &str) -> Page {
    let session = visit.session_mut();
    session.flash.push(("notice".to_owned(), notice.to_owned()));
    let back = session.return_to.take().filter(|path| !path.contains("/admin/session"));
    match back {
        Some(path) => visit.redirect_to_stored(&path),
        None => visit.redirect("/admin", None),
    }
}

fn render_password_form(visit: &mut Visit<'_>, alert: Option<&str>) -> Page {
    if visit.unheard_of(PageKind::AdminMode) {
        return visit.unheard_page();
    }
    let allowed = visit
        .current_user()
        .is_some_and(|user| !user.password_automatically_set && providers::password_allowed(visit.world, &user))
        && !visit.world.switches.password_login_off;
    let own = if allowed {
        let token = visit.csrf();
        let form = Form::open("new_user", &visit.path("/admin/session"), "post", &token)
            .raw(
                "<p><label for=\"user_password\">Password</label><br>\
                 <input type=\"password\" class=\"js-password\" data-id=\"user_password\" data-name=\"user[password]\"></p>",
            )
            .submit("Enter admin mode");
        format!("{form}\n{}", providers::MOUNT_PASSWORD)
    } else {
        String::new()
    };
    let mut ways = providers::with_others(visit, &own);
    if ways.is_empty() {
        "<p>No authentication methods configured.</p>".clone_into(&mut ways);
    }
    let content = format!("<h1>Enter admin mode</h1>\n{ways}");
    visit.page(StatusCode::OK, "Enter admin mode", alert, &content)
}
