//! The pages of a signed-in user: home, and the applications that have been given access to the account.
//!
//! GitLab: `app/views/shared/doorkeeper/applications/_index.html.haml`, `oauth/authorized_applications_controller.rb`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::http::StatusCode;

use super::pages_html::{Form, escape};
use super::pages_http::Page;
use super::pages_visit::{Visit, applications_path};
use crate::generation::PageKind;
use crate::world::OauthToken;

/// `GET /`
pub(super) fn home(visit: &mut Visit<'_>) -> Page {
    let user = match visit.authenticate() {
        Ok(user) => user,
        Err(page) => return page,
    };
    let content = format!(
        "<h1>Welcome to GitLab, {}</h1>\n<p>You are signed in as <code id=\"username\">{}</code>.</p>",
        escape(&user.name),
        escape(&user.username)
    );
    visit.page(StatusCode::OK, "Projects", None, &content)
}

/// `GET /-/user_settings/applications`: of each application the newest access token, revoked ones left out.
pub(super) fn applications(visit: &mut Visit<'_>) -> Page {
    let user = match visit.authenticate() {
        Ok(user) => user,
        Err(page) => return page,
    };
    if visit.unheard_of(PageKind::AuthorizedApplications) {
        return visit.unheard_page();
    }
    let mut newest: BTreeMap<u64, OauthToken> = BTreeMap::new();
    for token in visit
        .world
        .oauth_tokens
        .iter()
        .filter(|token| token.user_id == user.id && token.revoked_at.is_none())
    {
        let entry = newest.entry(token.application_id).or_insert_with(|| token.clone());
        if token.id > entry.id {
            *entry = token.clone();
        }
    }
    let csrf = visit.csrf();
    let mut rows = String::new();
    for token in newest.values() {
        let Some(application) = visit.world.application(token.application_id) else {
            continue;
        };
        let revoke = Form::open(
            &format!("revoke_{}", application.id),
            &visit.path(&format!("/oauth/authorized_applications/{}", application.id)),
            "delete",
            &csrf,
        )
        .submit_quietly("Revoke");
        let _ = writeln!(
            rows,
            "<tr id=\"application_{}\"><td data-label=\"Name\">{}</td><td data-label=\"Authorized At\">{}</td>\
             <td data-label=\"Scope\">{}</td><td data-label=\"Actions\">{revoke}</td></tr>",
            application.id,
            escape(&application.name),
            token.created_at.strftime("%Y-%m-%d %H:%M:%S UTC"),
            escape(&token.scopes.join(" ")),
        );
    }
    let list = if rows.is_empty() {
        "<div>You don't have any authorized applications.</div>".to_owned()
    } else {
        format!(
            "<table>\n<thead><tr><th>Name</th><th>Authorized At</th><th>Scope</th><th></th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>"
        )
    };
    let content = format!(
        "<h1>Applications</h1>\n<section data-testid=\"oauth-applications\"><h2>Your applications</h2>\
         <div>You don't have any applications.</div></section>\n\
         <section data-testid=\"oauth-authorized-applications\"><h2>Authorized applications <span>{}</span></h2>\n{list}\n</section>",
        newest.len()
    );
    visit.page(StatusCode::OK, "Applications", None, &content)
}

/// `DELETE /oauth/authorized_applications/:id`: takes the access back, of one token or of the application.
pub(super) fn revoke(visit: &mut Visit<'_>, id: &str) -> Page {
    if !visit.csrf_valid() {
        return Visit::rejected();
    }
    let user = match visit.authenticate_for_oauth() {
        Ok(user) => user,
        Err(page) => return page,
    };
    let now = visit.now;
    let token_id: Option<u64> = visit.request.present("token_id").and_then(|id| id.parse().ok());
    let application_id: Option<u64> = id.parse().ok();
    for token in &mut visit.world.oauth_tokens {
        let meant = match token_id {
            Some(token_id) => token.id == token_id,
            None => Some(token.application_id) == application_id,
        };
        if meant && token.user_id == user.id && token.revoked_at.is_none() {
            token.revoked_at = Some(now);
        }
    }
    if token_id.is_none() {
        visit
            .world
            .grants
            .retain(|grant| grant.user_id != user.id || Some(grant.application_id) != application_id);
    }
    let path = applications_path(visit.world);
    visit.redirect(path, Some(("notice", "The application was revoked access.")))
}
