//! What GitLab's refusals mean, and what to do about each.

use crate::http::{Error, ErrorKind, Peer, Response, Said, Side};
use crate::secrets::RemoteText;

/// GitLab, as messages call it.
pub static PEER: Peer = Peer {
    side: Side::Gitlab,
    name: "GitLab",
    url_key: "gitlab.url",
    ca_key: Some("gitlab.ca_file"),
    meaning,
};

fn meaning(answer: &Response, said: &Said) -> Option<Error> {
    match answer.status().as_u16() {
        300..=399 => sign_in_page(answer),
        401 if answer.has_credential() => Some(unauthorized(answer, said)),
        403 => Some(forbidden(answer, said)),
        503 => maintenance(answer),
        _ => None,
    }
}

/// Where there is no GitLab's API, its pages may be.
fn sign_in_page(answer: &Response) -> Option<Error> {
    answer.location()?.path().ends_with("/users/sign_in").then(|| {
        let message = format!(
            "GitLab wants a browser's sign-in instead of answering {}",
            answer.label()
        );
        answer
            .failed(ErrorKind::Redirect, message)
            .with_hint("is gitlab.url the address of GitLab itself, with its relative URL root?")
    })
}

fn unauthorized(answer: &Response, said: &Said) -> Error {
    let message = match &said.text {
        Some(reason) => format!("GitLab does not accept the token: {reason}"),
        None => "GitLab does not accept the token".to_owned(),
    };
    answer.failed(ErrorKind::Unauthorized, message).with_hint(
        "give gitlab.token a personal access token of an administrator that has not expired, with the scope api (and \
         admin_mode where Admin Mode is on)",
    )
}

fn forbidden(answer: &Response, said: &Said) -> Error {
    if said.code.as_ref().map(RemoteText::as_str) == Some("insufficient_scope") {
        let scope = said.scope.as_ref().map_or("api", RemoteText::as_str);
        let message = format!(
            "the token lacks the scope for {}; one of these would do: {scope}",
            answer.label()
        );
        return answer
            .failed(ErrorKind::Forbidden, message)
            .with_hint("give gitlab.token a token with the scope api (and admin_mode where Admin Mode is on)");
    }
    let message = match &said.text {
        Some(reason) if reason.as_str().to_ascii_lowercase().contains("read-only") => {
            let message = format!("this GitLab is read-only and takes no writes: {reason}");
            return answer
                .failed(ErrorKind::ReadOnly, message)
                .with_hint("gitlab.url may name a Geo secondary: name the primary");
        }
        Some(reason) => format!("GitLab forbids {}: {reason}", answer.label()),
        None => format!("GitLab forbids {}", answer.label()),
    };
    let error = answer.failed(ErrorKind::Forbidden, message);
    if !answer.has_credential() {
        return error;
    }
    error.with_hint(
        "the token has to be an administrator's; where Admin Mode is on, it needs the scope admin_mode besides api",
    )
}

/// Maintenance mode, which refuses writes until an administrator ends it.
fn maintenance(answer: &Response) -> Option<Error> {
    let body = answer.text().to_ascii_lowercase();
    body.contains("maintenance mode").then(|| {
        answer
            .failed(ErrorKind::ReadOnly, "GitLab is in maintenance mode and takes no writes")
            .with_hint("run it again when an administrator has ended the maintenance mode")
    })
}
