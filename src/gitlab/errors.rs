//! What GitLab's refusals mean, and what to do about each.

use crate::http::{Error, ErrorKind, Peer, Response, Result, Said, Side, StatusCode};
use crate::secrets::RemoteText;

/// GitLab, as messages call it.
pub static PEER: Peer = Peer {
    side: Side::Gitlab,
    name: "GitLab",
    url_key: "gitlab.url",
    section: "gitlab",
    meaning,
};

/// That GitLab does something else than was asked for.
pub(super) fn unexpected(request: impl Into<String>, message: impl Into<String>) -> Error {
    Error::new(Side::Gitlab, ErrorKind::Unexpected, request, message)
}

fn meaning(answer: &Response, said: &Said) -> Option<Error> {
    match answer.status().as_u16() {
        300..=399 => sign_in_page(answer),
        407 => Some(answer.from_between()),
        401 | 403 if !is_gitlabs(answer) => Some(answer.from_between()),
        404 if !is_gitlabs(answer) => Some(no_gitlab(answer)),
        401 if answer.has_credential() => Some(unauthorized(answer, said)),
        403 => Some(forbidden(answer, said)),
        503 => maintenance(answer),
        _ => None,
    }
}

/// Whether an answer is GitLab's own and not that of a proxy, a firewall or a sign-in page before it. Its API answers no
/// pages; its pages have its name in them, the words of its error pages, or the headers that Rails puts on every answer.
pub(crate) fn is_gitlabs(answer: &Response) -> bool {
    const HEADERS: [&str; 3] = ["x-gitlab-meta", "x-request-id", "x-runtime"];
    const WORDS: [&str; 4] = [
        "404: page not found",
        "the page you're looking for could not be found",
        "the change you requested was rejected",
        "csrf-token",
    ];
    if !answer.is_html() {
        return true;
    }
    if !answer.asked_for_page() {
        return false;
    }
    let page = answer.text().to_ascii_lowercase();
    // What only repeats the address that was asked knows no more than that.
    let host = answer.base_url().host_str().unwrap_or_default().to_ascii_lowercase();
    let page = if host.is_empty() { page } else { page.replace(&host, "") };
    HEADERS.iter().any(|name| answer.header(name).is_some())
        || page.contains("gitlab")
        || WORDS.iter().any(|words| page.contains(words))
}

/// A 404 of GitLab itself: one in HTML comes from something else, and says nothing about what was asked.
pub(super) fn is_absent(answer: &Response) -> bool {
    answer.status() == StatusCode::NOT_FOUND && !answer.is_html()
}

/// Success, also where there is nothing left to delete. A 404 in HTML is not GitLab's own.
pub(super) fn gone(answer: &Response) -> Result<()> {
    if is_absent(answer) {
        return Ok(());
    }
    answer.exactly(StatusCode::NO_CONTENT)
}

/// Where there is no GitLab at all, or not at this path.
fn no_gitlab(answer: &Response) -> Error {
    let message = format!(
        "{} is answered with 404 Not Found and a page that is not GitLab's",
        answer.label()
    );
    answer.failed(ErrorKind::Status(404), message).with_hint(format!(
        "is gitlab.url ({}) right, with the relative URL root if there is one? Else see what stands before GitLab",
        answer.base_url()
    ))
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
    let message = said.with_reason("GitLab does not accept the token");
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
    if said.code.as_ref().map(RemoteText::as_str) == Some("insufficient_granular_scope") {
        let message = said.with_reason(format!("the token lacks a permission for {}", answer.label()));
        return answer
            .failed(ErrorKind::Forbidden, message)
            .with_hint("give gitlab.token this permission; docs/security.md lists all that Setpoint needs");
    }
    let reason = said.text.as_ref().map_or("", RemoteText::as_str).to_ascii_lowercase();
    let error = answer.failed(
        ErrorKind::Forbidden,
        said.with_reason(format!("GitLab forbids {}", answer.label())),
    );
    if let Some(hint) = account_hint(&reason) {
        return error.with_hint(hint);
    }
    if reason.contains("read-only") {
        let message = said.with_reason("this GitLab is read-only and takes no writes");
        return answer
            .failed(ErrorKind::ReadOnly, message)
            .with_hint("gitlab.url may name a Geo secondary: name the primary");
    }
    if !answer.has_credential() {
        return error;
    }
    error.with_hint(
        "the token has to be an administrator's; where Admin Mode is on, it needs the scope admin_mode besides api",
    )
}

/// What to do where GitLab lets an account do nothing at all, whatever its token may: it says so in a sentence
/// (GitLab: `lib/gitlab/auth/user_access_denied_reason.rb`).
fn account_hint(reason: &str) -> Option<&'static str> {
    const HINTS: [(&str, &str); 7] = [
        (
            "terms of service",
            "sign in as that account in a browser and accept the terms that are in force",
        ),
        (
            "password expired",
            "sign in as that account in a browser and set a new password; one that an administrator sets expires at once",
        ),
        (
            "has been blocked",
            "the account is blocked, or locked after sign-ins: a lock ends by itself, and an administrator can end both (Admin \
             area > Users)",
        ),
        (
            "has been deactivated",
            "another administrator can activate the account (Admin area > Users), or signing in as it",
        ),
        (
            "pending approval",
            "an administrator has to approve the account (Admin area > Users)",
        ),
        (
            "not confirmed",
            "an administrator can confirm the account's e-mail address (Admin area > Users)",
        ),
        ("internal user", "give gitlab.token the token of a person's account"),
    ];
    HINTS
        .into_iter()
        .find_map(|(words, hint)| reason.contains(words).then_some(hint))
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

#[cfg(test)]
mod tests {
    use super::{PEER, is_gitlabs};
    use crate::http::Response;

    #[test]
    fn a_page_of_something_before_gitlab_is_told_from_gitlabs() {
        let page = |body: &str| Response::page(&PEER, 404, body);
        for own in [
            "<title>Sign in · GitLab</title>",
            "<title>Not Found</title><h1>404: Page not found</h1>",
            "<h3>The change you requested was rejected.</h3>",
        ] {
            assert!(is_gitlabs(&page(own)), "{own}");
        }
        for other in [
            "<html><center><h1>404 Not Found</h1></center><hr><center>nginx</center></html>",
            "<address>Apache/2.4 Server at gitlab.example.com Port 443</address>",
            "<title>Company sign-in</title>",
            "<p>",
        ] {
            assert!(!is_gitlabs(&page(other)), "{other}");
        }
        // Where its API was asked, no page is GitLab's.
        assert!(!is_gitlabs(&Response::made(&PEER, 4, b"<title>GitLab</title>")));
        assert!(is_gitlabs(&Response::made(&PEER, 4, b"{}")));
    }
}
