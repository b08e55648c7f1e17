//! Writes down what was asked and answered, for programs that judge it: each exchange is held against the published
//! descriptions of both APIs (`tests/conformance/`). What a mishap does to an answer is left out: that is no answer of
//! GitLab's or Factory's.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::faults::{Seen, Side};
use super::wire::BODY_LIMIT;

/// The folder into which each sandbox writes a file of its own, one exchange a line.
const VARIABLE: &str = "SETPOINT_SANDBOX_RECORD";

static FILES: AtomicU64 = AtomicU64::new(0);

/// A file of exchanges.
pub(crate) struct Recorder(Mutex<File>);

impl Recorder {
    /// The recorder that the environment asks for.
    pub(crate) fn from_environment() -> io::Result<Option<Self>> {
        let Some(folder) = std::env::var_os(VARIABLE) else {
            return Ok(None);
        };
        std::fs::create_dir_all(&folder)?;
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}.jsonl", std::process::id());
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(std::path::Path::new(&folder).join(name))?;
        Ok(Some(Self(Mutex::new(file))))
    }

    /// Writes an exchange down and gives the answer on. The path is the one inside of a relative URL root.
    pub(crate) async fn note(&self, seen: &Seen, path: &str, response: Response) -> Response {
        let (parts, body) = response.into_parts();
        let Ok(body) = axum::body::to_bytes(body, BODY_LIMIT).await else {
            return Response::from_parts(parts, Body::empty());
        };
        let asked = |wanted: &str| {
            let found = seen.headers.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.as_str())
        };
        let line = json!({
            "side": match seen.side { Side::Gitlab => "gitlab", Side::Factory => "factory" },
            "client": asked("user-agent"),
            "method": seen.method,
            "path": path,
            "query": seen.query,
            "request_type": asked("content-type"),
            "request": text(asked("content-type"), &seen.body),
            "authorized": asked("authorization").is_some() || asked("private-token").is_some(),
            "status": parts.status.as_u16(),
            "type": kind(&parts.headers),
            "answer": text(kind(&parts.headers), &body),
        });
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk shows when the recording is read.
        let _ = writeln!(file, "{line}");
        Response::from_parts(parts, Body::from(body))
    }
}

fn kind(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()
}

/// Bodies that a description of an API says something about.
fn text(kind: Option<&str>, body: &[u8]) -> Value {
    match kind {
        Some(kind) if kind.contains("json") || kind.contains("form") => String::from_utf8_lossy(body).into(),
        _ => Value::Null,
    }
}
