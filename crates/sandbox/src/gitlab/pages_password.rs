//! The change of a password that has expired, which stands before every other page.
//!
//! GitLab: `user_settings/passwords_controller.rb`.

use axum::http::StatusCode;

use super::pages_html::Form;
use super::pages_http::Page;
use super::pages_visit::Visit;
use crate::world::digest;

/// `GET /-/user_settings/password/new`: the form that an expired password leads to.
pub(super) fn form(visit: &mut Visit<'_>) -> Page {
    match visit.authenticate_for_oauth() {
        Ok(_) => render(visit, None),
        Err(page) => page,
    }
}

/// `POST /-/user_settings/password`
pub(super) fn submit(visit: &mut Visit<'_>) -> Page {
    if !visit.csrf_valid() {
        return Visit::rejected();
    }
    let user = match visit.authenticate_for_oauth() {
        Ok(user) => user,
        Err(page) => return page,
    };
    let given = |name: &str| visit.request.param(name).unwrap_or_default().to_owned();
    let (current, new, again) = (
        given("user[password]"),
        given("user[new_password]"),
        given("user[password_confirmation]"),
    );
    if !user.password_automatically_set && digest(&current) != user.password_digest {
        return visit.redirect(
            "/-/user_settings/password/new",
            Some(("alert", "You must provide a valid current password.")),
        );
    }
    let least = visit.world.switches.minimum_password_length;
    if new.chars().count() < usize::try_from(least).unwrap_or(usize::MAX) {
        return render(
            visit,
            Some(&format!("Password is too short (minimum is {least} characters)")),
        );
    }
    if new != again {
        return render(visit, Some("Password confirmation doesn't match Password"));
    }
    if let Some(user) = visit.world.user_mut(user.id) {
        user.password_digest = digest(&new);
        user.password_automatically_set = false;
        user.password_expires_at = None;
    }
    visit.redirect("/", Some(("notice", "Password successfully changed")))
}

fn render(visit: &mut Visit<'_>, alert: Option<&str>) -> Page {
    let token = visit.csrf();
    let ask_current = visit
        .current_user()
        .is_some_and(|user| !user.password_automatically_set);
    let mut form = Form::open("edit_user", &visit.path("/-/user_settings/password"), "post", &token);
    if ask_current {
        form = form.input("password", "user[password]", "Current password", "");
    }
    let form = form
        .input("password", "user[new_password]", "New password", "")
        .input("password", "user[password_confirmation]", "Password confirmation", "")
        .submit("Set new password");
    visit.page(
        StatusCode::OK,
        "New Password",
        alert,
        &format!("<h1>Set up new password</h1>\n<p>The password of this account has ended.</p>\n{form}"),
    )
}
