//! Who asks: tokens, cookies, sudo, Admin Mode, and what the API tells an account that may not use it.
//!
//! GitLab: `lib/api/api_guard.rb`, `lib/gitlab/auth/auth_finders.rb`, `lib/gitlab/auth/user_access_denied_reason.rb`.

use std::collections::BTreeSet;

use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::Response;
use base64::Engine as _;
use serde_json::json;

use super::{answers, granular, two_factor};
use crate::builtin::ROOT_TOKEN;
use crate::world::{PersonalToken, User, UserState, WebSession, World, digest};

/// The name of the session cookie.
pub(crate) const SESSION_COOKIE: &str = "_gitlab_session";

/// How a caller showed who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Via {
    /// A personal access or impersonation token, by id.
    Personal(u64),
    /// An OAuth access token, by id.
    Oauth(u64),
    /// A browser session, by cookie.
    Session(String),
}

/// A caller whose token or cookie is good.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// As whom the request is done (after sudo).
    pub(crate) user_id: u64,
    pub(crate) via: Via,
    /// Scopes of the token; a browser session has none and may do all.
    pub(crate) scopes: Option<Vec<String>>,
    /// The permissions of a fine-grained token, which count in place of scopes.
    pub(crate) granular: Option<BTreeSet<String>>,
    /// It may act as administrator now.
    pub(crate) admin: bool,
}

impl Caller {
    /// Whether the token has one of these scopes.
    pub(crate) fn has_scope(&self, any_of: &[&str]) -> bool {
        self.scopes
            .as_ref()
            .is_none_or(|scopes| scopes.iter().any(|scope| any_of.contains(&scope.as_str())))
    }

    /// Refuses a token that has none of these scopes.
    pub(crate) fn require_scope(&self, any_of: &[&str]) -> Result<(), Response> {
        if self.has_scope(any_of) {
            Ok(())
        } else {
            Err(insufficient_scope(any_of))
        }
    }

    /// Refuses whoever may not act as administrator.
    pub(crate) fn require_admin(&self) -> Result<(), Response> {
        if self.admin { Ok(()) } else { Err(answers::forbidden()) }
    }
}

/// The 403 of a token with too few scopes (rack-oauth2's Bearer error).
pub(crate) fn insufficient_scope(any_of: &[&str]) -> Response {
    let body = json!({
        "error": "insufficient_scope",
        "error_description": "The request requires higher privileges than provided by the access token.",
        "scope": any_of.join(" "),
    });
    answers::with_header(
        answers::json_answer(403, &body),
        "www-authenticate",
        "Bearer realm=\"Protected by OAuth 2.0\", error=\"insufficient_scope\"",
    )
}

fn invalid_token(description: &str) -> Response {
    answers::json_answer(
        401,
        &json!({ "error": "invalid_token", "error_description": description }),
    )
}

/// The scopes that suffice for a request of that method where nothing else is said.
pub(crate) fn usual_scopes(parts: &Parts) -> &'static [&'static str] {
    if matches!(parts.method.as_str(), "GET" | "HEAD") {
        &["api", "read_api"]
    } else {
        &["api"]
    }
}

/// Who asks, for an API endpoint that needs somebody: 401 without, 403 where the account may not use the API or the
/// token has none of `scopes`; sudo is honoured.
pub(crate) fn authenticate(world: &World, parts: &Parts, scopes: &[&str]) -> Result<Caller, Response> {
    identify(world, parts, scopes)?.ok_or_else(answers::unauthorized)
}

/// As [`authenticate`], but nobody is let through as `None` (public projects can be read without a token).
pub(crate) fn identify(world: &World, parts: &Parts, scopes: &[&str]) -> Result<Option<Caller>, Response> {
    let Some(mut caller) = bearer(world, parts)? else {
        return Ok(None);
    };
    match &caller.granular {
        Some(granted) => granular::require(granted, &parts.method, parts.uri.path())?,
        None => caller.require_scope(scopes)?,
    }
    if let Some(name) = sudo_name(parts) {
        caller = sudo(world, &caller, &name)?;
    }
    if let Some(reason) = world.user(caller.user_id).and_then(|user| denied_reason(world, user)) {
        return Err(answers::message(403, &format!("403 Forbidden - {reason}")));
    }
    Ok(Some(caller))
}

/// The browser session of a request, if its cookie names one.
pub(crate) fn session<'w>(world: &'w World, headers: &HeaderMap) -> Option<&'w WebSession> {
    cookie(headers, SESSION_COOKIE).and_then(|id| world.session(&id))
}

/// The value of a cookie.
pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all("cookie")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

/// Whether the browser session may act as administrator now.
pub(crate) fn session_is_admin(world: &World, session: &WebSession) -> bool {
    let account = session
        .user_id
        .and_then(|id| world.user(id))
        .is_some_and(|user| user.admin);
    account && (!world.switches.admin_mode || session.admin_mode_until.is_some_and(|until| world.now() < until))
}

/// Why an account may not use the API or Git, in GitLab's words; `None`: it may.
pub(crate) fn denied_reason(world: &World, user: &User) -> Option<String> {
    let name = &user.username;
    if user.internal && user.state != UserState::Active {
        return Some("This action cannot be performed by internal users".to_owned());
    }
    if user.state == UserState::BlockedPendingApproval {
        return Some("Your account is pending approval from your administrator and hence blocked.".to_owned());
    }
    if world.owes_terms(user) {
        return Some(format!(
            "You (@{name}) must accept the Terms of Service in order to perform this action. To accept these terms, \
             please access GitLab from a web browser at the address of this instance."
        ));
    }
    if user.state == UserState::Deactivated {
        return Some(
            "Your account has been deactivated by your administrator. Please log back in from a web browser to \
             reactivate your account."
                .to_owned(),
        );
    }
    if user.confirmed_at.is_none() {
        return Some(
            "Your primary email address is not confirmed. Please check your inbox for the confirmation instructions."
                .to_owned(),
        );
    }
    if user.state != UserState::Active || user.is_locked(world.now()) {
        return Some("Your account has been blocked.".to_owned());
    }
    if user.password_expires_at.is_some_and(|at| at <= world.now()) {
        return Some(
            "Your password expired. Please access GitLab from a web browser to update your password.".to_owned(),
        );
    }
    None
}

/// The token that a request carries: `PRIVATE-TOKEN`, `?private_token=`, Bearer, or the password of basic
/// authentication (as the Terraform state backend takes it).
pub(crate) fn token_of(parts: &Parts) -> Option<String> {
    if let Some(token) = parts.headers.get("private-token").and_then(|value| value.to_str().ok()) {
        return Some(token.to_owned());
    }
    if let Some(authorization) = parts.headers.get("authorization").and_then(|value| value.to_str().ok()) {
        let (scheme, rest) = authorization.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(rest.trim().to_owned());
        }
        if scheme.eq_ignore_ascii_case("basic") && parts.uri.path().contains("/terraform/state/") {
            let decoded = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
            let text = String::from_utf8(decoded).ok()?;
            return text.split_once(':').map(|(_, password)| password.to_owned());
        }
        return None;
    }
    query_value(parts, "private_token").or_else(|| query_value(parts, "access_token"))
}

/// The value of a query parameter.
pub(crate) fn query_value(parts: &Parts, name: &str) -> Option<String> {
    let query = parts.uri.query()?;
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

fn bearer(world: &World, parts: &Parts) -> Result<Option<Caller>, Response> {
    let Some(token) = token_of(parts) else {
        return by_session(world, parts);
    };
    let token_digest = digest(&token);
    if let Some(personal) = world
        .personal_tokens
        .iter()
        .find(|known| known.token_digest == token_digest)
    {
        return by_personal_token(world, personal).map(Some);
    }
    let Some(oauth) = world
        .oauth_tokens
        .iter()
        .find(|known| known.token_digest == token_digest)
    else {
        return Err(answers::unauthorized());
    };
    if oauth.revoked_at.is_some() {
        return Err(invalid_token(
            "Token was revoked. You have to re-authorize from the user.",
        ));
    }
    if !oauth.alive(world.now()) {
        return Err(invalid_token(
            "Token is expired. You can either do re-authorization or token refresh.",
        ));
    }
    caller(world, oauth.user_id, Via::Oauth(oauth.id), oauth.scopes.clone()).map(Some)
}

/// The scopes and the last day of a token, as the switches leave them (they concern the built-in root token only).
pub(crate) fn effective(world: &World, personal: &PersonalToken) -> (Vec<String>, Option<String>) {
    if personal.token_digest != digest(ROOT_TOKEN) {
        return (personal.scopes.clone(), personal.expires_at.clone());
    }
    let missing = &world.switches.token_scopes_missing;
    let scopes = personal
        .scopes
        .iter()
        .filter(|scope| !missing.contains(*scope))
        .cloned()
        .collect();
    (
        scopes,
        world
            .switches
            .token_expires_at
            .clone()
            .or_else(|| personal.expires_at.clone()),
    )
}

fn by_personal_token(world: &World, personal: &PersonalToken) -> Result<Caller, Response> {
    let (scopes, expires_at) = effective(world, personal);
    if personal.revoked {
        return Err(invalid_token(
            "Token was revoked. You have to re-authorize from the user.",
        ));
    }
    if expires_at.is_some_and(|day| day <= world.today()) {
        return Err(invalid_token(
            "Token is expired. You can either do re-authorization or token refresh.",
        ));
    }
    if personal.impersonation && !world.switches.impersonation_enabled {
        return Err(invalid_token(
            "Token is an impersonation token but impersonation was disabled.",
        ));
    }
    let Some(granted) = &personal.granular else {
        return caller(world, personal.user_id, Via::Personal(personal.id), scopes);
    };
    let owner = caller(
        world,
        personal.user_id,
        Via::Personal(personal.id),
        vec!["granular".to_owned()],
    )?;
    Ok(Caller {
        // Permissions are granted one by one: Admin Mode asks for no scope on top of them.
        admin: world.user(personal.user_id).is_some_and(|user| user.admin),
        granular: Some(granted.clone()),
        ..owner
    })
}

fn caller(world: &World, user_id: u64, via: Via, scopes: Vec<String>) -> Result<Caller, Response> {
    let user = world.user(user_id).ok_or_else(answers::unauthorized)?;
    // Admin Mode binds personal tokens by a scope; OAuth tokens never have it (lib/api/helpers.rb, `admin_mode`).
    let admin = user.admin && (!world.switches.admin_mode || scopes.iter().any(|scope| scope == "admin_mode"));
    Ok(Caller {
        user_id,
        via,
        scopes: Some(scopes),
        granular: None,
        admin,
    })
}

fn by_session(world: &World, parts: &Parts) -> Result<Option<Caller>, Response> {
    let Some(session) = session(world, &parts.headers) else {
        return Ok(None);
    };
    let Some(user) = session.user_id.and_then(|id| world.user(id)) else {
        return Ok(None);
    };
    let reading = matches!(parts.method.as_str(), "GET" | "HEAD");
    let csrf = parts.headers.get("x-csrf-token").and_then(|value| value.to_str().ok());
    // A write by cookie needs the token of the page too (lib/gitlab/request_forgery_protection.rb).
    if !reading && !csrf.is_some_and(|csrf| super::pages_csrf::unmasks_to(csrf, &session.csrf_token)) {
        return Ok(None);
    }
    // Where a second factor is owed, GraphQL takes no session, and REST none of an impersonation.
    if two_factor::owed(world, user).is_some() {
        if parts.uri.path() == "/api/graphql" {
            return Err(answers::unauthorized());
        }
        if session.impersonator_id.is_some() {
            return Ok(None);
        }
    }
    Ok(Some(Caller {
        user_id: user.id,
        via: Via::Session(session.id.clone()),
        scopes: None,
        granular: None,
        admin: session_is_admin(world, session),
    }))
}

fn sudo_name(parts: &Parts) -> Option<String> {
    let header = parts
        .headers
        .get("sudo")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    header.or_else(|| query_value(parts, "sudo"))
}

fn sudo(world: &World, caller: &Caller, name: &str) -> Result<Caller, Response> {
    if !caller.admin {
        return Err(answers::message(403, "403 Forbidden - Must be admin to use sudo"));
    }
    if caller.scopes.is_none() {
        return Err(answers::message(
            403,
            "403 Forbidden - Must be authenticated using an OAuth or Personal Access Token to use sudo",
        ));
    }
    caller.require_scope(&["sudo"])?;
    let user = name
        .parse()
        .ok()
        .and_then(|id| world.user(id))
        .or_else(|| world.user_named(name));
    let user = user.ok_or_else(|| answers::not_found(&format!("User with ID or username '{name}'")))?;
    Ok(Caller {
        user_id: user.id,
        admin: user.admin && caller.admin,
        ..caller.clone()
    })
}
