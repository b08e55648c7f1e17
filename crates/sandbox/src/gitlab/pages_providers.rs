//! The forms and buttons for signing in elsewhere: LDAP servers, each with a form of its own that GitLab passes on, and
//! providers that take the browser away. The same forms and buttons open Admin Mode.
//!
//! GitLab: `devise/shared/_tabs_ldap`, `omniauth_callbacks_controller.rb`.

use std::fmt::Write as _;

use axum::http::StatusCode;

use super::pages_html::{Form, escape};
use super::pages_http::Page;
use super::pages_visit::Visit;
use crate::world::{User, World};

/// What a provider's sign-in says where nobody is signed in.
const UNAUTHENTICATED: &str = "You need to sign in or sign up before continuing.";

/// What GitLab's script does to the password field.
pub(super) const MOUNT_PASSWORD: &str = "<script>document.querySelectorAll('.js-password').forEach(function(e){\
e.id=e.dataset.id;e.name=e.dataset.name;e.required=true})</script>";

/// Whether an account may sign in with a password of GitLab's own: never one of an LDAP server.
pub(super) fn password_allowed(world: &World, user: &User) -> bool {
    let ldap = user.identities.iter().any(|own| own.provider.starts_with("ldap"));
    let closed = world
        .switches
        .disable_password_authentication_for_users_with_sso_identities;
    !ldap && (!closed || user.identities.is_empty())
}

/// What stands on the sign-in page beside GitLab's own form, `own`: tabs where there are several forms, then buttons.
pub(super) fn with_others(visit: &mut Visit<'_>, own: &str) -> String {
    let mut forms: Vec<(String, String, String)> = Vec::new();
    for server in visit.world.switches.ldap_servers.clone() {
        let token = visit.csrf();
        let path = visit.path(&format!("/users/auth/{server}/callback"));
        let form = Form::open("new_ldap_user", &path, "post", &token)
            .input("text", "username", "Username", "")
            .raw(&format!(
                "<p><label for=\"password-{0}\">Password</label><br><input type=\"password\" class=\"js-password\" \
                 data-id=\"password-{0}\" data-name=\"password\"></p>",
                escape(&server)
            ))
            .checkbox("remember_me", "Remember me", false)
            .submit("Sign in");
        forms.push((server.clone(), titled(&server), form));
    }
    if !own.is_empty() {
        forms.push(("login-pane".to_owned(), "Standard".to_owned(), own.to_owned()));
    }
    let mut html = String::new();
    if forms.len() > 1 {
        html.push_str("<ul class=\"nav-links new-session-tabs nav-tabs nav\">\n");
        for (id, title, _) in &forms {
            let _ = writeln!(
                html,
                "<li><a data-toggle=\"tab\" role=\"tab\" href=\"#{}\">{}</a></li>",
                escape(id),
                escape(title)
            );
        }
        html.push_str("</ul>\n");
    }
    let ldap = !visit.world.switches.ldap_servers.is_empty();
    for (id, _, form) in &forms {
        let _ = writeln!(
            html,
            "<div id=\"{}\" class=\"login-box tab-pane\">\n{form}</div>",
            escape(id)
        );
    }
    if ldap {
        html.push_str(MOUNT_PASSWORD);
    }
    html.push_str(&buttons(visit));
    html
}

/// The buttons that leave GitLab.
fn buttons(visit: &mut Visit<'_>) -> String {
    let providers = visit.world.switches.sso_providers.clone();
    let mut html = String::new();
    for provider in providers {
        let token = visit.csrf();
        let path = visit.path(&format!("/users/auth/{provider}"));
        let _ = writeln!(
            html,
            "<form class=\"js-omniauth-form button_to\" method=\"post\" action=\"{}\">\
             <button id=\"oauth-login-{}\" class=\"js-oauth-login\" type=\"submit\">{}</button>\
             <input type=\"hidden\" name=\"authenticity_token\" value=\"{}\" autocomplete=\"off\"></form>",
            escape(&path),
            escape(&provider),
            escape(&titled(&provider)),
            escape(&token),
        );
    }
    html
}

/// `ldapmain` is `Ldapmain`, `openid_connect` is `Openid Connect`.
pub(super) fn titled(provider: &str) -> String {
    let words = provider.split('_').filter(|word| !word.is_empty()).map(|word| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect::<String>())
            .unwrap_or_default()
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The page that sends everybody to the provider at once, where there is one and nothing speaks against it.
pub(super) fn automatic(visit: &mut Visit<'_>) -> Option<Page> {
    let provider = visit.world.switches.auto_sign_in_with_provider.clone();
    if provider.is_empty() || visit.request.param("auto_sign_in") == Some("false") {
        return None;
    }
    let alert = |(kind, text): &(String, String)| kind != "notice" && text != UNAUTHENTICATED;
    if visit.session().is_some_and(|session| session.flash.iter().any(alert)) {
        return None;
    }
    visit.session_mut().flash.clear();
    let token = visit.csrf();
    let path = visit.path(&format!("/users/auth/{provider}"));
    let form = Form::open("js-redirect-to-provider", &path, "post", &token).submit("Continue");
    Some(Page::html(
        StatusCode::OK,
        format!(
            "<!DOCTYPE html>\n<html><head><title>Redirecting</title></head><body>\n<p>Redirecting to the provider.</p>\n{form}\
             <script>document.getElementById('js-redirect-to-provider').submit()</script>\n</body></html>\n"
        ),
    ))
}

/// `POST /users/auth/:provider`: off to the provider, from which no program comes back.
pub(super) fn leave(visit: &mut Visit<'_>, provider: &str) -> Page {
    if !visit.csrf_valid() {
        return Visit::rejected();
    }
    if !visit.world.switches.sso_providers.contains(provider) {
        return Visit::not_found();
    }
    Page::found(&format!("https://idp.example.com/{provider}/authorize"))
}
