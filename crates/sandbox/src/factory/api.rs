//! The contract's API below `/api/v0/integrations/gitlab-sh`.

use axum::body::Bytes;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use super::gitlab_client::{self, Trouble};
use super::integration::{self, Refusal, Repository, audit};
use crate::state::App;
use crate::world::{FactoryRole, digest};

/// What the audit log says of changes that come by the API.
const SOURCE: &str = "public_api_v0";
/// Ids in one PATCH.
const IDS_MAX: usize = 100;

/// The routes of this module.
pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/api/v0/integrations/gitlab-sh", get(read).put(save).delete(remove))
        .route("/api/v0/integrations/gitlab-sh/authorizations", post(start))
        .route("/api/v0/integrations/gitlab-sh/repositories", get(list).patch(change))
        .layer(from_fn(no_store))
}

async fn no_store(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert("cache-control", axum::http::HeaderValue::from_static("no-store"));
    response
}

/// The error body that v0 documents.
fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    (
        status,
        Json(json!({ "detail": detail, "status": status.as_u16(), "title": title })),
    )
        .into_response()
}

/// The other one: what is wrong with a request's shape.
fn invalid(messages: &[String]) -> Response {
    let errors: Vec<Value> = messages.iter().map(|message| json!({ "message": message })).collect();
    (
        StatusCode::BAD_REQUEST,
        Json(json!({ "status": 400, "title": "Request validation failed", "errors": errors })),
    )
        .into_response()
}

impl axum::response::IntoResponse for Refusal {
    fn into_response(self) -> Response {
        problem(self.status, &self.detail)
    }
}

/// Key, then plan, then role.
fn admit(app: &App, headers: &HeaderMap) -> Result<(), Refusal> {
    let key = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| digest(key.trim()));
    app.read(|world| {
        let switches = &world.switches;
        let role = world
            .factory
            .keys
            .iter()
            .find(|known| Some(&known.key_digest) == key.as_ref())
            .map(|known| known.role)
            .filter(|_| !switches.factory_key_unknown)
            .ok_or_else(|| Refusal::new(StatusCode::UNAUTHORIZED, "Api key not found or deleted"))?;
        if switches.factory_plan_too_small || world.factory.plan != "enterprise" {
            return Err(Refusal::new(
                StatusCode::PAYMENT_REQUIRED,
                "Self-hosted GitLab needs the Enterprise plan",
            ));
        }
        if switches.factory_role_too_low || role < FactoryRole::Manager {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "Only an Owner or a Manager may configure integrations",
            ));
        }
        Ok(())
    })
}

fn shown(app: &App) -> Response {
    match integration::view(app) {
        Some(view) => Json(json!({ "integration": view })).into_response(),
        None => problem(StatusCode::NOT_FOUND, "No self-hosted GitLab is configured"),
    }
}

async fn read(State(app): State<App>, headers: HeaderMap) -> Response {
    match admit(&app, &headers) {
        Ok(()) => shown(&app),
        Err(refusal) => refusal.into_response(),
    }
}

async fn save(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(refusal) = admit(&app, &headers) {
        return refusal.into_response();
    }
    let body: Value = match serde_json::from_slice(&body) {
        Ok(body) => body,
        Err(_) => return invalid(&["the body is no JSON".to_owned()]),
    };
    let text = |name: &str| {
        body.get(name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let missing: Vec<String> = ["domain", "applicationId", "secret"]
        .into_iter()
        .filter(|name| text(name).is_none())
        .map(|name| format!("{name} must be a text that is not empty"))
        .collect();
    let (Some(domain), Some(application_id), Some(secret)) = (text("domain"), text("applicationId"), text("secret"))
    else {
        return invalid(&missing);
    };
    match integration::save(&app, domain, application_id, secret, SOURCE) {
        Ok(()) => shown(&app),
        Err(refusal) => refusal.into_response(),
    }
}

async fn remove(State(app): State<App>, headers: HeaderMap) -> Response {
    if let Err(refusal) = admit(&app, &headers) {
        return refusal.into_response();
    }
    if integration::remove(&app, SOURCE) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        problem(StatusCode::NOT_FOUND, "No self-hosted GitLab is configured")
    }
}

async fn start(State(app): State<App>, headers: HeaderMap) -> Response {
    if let Err(refusal) = admit(&app, &headers) {
        return refusal.into_response();
    }
    match integration::start_attempt(&app) {
        Ok((attempt, url)) => (
            StatusCode::CREATED,
            Json(json!({
                "attemptId": attempt.id,
                "authorizationUrl": url,
                "expiresAt": attempt.expires_at.to_string(),
            })),
        )
            .into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

#[derive(Deserialize)]
struct ListParams {
    enabled: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

async fn list(State(app): State<App>, headers: HeaderMap, Query(params): Query<ListParams>) -> Response {
    if let Err(refusal) = admit(&app, &headers) {
        return refusal.into_response();
    }
    let mut faults = Vec::new();
    let limit = params
        .limit
        .as_deref()
        .unwrap_or("20")
        .parse()
        .ok()
        .filter(|limit| (1..=100).contains(limit));
    if limit.is_none() {
        faults.push("limit must be a number from 1 to 100".to_owned());
    }
    let enabled = match params.enabled.as_deref() {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => {
            faults.push("enabled must be true or false".to_owned());
            None
        }
    };
    let after = match params.cursor.as_deref().map(read_cursor) {
        None => 0,
        Some(Some(after)) => after,
        Some(None) => {
            faults.push("cursor is none that was given out".to_owned());
            0
        }
    };
    if !faults.is_empty() {
        return invalid(&faults);
    }
    match integration::repositories(&app, enabled, None, after, limit.unwrap_or(20)).await {
        Ok((repositories, next)) => {
            let repositories: Vec<Value> = repositories.iter().map(repository).collect();
            Json(json!({
                "repositories": repositories,
                "pagination": { "hasMore": next.is_some(), "nextCursor": next.map(cursor) },
            }))
            .into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

fn repository(repository: &Repository) -> Value {
    json!({
        "id": repository.id.to_string(),
        "fullPath": repository.full_path,
        "enabled": repository.enabled,
        "archived": repository.archived,
    })
}

fn cursor(after: u64) -> String {
    URL_SAFE_NO_PAD.encode(format!("after:{after}"))
}

fn read_cursor(cursor: &str) -> Option<u64> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    text.strip_prefix("after:")?.parse().ok()
}

/// The ids of one of the two lists of a PATCH.
fn ids(body: &Value, name: &str) -> Result<Vec<String>, String> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| {
                item.as_str()
                    .map(ToOwned::to_owned)
                    .ok_or_else(|| format!("{name} must hold texts only"))
            })
            .collect(),
        Some(_) => Err(format!("{name} must be a list")),
    }
}

async fn change(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(refusal) = admit(&app, &headers) {
        return refusal.into_response();
    }
    let body: Value = match serde_json::from_slice(&body) {
        Ok(body @ Value::Object(_)) => body,
        _ => return invalid(&["the body must be a JSON object".to_owned()]),
    };
    let (enable, disable) = match (ids(&body, "enable"), ids(&body, "disable")) {
        (Ok(enable), Ok(disable)) => (enable, disable),
        (enable, disable) => {
            let faults: Vec<String> = [enable.err(), disable.err()].into_iter().flatten().collect();
            return invalid(&faults);
        }
    };
    if enable.len() + disable.len() > IDS_MAX {
        return invalid(&[format!("at most {IDS_MAX} ids in one call")]);
    }
    if let Some(both) = enable.iter().find(|id| disable.contains(id)) {
        return invalid(&[format!("{both} is to be enabled and disabled at once")]);
    }
    // Asked even where nothing is to be enabled: a dead authorization is noticed, and refuses the change.
    match gitlab_client::call(&app, "/api/v4/user").await {
        Ok(answer) if answer.status().is_success() => {}
        Ok(answer) => return problem(StatusCode::BAD_GATEWAY, &format!("GitLab answered {}", answer.status())),
        Err(trouble) => return Refusal::from(trouble).into_response(),
    }
    let seen: Vec<(String, Result<bool, Trouble>)> = stream::iter(enable)
        .map(|id| {
            let app = app.clone();
            async move {
                let seen = match id.parse() {
                    Ok(number) => gitlab_client::sees(&app, number).await,
                    Err(_) => Ok(false),
                };
                (id, seen)
            }
        })
        .buffered(8)
        .collect()
        .await;
    let results = app.write(|world| {
        let before = world.factory.enabled.clone();
        let mut results = Vec::new();
        for (id, seen) in seen {
            let number: Option<u64> = id.parse().ok();
            let error = match (number, seen) {
                (Some(number), Ok(true)) => {
                    world.factory.enabled.insert(number);
                    None
                }
                (_, Ok(_)) => Some("The authorized GitLab user cannot see such a project".to_owned()),
                (_, Err(trouble)) => Some(Refusal::from(trouble).detail),
            };
            let enabled = number.is_some_and(|number| world.factory.enabled.contains(&number));
            results.push(result(&id, enabled, error));
        }
        for id in disable {
            let error = match id.parse() {
                Ok(number) => {
                    world.factory.enabled.remove(&number);
                    None
                }
                Err(_) => Some("This is no project id".to_owned()),
            };
            results.push(result(&id, false, error));
        }
        if before != world.factory.enabled {
            audit(world, "availability_changed", SOURCE);
        }
        results
    });
    Json(json!({ "results": results })).into_response()
}

fn result(id: &str, enabled: bool, error: Option<String>) -> Value {
    let mut result = json!({ "id": id, "enabled": enabled });
    if let Some(error) = error {
        result["error"] = Value::from(error);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::{cursor, read_cursor};

    #[test]
    fn a_cursor_comes_back() {
        assert_eq!(read_cursor(&cursor(42)), Some(42));
        assert_eq!(read_cursor("forged"), None);
    }
}
