//! A browser's request taken apart, and the page that answers it.

use std::net::IpAddr;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;

use super::pages_html::escape;

/// The session cookie's name.
pub(crate) const COOKIE: &str = "_gitlab_session";

/// A request with its parts taken out.
#[derive(Debug, Clone)]
pub(crate) struct PageRequest {
    /// The method, after `_method` of a form.
    pub(crate) method: Method,
    /// Path below the relative URL root, as it came.
    pub(crate) path: String,
    /// The query string as it came, without the question mark.
    pub(crate) raw_query: String,
    /// Query parameters in order.
    pub(crate) query: Vec<(String, String)>,
    /// Form fields in order; fields of a JSON object likewise.
    pub(crate) form: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    /// The client's address, as far as it is known.
    pub(crate) address: String,
}

impl PageRequest {
    /// Takes a request apart. `path` is what remains below the relative URL root.
    pub(crate) fn new(method: &Method, path: &str, query: Option<&str>, headers: &HeaderMap, body: &[u8]) -> Self {
        let raw_query = query.unwrap_or_default().to_owned();
        let form = fields(headers, body);
        let method = match (method, field(&form, "_method").map(str::to_ascii_uppercase).as_deref()) {
            (&Method::POST, Some("DELETE")) => Method::DELETE,
            (&Method::POST, Some("PATCH")) => Method::PATCH,
            (&Method::POST, Some("PUT")) => Method::PUT,
            (method, _) => method.clone(),
        };
        Self {
            method,
            path: path.to_owned(),
            query: url::form_urlencoded::parse(raw_query.as_bytes()).into_owned().collect(),
            raw_query,
            form,
            headers: headers.clone(),
            address: String::new(),
        }
    }

    /// The request as it came from that address; a proxy on loopback says whose it is (`X-Forwarded-For`).
    pub(crate) fn from(mut self, peer: IpAddr) -> Self {
        let forwarded = self
            .headers
            .get("x-forwarded-for")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(',').next())
            .map(str::trim)
            .filter(|address| peer.is_loopback() && !address.is_empty());
        self.address = forwarded.map_or_else(|| peer.to_string(), ToOwned::to_owned);
        self
    }

    /// A parameter of the form, else of the query, as Rails merges them.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        field(&self.form, name).or_else(|| field(&self.query, name))
    }

    /// A form field that is not empty.
    pub(crate) fn present(&self, name: &str) -> Option<&str> {
        self.param(name).filter(|value| !value.is_empty())
    }

    /// The session cookie's value.
    pub(crate) fn cookie(&self) -> Option<String> {
        session_cookie(&self.headers)
    }
}

/// The value of the session cookie, if the request carries one.
pub(crate) fn session_cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value.to_owned())
}

/// The last field of that name, as Rails has it: the checkbox after its hidden twin wins.
fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields
        .iter()
        .rev()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

fn fields(headers: &HeaderMap, body: &[u8]) -> Vec<(String, String)> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if kind.starts_with("application/json") {
        return match serde_json::from_slice(body) {
            Ok(serde_json::Value::Object(map)) => map
                .into_iter()
                .map(|(key, value)| match value {
                    serde_json::Value::String(text) => (key, text),
                    other => (key, other.to_string()),
                })
                .collect(),
            _ => Vec::new(),
        };
    }
    url::form_urlencoded::parse(body).into_owned().collect()
}

/// An answer under construction.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    /// Headers besides the cookie.
    pub(crate) headers: Box<HeaderMap>,
    pub(crate) body: String,
}

impl Page {
    pub(crate) fn html(status: StatusCode, body: String) -> Self {
        Self::of(status, "text/html; charset=utf-8", body)
    }

    pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Self {
        Self::of(status, "application/json; charset=utf-8", value.to_string())
    }

    pub(crate) fn of(status: StatusCode, kind: &'static str, body: String) -> Self {
        let mut headers = Box::new(HeaderMap::new());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("max-age=0, private, must-revalidate"),
        );
        Self { status, headers, body }
    }

    /// A 302 to an address that is complete already.
    pub(crate) fn found(location: &str) -> Self {
        let mut page = Self::html(
            StatusCode::FOUND,
            format!(
                "<html><body>You are being <a href=\"{}\">redirected</a>.</body></html>",
                escape(location)
            ),
        );
        page.set_header(header::LOCATION, location);
        page
    }

    /// Sets a header; a value that no header can carry is left out.
    pub(crate) fn set_header(&mut self, name: header::HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
    }

    /// The answer for axum.
    pub(crate) fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = *self.headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &Method, path: &str, headers: &[(&'static str, &str)], body: &str) -> PageRequest {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        PageRequest::new(method, path, None, &map, body.as_bytes())
    }

    #[test]
    fn a_checkbox_wins_over_its_twin_and_method_is_overridden() {
        let request = request(&Method::POST, "/x", &[], "_method=patch&a%5Bb%5D=0&a%5Bb%5D=1");
        assert_eq!(request.method, Method::PATCH);
        assert_eq!(request.param("a[b]"), Some("1"));
    }
}
