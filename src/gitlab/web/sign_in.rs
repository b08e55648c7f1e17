//! Signing in by form, and telling why it does not work.
//!
//! A redirect after the form is no success: blocked and unconfirmed accounts get one, too. What counts is whose session
//! it is afterwards (GitLab: `app/controllers/sessions_controller.rb`, `concerns/authenticates_with_two_factor.rb`).

use std::sync::Arc;

use tokio::sync::Notify;
use url::Url;

use super::forms::{Form, OTP, Page};
use super::session::{Arrival, Effect, StopAt, Visited, WebOptions, WebSession};
use super::terms;
use super::totp::{Clock, Totp};
use crate::gitlab::{Door, Doorkeeper, Harm, KeyPlace};
use crate::http::{Counter, Error, ErrorKind, Result, Side, StatusCode};
use crate::model::UserState;
use crate::secrets::{RemoteText, Secret};

const SIGN_IN: &str = "/users/sign_in";
/// The request that an error of a sign-in is about.
const REQUEST: &str = "POST /users/sign_in";

const APPROVE: &str = "An administrator has to approve this user (Admin area > Users > Pending approval).";
const UNBLOCK: &str = "An administrator has to unblock this user (Admin area > Users).";
const CONFIRM: &str = "An administrator can confirm the e-mail address on the user's page in the admin area.";
const UNLOCK: &str = "Wait until the lock ends (ten minutes after wrong passwords, if the instance has no other period; a day \
                      where it is lifted by e-mail), or let an administrator unlock this user (Admin area > Users).";

/// Codes that one question for a code is answered with.
const MAX_CODES: usize = 2;

/// Follows to the sign-in page, which says why nobody is in, and to nothing else: what a page behind it has to say is
/// seen at the first page that is needed.
const INSIDE: StopAt<'static> = &|url: &Url| !url.path().trim_end_matches('/').ends_with(SIGN_IN);

/// An account that can sign in.
#[derive(Debug, Clone)]
pub struct Account {
    /// Username, or e-mail address.
    pub username: String,
    pub password: Secret,
    /// Its authenticator. One value for all sessions of the account, because a code works once.
    pub totp: Option<Arc<Totp>>,
    /// The LDAP server whose form takes the password, such as `ldapmain`; none: GitLab's own.
    pub provider: Option<String>,
}

/// Whose session it is.
#[derive(Debug, Clone)]
pub(crate) enum SignedIn {
    /// This username's, by GitLab's word.
    As(String),
    /// That of whoever gave the password. GitLab lets the account do nothing, not even say who it is, before it has
    /// accepted the terms of service.
    HeldUp(Error),
}

/// An account with what messages about it need.
pub(crate) struct SignIn<'a> {
    pub(crate) account: &'a Account,
    /// What the doorkeeper is asked about, and what messages say of the configuration.
    pub(crate) door: Door,
    /// The time, for one-time codes.
    pub(crate) clock: &'a dyn Clock,
    /// Who is asked before the password is sent.
    pub(crate) doorkeeper: &'a dyn Doorkeeper,
    counter: &'a Counter,
    given_up: &'a Notify,
}

impl<'a> SignIn<'a> {
    /// A sign-in that stops waiting for a one-time code once it is `given_up`.
    pub(crate) fn new(
        options: &'a WebOptions,
        table: &'static str,
        account: &'a Account,
        given_up: &'a Notify,
    ) -> Self {
        Self {
            account,
            door: Door {
                username: account.username.clone(),
                table,
                key_place: match table {
                    "user" => options.droid_key_place,
                    _ => KeyPlace::Secret,
                },
                has_totp: account.totp.is_some(),
                by_directory: account.provider.is_some(),
            },
            clock: options.clock.as_ref(),
            doorkeeper: options.doorkeeper.as_ref(),
            counter: &options.client.counter,
            given_up,
        }
    }

    /// Signs in to a session that nobody is signed in to, and says whose it is.
    pub(crate) async fn run(&self, session: &WebSession) -> Result<SignedIn> {
        if let Some(Harm { message, way_out }) = self.doorkeeper.harm(&self.door).await? {
            return Err(person_needed(message).with_hint(way_out));
        }
        let mut url = session.url("users/sign_in");
        url.set_query(Some("auto_sign_in=false"));
        let visited = session.open(url).await?.success()?;
        if let Some(obstacle) = visited.obstacle(&self.account.username) {
            return Err(obstacle);
        }
        let form = self.form(&visited.page, SIGN_IN)?;
        if visited.page.captcha {
            return Err(captcha());
        }
        if visited.page.leads_to_providers()
            && let Some(error) = self.elsewhere().await
        {
            return Err(error);
        }
        let fields = self.filled(form, "user[login]");
        self.counter.add_sign_in();
        let sent = session
            .submit_until(visited.url(), form, &fields, Effect::Session, INSIDE)
            .await;
        let arrival = self.with_code(session, sent.map_err(rate_limit)?, INSIDE).await?;
        let signed_out = matches!(&arrival, Arrival::Page(visited) if visited.page.form_with("user[login]").is_some());
        let verified = self.verify(session, arrival).await;
        if verified.is_err() && !signed_out {
            // The password was taken, and something else stands in the way: a session is open that nobody will use.
            // What matters to the caller is why, so a failure of this is only logged.
            if let Err(error) = session.sign_out().await {
                tracing::debug!(%error, "a session that is of no use could not be signed out");
            }
        }
        verified
    }

    /// Why the password would be refused, right or wrong: the account signs in elsewhere. What cannot be asked is found at the
    /// sign-in.
    async fn elsewhere(&self) -> Option<Error> {
        if self.account.provider.is_some() {
            return None;
        }
        let resident = self.doorkeeper.account(&self.account.username).await.ok().flatten();
        let resident = resident.filter(|resident| resident.has_no_password)?;
        let message = format!(
            "{} signs in by {}, and GitLab takes no password of its own of it; none was sent",
            self.account.username,
            RemoteText::joined(&resident.providers, ", ")
        );
        let hint = match (resident.is_of_directory(), self.door.table) {
            (true, table) => format!("Give the LDAP server as {table}.provider, and the password of the directory."),
            (false, "user") => {
                "Have the droid impersonated (user.sign_in = \"impersonate\"), or name an account whose password \
                                GitLab itself keeps."
                    .to_owned()
            }
            (false, table) => format!(
                "Name an administrator in {table} whose password GitLab itself keeps, or give the cookie of a session that a \
                 person opened."
            ),
        };
        Some(person_needed(message).with_hint(hint))
    }

    /// Tells the doorkeeper how it came out, where GitLab has judged the password or the code.
    pub(crate) fn judged<T>(&self, signed_in: &Result<T>) {
        let was_refused = match signed_in {
            Ok(_) => false,
            Err(error) if error.kind == ErrorKind::Unauthorized && error.request == REQUEST => true,
            Err(_) => return,
        };
        self.doorkeeper.tried(&self.door, was_refused);
    }

    /// The form that takes this account's password: GitLab's own, which goes to `path`, or that of the LDAP server (GitLab:
    /// `devise/sessions/_new_ldap.html.haml`).
    pub(crate) fn form<'p>(&self, page: &'p Page, path: &str) -> Result<&'p Form> {
        let Some(provider) = &self.account.provider else {
            let form = page.forms.iter().find(|form| form.goes_to(path));
            let form = form.filter(|form| path != SIGN_IN || form.has("user[login]"));
            return form.ok_or_else(|| page.lacks("sign-in form (a field user[login] sent to /users/sign_in)"));
        };
        let callback = format!("/users/auth/{provider}/callback");
        let form = page.forms.iter().find(|form| form.goes_to(&callback));
        form.ok_or_else(|| {
            let servers = page.forms.iter().filter_map(|form| {
                let (_, rest) = form.action.split_once("/users/auth/")?;
                let (server, _) = rest.split_once("/callback")?;
                Some(RemoteText::new(server))
            });
            let servers: Vec<RemoteText> = servers.collect();
            let hint = if servers.is_empty() {
                format!(
                    "It has none of any LDAP server: leave {}.provider out, or enable the server.",
                    self.door.table
                )
            } else {
                let servers = RemoteText::joined(&servers, ", ");
                format!(
                    "It has those of: {servers}. Set {}.provider to one of them.",
                    self.door.table
                )
            };
            error(
                ErrorKind::Forbidden,
                format!("GitLab's sign-in page has no form of the LDAP server `{provider}`"),
            )
            .with_hint(hint)
        })
    }

    /// The form with the password, and the username under the name that GitLab's own form has for it.
    pub(crate) fn filled(&self, form: &Form, login: &str) -> Vec<(String, String)> {
        let password = self.account.password.expose();
        let username = self.account.username.as_str();
        match (&self.account.provider, login) {
            (Some(_), _) => form.with(&[("username", username), ("password", password)]),
            (None, "") => form.with(&[("user[password]", password)]),
            (None, login) => form.with(&[(login, username), ("user[password]", password)]),
        }
    }

    /// Answers the question for a one-time code, where it is asked, and follows redirects up to `stop`. No code is sent
    /// twice; a refused one is followed by one more, of the next step, because another run may have used the first.
    pub(crate) async fn with_code(
        &self,
        session: &WebSession,
        mut arrival: Arrival,
        stop: StopAt<'_>,
    ) -> Result<Arrival> {
        let mut refused = None;
        for sent in 0..=MAX_CODES {
            let landed = match arrival {
                Arrival::Page(landed) => landed,
                Arrival::Leaves(_) => return Ok(arrival),
            };
            let Some(asked) = landed.page.second_factor.clone() else {
                // GitLab answers a wrong code with 401.
                if sent > 0 && landed.response.status() == StatusCode::UNAUTHORIZED {
                    refused = Some(landed);
                    break;
                }
                return Ok(Arrival::Page(landed));
            };
            if sent == MAX_CODES {
                refused = Some(landed);
                break;
            }
            let Some(form) = asked.form else {
                return Err(self.no_codes(&asked.others));
            };
            let Some(totp) = &self.account.totp else {
                let message = format!(
                    "GitLab asks {} for a code of two-factor authentication",
                    self.account.username
                );
                let hint = match self.door.key_place {
                    KeyPlace::Secret => format!("Give the key of its authenticator as {}.", self.door.key()),
                    KeyPlace::Kept => format!("Put the key of its authenticator where {} reads it.", self.door.key()),
                };
                return Err(person_needed(message).with_hint(hint));
            };
            let code = tokio::select! {
                code = totp.code(self.clock) => code,
                () = self.given_up.notified() => return Err(error(ErrorKind::Forbidden, "the sign-in was given up")),
            };
            let fields = form.with(&[(OTP, code.expose())]);
            let sent = session
                .submit_until(landed.url(), &form, &fields, Effect::Session, stop)
                .await;
            arrival = sent.map_err(rate_limit)?;
        }
        Err(self.refused_code(refused.and_then(|landed| landed.page.said())))
    }

    fn refused_code(&self, said: Option<RemoteText>) -> Error {
        let said = said.map(|said| format!(": {said}")).unwrap_or_default();
        let message = format!(
            "GitLab does not accept the code of two-factor authentication for {}{said}",
            self.account.username
        );
        error(ErrorKind::Unauthorized, message).with_hint(format!(
            "Check {}, and that the clocks of this machine and of GitLab agree.",
            self.door.key()
        ))
    }

    /// GitLab takes no code of an authenticator: the account has none.
    fn no_codes(&self, others: &[&str]) -> Error {
        let instead = match others {
            [] => "something that is no code of an authenticator".to_owned(),
            others => format!("{}, and takes no code of an authenticator", others.join(" or ")),
        };
        let message = format!("GitLab asks {} for {instead}", self.account.username);
        person_needed(message).with_hint(self.authenticator())
    }

    /// Makes sure of who is signed in. Where GitLab led on, nothing that it leads to is loaded, unless the account turns
    /// out to be able to do nothing: then the page says why.
    async fn verify(&self, session: &WebSession, arrival: Arrival) -> Result<SignedIn> {
        let landed = match arrival {
            Arrival::Page(landed) => landed,
            Arrival::Leaves(_) => {
                // What was shown before the sign-in has a token of the session before it.
                session.forget_page();
                match session.who().await {
                    Ok(Some(name)) => return self.verified(name).await,
                    nobody => {
                        let home = Box::new(session.open(session.url("")).await?);
                        match (nobody, home.obstacle(&self.account.username)) {
                            (_, Some(obstacle)) if terms::is_asked(&home) => return Ok(SignedIn::HeldUp(obstacle)),
                            (Err(error), None) => return Err(error),
                            (_, Some(_) | None) => home,
                        }
                    }
                }
            }
        };
        let status = landed.response.status();
        let said = landed.response.said().text;
        // That passwords are switched off is a page; what is said in JSON is something else, such as a read-only instance.
        if status == StatusCode::FORBIDDEN && said.is_none() {
            return Err(password_off());
        }
        if let Some(obstacle) = landed.obstacle(&self.account.username) {
            return Err(obstacle);
        }
        if landed.page.email_verification {
            return Err(self.email_verification());
        }
        let signed_out = landed.page.form_with("user[login]").is_some();
        if !signed_out && status.is_client_error() {
            return Err(self.rejected(&landed.page, status, said));
        }
        match session.who().await? {
            Some(name) => self.verified(name).await,
            None if signed_out => Err(self.refusal(&landed).await),
            None => Err(self.second_factor_or_unknown(&landed.page)),
        }
    }

    /// Whether that is who was to sign in. An account may be named by its e-mail address, or as its directory knows it,
    /// which GitLab's answer does not repeat.
    async fn verified(&self, name: String) -> Result<SignedIn> {
        let Account { username, provider, .. } = self.account;
        if username.contains('@') || username.eq_ignore_ascii_case(&name) {
            return Ok(SignedIn::As(name));
        }
        if let Some(provider) = provider.as_deref().filter(|_| self.door.table != "user") {
            let resident = self.doorkeeper.account(&name).await?;
            if resident.is_some_and(|resident| resident.providers.iter().any(|own| own.as_str() == provider)) {
                return Ok(SignedIn::As(name));
            }
        }
        let message = format!("GitLab signed in {name}, not {username}");
        Err(error(ErrorKind::Unexpected, message))
    }

    /// Why the sign-in page is back: in GitLab's words, or where these are the same for everything, by what it shows an
    /// administrator of the account.
    async fn refusal(&self, landed: &Visited) -> Error {
        let page = &landed.page;
        let who = &self.account.username;
        let said = page.reason();
        let lower = said.as_str().to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if page.captcha || says(&["recaptcha"]) {
            return captcha();
        }
        let (kind, hint) = if says(&["pending approval"]) {
            (ErrorKind::Forbidden, APPROVE.to_owned())
        } else if says(&["blocked", "banned"]) {
            (ErrorKind::Forbidden, UNBLOCK.to_owned())
        } else if says(&["confirm"]) {
            (ErrorKind::Forbidden, CONFIRM.to_owned())
        } else if says(&["locked"]) {
            (ErrorKind::Forbidden, UNLOCK.to_owned())
        } else if says(&["login attempts"]) {
            let hint = format!(
                "Wait as long as it says: GitLab takes five sign-ins in ten minutes of an account without an authenticator, \
                 right or wrong. {}",
                self.authenticator()
            );
            (ErrorKind::RateLimited, hint)
        } else if let Some(provider) = &self.account.provider {
            let table = self.door.table;
            let hint = format!(
                "Check {table}.username and {table}.password against the directory of `{provider}`: it is the username there \
                 that counts."
            );
            (ErrorKind::Unauthorized, hint)
        } else if landed.redirected {
            // A wrong password brings the form back at once; only what comes after the password is a redirect.
            let hint = "The password is not what is wrong: look at the user in the admin area.";
            (ErrorKind::Forbidden, hint.to_owned())
        } else {
            self.silent_refusal().await
        };
        error(kind, format!("GitLab does not let {who} sign in: {said}")).with_hint(hint)
    }

    /// GitLab says the same of a wrong password and of much that is none.
    async fn silent_refusal(&self) -> (ErrorKind, String) {
        let table = self.door.table;
        let resident = match self.doorkeeper.account(&self.account.username).await {
            Ok(Some(resident)) => resident,
            Ok(None) => {
                let hint = format!("There is no such account: check {table}.username.");
                return (ErrorKind::Unauthorized, hint);
            }
            // What cannot be asked leaves the password.
            Err(error) => {
                tracing::debug!(%error, "the account that cannot sign in could not be looked at");
                return (ErrorKind::Unauthorized, format!("Check {table}.password."));
            }
        };
        let hint = match &resident.user {
            user if user.locked => UNLOCK,
            user if user.state == UserState::BlockedPendingApproval => APPROVE,
            user if !user.state.can_sign_in() => UNBLOCK,
            user if !user.confirmed => CONFIRM,
            _ if !resident.providers.is_empty() => {
                let providers = RemoteText::joined(&resident.providers, ", ");
                let hint = format!(
                    "The account signs in by {providers}, and GitLab may take no password of its own of it (it takes none of \
                     accounts with an LDAP identity). Check {table}.password; else name an account whose password GitLab itself \
                     keeps."
                );
                return (ErrorKind::Unauthorized, hint);
            }
            _ => {
                let hint = format!(
                    "Check {table}.password. GitLab says the same where nobody has set one: it makes a random password for an \
                     account that is created without."
                );
                return (ErrorKind::Unauthorized, hint);
            }
        };
        (ErrorKind::Forbidden, hint.to_owned())
    }

    /// The way out for whoever has no authenticator.
    fn authenticator(&self) -> String {
        format!(
            "Register an authenticator for {} (User settings > Account > Two-factor authentication), and {}.",
            self.account.username,
            self.door.give_key()
        )
    }

    fn email_verification(&self) -> Error {
        let who = &self.account.username;
        let message = format!(
            "GitLab asks {who} for a code that it sent by e-mail, and has locked the account if the address of this machine was \
             new to it"
        );
        person_needed(message).with_hint(format!(
            "{} An administrator can end the lock (Admin area > Users); it would come back with the next new address.",
            self.authenticator()
        ))
    }

    fn second_factor_or_unknown(&self, page: &Page) -> Error {
        let title = page.title.as_str().to_lowercase();
        if title.contains("two-factor") || title.contains("two factor") {
            return self.no_codes(&["a security key"]);
        }
        page.lacks("sign that somebody is signed in")
    }

    fn rejected(&self, page: &Page, status: StatusCode, said: Option<RemoteText>) -> Error {
        let rejected = |reason: &RemoteText| {
            let (who, status) = (&self.account.username, status.as_u16());
            let message = format!("GitLab rejected the sign-in of {who} ({status}): {reason}");
            error(ErrorKind::Unexpected, message)
        };
        match said {
            Some(said) => rejected(&said),
            None => rejected(&page.said().unwrap_or_else(|| page.title.clone()))
                .with_hint("A proxy that drops cookies or changes the Host header causes this."),
        }
    }
}

/// Whoever has a browser can go on.
fn person_needed(message: impl Into<String>) -> Error {
    error(ErrorKind::PersonNeeded, message)
}

fn error(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::new(Side::Gitlab, kind, REQUEST, message)
}

fn password_off() -> Error {
    person_needed("GitLab does not take passwords on its sign-in page").with_hint(
        "Allow password authentication for the web interface (Admin area > Settings > General > Sign-in \
         restrictions), or let an administrator whose sign-in works do it: user.sign_in = \"impersonate\".",
    )
}

fn captcha() -> Error {
    person_needed("GitLab's sign-in page asks for a reCAPTCHA, which no program can answer").with_hint(
        "It comes after failed or many anonymous visits from this address: wait an hour, or switch off \"reCAPTCHA \
         for login\" in the admin area.",
    )
}

/// Adds to a 429 what it means here.
fn rate_limit(error: Error) -> Error {
    if error.kind == ErrorKind::RateLimited {
        return error.with_hint("GitLab takes ten sign-ins a minute from one address: run it again in a minute.");
    }
    error
}
