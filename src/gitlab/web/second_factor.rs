//! An authenticator for the account that is signed in: its key read from the page that shows it, kept, and confirmed.
//!
//! GitLab shows a key for two minutes and judges the code by the one that it showed last, so nothing is opened between
//! reading and confirming. Recovery codes are shown once, in the answer to the first code (GitLab:
//! `app/controllers/profiles/two_factor_auths_controller.rb`).

use async_trait::async_trait;

use super::forms::{Form, Page};
use super::session::{Effect, Visited, WebSession};
use super::totp::{Totp, TotpError};
use crate::http::{Error, ErrorKind, Result, Side};
use crate::secrets::Secret;

const PAGE: &str = "/-/profile/two_factor_auth";
const ENROL: &str = "POST /-/profile/two_factor_auth";
/// The field of the first code, by which the form is known.
const PIN: &str = "pin_code";
const PASSWORD: &str = "current_password";

/// What signs an account in beside its password: the key of its authenticator, and codes for whoever has lost that. In one
/// text, as it is kept: the key on the first line, each code on one of its own.
#[derive(Debug, Clone)]
pub struct Authenticator {
    /// The base32 key (RFC 6238).
    pub key: Secret,
    /// Each works once in place of a code.
    pub recovery_codes: Vec<Secret>,
}

impl Authenticator {
    /// Takes the text apart. None of its lines may be quoted from then on.
    ///
    /// # Errors
    /// The first line is no key.
    pub fn parse(text: &Secret) -> std::result::Result<Self, TotpError> {
        let mut lines = text.expose().lines().map(str::trim).filter(|line| !line.is_empty());
        let key = Secret::new(lines.next().unwrap_or_default());
        Totp::new(&key)?;
        Ok(Self {
            key,
            recovery_codes: lines.map(Secret::new).collect(),
        })
    }

    /// As it is kept.
    pub fn text(&self) -> Secret {
        let codes = self.recovery_codes.iter();
        let lines: Vec<&str> = std::iter::once(&self.key).chain(codes).map(Secret::expose).collect();
        Secret::new(lines.join("\n"))
    }
}

#[async_trait]
pub trait Keeper: Send + Sync {
    /// Keeps it in place of what was kept before, or says why it could not be.
    async fn keep(&self, authenticator: &Authenticator) -> std::result::Result<(), String>;
}

/// Why no authenticator is in use.
#[derive(Debug, Clone)]
pub struct NotEnrolled {
    pub error: Error,
    /// Whether GitLab has certainly registered none.
    pub is_certain: bool,
}

impl From<Error> for NotEnrolled {
    /// Before the first code was sent, or where GitLab has refused it.
    fn from(error: Error) -> Self {
        Self {
            error,
            is_certain: true,
        }
    }
}

impl NotEnrolled {
    /// While it was sent.
    fn sending(error: Error) -> Self {
        Self {
            is_certain: !error.may_have_been_processed(),
            error,
        }
    }

    /// After it was sent.
    pub(super) fn perhaps(error: Error) -> Self {
        Self {
            error,
            is_certain: false,
        }
    }
}

/// A key that GitLab offers.
pub(super) struct Offer {
    visited: Visited,
    form: Form,
    pub(super) key: Secret,
}

/// Whether a page is the one that asks for an authenticator.
pub(super) fn is_asked(visited: &Visited) -> bool {
    visited.is_at(PAGE)
}

/// Reads the key that GitLab offers; none where nobody is signed in any more.
pub(super) async fn offer(session: &WebSession, username: &str) -> Result<Option<Offer>> {
    let visited = session.open(session.url(PAGE.trim_start_matches('/'))).await?;
    if visited.is_at("/users/sign_in") {
        return Ok(None);
    }
    if !is_asked(&visited)
        && let Some(obstacle) = visited.obstacle(username)
    {
        return Err(obstacle);
    }
    let visited = visited.success()?;
    let key = (visited.page.offered_key.clone())
        .ok_or_else(|| visited.page.lacks("key of an authenticator (code.two-factor-secret)"))?;
    let form = (visited.page.form_with(PIN).cloned()).ok_or_else(|| {
        visited
            .page
            .lacks("form for the first code of an authenticator (a field pin_code)")
    })?;
    Ok(Some(Offer { visited, form, key }))
}

/// Sends the first code, with the password where that is asked for, and gives the recovery codes. An account that has some
/// already is shown none.
pub(super) async fn confirm(
    session: &WebSession,
    offer: &Offer,
    code: &Secret,
    password: Option<&Secret>,
) -> std::result::Result<Vec<Secret>, NotEnrolled> {
    let mut values = vec![(PIN, code.expose())];
    if offer.form.has(PASSWORD) {
        let password = password.ok_or_else(|| {
            let message = "GitLab asks for a password of its own before it registers an authenticator, and the droid's is that of \
                           its directory; it was not sent";
            error(ErrorKind::Forbidden, message).with_hint(
                "Register an authenticator in a browser, and put its key where user.totp.load reads it.",
            )
        })?;
        values.push((PASSWORD, password.expose()));
    }
    let fields = offer.form.with(&values);
    let sent = session
        .submit(offer.visited.url(), &offer.form, &fields, Effect::Write)
        .await;
    let landed = sent.map_err(NotEnrolled::sending)?;
    if let Some(codes) = &landed.page.recovery_codes {
        return Ok(codes.clone());
    }
    // The page again: with a key it has taken no code, without one it has.
    if landed.page.offered_key.is_some() {
        return Err(refused(&landed.page).into());
    }
    if landed.redirected && is_asked(&landed) {
        return Ok(Vec::new());
    }
    // An answer at this address need not be that page.
    let landed = landed.success().map_err(NotEnrolled::sending)?;
    Err(NotEnrolled::perhaps(
        landed.page.lacks("recovery codes, or a reason against the code"),
    ))
}

fn refused(page: &Page) -> Error {
    let said = page.reason();
    let hint = if said.as_str().to_lowercase().contains("password") {
        "Check user.password: GitLab counts this as a failed sign-in."
    } else {
        "Check that the clocks of this machine and of GitLab agree."
    };
    error(
        ErrorKind::Unauthorized,
        format!("GitLab does not register the authenticator: {said}"),
    )
    .with_hint(hint)
}

pub(super) fn error(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::new(Side::Gitlab, kind, ENROL, message)
}

#[cfg(test)]
mod tests {
    use super::{Authenticator, Page};
    use crate::secrets::{Secret, redact};

    const KEY: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn what_is_kept_is_read_as_it_was_and_a_bare_key_is_enough() {
        let one = Authenticator {
            key: Secret::new(KEY),
            recovery_codes: vec![Secret::new("0a1b2c3d4e5f6071"), Secret::new("ffeeddccbbaa9988")],
        };
        assert_eq!(
            one.text().expose(),
            format!("{KEY}\n0a1b2c3d4e5f6071\nffeeddccbbaa9988")
        );
        let read = Authenticator::parse(&Secret::new(format!("{}\r\n", one.text().expose()))).unwrap();
        assert!(read.key.is(&one.key) && read.recovery_codes.len() == 2);
        assert!(
            Authenticator::parse(&Secret::new(format!("{KEY}\n")))
                .unwrap()
                .recovery_codes
                .is_empty()
        );
        assert!(Authenticator::parse(&Secret::new("")).is_err());
        assert!(Authenticator::parse(&Secret::new("it's no key\n0a1b")).is_err());
    }

    #[test]
    fn a_page_gives_key_and_codes_and_quotes_neither() {
        let key = "MZXW6YTBOI5DKMRTGQ2TMNZYHEYDCMRT";
        let shown: Vec<String> = key
            .as_bytes()
            .chunks(4)
            .map(|four| String::from_utf8_lossy(four).into_owned())
            .collect();
        let shown = shown.join(" ");
        let html = format!(
            "<title>{shown}</title><main><h1>Key: {key}</h1>
            <code class='two-factor-secret'>{shown}</code><a href='otpauth://totp/x?secret={key}'>x</a></main>"
        );
        let page = Page::parse("GET /x", &html).unwrap();
        assert_eq!(page.offered_key.as_ref().unwrap().expose(), key);
        for text in [page.main.as_str(), page.title.as_str(), page.heading.as_str()] {
            assert!(!text.contains("MZXW"), "{text}");
        }
        let codes = "<div class='js-2fa-recovery-codes' data-codes='[&quot;9f8e7d6c5b4a3928&quot;,&quot;1029384756afbecd&quot;]'></div>";
        let page = Page::parse("POST /x", codes).unwrap();
        assert_eq!(page.recovery_codes.unwrap().len(), 2);
        assert!(!redact("1029384756afbecd").contains("1029384756afbecd"));
        assert!(Page::parse("POST /x", "<p>no").unwrap().recovery_codes.is_none());
    }
}
