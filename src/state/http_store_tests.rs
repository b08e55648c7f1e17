//! The HTTP store against a small backend on loopback that can lose answers and change its mind.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method as HttpMethod, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};

use super::{HttpBackend, HttpStore, PEER};
use crate::http::{Client, ClientOptions, Credential};
use crate::secrets::Secret;
use crate::state::{LockInfo, StateError, StateStore, new_record, parse};

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The request is carried out, and its answer gets lost.
    LoseAnswer,
    /// It gets lost before it is carried out.
    LoseRequest,
    /// A proxy answers with its sign-in page, and the request goes nowhere.
    SignInPage,
    /// A proxy knows no way to the backend.
    NoWay,
}

#[derive(Default)]
struct Inner {
    record: Option<Vec<u8>>,
    lock: Option<LockInfo>,
    faults: VecDeque<Option<Fault>>,
    silent_about_holder: bool,
    /// What is answered in place of the record: status, type, body.
    instead: Option<(StatusCode, &'static str, &'static str)>,
    broken_writes: bool,
    log: Vec<String>,
    writes: usize,
}

#[derive(Clone, Default)]
struct Backend(Arc<Mutex<Inner>>);

impl Backend {
    fn get(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// The next requests meet these faults.
    fn faults(&self, faults: &[Option<Fault>]) {
        self.get().faults = faults.iter().copied().collect();
    }

    async fn start() -> (Self, u16) {
        let backend = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = axum::Router::new().fallback(serve).with_state(backend.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (backend, port)
    }
}

async fn serve(State(backend): State<Backend>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let fault = backend.get().faults.pop_front().flatten();
    if matches!(fault, Some(Fault::LoseRequest)) {
        return cut_off();
    }
    if matches!(fault, Some(Fault::SignInPage)) {
        return ([("content-type", "text/html")], "<html><form action=\"/login\">").into_response();
    }
    if matches!(fault, Some(Fault::NoWay)) {
        let page = ([("content-type", "text/html")], "<h1>Not Found</h1>");
        return (StatusCode::NOT_FOUND, page).into_response();
    }
    let answer = answer(&mut backend.get(), &parts.method, &parts.uri, &parts.headers, &body);
    if fault.is_some() { cut_off() } else { answer }
}

/// An answer that breaks off.
fn cut_off() -> Response {
    let broken = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("gone")) });
    Body::from_stream(broken).into_response()
}

fn answer(inner: &mut Inner, method: &HttpMethod, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
    inner.log.push(format!("{method} {uri}"));
    // ci:token-fake
    if headers
        .get("authorization")
        .is_none_or(|value| value != "Basic Y2k6dG9rZW4tZmFrZQ==")
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let query = uri.query().unwrap_or_default();
    let refusal = |inner: &Inner| match &inner.lock {
        Some(lock) if !inner.silent_about_holder => {
            (StatusCode::LOCKED, serde_json::to_string(lock).unwrap()).into_response()
        }
        _ => StatusCode::CONFLICT.into_response(),
    };
    let path = uri.path().replace(GITLABS, "/state");
    match (method.as_str(), path.as_str()) {
        ("GET", "/state") if inner.instead.is_some() => {
            let (status, kind, body) = inner.instead.unwrap();
            (status, [("content-type", kind)], body).into_response()
        }
        ("GET", "/state") => match &inner.record {
            Some(record) => record.clone().into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        ("POST", "/state") if inner.broken_writes => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        ("POST", "/state") => {
            if inner
                .lock
                .as_ref()
                .is_some_and(|lock| query != format!("ID={}", lock.id))
            {
                return refusal(inner);
            }
            inner.record = Some(body.to_vec());
            inner.writes += 1;
            StatusCode::OK.into_response()
        }
        ("LOCK", "/state/lock") => {
            if inner.lock.is_some() {
                return refusal(inner);
            }
            inner.lock = Some(serde_json::from_slice(body).unwrap());
            StatusCode::OK.into_response()
        }
        ("UNLOCK", "/state/lock") => {
            let asked: LockInfo = serde_json::from_slice(body).unwrap();
            if inner.lock.as_ref().is_none_or(|lock| lock.id != asked.id) {
                return refusal(inner);
            }
            inner.lock = None;
            StatusCode::OK.into_response()
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

fn store(port: u16, errored: &str) -> HttpStore {
    store_at(port, "/state", errored)
}

fn store_at(port: u16, path: &str, errored: &str) -> HttpStore {
    let lock = format!("{path}/lock");
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}").parse().unwrap();
    let mut options = ClientOptions::new(&PEER, url("/"));
    options.credential = Credential::Basic {
        username: "ci".into(),
        password: Secret::new("token-fake"),
    };
    let backend = HttpBackend {
        url: url(path),
        lock_url: url(&lock),
        unlock_url: url(&lock),
        lock_method: "LOCK".into(),
        unlock_method: "UNLOCK".into(),
        errored: errored.into(),
    };
    HttpStore::new(Client::new(options).unwrap(), backend).unwrap()
}

/// Where GitLab keeps Terraform state.
const GITLABS: &str = "/api/v4/projects/1/terraform/state/setpoint";

fn info(id: &str) -> LockInfo {
    LockInfo {
        who: "ada@host.example.com".into(),
        command: "apply".into(),
        ..LockInfo::of_id(id)
    }
}

#[tokio::test]
async fn a_record_is_locked_written_read_and_let_go() {
    let (backend, port) = Backend::start().await;
    let store = store(port, "x");
    assert_eq!(store.read().await.unwrap(), None);
    store.lock(&info("one"), Duration::ZERO).await.unwrap();
    let mut record = new_record(false).unwrap();
    store.write(&mut record).await.unwrap();
    store.write(&mut record).await.unwrap();
    assert_eq!(record.serial, 2);
    assert_eq!(store.read().await.unwrap(), Some(record));
    store.unlock("one").await.unwrap();
    assert!(backend.get().lock.is_none());
    let log = backend.get().log.clone();
    assert!(log.contains(&"POST /state?ID=one".to_owned()), "{log:?}");
    assert_eq!(log.iter().filter(|line| line.starts_with("GET")).count(), 3, "{log:?}");
}

#[tokio::test]
async fn the_loser_is_told_who_holds_the_lock() {
    let (_, port) = Backend::start().await;
    let (winner, loser) = (store(port, "x"), store(port, "x"));
    winner.lock(&info("one"), Duration::ZERO).await.unwrap();
    let error = loser.lock(&info("two"), Duration::ZERO).await.unwrap_err();
    assert!(error.is_locked());
    assert!(
        error.to_string().contains("ada@host.example.com running `apply`"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("state unlock one"));
    assert!(matches!(loser.unlock("two").await, Err(StateError::OtherLock { .. })));
    loser.unlock("one").await.unwrap();
    assert!(matches!(loser.unlock("one").await, Err(StateError::NotLocked { .. })));
    loser.lock(&info("two"), Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_lock_whose_answer_was_lost_is_recognized_as_ours() {
    for silent in [false, true] {
        for fault in [Fault::LoseAnswer, Fault::LoseRequest] {
            let (backend, port) = Backend::start().await;
            let store = store(port, "x");
            backend.get().silent_about_holder = silent;
            backend.faults(&[Some(fault)]);
            store.lock(&info("one"), Duration::ZERO).await.unwrap();
            assert_eq!(backend.get().lock.as_ref().unwrap().id, "one");
            backend.faults(&[Some(fault)]);
            store.unlock("one").await.unwrap();
            assert!(backend.get().lock.is_none());
        }
    }
}

#[tokio::test]
async fn a_lost_answer_never_takes_a_lock_of_somebody_else() {
    let (backend, port) = Backend::start().await;
    backend.get().silent_about_holder = true;
    backend.get().lock = Some(info("theirs"));
    backend.faults(&[Some(Fault::LoseAnswer)]);
    let error = store(port, "x").lock(&info("one"), Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, StateError::Locked { holder: None, .. }), "{error}");
    assert_eq!(backend.get().lock.as_ref().unwrap().id, "theirs");
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_looked_up() {
    for fault in [Fault::LoseAnswer, Fault::LoseRequest] {
        let (backend, port) = Backend::start().await;
        let store = store(port, "x");
        let mut record = new_record(false).unwrap();
        store.write(&mut record).await.unwrap();
        backend.faults(&[Some(fault)]);
        store.write(&mut record).await.unwrap();
        assert_eq!(backend.get().writes, 2, "{fault:?}: each serial is written once");
        assert_eq!(store.read().await.unwrap(), Some(record));
    }
}

#[tokio::test]
async fn a_backend_that_has_cost_all_patience_is_asked_once_each_time() {
    let (backend, port) = Backend::start().await;
    let store = store(port, "unused");
    let lost = || backend.faults(&[Some(Fault::LoseAnswer); 9]);
    let asked = || backend.get().log.drain(..).count();
    lost();
    store.lock(&info("one"), Duration::ZERO).await.unwrap_err();
    assert_eq!(asked(), 4);
    *store.patience.lock().unwrap() = Duration::ZERO;
    lost();
    store.lock(&info("two"), Duration::ZERO).await.unwrap_err();
    assert_eq!(asked(), 1);
    lost();
    store.unlock("one").await.unwrap_err();
    assert_eq!(asked(), 1);
    backend.get().lock = None;
    backend.faults(&[]);
    let mut record = new_record(false).unwrap();
    store.write(&mut record).await.unwrap();
    backend.faults(&[Some(Fault::LoseRequest)]);
    store.write(&mut record).await.unwrap_err();
    assert_eq!(backend.get().writes, 1);
}

#[tokio::test]
async fn a_sign_in_page_is_no_answer_of_a_backend() {
    let (backend, port) = Backend::start().await;
    let folder = tempfile::tempdir().unwrap();
    let store = store(port, folder.path().join("errored").to_str().unwrap());
    let info = LockInfo::new(
        "apply",
        &crate::state::Actor::from_variables(|_| None, None, "host".into()),
        jiff::Timestamp::UNIX_EPOCH,
    )
    .unwrap();
    backend.faults(&[Some(Fault::SignInPage)]);
    let error = store.lock(&info, Duration::ZERO).await.unwrap_err();
    assert!(error.to_string().contains("web page"), "{error}");
    store.lock(&info, Duration::ZERO).await.unwrap();
    let mut record = new_record(false).unwrap();
    let _ = store.read().await.unwrap();
    backend.faults(&[
        Some(Fault::SignInPage),
        None,
        Some(Fault::SignInPage),
        None,
        Some(Fault::SignInPage),
    ]);
    let error = store.write(&mut record).await.unwrap_err();
    assert!(error.to_string().contains("web page"), "{error}");
    assert_eq!(backend.get().writes, 0);
    backend.faults(&[]);
    store.write(&mut record).await.unwrap();
    backend.faults(&[Some(Fault::SignInPage)]);
    let error = store.unlock(&info.id).await.unwrap_err();
    assert!(error.to_string().contains("web page"), "{error}");
    assert!(backend.get().lock.is_some());
}

#[tokio::test]
async fn a_lock_is_not_gone_because_a_proxy_says_so() {
    let (backend, port) = Backend::start().await;
    let store = store(port, "unused");
    store.lock(&info("one"), Duration::ZERO).await.unwrap();
    backend.faults(&[Some(Fault::NoWay)]);
    let error = store.unlock("one").await.unwrap_err();
    assert!(matches!(error, StateError::Backend(_)), "{error}");
    store.unlock("one").await.unwrap();
}

#[tokio::test]
async fn a_record_is_begun_only_where_the_backend_says_that_there_is_none() {
    const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;
    const JSON: &str = "application/json";
    let (backend, port) = Backend::start().await;
    for (path, status, kind, body, is_none) in [
        (GITLABS, NOT_FOUND, JSON, r#"{"message":"404 Not found"}"#, true),
        (
            GITLABS,
            NOT_FOUND,
            JSON,
            r#"{"message":"404 Project Not Found"}"#,
            false,
        ),
        (GITLABS, NOT_FOUND, JSON, r#"{"error":"404 Not Found"}"#, false),
        (GITLABS, NOT_FOUND, JSON, "", false),
        (GITLABS, NOT_FOUND, "text/plain", "404 page not found", false),
        (GITLABS, NOT_FOUND, "text/html", "<h1>Not Found</h1>", false),
        (GITLABS, StatusCode::NO_CONTENT, JSON, "", true),
        (GITLABS, StatusCode::OK, JSON, "", false),
        ("/state", NOT_FOUND, JSON, r#"{"error":"no such state"}"#, true),
        ("/state", NOT_FOUND, "text/plain", "", true),
        ("/state", NOT_FOUND, "text/plain", "default backend - 404", false),
        ("/state", NOT_FOUND, "text/html", "<h1>Not Found</h1>", false),
        ("/state", StatusCode::NO_CONTENT, JSON, "", false),
        ("/state", StatusCode::OK, JSON, " \n", false),
    ] {
        let store = store_at(port, path, "x");
        backend.get().instead = Some((status, kind, body));
        let read = store.read().await;
        assert_eq!(matches!(read, Ok(None)), is_none, "{path} {status} {body}: {read:?}");
        assert!(is_none || read.is_err(), "{path} {status} {body}: {read:?}");
        let written = store.write(&mut new_record(false).unwrap()).await;
        assert_eq!(written.is_ok(), is_none, "{path} {status} {body}: {written:?}");
    }
    // To lock is to make an entry in GitLab: that there is none is of a replica that is behind.
    let store = store_at(port, GITLABS, "x");
    backend.get().instead = Some((NOT_FOUND, JSON, r#"{"message":"404 Not found"}"#));
    store.lock(&info("one"), Duration::ZERO).await.unwrap();
    let error = store.read().await.unwrap_err();
    assert!(matches!(error, StateError::Unanswered { .. }), "{error}");
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("state rebuild --replace"))
    );
}

#[tokio::test]
async fn what_another_run_wrote_is_not_overwritten() {
    let (backend, port) = Backend::start().await;
    let (one, other) = (store(port, "x"), store(port, "x"));
    let mut record = new_record(false).unwrap();
    one.write(&mut record).await.unwrap();
    let mut theirs = other.read().await.unwrap().unwrap();
    let mut stale = record.clone();
    other.write(&mut theirs).await.unwrap();
    // With the lock, what was read before counts no more.
    one.lock(&info("one"), Duration::ZERO).await.unwrap();
    let error = one.write(&mut stale).await.unwrap_err();
    assert!(
        matches!(error, StateError::Conflict { stored: 2, ours: 1, .. }),
        "{error}"
    );
    let error = one.write(&mut new_record(false).unwrap()).await.unwrap_err();
    assert!(matches!(error, StateError::OtherLineage { .. }), "{error}");
    let stored = backend.get().record.clone().unwrap();
    assert_eq!(parse(&stored, "x").unwrap(), theirs);
}

#[tokio::test]
async fn a_lock_that_was_taken_away_stops_the_writes() {
    let (backend, port) = Backend::start().await;
    let store = store(port, "x");
    store.lock(&info("one"), Duration::ZERO).await.unwrap();
    backend.get().lock = Some(info("theirs"));
    let mut record = new_record(false).unwrap();
    let error = store.write(&mut record).await.unwrap_err();
    assert!(matches!(error, StateError::LockLost { .. }), "{error}");
    assert!(error.to_string().contains("ada@host.example.com"), "{error}");
    assert_eq!((record.serial, backend.get().writes), (0, 0));
}

#[tokio::test]
async fn a_damaged_record_stays_until_it_is_replaced_and_is_kept() {
    for damaged in ["{\"version\": 1, \"serial\": 7, \"li", "garbage"] {
        let (backend, port) = Backend::start().await;
        let folder = tempfile::tempdir().unwrap();
        let errored = folder.path().join("state.json");
        let store = store(port, errored.to_str().unwrap());
        let mut record = new_record(false).unwrap();
        backend.get().record = Some(damaged.as_bytes().to_vec());
        let error = store.write(&mut record).await.unwrap_err();
        assert!(matches!(error, StateError::Damaged { .. }), "{error}");
        assert_eq!(backend.get().writes, 0);
        store.lock(&info("one"), Duration::ZERO).await.unwrap();
        // Its answer gets lost, and what is stored then is no reason to stop.
        backend.faults(&[None, Some(Fault::LoseRequest)]);
        let kept = store.replace(&mut record).await.unwrap().unwrap();
        assert_eq!(kept, folder.path().join("state.json.damaged-1"));
        assert_eq!(std::fs::read_to_string(kept).unwrap(), damaged);
        assert_eq!(store.read().await.unwrap(), Some(record.clone()));
        store.write(&mut record).await.unwrap();
        assert!(record.serial > 1 && backend.get().lock.is_some());
    }
}

#[tokio::test]
async fn a_lock_that_was_let_go_by_force_is_told_from_a_broken_server() {
    let (backend, port) = Backend::start().await;
    let store = store(port, "x");
    let mut record = new_record(false).unwrap();
    store.lock(&info("one"), Duration::ZERO).await.unwrap();
    // As GitLab: a lock that does not match is an error that it does not catch.
    backend.get().broken_writes = true;
    let error = store.write(&mut record).await.unwrap_err();
    assert!(matches!(error, StateError::Backend(_)), "the lock is ours: {error}");
    backend.get().lock = None;
    let error = store.write(&mut record).await.unwrap_err();
    assert!(error.to_string().contains("somebody released it"), "{error}");
    assert!(backend.get().lock.is_none(), "it is not taken again");
    backend.get().lock = Some(info("theirs"));
    let error = store.write(&mut record).await.unwrap_err();
    assert!(error.to_string().contains("ada@host.example.com"), "{error}");
    assert_eq!(backend.get().lock.as_ref().unwrap().id, "theirs");
}

#[test]
fn a_backend_that_echoes_the_loser_is_not_taken_for_the_holder() {
    let mut held = info("theirs");
    held.pid = Some(std::process::id());
    let shown = super::without_echo(held);
    assert_eq!(shown.to_string(), "ada@host.example.com, lock id theirs");
}
