//! What refuses a request before it reaches its endpoint: rate limits, maintenance mode, a read-only secondary.
//!
//! GitLab: `lib/gitlab/rack_attack.rb`, `lib/gitlab/middleware/read_only/controller.rb`.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::response::Response;

use super::{answers, auth};
use crate::state::App;
use crate::wire::Wire;

/// Paths whose posts are limited by address (`DEFAULT_PROTECTED_PATHS`).
const PROTECTED: [&str; 7] = [
    "/users/password",
    "/users/sign_in",
    "/api/v4/session",
    "/users/confirmation",
    "/unsubscribes/",
    "/import/github/personal_access_token",
    "/admin/session",
];

/// Paths that maintenance mode and read-only secondaries let through.
const ALWAYS_ALLOWED: [&str; 8] = [
    "/users/sign_in",
    "/users/sign_out",
    "/admin/session",
    "/oauth/token",
    "/oauth/revoke",
    "/oauth/introspect",
    "/api/graphql",
    "/-/jira_connect",
];

/// The refusal of this request, if there is one. Its path has no relative URL root any more.
pub(crate) fn check(app: &App, parts: &Parts, _body: &Bytes, wire: &Wire) -> Option<Response> {
    rate(app, parts, wire).or_else(|| writable(app, parts))
}

fn rate(app: &App, parts: &Parts, wire: &Wire) -> Option<Response> {
    let path = parts.uri.path();
    let (limit, window, headers, protected) = app.read(|world| {
        let switches = &world.switches;
        (
            switches.rate_limit,
            switches.rate_limit_window_seconds.max(1),
            switches.rate_limit_headers,
            switches.protected_paths_limit,
        )
    });
    if protected > 0 && parts.method == "POST" && PROTECTED.iter().any(|prefix| path.starts_with(prefix)) {
        let key = format!("throttle_unauthenticated_protected_paths {}", wire.peer.ip());
        if let Some(left) = count(app, &key, protected, 60) {
            return Some(too_many(
                "throttle_unauthenticated_protected_paths",
                protected,
                60,
                left,
                headers,
            ));
        }
    }
    if limit > 0 && path.starts_with("/api/") {
        let who =
            auth::token_of(parts).map_or_else(|| wire.peer.ip().to_string(), |token| crate::world::digest(&token));
        let name = "throttle_authenticated_api";
        if let Some(left) = count(app, &format!("{name} {who}"), limit, window) {
            return Some(too_many(name, limit, window, left, headers));
        }
    }
    None
}

/// Counts one request; gives the seconds until the window ends where there were too many.
fn count(app: &App, key: &str, limit: u32, window: u64) -> Option<u64> {
    let length = Duration::from_secs(window);
    let mut windows = app.windows.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let entry = windows.entry(key.to_owned()).or_insert((now, 0));
    if now.duration_since(entry.0) >= length {
        *entry = (now, 0);
    }
    entry.1 = entry.1.saturating_add(1);
    let left = length.saturating_sub(now.duration_since(entry.0));
    (entry.1 > limit).then(|| left.as_secs() + u64::from(left.subsec_nanos() > 0))
}

fn too_many(name: &str, limit: u32, window: u64, left: u64, headers: bool) -> Response {
    let response = answers::answer(429, "text/plain", "Retry later\n");
    if !headers {
        return response;
    }
    let now = jiff::Timestamp::now();
    let reset = now + jiff::SignedDuration::from_secs(i64::try_from(left).unwrap_or(i64::MAX / 4));
    let per_minute = (u64::from(limit) * 60).div_ceil(window);
    let fields = [
        ("ratelimit-limit", per_minute.to_string()),
        ("ratelimit-name", name.to_owned()),
        ("ratelimit-observed", (limit + 1).to_string()),
        ("ratelimit-remaining", "0".to_owned()),
        ("ratelimit-reset", reset.as_second().to_string()),
        (
            "ratelimit-resettime",
            reset.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(),
        ),
        ("retry-after", left.to_string()),
    ];
    fields.iter().fold(response, |response, (name, value)| {
        answers::with_header(response, name, value)
    })
}

fn writable(app: &App, parts: &Parts) -> Option<Response> {
    let (maintenance, read_only) = app.read(|world| (world.switches.maintenance_mode, world.switches.read_only));
    let path = parts.uri.path();
    let reading = matches!(parts.method.as_str(), "GET" | "HEAD" | "OPTIONS");
    if reading || !(maintenance || read_only) || ALWAYS_ALLOWED.iter().any(|allowed| path.starts_with(allowed)) {
        return None;
    }
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let as_json = header("content-type").contains("json") || header("accept").contains("json");
    if maintenance && (as_json || path.starts_with("/api/")) {
        return Some(answers::message(
            503,
            "GitLab Maintenance: system is in maintenance mode",
        ));
    }
    if as_json {
        return Some(answers::message(
            403,
            "You cannot perform write operations on a read-only instance",
        ));
    }
    let back = header("referer");
    Some(answers::redirect(301, if back.is_empty() { "/" } else { back }))
}
