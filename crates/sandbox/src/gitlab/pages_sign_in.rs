//! Signing in and out by form, with all that GitLab may put in the way: one-time codes, reCAPTCHA, terms of service, an
//! expired password, enforced two-factor authentication.
//!
//! GitLab: `app/controllers/sessions_controller.rb`, `concerns/authenticates_with_two_factor.rb`,
//! `user_settings/passwords_controller.rb`, `users/terms_controller.rb`, and Devise's failure application.

use axum::http::StatusCode;

use super::pages_gate::sign_in_refusal;
use super::pages_html::{Form, escape};
use super::pages_http::Page;
use super::pages_totp;
use super::pages_visit::Visit;
use crate::world::{User, UserState, digest};

/// Wrong passwords after which Devise locks the account.
const FAILED_ATTEMPTS_TO_LOCK: u32 = 10;
/// Anonymous sessions of one address, or wrong passwords of one session, after which the sign-in form has a reCAPTCHA.
const CAPTCHA_AFTER: u32 = 5;

/// `GET /users/sign_in`
pub(super) fn form(visit: &mut Visit<'_>) -> Page {
    if visit
        .current_user()
        .is_some_and(|user| sign_in_refusal(&user).is_none())
    {
        return go_back(visit);
    }
    render_form(visit, None)
}

/// `POST /users/sign_in`
pub(super) fn submit(visit: &mut Visit<'_>) -> Page {
    if !visit.csrf_valid() {
        return Visit::rejected();
    }
    let login = visit.request.present("user[login]").map(ToOwned::to_owned);
    let password = visit.request.present("user[password]").map(ToOwned::to_owned);
    let code = visit.request.present("user[otp_attempt]").map(ToOwned::to_owned);
    if (login.is_some() || password.is_some()) && visit.world.switches.password_login_off {
        return Page::html(
            StatusCode::FORBIDDEN,
            "<html><body><h1>403: You don't have the permission to access this page.</h1></body></html>".to_owned(),
        );
    }
    // A live session wins: whoever posts here is not looked at (Devise: `require_no_authentication`).
    if visit
        .current_user()
        .is_some_and(|user| sign_in_refusal(&user).is_none())
    {
        return go_back(visit);
    }
    if password.is_some() && captcha_needed(visit) && visit.request.present("g-recaptcha-response").is_none() {
        return render_form(
            visit,
            Some("There was an error with the reCAPTCHA. Please solve the reCAPTCHA again."),
        );
    }
    let user = match &login {
        Some(login) => find_by_login(visit, login),
        None => visit
            .session()
            .and_then(|session| session.otp_user_id)
            .and_then(|id| visit.world.user(id))
            .cloned(),
    };
    let Some(user) = user else { return failed(visit, None) };
    if let (Some(code), Some(_)) = (&code, visit.session().and_then(|session| session.otp_user_id)) {
        return with_code(visit, &user, code);
    }
    if !password_fits(&user, password.as_deref()) {
        return failed(visit, Some(user.id));
    }
    if user.totp_secret.is_some() {
        if sign_in_refusal(&user).is_some() {
            return render_form(visit, Some("Invalid login or password."));
        }
        visit.session_mut().otp_user_id = Some(user.id);
        return render_code_form(visit, None);
    }
    // Right password, but Devise's hook throws the user out again: a redirect, as after success.
    if let Some(reason) = sign_in_refusal(&user) {
        return visit.redirect("/users/sign_in", Some(("alert", reason)));
    }
    signed_in(visit, &user)
}

/// `POST` or `DELETE /users/sign_out`
pub(super) fn sign_out(visit: &mut Visit<'_>) -> Page {
    visit.sign_out();
    visit.redirect("/users/sign_in", None)
}

/// `GET /-/profile/two_factor_auth`: where two-factor authentication is enforced and not set up.
pub(super) fn two_factor_set_up(visit: &mut Visit<'_>) -> Page {
    if visit.current_user().is_none() {
        return visit.redirect("/users/sign_in", None);
    }
    let form = Form::open(
        "two_factor",
        &visit.path("/-/profile/two_factor_auth"),
        "post",
        &visit.csrf(),
    )
    .input("text", "pin_code", "Enter verification code", "")
    .input("password", "current_password", "Current password", "")
    .submit("Register with two-factor app");
    visit.page(
        StatusCode::OK,
        "Two-factor Authentication",
        None,
        &format!("<h1>Register a two-factor authenticator</h1>\n<p>This account must have one before it can go on.</p>\n{form}"),
    )
}

/// `GET /-/user_settings/password/new`: the form that an expired password leads to.
pub(super) fn password_form(visit: &mut Visit<'_>) -> Page {
    match visit.authenticate_for_oauth() {
        Ok(_) => render_password_form(visit, None),
        Err(page) => page,
    }
}

/// `POST /-/user_settings/password`
pub(super) fn password_submit(visit: &mut Visit<'_>) -> Page {
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
        return render_password_form(
            visit,
            Some(&format!("Password is too short (minimum is {least} characters)")),
        );
    }
    if new != again {
        return render_password_form(visit, Some("Password confirmation doesn't match Password"));
    }
    if let Some(user) = visit.world.user_mut(user.id) {
        user.password_digest = digest(&new);
        user.password_automatically_set = false;
        user.password_expires_at = None;
    }
    visit.redirect("/", Some(("notice", "Password successfully changed")))
}

/// `GET /-/users/terms`
pub(super) fn terms(visit: &mut Visit<'_>) -> Page {
    if !visit.world.switches.enforce_terms {
        return visit.redirect("/", None);
    }
    let query: String = url::form_urlencoded::byte_serialize(back_from_terms(visit).as_bytes()).collect();
    let mut content = "<h1>Terms of service</h1>\n<p>Be kind to this sandbox.</p>\n".to_owned();
    if let Some(user) = visit.current_user() {
        if user.terms_accepted_at.is_none() {
            let token = visit.csrf();
            let action = |verb: &str| visit.path(&format!("/-/users/terms/1/{verb}?redirect={query}"));
            content.push_str(&Form::open("accept", &action("accept"), "post", &token).submit("Accept terms"));
            content.push_str(
                &Form::open("decline", &action("decline"), "post", &token).submit_quietly("Decline and sign out"),
            );
        } else {
            content.push_str("<p>You have accepted them already.</p>");
        }
    }
    visit.page(StatusCode::OK, "Terms of service", None, &content)
}

/// `POST /-/users/terms/:id/accept` and `…/decline`
pub(super) fn terms_answer(visit: &mut Visit<'_>, accepted: bool) -> Page {
    if !visit.csrf_valid() {
        return Visit::rejected();
    }
    let Some(user) = visit.current_user() else {
        return visit.redirect("/users/sign_in", None);
    };
    if !accepted {
        visit.sign_out();
        return visit.redirect("/", None);
    }
    let now = visit.now;
    if let Some(user) = visit.world.user_mut(user.id) {
        user.terms_accepted_at = Some(now);
    }
    visit.redirect_to_stored(&back_from_terms(visit))
}

/// The page to go to after the terms: only a path of this site.
fn back_from_terms(visit: &Visit<'_>) -> String {
    match visit.request.param("redirect") {
        Some(path) if path.starts_with('/') && !path.starts_with("//") && !path.contains("/users/terms") => {
            path.to_owned()
        }
        _ => visit.path("/"),
    }
}

fn find_by_login(visit: &Visit<'_>, login: &str) -> Option<User> {
    let login = login.trim();
    let by_mail = || {
        visit
            .world
            .users
            .iter()
            .find(|user| user.email.eq_ignore_ascii_case(login))
    };
    visit.world.user_named(login).or_else(by_mail).cloned()
}

/// The password is right and the account is not locked.
fn password_fits(user: &User, password: Option<&str>) -> bool {
    !user.locked
        && !user.password_automatically_set
        && !user.password_digest.is_empty()
        && password.is_some_and(|password| digest(password) == user.password_digest)
}

fn captcha_needed(visit: &Visit<'_>) -> bool {
    if !visit.world.switches.recaptcha {
        return false;
    }
    let anonymous = visit
        .world
        .sessions
        .iter()
        .filter(|session| session.user_id.is_none())
        .count();
    visit
        .session()
        .is_some_and(|session| session.failed_logins > CAPTCHA_AFTER)
        || anonymous >= usize::try_from(CAPTCHA_AFTER).unwrap_or(usize::MAX)
}

/// The form again, with status 200: Devise recalls the page. The text does not say what was wrong.
fn failed(visit: &mut Visit<'_>, user_id: Option<u64>) -> Page {
    visit.session_mut().failed_logins += 1;
    if let Some(user) = user_id.and_then(|id| visit.world.user_mut(id)) {
        user.failed_attempts += 1;
        user.locked |= user.failed_attempts >= FAILED_ATTEMPTS_TO_LOCK;
    }
    render_form(visit, Some("Invalid login or password."))
}

fn with_code(visit: &mut Visit<'_>, user: &User, code: &str) -> Page {
    if sign_in_refusal(user).is_some() || user.locked {
        return render_form(visit, Some("Invalid login or password."));
    }
    if pages_totp::consume(visit.world, user.id, code) {
        return signed_in(visit, user);
    }
    if let Some(user) = visit.world.user_mut(user.id) {
        user.failed_attempts += 1;
        user.locked |= user.failed_attempts >= FAILED_ATTEMPTS_TO_LOCK;
    }
    render_code_form(visit, Some("Invalid two-factor code."))
}

fn signed_in(visit: &mut Visit<'_>, user: &User) -> Page {
    visit.sign_in(user.id);
    if user.state == UserState::Deactivated {
        if let Some(user) = visit.world.user_mut(user.id) {
            user.state = UserState::Active;
        }
        visit.session_mut().flash.push((
            "notice".to_owned(),
            "Welcome back! Your account had been deactivated due to inactivity but is now reactivated.".to_owned(),
        ));
    }
    go_back(visit)
}

/// To where the visitor wanted to go before the sign-in page, else home.
fn go_back(visit: &mut Visit<'_>) -> Page {
    let back = visit.session_mut().return_to.take();
    match back {
        Some(path) => visit.redirect_to_stored(&path),
        None => visit.redirect("/", None),
    }
}

fn render_form(visit: &mut Visit<'_>, alert: Option<&str>) -> Page {
    let token = visit.csrf();
    let mut form = Form::open("new_user", &visit.path("/users/sign_in"), "post", &token)
        .input("text", "user[login]", "Username or primary email", "")
        // GitLab sends this field without a name and mounts the real one by script.
        .raw(
            "<p><label for=\"user_password\">Password</label><br>\
             <input type=\"password\" class=\"js-password\" data-id=\"user_password\" data-name=\"user[password]\" data-required=\"true\"></p>",
        )
        .raw(&format!(
            "<p><a href=\"{}\">Forgot your password?</a></p>",
            escape(&visit.path("/users/password/new"))
        ));
    if captcha_needed(visit) {
        form = form.raw("<div class=\"g-recaptcha\" data-sitekey=\"sandbox\">A reCAPTCHA stands here.</div>");
    }
    let form = form
        .checkbox("user[remember_me]", "Remember me", false)
        .submit("Sign in");
    let content = if visit.world.switches.password_login_off {
        "<p>Sign-in by password is switched off.</p>".to_owned()
    } else {
        format!("<h1>Sign in</h1>\n{form}\n{MOUNT_PASSWORD}")
    };
    visit.page(StatusCode::OK, "Sign in", alert, &content)
}

/// What GitLab's script does to the password field.
pub(super) const MOUNT_PASSWORD: &str = "<script>document.querySelectorAll('.js-password').forEach(function(e){\
e.id=e.dataset.id;e.name=e.dataset.name;e.required=true})</script>";

fn render_code_form(visit: &mut Visit<'_>, alert: Option<&str>) -> Page {
    let token = visit.csrf();
    let remember = if visit.request.param("user[remember_me]") == Some("1") {
        "1"
    } else {
        "0"
    };
    let form = Form::open("new_user", &visit.path("/users/sign_in"), "post", &token)
        .hidden("user[remember_me]", Some(remember))
        .input("text", "user[otp_attempt]", "Enter verification code", "")
        .submit("Verify code");
    visit.page(
        StatusCode::OK,
        "Two-Factor Authentication",
        alert,
        &format!("<h1>Two-factor authentication</h1>\n{form}"),
    )
}

fn render_password_form(visit: &mut Visit<'_>, alert: Option<&str>) -> Page {
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
