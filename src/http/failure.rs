//! Turns what went wrong into an [`Error`] that a person can act on. The one place that knows what a status or a broken
//! connection means.

use std::error::Error as _;
use std::time::Duration;

use super::answer::Answer;
use super::client::Context;
use super::proxy::Proxy;
use super::retry::Ending;
use super::{Error, ErrorKind, Request, Response, Side, address};
use crate::secrets::RemoteText;

/// The configuration's name for the address of a side.
fn url_key(side: Side) -> &'static str {
    match side {
        Side::Gitlab => "gitlab.url",
        Side::Factory => "factory.api_url",
        Side::Other => "the configured URL",
    }
}

fn capital(side: Side) -> &'static str {
    match side {
        Side::Gitlab => "GitLab",
        Side::Factory => "Factory",
        Side::Other => "The server",
    }
}

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
    let side = context.side;
    let place = match &context.proxy {
        Some(proxy) => format!("{side} at {} through {proxy}", address::origin(&context.base)),
        None => format!("{side} at {}", address::origin(&context.base)),
    };
    let new = |kind, message| Error::new(side, kind, request.label(), message);
    if error.is_builder() {
        let message = format!("the request could not be built: {}", chain(error));
        return (new(ErrorKind::Refused, message), Ending::Final);
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
        return (new(ErrorKind::AnswerLost, message), Ending::Uncertain { wait: None });
    }
    let unreachable = |message| new(ErrorKind::Unreachable, message);
    if let Some(tls) = find::<rustls::Error>(error) {
        let failed = new(ErrorKind::Tls, format!("the TLS connection to {place} failed: {tls}"));
        return (failed.with_hint(tls_hint(context, tls)), Ending::Final);
    }
    let again = Ending::NotProcessed { wait: None };
    if let Some(proxy) = &context.proxy {
        return at_proxy(context, request, proxy, error);
    }
    let host = context.base.host_str().unwrap_or_default();
    let key = url_key(side);
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
            "check {key} and firewalls; if a proxy is on the way, name it in HTTPS_PROXY"
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
    let variable = proxy.variable;
    // The library says no more than these words.
    let tunnel = sources(error)
        .map(ToString::to_string)
        .find_map(|text| text.strip_prefix("tunnel error: ").map(str::to_owned));
    let refused = find::<std::io::Error>(error).is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused);
    let without = format!("if {server} is reached without a proxy, add it to NO_PROXY");
    let again = Ending::NotProcessed { wait: None };
    let (message, hint, ending) = match tunnel.as_deref() {
        Some("proxy authorization required") => (
            format!("{proxy} wants a user name and password, or does not accept those that it was given (407)"),
            format!("put them into {variable}, as http://USER:PASSWORD@HOST:PORT with percent-encoding; {without}"),
            Ending::Final,
        ),
        _ if error.is_dns() => (
            format!("the host name of {proxy} could not be resolved"),
            format!("check {variable} and this machine's DNS; {without}"),
            Ending::Final,
        ),
        _ if refused => (
            format!("{proxy} refuses connections"),
            format!("check {variable}, its port, and that the proxy runs; {without}"),
            again,
        ),
        _ if error.is_timeout() => (
            format!("{proxy} made no connection to {server}:{port} in time"),
            format!("check {variable} and firewalls; {without}"),
            again,
        ),
        Some("failed to create underlying connection" | "io error establishing tunnel") | None => (
            format!("no connection came about with {proxy}: {}", chain(error)),
            format!("check {variable}; {without}"),
            again,
        ),
        Some(_) => (
            format!("{proxy} makes no connection to {server}:{port}"),
            format!("see the proxy's log: it may not allow that host, or not find it; {without}"),
            again,
        ),
    };
    let error = Error::new(context.side, ErrorKind::Unreachable, request.label(), message);
    (error.with_hint(hint), ending)
}

/// The server sets more cookies than any browser keeps.
pub(super) fn too_many_cookies(context: &Context, request: &Request) -> Error {
    let message = format!(
        "{} at {} sets more cookies than a browser keeps",
        capital(context.side),
        address::origin(&context.base)
    );
    Error::new(context.side, ErrorKind::TooLarge, request.label(), message)
}

fn tls_hint(context: &Context, error: &rustls::Error) -> String {
    use rustls::CertificateError as Certificate;
    use rustls::Error::{InvalidCertificate, InvalidMessage};
    match (error, context.side) {
        (InvalidMessage(_), _) => "the server does not speak TLS on this port: check the port".to_owned(),
        (InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }), _) => {
            "renew the server's certificate, and check the clock of this machine".to_owned()
        }
        (InvalidCertificate(Certificate::NotValidForName | Certificate::NotValidForNameContext { .. }), side) => {
            format!("check {}: the certificate is for another host name", url_key(side))
        }
        (InvalidCertificate(_), Side::Gitlab) => match &context.ca_file {
            Some(file) => format!(
                "put the certificate of the authority that signs the server's into ca_file {}: neither the one in it nor \
                 any of the system's does",
                file.display()
            ),
            None => "if a private authority signs the certificate, put its certificate into a file and name it as \
                     gitlab.ca_file"
                .to_owned(),
        },
        (InvalidCertificate(_), _) => {
            "add the authority that signs the certificate to the system's root certificates".to_owned()
        }
        _ => "TLS 1.2 or 1.3 is needed".to_owned(),
    }
}

/// The answer is larger than it has any reason to be.
pub(super) fn too_large(context: &Context, request: &Request, limit: usize) -> Error {
    let message = format!(
        "{} at {} sent more than {} KiB, which no such answer needs",
        capital(context.side),
        address::origin(&context.base),
        limit / 1024
    );
    Error::new(context.side, ErrorKind::TooLarge, request.label(), message)
}

/// The server is still busy after all attempts, or asks for more patience than we have.
pub(super) fn busy(answer: &Response, too_long: Option<Duration>) -> Error {
    if answer.status.as_u16() != 429 && too_long.is_none() {
        return status(answer);
    }
    let who = capital(answer.context.side);
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
    Error::new(answer.context.side, kind, answer.label.clone(), message)
        .with_hint("run it again later, or with a lower --parallelism")
}

fn seconds(wait: Duration) -> String {
    match wait.as_secs() {
        seconds if seconds >= u64::from(u32::MAX) => "ever".to_owned(),
        seconds if seconds >= 120 => format!("{} minutes", seconds.div_ceil(60)),
        seconds => format!("{seconds} seconds"),
    }
}

/// Whether a 503 is GitLab's maintenance mode, which refuses writes until an administrator ends it.
pub(super) fn is_maintenance(answer: &Response) -> bool {
    answer.status.as_u16() == 503
        && answer.context.side == Side::Gitlab
        && String::from_utf8_lossy(&answer.body)
            .to_ascii_lowercase()
            .contains("maintenance mode")
}

/// What a status other than success means.
pub(super) fn status(answer: &Response) -> Error {
    let said = Answer::of(answer);
    let side = answer.context.side;
    let who = capital(side);
    let code = answer.status.as_u16();
    let new = |kind, message: String| Error::new(side, kind, answer.label.clone(), message);
    let with_reason = |text: String| match &said.text {
        Some(reason) => format!("{text}: {reason}"),
        None => text,
    };
    match code {
        300..=399 => redirect(answer),
        400 | 422 => new(
            ErrorKind::Invalid,
            with_reason(format!("{who} does not take {}", answer.label)),
        ),
        401 => unauthorized(answer, &said),
        402 => new(
            ErrorKind::PaymentRequired,
            with_reason(format!("{who} says that the plan is too small")),
        ),
        403 => forbidden(answer, &said),
        404 => {
            let message = with_reason(format!("{who} has no {}", answer.label));
            // An API says why; a 404 without a word comes from something that does not know the path at all, and says
            // nothing about what was asked for.
            if answer.url.path().contains("/api/") && (answer.is_html() || said.text.is_none()) {
                let (key, base) = (url_key(side), &answer.context.base);
                return new(ErrorKind::Status(404), message).with_hint(format!(
                    "is {key} ({base}) right, with the relative URL root if there is one?"
                ));
            }
            new(ErrorKind::NotFound, message)
        }
        409 => new(
            ErrorKind::Conflict,
            with_reason(format!("{who} sees a conflict in {}", answer.label)),
        ),
        423 => new(ErrorKind::Locked, format!("{who} says that it is locked")),
        429 => busy(answer, None),
        503 if is_maintenance(answer) => new(
            ErrorKind::ReadOnly,
            format!("{who} is in maintenance mode and takes no writes"),
        )
        .with_hint("run it again when an administrator has ended the maintenance mode"),
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

fn unauthorized(answer: &Response, said: &Answer) -> Error {
    let side = answer.context.side;
    let who = capital(side);
    let what = match (side, answer.context.has_credential) {
        (_, false) => format!("{who} wants a sign-in for {}", answer.label),
        (Side::Gitlab, true) => "GitLab does not accept the token".to_owned(),
        (Side::Factory, true) => "Factory does not accept the API key".to_owned(),
        (Side::Other, true) => "The server does not accept the user name or password".to_owned(),
    };
    let message = match &said.text {
        Some(reason) => format!("{what}: {reason}"),
        None => what,
    };
    let error = Error::new(side, ErrorKind::Unauthorized, answer.label.clone(), message);
    match side {
        _ if !answer.context.has_credential => error,
        Side::Gitlab => error.with_hint(
            "give gitlab.token a personal access token of an administrator that has not expired, with the scope api \
             (and admin_mode where Admin Mode is on)",
        ),
        Side::Factory => error.with_hint(
            "give factory.token an API key of an Owner or Manager, and check that factory.region is the organization's",
        ),
        Side::Other => error.with_hint("check the user name and the password of the configuration"),
    }
}

fn forbidden(answer: &Response, said: &Answer) -> Error {
    let side = answer.context.side;
    let reason = said.text.clone().unwrap_or_default();
    let lower = reason.as_str().to_ascii_lowercase();
    let new = |kind, message: String| Error::new(side, kind, answer.label.clone(), message);
    if said.code.as_ref().map(RemoteText::as_str) == Some("insufficient_scope") {
        let scope = said.scope.as_ref().map_or("api", RemoteText::as_str);
        return new(
            ErrorKind::Forbidden,
            format!(
                "the token lacks the scope for {}; one of these would do: {scope}",
                answer.label
            ),
        )
        .with_hint("give gitlab.token a token with the scope api (and admin_mode where Admin Mode is on)");
    }
    if lower.contains("read-only") {
        return new(
            ErrorKind::ReadOnly,
            format!("this GitLab is read-only and takes no writes: {reason}"),
        )
        .with_hint("gitlab.url may name a Geo secondary: name the primary");
    }
    let who = capital(side);
    let message = match &said.text {
        None => format!("{who} forbids {}", answer.label),
        Some(reason) => format!("{who} forbids {}: {reason}", answer.label),
    };
    let error = new(ErrorKind::Forbidden, message);
    match side {
        Side::Gitlab if answer.context.has_credential => error.with_hint(
            "the token has to be an administrator's; where Admin Mode is on, it needs the scope admin_mode besides api",
        ),
        Side::Factory if answer.context.has_credential => {
            error.with_hint("give factory.token the API key of an Owner or a Manager")
        }
        _ => error,
    }
}

/// A redirect where none is followed.
fn redirect(answer: &Response) -> Error {
    let side = answer.context.side;
    let who = capital(side);
    let base = &answer.context.base;
    let Some(mut target) = answer.location() else {
        let message = format!("{who} answered {} without saying where to go", answer.status.as_u16());
        return Error::new(side, ErrorKind::Redirect, answer.label.clone(), message);
    };
    target.set_query(None);
    target.set_fragment(None);
    let place = RemoteText::new(&address::origin(&target));
    let key = url_key(side);
    let (message, hint) = if target.path().ends_with("/users/sign_in") {
        let message = format!("{who} wants a browser's sign-in instead of answering {}", answer.label);
        (
            message,
            format!("is {key} the address of GitLab itself, with its relative URL root?"),
        )
    } else if address::same_origin(base, &target) {
        let message = format!(
            "{who} redirects {} to {}, and redirects are not followed",
            answer.label,
            RemoteText::new(target.path())
        );
        (message, format!("check the path of {key}"))
    } else {
        let message = format!("{who} redirects to {place}, and no credential is ever sent there");
        (message, format!("if that is its right address, set {key} to it"))
    };
    Error::new(side, ErrorKind::Redirect, answer.label.clone(), message).with_hint(hint)
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
        capital(answer.context.side),
        answer.label
    );
    answer.unexpected(message)
}

/// The answer is no JSON.
pub(super) fn no_json(answer: &Response, error: &serde_json::Error) -> Error {
    let who = capital(answer.context.side);
    let key = url_key(answer.context.side);
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
