//! E-mail verification: with `require_email_verification_on_account_locked`, whoever signs in without a second factor
//! from an address not seen before is locked out of the account until a mailed code is given.
//!
//! GitLab: `concerns/verifies_with_email.rb`. It comes after the password's check and before the sign-in, so that the
//! right password alone locks the account; and it counts the sign-ins that are tried, right or wrong. Only
//! `sessions_controller.rb` includes it: whoever comes from an LDAP server or another provider is asked for nothing.

use axum::http::StatusCode;
use jiff::SignedDuration;
use serde_json::json;

use super::pages_gate::password_is;
use super::pages_html::{Form, escape};
use super::pages_http::Page;
use super::pages_visit::Visit;
use crate::generation::{Generation, PageKind};
use crate::world::{User, UserState};

/// How long an account is locked.
pub(super) const LOCK: SignedDuration = SignedDuration::from_hours(24);
/// Wrong passwords that lock it.
pub(super) const FAILURES: u32 = 3;
/// Sign-ins that may be tried in ten minutes.
const ATTEMPTS: usize = 5;

/// Whether GitLab verifies that account by mail.
pub(super) fn concerns(visit: &Visit<'_>, user: &User) -> bool {
    visit.world.switches.require_email_verification_on_account_locked && !user.two_factor_enabled()
}

/// What stands between the form and the sign-in; `None`: nothing.
pub(super) fn step_in(visit: &mut Visit<'_>, user: &User) -> Option<Page> {
    if !concerns(visit, user) || user.state != UserState::Active {
        return None;
    }
    if too_many(visit, user.id) {
        let text = "Maximum login attempts exceeded. Wait 10 minutes and try again.";
        return Some(visit.redirect("/users/sign_in", Some(("alert", text))));
    }
    if !password_is(visit.world, user, visit.request.present("user[password]")) {
        return None;
    }
    let trusted = user.known_addresses.is_empty() || user.known_addresses.contains(&visit.address());
    if trusted && !user.is_locked(visit.now) {
        return None;
    }
    let until = visit.now + LOCK;
    let code = fresh_code();
    if let Some(user) = visit.world.user_mut(user.id) {
        user.locked = true;
        user.locked_until.get_or_insert(until);
        user.verification_code.get_or_insert(code);
    }
    visit.session_mut().verification_user_id = Some(user.id);
    Some(prompt(visit, user))
}

/// The mailed code, where one is given and owed.
pub(super) fn verify(visit: &mut Visit<'_>) -> Option<Page> {
    let given = visit.request.present("user[verification_token]")?.to_owned();
    let user_id = visit.session()?.verification_user_id?;
    let right = visit.world.user(user_id)?.verification_code.as_deref() == Some(given.trim());
    if !right {
        let body = json!({ "status": "failure", "reason": "invalid", "message": "The code is incorrect. Enter it again, or send a new code." });
        return Some(Page::json(StatusCode::OK, &body));
    }
    visit.sign_in(user_id);
    if let Some(user) = visit.world.user_mut(user_id) {
        user.verification_code = None;
    }
    let path = visit.path("/");
    Some(Page::json(
        StatusCode::OK,
        &json!({ "status": "success", "redirect_path": path }),
    ))
}

fn too_many(visit: &mut Visit<'_>, user_id: u64) -> bool {
    let now = visit.now;
    let Some(user) = visit.world.user_mut(user_id) else {
        return false;
    };
    user.sign_in_attempts
        .retain(|at| now < *at + SignedDuration::from_mins(10));
    user.sign_in_attempts.push(now);
    user.sign_in_attempts.len() > ATTEMPTS
}

fn fresh_code() -> String {
    let mut number = 0_u32;
    for byte in crate::world::random_bytes(4) {
        number = number << 8 | u32::from(byte);
    }
    format!("{:06}", number % 1_000_000)
}

fn prompt(visit: &mut Visit<'_>, user: &User) -> Page {
    let path = visit.path("/users/sign_in");
    let hidden = obfuscated(&user.email);
    let content = if visit.world.switches.shape(PageKind::SignIn) >= Generation::V17_11 {
        format!(
            "<div class=\"js-email-verification\" data-username=\"{}\" data-obfuscated-email=\"{}\" data-verify-path=\"{}\" \
             data-resend-path=\"{}\"></div>",
            escape(&user.username),
            escape(&hidden),
            escape(&path),
            escape(&visit.path("/users/resend_verification_code")),
        )
    } else {
        let token = visit.csrf();
        let form = Form::open("new_user", &path, "post", &token)
            .input("text", "user[verification_token]", "Verification code", "")
            .submit("Verify code");
        format!(
            "<h1>Help us protect your account</h1>\n<p>A code was sent to {}.</p>\n{form}",
            escape(&hidden)
        )
    };
    visit.page(StatusCode::OK, "Help us protect your account", None, &content)
}

/// `droid@example.com` is `dr**@e**.com`, about as GitLab hides it.
fn obfuscated(email: &str) -> String {
    let (user, host) = email.split_once('@').unwrap_or((email, ""));
    let ending = host.rsplit_once('.').map_or("", |(_, ending)| ending);
    let first = |text: &str, count: usize| text.chars().take(count).collect::<String>();
    format!("{}**@{}**.{ending}", first(user, 2), first(host, 1))
}
