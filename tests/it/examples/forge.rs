//! What the examples talk to beside both sides: GitLab's notes on a merge request (GitLab: docs, REST API, Notes), a
//! webhook, and a Pushgateway. It keeps what it was told.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post, put};
use axum::{Form, Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

/// The project access token that may write notes.
pub(super) const TOKEN: &str = "glpat-note-token";
/// Whose it is.
const BOT: u64 = 900;

/// What it was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Notes on the merge request: id, author, text.
    pub(super) notes: Vec<(u64, u64, String)>,
    /// Bodies that the webhook got.
    pub(super) hooks: Vec<String>,
    /// Bodies that the Pushgateway got.
    pub(super) metrics: Vec<String>,
}

type Shared = Arc<Mutex<Told>>;

/// The server; it ends with the test.
pub(super) struct Forge {
    told: Shared,
    address: std::net::SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

impl Forge {
    /// Serves on a free port, with more notes of others than fit on a page.
    pub(super) async fn start() -> Self {
        let told = Shared::default();
        let others = (1..=120).map(|id| (id, 7, "Looks good".to_owned()));
        told.lock().unwrap().notes.extend(others);
        // Somebody quotes the note, mark and all.
        "<!-- setpoint -->\n\nis what it begins with".clone_into(&mut told.lock().unwrap().notes[10].2);
        let notes = "/api/v4/projects/1/merge_requests/7/notes";
        let router = Router::new()
            .route("/api/v4/user", get(user))
            .route(notes, get(list).post(create))
            .route(&format!("{notes}/{{id}}"), put(update))
            .route("/hook", post(hook))
            .route("/metrics/job/setpoint", post(metrics))
            .with_state(Arc::clone(&told));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { told, address, server }
    }

    /// Where it is.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Looks at what it was told.
    pub(super) fn told<R>(&self, f: impl FnOnce(&Told) -> R) -> R {
        f(&self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The notes of the token's own user.
    pub(super) fn ours(&self) -> Vec<String> {
        self.told(|told| {
            let ours = told.notes.iter().filter(|(_, author, _)| *author == BOT);
            ours.map(|(.., text)| text.clone()).collect()
        })
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn allowed(headers: &HeaderMap) -> Result<(), StatusCode> {
    let given = headers.get("private-token").and_then(|value| value.to_str().ok());
    if given == Some(TOKEN) {
        Ok(())
    } else {
        Err(StatusCode::UNAUTHORIZED)
    }
}

fn shown((id, author, text): &(u64, u64, String)) -> Value {
    json!({"id": id, "body": text, "author": {"id": author}, "system": false})
}

async fn user(headers: HeaderMap) -> Result<Json<Value>, StatusCode> {
    allowed(&headers)?;
    Ok(Json(json!({"id": BOT, "username": "project_1_bot"})))
}

#[derive(Deserialize)]
struct Wanted {
    per_page: usize,
    page: usize,
    sort: String,
}

async fn list(
    State(told): State<Shared>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<Value>>, StatusCode> {
    allowed(&headers)?;
    if wanted.sort != "asc" || wanted.per_page > 100 {
        return Err(StatusCode::BAD_REQUEST);
    }
    let told = told.lock().unwrap();
    let notes = told.notes.chunks(wanted.per_page).nth(wanted.page - 1);
    Ok(Json(notes.unwrap_or_default().iter().map(shown).collect()))
}

#[derive(Deserialize)]
struct Note {
    body: String,
}

async fn create(
    State(told): State<Shared>,
    headers: HeaderMap,
    Form(note): Form<Note>,
) -> Result<(StatusCode, Json<Value>), StatusCode> {
    allowed(&headers)?;
    let mut told = told.lock().unwrap();
    let made = (told.notes.len() as u64 + 1, BOT, note.body);
    told.notes.push(made.clone());
    Ok((StatusCode::CREATED, Json(shown(&made))))
}

async fn update(
    State(told): State<Shared>,
    headers: HeaderMap,
    Path(id): Path<u64>,
    Form(note): Form<Note>,
) -> Result<Json<Value>, StatusCode> {
    allowed(&headers)?;
    let mut told = told.lock().unwrap();
    let known = told.notes.iter_mut().find(|(known, ..)| *known == id);
    let known = known.ok_or(StatusCode::NOT_FOUND)?;
    if known.1 != BOT {
        return Err(StatusCode::FORBIDDEN);
    }
    known.2 = note.body;
    Ok(Json(shown(known)))
}

async fn hook(State(told): State<Shared>, body: String) -> &'static str {
    told.lock().unwrap().hooks.push(body);
    "ok"
}

async fn metrics(State(told): State<Shared>, body: String) -> StatusCode {
    told.lock().unwrap().metrics.push(body);
    StatusCode::ACCEPTED
}
