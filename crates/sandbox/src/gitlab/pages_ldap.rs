//! Signing in, and opening Admin Mode, with the name and the password of an LDAP server.
//!
//! GitLab: `ldap/omniauth_callbacks_controller.rb`.

use super::pages_admin;
use super::pages_gate::sign_in_refusal;
use super::pages_http::Page;
use super::pages_providers::titled;
use super::pages_second_factor::{self as second_factor, Door};
use super::pages_sign_in::{count_failure, find_by_login, signed_in};
use super::pages_visit::Visit;
use crate::world::{User, digest};

/// `POST /users/auth/:provider/callback`: the form of an LDAP server.
pub(super) fn submit(visit: &mut Visit<'_>, provider: &str) -> Page {
    if !visit.csrf_valid() {
        return Visit::rejected();
    }
    if !visit.world.switches.ldap_servers.contains(provider) {
        return Visit::not_found();
    }
    let username = visit.request.present("username").unwrap_or_default().trim().to_owned();
    let password = visit.request.present("password").map(digest);
    let found = visit.world.users.iter().find(|user| {
        user.identities.iter().any(|own| {
            own.provider == provider
                && own.extern_uid.eq_ignore_ascii_case(&username)
                && password.as_ref() == Some(&own.password_digest)
        })
    });
    let Some(user) = found.cloned() else {
        // Counted against whoever GitLab knows by that name, whatever the directory calls them.
        if let Some(user) = find_by_login(visit, &username) {
            count_failure(visit, user.id);
        }
        let reason = format!(
            "Could not authenticate you from {} because \"Invalid credentials for {username}\".",
            titled(provider)
        );
        return visit.redirect("/users/sign_in", Some(("alert", &reason)));
    };
    let bypass = visit.world.switches.bypass_two_factor_providers.contains(provider);
    if let Some(current) = visit.current_user() {
        return admin_mode(visit, &current, &user, bypass);
    }
    if let Some(reason) = sign_in_refusal(&user, visit.now) {
        return visit.thrown_out(reason);
    }
    if user.two_factor_enabled() && !bypass {
        visit.session_mut().otp_user_id = Some(user.id);
        return second_factor::ask(visit, Door::SignIn, &user);
    }
    let page = signed_in(visit, &user);
    visit.session_mut().provider = Some(provider.to_owned());
    page
}

/// Admin Mode through the server's form, for the account that is signed in and no other.
fn admin_mode(visit: &mut Visit<'_>, current: &User, user: &User, bypass: bool) -> Page {
    if current.id != user.id || !current.admin {
        return visit.redirect("/admin/session/new", Some(("alert", "Invalid login or password")));
    }
    if user.two_factor_enabled() && !bypass {
        visit.session_mut().otp_user_id = Some(user.id);
        return second_factor::ask(visit, Door::AdminMode, user);
    }
    pages_admin::enable(visit)
}
