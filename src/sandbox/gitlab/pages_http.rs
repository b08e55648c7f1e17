//! One visit of a browser: the request, its session, and the pages that answer it.
//!
//! GitLab's web side is written as plain functions of the world and the request, so that each rule can be read in one
//! place and needs no server to be tried. Sessions follow Devise and Rails: the cookie is renewed at sign-in, the CSRF
//! token is one per session, masked anew on each page, and forgotten at sign-in.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use jiff::Timestamp;

use super::pages_html::{Layout, escape};
use crate::sandbox::world::{User, UserState, WebSession, World, random_hex};

/// The session cookie's name.
pub(crate) const COOKIE: &str = "_gitlab_session";
/// Sessions nobody is signed in to are forgotten when there are more than this: crawlers make many.
const ANONYMOUS_SESSIONS_KEPT: usize = 100;

/// A request with its parts taken out.
#[derive(Debug, Clone)]
pub(crate) struct PageRequest {
    /// The method, after `_method` of a form.
    pub(crate) method: Method,
    /// Path below the relative URL root, as it came.
    pub(crate) path: String,
    /// The query string as it came, without the question mark.
    pub(crate) raw_query: String,
    /// Query parameters in order.
    pub(crate) query: Vec<(String, String)>,
    /// Form fields in order; fields of a JSON object likewise.
    pub(crate) form: Vec<(String, String)>,
    /// Headers.
    pub(crate) headers: HeaderMap,
}

impl PageRequest {
    /// Takes a request apart. `path` is what remains below the relative URL root.
    pub(crate) fn new(method: &Method, path: &str, query: Option<&str>, headers: &HeaderMap, body: &[u8]) -> Self {
        let raw_query = query.unwrap_or_default().to_owned();
        let form = fields(headers, body);
        let method = match (method, field(&form, "_method").map(str::to_ascii_uppercase).as_deref()) {
            (&Method::POST, Some("DELETE")) => Method::DELETE,
            (&Method::POST, Some("PATCH")) => Method::PATCH,
            (&Method::POST, Some("PUT")) => Method::PUT,
            (method, _) => method.clone(),
        };
        Self {
            method,
            path: path.to_owned(),
            query: url::form_urlencoded::parse(raw_query.as_bytes()).into_owned().collect(),
            raw_query,
            form,
            headers: headers.clone(),
        }
    }

    /// A parameter of the form, else of the query, as Rails merges them.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        field(&self.form, name).or_else(|| field(&self.query, name))
    }

    /// A form field that is not empty.
    pub(crate) fn present(&self, name: &str) -> Option<&str> {
        self.param(name).filter(|value| !value.is_empty())
    }

    fn cookie(&self) -> Option<String> {
        session_cookie(&self.headers)
    }
}

/// The value of the session cookie, if the request carries one.
pub(crate) fn session_cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value.to_owned())
}

/// The last field of that name, as Rails has it: the checkbox after its hidden twin wins.
fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields
        .iter()
        .rev()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

fn fields(headers: &HeaderMap, body: &[u8]) -> Vec<(String, String)> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if kind.starts_with("application/json") {
        return match serde_json::from_slice(body) {
            Ok(serde_json::Value::Object(map)) => map
                .into_iter()
                .map(|(key, value)| match value {
                    serde_json::Value::String(text) => (key, text),
                    other => (key, other.to_string()),
                })
                .collect(),
            _ => Vec::new(),
        };
    }
    url::form_urlencoded::parse(body).into_owned().collect()
}

/// An answer under construction.
#[derive(Debug)]
pub(crate) struct Page {
    /// Status.
    pub(crate) status: StatusCode,
    /// Headers besides the cookie.
    pub(crate) headers: Box<HeaderMap>,
    /// Body.
    pub(crate) body: String,
}

impl Page {
    /// An HTML page.
    pub(crate) fn html(status: StatusCode, body: String) -> Self {
        Self::of(status, "text/html; charset=utf-8", body)
    }

    /// A JSON answer.
    pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Self {
        Self::of(status, "application/json; charset=utf-8", value.to_string())
    }

    /// Any text.
    pub(crate) fn of(status: StatusCode, kind: &'static str, body: String) -> Self {
        let mut headers = Box::new(HeaderMap::new());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("max-age=0, private, must-revalidate"),
        );
        Self { status, headers, body }
    }

    /// A 302 to an address that is complete already.
    pub(crate) fn found(location: &str) -> Self {
        let mut page = Self::html(
            StatusCode::FOUND,
            format!(
                "<html><body>You are being <a href=\"{}\">redirected</a>.</body></html>",
                escape(location)
            ),
        );
        page.set_header(header::LOCATION, location);
        page
    }

    /// Sets a header; a value that no header can carry is left out.
    pub(crate) fn set_header(&mut self, name: header::HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
    }

    /// The answer for axum.
    pub(crate) fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = *self.headers;
        response
    }
}

/// One request while it is served.
pub(crate) struct Visit<'w> {
    /// The world, locked for the length of the request.
    pub(crate) world: &'w mut World,
    /// The request.
    pub(crate) request: PageRequest,
    /// The world's time.
    pub(crate) now: Timestamp,
    session: String,
    csrf: String,
    send_cookie: bool,
}

impl<'w> Visit<'w> {
    /// Finds the session of the request. One that does not exist yet is made when something is written to it.
    pub(crate) fn new(world: &'w mut World, request: PageRequest) -> Self {
        let now = world.now();
        let session = request
            .cookie()
            .filter(|id| world.session(id).is_some())
            .unwrap_or_default();
        Self {
            world,
            request,
            now,
            session,
            csrf: String::new(),
            send_cookie: false,
        }
    }

    /// Puts the cookie on the answer, where the session is new or renewed.
    pub(crate) fn finish(self, mut page: Page) -> Page {
        if self.send_cookie {
            let path = if self.root().is_empty() { "/" } else { self.root() };
            page.set_header(
                header::SET_COOKIE,
                &format!("{COOKIE}={}; path={path}; HttpOnly", self.session),
            );
        }
        page
    }

    /// The session, if there is one.
    pub(crate) fn session(&self) -> Option<&WebSession> {
        self.world.session(&self.session)
    }

    /// The session, made now if there is none.
    pub(crate) fn session_mut(&mut self) -> &mut WebSession {
        if self.world.session(&self.session).is_none() {
            self.session = random_hex(16);
            self.send_cookie = true;
            self.world.sessions.push(WebSession {
                id: self.session.clone(),
                created_at: self.now,
                ..WebSession::default()
            });
            self.forget_old_sessions();
        }
        let position = self
            .world
            .sessions
            .iter()
            .position(|session| session.id == self.session)
            .unwrap_or_default();
        &mut self.world.sessions[position]
    }

    fn forget_old_sessions(&mut self) {
        let anonymous = self
            .world
            .sessions
            .iter()
            .filter(|session| session.user_id.is_none())
            .count();
        let mut surplus = anonymous.saturating_sub(ANONYMOUS_SESSIONS_KEPT);
        self.world.sessions.retain(|session| {
            let drop = surplus > 0 && session.user_id.is_none();
            surplus -= usize::from(drop);
            !drop
        });
    }

    /// Whoever is signed in.
    pub(crate) fn current_user(&self) -> Option<User> {
        self.session()
            .and_then(|session| session.user_id)
            .and_then(|id| self.world.user(id))
            .cloned()
    }

    /// Whether an administrator impersonates the current user.
    pub(crate) fn impersonator(&self) -> Option<User> {
        self.session()
            .and_then(|session| session.impersonator_id)
            .and_then(|id| self.world.user(id))
            .cloned()
    }

    /// Signs a user in: a new cookie, no CSRF token, the rest of the session stays (Devise:
    /// `clean_up_csrf_token_on_authentication`; Warden renews the session id).
    pub(crate) fn sign_in(&mut self, user_id: u64) {
        let now = self.now;
        self.become_user(user_id);
        self.session_mut().failed_logins = 0;
        let today = self.world.today();
        if let Some(user) = self.world.user_mut(user_id) {
            user.last_sign_in_at = user.current_sign_in_at.or(Some(now));
            user.current_sign_in_at = Some(now);
            user.last_activity_on = Some(today);
            user.failed_attempts = 0;
        }
    }

    /// Makes the session another user's, without that being a sign-in: impersonation.
    pub(crate) fn become_user(&mut self, user_id: u64) {
        let id = random_hex(16);
        let session = self.session_mut();
        session.id.clone_from(&id);
        session.user_id = Some(user_id);
        session.otp_user_id = None;
        session.csrf_token.clear();
        self.session = id;
        self.csrf.clear();
        self.send_cookie = true;
    }

    /// Ends the session altogether.
    pub(crate) fn sign_out(&mut self) {
        self.world.sessions.retain(|session| session.id != self.session);
        self.session.clear();
        self.csrf.clear();
    }

    /// The session's CSRF token, masked with a pad that is new on each page (Rails: `mask_token`).
    pub(crate) fn csrf(&mut self) -> String {
        if self.csrf.is_empty() {
            let session = self.session_mut();
            if session.csrf_token.is_empty() {
                session.csrf_token = random_hex(32);
            }
            self.csrf = mask(&session.csrf_token, &random_hex(32));
        }
        self.csrf.clone()
    }

    /// Whether the form's token, or the header's, is the session's.
    pub(crate) fn csrf_valid(&self) -> bool {
        let Some(token) = self
            .session()
            .map(|session| session.csrf_token.as_str())
            .filter(|token| !token.is_empty())
        else {
            return false;
        };
        let header = self
            .request
            .headers
            .get("x-csrf-token")
            .and_then(|value| value.to_str().ok());
        [self.request.param("authenticity_token"), header]
            .into_iter()
            .flatten()
            .any(|given| unmasks_to(given, token))
    }

    /// The relative URL root: empty, or with a slash in front and none behind.
    pub(crate) fn root(&self) -> &str {
        self.world.switches.relative_url_root.trim_end_matches('/')
    }

    /// A path below the relative URL root.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.root())
    }

    /// The address under which the request came, as Rails builds redirects: by the `Host` header.
    pub(crate) fn url(&self, path: &str) -> String {
        let host = self
            .request
            .headers
            .get(header::HOST)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("localhost");
        let scheme = self
            .request
            .headers
            .get("x-forwarded-proto")
            .and_then(|value| value.to_str().ok())
            .filter(|scheme| matches!(*scheme, "http" | "https"))
            .unwrap_or("http");
        format!("{scheme}://{host}{}", self.path(path))
    }

    /// A 302 to a path below the root, with a message for the page that it leads to.
    pub(crate) fn redirect(&mut self, path: &str, flash: Option<(&str, &str)>) -> Page {
        if let Some((kind, text)) = flash {
            let session = self.session_mut();
            session.flash.push((kind.to_owned(), text.to_owned()));
        }
        Page::found(&self.url(path))
    }

    /// A whole page of GitLab's.
    pub(crate) fn page(&mut self, status: StatusCode, title: &str, alert: Option<&str>, content: &str) -> Page {
        let mut messages: Vec<String> = match self.session() {
            Some(session) if !session.flash.is_empty() => {
                let flash = std::mem::take(&mut self.session_mut().flash);
                flash.into_iter().map(|(_, text)| text).collect()
            }
            _ => Vec::new(),
        };
        messages.extend(alert.map(ToOwned::to_owned));
        let csrf = self.csrf();
        let bar = self.bar();
        let flash = messages.join(" ");
        let layout = Layout {
            title,
            csrf: &csrf,
            flash: (!flash.is_empty()).then_some(flash.as_str()),
            bar: &bar,
            accent: "#e24329",
            product: "GitLab",
        };
        Page::html(status, layout.page(content))
    }

    /// The page that Rails answers a forged or outdated form with.
    pub(crate) fn rejected() -> Page {
        Page::html(
            StatusCode::UNPROCESSABLE_ENTITY,
            "<!DOCTYPE html>\n<html><head><title>The change you requested was rejected (422)</title></head><body>\
             <h1>422</h1><h3>The change you requested was rejected.</h3>\
             <p>The form was too old or came from elsewhere: load the page again.</p></body></html>\n"
                .to_owned(),
        )
    }

    /// The page for what does not exist, or must not be known to exist.
    pub(crate) fn not_found() -> Page {
        Page::html(
            StatusCode::NOT_FOUND,
            "<!DOCTYPE html>\n<html><head><title>Not Found</title></head><body><h1>404: Page not found</h1>\
             <p>The address is wrong, or you may not see this page.</p></body></html>\n"
                .to_owned(),
        )
    }

    /// Links at the top. Those with `data-method` are what rails-ujs turns into forms.
    fn bar(&self) -> String {
        let Some(user) = self.current_user() else {
            return format!("<a href=\"{}\">Sign in</a>", self.path("/users/sign_in"));
        };
        let mut bar = format!(
            "<a href=\"{}\">{} (@{})</a> <a href=\"{}\">Applications</a>",
            escape(&self.path("/")),
            escape(&user.name),
            escape(&user.username),
            escape(&self.path(super::pages_settings::applications_path(self.world))),
        );
        if user.admin {
            bar.push_str(&format!(" <a href=\"{}\">Admin area</a>", escape(&self.path("/admin"))));
        }
        if self.impersonator().is_some() {
            bar.push_str(&format!(
                " <a data-method=\"delete\" rel=\"nofollow\" title=\"Stop impersonating\" href=\"{}\">Stop impersonating</a>",
                escape(&self.path("/admin/impersonation"))
            ));
        }
        bar.push_str(&format!(
            " <a data-method=\"post\" rel=\"nofollow\" href=\"{}\">Sign out</a>\n<script>{RAILS_UJS}</script>",
            escape(&self.path("/users/sign_out"))
        ));
        bar
    }

    /// What GitLab's `ApplicationController` checks before any page of a signed-in user: the session, the account's
    /// state, two-factor set-up, the password's end, the terms of service. `Err` is the answer instead.
    pub(crate) fn authenticate(&mut self) -> Result<User, Page> {
        let user = self.authenticate_for_oauth()?;
        if user.password_expires_at.is_some_and(|end| end <= self.now) {
            return Err(self.redirect("/-/user_settings/password/new", None));
        }
        if self.world.switches.enforce_terms && user.terms_accepted_at.is_none() && !user.internal {
            let back = if self.request.method == Method::GET {
                self.full_path()
            } else {
                self.path("/")
            };
            let query: String = url::form_urlencoded::byte_serialize(back.as_bytes()).collect();
            return Err(self.redirect(
                &format!("/-/users/terms?redirect={query}"),
                Some(("alert", "Please accept the Terms of Service before continuing.")),
            ));
        }
        Ok(user)
    }

    /// The lesser checks of the OAuth pages: `BaseDoorkeeperController` asks for a session and for two-factor set-up only.
    pub(crate) fn authenticate_for_oauth(&mut self) -> Result<User, Page> {
        let Some(user) = self.current_user() else {
            if self.request.method == Method::GET {
                let back = self.full_path();
                self.session_mut().return_to = Some(back);
            }
            return Err(self.redirect(
                "/users/sign_in",
                Some(("alert", "You need to sign in or sign up before continuing.")),
            ));
        };
        if let Some(reason) = sign_in_refusal(&user) {
            self.sign_out();
            return Err(self.redirect("/users/sign_in", Some(("alert", reason))));
        }
        if self.world.switches.require_two_factor && user.totp_secret.is_none() {
            return Err(self.redirect(
                "/-/profile/two_factor_auth",
                Some((
                    "alert",
                    "The global settings require you to enable Two-Factor Authentication for your account.",
                )),
            ));
        }
        Ok(user)
    }

    /// The path of this request with the root and the query.
    pub(crate) fn full_path(&self) -> String {
        let path = self.path(&self.request.path);
        if self.request.raw_query.is_empty() {
            path
        } else {
            format!("{path}?{}", self.request.raw_query)
        }
    }

    /// A 302 to a stored path, which has the root in front already.
    pub(crate) fn redirect_to_stored(&self, path: &str) -> Page {
        let below = path
            .strip_prefix(self.root())
            .filter(|rest| rest.starts_with('/'))
            .unwrap_or(path);
        Page::found(&self.url(below))
    }
}

/// rails-ujs in miniature: a link with `data-method` sends a form with the page's token.
const RAILS_UJS: &str = "document.addEventListener('click',function(e){var a=e.target.closest('a[data-method]');if(!a)return;\
e.preventDefault();var f=document.createElement('form');f.method='post';f.action=a.href;\
function h(n,v){var i=document.createElement('input');i.type='hidden';i.name=n;i.value=v;f.appendChild(i)}\
if(a.dataset.method!=='post')h('_method',a.dataset.method);\
h('authenticity_token',document.querySelector('meta[name=csrf-token]').content);document.body.appendChild(f);f.submit()});";

/// Why Devise lets nobody in under this account, or `None`. A deactivated one may come in: that activates it.
pub(crate) fn sign_in_refusal(user: &User) -> Option<&'static str> {
    match user.state {
        UserState::Blocked | UserState::LdapBlocked | UserState::Banned => {
            Some("Your account has been blocked. Contact your GitLab administrator.")
        }
        UserState::BlockedPendingApproval => {
            Some("Your account is pending approval from your GitLab administrator and hence blocked.")
        }
        UserState::Active | UserState::Deactivated if user.internal => {
            Some("Your account does not have the required permission to login.")
        }
        UserState::Active | UserState::Deactivated if user.confirmed_at.is_none() => {
            Some("You have to confirm your email address before continuing.")
        }
        UserState::Active | UserState::Deactivated => None,
    }
}

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .filter_map(|i| u8::from_str_radix(hex.get(2 * i..2 * i + 2)?, 16).ok())
        .collect()
}

fn mask(token: &str, pad: &str) -> String {
    let (token, pad) = (bytes_of(token), bytes_of(pad));
    let masked = pad.iter().zip(&token).map(|(a, b)| a ^ b);
    let bytes: Vec<u8> = pad.iter().copied().chain(masked).collect();
    STANDARD.encode(bytes)
}

/// Whether a token of a page is the session's, under whatever pad.
pub(crate) fn unmasks_to(given: &str, token: &str) -> bool {
    let given = given.trim();
    let Ok(bytes) = STANDARD
        .decode(given)
        .or_else(|_| URL_SAFE.decode(given))
        .or_else(|_| URL_SAFE_NO_PAD.decode(given))
    else {
        return false;
    };
    let (pad, masked) = bytes.split_at(bytes.len() / 2);
    pad.len() == 32 && pad.iter().zip(masked).map(|(a, b)| a ^ b).eq(bytes_of(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &Method, path: &str, headers: &[(&'static str, &str)], body: &str) -> PageRequest {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        PageRequest::new(method, path, None, &map, body.as_bytes())
    }

    #[test]
    fn a_checkbox_wins_over_its_twin_and_method_is_overridden() {
        let request = request(&Method::POST, "/x", &[], "_method=patch&a%5Bb%5D=0&a%5Bb%5D=1");
        assert_eq!(request.method, Method::PATCH);
        assert_eq!(request.param("a[b]"), Some("1"));
    }

    #[test]
    fn the_token_is_masked_anew_and_dies_at_sign_in() {
        let mut world = World::default();
        world.users.push(User {
            id: 1,
            ..User::default()
        });
        let mut first = Visit::new(&mut world, request(&Method::GET, "/users/sign_in", &[], ""));
        let token = first.csrf();
        let cookie = format!("{COOKIE}={}", first.session().unwrap().id);
        let headers = [("cookie", cookie.as_str())];
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("authenticity_token", &token)
            .finish();
        let mut second = Visit::new(&mut world, request(&Method::POST, "/users/sign_in", &headers, &body));
        assert!(second.csrf_valid());
        assert_ne!(second.csrf(), token);
        second.sign_in(1);
        assert!(!second.csrf_valid());
        let renewed = second.session().unwrap().id.clone();
        assert!(!cookie.contains(&renewed));
        assert!(
            Visit::new(&mut world, request(&Method::GET, "/", &headers, ""))
                .current_user()
                .is_none()
        );
    }
}
