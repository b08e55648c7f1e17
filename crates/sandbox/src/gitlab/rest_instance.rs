//! The instance and the caller: metadata, version, settings, namespaces, `/user`, the caller's own token, and the
//! `OpenID` discovery document.
//!
//! GitLab: lib/api/metadata.rb, lib/api/settings.rb, lib/api/namespaces.rb, `lib/api/personal_access_tokens/self.rb`.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::json;

use super::auth::{self, Via};
use super::call::{Answer, Call};
use super::{answers, entities};
use crate::state::App;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api/v4/metadata", get(metadata))
        .route("/api/v4/version", get(version))
        .route("/api/v4/user", get(user))
        .route("/api/v4/personal_access_tokens/self", get(own_token))
        .route("/api/v4/application/settings", get(settings))
        .route("/api/v4/namespaces/{id}", get(namespace))
        .route("/api/v4/namespaces/{id}/exists", get(namespace_exists))
        .route("/.well-known/openid-configuration", get(openid))
}

async fn metadata(call: Call) -> Answer {
    call.app.read(|world| {
        call.caller_reading_users(world)?;
        let version = &world.switches.gitlab_version;
        Ok(answers::json_answer(
            200,
            &json!({
                "version": version,
                "revision": "5a2bcd3ef41",
                "kas": { "enabled": true, "externalUrl": format!("{}/-/kubernetes-agent/", call.base), "version": version },
                "enterprise": version.ends_with("-ee"),
            }),
        ))
    })
}

async fn version(call: Call) -> Answer {
    call.app.read(|world| {
        call.caller_reading_users(world)?;
        Ok(answers::json_answer(
            200,
            &json!({ "version": world.switches.gitlab_version, "revision": "5a2bcd3ef41" }),
        ))
    })
}

async fn user(call: Call) -> Answer {
    call.app.read(|world| {
        let caller = call.caller_reading_users(world)?;
        let user = world.user(caller.user_id).ok_or_else(answers::unauthorized)?;
        Ok(answers::json_answer(
            200,
            &entities::user_public(world, user, &call.base, true),
        ))
    })
}

async fn own_token(call: Call) -> Answer {
    call.app.read(|world| {
        // Any scope will do to ask about the token itself.
        let caller = auth::authenticate(world, &call.parts, &world.switches.known_scopes())?;
        let Via::Personal(id) = caller.via else {
            return Err(answers::message(
                400,
                "400 Bad request - This endpoint requires a personal access token",
            ));
        };
        let token = world
            .personal_tokens
            .iter()
            .find(|token| token.id == id)
            .ok_or_else(answers::unauthorized)?;
        let (scopes, expires_at) = auth::effective(world, token);
        let scopes = if token.granular.is_some() {
            vec!["granular".to_owned()]
        } else {
            scopes
        };
        let mut body = json!({
            "id": token.id, "name": token.name, "revoked": token.revoked, "created_at": token.created_at,
            "description": null, "scopes": scopes, "user_id": token.user_id, "last_used_at": null,
            "active": !token.revoked, "expires_at": expires_at,
        });
        if world.switches.at_least(19, 0) {
            entities::extend(&mut body, json!({ "granular": token.granular.is_some() }));
        }
        Ok(answers::json_answer(200, &body))
    })
}

async fn settings(call: Call) -> Answer {
    call.app.read(|world| {
        call.admin(world)?;
        let switches = &world.switches;
        let mut body = json!({
                "id": 1,
                "signup_enabled": false,
                "home_page_url": call.base,
                "password_authentication_enabled_for_web": !switches.password_login_off,
                "password_authentication_enabled_for_git": true,
                "require_two_factor_authentication": switches.require_two_factor,
                "require_admin_two_factor_authentication": switches.require_admin_two_factor,
                "two_factor_grace_period": switches.two_factor_grace_period,
                "max_login_attempts": switches.max_login_attempts,
                "failed_login_attempts_unlock_period_in_minutes":
                    switches.failed_login_attempts_unlock_period_in_minutes,
                "enforce_terms": switches.enforce_terms,
                "terms": if switches.enforce_terms { world.terms.last() } else { None },
                "recaptcha_enabled": switches.recaptcha,
                "login_recaptcha_protection_enabled": switches.recaptcha,
                "admin_mode": switches.admin_mode,
                "disable_admin_oauth_scopes": switches.disable_admin_oauth_scopes,
                "email_confirmation_setting": if switches.email_confirmation { "hard" } else { "off" },
                "minimum_password_length": switches.minimum_password_length,
                "deactivate_dormant_users": switches.deactivate_dormant_users,
                "deactivate_dormant_users_period": switches.deactivate_dormant_users_period,
                "enabled_git_access_protocol": switches.enabled_git_access_protocol,
                "throttle_authenticated_api_enabled": switches.rate_limit > 0,
                "throttle_authenticated_api_requests_per_period": if switches.rate_limit > 0 { switches.rate_limit } else { 7200 },
                "throttle_authenticated_api_period_in_seconds":
                    if switches.rate_limit > 0 { switches.rate_limit_window_seconds } else { 3600 },
                "throttle_protected_paths_enabled": switches.protected_paths_limit > 0,
                "throttle_protected_paths_requests_per_period": switches.protected_paths_limit,
                "throttle_protected_paths_period_in_seconds": 60,
                "user_oauth_applications": true,
                "user_default_external": switches.user_default_external,
                "disable_password_authentication_for_users_with_sso_identities":
                    switches.disable_password_authentication_for_users_with_sso_identities,
        });
        if switches.gitlab_version.ends_with("-ee") {
            let more = json!({ "maintenance_mode": switches.maintenance_mode, "maintenance_mode_message": null });
            entities::extend(&mut body, more);
        }
        if switches.at_least(18, 1) {
            let on = switches.require_email_verification_on_account_locked;
            entities::extend(&mut body, json!({ "require_email_verification_on_account_locked": on }));
        }
        Ok(answers::json_answer(200, &body))
    })
}

async fn namespace(call: Call) -> Answer {
    call.app.read(|world| {
        call.caller(world)?;
        let wanted = call.path("id");
        let id: Option<u64> = wanted.parse().ok();
        if let Some(group) = id.and_then(|id| world.group(id)).or_else(|| world.group_at(wanted)) {
            return Ok(answers::json_answer(
                200,
                &json!({
                    "id": group.id, "name": group.name, "path": group.path(), "kind": "group",
                    "full_path": group.full_path, "parent_id": group.parent_id, "avatar_url": null,
                    "web_url": format!("{}/groups/{}", call.base, group.full_path),
                }),
            ));
        }
        let user = id
            .and_then(|id| id.checked_sub(1_000_000))
            .and_then(|id| world.user(id))
            .or_else(|| world.user_named(wanted))
            .ok_or_else(|| answers::not_found("Namespace"))?;
        Ok(answers::json_answer(
            200,
            &json!({
                "id": entities::user_namespace_id(user), "name": user.name, "path": user.username, "kind": "user",
                "full_path": user.username, "parent_id": null, "avatar_url": null,
                "web_url": format!("{}/{}", call.base, user.username),
            }),
        ))
    })
}

async fn namespace_exists(call: Call) -> Answer {
    let parent = call.params.number("parent_id")?;
    call.app.read(|world| {
        call.caller(world)?;
        let wanted = call.path("id");
        let taken = world
            .groups
            .iter()
            .any(|group| group.parent_id == parent && group.path().eq_ignore_ascii_case(wanted))
            || parent.is_none() && world.user_named(wanted).is_some();
        let suggests = if taken { vec![format!("{wanted}1")] } else { Vec::new() };
        Ok(answers::json_answer(
            200,
            &json!({ "exists": taken, "suggests": suggests }),
        ))
    })
}

async fn openid(State(app): State<App>) -> Response {
    let base = app.gitlab_external_url();
    let (scopes, by_password) = app.read(|world| (world.switches.known_scopes(), !world.switches.at_least(19, 0)));
    let mut grants = vec![
        "authorization_code",
        "client_credentials",
        "device_code",
        "refresh_token",
    ];
    if by_password {
        grants.push("password");
    }
    answers::json_answer(
        200,
        &json!({
            "issuer": base,
            "authorization_endpoint": format!("{base}/oauth/authorize"),
            "token_endpoint": format!("{base}/oauth/token"),
            "revocation_endpoint": format!("{base}/oauth/revoke"),
            "introspection_endpoint": format!("{base}/oauth/introspect"),
            "userinfo_endpoint": format!("{base}/oauth/userinfo"),
            "jwks_uri": format!("{base}/oauth/discovery/keys"),
            "scopes_supported": scopes,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "grant_types_supported": grants,
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["plain", "S256"],
        }),
    )
}
