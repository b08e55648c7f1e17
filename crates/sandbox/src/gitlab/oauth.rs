//! The OAuth endpoints that programs call: token, introspection, revocation, token info.
//!
//! Doorkeeper's behaviour as measured: which probe of a client secret changes nothing, and what answers 200 although
//! the secret is wrong.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::oauth_authorize::CODE_LIFE;
use super::pages;
use super::pages_http::{Page, PageRequest};
use crate::state::App;
use crate::world::{Application, OauthToken, World, digest, random_hex};

/// Seconds that an access token lives; not configurable in GitLab.
const TOKEN_LIFE: i64 = 7200;

/// The routes of this module.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/oauth/token", post(|state, request| serve(state, request, token)))
        .route(
            "/oauth/introspect",
            post(|state, request| serve(state, request, introspect)),
        )
        .route("/oauth/revoke", post(|state, request| serve(state, request, revoke)))
        .route("/oauth/token/info", get(|state, request| serve(state, request, info)))
}

async fn serve(State(app): State<App>, request: Request, endpoint: fn(&mut World, &PageRequest) -> Page) -> Response {
    match pages::take(request).await {
        Ok(request) => app.write(|world| endpoint(world, &request)).into_response(),
        Err(response) => response,
    }
}

/// Who the client says it is.
enum Client {
    /// No id at all.
    Absent,
    /// An unknown id, or a wrong secret.
    Wrong,
    /// The right secret, or a public client with none.
    Known(Application),
}

fn client(world: &World, request: &PageRequest) -> Client {
    let basic = request
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|encoded| STANDARD.decode(encoded.trim()).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| {
            text.split_once(':')
                .map(|(id, secret)| (id.to_owned(), secret.to_owned()))
        });
    let given = basic.or_else(|| {
        let id = request.present("client_id")?.to_owned();
        Some((id, request.param("client_secret").unwrap_or_default().to_owned()))
    });
    let Some((uid, secret)) = given else {
        return Client::Absent;
    };
    match world.application_by_uid(&uid) {
        Some(application) if digest(&secret) == application.secret_digest => Client::Known(application.clone()),
        Some(application) if !application.confidential && secret.is_empty() => Client::Known(application.clone()),
        _ => Client::Wrong,
    }
}

fn error(status: StatusCode, error: &str, description: &str) -> Page {
    let mut page = Page::json(status, &json!({ "error": error, "error_description": description }));
    if status == StatusCode::UNAUTHORIZED {
        page.set_header(
            header::WWW_AUTHENTICATE,
            &format!("Bearer realm=\"Doorkeeper\", error=\"{error}\", error_description=\"{description}\""),
        );
    }
    page
}

fn invalid_client() -> Page {
    error(
        StatusCode::UNAUTHORIZED,
        "invalid_client",
        "Client authentication failed due to unknown client, no client authentication included, or unsupported \
         authentication method.",
    )
}

fn invalid_grant() -> Page {
    error(
        StatusCode::BAD_REQUEST,
        "invalid_grant",
        "The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the \
         authorization request, or was issued to another client.",
    )
}

fn missing(parameter: &str) -> Page {
    error(
        StatusCode::BAD_REQUEST,
        "invalid_request",
        &format!("Missing required parameter: {parameter}."),
    )
}

/// `POST /oauth/token`. A wrong secret does not use the code up.
fn token(world: &mut World, request: &PageRequest) -> Page {
    let Some(grant_type) = request.present("grant_type").map(ToOwned::to_owned) else {
        return missing("grant_type");
    };
    if !matches!(
        grant_type.as_str(),
        "authorization_code" | "refresh_token" | "client_credentials"
    ) {
        return error(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "The authorization grant type is not supported by the authorization server.",
        );
    }
    let Client::Known(application) = client(world, request) else {
        return invalid_client();
    };
    match grant_type.as_str() {
        "authorization_code" => exchange(world, request, &application),
        "refresh_token" => refresh(world, request, &application),
        // It would mint a token that is nobody's; GitLab's API refuses those, and nothing here needs one.
        _ => error(
            StatusCode::BAD_REQUEST,
            "unauthorized_client",
            "The client is not authorized to perform this request using this method.",
        ),
    }
}

fn exchange(world: &mut World, request: &PageRequest, application: &Application) -> Page {
    let Some(code) = request.present("code") else {
        return missing("code");
    };
    let Some(redirect_uri) = request.present("redirect_uri") else {
        return missing("redirect_uri");
    };
    let now = world.now();
    let code_digest = digest(code);
    let verifier = request.present("code_verifier");
    let grant = world.grants.iter_mut().find(|grant| {
        grant.code_digest == code_digest
            && grant.application_id == application.id
            && grant.redirect_uri == redirect_uri
            && grant.revoked_at.is_none()
            && grant.created_at + CODE_LIFE > now
    });
    let Some(grant) = grant else { return invalid_grant() };
    if !pkce_fits(
        grant.code_challenge.as_deref(),
        grant.code_challenge_method.as_deref(),
        verifier,
    ) {
        return invalid_grant();
    }
    grant.revoked_at = Some(now);
    let (user_id, scopes) = (grant.user_id, grant.scopes.clone());
    issue(world, application.id, user_id, scopes)
}

fn pkce_fits(challenge: Option<&str>, method: Option<&str>, verifier: Option<&str>) -> bool {
    use sha2::Digest as _;
    match (challenge, verifier) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(challenge), Some(verifier)) if method == Some("S256") => {
            URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(verifier.as_bytes())) == challenge.trim_end_matches('=')
        }
        (Some(challenge), Some(verifier)) => challenge == verifier,
    }
}

fn refresh(world: &mut World, request: &PageRequest, application: &Application) -> Page {
    let Some(refresh_token) = request.present("refresh_token") else {
        return missing("refresh_token");
    };
    let now = world.now();
    let wanted = digest(refresh_token);
    let old = world.oauth_tokens.iter_mut().find(|token| {
        token.refresh_digest.as_deref() == Some(wanted.as_str())
            && token.application_id == application.id
            && token.revoked_at.is_none()
    });
    let Some(old) = old else { return invalid_grant() };
    old.revoked_at = Some(now);
    let (user_id, scopes) = (old.user_id, old.scopes.clone());
    issue(world, application.id, user_id, scopes)
}

fn issue(world: &mut World, application_id: u64, user_id: u64, scopes: Vec<String>) -> Page {
    let (access, refresh) = (random_hex(32), random_hex(32));
    let id = world.next_id("oauth_token");
    let created_at = world.now();
    let scope = scopes.join(" ");
    world.oauth_tokens.push(OauthToken {
        id,
        token_digest: digest(&access),
        refresh_digest: Some(digest(&refresh)),
        application_id,
        user_id,
        scopes,
        expires_in: TOKEN_LIFE,
        created_at,
        revoked_at: None,
    });
    let mut page = Page::json(
        StatusCode::OK,
        &json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": TOKEN_LIFE,
            "refresh_token": refresh,
            "scope": scope,
            "created_at": created_at.as_second(),
        }),
    );
    page.set_header(header::CACHE_CONTROL, "no-store");
    page
}

/// `POST /oauth/introspect`: changes nothing, and tells a right secret from a wrong one.
fn introspect(world: &mut World, request: &PageRequest) -> Page {
    let application = match client(world, request) {
        Client::Known(application) => application,
        Client::Wrong => return invalid_client(),
        Client::Absent => {
            return error(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "Request need to be authorized. Required parameter for authorizing request is missing or invalid.",
            );
        }
    };
    let now = world.now();
    let wanted = digest(request.param("token").unwrap_or_default());
    let found = world.oauth_tokens.iter().find(|token| {
        token.application_id == application.id
            && (token.token_digest == wanted || token.refresh_digest.as_deref() == Some(wanted.as_str()))
    });
    let answer: Value = match found.filter(|token| token.alive(now)) {
        Some(token) => json!({
            "active": true,
            "scope": token.scopes.join(" "),
            "client_id": application.uid,
            "token_type": "Bearer",
            "exp": (token.created_at + SignedDuration::from_secs(token.expires_in)).as_second(),
            "iat": token.created_at.as_second(),
        }),
        None => json!({ "active": false }),
    };
    Page::json(StatusCode::OK, &answer)
}

/// `POST /oauth/revoke`. Up to 18: 200 whatever the secret, unless the token is a real one of a confidential application.
/// From 19 on (Doorkeeper 5.9): 403 without the right client, whatever the token.
fn revoke(world: &mut World, request: &PageRequest) -> Page {
    let wanted = digest(request.param("token").unwrap_or_default());
    let caller = match client(world, request) {
        Client::Known(application) => Some(application.id),
        Client::Wrong | Client::Absent => None,
    };
    if caller.is_none() && world.switches.at_least(19, 0) {
        return not_authorized_to_revoke();
    }
    let now = world.now();
    let found = world
        .oauth_tokens
        .iter()
        .position(|token| token.token_digest == wanted || token.refresh_digest.as_deref() == Some(wanted.as_str()));
    if let Some(position) = found {
        let owner = world.oauth_tokens[position].application_id;
        let open = world
            .application(owner)
            .is_none_or(|application| !application.confidential);
        if caller != Some(owner) && !open {
            return not_authorized_to_revoke();
        }
        world.oauth_tokens[position].revoked_at.get_or_insert(now);
    }
    Page::json(StatusCode::OK, &json!({}))
}

fn not_authorized_to_revoke() -> Page {
    error(
        StatusCode::FORBIDDEN,
        "unauthorized_client",
        "You are not authorized to revoke this token",
    )
}

/// `GET /oauth/token/info`
fn info(world: &mut World, request: &PageRequest) -> Page {
    let bearer = request
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .or_else(|| request.present("access_token"));
    let now = world.now();
    let found = bearer
        .map(digest)
        .and_then(|wanted| world.oauth_tokens.iter().find(|token| token.token_digest == wanted))
        .filter(|token| token.alive(now));
    let Some(token) = found else {
        return error(StatusCode::UNAUTHORIZED, "invalid_token", "The access token is invalid");
    };
    let left = (token.created_at + SignedDuration::from_secs(token.expires_in)).as_second() - now.as_second();
    let uid = world
        .application(token.application_id)
        .map(|application| application.uid.clone());
    Page::json(
        StatusCode::OK,
        &json!({
            "resource_owner_id": token.user_id,
            "scope": token.scopes,
            "expires_in": left,
            "application": { "uid": uid },
            "created_at": token.created_at.as_second(),
            "scopes": token.scopes,
            "expires_in_seconds": left,
        }),
    )
}
