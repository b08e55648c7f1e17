//! Turns what went wrong into an [`Error`] that a person can act on. The one place that knows what a status or a broken
//! connection means.

use std::error::Error as _;
use std::time::Duration;

use super::context::{Context, Peer};
use super::proxy::Proxy;
use super::retry::Ending;
use super::{Error, ErrorKind, Request, Response, Said};
use crate::secrets::RemoteText;
use crate::urls;

/// An error and its causes in one line; reqwest's own words leave the cause out.
pub(super) fn chain(error: &reqwest::Error) -> RemoteText {
    let mut words = Vec::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !words.iter().any(|known: &String| known.contains(&text)) {
            words.push(text);
        }
        cause = inner.source();
    }
    if words.is_empty() {
        words.push("no further reason is known".to_owned());
    }
    RemoteText::new(&words.join(": "))
}

/// The causes, the nearest first.
fn sources(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&cause| {
        // An `io::Error` passes over the error that it wraps when it is asked for its source.
        let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn std::error::Error + 'static)),
            None => cause.source(),
        }
    })
}

/// The first error of a type among the causes.
fn find<T: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&T> {
    sources(error).find_map(|cause| cause.downcast_ref())
}

/// No whole answer came.
pub(super) fn transport(context: &Context, request: &Request, error: &reqwest::Error) -> (Error, Ending) {
    let side = context.peer.side;
    let place = match context.passage.proxy() {
        Some(proxy) => format!("{side} at {} through {proxy}", urls::origin(&context.base)),
        None => format!("{side} at {}", urls::origin(&context.base)),
    };
    let new = |kind, message| Error::new(side, kind, request.label(), message);
    if error.is_builder() {
        let message = format!("the request could not be built: {}", chain(error));
        return (new(ErrorKind::Refused, message), Ending::Final);
    }
    // TLS 1.3 tells of a client certificate that it does not take after the connection came about, and before it looks at
    // any request.
    if let Some(tls) = find::<rustls::Error>(error).filter(|tls| error.is_connect() || is_of_client(tls)) {
        let failed = new(ErrorKind::Tls, format!("the TLS connection to {place} failed: {tls}"));
        return (failed.with_hint(tls_hint(context, tls)), Ending::Final);
    }
    if !error.is_connect() {
        let message = if error.is_timeout() {
            format!("no answer came from {place} in time")
        } else {
            format!(
                "the connection to {place} broke before the answer was whole ({})",
                chain(error)
            )
        };
        let lost = new(ErrorKind::AnswerLost, message);
        let lost = match wanted_certificate(context) {
            Some(hint) => lost.with_hint(hint),
            None => lost,
        };
        return (lost, Ending::Uncertain { wait: None });
    }
    let unreachable = |message| new(ErrorKind::Unreachable, message);
    let again = Ending::NotProcessed { wait: None };
    if let Some(proxy) = context.passage.proxy() {
        return at_proxy(context, request, proxy, error);
    }
    let host = context.base.host_str().unwrap_or_default();
    let key = context.peer.url_key;
    if error.is_dns() {
        let failed = unreachable(format!("the host name {host} of {side} could not be resolved"));
        return (
            failed.with_hint(format!("check {key} and this machine's DNS")),
            Ending::Final,
        );
    }
    let refused = find::<std::io::Error>(error).is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused);
    let failed = if refused {
        unreachable(format!("{place} refuses connections"))
            .with_hint(format!("check {key}, its port, and that the server runs"))
    } else if error.is_timeout() {
        unreachable(format!("no connection to {place} came about in time")).with_hint(format!(
            "check {key} and firewalls; if a proxy is on the way, name it as {}, or in HTTPS_PROXY",
            context.way.key("proxy")
        ))
    } else {
        unreachable(format!("no connection to {place}: {}", chain(error)))
    };
    (failed, again)
}

/// No connection came about, and a proxy was to make it: nobody knows more of the server than what the proxy says.
fn at_proxy(context: &Context, request: &Request, proxy: &Proxy, error: &reqwest::Error) -> (Error, Ending) {
    let server = context.base.host_str().unwrap_or_default();
    let port = context.base.port_or_known_default().unwrap_or(443);
    let named_by = &proxy.named_by;
    // The library says no more than these words.
    let tunnel = sources(error)
        .map(ToString::to_string)
        .find_map(|text| text.strip_prefix("tunnel error: ").map(str::to_owned));
    let refused = find::<std::io::Error>(error).is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused);
    let without = proxy.without(server);
    let again = Ending::NotProcessed { wait: None };
    let (message, hint, ending) = match tunnel.as_deref() {
        Some("proxy authorization required") => (
            format!("{proxy} wants a user name and password, or does not accept those that it was given (407)"),
            format!(
                "put them into {named_by}, as http://USER:PASSWORD@HOST:PORT with percent-encoding{}; {without}",
                if proxy.of_environment {
                    ""
                } else {
                    ", which a reference such as { env = \"NAME\" } gives"
                }
            ),
            Ending::Final,
        ),
        _ if error.is_dns() => (
            format!("the host name of {proxy} could not be resolved"),
            format!("check {named_by} and this machine's DNS; {without}"),
            Ending::Final,
        ),
        _ if refused => (
            format!("{proxy} refuses connections"),
            format!("check {named_by}, its port, and that the proxy runs; {without}"),
            again,
        ),
        _ if error.is_timeout() => (
            format!("{proxy} made no connection to {server}:{port} in time"),
            format!("check {named_by} and firewalls; {without}"),
            again,
        ),
        Some("failed to create underlying connection" | "io error establishing tunnel") | None => (
            format!("no connection came about with {proxy}: {}", chain(error)),
            format!("check {named_by}; {without}"),
            again,
        ),
        Some(_) => (
            format!("{proxy} makes no connection to {server}:{port}"),
            format!("see the proxy's log: it may not allow that host, or not find it; {without}"),
            again,
        ),
    };
    let error = Error::new(context.peer.side, ErrorKind::Unreachable, request.label(), message);
    (error.with_hint(hint), ending)
}

/// What to do where a client certificate was asked for, and there is none.
fn wanted_certificate(context: &Context) -> Option<String> {
    let wanted = context.way.client_certificate.is_none() && context.sight.seen().asked_for_certificate;
    wanted.then(|| {
        format!(
            "the server asks for a client certificate: name one, and its key, as {} and {}",
            context.way.key("client_cert_file"),
            context.way.key("client_key_file")
        )
    })
}

/// Whether the server says by this that it does not take the client's certificate, or that it wants one (RFC 8446, 6.2).
fn is_of_client(error: &rustls::Error) -> bool {
    use rustls::AlertDescription as Alert;
    matches!(
        error,
        rustls::Error::AlertReceived(
            Alert::CertificateRequired
                | Alert::NoCertificate
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::HandshakeFailure
        )
    )
}

/// What to do about a client certificate that is missing, or that the server does not take.
fn client_certificate_hint(context: &Context) -> Option<String> {
    match &context.way.client_certificate {
        Some(pair) if context.sight.seen().asked_for_certificate => Some(format!(
            "the server does not take the client certificate in {}: it may have ended, be issued by an authority that the \
             server does not know, or lack the certificates between that have to follow it in its file",
            pair.certificate.display()
        )),
        Some(_) => None,
        None => wanted_certificate(context),
    }
}

/// What nginx answers where the client certificate is missing or not accepted (nginx: `ngx_http_special_response.c`, 495
/// and 496): nothing of what was asked came to the server behind it.
fn refused_certificate(answer: &Response) -> Option<Error> {
    const WORDS: [&str; 2] = ["No required SSL certificate was sent", "The SSL certificate error"];
    if !matches!(answer.status.as_u16(), 400 | 495 | 496) || !answer.is_html() {
        return None;
    }
    let text = answer.text();
    let words = WORDS.into_iter().find(|words| text.contains(words))?;
    let context = &answer.context;
    let message = format!(
        "what stands before {} at {} says: {words}",
        context.peer.name,
        urls::origin(&context.base)
    );
    let hint = client_certificate_hint(context).unwrap_or_else(|| {
        format!(
            "name a client certificate that it takes, and its key, as {} and {}",
            context.way.key("client_cert_file"),
            context.way.key("client_key_file")
        )
    });
    Some(answer.failed(ErrorKind::Tls, message).with_hint(hint))
}

fn tls_hint(context: &Context, error: &rustls::Error) -> String {
    use rustls::CertificateError as Certificate;
    use rustls::Error::{InvalidCertificate, InvalidMessage};
    if is_of_client(error)
        && let Some(hint) = client_certificate_hint(context)
    {
        return hint;
    }
    match error {
        InvalidMessage(_) => "the server does not speak TLS on this port: check the port".to_owned(),
        InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => {
            "renew the server's certificate, and check the clock of this machine".to_owned()
        }
        InvalidCertificate(Certificate::NotValidForName | Certificate::NotValidForNameContext { .. }) => format!(
            "check {}: the certificate is for another host name",
            context.peer.url_key
        ),
        InvalidCertificate(_) => match &context.way.ca_file {
            Some(file) => format!(
                "put the certificate of the authority that signs the server's into ca_file {}: neither the one in it nor \
                 any of the system's does",
                file.display()
            ),
            None => format!(
                "if a private authority signs the certificate, put its certificate into a file and name it as {}",
                context.way.key("ca_file")
            ),
        },
        _ => "TLS 1.2 or 1.3 is needed".to_owned(),
    }
}

/// The server sends more than it has any reason to.
pub(super) fn too_much(context: &Context, request: &Request, what: &str) -> Error {
    let message = format!("{} at {} {what}", context.peer.name, urls::origin(&context.base));
    Error::new(context.peer.side, ErrorKind::TooLarge, request.label(), message)
}

/// The server is still busy after all attempts, or asks for more patience than we have.
pub(super) fn busy(answer: &Response, too_long: Option<Duration>) -> Error {
    if answer.status.as_u16() != 429 && too_long.is_none() {
        return status(answer);
    }
    let who = answer.context.peer.name;
    let kind = match answer.status.as_u16() {
        429 => ErrorKind::RateLimited,
        other => ErrorKind::Server(other),
    };
    let message = match too_long {
        Some(wait) => format!("{who} is busy and asks to be left alone for {}", seconds(wait)),
        None => format!(
            "{who} still limits the rate of requests after {} attempts",
            answer.attempts
        ),
    };
    Error::new(answer.context.peer.side, kind, answer.label.clone(), message)
        .with_hint("run it again later, or with a lower --parallelism")
}

fn seconds(wait: Duration) -> String {
    match wait.as_secs() {
        seconds if seconds >= u64::from(u32::MAX) => "ever".to_owned(),
        seconds if seconds >= 120 => format!("{} minutes", seconds.div_ceil(60)),
        seconds => format!("{seconds} seconds"),
    }
}

/// What an answer means that is none of success.
pub(super) fn status(answer: &Response) -> Error {
    if let Some(error) = refused_certificate(answer) {
        return error;
    }
    let said = answer.said();
    if let Some(error) = (answer.context.peer.meaning)(answer, &said) {
        return error;
    }
    let who = answer.context.peer.name;
    let code = answer.status.as_u16();
    let new = |kind, message: String| answer.failed(kind, message);
    let with_reason = |what: String| said.with_reason(what);
    match code {
        300..=399 => redirect(answer),
        400 | 422 => new(
            ErrorKind::Invalid,
            with_reason(format!("{who} does not take {}", answer.label)),
        ),
        401 if answer.context.has_credential => new(
            ErrorKind::Unauthorized,
            with_reason(format!("{who} does not accept the user name or password")),
        )
        .with_hint("check the user name and the password of the configuration"),
        401 => new(
            ErrorKind::Unauthorized,
            with_reason(format!("{who} wants a sign-in for {}", answer.label)),
        ),
        403 => new(
            ErrorKind::Forbidden,
            with_reason(format!("{who} forbids {}", answer.label)),
        ),
        404 => not_found(answer, &said),
        409 => new(
            ErrorKind::Conflict,
            with_reason(format!("{who} sees a conflict in {}", answer.label)),
        ),
        423 => new(ErrorKind::Locked, format!("{who} says that it is locked")),
        429 => busy(answer, None),
        500..=599 => {
            let attempts = match answer.attempts {
                1 => String::new(),
                n => format!(" after {n} attempts"),
            };
            let title = answer.status.canonical_reason().unwrap_or("server error");
            new(
                ErrorKind::Server(code),
                with_reason(format!("{who} answered {code} {title}{attempts} to {}", answer.label)),
            )
        }
        _ => new(
            ErrorKind::Status(code),
            with_reason(format!("{who} answered {code} to {}", answer.label)),
        ),
    }
}

/// An answer that something on the way gives in the server's name: it says nothing of what was asked.
pub(super) fn from_between(answer: &Response) -> Error {
    let Peer { name, url_key, .. } = *answer.context.peer;
    let code = answer.status.as_u16();
    let message = match code {
        407 => format!(
            "a proxy between here and {name} wants a sign-in for {} (407)",
            answer.label
        ),
        _ => format!(
            "something between here and {name} answers {} with {} and a page of its own",
            answer.label, answer.status
        ),
    };
    answer.failed(ErrorKind::Status(code), message).with_hint(format!(
        "see what stands before {url_key} (a proxy, a firewall, a sign-in page): nothing is known of the credentials"
    ))
}

/// An API says why; a 404 without a word comes from something that does not know the path at all, and says nothing about
/// what was asked for.
fn not_found(answer: &Response, said: &Said) -> Error {
    let peer = answer.context.peer;
    let message = said.with_reason(format!("{} has no {}", peer.name, answer.label));
    if answer.url.path().contains("/api/") && (answer.is_html() || said.text.is_none()) {
        return answer.failed(ErrorKind::Status(404), message).with_hint(format!(
            "is {} ({}) right, with the relative URL root if there is one?",
            peer.url_key, answer.context.base
        ));
    }
    answer.failed(ErrorKind::NotFound, message)
}

/// A redirect where none is followed.
fn redirect(answer: &Response) -> Error {
    let Peer { name, url_key, .. } = *answer.context.peer;
    let Some(target) = answer.location() else {
        let message = format!("{name} answered {} without saying where to go", answer.status.as_u16());
        return answer.failed(ErrorKind::Redirect, message);
    };
    if urls::same_origin(&answer.context.base, &target) {
        let message = format!(
            "{name} redirects {} to {}, and redirects are not followed",
            answer.label,
            RemoteText::new(target.path())
        );
        return answer
            .failed(ErrorKind::Redirect, message)
            .with_hint(format!("check the path of {url_key}"));
    }
    let place = RemoteText::new(&urls::origin(&target));
    let message = format!("{name} redirects to {place}, and no credential is ever sent there");
    answer
        .failed(ErrorKind::Redirect, message)
        .with_hint(format!(
            "if that is its right address, set {url_key} to it; if it is the sign-in of a gateway before it, give what that \
             wants of a program as {}",
            answer.context.way.key("headers")
        ))
}

/// The answer is no JSON, or none of the shape that was due.
pub(super) fn shape(answer: &Response, error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let inner = error.inner();
    if inner.is_syntax() || inner.is_eof() {
        return no_json(answer, inner);
    }
    let field = RemoteText::within(&error.path().to_string(), 100);
    let place = if field.as_str() == "." {
        String::new()
    } else {
        format!(" at `{field}`")
    };
    let reason = RemoteText::new(&inner.to_string());
    let message = format!(
        "{} answered {} with JSON of another shape than documented{place}: {reason}",
        answer.context.peer.name, answer.label
    );
    answer.unexpected(message)
}

/// The answer is no JSON.
pub(super) fn no_json(answer: &Response, error: &serde_json::Error) -> Error {
    let who = answer.context.peer.name;
    let key = answer.context.peer.url_key;
    if answer.is_html() || answer.body.trim_ascii_start().starts_with(b"<") {
        let base = &answer.context.base;
        return answer
            .unexpected(format!("{who} answered {} with a web page, not JSON", answer.label))
            .with_hint(format!(
                "is {key} ({base}) right, and is it {who} that answers there, not a proxy's login page?"
            ));
    }
    if answer.body.trim_ascii().is_empty() {
        return answer.unexpected(format!(
            "{who} answered {} with nothing, where JSON was due",
            answer.label
        ));
    }
    answer
        .unexpected(format!("{who} answered {} with what is no JSON: {error}", answer.label))
        .with_hint(format!("check {key}, and what stands between here and there"))
}
