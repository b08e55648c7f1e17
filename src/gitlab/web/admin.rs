//! The administrator's session: applications are read and edited on their admin pages, and other users impersonated.
//!
//! There is one session, opened at its first use and shared; whoever needs it waits for the other. While it impersonates
//! somebody it is that user's session, so the lock is held from the start of an impersonation to its end.

mod impersonation;

pub(super) use impersonation::Until;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::account::{AccountSession, Entry};
use super::application_form::ApplicationForm;
use super::session::{Effect, NOWHERE, Visited, WebOptions, WebSession};
use super::sign_in::Account;
use crate::gitlab::errors::{is_gitlabs, unexpected};
use crate::gitlab::{AdminInspect, AdminRead, AdminWrite, EndSession};
use crate::http::{Error, ErrorKind, Result, Side, StatusCode};
use crate::model::{ApplicationEdit, ApplicationFields, ApplicationId};
use crate::secrets::{RemoteText, Secret};

const ADMIN_MODE: &str = "/admin/session/new";

/// The administrator's web session.
pub struct AdminSession {
    options: WebOptions,
    state: Arc<Mutex<State>>,
}

struct State {
    web: AccountSession,
    /// Whom the session may be instead of the administrator.
    impersonating: Option<String>,
}

impl AdminSession {
    /// Takes the account. Sends nothing before the first use.
    pub fn new(options: WebOptions, account: Account) -> Self {
        Self::with(options, Entry::Account(account))
    }

    /// Takes the cookie of a session that a person opened: its value, or `name=value`. It is neither stored nor signed
    /// out, and nobody is impersonated in it.
    pub fn with_cookie(options: WebOptions, cookie: Secret) -> Self {
        Self::with(options, Entry::Cookie(cookie))
    }

    fn with(options: WebOptions, entry: Entry) -> Self {
        let state = State {
            web: AccountSession::new(options.clone(), "gitlab.admin_session", entry),
            impersonating: None,
        };
        Self {
            options,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The session, signed in to if it is not.
    async fn session(&self, state: &mut State) -> Result<Arc<WebSession>> {
        self.stop(state).await?;
        state.web.open().await
    }

    /// Opens a page of the admin area; signs in again where the session has ended, and enters Admin Mode where asked:
    /// each once.
    async fn page(&self, state: &mut State, path: &str) -> Result<(Arc<WebSession>, Visited)> {
        let (mut reopened, mut entered) = (false, false);
        loop {
            let session = self.session(state).await?;
            let visited = session.open(session.url(path)).await?;
            if visited.is_at("/users/sign_in") && !reopened {
                state.web.has_ended()?;
                (reopened, entered) = (true, false);
            } else if visited.is_at(ADMIN_MODE) && !entered {
                entered = true;
                let landed = self.enter_admin_mode(state, &session, visited).await;
                let landed = state.web.remember(landed)?;
                // GitLab leads back to the page that was asked for; elsewhere, it is opened again.
                if landed.is_at(&format!("/{path}")) {
                    return Ok((session, landed));
                }
            } else if visited.is_at("/users/sign_in") || visited.is_at(ADMIN_MODE) {
                break;
            } else if let Some(obstacle) = visited.obstacle(state.web.name()) {
                return Err(obstacle);
            } else {
                return Ok((session, visited));
            }
        }
        let message = format!("GitLab does not let {} stay in the admin area", state.web.name());
        state.web.remember(Err(unexpected(format!("GET /{path}"), message)))
    }

    /// Gives the password, and a one-time code where asked, to GitLab's second door (GitLab: `Admin::SessionsController`).
    async fn enter_admin_mode(&self, state: &State, session: &WebSession, visited: Visited) -> Result<Visited> {
        let Some(sign_in) = state.web.sign_in() else {
            return Err(admin_mode_is_off(state.web.name()));
        };
        let Ok(form) = sign_in.form(&visited.page, "/admin/session") else {
            return Err(self.no_admin_mode_form(state.web.name(), &visited).await);
        };
        let fields = sign_in.filled(form, "");
        let arrival = session
            .submit_until(visited.url(), form, &fields, Effect::Session, NOWHERE)
            .await?;
        let arrival = sign_in.with_code(session, arrival, NOWHERE).await?;
        let landed = arrival.page()?.success()?;
        let who = state.web.name();
        if landed.is_at(ADMIN_MODE) {
            // The password was taken, and GitLab led back all the same: without an alert, it asks for a further step with
            // a provider (step-up authentication).
            return Err(match landed.page.said() {
                Some(said) => no_admin_mode(format!("GitLab does not let {who} enter Admin Mode: {said}")),
                None => no_admin_mode(format!(
                    "GitLab asks {who} for more than a password and a code before Admin Mode{}",
                    landed.page.noticed()
                ))
                .with_hint(
                    "Such a step takes a browser: give gitlab.admin_session an administrator who is not asked for it.",
                ),
            });
        }
        if landed.page.forms.iter().any(|form| form.goes_to("/admin/session")) {
            let message = format!("GitLab does not let {who} enter Admin Mode: {}", landed.page.reason());
            return Err(
                Error::new(Side::Gitlab, ErrorKind::Unauthorized, "POST /admin/session", message)
                    .with_hint("Check gitlab.admin_session.password."),
            );
        }
        Ok(landed)
    }

    /// GitLab takes no password for Admin Mode of an account that has an identity elsewhere, or a password that nobody
    /// chose (GitLab: `allow_admin_mode_password_authentication_for_web?`).
    async fn no_admin_mode_form(&self, who: &str, visited: &Visited) -> Error {
        let page = &visited.page;
        let signs_in_elsewhere = page.leads_to_providers() || {
            let resident = self.options.doorkeeper.account(who).await;
            resident.is_ok_and(|resident| resident.is_some_and(|resident| !resident.providers.is_empty()))
        };
        if !signs_in_elsewhere {
            return page.lacks("form for Admin Mode (sent to /admin/session)");
        }
        let message = format!(
            "GitLab takes no password of {who} for Admin Mode: the account signs in by LDAP or single sign-on, or its password \
             was set automatically; no password was sent there"
        );
        no_admin_mode(message).with_hint(
            "Give gitlab.admin_session an administrator whose password GitLab itself keeps; or its LDAP server as provider, \
             where that is how it signs in; or the cookie of a session that a person opened.",
        )
    }

    /// A page about an object: 404 may be the object's or the administrator's.
    fn found(who: &str, visited: Visited, what: &str) -> Result<Visited> {
        if visited.response.status() == StatusCode::NOT_FOUND && is_gitlabs(&visited.response) {
            let message = format!("GitLab shows {who} no {what}: there is none, or {who} is no administrator");
            return Err(visited.response.failed(ErrorKind::NotFound, message));
        }
        visited.success()
    }

    async fn edit_page(
        &self,
        state: &mut State,
        id: ApplicationId,
    ) -> Result<(Arc<WebSession>, Visited, ApplicationForm)> {
        let (session, visited) = self.page(state, &format!("admin/applications/{id}/edit")).await?;
        let visited = Self::found(state.web.name(), visited, &format!("application with the id {id}"))?;
        let form = ApplicationForm::find(&visited.page)?;
        Ok((session, visited, form))
    }
}

fn admin_mode_is_off(who: &str) -> Error {
    let message = format!(
        "Admin Mode is off in the session of {who} that gitlab.admin_session.cookie is of, and Setpoint has no password to \
         enter it with"
    );
    no_admin_mode(message).with_hint(
        "Enter Admin Mode in that browser (the avatar's menu), and run it again within the six hours for which it stays on.",
    )
}

fn no_admin_mode(message: String) -> Error {
    Error::new(Side::Gitlab, ErrorKind::Forbidden, "GET /admin/session/new", message)
}

#[async_trait]
impl AdminRead for AdminSession {
    async fn open(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        self.session(&mut state).await.map(drop)
    }

    async fn application(&self, id: ApplicationId) -> Result<ApplicationFields> {
        let mut state = self.state.lock().await;
        let (_, _, form) = self.edit_page(&mut state, id).await?;
        Ok(form.read())
    }
}

#[async_trait]
impl AdminInspect for AdminSession {
    async fn enter(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        let (_, visited) = self.page(&mut state, "admin/applications").await?;
        Self::found(state.web.name(), visited, "admin area").map(drop)
    }

    async fn offers_impersonation(&self, username: &str) -> Result<()> {
        let mut state = self.state.lock().await;
        self.impersonation_form(&mut state, username).await.map(drop)
    }
}

#[async_trait]
impl AdminWrite for AdminSession {
    async fn edit_application(&self, id: ApplicationId, edit: &ApplicationEdit) -> Result<()> {
        let mut state = self.state.lock().await;
        let (session, visited, form) = self.edit_page(&mut state, id).await?;
        if edit.is_done(&form.read()) {
            return Ok(());
        }
        let fields = form.submission(edit)?;
        let sent = session.submit(visited.url(), &form.form, &fields, Effect::Write).await;
        match sent {
            Ok(landed) if landed.redirected && landed.is_at(&format!("/admin/applications/{id}")) => return Ok(()),
            Ok(landed) if !landed.page.faults.is_empty() => {
                let said = RemoteText::joined(&landed.page.faults, "; ");
                let message = format!("GitLab does not take the changed application: {said}");
                return Err(landed.response.failed(ErrorKind::Invalid, message));
            }
            Ok(landed) if landed.response.status().is_success() => {}
            Ok(landed) => return Err(landed.response.error()),
            Err(error) if error.may_have_been_processed() => {}
            Err(error) => return Err(error),
        }
        // Neither the application's page nor a fault: what it looks like now decides.
        let (_, visited, form) = self.edit_page(&mut state, id).await?;
        if edit.is_done(&form.read()) {
            return Ok(());
        }
        let message = format!("GitLab took the form of application {id}, but the application has not changed");
        Err(visited.response.unexpected(message))
    }
}

#[async_trait]
impl EndSession for AdminSession {
    async fn end(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        let stopped = self.stop(&mut state).await;
        let signed_out = state.web.close().await;
        stopped.and(signed_out)
    }
}
