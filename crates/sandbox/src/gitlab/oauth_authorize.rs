//! `/oauth/authorize`: where a signed-in user lets an application in.
//!
//! GitLab: `oauth/authorizations_controller.rb` and the views of doorkeeper/authorizations; Doorkeeper's
//! `PreAuthorization` for what is checked in which order. All pages of `GET` have status 200, also the errors and the
//! one that sends a trusted application's user on: a client has to look at the page.

use axum::http::StatusCode;
use jiff::SignedDuration;
use serde_json::json;

use super::pages_html::{Form, each, escape};
use super::pages_http::Page;
use super::pages_visit::Visit;
use crate::generation::{Generation, PageKind};
use crate::world::{Application, OauthGrant, User, digest, random_hex};

/// How long a code may be exchanged.
pub(super) const CODE_LIFE: SignedDuration = SignedDuration::from_mins(10);

/// A request that passed Doorkeeper's checks.
struct Request {
    application: Application,
    redirect_uri: String,
    state: Option<String>,
    scopes: Vec<String>,
}

/// What was wrong with a request.
struct Refusal {
    error: &'static str,
    description: String,
    /// Whether the redirect URI was found good: then `POST` and `DELETE` send the browser there with the error.
    redirect_uri: Option<String>,
}

/// `GET /oauth/authorize`
pub(super) fn ask(visit: &mut Visit<'_>) -> Page {
    let user = match visit.authenticate_for_oauth() {
        Ok(user) => user,
        Err(page) => return page,
    };
    if user.confirmed_at.is_none() {
        return error_page(
            visit,
            "Verify the email address in your account profile before you sign in.",
        );
    }
    if forbidden(visit, &user) {
        return forbidden_page(visit);
    }
    let request = match check(visit) {
        Ok(request) => request,
        Err(refusal) => return error_page(visit, &refusal.description),
    };
    let code = grant(visit, &user, &request);
    if request.application.trusted || (request.application.confidential && consented(visit, &user, &request)) {
        visit.session_mut().return_to = None;
        return redirecting_page(&answer_uri(&request, &[("code", &code)]));
    }
    consent_page(visit, &user, &request)
}

/// `POST /oauth/authorize`: the button Authorize.
pub(super) fn approve(visit: &mut Visit<'_>) -> Page {
    match decide(visit) {
        Ok((user, request)) => {
            let code = grant(visit, &user, &request);
            Page::found(&answer_uri(&request, &[("code", &code)]))
        }
        Err(page) => page,
    }
}

/// `DELETE /oauth/authorize`: the button Deny.
pub(super) fn deny(visit: &mut Visit<'_>) -> Page {
    match decide(visit) {
        Ok((_, request)) => Page::found(&answer_uri(
            &request,
            &[
                ("error", "access_denied"),
                (
                    "error_description",
                    "The resource owner or authorization server denied the request.",
                ),
            ],
        )),
        Err(page) => page,
    }
}

fn decide(visit: &mut Visit<'_>) -> Result<(User, Request), Page> {
    if !visit.csrf_valid() {
        return Err(Visit::rejected());
    }
    let user = visit.authenticate_for_oauth()?;
    if user.confirmed_at.is_none() {
        return Err(error_page(
            visit,
            "Verify the email address in your account profile before you sign in.",
        ));
    }
    if forbidden(visit, &user) {
        return Err(forbidden_page(visit));
    }
    match check(visit) {
        Ok(request) => Ok((user, request)),
        Err(refusal) => Err(refused(visit, &refusal)),
    }
}

/// Errors of the two buttons go to the redirect URI where that is good, else they are JSON.
fn refused(visit: &Visit<'_>, refusal: &Refusal) -> Page {
    let Some(uri) = &refusal.redirect_uri else {
        let unknown = refusal.error == "invalid_client";
        let status = if unknown {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::BAD_REQUEST
        };
        return Page::json(
            status,
            &json!({ "error": refusal.error, "error_description": refusal.description }),
        );
    };
    let mut pairs = vec![
        ("error", refusal.error),
        ("error_description", refusal.description.as_str()),
    ];
    pairs.extend(visit.request.present("state").map(|state| ("state", state)));
    Page::found(&with_query(uri, &pairs))
}

fn check(visit: &Visit<'_>) -> Result<Request, Refusal> {
    let refusal = |error, description: &str| Refusal {
        error,
        description: description.to_owned(),
        redirect_uri: None,
    };
    let missing = |name: &str| refusal("invalid_request", &format!("Missing required parameter: {name}."));
    let client_id = visit.request.present("client_id").ok_or_else(|| missing("client_id"))?;
    let application = visit.world.application_by_uid(client_id).cloned().ok_or_else(|| {
        refusal(
            "invalid_client",
            "Client authentication failed due to unknown client, no client authentication included, or unsupported \
             authentication method.",
        )
    })?;
    let invalid_uri = || refusal("invalid_redirect_uri", "The redirect URI included is not valid.");
    let redirect_uri = visit
        .request
        .present("redirect_uri")
        .ok_or_else(invalid_uri)?
        .to_owned();
    if !application
        .redirect_uri
        .split_whitespace()
        .any(|uri| uri == redirect_uri)
    {
        return Err(invalid_uri());
    }
    let with_uri = |refusal: Refusal| Refusal {
        redirect_uri: Some(redirect_uri.clone()),
        ..refusal
    };
    match visit.request.present("response_type") {
        None => return Err(with_uri(missing("response_type"))),
        Some("code") => {}
        Some(_) => {
            return Err(with_uri(refusal(
                "unsupported_response_type",
                "The authorization server does not support this response type.",
            )));
        }
    }
    let scopes: Vec<String> = match visit.request.present("scope") {
        Some(scope) => scope.split_whitespace().map(ToOwned::to_owned).collect(),
        None => vec!["api".to_owned()],
    };
    if scopes.is_empty() || scopes.iter().any(|scope| !application.scopes.contains(scope)) {
        return Err(with_uri(refusal(
            "invalid_scope",
            "The requested scope is invalid, unknown, or malformed.",
        )));
    }
    if visit.request.present("code_challenge").is_some()
        && !matches!(visit.request.param("code_challenge_method"), Some("S256" | "plain"))
    {
        return Err(with_uri(refusal(
            "invalid_code_challenge_method",
            "The code challenge method must be plain or S256.",
        )));
    }
    let state = visit.request.param("state").map(ToOwned::to_owned);
    Ok(Request {
        application,
        redirect_uri,
        state,
        scopes,
    })
}

/// `disable_admin_oauth_scopes`: an administrator may not let an untrusted application with broad scopes in.
fn forbidden(visit: &Visit<'_>, user: &User) -> bool {
    const BROAD: [&str; 9] = [
        "api",
        "read_api",
        "sudo",
        "admin_mode",
        "read_service_ping",
        "read_repository",
        "write_repository",
        "read_registry",
        "write_registry",
    ];
    let application = visit
        .request
        .present("client_id")
        .and_then(|uid| visit.world.application_by_uid(uid));
    user.admin
        && visit.world.switches.disable_admin_oauth_scopes
        && application.is_some_and(|application| {
            !application.trusted && application.scopes.iter().any(|scope| BROAD.contains(&scope.as_str()))
        })
}

/// A token for exactly these scopes, in any order, that nobody revoked: then GitLab does not ask again.
fn consented(visit: &Visit<'_>, user: &User, request: &Request) -> bool {
    let set = |scopes: &[String]| {
        let mut scopes = scopes.to_vec();
        scopes.sort();
        scopes.dedup();
        scopes
    };
    visit.world.oauth_tokens.iter().any(|token| {
        token.user_id == user.id
            && token.application_id == request.application.id
            && token.revoked_at.is_none()
            && set(&token.scopes) == set(&request.scopes)
    })
}

/// Writes a grant and gives its code. Doorkeeper does so for the consent page too, whose code nobody ever sees.
fn grant(visit: &mut Visit<'_>, user: &User, request: &Request) -> String {
    let code = random_hex(32);
    let now = visit.now;
    // Used and outdated codes are kept for a while, so that a second exchange is told apart in the world file.
    visit.world.grants.retain(|grant| grant.created_at + CODE_LIFE > now);
    let challenge = visit.request.present("code_challenge").map(ToOwned::to_owned);
    let method = challenge
        .as_ref()
        .and(visit.request.present("code_challenge_method"))
        .map(ToOwned::to_owned);
    visit.world.grants.push(OauthGrant {
        code_digest: digest(&code),
        application_id: request.application.id,
        user_id: user.id,
        redirect_uri: request.redirect_uri.clone(),
        scopes: request.scopes.clone(),
        code_challenge: challenge,
        code_challenge_method: method,
        created_at: now,
        revoked_at: None,
    });
    code
}

fn answer_uri(request: &Request, pairs: &[(&str, &str)]) -> String {
    let mut pairs = pairs.to_vec();
    pairs.extend(request.state.as_deref().map(|state| ("state", state)));
    with_query(&request.redirect_uri, &pairs)
}

fn with_query(uri: &str, pairs: &[(&str, &str)]) -> String {
    match url::Url::parse(uri) {
        Ok(mut url) => {
            url.query_pairs_mut().extend_pairs(pairs);
            url.to_string()
        }
        Err(_) => uri.to_owned(),
    }
}

/// The page for whom GitLab does not ask: no layout, a link, and a script that follows it.
fn redirecting_page(uri: &str) -> Page {
    let script = serde_json::Value::from(uri).to_string().replace('<', "\\u003c");
    Page::html(
        StatusCode::OK,
        format!(
            "<h1 class=\"page-title\">Redirecting</h1>\n<div>\n<a href=\"{0}\">Click here to redirect to {0}</a>\n</div>\n\
             <script>\n(function() {{ window.location = {script}; }})();\n</script>\n",
            escape(uri)
        ),
    )
}

fn error_page(visit: &mut Visit<'_>, description: &str) -> Page {
    let content = format!(
        "<h3 class=\"page-title\">An error has occurred</h3>\n<main role=\"main\"><pre>{}</pre></main>",
        escape(description)
    );
    visit.page(StatusCode::OK, "Authorization", None, &content)
}

fn forbidden_page(visit: &mut Visit<'_>) -> Page {
    let content = "<h1 class=\"page-title\">Forbidden</h1>\n<main role=\"main\"><p>Administrators may not connect \
                   applications with broad scopes here: the setting <code>disable_admin_oauth_scopes</code> is on.</p></main>";
    visit.page(StatusCode::OK, "Authorization", None, content)
}

/// Two forms with the same fields: up to 18 Deny stands before Authorize, from 19 on Authorize before Cancel.
fn consent_page(visit: &mut Visit<'_>, user: &User, request: &Request) -> Page {
    let shape = visit.world.switches.shape(PageKind::Consent);
    if shape == Generation::Unknown {
        return visit.unheard_page();
    }
    let token = visit.csrf();
    let action = visit.path("/oauth/authorize");
    let scope = request.scopes.join(" ");
    let own = |name: &str| visit.request.present(name).map(ToOwned::to_owned);
    let (nonce, challenge, challenge_method) = (own("nonce"), own("code_challenge"), own("code_challenge_method"));
    let form = |id: &str, method: &str| {
        Form::open(id, &action, method, &token)
            .hidden("client_id", Some(&request.application.uid))
            .hidden("redirect_uri", Some(&request.redirect_uri))
            .hidden("state", request.state.as_deref())
            .hidden("response_type", Some("code"))
            .hidden("scope", Some(&scope))
            .hidden("nonce", nonce.as_deref())
            .hidden("code_challenge", challenge.as_deref())
            .hidden("code_challenge_method", challenge_method.as_deref())
    };
    let scopes = each(&request.scopes, "<li><strong>", "</strong></li>");
    let warning = if user.admin {
        "<p class=\"error\">You are an administrator: this application will be able to act as one.</p>"
    } else {
        ""
    };
    let authorize = form("authorize", "post").submit("Authorize");
    let forms = if shape >= Generation::V19_3 {
        authorize + &form("deny", "delete").submit_quietly("Cancel")
    } else {
        form("deny", "delete").submit_quietly("Deny") + &authorize
    };
    let content = format!(
        "<main role=\"main\" class=\"doorkeeper-authorize\">\n<h1>Authorize {name}?</h1>\n{warning}\n\
         <p>{name} is asking for access to the account of {username}.</p>\n\
         <p>This application will be able to:</p><ul>{scopes}</ul>\n<div class=\"row\">\n{forms}</div>\n</main>",
        name = escape(&request.application.name),
        username = escape(&user.username),
    );
    visit.page(StatusCode::OK, "Authorize application", None, &content)
}
