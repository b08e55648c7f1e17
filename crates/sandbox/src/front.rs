//! What every request passes on either side before and after its handler: the log, the latency, the mishaps, the
//! relative URL root, and the saving of the world.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use std::sync::PoisonError;

use super::faults::{Action, Seen, Side, is_write, strike_all};
use super::state::{App, RequestLog};
use super::wire::{BODY_LIMIT, Wire};
use super::{gitlab, proxy};

/// Puts the front before a side's handlers. The handlers are one service behind a fallback, so that the front may
/// change the path before it is looked up.
pub(crate) fn wrap(handlers: Router<App>, app: &App, side: Side) -> Router {
    let inner: Router = handlers.with_state(app.clone());
    Router::new()
        .fallback_service(inner)
        .layer(from_fn_with_state((app.clone(), side), front))
}

async fn front(
    State((app, side)): State<(App, Side)>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_LIMIT).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let seen = see(&app, side, &parts, &body);
    let index = log(&app, &seen);
    let (latency, mut before, mut after) = app.write_quietly(|world| {
        // What Factory asks in between is no client's request: it is neither slow nor counted among the mishaps.
        if seen.by_factory() {
            return (0, Action::Pass, Action::Pass);
        }
        let (before, after) = strike_all(&mut world.switches.faults, &seen);
        (world.switches.latency_ms, before, after)
    });
    pause(latency).await;
    if let Some(intercept) = &app.intercept {
        let asked = intercept.before(&seen);
        if asked != Action::Pass {
            before = asked;
        }
    }
    if let Some(delay) = before.delay() {
        tokio::time::sleep(delay).await;
    }
    let response = match &before {
        Action::Respond { .. } | Action::Drop | Action::Hang | Action::Away(_) => StatusCode::OK.into_response(),
        _ => {
            let in_front = app.read(|world| match side {
                Side::Gitlab => proxy::answer(&world.switches, &parts.uri),
                Side::Factory => None,
            });
            if side == Side::Gitlab {
                parts.uri = app.read(|world| proxy::passed_on(&world.switches, parts.uri.clone()));
            }
            let response = match inside_root(&app, side, &parts.uri) {
                _ if in_front.is_some() => in_front.unwrap_or_default(),
                Some(uri) => {
                    let path = uri.path().to_owned();
                    parts.uri = uri;
                    parts.extensions.insert(wire.clone());
                    let limited = match side {
                        Side::Gitlab => gitlab::limits::check(&app, &parts, &body, &wire),
                        Side::Factory => None,
                    };
                    let response = match limited {
                        Some(refusal) => refusal,
                        None => next.run(Request::from_parts(parts, Body::from(body))).await,
                    };
                    match &app.recorder {
                        Some(recorder) => recorder.note(&seen, &path, response).await,
                        None => response,
                    }
                }
                None => StatusCode::NOT_FOUND.into_response(),
            };
            if let Some(intercept) = &app.intercept {
                let asked = intercept.after(&seen, response.status().as_u16());
                if asked != Action::Pass {
                    after = asked;
                }
            }
            response
        }
    };
    let response = match app.save() {
        Ok(()) => response,
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("The world cannot be saved: {error}"),
        )
            .into_response(),
    };
    for action in [&before, &after] {
        if let Action::Away(milliseconds) = action {
            wire.cut_after(0);
            app.go_away(side, *milliseconds);
        }
    }
    let response = act(&before, response, &wire).await;
    let mut response = act(&after, response, &wire).await;
    if side == Side::Gitlab {
        app.read(|world| proxy::thin_out(&world.switches, response.headers_mut()));
    }
    if let Some(date) = moved_date(&app) {
        response.headers_mut().insert(header::DATE, date);
    }
    if before != Action::Drop && after != Action::Drop {
        let mut requests = app.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = requests.get_mut(index) {
            entry.status = Some(response.status().as_u16());
        }
    }
    response
}

/// The `Date` header of a server whose clock is off; the wire sets that of a right one.
fn moved_date(app: &App) -> Option<HeaderValue> {
    let now = app.read(|world| (world.switches.clock_offset_seconds != 0).then(|| world.now()))?;
    let text = jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&now)
        .ok()?;
    HeaderValue::try_from(text).ok()
}

fn see(app: &App, side: Side, parts: &axum::http::request::Parts, body: &Bytes) -> Seen {
    let path = parts.uri.path().to_owned();
    Seen {
        number: app.next_number(),
        side,
        method: parts.method.to_string(),
        write: is_write(parts.method.as_str(), &path),
        path,
        query: parts.uri.query().map(str::to_owned),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body: body.to_vec(),
    }
}

fn log(app: &App, seen: &Seen) -> usize {
    let mut requests = app.requests.lock().unwrap_or_else(PoisonError::into_inner);
    requests.push(RequestLog {
        number: seen.number,
        side: seen.side,
        method: seen.method.clone(),
        path: seen.path.clone(),
        query: seen.query.clone(),
        status: None,
        write: seen.write,
        by_factory: seen.by_factory(),
    });
    requests.len() - 1
}

async fn pause(milliseconds: u64) {
    if milliseconds > 0 {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
}

/// The URI without GitLab's relative URL root; `None` outside of it.
fn inside_root(app: &App, side: Side, uri: &Uri) -> Option<Uri> {
    let root = app.read(|world| world.switches.relative_url_root.trim_end_matches('/').to_owned());
    if side != Side::Gitlab || root.is_empty() {
        return Some(uri.clone());
    }
    let rest = uri.path().strip_prefix(&root)?;
    if !(rest.is_empty() || rest.starts_with('/')) {
        return None;
    }
    let rest = if rest.is_empty() { "/" } else { rest };
    let text = uri
        .query()
        .map_or_else(|| rest.to_owned(), |query| format!("{rest}?{query}"));
    text.parse().ok()
}

/// Does to an answer what an action asks for.
async fn act(action: &Action, response: Response, wire: &Wire) -> Response {
    match action {
        Action::Pass | Action::Delay(_) | Action::Away(_) => response,
        Action::Respond { status, headers, body } => canned(*status, headers, body),
        Action::Drop => {
            wire.cut_after(0);
            response
        }
        Action::Truncate(bytes) => {
            wire.cut_after(*bytes);
            response
        }
        Action::Hang => std::future::pending().await,
        Action::Bloat(bytes) => {
            let (mut parts, _) = response.into_parts();
            parts.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(vec![b'x'; *bytes]))
        }
        Action::Endless => {
            let (mut parts, _) = response.into_parts();
            parts.headers.remove(header::CONTENT_LENGTH);
            let piece = Ok::<_, std::convert::Infallible>(Bytes::from(vec![b'x'; 16 << 10]));
            let body = Body::from_stream(futures_util::stream::repeat_with(move || piece.clone()));
            Response::from_parts(parts, body)
        }
        Action::Drip { pieces, every_ms } => drip(response, (*pieces).max(1), *every_ms).await,
    }
}

fn canned(status: u16, headers: &[(String, String)], body: &str) -> Response {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

async fn drip(response: Response, pieces: usize, every_ms: u64) -> Response {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let bytes = axum::body::to_bytes(body, BODY_LIMIT).await.unwrap_or_default();
    let size = bytes.len().div_ceil(pieces).max(1);
    let stream = futures_util::stream::unfold(bytes, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        pause(every_ms).await;
        let piece = rest.split_to(size.min(rest.len()));
        Some((Ok::<_, std::convert::Infallible>(piece), rest))
    });
    Response::from_parts(parts, Body::from_stream(stream))
}
