//! GitLab's web pages: which path and method leads to which page.
//!
//! The world is locked for the length of one page, so that pages are plain functions of it; see [`super::pages_http`].

use std::net::{IpAddr, Ipv4Addr};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;

use super::pages_http::{Page, PageRequest};
use super::pages_visit::Visit;
use super::{
    oauth_authorize, pages_admin, pages_admin_applications, pages_admin_users, pages_ldap, pages_password,
    pages_providers, pages_settings, pages_sign_in, pages_terms, pages_two_factor,
};
use crate::generation::{Generation, PageKind};
use crate::state::App;
use crate::wire::Wire;

/// The largest form that is read.
const FORM_LIMIT: usize = 1 << 20;

/// The routes of all pages, the OAuth pages for browsers among them.
pub(crate) fn router() -> Router<App> {
    [
        "/",
        "/admin",
        "/admin/{*rest}",
        "/users/{*rest}",
        "/-/users/{*rest}",
        "/-/user_settings/{*rest}",
        "/-/profile/{*rest}",
        "/oauth/authorize",
        "/oauth/authorized_applications",
        "/oauth/authorized_applications/{id}",
    ]
    .into_iter()
    .fold(Router::new(), |router, path| router.route(path, any(serve)))
}

/// A request with its body, for the pages and the OAuth endpoints.
pub(super) async fn take(request: Request) -> Result<PageRequest, Response> {
    let (parts, body) = request.into_parts();
    let peer = parts
        .extensions
        .get::<Wire>()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |wire| wire.peer.ip());
    let body: Bytes = axum::body::to_bytes(body, FORM_LIMIT)
        .await
        .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE.into_response())?;
    Ok(PageRequest::new(
        &parts.method,
        parts.uri.path(),
        parts.uri.query(),
        &parts.headers,
        &body,
    )
    .from(peer))
}

async fn serve(State(app): State<App>, request: Request) -> Response {
    let request = match take(request).await {
        Ok(request) => request,
        Err(response) => return response,
    };
    app.write(|world| {
        let mut visit = Visit::new(world, request);
        let page = dispatch(&mut visit);
        visit.finish(page)
    })
    .into_response()
}

fn dispatch(visit: &mut Visit<'_>) -> Page {
    let method = if visit.request.method == Method::HEAD {
        Method::GET
    } else {
        visit.request.method.clone()
    };
    let path = visit.request.path.trim_end_matches('/').to_owned();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let new_settings = visit.world.switches.shape(PageKind::AuthorizedApplications) >= Generation::V17_11;
    match (method.as_str(), segments.as_slice()) {
        ("GET", []) => pages_settings::home(visit),
        ("GET", ["users", "sign_in"]) => pages_sign_in::form(visit),
        ("POST", ["users", "sign_in"]) => pages_sign_in::submit(visit),
        ("POST", ["users", "auth", provider]) => pages_providers::leave(visit, provider),
        ("POST", ["users", "auth", provider, "callback"]) => pages_ldap::submit(visit, provider),
        ("POST" | "DELETE", ["users", "sign_out"]) => pages_sign_in::sign_out(visit),
        ("GET", ["-", "users", "terms"]) => pages_terms::show(visit),
        ("POST", ["-", "users", "terms", id, "accept"]) => pages_terms::answer(visit, id, true),
        ("POST", ["-", "users", "terms", id, "decline"]) => pages_terms::answer(visit, id, false),
        ("GET", ["-", "profile", "two_factor_auth"]) => pages_two_factor::show(visit),
        ("POST", ["-", "profile", "two_factor_auth"]) => pages_two_factor::enrol(visit),
        ("PATCH", ["-", "profile", "two_factor_auth", "skip"]) => pages_two_factor::skip(visit),
        ("GET", ["-", "user_settings", "password", "new"]) => pages_password::form(visit),
        ("POST", ["-", "user_settings", "password"]) => pages_password::submit(visit),
        ("GET", ["-", "user_settings", "applications"]) if new_settings => pages_settings::applications(visit),
        ("GET", ["-", "profile", "applications"]) if new_settings => {
            Page::found(&visit.url("/-/user_settings/applications"))
        }
        ("GET", ["-", "profile", "applications"]) => pages_settings::applications(visit),
        ("DELETE", ["oauth", "authorized_applications", id]) => pages_settings::revoke(visit, id),
        ("GET", ["oauth", "authorize"]) => oauth_authorize::ask(visit),
        ("POST", ["oauth", "authorize"]) => oauth_authorize::approve(visit),
        ("DELETE", ["oauth", "authorize"]) => oauth_authorize::deny(visit),
        (method, ["admin", rest @ ..]) => admin(visit, method, rest),
        _ => Visit::not_found(),
    }
}

fn admin(visit: &mut Visit<'_>, method: &str, segments: &[&str]) -> Page {
    match (method, segments) {
        ("GET", []) => pages_admin::dashboard(visit),
        ("GET", ["session", "new"]) => pages_admin::session_form(visit),
        ("POST", ["session"]) => pages_admin::session_submit(visit),
        ("POST", ["session", "destroy"]) => pages_admin::session_end(visit),
        ("GET", ["applications"]) => pages_admin_applications::index(visit),
        ("POST", ["applications"]) => pages_admin_applications::create(visit),
        ("GET", ["applications", "new"]) => pages_admin_applications::new(visit),
        ("GET", ["applications", id]) => pages_admin_applications::show(visit, id),
        ("GET", ["applications", id, "edit"]) => pages_admin_applications::edit(visit, id),
        ("PATCH" | "PUT", ["applications", id]) => pages_admin_applications::update(visit, id),
        ("DELETE", ["applications", id]) => pages_admin_applications::destroy(visit, id),
        ("PUT", ["applications", id, "renew"]) => pages_admin_applications::renew(visit, id),
        ("GET", ["users"]) => pages_admin_users::index(visit),
        ("GET", ["users", username]) => pages_admin_users::show(visit, username),
        ("POST", ["users", username, "impersonate"]) => pages_admin_users::impersonate(visit, username),
        ("DELETE", ["impersonation"]) => pages_admin_users::stop(visit),
        _ => Visit::not_found(),
    }
}
