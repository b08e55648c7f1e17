//! A proxy in front of GitLab, and what such proxies do: they refuse or decode `%2F`, drop headers that they do not
//! know, and answer by themselves, as HTML that is none of GitLab's.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;

use super::switches::{EncodedSlash, Switches};

/// What the proxy answers by itself, if it does.
pub(crate) fn answer(switches: &Switches, uri: &Uri) -> Option<Response> {
    if switches.proxy_status > 0 {
        return Some(page(switches.proxy_status));
    }
    let refuses = switches.proxy_encoded_slash == EncodedSlash::Refuse;
    (refuses && has_encoded_slash(uri.path())).then(|| page(404))
}

/// The address that the proxy asks GitLab for.
pub(crate) fn passed_on(switches: &Switches, uri: Uri) -> Uri {
    if switches.proxy_encoded_slash != EncodedSlash::Decode || !has_encoded_slash(uri.path()) {
        return uri;
    }
    let path = uri.path().replace("%2F", "/").replace("%2f", "/");
    let text = uri
        .query()
        .map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    text.parse().unwrap_or(uri)
}

/// Takes out of an answer's headers what the proxy does not pass on.
pub(crate) fn thin_out(switches: &Switches, headers: &mut HeaderMap) {
    if !switches.proxy_drops_headers {
        return;
    }
    let dropped: Vec<_> = headers
        .keys()
        .filter(|name| *name == header::LINK || name.as_str().starts_with("x-"))
        .cloned()
        .collect();
    for name in dropped {
        headers.remove(name);
    }
}

fn has_encoded_slash(path: &str) -> bool {
    path.contains("%2F") || path.contains("%2f")
}

fn page(status: u16) -> Response {
    let mut response = Response::new(Body::from(format!(
        "<!DOCTYPE html>\n<html><head><title>{status}</title></head><body><h1>{status}</h1>\
         <p>The gateway at the edge of the example network says so.</p></body></html>\n"
    )));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html"));
    response
}
