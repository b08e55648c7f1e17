//! A webhook receiver on loopback: keeps what it is sent, and answers as a test wants.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

/// What came in.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// Path and query.
    pub(super) uri: String,
    /// All headers, as text.
    pub(super) headers: String,
    /// The body.
    pub(super) body: Value,
}

/// How the next message is answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    status: u16,
    location: Option<String>,
    body: String,
}

impl Answer {
    pub(super) fn status(status: u16) -> Self {
        Self {
            status,
            location: None,
            body: String::new(),
        }
    }

    pub(super) fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn location(mut self, location: impl Into<String>) -> Self {
        self.location = Some(location.into());
        self
    }
}

#[derive(Default)]
struct Shared {
    messages: Vec<Message>,
    answers: VecDeque<Answer>,
}

/// The receiver; it ends with the test.
pub(super) struct Receiver {
    origin: String,
    shared: Arc<Mutex<Shared>>,
    task: tokio::task::JoinHandle<()>,
}

/// Path and query of the webhook, each part of which is a secret.
pub(super) const SECRET_PATH: &str = "/hookcanary/T0CANARYTEAM/B0CANARYHOOK/canarycanarycanary?token=querycanary";

impl Receiver {
    pub(super) async fn start() -> Self {
        let shared: Arc<Mutex<Shared>> = Arc::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let kept = Arc::clone(&shared);
        let app = axum::Router::new().fallback(move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let kept = Arc::clone(&kept);
            async move { take(&mut kept.lock().unwrap(), &uri, &headers, &body) }
        });
        let task = tokio::spawn(async move {
            axum::serve(listener, app).await.unwrap();
        });
        Self { origin, shared, task }
    }

    /// The whole address, which nothing may print.
    pub(super) fn address(&self) -> String {
        format!("{}{SECRET_PATH}", self.origin)
    }

    /// How the next messages are answered; after them, with 200.
    pub(super) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.lock().answers.extend(answers);
    }

    /// What came in since this was asked last.
    pub(super) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.lock().messages)
    }

    /// The one message that came in since this was asked last.
    #[track_caller]
    pub(super) fn one(&self) -> Value {
        let messages = self.take();
        assert_eq!(messages.len(), 1, "{messages:#?}");
        messages[0].body.clone()
    }

    /// Ends it: nobody listens at its address any more.
    pub(super) async fn end(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn take(shared: &mut Shared, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Response {
    shared.messages.push(Message {
        uri: uri.to_string(),
        headers: format!("{headers:?}"),
        body: serde_json::from_slice(body).unwrap_or(Value::Null),
    });
    let answer = shared
        .answers
        .pop_front()
        .unwrap_or_else(|| Answer::status(200).body("ok"));
    let mut response = (StatusCode::from_u16(answer.status).unwrap(), answer.body).into_response();
    if let Some(location) = answer.location {
        response.headers_mut().insert("location", location.parse().unwrap());
    }
    response
}
