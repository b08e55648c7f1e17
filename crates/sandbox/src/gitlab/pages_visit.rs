//! One visit of a browser: the request with its session, and what GitLab checks before it shows a page.
//!
//! GitLab's web side is written as plain functions of the world and the request, so that each rule can be read in one
//! place and needs no server to be tried. Sessions follow Devise and Rails: the cookie is renewed at sign-in, the CSRF
//! token is one per session, masked anew on each page, and forgotten at sign-in.

use std::fmt::Write as _;

use axum::http::{StatusCode, header};
use jiff::Timestamp;

use super::pages_csrf::{mask, unmasks_to};
use super::pages_html::{Layout, escape};
use super::pages_http::{COOKIE, Page, PageRequest};
use crate::generation::{Generation, PageKind};
use crate::world::{User, WebSession, World, random_hex};

/// Sessions nobody is signed in to are forgotten when there are more than this: crawlers make many.
const ANONYMOUS_SESSIONS_KEPT: usize = 100;

/// One request while it is served.
pub(crate) struct Visit<'w> {
    /// The world, locked for the length of the request.
    pub(crate) world: &'w mut World,
    pub(crate) request: PageRequest,
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
        let address = self.address();
        if let Some(user) = self.world.user_mut(user_id) {
            user.known_addresses.insert(address);
            user.locked = false;
            user.locked_until = None;
            user.last_sign_in_at = user.current_sign_in_at.or(Some(now));
            user.current_sign_in_at = Some(now);
            user.last_activity_on = Some(today);
            user.failed_attempts = 0;
        }
    }

    /// The address from which the request comes.
    pub(crate) fn address(&self) -> String {
        let switch = &self.world.switches.client_address;
        if switch.is_empty() {
            self.request.address.clone()
        } else {
            switch.clone()
        }
    }

    /// Makes the session another user's, without that being a sign-in: impersonation.
    pub(crate) fn become_user(&mut self, user_id: u64) {
        let id = random_hex(16);
        let session = self.session_mut();
        session.id.clone_from(&id);
        session.user_id = Some(user_id);
        session.otp_user_id = None;
        session.verification_user_id = None;
        session.skip_two_factor_until = None;
        session.provider = None;
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

    /// Ends all sessions of a user but this one.
    pub(crate) fn end_other_sessions(&mut self, user_id: u64) {
        let own = &self.session;
        self.world
            .sessions
            .retain(|session| session.user_id != Some(user_id) || session.id == *own);
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
        let kept = match self.session() {
            Some(session) if !session.flash.is_empty() => std::mem::take(&mut self.session_mut().flash),
            _ => Vec::new(),
        };
        // From 19 on, what an unconfirmed account is told is drawn by a script.
        let by_script = self.world.switches.shape(PageKind::SignIn) >= Generation::V19_3;
        let mut messages = Vec::new();
        let mut content = content.to_owned();
        for (kind, text) in kept {
            if kind == "unconfirmed" && by_script {
                content.insert_str(0, &vue_alert(&text));
            } else {
                messages.push(text);
            }
        }
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
        Page::html(status, layout.page(&content))
    }

    /// Whether a page is to be served in a shape that no generation has.
    pub(crate) fn unheard_of(&self, page: PageKind) -> bool {
        self.world.switches.shape(page) == Generation::Unknown
    }

    /// A page in a shape that no generation has: nothing that a client could know is on it.
    pub(crate) fn unheard_page(&mut self) -> Page {
        self.page(
            StatusCode::OK,
            "",
            None,
            "<main id=\"app-root\" data-view=\"next\"></main>",
        )
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
            if self.request.path.trim_end_matches('/') == "/users/sign_in" {
                return String::new();
            }
            return format!("<a href=\"{}\">Sign in</a>", self.path("/users/sign_in"));
        };
        let mut bar = format!(
            "<a href=\"{}\">{} (@{})</a> <a href=\"{}\">Applications</a>",
            escape(&self.path("/")),
            escape(&user.name),
            escape(&user.username),
            escape(&self.path(applications_path(self.world))),
        );
        if user.admin {
            let _ = write!(bar, " <a href=\"{}\">Admin area</a>", escape(&self.path("/admin")));
        }
        if self.impersonator().is_some() {
            let _ = write!(
                bar,
                " <a data-method=\"delete\" rel=\"nofollow\" title=\"Stop impersonating\" href=\"{}\">Stop impersonating</a>",
                escape(&self.path("/admin/impersonation"))
            );
        }
        let _ = write!(
            bar,
            " <a data-method=\"post\" rel=\"nofollow\" href=\"{}\">Sign out</a>\n<script>{RAILS_UJS}</script>",
            escape(&self.path("/users/sign_out"))
        );
        bar
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

/// An alert that a script draws; the script here does as much.
fn vue_alert(text: &str) -> String {
    format!(
        "<div class=\"js-vue-alert\" data-title=\"{}\"></div>\n<script>document.querySelectorAll('.js-vue-alert')\
         .forEach(function(e){{e.textContent=e.dataset.title}})</script>\n",
        escape(text)
    )
}

/// Where the page of authorized applications is: it moved out of `/-/profile` with 17.
pub(crate) fn applications_path(world: &World) -> &'static str {
    if world.switches.shape(PageKind::AuthorizedApplications) >= Generation::V17_11 {
        "/-/user_settings/applications"
    } else {
        "/-/profile/applications"
    }
}

/// rails-ujs in miniature: a link with `data-method` sends a form with the page's token.
const RAILS_UJS: &str = "document.addEventListener('click',function(e){var a=e.target.closest('a[data-method]');if(!a)return;\
e.preventDefault();var f=document.createElement('form');f.method='post';f.action=a.href;\
function h(n,v){var i=document.createElement('input');i.type='hidden';i.name=n;i.value=v;f.appendChild(i)}\
if(a.dataset.method!=='post')h('_method',a.dataset.method);\
h('authenticity_token',document.querySelector('meta[name=csrf-token]').content);document.body.appendChild(f);f.submit()});";

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, Method};

    use super::*;

    fn request(method: &Method, path: &str, headers: &[(&'static str, &str)], body: &str) -> PageRequest {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        PageRequest::new(method, path, None, &map, body.as_bytes())
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
