//! A request as the client sends it, and may send again: all of it is at hand before the first attempt.

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use url::Url;

use super::{Error, ErrorKind, Result, Side};

/// A request. Built by [`super::Client::get`] and its like, or from a whole URL by [`Request::new`].
///
/// `GET` and `HEAD` are taken as reads that may be repeated; whatever else is a write that may not, unless
/// [`Request::reading`] or [`Request::repeatable`] says otherwise.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent trait of a request")]
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Vec<u8>>,
    pub(super) writes: bool,
    pub(super) repeatable: bool,
    pub(super) anonymous: bool,
    pub(super) limit: Option<usize>,
    pub(super) hidden: bool,
}

impl Request {
    /// A request for a URL, which must lie at the origin of the client that sends it.
    pub fn new(method: Method, url: Url) -> Self {
        let reads = matches!(method, Method::GET | Method::HEAD);
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            writes: !reads,
            repeatable: reads,
            anonymous: false,
            limit: None,
            hidden: false,
        }
    }

    /// Adds pairs to the query.
    #[must_use]
    pub fn query<K: AsRef<str>, V: AsRef<str>>(mut self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut pairs = pairs.into_iter().peekable();
        if pairs.peek().is_some() {
            self.url.query_pairs_mut().extend_pairs(pairs);
        }
        self
    }

    /// Replaces the whole query by one that is encoded already, such as that of a link to the next page.
    #[must_use]
    pub fn with_query(mut self, query: &str) -> Self {
        self.url.set_query(Some(query));
        self
    }

    /// Sends JSON. Fails only for values that are no JSON, such as maps with keys that are no strings.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Result<Self> {
        let body = serde_json::to_vec(value).map_err(|error| {
            let message = format!("the request could not be written as JSON: {error}");
            Error::new(Side::Other, ErrorKind::Refused, self.label(), message)
        })?;
        Ok(self.json_text(body))
    }

    /// Sends what is JSON already.
    #[must_use]
    pub fn json_text(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self.header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// Sends a form, as browsers do.
    #[must_use]
    pub fn form<K: AsRef<str>, V: AsRef<str>>(mut self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        self.body = Some(body.into_bytes());
        self.header(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        )
    }

    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Asks for a web page.
    #[must_use]
    pub fn accept_html(self) -> Self {
        self.header(
            ACCEPT,
            HeaderValue::from_static("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"),
        )
    }

    /// Whether it asks for a web page.
    pub(super) fn asks_for_page(&self) -> bool {
        let accepted = self.headers.get(ACCEPT).and_then(|value| value.to_str().ok());
        accepted.is_some_and(|accepted| accepted.starts_with("text/html"))
    }

    /// Sets a pair of the query, in place of those of its name.
    #[must_use]
    pub fn with_pair(mut self, name: &str, value: &str) -> Self {
        let kept: Vec<(String, String)> = self
            .url
            .query_pairs()
            .into_owned()
            .filter(|(known, _)| known != name)
            .collect();
        self.url
            .query_pairs_mut()
            .clear()
            .extend_pairs(kept)
            .append_pair(name, value);
        self
    }

    /// Changes nothing on the server although its method might: counted as a read, and repeated like one.
    #[must_use]
    pub fn reading(mut self) -> Self {
        self.writes = false;
        self.repeatable = true;
        self
    }

    /// Changes nothing but the web session it is sent in, such as a sign-in: counted as a read, yet not repeated like one.
    #[must_use]
    pub fn session_only(mut self) -> Self {
        self.writes = false;
        self
    }

    /// Changes something on the server although its method should not: counted as a write, and not repeated.
    #[must_use]
    pub fn writing(mut self) -> Self {
        self.writes = true;
        self.repeatable = false;
        self
    }

    /// A write that does no more the second time than the first: repeated also where it may have been processed.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Goes without the client's credential.
    #[must_use]
    pub fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// The largest body that the answer may have, in bytes, instead of the client's limit.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = Some(bytes);
        self
    }

    /// The path is itself a secret, as a webhook's is: logs and errors leave it out.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// Method and path, without the query, for logs and reports.
    pub fn label(&self) -> String {
        format!("{} {}", self.method, self.shown_path())
    }

    /// The path, as far as it may be shown.
    pub(super) fn shown_path(&self) -> &str {
        if self.hidden { "***" } else { self.url.path() }
    }
}

impl std::fmt::Debug for Request {
    /// Method and path only: the rest may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Request").field(&self.label()).finish()
    }
}
