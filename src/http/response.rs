//! A whole answer: its body was read, within the limit, before anybody sees it.

use std::sync::Arc;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use serde::de::DeserializeOwned;
use url::Url;

use super::context::Context;
use super::{Error, ErrorKind, Result, Said, failure};

/// An answer, redirects included: none is followed.
#[derive(Clone)]
pub struct Response {
    pub(super) context: Arc<Context>,
    pub(super) label: String,
    pub(super) url: Url,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) asked_for_page: bool,
    pub(super) attempts: u32,
}

impl Response {
    /// An answer that nobody sent, for fuzzing: `status` chooses one of those that are told apart.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn made(peer: &'static super::Peer, status: u8, body: &[u8]) -> Self {
        const STATUSES: [u16; 12] = [200, 400, 401, 403, 404, 409, 422, 423, 429, 500, 502, 302];
        let url = Url::parse("https://server.example.com/path").unwrap_or_else(|_| unreachable!("it is a URL"));
        Self {
            context: Arc::new(Context::of(peer, url.clone())),
            label: "GET /path".to_owned(),
            url,
            status: StatusCode::from_u16(STATUSES[usize::from(status) % STATUSES.len()]).unwrap_or_default(),
            headers: HeaderMap::new(),
            body: body.to_vec(),
            asked_for_page: false,
            attempts: 1,
        }
    }

    /// A page of GitLab's host that nobody sent.
    #[cfg(test)]
    pub(crate) fn page(peer: &'static super::Peer, status: u16, body: &str) -> Self {
        let url = Url::parse("https://gitlab.example.com/page").unwrap_or_else(|_| unreachable!("it is a URL"));
        Self {
            context: Arc::new(Context::of(peer, url.clone())),
            label: "GET /page".to_owned(),
            url,
            status: StatusCode::from_u16(status).unwrap_or_default(),
            asked_for_page: true,
            ..Self::made(peer, 0, body.as_bytes())
        }
    }

    /// Whose answer it is.
    pub fn side(&self) -> super::Side {
        self.context.peer.side
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Method and path of the request, for messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The URL that was requested.
    pub fn url(&self) -> &Url {
        &self.url
    }

    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// A header, where it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as text; bytes that are no UTF-8 become U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Where a redirect leads, as a whole URL. None for other answers, and where `Location` is missing or no URL.
    pub fn location(&self) -> Option<Url> {
        self.status.is_redirection().then_some(())?;
        self.url.join(self.header(LOCATION.as_str())?).ok()
    }

    /// Whether a web page was asked for.
    pub fn asked_for_page(&self) -> bool {
        self.asked_for_page
    }

    /// An error about an answer in the server's name that is not the server's own.
    pub fn from_between(&self) -> Error {
        failure::from_between(self)
    }

    /// Whether this is a web page, by its declared type or, failing that, by its first character.
    pub fn is_html(&self) -> bool {
        match self.header(CONTENT_TYPE.as_str()) {
            Some(kind) => kind.trim_start().to_ascii_lowercase().starts_with("text/html"),
            None => self.body.trim_ascii_start().starts_with(b"<"),
        }
    }

    /// The body as JSON of this shape.
    ///
    /// # Errors
    /// [`ErrorKind::Unexpected`] for a web page, for what is no JSON, and for JSON of another shape; the message
    /// names the field.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let mut deserializer = serde_json::Deserializer::from_slice(&self.body);
        let value =
            serde_path_to_error::deserialize(&mut deserializer).map_err(|error| failure::shape(self, &error))?;
        deserializer.end().map_err(|error| failure::no_json(self, &error))?;
        Ok(value)
    }

    /// Itself if the status is one of success.
    pub fn success(self) -> Result<Self> {
        if self.status.is_success() {
            Ok(self)
        } else {
            Err(self.error())
        }
    }

    /// Success of a write whose answer says nothing but its status: this very one. Another is perhaps that of something in
    /// between, and then nothing was done.
    pub fn exactly(&self, status: StatusCode) -> Result<()> {
        if self.status == status {
            return Ok(());
        }
        if self.status.is_success() {
            let what = if self.is_html() { " with a web page" } else { "" };
            return Err(self.unexpected(format!(
                "{} was answered {}{what}, and not {status}, so something in between may have answered",
                self.label(),
                self.status
            )));
        }
        Err(self.error())
    }

    /// This answer as an error: what its status means, and what the server says about it.
    pub fn error(&self) -> Error {
        failure::status(self)
    }

    /// An error about this answer: it came, but is not what was asked for.
    pub fn unexpected(&self, message: impl Into<String>) -> Error {
        self.failed(ErrorKind::Unexpected, message)
    }

    /// An error of this kind about this answer.
    pub fn failed(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(self.context.peer.side, kind, self.label.clone(), message)
    }

    /// How many attempts it took, 1 being the usual.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// What the server says went wrong, where its body has words for it.
    pub fn said(&self) -> Said {
        Said::of(self)
    }

    /// What this means where somebody knows the server.
    pub(super) fn meaning(&self) -> Option<Error> {
        (self.context.peer.meaning)(self, &self.said())
    }

    /// The address of the client that it came to.
    pub fn base_url(&self) -> &Url {
        &self.context.base
    }

    /// Whether the client has a credential.
    pub fn has_credential(&self) -> bool {
        self.context.has_credential
    }
}

impl std::fmt::Debug for Response {
    /// Status and request only: headers and body may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Response")
            .field(&self.label)
            .field(&self.status.as_u16())
            .finish()
    }
}
