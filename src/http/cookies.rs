//! The cookies of a web session: of one origin, as a browser would send them back, and no more of them than a browser
//! keeps. Each is a secret of the run.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};
use url::Url;

use super::retry::parse_date;
use crate::secrets::learn;

/// Cookies of one session. GitLab has some ten.
const MOST: usize = 50;
/// What all of them have in bytes: servers take no longer header.
const MOST_BYTES: usize = 16 * 1024;
/// Shorter values are settings, such as `0` or `true`: no secrets, and found everywhere.
const SECRET: usize = 16;

/// A server sets more cookies than a browser keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

#[derive(Debug, Default)]
pub(super) struct Cookies(Mutex<Vec<Cookie>>);

struct Cookie {
    name: String,
    value: String,
    path: String,
    expires: Option<Timestamp>,
}

impl std::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cookie").field(&self.name).finish()
    }
}

impl Cookies {
    /// What a request to this address carries, where it carries any.
    pub(super) fn header(&self, url: &Url, now: Timestamp) -> Option<HeaderValue> {
        let mut cookies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cookies.retain(|cookie| cookie.expires.is_none_or(|expires| expires > now));
        let pairs: Vec<String> = cookies
            .iter()
            .filter(|cookie| is_below(url.path(), &cookie.path))
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        if pairs.is_empty() {
            return None;
        }
        let mut header = HeaderValue::try_from(pairs.join("; ")).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// Takes over what an answer of this address sets.
    pub(super) fn keep(&self, url: &Url, headers: &HeaderMap, now: Timestamp) -> Result<(), TooMany> {
        let mut cookies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for cookie in headers
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|header| Cookie::read(header, url, now))
        {
            cookies.retain(|known| known.name != cookie.name || known.path != cookie.path);
            if cookie.value.len() >= SECRET {
                learn(&cookie.value);
            }
            cookies.push(cookie);
            let bytes: usize = cookies
                .iter()
                .map(|cookie| cookie.name.len() + cookie.value.len())
                .sum();
            if cookies.len() > MOST || bytes > MOST_BYTES {
                return Err(TooMany);
            }
        }
        Ok(())
    }
}

impl Cookie {
    /// One `Set-Cookie` (RFC 6265, 5.2), as far as it matters within one origin.
    fn read(header: &HeaderValue, url: &Url, now: Timestamp) -> Option<Self> {
        let text = header.to_str().ok()?;
        let (pair, attributes) = text.split_once(';').unwrap_or((text, ""));
        let (name, value) = pair.split_once('=')?;
        let mut cookie = Self {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            path: default_path(url.path()).to_owned(),
            expires: None,
        };
        let mut max_age = None;
        for attribute in attributes.split(';') {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
                "expires" => cookie.expires = parse_date(value),
                "max-age" => max_age = value.parse::<i64>().ok(),
                _ => {}
            }
        }
        if let Some(seconds) = max_age {
            let age = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            // One beyond the end of time lasts as long as the session.
            cookie.expires = now.checked_add(age).ok();
        }
        (!cookie.name.is_empty()).then_some(cookie)
    }
}

/// RFC 6265, 5.1.4: the folder of the address.
fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(end) => &path[..end],
    }
}

/// RFC 6265, 5.1.4.
fn is_below(path: &str, cookie_path: &str) -> bool {
    path.strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || cookie_path.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::{Cookies, TooMany};
    use jiff::Timestamp;
    use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};
    use url::Url;

    fn url(path: &str) -> Url {
        Url::parse("https://gitlab.example.com").unwrap().join(path).unwrap()
    }

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn keep(cookies: &Cookies, path: &str, set: &[String]) -> Result<(), TooMany> {
        let headers: HeaderMap = set
            .iter()
            .map(|text| (SET_COOKIE, HeaderValue::try_from(text).unwrap()))
            .collect();
        cookies.keep(&url(path), &headers, now())
    }

    fn sent(cookies: &Cookies, path: &str) -> String {
        let header = cookies.header(&url(path), now());
        header
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    }

    #[test]
    fn a_cookie_goes_back_to_its_path_until_it_expires() {
        let cookies = Cookies::default();
        let set = [
            "_gitlab_session=one; path=/git; secure; HttpOnly; SameSite=None",
            "theme=dark; Path=/",
            "here=x=y",
            "gone=1; expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "late=1; Expires=Wed, 01 Apr 2026 00:00:00 GMT",
            "aged=1; max-age=0; expires=Wed, 01 Apr 2026 00:00:00 GMT",
            "=no name",
            "nothing",
        ];
        keep(&cookies, "/git/users/sign_in", &set.map(str::to_owned)).unwrap();
        assert_eq!(
            sent(&cookies, "/git/users/x"),
            "_gitlab_session=one; theme=dark; here=x=y; late=1"
        );
        assert_eq!(sent(&cookies, "/git"), "_gitlab_session=one; theme=dark");
        assert_eq!(sent(&cookies, "/gitlab"), "theme=dark");
        keep(&cookies, "/git/", &["_gitlab_session=two; path=/git".to_owned()]).unwrap();
        assert_eq!(sent(&cookies, "/git"), "theme=dark; _gitlab_session=two");
        keep(
            &cookies,
            "/git/",
            &["_gitlab_session=; path=/git; max-age=-1".to_owned()],
        )
        .unwrap();
        assert_eq!(sent(&cookies, "/git"), "theme=dark");
    }

    #[test]
    fn cookies_have_an_end_in_number_and_in_sum() {
        let many: Vec<String> = (0..60).map(|number| format!("c{number}=x")).collect();
        assert_eq!(keep(&Cookies::default(), "/", &many[..50]), Ok(()));
        assert_eq!(keep(&Cookies::default(), "/", &many), Err(TooMany));
        let long: Vec<String> = (0..5).map(|number| format!("c{number}={}", "x".repeat(4000))).collect();
        assert_eq!(keep(&Cookies::default(), "/", &long), Err(TooMany));
    }

    #[test]
    fn what_a_session_is_known_by_is_a_secret() {
        let cookies = Cookies::default();
        keep(
            &cookies,
            "/",
            &[
                "_session=a-session-of-mine; path=/".to_owned(),
                "sidebar=true".to_owned(),
            ],
        )
        .unwrap();
        assert_eq!(crate::secrets::redact("a-session-of-mine is true"), "*** is true");
        assert!(!format!("{cookies:?}").contains("mine"));
    }
}
