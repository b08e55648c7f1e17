//! The terms of service, accepted as the account that is signed in.
//!
//! What is accepted is what was planned and nothing else: the page names the terms that are in force by a number only, so
//! their text is asked for once more before the form is sent. GitLab: `app/controllers/users/terms_controller.rb`; up to 18
//! the page has forms, since 19 a component with their addresses (`#js-terms-of-service`).

use super::forms::{Form, Page};
use super::session::{Arrival, Effect, Visited, WebOptions, WebSession};
use crate::http::{Error, ErrorKind, Result, Side};
use crate::model::TermsVersion;

const PAGE: &str = "/-/users/terms";
const ACCEPT: &str = "POST /-/users/terms/:id/accept";

/// Whether a page is the one that asks for it.
pub(super) fn is_asked(visited: &Visited) -> bool {
    visited.is_at(PAGE)
}

/// What became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepted {
    /// They are accepted now; GitLab has this number for them.
    Now(u64),
    /// Nothing was left to accept.
    Before,
    /// Nobody is signed in any more.
    SignedOut,
}

/// Accepts these terms in a session of this account, and makes sure of it.
pub(super) async fn accept(
    session: &WebSession,
    options: &WebOptions,
    username: &str,
    version: &TermsVersion,
) -> Result<Accepted> {
    let visited = open(session).await?;
    let Some((id, form)) = acceptance(&visited.page)? else {
        return match belongs_to(session, username).await {
            Ok(true) => Ok(Accepted::Before),
            Ok(false) => Ok(Accepted::SignedOut),
            // GitLab says that they are not accepted, and the page is none that anybody knows.
            Err(error) if error.kind == ErrorKind::Forbidden => {
                Err(visited.page.lacks("form that accepts the terms of service"))
            }
            Err(error) => Err(error),
        };
    };
    let in_force = options.doorkeeper.terms_now().await?;
    if in_force.as_ref() != Some(version) {
        let message = "GitLab has other terms of service by now than this plan is about; nothing was accepted";
        return Err(error(ErrorKind::Refused, message.to_owned()).with_hint("Plan anew, and read them."));
    }
    let sent = session
        .submit_until(visited.url(), &form, &form.hidden(), Effect::Write, &|_| true)
        .await;
    match sent {
        // Where it leads on success is where the account had wanted to go.
        Ok(Arrival::Leaves(_)) => {}
        Ok(Arrival::Page(landed)) => drop(landed.success()?),
        Err(lost) if lost.may_have_been_processed() => {}
        Err(error) => return Err(error),
    }
    session.forget_page();
    let after = open(session).await?;
    if acceptance(&after.page)?.is_some() {
        let said = after.page.said().map(|said| format!(": {said}")).unwrap_or_default();
        let message =
            format!("GitLab took the acceptance of its terms of service, and asks {username} for it again{said}");
        return Err(error(ErrorKind::Unexpected, message));
    }
    belongs_to(session, username).await?;
    Ok(Accepted::Now(id))
}

async fn open(session: &WebSession) -> Result<Visited> {
    session.open(session.url(PAGE.trim_start_matches('/'))).await?.success()
}

/// What accepts them, and their number; none where the page offers nothing to accept.
fn acceptance(page: &Page) -> Result<Option<(u64, Form)>> {
    let number = |action: &str| -> Option<u64> {
        let (path, _) = action.split_once(['?', '#']).unwrap_or((action, ""));
        let (_, rest) = path.split_once("/users/terms/")?;
        rest.strip_suffix("/accept")?.parse().ok()
    };
    if let Some(form) = page.forms.iter().find(|form| number(&form.action).is_some()) {
        return Ok(number(&form.action).map(|id| (id, form.clone())));
    }
    match &page.accepts_terms_at {
        Some(path) => {
            let id = number(path).ok_or_else(|| page.lacks("address that accepts the terms of service"))?;
            Ok(Some((id, page.scripted_form(path, "post")?)))
        }
        None => Ok(None),
    }
}

/// That this is nobody else's session, and that nothing keeps the account from acting any more; and whether GitLab's API
/// knows whose it is, which it does not where a second factor has to be set up in an impersonated session.
async fn belongs_to(session: &WebSession, username: &str) -> Result<bool> {
    match session.who().await? {
        Some(name) if !name.eq_ignore_ascii_case(username) => {
            let message = format!("the session in which {username} was to accept the terms of service is {name}'s");
            Err(error(ErrorKind::Unexpected, message))
        }
        name => Ok(name.is_some()),
    }
}

fn error(kind: ErrorKind, message: String) -> Error {
    Error::new(Side::Gitlab, kind, ACCEPT, message)
}

#[cfg(test)]
mod tests {
    use super::{Page, acceptance};

    #[test]
    fn the_form_and_the_component_name_the_terms_by_their_number() {
        let page = |html: &str| {
            let html = format!("<meta name='csrf-token' content='T'>{html}");
            acceptance(&Page::parse("GET /-/users/terms", &html).unwrap())
        };
        let form = |verb: &str| {
            format!(
                r#"<form action="/git/-/users/terms/7/{verb}?redirect=%2F" method="post">
                <input type="hidden" name="authenticity_token" value="F"></form>"#
            )
        };
        let (id, accept) = page(&(form("decline") + &form("accept"))).unwrap().unwrap();
        assert_eq!((id, accept.value("authenticity_token")), (7, Some("F")));
        assert_eq!(page(&form("decline")).unwrap(), None);

        let component = |can: bool, path: &str| {
            let data = format!(r#"{{"permissions":{{"can_accept":{can}}},"paths":{{"accept":"{path}"}}}}"#);
            page(&format!(
                "<div id='js-terms-of-service' data-terms-data='{}'></div>",
                data.replace('"', "&quot;")
            ))
        };
        let (id, accept) = component(true, "/-/users/terms/8/accept?redirect=%2F")
            .unwrap()
            .unwrap();
        assert_eq!((id, accept.value("authenticity_token")), (8, Some("T")));
        assert_eq!(component(false, "/-/users/terms/8/accept").unwrap(), None);
        let error = component(true, "/elsewhere").unwrap_err();
        assert!(error.message.contains("address that accepts the terms"), "{error}");
    }
}
