//! The shapes of GitLab's answers. Errors come in two: `{"error": text}` from the validation of parameters (Grape),
//! and `{"message": text or map}` from the endpoints themselves (lib/api/helpers.rb, `render_api_error!`).

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

/// An answer with that status, type and body.
pub(crate) fn answer(status: u16, content_type: &str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(value) = HeaderValue::try_from(content_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

pub(crate) fn json_answer(status: u16, body: &Value) -> Response {
    answer(status, "application/json", body.to_string())
}

/// `{"message": …}` with a text.
pub(crate) fn message(status: u16, text: &str) -> Response {
    json_answer(status, &json!({ "message": text }))
}

/// `{"message": {"field": ["…"]}}`.
pub(crate) fn invalid(status: u16, field: &str, faults: &[&str]) -> Response {
    json_answer(status, &json!({ "message": { field: faults } }))
}

/// `{"error": …}`.
pub(crate) fn error(status: u16, text: &str) -> Response {
    json_answer(status, &json!({ "error": text }))
}

/// 401 as GitLab gives it to whoever has no valid token.
pub(crate) fn unauthorized() -> Response {
    message(401, "401 Unauthorized")
}

/// 403 without a reason.
pub(crate) fn forbidden() -> Response {
    message(403, "403 Forbidden")
}

/// 404 that names the kind of thing, such as `Project`.
pub(crate) fn not_found(what: &str) -> Response {
    message(404, &format!("404 {what} Not Found"))
}

/// 204.
pub(crate) fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

pub(crate) fn page(status: u16, html: impl Into<Body>) -> Response {
    answer(status, "text/html; charset=utf-8", html)
}

/// 302 (or another 3xx) to that place, with the little body that Rails gives.
pub(crate) fn redirect(status: u16, location: &str) -> Response {
    let body = "<html><body>You are being redirected.</body></html>";
    with_header(page(status, body), "location", location)
}

/// The answer with one more header; a value that is no header value is left out.
pub(crate) fn with_header(mut response: Response, name: &str, value: &str) -> Response {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        response.headers_mut().append(name, value);
    }
    response
}
