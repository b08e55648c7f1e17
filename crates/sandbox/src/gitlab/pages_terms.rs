//! The terms of service: what stands before every page and every call until they are accepted.
//!
//! GitLab: `users/terms_controller.rb`. Up to 18 the page holds two forms, from 19 on a Vue application that posts.
//! Acceptance is of one version of the terms; a new version asks everybody again.

use axum::http::StatusCode;
use serde_json::json;

use super::pages_html::{Form, escape};
use super::pages_http::Page;
use super::pages_visit::Visit;
use crate::generation::{Generation, PageKind};

/// `GET /-/users/terms`
pub(super) fn show(visit: &mut Visit<'_>) -> Page {
    let Some(version) = visit.world.terms_in_force() else {
        return visit.redirect("/", None);
    };
    if visit.unheard_of(PageKind::Terms) {
        return visit.unheard_page();
    }
    let user = visit.current_user();
    let signed_in = user.is_some();
    let owed = user.is_some_and(|user| visit.world.owes_terms(&user));
    let query: String = url::form_urlencoded::byte_serialize(way_back(visit).as_bytes()).collect();
    let action = |verb: &str| visit.path(&format!("/-/users/terms/{version}/{verb}?redirect={query}"));
    let (accept, decline) = (action("accept"), action("decline"));
    let terms = format!("<p>{}</p>", escape(visit.world.terms.last().map_or("", String::as_str)));
    let content = if visit.world.switches.shape(PageKind::Terms) >= Generation::V19_3 {
        let data = json!({
            "terms": terms,
            "permissions": { "can_accept": owed, "can_decline": owed },
            "paths": { "accept": accept, "decline": decline, "root": visit.path("/") },
        });
        format!(
            "<div id=\"js-terms-of-service\" data-terms-data=\"{}\"></div>\n<script>{MOUNT_TERMS}</script>",
            escape(&data.to_string())
        )
    } else if owed {
        let token = visit.csrf();
        let forms = Form::open("accept", &accept, "post", &token).submit("Accept terms")
            + &Form::open("decline", &decline, "post", &token).submit_quietly("Decline and sign out");
        format!("<h1>Terms of service</h1>\n{terms}\n{forms}")
    } else {
        let accepted = if signed_in {
            "<p>You have accepted them already.</p>"
        } else {
            ""
        };
        format!("<h1>Terms of service</h1>\n{terms}\n{accepted}")
    };
    visit.page(StatusCode::OK, "Terms of service", None, &content)
}

/// What GitLab's component draws: the terms and two forms.
const MOUNT_TERMS: &str = "(function(){var e=document.getElementById('js-terms-of-service'),d=JSON.parse(e.dataset.termsData);\
e.innerHTML=d.terms;if(d.permissions.can_accept)[['Accept terms',d.paths.accept],['Decline and sign out',d.paths.decline]].forEach(function(p){\
var f=document.createElement('form');f.method='post';f.action=p[1];var i=document.createElement('input');i.type='hidden';\
i.name='authenticity_token';i.value=document.querySelector('meta[name=csrf-token]').content;f.appendChild(i);\
var b=document.createElement('button');b.textContent=p[0];f.appendChild(b);e.appendChild(f)})})();";

/// `POST /-/users/terms/:id/accept` and `…/decline`
pub(super) fn answer(visit: &mut Visit<'_>, id: &str, accepted: bool) -> Page {
    if !visit.csrf_valid() {
        return Visit::rejected();
    }
    let Some(user) = visit.current_user() else {
        return visit.redirect("/users/sign_in", None);
    };
    let version = id.parse().ok().filter(|version| {
        usize::try_from(*version).is_ok_and(|version| (1..=visit.world.terms.len()).contains(&version))
    });
    let Some(version) = version else {
        return Visit::not_found();
    };
    if !accepted {
        visit.sign_out();
        return visit.redirect("/", None);
    }
    if let Some(user) = visit.world.user_mut(user.id) {
        user.accepted_terms = Some(version);
    }
    visit.redirect_to_stored(&way_back(visit))
}

/// The page to go to after the terms: only a path of this site.
fn way_back(visit: &Visit<'_>) -> String {
    match visit.request.param("redirect") {
        Some(path) if path.starts_with('/') && !path.starts_with("//") && !path.contains("/users/terms") => {
            path.to_owned()
        }
        _ => visit.path("/"),
    }
}
