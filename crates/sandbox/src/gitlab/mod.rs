//! GitLab: its REST and GraphQL API, its OAuth endpoints, its web pages, its Terraform state backend.
//!
//! Sources of the facts are named where they are used, as paths in GitLab's repository.

#![expect(
    clippy::result_large_err,
    reason = "the error is the answer, and goes straight to the client"
)]

pub(crate) mod access;
pub(crate) mod answers;
pub(crate) mod auth;
pub(crate) mod call;
mod entities;
mod granular;
mod graphql;
pub(crate) mod limits;
mod oauth;
mod oauth_authorize;
mod pages;
mod pages_admin;
mod pages_admin_applications;
mod pages_admin_users;
mod pages_csrf;
mod pages_gate;
pub(crate) mod pages_html;
pub(crate) mod pages_http;
mod pages_ldap;
mod pages_password;
mod pages_providers;
mod pages_second_factor;
mod pages_settings;
mod pages_sign_in;
mod pages_terms;
pub(crate) mod pages_totp;
mod pages_two_factor;
mod pages_verification;
mod pages_visit;
mod paging;
pub(crate) mod rest_applications;
mod rest_instance;
mod rest_members;
mod rest_projects;
pub(crate) mod rest_users;
mod terraform;
mod two_factor;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;

use super::state::App;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .merge(rest_instance::router())
        .merge(rest_applications::router())
        .merge(rest_users::router())
        .merge(rest_projects::router())
        .merge(rest_members::router())
        .merge(graphql::router())
        .merge(terraform::router())
        .merge(oauth::router())
        .merge(pages::router())
        .fallback(unknown)
}

/// What is at no path: JSON below `/api/` (GitLab: lib/api/api.rb, `route :any, '*path'`), a page elsewhere.
async fn unknown(request: Request) -> Response {
    if request.uri().path().starts_with("/api/") {
        answers::error(404, "404 Not Found")
    } else {
        answers::page(
            404,
            "<!DOCTYPE html><html><head><title>Not Found</title></head><body><h1>404: Page not found</h1></body></html>",
        )
    }
}
