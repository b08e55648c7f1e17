//! Impersonation: the administrator's session becomes another user's, and is given back.
//!
//! Whether it began and ended is judged by whose session it is (`GET /api/v4/user`), not by GitLab's answers: they may
//! be lost, and a refusal is a redirect like success (GitLab: `app/controllers/admin/users_controller.rb`,
//! `admin/impersonations_controller.rb`).

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use super::super::forms::Form;
use super::super::pages::impersonation_tooltip;
use super::super::session::{Effect, Visited, WebSession};
use super::super::terms;
use super::{AdminSession, State};
use crate::gitlab::errors::is_gitlabs;
use crate::http::{Error, ErrorKind, Result, Side, StatusCode};
use crate::secrets::RemoteText;
use crate::urls;

/// How far an impersonation has to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// To where the account can act.
    Acting,
    /// To the terms of service at least, which are what it is for.
    Terms,
}

/// A running impersonation. It has to be stopped; if it is dropped instead, [`crate::gitlab::EndSession::end`] stops it.
pub(crate) struct Impersonation<'a> {
    admin: &'a AdminSession,
    state: OwnedMutexGuard<State>,
    /// The session, which is the other user's for as long as this lasts.
    pub(crate) session: Arc<WebSession>,
}

impl AdminSession {
    /// Becomes another user, and makes sure of it. Holds the administrator's session until it is stopped.
    pub(crate) async fn impersonate(&self, username: &str, until: Until) -> Result<Impersonation<'_>> {
        let mut state = Arc::clone(&self.state).lock_owned().await;
        if state.web.sign_in().is_none() {
            let message = format!(
                "nobody is impersonated in the session that gitlab.admin_session.cookie is of: GitLab would end it in the \
                 browser where {} opened it",
                state.web.name()
            );
            let hint = "Set user.password, or user.sign_in = \"person\".";
            return Err(impersonation_error(ErrorKind::Forbidden, message).with_hint(hint));
        }
        let (session, visited, form) = self.impersonation_form(&mut state, username).await?;
        // From here on the session may be the other user's, whatever becomes of the answer.
        state.impersonating = Some(username.to_owned());
        session.forget_page();
        let sent = session
            .submit(visited.url(), &form, &form.hidden(), Effect::Session)
            .await;
        let started = self.started(&state, &session, sent, username, until).await;
        let mut running = Impersonation {
            admin: self,
            state,
            session,
        };
        match started {
            Ok(()) => Ok(running),
            Err(Started::Refused(error)) => {
                running.state.impersonating = None;
                Err(error)
            }
            Err(Started::Unclear(error)) => match running.stop().await {
                Ok(()) => Err(error),
                // A session that goes on is worse news than why it was of no use.
                Err(left) => Err(Error {
                    message: format!("{}; and {}", error.message, left.message),
                    ..left
                }),
            },
        }
    }

    /// What starts an impersonation, from the user's admin page.
    pub(super) async fn impersonation_form(
        &self,
        state: &mut State,
        username: &str,
    ) -> Result<(Arc<WebSession>, Visited, Form)> {
        let path = format!("admin/users/{username}");
        let (session, visited) = self.page(state, &path).await?;
        let visited = Self::found(state.web.name(), visited, &format!("user {username}"))?;
        // A page that is another says nothing about impersonation. GitLab may spell the username otherwise.
        let address = urls::root(visited.url()).to_ascii_lowercase();
        if visited.page.csrf().is_err() || !address.ends_with(&format!("/{path}").to_ascii_lowercase()) {
            return Err(visited.page.lacks("sign of being that of a user"));
        }
        match visited.page.sender_to("/impersonate")? {
            Some(form) if form.method == "post" => Ok((session, visited, form)),
            _ => Err(no_button(state.web.is_own(username), &visited, username)),
        }
    }

    async fn started(
        &self,
        state: &State,
        session: &WebSession,
        sent: Result<Visited>,
        username: &str,
        until: Until,
    ) -> Result<(), Started> {
        let landed = sent.map_err(Started::Unclear)?;
        let not_found = landed.response.status() == StatusCode::NOT_FOUND && is_gitlabs(&landed.response);
        if not_found && !landed.redirected {
            return Err(Started::Refused(switched_off(username)));
        }
        if until == Until::Terms && terms::is_asked(&landed) {
            return Ok(());
        }
        // It began, and the account is led to something that comes first: that is why it can do nothing.
        if let Some(obstacle) = landed.obstacle(username) {
            return Err(Started::Unclear(obstacle));
        }
        match session.who().await.map_err(Started::Unclear)? {
            Some(name) if name.eq_ignore_ascii_case(username) => Ok(()),
            Some(name) if state.web.is_own(&name) => {
                Err(Started::Refused(refused_impersonation(username, &landed.page.reason())))
            }
            other => {
                let who = other.unwrap_or_else(|| "nobody".to_owned());
                let message = format!("after starting to impersonate {username}, GitLab takes the session for {who}'s");
                Err(Started::Unclear(landed.response.unexpected(message)))
            }
        }
    }

    /// Ends an impersonation, if there is one, and makes sure of it. Where GitLab does not let it be ended (a second factor
    /// that has to be set up, or terms that are not accepted, come before that page, too), the whole session is signed out:
    /// an administrator's session that acts as somebody else would go on for days.
    pub(super) async fn stop(&self, state: &mut State) -> Result<()> {
        let Some(username) = state.impersonating.clone() else {
            return Ok(());
        };
        let Some(session) = state.web.is_open().cloned() else {
            state.impersonating = None;
            return Ok(());
        };
        // The last page's token may be outdated: the second attempt takes a new one.
        for _ in 0..2 {
            let sent = send_stop(&session).await;
            session.forget_page();
            match session.who().await {
                Ok(Some(name)) if state.web.is_own(&name) => {
                    state.impersonating = None;
                    return Ok(());
                }
                Ok(Some(_)) => {
                    if let Err(error) = sent {
                        tracing::debug!(%error, "the impersonation could not be stopped");
                    }
                }
                // Nobody's to the API, which the session of an account that may do nothing is, too.
                Ok(None) | Err(_) => break,
            }
        }
        if let Err(error) = session.sign_out_for_certain().await {
            let message = format!(
                "the session of {}, which acts as {username}, could not be ended: {}",
                state.web.name(),
                error.message
            );
            return Err(Error { message, ..error }.with_hint(format!(
                "End it in GitLab, as {username}: User settings > Active sessions; else it goes on for up to seven days."
            )));
        }
        tracing::info!(username, "the impersonation was ended by signing the administrator out");
        state.web.has_ended()?;
        state.impersonating = None;
        Ok(())
    }
}

/// Sends what stops an impersonation: the page's form or link, or what GitLab's own script sends.
async fn send_stop(session: &WebSession) -> Result<()> {
    let page = session.page_with_token().await?;
    let form = match page.sender_to("/admin/impersonation")? {
        Some(form) => form,
        None => page.scripted_form(session.url("admin/impersonation").as_str(), "delete")?,
    };
    let home = session.url("");
    session
        .submit(&home, &form, &form.hidden(), Effect::Session)
        .await
        .map(drop)
}

/// How starting an impersonation failed.
enum Started {
    /// The session is still the administrator's.
    Refused(Error),
    /// It may not be.
    Unclear(Error),
}

impl Impersonation<'_> {
    /// Ends it; the session is the administrator's again.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.admin.stop(&mut self.state).await
    }
}

fn no_button(is_own: bool, visited: &Visited, username: &str) -> Error {
    if is_own {
        let message = format!("{username} is the administrator of gitlab.admin_session, who cannot be the droid, too");
        return visited.response.failed(ErrorKind::Forbidden, message);
    }
    match impersonation_tooltip(&visited.response.text()) {
        Some(reason) => refused_impersonation(username, &reason),
        None => switched_off(username),
    }
}

fn impersonation_error(kind: ErrorKind, message: String) -> Error {
    Error::new(Side::Gitlab, kind, "POST /admin/users/:username/impersonate", message)
}

fn switched_off(username: &str) -> Error {
    let message = format!("GitLab offers no impersonation of {username}: it is switched off on this instance");
    impersonation_error(ErrorKind::PersonNeeded, message)
        .with_hint("Set gitlab_rails['impersonation_enabled'] = true in gitlab.rb, or use user.sign_in = \"password\".")
}

/// GitLab's own reasons (GitLab: `app/helpers/users_helper.rb`, `impersonation_error_text`).
fn refused_impersonation(username: &str, said: &RemoteText) -> Error {
    let lower = said.as_str().to_lowercase();
    let hint = if lower.contains("blocked") {
        "Unblock the user first."
    } else if lower.contains("expired password") {
        "Sign in once as this user and set a new password; one that an administrator sets expires at once."
    } else if lower.contains("internal") {
        "This is one of GitLab's own accounts: use a regular user."
    } else if lower.contains("already impersonating") {
        "Stop the other impersonation, or wait until its session ends."
    } else {
        "Service accounts, deactivated, locked and unconfirmed users cannot be impersonated: use a regular, active user."
    };
    let message = format!("GitLab refuses to impersonate {username}: {said}");
    impersonation_error(ErrorKind::Forbidden, message).with_hint(hint)
}
