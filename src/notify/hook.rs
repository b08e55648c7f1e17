//! The webhook. Its address is a secret, because those of Slack and Mattermost are keys: whoever knows one can post.
//! So no path and no query of it is in any message or log, and what the server answers is shown without them.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use url::Url;

use crate::http::{self, Client, ClientOptions, Method, Peer, Request, RetryPolicy, Side, Timeouts};
use crate::model::Diagnostic;
use crate::secrets::{Secret, SecretRef, learn, to_json};
use crate::urls::{is_loopback, origin};

/// What a webhook answers is a word or two.
const ANSWER_LIMIT: usize = 1024 * 1024;
const CHECK: &str = "check what --notify names";

/// The webhook's server, as messages call it.
pub static PEER: Peer = Peer {
    side: Side::Other,
    name: "The server",
    url_key: "what --notify names",
    section: "notify",
    meaning: |_, _| None,
};

#[derive(Debug, Clone)]
pub struct Hook {
    address: Secret,
    /// Scheme, host and port, which may be shown.
    origin: String,
    /// The environment variable that holds the address, where one does.
    variable: Option<String>,
}

fn wrong(message: impl Into<String>, hint: impl Into<String>) -> Diagnostic {
    Diagnostic::new(message).hint(hint)
}

/// What is to be done about the way there, the client knows better.
fn failed(error: http::Error, hint: &str) -> Diagnostic {
    wrong(error.message, error.hint.as_deref().unwrap_or(hint))
}

/// What is wrong is told without the address beyond its origin.
impl Hook {
    /// Follows `env:NAME` or `file:PATH`, or takes an address as it is.
    pub async fn find(text: &str) -> Result<Self, Diagnostic> {
        let reference = match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => SecretRef::Env(name.to_owned()),
            Some(("file", path)) if !path.is_empty() => SecretRef::File(PathBuf::from(path)),
            Some(("https" | "http", _)) => return Self::at(text),
            _ => {
                return Err(wrong(
                    "--notify takes env:NAME, file:PATH or an address that begins with https://",
                    "keep the address of a webhook out of the command line, where other users can read it: store it in \
                     a file that only you can read, and pass file:PATH",
                ));
            }
        };
        match reference.resolve().await {
            Ok(Some(address)) => Ok(Self {
                variable: reference.variable().map(str::to_owned),
                ..Self::at(address.expose())?
            }),
            Ok(None) => Err(wrong(
                format!("--notify finds no address: {reference} is not set, or empty"),
                "store the address of the webhook there",
            )),
            Err(error) => Err(wrong(
                format!("--notify finds no address: {}", error.message),
                "store the address of the webhook there, as plain text on one line",
            )),
        }
    }

    fn at(text: &str) -> Result<Self, Diagnostic> {
        let fail = |message: &str| wrong(message, "it has to be one address such as https://hooks.example.com/…");
        let text = text.trim();
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(fail("the address of the webhook has white space in it"));
        }
        let url = Url::parse(text).map_err(|_| fail("the address of the webhook is not a whole URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(fail("the address of the webhook has a user name or password in it"));
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            _ => {
                return Err(fail(
                    "the address of the webhook is not encrypted; http:// is for this machine only",
                ));
            }
        }
        for key in keys(&url) {
            learn(&key);
        }
        Ok(Self {
            origin: origin(&url),
            address: Secret::new(url.as_str()),
            variable: None,
        })
    }

    /// The environment variable that holds the address, where one does: nobody else needs it.
    pub fn variable(&self) -> Option<&str> {
        self.variable.as_deref()
    }

    /// Scheme, host and port: all of the address that may be shown.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Posts a message. The limits are tighter than those of GitLab and Factory, for nothing waits for the answer but
    /// the run. A message whose answer was lost is not repeated here; the next run tells it again.
    pub async fn post<T: Serialize>(&self, options: ClientOptions, message: &T) -> Result<(), Diagnostic> {
        let message = to_json(message, false).map_err(|error| wrong(error.to_string(), CHECK))?;
        let client = self.client(options)?;
        let request = Request::new(Method::POST, self.url()?).hidden().json_text(message);
        let answer = client
            .send(request)
            .await
            .map_err(|error| failed(error, "check that it is reachable from this machine"))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let said = match answer.said().text {
            Some(reason) => format!(": {reason}"),
            None => String::new(),
        };
        let hint = match status.as_u16() {
            300..=399 => "redirects are not followed: name the address that the webhook has itself",
            401 | 403 | 404 | 410 => "the webhook may have been revoked: make a new one, and store its address",
            400 | 413 | 422 => "the webhook does not take this form: see --notify-format",
            _ => "see what the webhook's server says about it",
        };
        Err(wrong(format!("it answered {status}{said}"), hint))
    }

    /// What goes to its server, and has the origin alone for an address.
    pub fn client(&self, options: ClientOptions) -> Result<Client, Diagnostic> {
        let client = Client::new(ClientOptions {
            timeouts: Timeouts {
                connect: Duration::from_secs(10),
                read: Duration::from_secs(30),
                total: Duration::from_secs(60),
            },
            retry: RetryPolicy {
                attempts: 3,
                max_wait: Duration::from_secs(30),
                ..RetryPolicy::default()
            },
            max_body: ANSWER_LIMIT,
            base_url: bare(&self.url()?),
            ..options
        });
        client.map_err(|error| failed(error, CHECK))
    }

    fn url(&self) -> Result<Url, Diagnostic> {
        Url::parse(self.address.expose()).map_err(|_| wrong("the address of the webhook is not a whole URL", CHECK))
    }
}

/// What is left of an address without path and query.
fn bare(url: &Url) -> Url {
    let mut bare = url.clone();
    bare.set_path("/");
    bare.set_query(None);
    bare.set_fragment(None);
    bare
}

/// Less than that is no key.
const KEY: usize = 8;
/// From there on, words are keys, too.
const LONG_KEY: usize = 16;

/// The parts of the address that make it a key, as a server could repeat them. Words such as `services` are in most of
/// them, and in other texts.
fn keys(url: &Url) -> Vec<String> {
    let decoded = |text: &str| {
        url::form_urlencoded::parse(text.as_bytes())
            .flat_map(|(key, value)| [key.into_owned(), value.into_owned()])
            .collect::<Vec<_>>()
    };
    let query = url.query().unwrap_or_default();
    let whole = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let mut keys = vec![whole.to_owned(), url.path().to_owned(), query.to_owned()];
    keys.extend(decoded(query));
    let mut segments: Vec<String> = Vec::new();
    for segment in url.path_segments().into_iter().flatten() {
        segments.push(segment.to_owned());
        segments.extend(decoded(segment));
    }
    let is_word = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_lowercase() || b"-_".contains(&byte))
    };
    segments.retain(|segment| !is_word(segment) || segment.len() >= LONG_KEY);
    keys.extend(segments);
    keys.retain(|key| key.len() >= KEY);
    keys
}

#[cfg(test)]
mod tests {
    use super::{Hook, keys};

    async fn error(text: &str) -> String {
        let error = Hook::find(text).await.unwrap_err();
        format!("{error} {}", error.hint.as_deref().unwrap_or_default())
    }

    #[tokio::test]
    async fn no_error_repeats_what_may_be_the_address() {
        for text in [
            "hooks.example.com/T0/canary",
            "http://hooks.example.com/canary",
            "https://user:canary@hooks.example.com/",
            "https://hooks.example.com/can ary/canary",
            "https:///canary:x",
            "ftp://hooks.example.com/canary",
            "env:",
            "canary",
        ] {
            assert!(!error(text).await.contains("canary"), "{text}");
        }
        assert!(
            error("env:SETPOINT_TEST_NEVER_SET")
                .await
                .contains("SETPOINT_TEST_NEVER_SET")
        );
    }

    #[tokio::test]
    async fn only_the_origin_may_be_shown() {
        let hook = Hook::find("https://Hooks.example.com:8443/services/T0/canary?key=canary")
            .await
            .unwrap();
        assert_eq!(hook.origin(), "https://hooks.example.com:8443");
        assert!(!format!("{hook:?}").contains("canary"), "{hook:?}");
        assert!(Hook::find("http://127.0.0.1:9/x").await.is_ok());
    }

    #[test]
    fn each_part_of_the_address_that_is_a_key_is_hidden() {
        let url = "https://h.example.com/services/T0canary/b%2Fsecond?key=third%20one"
            .parse()
            .unwrap();
        let all = keys(&url);
        for part in [
            "T0canary",
            "b/second",
            "b%2Fsecond",
            "third one",
            "/services/T0canary/b%2Fsecond",
            "/services/T0canary/b%2Fsecond?key=third%20one",
        ] {
            assert!(all.iter().any(|known| known == part), "{part}: {all:?}");
        }
        assert!(!all.iter().any(|part| part == "services" || part == "key"), "{all:?}");
    }
}
