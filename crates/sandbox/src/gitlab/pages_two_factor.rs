//! The set-up of an authenticator: the page to which everything leads where a second factor is enforced and missing.
//!
//! GitLab: `profiles/two_factor_auths_controller.rb`. The secret that the page shows stays the same for two minutes; a
//! later visit shows another, and the code is judged by the one that was shown last.

use std::fmt::Write as _;

use axum::http::StatusCode;
use jiff::SignedDuration;
use serde_json::Value;

use super::pages_html::{Form, escape};
use super::pages_http::Page;
use super::pages_visit::Visit;
use super::two_factor::{self, Enforced};
use super::{pages_gate, pages_providers, pages_sign_in, pages_totp};
use crate::world::{TotpOffer, User, digest, random_bytes, random_hex};

/// How long the page shows the same secret (`OTP_SECRET_TTL`).
const SECRET_LIFE: SignedDuration = SignedDuration::from_mins(2);
/// How many recovery codes there are.
const RECOVERY_CODES: usize = 10;

/// `GET /-/profile/two_factor_auth`
pub(super) fn show(visit: &mut Visit<'_>) -> Page {
    let Some(user) = visit.current_user() else {
        return visit.redirect("/users/sign_in", None);
    };
    if let Some(page) = visit.before_terms(&user) {
        return page;
    }
    let now = visit.now;
    if let Some(user) = visit.world.user_mut(user.id) {
        let fresh = user
            .totp_offer
            .as_ref()
            .is_some_and(|offer| now < offer.made_at + SECRET_LIFE);
        if user.totp_secret.is_none() && !fresh {
            user.totp_offer = Some(TotpOffer {
                secret: pages_totp::to_base32(&random_bytes(20)),
                made_at: now,
            });
        }
        user.two_factor_grace_started_at.get_or_insert(now);
    }
    let Some(user) = visit.current_user() else {
        return visit.redirect("/users/sign_in", None);
    };
    render(visit, &user, None)
}

/// `POST /-/profile/two_factor_auth`: the first code of the authenticator, with the password.
pub(super) fn enrol(visit: &mut Visit<'_>) -> Page {
    if !visit.csrf_valid() {
        return Visit::rejected();
    }
    let Some(user) = visit.current_user() else {
        return visit.redirect("/users/sign_in", None);
    };
    if let Some(page) = visit.before_terms(&user) {
        return page;
    }
    if asks_password(visit, &user)
        && !pages_gate::password_is(visit.world, &user, visit.request.present("current_password"))
    {
        pages_sign_in::count_failure(visit, user.id);
        return render(visit, &user, Some("You must provide a valid current password."));
    }
    let code = visit.request.present("pin_code").unwrap_or_default().trim().to_owned();
    let offered = user.totp_offer.as_ref().map(|offer| offer.secret.clone());
    let right = user.confirmed_at.is_some()
        && offered
            .as_deref()
            .is_some_and(|secret| pages_totp::is_code_of(secret, &code, visit.now));
    let Some(secret) = offered.filter(|_| right) else {
        return render(visit, &user, Some("Invalid pin code."));
    };
    let had_codes = !user.recovery_digests.is_empty();
    let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| random_hex(8)).collect();
    if let Some(user) = visit.world.user_mut(user.id) {
        user.totp_secret = Some(secret);
        // The code that enrolled is taken once more at a sign-in.
        user.totp_last_step = None;
        user.totp_offer = None;
        if !had_codes {
            user.recovery_digests = codes.iter().map(|code| digest(code)).collect();
        }
    }
    visit.end_other_sessions(user.id);
    if had_codes {
        return visit.redirect(
            "/-/profile/two_factor_auth",
            Some(("notice", "Your time-based OTP device was registered!")),
        );
    }
    let list = Value::from(codes).to_string();
    let content = format!(
        "<h1>Congratulations! You have enabled two-factor authentication</h1>\n\
         <div class=\"js-2fa-recovery-codes\" data-codes=\"{}\" data-profile-account-path=\"{}\"></div>\n<script>{MOUNT_CODES}</script>",
        escape(&list),
        escape(&visit.path("/-/profile/account")),
    );
    visit.page(StatusCode::OK, "Recovery codes", None, &content)
}

/// `PATCH /-/profile/two_factor_auth/skip`: not now, while the grace period lasts.
pub(super) fn skip(visit: &mut Visit<'_>) -> Page {
    if !visit.csrf_valid() {
        return Visit::rejected();
    }
    let Some(user) = visit.current_user() else {
        return visit.redirect("/users/sign_in", None);
    };
    let deadline = two_factor::owed(visit.world, &user).map(|requirement| requirement.deadline(&user, visit.now));
    match deadline {
        Some(deadline) if visit.now < deadline => {
            visit.session_mut().skip_two_factor_until = Some(deadline);
            visit.redirect("/", None)
        }
        Some(_) => visit.redirect(
            "/-/profile/two_factor_auth",
            Some(("alert", "Cannot skip two factor authentication setup")),
        ),
        None => visit.redirect("/", None),
    }
}

/// Whether the set-up asks for the current password.
fn asks_password(visit: &Visit<'_>, user: &User) -> bool {
    !user.password_automatically_set
        && !visit.world.switches.password_login_off
        && pages_providers::password_allowed(visit.world, user)
}

fn render(visit: &mut Visit<'_>, user: &User, fault: Option<&str>) -> Page {
    let mut content = "<h1>Register a two-factor authenticator</h1>\n".to_owned();
    let mut alert = None;
    if let Some(requirement) = two_factor::owed(visit.world, user) {
        let deadline = requirement.deadline(user, visit.now);
        let mut text = match &requirement.by {
            Enforced::Everybody => {
                "The global settings require you to enable Two-Factor Authentication for your account.".to_owned()
            }
            Enforced::Administrators => {
                "Administrator users are required to enable Two-Factor Authentication for their account.".to_owned()
            }
            Enforced::Groups(names) => format!(
                "The group settings for {} require you to enable Two-Factor Authentication for your account.",
                names.join(" and ")
            ),
        };
        if visit.now < deadline {
            let _ = write!(text, " You need to do this before {deadline:.0}.");
            let _ = writeln!(
                content,
                "<p><a data-method=\"patch\" rel=\"nofollow\" href=\"{}\">Configure it later</a></p>",
                escape(&visit.path("/-/profile/two_factor_auth/skip"))
            );
        }
        alert = Some(text);
    }
    if let Some(offer) = &user.totp_offer {
        let secret = &offer.secret;
        let token = visit.csrf();
        let mut form = Form::open("two_factor", &visit.path("/-/profile/two_factor_auth"), "post", &token);
        if let Some(fault) = fault {
            form = form.raw(&format!(
                "<div class=\"gl-alert gl-alert-danger error\">{}</div>",
                escape(fault)
            ));
        }
        form = form.input("text", "pin_code", "Enter verification code", "");
        if asks_password(visit, user) {
            form = form.input("password", "current_password", "Current password", "");
        }
        let _ = write!(
            content,
            "<p>Scan the code, or enter the key: <code class=\"two-factor-secret\">{}</code></p>\n\
             <p><a href=\"otpauth://totp/{}?secret={secret}\">Open in an authenticator</a></p>\n{}",
            groups_of_four(secret),
            escape(&user.email),
            form.submit("Register with two-factor app"),
        );
    } else {
        content.push_str(
            "<p>You have already enabled two-factor authentication using a one-time password authenticator.</p>",
        );
    }
    visit.page(StatusCode::OK, "Two-Factor Authentication", alert.as_deref(), &content)
}

fn groups_of_four(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join(" ")
}

/// What GitLab's component draws.
const MOUNT_CODES: &str = "document.querySelectorAll('.js-2fa-recovery-codes').forEach(function(e){\
e.textContent=JSON.parse(e.dataset.codes).join(' ')})";
