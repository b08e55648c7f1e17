//! The droid's own session: approves Factory's access as the droid, and reads which applications have access already.
//!
//! It is had by the droid's password, or by impersonation from the administrator's session, which is stopped after each
//! use. An authorize URL is checked before anything is sent.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;
use url::Url;

use super::account::{AccountSession, Entry};
use super::admin::{AdminSession, Until};
use super::oauth::{AuthorizePage, AuthorizeRequest};
use super::pages::authorized_applications;
use super::second_factor::{self, Authenticator, Keeper, NotEnrolled, Offer};
use super::session::{Arrival, Effect, Visited, WebOptions, WebSession};
use super::sign_in::Account;
use super::terms::{self, Accepted};
use super::totp::Totp;
use crate::gitlab::errors::{is_gitlabs, unexpected};
use crate::gitlab::{Approval, DroidSession, EndSession};
use crate::http::{Error, ErrorKind, Result, StatusCode};
use crate::model::{Evidence, TermsVersion};
use crate::secrets::Secret;

/// How the droid's session is had.
#[derive(Clone)]
pub enum DroidSignIn {
    /// By its password, through the sign-in form.
    Password {
        password: Secret,
        /// Its authenticator, if it has one.
        totp: Option<Arc<Totp>>,
        /// The LDAP server whose form takes the password; none: GitLab's own.
        provider: Option<String>,
    },
    /// From the administrator's session.
    Impersonate(Arc<AdminSession>),
}

/// The droid's web session.
pub struct Droid {
    options: WebOptions,
    how: DroidSignIn,
    /// Its own session, where it signs in by itself.
    own: Mutex<Option<AccountSession>>,
}

impl Droid {
    /// Takes the way in. Sends nothing before the first use.
    pub fn new(options: WebOptions, how: DroidSignIn) -> Self {
        Self {
            options,
            how,
            own: Mutex::default(),
        }
    }

    /// The account, where the droid signs in by itself.
    fn account(&self, droid: &str) -> Result<Account> {
        match &self.how {
            DroidSignIn::Password {
                password,
                totp,
                provider,
            } => Ok(Account {
                username: droid.to_owned(),
                password: password.clone(),
                totp: totp.clone(),
                provider: provider.clone(),
            }),
            DroidSignIn::Impersonate(_) => {
                let message = format!("this takes the password of {droid}: whoever impersonates it does not sign in");
                Err(second_factor::error(ErrorKind::Refused, message).with_hint("Set user.password."))
            }
        }
    }

    /// Its session; another where the account was renamed since.
    async fn own_session<'s>(
        &self,
        own: &'s mut Option<AccountSession>,
        account: Account,
    ) -> Result<&'s mut AccountSession> {
        if let Some(other) = own
            .as_mut()
            .filter(|own| !own.name().eq_ignore_ascii_case(&account.username))
        {
            other.close().await?;
            *own = None;
        }
        Ok(own.get_or_insert_with(|| AccountSession::new(self.options.clone(), "user", Entry::Account(account))))
    }

    /// Signs out, and in again with the codes of this authenticator.
    async fn sign_in_with(&self, own: &mut Option<AccountSession>, droid: &str, totp: Arc<Totp>) -> Result<()> {
        if let Some(old) = own {
            old.close().await?;
        }
        let account = Account {
            totp: Some(totp),
            ..self.account(droid)?
        };
        let session = AccountSession::new(self.options.clone(), "user", Entry::Account(account));
        own.insert(session).open().await.map(drop)
    }

    /// Does something in the droid's session, and once more in another where GitLab has ended that, which is none.
    async fn run<T, Doing: Future<Output = Result<Option<T>>>>(
        &self,
        droid: &str,
        until: Until,
        task: impl Fn(Arc<WebSession>) -> Doing,
    ) -> Result<T> {
        match &self.how {
            DroidSignIn::Impersonate(admin) => {
                let impersonation = admin.impersonate(droid, until).await?;
                let done = task(Arc::clone(&impersonation.session)).await;
                let stopped = impersonation.stop().await;
                let done = done?;
                stopped?;
                done.ok_or_else(|| signed_out(droid))
            }
            DroidSignIn::Password { .. } => {
                let mut own = self.own.lock().await;
                let own = self.own_session(&mut own, self.account(droid)?).await?;
                for _ in 0..2 {
                    let session = match until {
                        Until::Terms => own.open_before_terms().await?,
                        Until::Acting => own.open().await?,
                    };
                    match task(session).await? {
                        Some(done) => {
                            if until == Until::Terms {
                                own.has_accepted_terms();
                            }
                            return Ok(done);
                        }
                        None => own.has_ended()?,
                    }
                }
                Err(signed_out(droid))
            }
        }
    }
}

/// The address that GitLab sends the browser to; none where nobody is signed in any more.
async fn authorize(session: &WebSession, droid: &str, request: &AuthorizeRequest) -> Result<Option<Url>> {
    let stop = |url: &Url| request.is_redirect_uri(url.as_str());
    let mut arrival = session.open_until(request.open_at.clone(), &stop).await?;
    // At most two pages: the consent page, and the one that a GitLab may answer it with instead of a redirect.
    for may_consent in [true, false] {
        let visited = match arrival {
            Arrival::Leaves(url) => return request.check_callback(url.as_str()).map(Some),
            Arrival::Page(visited) => *visited,
        };
        if let Some(obstacle) = visited.obstacle(droid) {
            return Err(obstacle);
        }
        // The session has ended; the page may be that of another provider, which is the default.
        if visited.is_at("/users/sign_in") {
            return Ok(None);
        }
        let visited = refusals(visited)?;
        match request.classify(&visited.page)? {
            AuthorizePage::Redirect(address) => return request.check_callback(&address).map(Some),
            AuthorizePage::SignIn => return Ok(None),
            AuthorizePage::Consent(form) if may_consent => {
                let fields = form.hidden();
                let url = visited.url();
                arrival = session.submit_until(url, &form, &fields, Effect::Write, &stop).await?;
            }
            AuthorizePage::Consent(_) => break,
        }
    }
    let message = "GitLab asks for consent again after it was given";
    Err(unexpected("POST /oauth/authorize", message))
}

/// Doorkeeper's error page may come with a status of its own: then the page says more than the status does.
fn refusals(visited: Visited) -> Result<Visited> {
    if visited.page.preformatted.is_empty() {
        visited.success()
    } else {
        Ok(visited)
    }
}

/// None where nobody is signed in any more. GitLab: `app/controllers/user_settings/applications_controller.rb`; before 17
/// the page was below `/-/profile`.
async fn evidence(session: &WebSession, droid: &str) -> Result<Option<Evidence>> {
    for path in ["-/user_settings/applications", "-/profile/applications"] {
        let visited = session.open(session.url(path)).await?;
        if visited.response.status() == StatusCode::NOT_FOUND && is_gitlabs(&visited.response) {
            continue;
        }
        if visited.is_at("/users/sign_in") {
            return Ok(None);
        }
        if let Some(obstacle) = visited.obstacle(droid) {
            return Err(obstacle);
        }
        let visited = visited.success()?;
        let authorized = authorized_applications(visited.response.label(), &visited.response.text())?;
        return Ok(Some(Evidence { authorized }));
    }
    let message = "GitLab has no page of authorized applications where 16.11 to 19 have it";
    Err(unexpected("GET /-/user_settings/applications", message))
}

/// The key that GitLab offers the account, and the session in which it does.
async fn offered(own: &mut AccountSession, droid: &str) -> Result<(Arc<WebSession>, Offer)> {
    for _ in 0..2 {
        let session = own.open().await?;
        match second_factor::offer(&session, droid).await? {
            Some(offer) => return Ok((session, offer)),
            None => own.has_ended()?,
        }
    }
    Err(signed_out(droid))
}

fn totp_of(key: &Secret) -> Result<Arc<Totp>> {
    let totp = Totp::new(key).map_err(|error| second_factor::error(ErrorKind::Unexpected, error.to_string()))?;
    Ok(Arc::new(totp))
}

fn signed_out(droid: &str) -> Error {
    let message = format!("GitLab ends the session of {droid} as soon as it is opened");
    unexpected("POST /users/sign_in", message)
}

#[async_trait]
impl DroidSession for Droid {
    async fn authorize(&self, authorize_url: &str, approval: &Approval<'_>, droid: &str) -> Result<Url> {
        let url = &self.options.client.base_url;
        let request = AuthorizeRequest::check(authorize_url, url, &self.options.external_url, approval)?;
        let request = &request;
        self.run(droid, Until::Acting, |session| async move {
            authorize(&session, droid, request).await
        })
        .await
    }

    async fn evidence(&self, droid: &str) -> Result<Evidence> {
        self.run(droid, Until::Acting, |session| async move {
            evidence(&session, droid).await
        })
        .await
    }

    async fn enrol(&self, droid: &str, keeper: &dyn Keeper) -> std::result::Result<Authenticator, NotEnrolled> {
        let mut own = self.own.lock().await;
        let account = self.account(droid)?;
        // A directory's password is no business of this page's.
        let password = account.provider.is_none().then(|| account.password.clone());
        let (session, offer) = offered(self.own_session(&mut own, account).await?, droid).await?;
        let mut authenticator = Authenticator {
            key: offer.key.clone(),
            recovery_codes: Vec::new(),
        };
        let totp = totp_of(&authenticator.key)?;
        keeper.keep(&authenticator).await.map_err(|why| {
            let message = format!("no authenticator was registered, because its key could not be kept: {why}");
            second_factor::error(ErrorKind::Refused, message)
        })?;
        let code = totp.code(self.options.clock.as_ref()).await;
        authenticator.recovery_codes = second_factor::confirm(&session, &offer, &code, password.as_ref()).await?;
        keeper.keep(&authenticator).await.map_err(|why| {
            let message = format!("the authenticator is registered, but its recovery codes could not be kept: {why}");
            NotEnrolled::perhaps(second_factor::error(ErrorKind::Refused, message))
        })?;
        let signed_in = self.sign_in_with(&mut own, droid, totp).await;
        signed_in.map_err(NotEnrolled::perhaps).map(|()| authenticator)
    }

    async fn verify_second_factor(&self, droid: &str, key: &Secret) -> Result<()> {
        let mut own = self.own.lock().await;
        self.sign_in_with(&mut own, droid, totp_of(key)?).await
    }

    async fn accept_terms(&self, droid: &str, version: &TermsVersion) -> Result<Option<u64>> {
        self.run(droid, Until::Terms, |session| async move {
            Ok(match terms::accept(&session, &self.options, droid, version).await? {
                Accepted::Now(id) => Some(Some(id)),
                Accepted::Before => Some(None),
                Accepted::SignedOut => None,
            })
        })
        .await
    }
}

#[async_trait]
impl EndSession for Droid {
    /// Signs the droid out. The administrator's session, where the droid was impersonated, is ended by its owner.
    async fn end(&self) -> Result<()> {
        match self.own.lock().await.as_mut() {
            Some(own) => own.close().await,
            None => Ok(()),
        }
    }
}
