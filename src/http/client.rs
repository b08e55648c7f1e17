//! The client: one origin, one credential, one set of limits.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use url::Url;

use super::context::{Context, Peer, Way};
use super::cookies::Cookies;
use super::journey::Journey;
use super::proxy::{self, Passage, Proxy};
use super::retry::{Decision, Ending, asked_wait};
use super::sight::Sight;
use super::{Counter, Error, ErrorKind, Request, Response, Result, RetryPolicy, Side, failure, tls};
use crate::model::Diagnostic;
use crate::secrets::Secret;
use crate::urls;

/// The default limit of a JSON answer, in bytes. A page of a hundred projects has some 400 kB.
pub const JSON_LIMIT: usize = 8 * 1024 * 1024;
/// The limit of a web page, in bytes. GitLab's own have some 100 to 500 kB.
pub const HTML_LIMIT: usize = 2 * 1024 * 1024;

/// What a client proves itself with. Sent to the client's own origin and nowhere else.
#[derive(Debug, Clone, Default)]
pub enum Credential {
    #[default]
    None,
    /// GitLab's `PRIVATE-TOKEN` header.
    PrivateToken(Secret),
    /// `Authorization: Bearer`.
    Bearer(Secret),
    /// `Authorization: Basic`.
    Basic { username: String, password: Secret },
}

/// How long a client waits.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    pub connect: Duration,
    /// For the next piece of an answer. Factory's first answer after idle may take over 30 s.
    pub read: Duration,
    /// For a whole attempt, so that a slow drip ends too.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(60),
            total: Duration::from_secs(180),
        }
    }
}

/// Looks at each answer, whatever its status, before anything is made of it.
pub trait Onlooker: std::fmt::Debug + Send + Sync {
    /// An answer came to a request with this method.
    fn saw(&self, method: &str, answer: &Response);
}

/// What a client is made of.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Whom it talks to.
    pub peer: &'static Peer,
    /// Its origin, and the path that all URLs start with.
    pub base_url: Url,
    /// What it proves itself with.
    pub credential: Credential,
    /// How it gets there.
    pub way: Way,
    /// Whether only the public authorities are trusted, as by somebody elsewhere; then `ca_file` counts for nothing.
    pub as_the_public: bool,
    /// Whether it keeps cookies, as a web session has to. They stay with this client.
    pub cookies: bool,
    /// Bounds the requests in flight; shared by all clients of a run.
    pub parallelism: Arc<Semaphore>,
    /// Counts requests; shared by all clients of a run.
    pub counter: Arc<Counter>,
    /// Looks at the answers; shared by all clients of a run.
    pub onlooker: Option<Arc<dyn Onlooker>>,
    /// When requests are repeated.
    pub retry: RetryPolicy,
    /// How long it waits.
    pub timeouts: Timeouts,
    /// The largest answer it reads, in bytes.
    pub max_body: usize,
}

impl ClientOptions {
    /// A client without credential, cookies and further certificates, with the default limits.
    pub fn new(peer: &'static Peer, base_url: Url) -> Self {
        Self {
            peer,
            base_url,
            credential: Credential::None,
            way: Way {
                section: peer.section,
                ..Way::default()
            },
            as_the_public: false,
            cookies: false,
            parallelism: Arc::new(Semaphore::new(8)),
            counter: Arc::default(),
            onlooker: None,
            retry: RetryPolicy::default(),
            timeouts: Timeouts::default(),
            max_body: JSON_LIMIT,
        }
    }
}

/// A client for one origin. Cheap to clone; clones share connections, cookies and limits.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    context: Arc<Context>,
    http: reqwest::Client,
    credential: Option<(HeaderName, HeaderValue)>,
    headers: HeaderMap,
    parallelism: Arc<Semaphore>,
    counter: Arc<Counter>,
    onlooker: Option<Arc<dyn Onlooker>>,
    retry: RetryPolicy,
    max_body: usize,
    /// Until when the server asked everybody to stay away.
    paused: Mutex<Option<Instant>>,
}

impl Client {
    /// Makes a client. Reads `ca_file`; sends nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`]: the address is no `https` URL (nor `http` on this machine), holds a user name, the
    /// certificates cannot be read, or the credential has characters that no header can have.
    pub fn new(options: ClientOptions) -> Result<Self> {
        check_base(options.peer.side, &options.base_url)?;
        let credential = credential_header(options.peer.side, &options.credential)?;
        let passage = passage(&options)?;
        let headers = further_headers(options.peer.side, &options.way)?;
        let sight = Arc::default();
        let http = build(&options, passage.proxy(), &sight)?;
        Ok(Self(Arc::new(Inner {
            context: Arc::new(Context {
                peer: options.peer,
                base: options.base_url,
                way: options.way,
                has_credential: credential.is_some(),
                passage,
                sight,
                cookies: options.cookies.then(Cookies::default),
            }),
            http,
            credential,
            headers,
            parallelism: options.parallelism,
            counter: options.counter,
            onlooker: options.onlooker,
            retry: options.retry,
            max_body: options.max_body,
            paused: Mutex::new(None),
        })))
    }

    /// Whom it talks to.
    pub fn side(&self) -> Side {
        self.0.context.peer.side
    }

    /// The base URL that it was made for.
    pub fn base_url(&self) -> &Url {
        &self.0.context.base
    }

    /// The way that its requests went, as far as they went.
    pub fn journey(&self) -> Journey {
        Journey::of(&self.0.context)
    }

    /// The URL of a path below the base; each segment is percent-encoded as a whole.
    pub fn url(&self, segments: &[&str]) -> Url {
        urls::join(self.base_url(), segments)
    }

    /// A request for a path below the base.
    pub fn request(&self, method: Method, segments: &[&str]) -> Request {
        Request::new(method, self.url(segments))
    }

    /// Takes over a cookie that somebody else was given. False where it is none that a server could have set.
    pub(crate) fn adopt_cookie(&self, name: &str, value: &str) -> bool {
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, ';' | ',' | '"' | '\\');
        let Some(cookies) = self.0.context.cookies.as_ref() else {
            return false;
        };
        let base = self.base_url();
        let path = base.path().trim_end_matches('/');
        let path = if path.is_empty() { "/" } else { path };
        let header = HeaderValue::try_from(format!("{name}={value}; path={path}"));
        match header {
            Ok(header) if !value.is_empty() && value.chars().all(is_plain) => {
                let headers = reqwest::header::HeaderMap::from_iter([(reqwest::header::SET_COOKIE, header)]);
                cookies.keep(base, &headers, Timestamp::now()).is_ok()
            }
            Ok(_) | Err(_) => false,
        }
    }

    /// `GET` of a path below the base.
    pub fn get(&self, segments: &[&str]) -> Request {
        self.request(Method::GET, segments)
    }

    /// `POST` to a path below the base.
    pub fn post(&self, segments: &[&str]) -> Request {
        self.request(Method::POST, segments)
    }

    /// Sends a request and gives the answer as JSON of this shape; everything but success is an error.
    pub async fn json<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        self.call(request).await?.json()
    }

    /// Sends a request; everything but a status of success is an error, redirects included.
    pub async fn call(&self, request: Request) -> Result<Response> {
        self.send(request).await?.success()
    }

    /// Sends a request and gives its answer whatever the status: redirects and refusals are for the caller to read.
    /// Repeats it where the policy allows.
    ///
    /// # Errors
    /// No whole answer came ([`ErrorKind::Unreachable`], [`ErrorKind::Tls`], [`ErrorKind::AnswerLost`], [`ErrorKind::TooLarge`]); the server
    /// asks for more patience than we have ([`ErrorKind::RateLimited`]); the URL is of another origin
    /// ([`ErrorKind::Refused`]).
    pub async fn send(&self, request: Request) -> Result<Response> {
        self.check_origin(&request)?;
        let (mut attempt, mut waited) = (0, Duration::ZERO);
        if let Some(pause) = self.pause() {
            (self.0.retry.sleep)(pause).await;
        }
        loop {
            attempt += 1;
            let (result, ending, took) = self.attempt(&request, attempt).await;
            if result.is_err() {
                // A minute without an answer is a minute of waiting, too.
                waited += took;
            }
            let too_long = match self.0.retry.decide(ending, request.repeatable, attempt, waited) {
                Decision::Repeat(wait) => {
                    waited += wait;
                    (self.0.retry.sleep)(wait).await;
                    continue;
                }
                Decision::TooLong(wait) => Some(wait),
                Decision::Stop => None,
            };
            return match result {
                Ok(answer) if answer.status == StatusCode::TOO_MANY_REQUESTS || too_long.is_some() => {
                    Err(failure::busy(&answer, too_long))
                }
                other => other,
            };
        }
    }

    fn check_origin(&self, request: &Request) -> Result<()> {
        let base = self.base_url();
        if urls::same_origin(base, &request.url) {
            return Ok(());
        }
        let message = format!(
            "refused to send a request for {} to {}: this client is bound to {}",
            self.side(),
            urls::origin(&request.url),
            urls::origin(base),
        );
        Err(Error::new(self.side(), ErrorKind::Refused, request.label(), message))
    }

    /// How long the server still wants to be left alone, where it said so to an earlier request.
    fn pause(&self) -> Option<Duration> {
        let mut paused = self.0.paused.lock().ok()?;
        let rest = paused.take()?.checked_duration_since(Instant::now())?;
        *paused = Instant::now().checked_add(rest);
        Some(rest.min(self.0.retry.max_wait))
    }

    async fn attempt(&self, request: &Request, attempt: u32) -> (Result<Response>, Ending, Duration) {
        let _permit = self.0.parallelism.acquire().await.ok();
        self.0.counter.add(self.side(), request.writes, attempt > 1);
        let start = Instant::now();
        let result = self.exchange(request, attempt).await;
        let took = start.elapsed();
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let (method, path, side) = (request.method.as_str(), request.shown_path(), self.side());
        match result {
            Ok(answer) => {
                let status = answer.status.as_u16();
                tracing::debug!(%side, method, path, status, ms, attempt, "request");
                if let Some(onlooker) = &self.0.onlooker {
                    onlooker.saw(method, &answer);
                }
                let ending = self.ending(&answer);
                (Ok(answer), ending, took)
            }
            Err((error, ending)) => {
                tracing::debug!(%side, method, path, error = %error.message, ms, attempt, "request failed");
                (Err(error), ending, took)
            }
        }
    }

    /// What the status says about repeating; remembers what the server asks of everybody.
    fn ending(&self, answer: &Response) -> Ending {
        let wait = asked_wait(&answer.headers, Timestamp::now());
        match answer.status.as_u16() {
            429 => {
                // A server that asks for more than we ever wait fails this request; to hold up each of the others for as
                // long as we wait, and to send it then, would help neither side.
                let bearable = wait.filter(|wait| *wait <= self.0.retry.max_wait);
                if let (Some(wait), Ok(mut paused)) = (bearable, self.0.paused.lock()) {
                    *paused = Instant::now().checked_add(wait);
                }
                Ending::NotProcessed { wait }
            }
            // Who knows what it means knows that no repetition will better it.
            // 520 to 524 are what a network before the server says where that server does not answer.
            502..=504 | 520..=524 if answer.meaning().is_none() => Ending::Uncertain { wait },
            _ => Ending::Final,
        }
    }

    async fn exchange(&self, request: &Request, attempts: u32) -> Result<Response, (Error, Ending)> {
        let inner = &self.0;
        let fail = |error: &reqwest::Error| failure::transport(&inner.context, request, error);
        let too_much = |what: &str| (failure::too_much(&inner.context, request, what), Ending::Final);
        let mut builder = inner
            .http
            .request(request.method.clone(), request.url.clone())
            .headers(inner.headers.clone())
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .headers(request.headers.clone());
        if let Some((name, value)) = inner.credential.as_ref().filter(|_| !request.anonymous) {
            builder = builder.header(name, value);
        }
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let cookies = inner.context.cookies.as_ref();
        if let Some(header) = cookies.and_then(|cookies| cookies.header(&request.url, Timestamp::now())) {
            builder = builder.header(COOKIE, header);
        }
        let mut answer = builder.send().await.map_err(|error| fail(&error))?;
        inner.context.sight.change(|seen| {
            seen.address = answer.remote_addr();
            seen.http = Some(answer.version());
        });
        if let Some(cookies) = cookies {
            let kept = cookies.keep(&request.url, answer.headers(), Timestamp::now());
            kept.map_err(|_| too_much("sets more cookies than a browser keeps"))?;
        }
        let limit = request.limit.unwrap_or(inner.max_body);
        let too_large = || {
            too_much(&format!(
                "sent more than {} KiB, which no such answer needs",
                limit / 1024
            ))
        };
        if answer.content_length().is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| fail(&error))? {
            if body.len() + chunk.len() > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response {
            context: Arc::clone(&inner.context),
            label: request.label(),
            url: request.url.clone(),
            status: answer.status(),
            headers: answer.headers().clone(),
            body,
            asked_for_page: request.asks_for_page(),
            attempts,
        })
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(&self.base_url().as_str()).finish()
    }
}

fn refused(side: Side, message: String) -> Error {
    Error::new(side, ErrorKind::Refused, "", message)
}

fn check_base(side: Side, base: &Url) -> Result<()> {
    let shown = urls::origin(base);
    if !base.username().is_empty() || base.password().is_some() {
        return Err(refused(
            side,
            format!("the address of {side} at {shown} holds a user name or password"),
        ));
    }
    match base.scheme() {
        "https" => Ok(()),
        "http" if urls::is_loopback(base) => Ok(()),
        "http" => Err(refused(
            side,
            format!("{shown} is not encrypted; http:// is for this machine only"),
        )
        .with_hint("use https://, with `ca_file` where a private authority signs the certificate")),
        other => Err(refused(
            side,
            format!("`{other}:` is no scheme for the address of {side}; it is https"),
        )),
    }
}

fn credential_header(side: Side, credential: &Credential) -> Result<Option<(HeaderName, HeaderValue)>> {
    let (name, text) = match credential {
        Credential::None => return Ok(None),
        Credential::PrivateToken(secret) => (HeaderName::from_static("private-token"), secret.expose().to_owned()),
        Credential::Bearer(secret) => (AUTHORIZATION, format!("Bearer {}", secret.expose())),
        Credential::Basic { username, password } => {
            let pair = format!("{username}:{}", password.expose());
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
            (AUTHORIZATION, format!("Basic {encoded}"))
        }
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        refused(
            side,
            format!("the credential for {side} has characters that cannot be sent, such as a line break"),
        )
        .with_hint("check what its reference yields: exactly the token, on one line")
    })?;
    value.set_sensitive(true);
    Ok(Some((name, value)))
}

/// The headers that the configuration adds. No value of one is ever shown.
fn further_headers(side: Side, way: &Way) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, secret) in &way.headers {
        let place = way.key(&format!("headers.{name}"));
        let wrong = |message: String, hint: &str| refused(side, message).with_hint(hint);
        let parsed = HeaderName::try_from(name.as_str()).map_err(|_| {
            wrong(
                format!("{place} is no name of a header"),
                "write the header's name as it is sent",
            )
        })?;
        let mut value = HeaderValue::try_from(secret.expose()).map_err(|_| {
            wrong(
                format!("the value of {place} has characters that cannot be sent, such as a line break"),
                "check what its reference yields: exactly the value, on one line",
            )
        })?;
        value.set_sensitive(true);
        headers.insert(parsed, value);
    }
    Ok(headers)
}

/// How requests get there; never through a proxy to this machine, whatever anybody says.
fn passage(options: &ClientOptions) -> Result<Passage> {
    let side = options.peer.side;
    let key = options.way.key("proxy");
    proxy::choose(&options.base_url, &key, &options.way.proxy, std::env::var_os).map_err(|unreadable| {
        let proxy::Unreadable { named_by, why } = unreadable;
        let (what, without) = if named_by == key.as_str() {
            (String::new(), format!("{key} = \"none\" goes without one"))
        } else {
            let without = "or unset it; NO_PROXY lists hosts that are reached without one".to_owned();
            ("the environment variable ".to_owned(), without)
        };
        refused(
            side,
            format!("{what}{named_by}, which names the proxy on the way to {side}, {why}"),
        )
        .with_hint(format!(
            "set {named_by} to an address such as http://proxy.example.com:3128, {without}"
        ))
    })
}

fn build(options: &ClientOptions, proxy: Option<&Proxy>, sight: &Arc<Sight>) -> Result<reqwest::Client> {
    let Timeouts { connect, read, total } = options.timeouts;
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("setpoint/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(connect)
        .read_timeout(read)
        .timeout(total)
        // What the environment says was read already.
        .no_proxy();
    let failed = |error: &reqwest::Error| {
        refused(
            options.peer.side,
            format!("the HTTP client could not be set up: {}", failure::chain(error)),
        )
    };
    let untrusted = |found: Diagnostic| {
        let error = refused(options.peer.side, found.message);
        found.hint.into_iter().fold(error, Error::with_hint)
    };
    if options.base_url.scheme() == "http" {
        // This machine: the system's certificates, which slim containers lack, have no part in it, and neither has whatever
        // somebody makes of the name.
        builder = builder.tls_backend_preconfigured(tls::none().map_err(untrusted)?);
        if let Some(name) = options.base_url.domain() {
            let here = [
                SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
            ];
            builder = builder.resolve_to_addrs(name, &here);
        }
        return builder.build().map_err(|error| failed(&error));
    }
    let tls = if options.as_the_public {
        tls::of_the_public()
    } else {
        let host = options.base_url.host_str().unwrap_or_default();
        tls::settings(&options.way, host.trim_matches(['[', ']']), sight)
    };
    let tls = tls.map_err(untrusted)?;
    builder = builder.https_only(true).tls_backend_preconfigured(tls);
    if let Some(proxy) = proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy.address.clone()).map_err(|error| failed(&error))?);
    }
    builder.build().map_err(|error| failed(&error))
}
