//! A browser's session at `gitlab.url`: cookies of its own, redirects followed one by one and only within GitLab,
//! forms sent to where the page says, if that is GitLab.
//!
//! GitLab answers with addresses below its external URL or below the host it was reached at. Both are mapped to
//! `gitlab.url`, same path and query, so that cookies, passwords and codes go to that one origin.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use url::Url;

use super::forms::{Form, Page};
use super::totp::Clock;
use crate::gitlab::errors::unexpected;
use crate::gitlab::{Doorkeeper, KeyPlace};
use crate::http::{
    Client, ClientOptions, Credential, Error, ErrorKind, HTML_LIMIT, HeaderName, HeaderValue, Method, Request,
    Response, Result, Side, StatusCode,
};
use crate::secrets::{RemoteText, Secret};
use crate::urls;

/// The cookie of GitLab's sessions (GitLab: `config/initializers/session_store.rb`).
const COOKIE: &str = "_gitlab_session";
/// The longest chain of redirects that is followed.
const MAX_REDIRECTS: usize = 10;

/// What web sessions are made of.
#[derive(Clone)]
pub struct WebOptions {
    /// Limits and addresses. `base_url` is `gitlab.url`; whatever credential it holds is left out.
    pub client: ClientOptions,
    /// GitLab's external URL, which its pages and Factory's authorize URLs may carry.
    pub external_url: Url,
    /// The time, for one-time codes.
    pub clock: Arc<dyn Clock>,
    /// Who is asked before a password is sent.
    pub doorkeeper: Arc<dyn Doorkeeper>,
    /// Where the key of the droid's authenticator comes from.
    pub droid_key_place: KeyPlace,
}

/// A session with its cookies.
pub(crate) struct WebSession {
    client: Client,
    external_url: Url,
    /// The last page with a CSRF token: what to sign out with, and to stop an impersonation.
    last_page: Mutex<Option<Page>>,
}

/// A page that was reached, by redirects or at once.
pub(crate) struct Visited {
    /// Its answer; the URL in it is where the page is.
    pub(crate) response: Response,
    pub(crate) page: Page,
    /// Whether a redirect led to it.
    pub(crate) redirected: bool,
}

/// Where a request led.
pub(crate) enum Arrival {
    /// To a page of GitLab's.
    Page(Box<Visited>),
    /// Out of GitLab: nothing was sent there.
    Leaves(Url),
}

/// What a form that is sent changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The session only: counted as no write.
    Session,
    Write,
}

/// An address that redirects are not followed to, although it may lie within GitLab.
pub(crate) type StopAt<'a> = &'a (dyn Fn(&Url) -> bool + Sync);

/// Follows to wherever GitLab's own pages are.
pub(crate) const NOWHERE: StopAt<'static> = &|_| false;

#[derive(Deserialize)]
struct CurrentUser {
    username: String,
}

impl WebSession {
    /// A session without cookies. Sends nothing.
    pub(crate) fn new(options: &WebOptions) -> Result<Self> {
        let client = ClientOptions {
            credential: Credential::None,
            cookies: true,
            max_body: HTML_LIMIT,
            ..options.client.clone()
        };
        Ok(Self {
            client: Client::new(client)?,
            external_url: options.external_url.clone(),
            last_page: Mutex::new(None),
        })
    }

    /// The session whose cookie a person copied out of a browser: its value, or `name=value`. Sends nothing.
    pub(crate) fn handed_over(options: &WebOptions, cookie: &Secret) -> Result<Self> {
        let session = Self::new(options)?;
        let text = cookie.expose().trim();
        let (name, value) = match text.split_once('=') {
            Some((name, value)) if name.starts_with(COOKIE) => (name, value),
            _ => (COOKIE, text),
        };
        if session.client.adopt_cookie(name, value) {
            return Ok(session);
        }
        let message = "gitlab.admin_session.cookie is not the value of a cookie";
        Err(
            Error::new(Side::Gitlab, ErrorKind::Refused, "GET /api/v4/user", message).with_hint(
                "Give the value of the cookie _gitlab_session alone, as the browser's developer tools show it.",
            ),
        )
    }

    /// An address below GitLab's root; the path is written without a slash in front.
    pub(crate) fn url(&self, path: &str) -> Url {
        let segments: Vec<&str> = path.split('/').collect();
        self.client.url(&segments)
    }

    /// Opens a page of GitLab's and follows its redirects within GitLab.
    pub(crate) async fn open(&self, url: Url) -> Result<Visited> {
        self.open_until(url, NOWHERE).await.and_then(Arrival::page)
    }

    /// Opens a page and follows redirects up to where they leave GitLab, or to `stop`.
    pub(crate) async fn open_until(&self, url: Url, stop: StopAt<'_>) -> Result<Arrival> {
        let response = self.client.send(browser(Request::new(Method::GET, url))).await?;
        self.follow(response, stop).await
    }

    /// Sends fields to where the form on this page goes, and follows the answer's redirects within GitLab.
    pub(crate) async fn submit(
        &self,
        page_url: &Url,
        form: &Form,
        fields: &[(String, String)],
        effect: Effect,
    ) -> Result<Visited> {
        let arrival = self.submit_until(page_url, form, fields, effect, NOWHERE).await?;
        arrival.page()
    }

    /// As [`Self::submit`], up to where redirects leave GitLab, or to `stop`.
    pub(crate) async fn submit_until(
        &self,
        page_url: &Url,
        form: &Form,
        fields: &[(String, String)],
        effect: Effect,
        stop: StopAt<'_>,
    ) -> Result<Arrival> {
        let target = page_url.join(&form.action).ok().and_then(|target| self.home(&target));
        let Some(target) = target else {
            let message = format!(
                "a form on GitLab's page {} goes to another place than GitLab; it was not sent",
                page_url.path()
            );
            return Err(refused(page_url, message));
        };
        let mut request =
            browser(Request::new(Method::POST, target)).form(fields.iter().map(|(name, value)| (name, value)));
        if effect == Effect::Session {
            request = request.session_only();
        }
        let response = self.client.send(request).await?;
        self.follow(response, stop).await
    }

    async fn follow(&self, mut response: Response, stop: StopAt<'_>) -> Result<Arrival> {
        let mut redirected = false;
        for _ in 0..=MAX_REDIRECTS {
            if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED {
                let page = Page::of(&response)?;
                self.remember(&page);
                return Ok(Arrival::Page(Box::new(Visited {
                    response,
                    page,
                    redirected,
                })));
            }
            let Some(location) = response.location() else {
                return Err(response.unexpected(format!("GitLab redirects {} to no address", response.label())));
            };
            if stop(&location) {
                return Ok(Arrival::Leaves(location));
            }
            let keeps_method = matches!(response.status().as_u16(), 307 | 308);
            if keeps_method && response.label().starts_with("POST") {
                return Err(response.unexpected(format!(
                    "GitLab redirects {} in a way that would send the form again; it was not",
                    response.label()
                )));
            }
            let Some(next) = self.home(&location) else {
                return Ok(Arrival::Leaves(location));
            };
            redirected = true;
            response = self.client.send(browser(Request::new(Method::GET, next))).await?;
        }
        Err(response.unexpected(format!("GitLab redirects in a circle at {}", response.url().path())))
    }

    /// The same address below `gitlab.url`, for one that is GitLab's under either of its names.
    fn home(&self, address: &Url) -> Option<Url> {
        let base = self.client.base_url();
        if !address.username().is_empty() || address.password().is_some() {
            return None;
        }
        [base, &self.external_url].into_iter().find_map(|known| {
            // A proxy may hide from GitLab which scheme it was reached by; nothing is sent there but below `base`.
            let port =
                address.port() == known.port() || address.port_or_known_default() == known.port_or_known_default();
            if !matches!(address.scheme(), "http" | "https") || address.host() != known.host() || !port {
                return None;
            }
            let rest = address.path().strip_prefix(urls::root(known))?;
            if !rest.starts_with('/') && !rest.is_empty() {
                return None;
            }
            let mut url = base.clone();
            url.set_path(&format!("{}{rest}", urls::root(base)));
            url.set_query(address.query());
            Some(url)
        })
    }

    /// Whose session this is (`GET /api/v4/user` with the cookie): None for nobody's.
    ///
    /// An account that may sign in, but not use the API, gets the reason here: terms that are not accepted, a password
    /// that has expired (GitLab: `lib/gitlab/auth/user_access_denied_reason.rb`).
    pub(crate) async fn who(&self) -> Result<Option<String>> {
        let response = self.client.send(self.client.get(&["api", "v4", "user"])).await?;
        match response.status() {
            StatusCode::UNAUTHORIZED => Ok(None),
            StatusCode::FORBIDDEN => {
                let said = response.said().text;
                let said = said.as_ref().map_or("403 Forbidden", RemoteText::as_str);
                let message = format!("GitLab lets this account sign in, but not act: {said}");
                Err(Error {
                    message,
                    ..response.error()
                })
            }
            _ => Ok(Some(response.success()?.json::<CurrentUser>()?.username)),
        }
    }

    /// Signs out and makes sure of it, which neither the answer to a sign-out nor [`Self::who`] does: a session that has
    /// to set up a second factor first is nobody's to GitLab's API, and lives on.
    pub(crate) async fn sign_out_for_certain(&self) -> Result<()> {
        let mut failure = None;
        for _ in 0..2 {
            self.forget_page();
            if !self.is_signed_in().await? {
                return Ok(());
            }
            failure = self.sign_out().await.err();
        }
        if !self.is_signed_in().await? {
            return Ok(());
        }
        let message = "GitLab took the sign-out, and the session goes on";
        let error = unexpected("POST /users/sign_out", message);
        Err(failure.unwrap_or(error))
    }

    /// Whether somebody is signed in: GitLab leads nobody else than visitors from its home page to the sign-in page, or
    /// out to a page of the company's choice (GitLab: `app/controllers/root_controller.rb`).
    async fn is_signed_in(&self) -> Result<bool> {
        let to_sign_in = |url: &Url| urls::root(url).ends_with("/users/sign_in");
        match self.open_until(self.url(""), &to_sign_in).await? {
            Arrival::Leaves(_) => Ok(false),
            Arrival::Page(visited) => visited.success().map(|_| true),
        }
    }

    /// Signs out, with the last page's form or link, or as GitLab's own script does.
    pub(crate) async fn sign_out(&self) -> Result<()> {
        const PATH: &str = "/users/sign_out";
        let page = self.page_with_token().await?;
        let home = self.url("");
        let form = match page.sender_to(PATH)? {
            Some(form) => form,
            None => page.scripted_form(self.url("users/sign_out").as_str(), "post")?,
        };
        // Where it leads is not looked at: it may be a page of the company's choice, and each visit of the sign-in page
        // brings the reCAPTCHA nearer.
        let fields = form.hidden();
        let sent = self.submit_until(&home, &form, &fields, Effect::Session, &|_| true);
        match sent.await? {
            Arrival::Page(visited) => visited.success().map(drop),
            Arrival::Leaves(_) => Ok(()),
        }
    }

    /// The last page with a CSRF token, else GitLab's home page.
    pub(crate) async fn page_with_token(&self) -> Result<Page> {
        let known = self.last_page.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(page) => Ok(page),
            None => Ok(self.open(self.url("")).await?.page),
        }
    }

    /// Forgets the last page, whose token is no longer good.
    pub(crate) fn forget_page(&self) {
        *self.last_page.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn remember(&self, page: &Page) {
        if page.csrf().is_ok() {
            *self.last_page.lock().unwrap_or_else(PoisonError::into_inner) = Some(page.clone());
        }
    }
}

impl Arrival {
    /// The page; a redirect out of GitLab is an error.
    pub(crate) fn page(self) -> Result<Visited> {
        match self {
            Self::Page(visited) => Ok(*visited),
            Self::Leaves(url) => {
                let origin = url.origin().ascii_serialization();
                let message = format!(
                    "GitLab redirects to {origin}{}, which is not GitLab; nothing was sent there",
                    url.path()
                );
                Err(refused(&url, message).with_hint(
                    "Set gitlab.external_url to the URL that GitLab is configured with; sign-in through an external \
                     provider cannot be done without a browser.",
                ))
            }
        }
    }
}

impl Visited {
    /// Whether the page is at a path with this end.
    pub(crate) fn is_at(&self, path_end: &str) -> bool {
        urls::root(self.response.url()).ends_with(path_end)
    }

    /// Where the page is.
    pub(crate) fn url(&self) -> &Url {
        self.response.url()
    }

    /// Itself if the status is one of success.
    pub(crate) fn success(self) -> Result<Self> {
        if self.response.status().is_success() {
            Ok(self)
        } else {
            Err(self.response.error())
        }
    }

    /// What stands between this account and GitLab's pages, where the page is one that says so.
    pub(crate) fn obstacle(&self, username: &str) -> Option<Error> {
        let path = self.response.url().path();
        let (what, hint) = if path.ends_with("/password/new") {
            (
                "its password has expired",
                "Sign in once as this user and set a new password. A password that an administrator sets expires at \
                 once: do not set it that way.",
            )
        } else if path.contains("/users/terms") {
            (
                "it has not accepted the terms of service",
                "Sign in once as this user in a browser and accept them.",
            )
        } else if path.contains("/two_factor_auth") {
            (
                "it has to set up two-factor authentication first",
                "Set it up once in a browser and give its key as totp_secret, or where user.totp.load reads it; or exempt this \
                 user.",
            )
        } else if path.contains("/initial_setup") {
            (
                "this GitLab has not been set up yet",
                "Finish GitLab's first setup in a browser.",
            )
        } else {
            return None;
        };
        let message = format!("GitLab lets {username} do nothing: {what}");
        Some(self.response.failed(ErrorKind::PersonNeeded, message).with_hint(hint))
    }
}

fn browser(request: Request) -> Request {
    // Messages that are compared are in English; whoever reads them elsewhere gets them quoted.
    request.accept_html().limit(HTML_LIMIT).header(
        HeaderName::from_static("accept-language"),
        HeaderValue::from_static("en"),
    )
}

fn refused(url: &Url, message: String) -> Error {
    Error::new(Side::Gitlab, ErrorKind::Refused, url.path(), message)
}
