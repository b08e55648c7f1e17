//! What can go wrong between Setpoint and a server, told apart by what a caller would do about it.

use crate::secrets::redact;

/// Result of a request.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Which of the two sides was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    Gitlab,
    Factory,
    /// The state backend or a webhook.
    Other,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gitlab => "GitLab",
            Self::Factory => "Factory",
            Self::Other => "the server",
        })
    }
}

/// What went wrong, as far as it changes what a caller does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request never left: name resolution, refused connection, TLS. It was not processed.
    Unreachable,
    /// The server was reached, but no TLS connection came about. It was not processed.
    Tls,
    /// It left, and no whole answer came back: reset, timeout, half an answer. It may have been processed.
    AnswerLost,
    /// 401: the credentials are not accepted.
    Unauthorized,
    /// 402: Factory's plan is too small.
    PaymentRequired,
    /// 403: the credentials do not suffice.
    Forbidden,
    /// 404, of a server that knows what it was asked for.
    NotFound,
    /// 409.
    Conflict,
    /// 400 or 422: the server does not take the values.
    Invalid,
    /// Factory was told by GitLab that the application's id or secret is not right (OAuth's `invalid_client`).
    InvalidClient,
    /// 423: locked.
    Locked,
    /// 429, after the retries.
    RateLimited,
    /// 5xx, after the retries where these were safe.
    Server(u16),
    /// The server takes no writes now (maintenance mode, a read-only replica). It was not processed.
    ReadOnly,
    /// A redirect where none is followed.
    Redirect,
    Status(u16),
    /// The answer is not what was asked for: HTML instead of JSON, JSON of another shape, a page without the form.
    Unexpected,
    /// The answer is larger than a server of this kind ever needs.
    TooLarge,
    /// Refused before anything was sent: an address that a credential does not belong to, a sign-in that cannot work.
    Refused,
    /// Only a person with a browser can go on: a captcha, a security key, terms of service, single sign-on.
    PersonNeeded,
}

/// A failed request: one message a person can act on. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub side: Side,
    /// What kind of failure.
    pub kind: ErrorKind,
    /// The request, such as `GET /api/v4/user`, without query, for the report.
    pub request: String,
    /// What is wrong and where, in one sentence that stands alone.
    pub message: String,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
}

impl Error {
    /// An error with its message.
    pub fn new(side: Side, kind: ErrorKind, request: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            side,
            kind,
            request: redacted(request.into()),
            message: redacted(message.into()),
            hint: None,
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(redacted(hint.into()));
        self
    }

    /// Whether the server may have carried the request out although no success was seen.
    pub fn may_have_been_processed(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::AnswerLost | ErrorKind::Server(_) | ErrorKind::Unexpected | ErrorKind::TooLarge
        )
    }
}

/// Of paths and addresses, which are quoted whole.
fn redacted(text: String) -> String {
    match redact(&text) {
        std::borrow::Cow::Borrowed(_) => text,
        std::borrow::Cow::Owned(redacted) => redacted,
    }
}
