//! The web session of one account: opened at its first use or before, opened again where GitLab ended it, and signed out
//! at the end. What GitLab refused is remembered for the run.
//!
//! A sign-in that was begun goes on, also where whoever waited for it is gone (another question failed, or somebody
//! pressed Ctrl-C): cut off, it would leave a session in GitLab that nobody can sign out.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::session::{WebOptions, WebSession};
use super::sign_in::{Account, SignIn};
use crate::http::{Error, ErrorKind, Result, Side};

/// Sign-ins that one session makes in its life, where GitLab ends it before its time.
const MAX_SIGN_INS: u32 = 3;

/// An account and its session.
pub(super) struct AccountSession {
    options: WebOptions,
    account: Account,
    /// The configuration's table with its password: `gitlab.admin_session` or `user`.
    table: &'static str,
    opening: Option<JoinHandle<Result<Arc<WebSession>>>>,
    /// Tells a sign-in that waits for its next one-time code that nobody needs it any more.
    given_up: Arc<Notify>,
    open: Option<Arc<WebSession>>,
    sign_ins: SignIns,
}

impl AccountSession {
    /// Takes the account. Sends nothing before the first use.
    pub(super) fn new(options: WebOptions, table: &'static str, account: Account) -> Self {
        Self {
            options,
            account,
            table,
            opening: None,
            given_up: Arc::default(),
            open: None,
            sign_ins: SignIns::default(),
        }
    }

    /// Whose it is.
    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    /// The account with what a sign-in takes.
    pub(super) fn sign_in(&self) -> SignIn<'_> {
        SignIn::new(&self.options, self.table, &self.account, &self.given_up)
    }

    /// The session, signed in to if it is not. A refusal is given again without asking.
    pub(super) async fn open(&mut self) -> Result<Arc<WebSession>> {
        self.sign_ins.check()?;
        if let Some(session) = &self.open {
            return Ok(Arc::clone(session));
        }
        if self.opening.is_none() {
            self.sign_ins.begin(&self.account.username)?;
            let (options, table, account) = (self.options.clone(), self.table, self.account.clone());
            let given_up = Arc::clone(&self.given_up);
            self.opening = Some(tokio::spawn(async move {
                let session = Arc::new(WebSession::new(&options)?);
                SignIn::new(&options, table, &account, &given_up).run(&session).await?;
                Ok(session)
            }));
        }
        let opened = self.opened().await;
        let session = self.sign_ins.remember(opened)?;
        self.open = Some(Arc::clone(&session));
        Ok(session)
    }

    /// What became of the sign-in that is under way.
    async fn opened(&mut self) -> Result<Arc<WebSession>> {
        let Some(opening) = &mut self.opening else {
            return Err(self.failed("it was not begun"));
        };
        let opened = opening.await;
        self.opening = None;
        opened.unwrap_or_else(|error| Err(self.failed(&error.to_string())))
    }

    fn failed(&self, why: &str) -> Error {
        let message = format!("the sign-in of {} came to no end: {why}", self.account.username);
        Error::new(Side::Gitlab, ErrorKind::Unexpected, "POST /users/sign_in", message)
    }

    /// The session, where it is open.
    pub(super) fn is_open(&self) -> Option<&Arc<WebSession>> {
        self.open.as_ref()
    }

    /// GitLab has ended the session: the next use opens another.
    pub(super) fn has_ended(&mut self) {
        self.open = None;
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
            self.open = self.opened().await.ok();
        }
        match self.open.take() {
            Some(session) => session.sign_out().await,
            None => Ok(()),
        }
    }
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
            return Err(Error::new(
                Side::Gitlab,
                ErrorKind::Unexpected,
                "POST /users/sign_in",
                message,
            ));
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
