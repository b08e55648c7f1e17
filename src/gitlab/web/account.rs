//! The web session of one account: opened at its first use or before, opened again where GitLab ended it, and signed out
//! at the end. What GitLab refused is remembered for the run.
//!
//! A session that a person opened in a browser is used as it is: never signed out, and never made another user's, which
//! would end it in that browser, too.
//!
//! A sign-in that was begun goes on, also where whoever waited for it is gone (another question failed, or somebody
//! pressed Ctrl-C): cut off, it would leave a session in GitLab that nobody can sign out.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::session::{WebOptions, WebSession};
use super::sign_in::{Account, SignIn, SignedIn};
use crate::gitlab::errors::unexpected;
use crate::http::{Error, ErrorKind, Result, Side};
use crate::secrets::Secret;

/// Sign-ins that one session makes in its life, where GitLab ends it before its time.
const MAX_SIGN_INS: u32 = 3;

/// How a session is had.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Account(Account),
    /// By the cookie of one that a person opened.
    Cookie(Secret),
}

/// A session that is open, and whose it is.
type Opened = (Arc<WebSession>, SignedIn);

/// An account and its session.
pub(super) struct AccountSession {
    options: WebOptions,
    entry: Entry,
    /// The configuration's table with its password: `gitlab.admin_session` or `user`.
    table: &'static str,
    opening: Option<JoinHandle<Result<Opened>>>,
    /// Tells a sign-in that waits for its next one-time code that nobody needs it any more.
    given_up: Arc<Notify>,
    open: Option<Arc<WebSession>>,
    /// Who it turned out to be.
    user: Option<String>,
    /// Why the account can do nothing yet, although it is signed in.
    held_up: Option<Error>,
    sign_ins: SignIns,
}

impl AccountSession {
    /// Takes the account. Sends nothing before the first use.
    pub(super) fn new(options: WebOptions, table: &'static str, entry: Entry) -> Self {
        Self {
            options,
            entry,
            table,
            opening: None,
            given_up: Arc::default(),
            open: None,
            user: None,
            held_up: None,
            sign_ins: SignIns::default(),
        }
    }

    /// Whose it is, for messages.
    pub(super) fn name(&self) -> &str {
        match (&self.user, &self.entry) {
            (Some(user), _) => user,
            (None, Entry::Account(account)) => &account.username,
            (None, Entry::Cookie(_)) => "the administrator",
        }
    }

    /// Whether that is the account's own name, and not that of somebody whom its session became.
    pub(super) fn is_own(&self, username: &str) -> bool {
        self.user
            .as_deref()
            .is_some_and(|own| own.eq_ignore_ascii_case(username))
    }

    /// How the account signs in; none where a person did.
    pub(super) fn sign_in(&self) -> Option<SignIn<'_>> {
        match &self.entry {
            Entry::Account(account) => Some(SignIn::new(&self.options, self.table, account, &self.given_up)),
            Entry::Cookie(_) => None,
        }
    }

    /// The session, signed in to if it is not. A refusal is given again without asking.
    pub(super) async fn open(&mut self) -> Result<Arc<WebSession>> {
        let session = self.open_before_terms().await?;
        self.held_up.clone().map_or(Ok(session), Err)
    }

    /// As [`Self::open`], also where the account has to accept the terms of service first.
    pub(super) async fn open_before_terms(&mut self) -> Result<Arc<WebSession>> {
        self.sign_ins.check()?;
        if let Some(session) = &self.open {
            return Ok(Arc::clone(session));
        }
        if self.opening.is_none() {
            let who = self.name().to_owned();
            self.sign_ins.begin(&who)?;
            let (options, table, entry) = (self.options.clone(), self.table, self.entry.clone());
            let given_up = Arc::clone(&self.given_up);
            self.opening = Some(tokio::spawn(
                async move { enter(&options, table, &entry, &given_up).await },
            ));
        }
        let opened = self.opened().await;
        let (session, signed_in) = self.sign_ins.remember(opened)?;
        match signed_in {
            SignedIn::As(user) => self.user = Some(user),
            SignedIn::HeldUp(obstacle) => self.held_up = Some(obstacle),
        }
        self.open = Some(Arc::clone(&session));
        Ok(session)
    }

    /// The account has accepted the terms of service, in the session that is open.
    pub(super) fn has_accepted_terms(&mut self) {
        self.held_up = None;
    }

    /// What became of the sign-in that is under way.
    async fn opened(&mut self) -> Result<Opened> {
        let Some(opening) = &mut self.opening else {
            return Err(self.failed("it was not begun"));
        };
        let opened = opening.await;
        self.opening = None;
        opened.unwrap_or_else(|error| Err(self.failed(&error.to_string())))
    }

    fn failed(&self, why: &str) -> Error {
        let message = format!("the sign-in of {} came to no end: {why}", self.name());
        unexpected("POST /users/sign_in", message)
    }

    /// The session, where it is open.
    pub(super) fn is_open(&self) -> Option<&Arc<WebSession>> {
        self.open.as_ref()
    }

    /// GitLab has ended the session: the next use opens another, where that can be done.
    pub(super) fn has_ended(&mut self) -> Result<()> {
        self.open = None;
        self.held_up = None;
        match self.entry {
            Entry::Account(_) => Ok(()),
            Entry::Cookie(_) => self.sign_ins.remember(Err(nobodys_cookie())),
        }
    }

    /// Remembers a refusal of something that another attempt would only repeat.
    pub(super) fn remember<T>(&mut self, result: Result<T>) -> Result<T> {
        self.sign_ins.remember(result)
    }

    /// Signs out, where somebody is signed in or about to be.
    pub(super) async fn close(&mut self) -> Result<()> {
        if self.opening.is_some() {
            self.given_up.notify_one();
            // One that failed has left no session.
            self.open = self.opened().await.ok().map(|(session, _)| session);
        }
        match (self.open.take(), &self.entry) {
            (Some(session), Entry::Account(_)) => session.sign_out().await,
            (Some(_), Entry::Cookie(_)) | (None, _) => Ok(()),
        }
    }
}

async fn enter(options: &WebOptions, table: &'static str, entry: &Entry, given_up: &Notify) -> Result<Opened> {
    match entry {
        Entry::Account(account) => {
            let session = Arc::new(WebSession::new(options)?);
            let sign_in = SignIn::new(options, table, account, given_up);
            let signed_in = sign_in.run(&session).await;
            sign_in.judged(&signed_in);
            Ok((session, signed_in?))
        }
        Entry::Cookie(cookie) => {
            let session = Arc::new(WebSession::handed_over(options, cookie)?);
            let user = session.who().await?.ok_or_else(nobodys_cookie)?;
            Ok((session, SignedIn::As(user)))
        }
    }
}

fn nobodys_cookie() -> Error {
    let message = "gitlab.admin_session.cookie is the cookie of no session that is open: it ended, or was signed out";
    Error::new(Side::Gitlab, ErrorKind::Unauthorized, "GET /api/v4/user", message).with_hint(
        "Sign in to GitLab as an administrator in a browser, and give the value of its cookie _gitlab_session; docs/sign-in.md \
         says how.",
    )
}

/// The sign-ins of one account in one run. What GitLab refused is not sent again, whoever asks: an account is locked
/// after a few wrong passwords or codes, and with it its tokens.
#[derive(Debug, Default)]
struct SignIns {
    number: u32,
    refused: Option<Error>,
}

impl SignIns {
    /// What GitLab refused before.
    fn check(&self) -> Result<()> {
        self.refused.clone().map_or(Ok(()), Err)
    }

    /// Before a sign-in: why there is to be none.
    fn begin(&mut self, who: &str) -> Result<()> {
        self.check()?;
        if self.number >= MAX_SIGN_INS {
            let message = format!("GitLab ended the session of {who} {MAX_SIGN_INS} times; it was not opened again");
            return Err(unexpected("POST /users/sign_in", message));
        }
        self.number += 1;
        Ok(())
    }

    /// Remembers a failure that another attempt would only repeat. An answer that was lost, or a busy server, is none.
    fn remember<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result
            && !matches!(
                error.kind,
                ErrorKind::Unreachable
                    | ErrorKind::Tls
                    | ErrorKind::AnswerLost
                    | ErrorKind::RateLimited
                    | ErrorKind::Server(_)
            )
        {
            self.refused = Some(error.clone());
        }
        result
    }
}
