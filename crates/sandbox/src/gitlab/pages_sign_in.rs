//! Signing in and out by form, with what GitLab may put in the way before the account is even looked at: reCAPTCHA,
//! wrong passwords, locks.
//!
//! GitLab: `app/controllers/sessions_controller.rb`, `devise/sessions/new`, and Devise's failure application. Up to 18 the
//! page holds a plain form, from 19 on a Vue application around one.

use axum::http::StatusCode;
use jiff::SignedDuration;
use serde_json::json;

use super::pages_gate::{password_is, sign_in_refusal};
use super::pages_html::{Form, escape};
use super::pages_http::Page;
use super::pages_providers as providers;
use super::pages_second_factor::{self as second_factor, Door};
use super::pages_verification as verification;
use super::pages_visit::Visit;
use crate::generation::{Generation, PageKind};
use crate::world::{User, UserState};

/// Wrong passwords after which Devise locks the account, where the settings say nothing.
const FAILED_ATTEMPTS_TO_LOCK: u32 = 10;
/// Minutes for which it does.
const LOCKED_MINUTES: u32 = 10;
/// Anonymous sessions of one address, or wrong passwords of one session, after which the sign-in form has a reCAPTCHA.
const CAPTCHA_AFTER: u32 = 5;
/// What a wrong password is told, and much that is none.
pub(super) const INVALID: &str = "Invalid login or password.";

/// `GET /users/sign_in`
pub(super) fn form(visit: &mut Visit<'_>) -> Page {
    if signed_in_already(visit) {
        return go_back(visit);
    }
    if let Some(page) = providers::automatic(visit) {
        return page;
    }
    render(visit, None)
}

/// `POST /users/sign_in`
pub(super) fn submit(visit: &mut Visit<'_>) -> Page {
    if !visit.csrf_valid() {
        return Visit::rejected();
    }
    let login = visit.request.present("user[login]").map(ToOwned::to_owned);
    let password = visit.request.present("user[password]").map(ToOwned::to_owned);
    if (login.is_some() || password.is_some()) && visit.world.switches.password_login_off {
        return Page::html(
            StatusCode::FORBIDDEN,
            "<html><body><h1>403: You don't have the permission to access this page.</h1></body></html>".to_owned(),
        );
    }
    // A live session wins: whoever posts here is not looked at (Devise: `require_no_authentication`).
    if signed_in_already(visit) {
        return go_back(visit);
    }
    if password.is_some() && captcha_needed(visit) && visit.request.present("g-recaptcha-response").is_none() {
        return render(
            visit,
            Some("There was an error with the reCAPTCHA. Please solve the reCAPTCHA again."),
        );
    }
    if let Some(page) = verification::verify(visit) {
        return page;
    }
    let owing = visit.session().and_then(|session| session.otp_user_id);
    let user = match &login {
        Some(login) => find_by_login(visit, login),
        None => owing.and_then(|id| visit.world.user(id)).cloned(),
    };
    let Some(user) = user else { return failed(visit, None) };
    if user.two_factor_enabled() {
        return with_two_factor(visit, &user, password.as_deref(), owing);
    }
    if let Some(page) = verification::step_in(visit, &user) {
        return page;
    }
    if user.is_locked(visit.now) || !password_is(visit.world, &user, password.as_deref()) {
        return failed(visit, Some(user.id));
    }
    // Right password, but Devise's hook throws the user out again: a redirect, as after success.
    if let Some(reason) = sign_in_refusal(&user, visit.now) {
        return visit.thrown_out(reason);
    }
    signed_in(visit, &user)
}

/// `POST` or `DELETE /users/sign_out`
pub(super) fn sign_out(visit: &mut Visit<'_>) -> Page {
    visit.sign_out();
    visit.redirect("/users/sign_in", None)
}

fn signed_in_already(visit: &Visit<'_>) -> bool {
    visit
        .current_user()
        .is_some_and(|user| sign_in_refusal(&user, visit.now).is_none())
}

pub(super) fn find_by_login(visit: &Visit<'_>, login: &str) -> Option<User> {
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

/// Of an account with a second factor: the password, then the code.
fn with_two_factor(visit: &mut Visit<'_>, user: &User, password: Option<&str>, owing: Option<u64>) -> Page {
    if let Some(reason) = sign_in_refusal(user, visit.now) {
        return visit.redirect("/users/sign_in", Some(("alert", reason)));
    }
    let code = visit.request.present("user[otp_attempt]").map(ToOwned::to_owned);
    match code {
        Some(code) if owing == Some(user.id) => {
            if second_factor::takes(visit.world, user.id, &code) {
                return signed_in(visit, user);
            }
            count_failure(visit, user.id);
            second_factor::refuse(visit, Door::SignIn, user)
        }
        _ if password_is(visit.world, user, password) => {
            visit.session_mut().otp_user_id = Some(user.id);
            second_factor::ask(visit, Door::SignIn, user)
        }
        _ => failed(visit, Some(user.id)),
    }
}

/// Whether a reCAPTCHA stands on the form.
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
    if let Some(id) = user_id {
        count_failure(visit, id);
    }
    render(visit, Some(INVALID))
}

/// A wrong password or code: after so many of them Devise locks the account for a while.
pub(super) fn count_failure(visit: &mut Visit<'_>, user_id: u64) {
    let now = visit.now;
    let verified = visit
        .world
        .user(user_id)
        .is_some_and(|user| verification::concerns(visit, user));
    let switches = &visit.world.switches;
    let minutes = switches
        .failed_login_attempts_unlock_period_in_minutes
        .unwrap_or(LOCKED_MINUTES);
    let (limit, lock) = if verified {
        (verification::FAILURES, verification::LOCK)
    } else {
        (
            switches.max_login_attempts.unwrap_or(FAILED_ATTEMPTS_TO_LOCK),
            SignedDuration::from_mins(i64::from(minutes)),
        )
    };
    let Some(user) = visit.world.user_mut(user_id) else {
        return;
    };
    if user.is_locked(now) {
        return;
    }
    if user.locked {
        // A lock that has ended leaves no trace.
        user.locked = false;
        user.failed_attempts = 0;
    }
    user.failed_attempts += 1;
    if user.failed_attempts >= limit {
        user.locked = true;
        user.locked_until = Some(now + lock);
    }
}

/// Signs in, and activates whom dormancy deactivated.
pub(super) fn signed_in(visit: &mut Visit<'_>, user: &User) -> Page {
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

fn render(visit: &mut Visit<'_>, alert: Option<&str>) -> Page {
    let shape = visit.world.switches.shape(PageKind::SignIn);
    if shape == Generation::Unknown {
        return visit.unheard_page();
    }
    let own = if visit.world.switches.password_login_off {
        String::new()
    } else if shape >= Generation::V19_3 {
        vue_form(visit)
    } else {
        plain_form(visit)
    };
    let mut content = providers::with_others(visit, &own);
    if content.is_empty() {
        "<p>Sign-in by password is switched off.</p>".clone_into(&mut content);
    }
    visit.page(StatusCode::OK, "Sign in", alert, &content)
}

/// The form up to 18.
fn plain_form(visit: &mut Visit<'_>) -> String {
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
    format!("<h1>Sign in</h1>\n{form}\n{}", providers::MOUNT_PASSWORD)
}

/// The form from 19 on: hidden fields that a component fills, and its data, which alone says whether there is a
/// reCAPTCHA.
fn vue_form(visit: &mut Visit<'_>) -> String {
    let token = visit.csrf();
    let data = json!({
        "sign_in_path": visit.path("/users/sign_in"),
        "users_sign_in_path_path": visit.path("/users/sign_in_path"),
        "passkeys_sign_in_path": visit.path("/users/passkeys/sign_in"),
        "is_unconfirmed_email": false,
        "new_user_confirmation_path": visit.path("/users/confirmation/new"),
        "new_password_path": visit.path("/users/password/new"),
        "show_captcha": captcha_needed(visit),
        "is_remember_me_enabled": true,
    });
    let form = Form::open("new_user", &visit.path("/users/sign_in"), "post", &token)
        .hidden("user[login]", Some(""))
        .hidden("user[password]", Some(""))
        .hidden("user[remember_me]", Some("0"))
        .submit("Sign in");
    format!(
        "<div id=\"js-sign-in-form\" data-app-data=\"{}\">\n{form}</div>\n<script>{MOUNT_SIGN_IN}</script>",
        escape(&data.to_string())
    )
}

/// What GitLab's component does: it shows the fields.
const MOUNT_SIGN_IN: &str = "[['user[login]','text'],['user[password]','password']].forEach(function(f){\
var i=document.querySelector('#js-sign-in-form input[name=\"'+f[0]+'\"]');i.type=f[1]})";
