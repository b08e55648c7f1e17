//! The redirect URI, on both of its paths: GitLab sends the browser here with a code, and the request of that address is
//! what connects the organization.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use serde::Deserialize;

use super::gitlab_client::{self, Trouble};
use super::integration::{CURRENT_PATH, LEGACY_PATH, audit};
use crate::gitlab::pages_html::{Layout, escape};
use crate::state::App;
use crate::world::{FactoryAttempt, FactoryIntegration};

/// The routes of this module.
pub(super) fn router() -> Router<App> {
    Router::new()
        .route(LEGACY_PATH, get(finish))
        .route(CURRENT_PATH, get(finish))
}

#[derive(Deserialize)]
struct Returned {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

async fn finish(State(app): State<App>, Query(returned): Query<Returned>) -> Response {
    let state = returned.state.as_deref().unwrap_or_default();
    let (attempt, integration) = match find(&app, state) {
        Ok(found) => found,
        Err(reason) => return page(StatusCode::BAD_REQUEST, reason),
    };
    if let Some(error) = &returned.error {
        close(&app, &attempt.id);
        let description = returned.error_description.as_deref().unwrap_or_default();
        return page(
            StatusCode::BAD_REQUEST,
            &format!("GitLab did not authorize Factory: {error}. {description}"),
        );
    }
    let Some(code) = &returned.code else {
        return page(StatusCode::BAD_REQUEST, "GitLab sent no code");
    };
    match gitlab_client::authorize(&app, &integration, code, &attempt.redirect_uri).await {
        Ok(authorization) => {
            let username = authorization.username.clone();
            let kept = app.write(|world| {
                // The settings may have been changed while GitLab answered.
                let place = world.factory.integration.as_mut().filter(|now| {
                    now.application_id == integration.application_id
                        && now.secret == integration.secret
                        && now.domain == integration.domain
                });
                let Some(place) = place else { return false };
                place.authorization = Some(authorization);
                audit(world, "connected", "web_settings_integrations");
                true
            });
            close(&app, &attempt.id);
            if kept {
                page(
                    StatusCode::OK,
                    &format!("GitLab is connected as {username}. You can close this window."),
                )
            } else {
                page(
                    StatusCode::BAD_REQUEST,
                    "The integration was changed meanwhile: start again",
                )
            }
        }
        Err(Trouble::Broken(reason)) => {
            close(&app, &attempt.id);
            page(StatusCode::BAD_REQUEST, &reason)
        }
        Err(Trouble::Unavailable(reason)) => page(StatusCode::BAD_REQUEST, &reason),
        Err(Trouble::NotConnected) => page(StatusCode::BAD_REQUEST, "Nothing is configured"),
    }
}

fn find(app: &App, state: &str) -> Result<(FactoryAttempt, FactoryIntegration), &'static str> {
    app.read(|world| {
        let attempt = world
            .factory
            .attempts
            .iter()
            .find(|attempt| !state.is_empty() && attempt.state == state)
            .ok_or("This authorization was not started here: unknown state")?;
        if attempt.finished {
            return Err("This authorization attempt is finished already: start again");
        }
        if attempt.expires_at <= world.now() {
            return Err("This authorization attempt has expired: start again");
        }
        let integration = world.factory.integration.clone().ok_or("Nothing is configured")?;
        Ok((attempt.clone(), integration))
    })
}

fn close(app: &App, id: &str) {
    app.write(|world| {
        for attempt in world.factory.attempts.iter_mut().filter(|attempt| attempt.id == id) {
            attempt.finished = true;
        }
    });
}

fn page(status: StatusCode, text: &str) -> Response {
    let layout = Layout {
        title: "GitLab Self-Hosted",
        csrf: "",
        flash: None,
        bar: "<a href=\"/settings/integrations\">Settings</a>",
        accent: "#d15010",
        product: "Factory",
    };
    (
        status,
        Html(layout.page(&format!(
            "<h1>GitLab Self-Hosted</h1>\n<p id=\"result\">{}</p>\n\
             <script>new BroadcastChannel('gitlab-sh').postMessage('ended')</script>",
            escape(text)
        ))),
    )
        .into_response()
}
