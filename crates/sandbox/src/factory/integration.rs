//! What may be done with the integration, whoever asks: the API and the settings page are two doors to this.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::gitlab_client::{self, Trouble, normalized};
use crate::state::App;
use crate::switches::FactoryRedirect;
use crate::world::{FactoryAttempt, FactoryAudit, FactoryIntegration, World, random_hex};

/// The scopes that Factory asks for.
const SCOPES: &str = "api read_api read_user read_repository write_repository read_observability write_observability";
/// How long an attempt may take.
const ATTEMPT_LIFE: SignedDuration = SignedDuration::from_mins(10);
/// The redirect URI's path below the app host, for organizations from before 2026-01-27.
pub(crate) const LEGACY_PATH: &str = "/api/integrations/redirect/gitlab-sh";
/// The redirect URI's path below the API host.
pub(super) const CURRENT_PATH: &str = "/api/integrations/redirect/gitlab-sh/callback";

/// A refusal: status and reason.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Status of the answer.
    pub(super) status: StatusCode,
    /// Why, for people.
    pub(super) detail: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
        }
    }
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NotConnected => Self::new(StatusCode::CONFLICT, "The integration is not connected to GitLab"),
            Trouble::Broken(reason) => Self::new(
                StatusCode::CONFLICT,
                format!("The authorization no longer works. {reason}"),
            ),
            Trouble::Unavailable(reason) => Self::new(StatusCode::BAD_GATEWAY, reason),
        }
    }
}

/// Where GitLab must send the browser back to.
pub(super) fn redirect_uri(app: &App) -> String {
    if let Some(external) = app.factory_redirect_external() {
        return external.to_owned();
    }
    match app.read(|world| world.switches.factory_redirect) {
        FactoryRedirect::Legacy => format!("{}{LEGACY_PATH}", app.factory_app_external()),
        FactoryRedirect::Current => format!("{}{CURRENT_PATH}", app.factory_api_external()),
    }
}

/// The integration as the contract shows it; never with the secret.
pub(super) fn view(app: &App) -> Option<Value> {
    let integration = app.read(|world| world.factory.integration.clone())?;
    let authorization = integration.authorization.as_ref();
    let broken = authorization.and_then(|authorization| authorization.broken.clone());
    let status = match (authorization, &broken) {
        (None, _) => "configured",
        (Some(_), None) => "connected",
        (Some(_), Some(_)) => "error",
    };
    Some(json!({
        "domain": integration.domain,
        "applicationId": integration.application_id,
        "redirectUri": redirect_uri(app),
        "status": status,
        "statusDetail": broken,
        "authorizedUser": authorization.map(|user| json!({ "id": user.user_id, "username": user.username })),
        "configuredAt": integration.configured_at.to_string(),
        "authorizedAt": authorization.map(|authorization| authorization.authorized_at.to_string()),
    }))
}

/// Saves the three values. What changes any of them drops the authorization; the selection of repositories stays.
pub(super) fn save(app: &App, domain: &str, application_id: &str, secret: &str, source: &str) -> Result<(), Refusal> {
    let domain = accepted_domain(app, domain)?;
    app.write(|world| {
        let now = world.now();
        let same =
            world.factory.integration.as_ref().is_some_and(|old| {
                old.domain == domain && old.application_id == application_id && old.secret == secret
            });
        if same {
            return;
        }
        let integration = FactoryIntegration {
            domain,
            application_id: application_id.to_owned(),
            secret: secret.to_owned(),
            configured_at: now,
            authorization: None,
        };
        if world
            .factory
            .integration
            .replace(integration)
            .is_some_and(|old| old.authorization.is_some())
        {
            audit(world, "disconnected", source);
        }
        // An attempt belongs to the settings that it was started with.
        world.factory.attempts.clear();
        audit(world, "configured", source);
    });
    Ok(())
}

/// The domain as it is kept: an http(s) address of a public host, or of this sandbox's GitLab.
fn accepted_domain(app: &App, given: &str) -> Result<String, Refusal> {
    let refused = |reason: &str| Refusal::new(StatusCode::BAD_REQUEST, format!("Domain is not accepted: {reason}"));
    let domain = normalized(given)
        .ok_or_else(|| refused("it must be an http or https address such as https://gitlab.example.com"))?;
    let url = url::Url::parse(&domain).map_err(|_| refused("it is no address"))?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let barred = app.read(|world| {
        world.switches.factory_refused_domains.iter().any(|barred| {
            barred.eq_ignore_ascii_case(&host) || normalized(barred).is_some_and(|barred| barred == domain)
        })
    });
    if barred {
        return Err(refused("its host resolves to no public address"));
    }
    if gitlab_client::resolve(app, &domain).is_none() && private_host(&url) {
        return Err(refused("its host resolves to no public address"));
    }
    Ok(domain)
}

fn private_host(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => {
            address.is_loopback() || address.is_private() || address.is_link_local() || address.is_unspecified()
        }
        Some(url::Host::Ipv6(address)) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost") || !name.contains('.'),
        None => true,
    }
}

/// Forgets the integration, its authorization and its selection. `false`: there was none.
pub(super) fn remove(app: &App, source: &str) -> bool {
    app.write(|world| {
        let was = world.factory.integration.take().is_some();
        if was {
            world.factory.attempts.clear();
            world.factory.enabled.clear();
            audit(world, "disconnected", source);
        }
        was
    })
}

/// Starts an attempt; gives it and GitLab's authorize URL, which is built on the domain as it was saved.
pub(super) fn start_attempt(app: &App) -> Result<(FactoryAttempt, String), Refusal> {
    let redirect_uri = redirect_uri(app);
    app.write(|world| {
        let Some(integration) = world.factory.integration.clone() else {
            return Err(Refusal::new(
                StatusCode::CONFLICT,
                "Nothing is configured: save domain, application ID and secret first",
            ));
        };
        let now = world.now();
        let attempt = FactoryAttempt {
            id: format!("attempt-{}", random_hex(8)),
            state: random_hex(24),
            redirect_uri: redirect_uri.clone(),
            expires_at: now + ATTEMPT_LIFE,
            finished: false,
        };
        world.factory.attempts.retain(|old| old.expires_at > now);
        world.factory.attempts.push(attempt.clone());
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("client_id", &integration.application_id)
            .append_pair("redirect_uri", &redirect_uri)
            .append_pair("response_type", "code")
            .append_pair("state", &attempt.state)
            .append_pair("scope", SCOPES);
        Ok((
            attempt,
            format!("{}/oauth/authorize?{}", integration.domain, query.finish()),
        ))
    })
}

/// A repository as the contract shows it.
pub(super) struct Repository {
    pub(super) id: u64,
    pub(super) full_path: String,
    pub(super) enabled: bool,
    pub(super) archived: bool,
}

/// The ids of all projects that the user can see.
pub(super) async fn visible(app: &App) -> Result<BTreeSet<u64>, Refusal> {
    let (repositories, _) = repositories(app, None, None, 0, usize::MAX).await?;
    Ok(repositories.into_iter().map(|repository| repository.id).collect())
}

/// Up to `limit` repositories with ids above `after`, of all that the user can see: all, or those (not) enabled, or
/// those whose path contains a text.
/// The second value is the id to go on after, where there are more.
pub(super) async fn repositories(
    app: &App,
    enabled: Option<bool>,
    search: Option<&str>,
    after: u64,
    limit: usize,
) -> Result<(Vec<Repository>, Option<u64>), Refusal> {
    let selected = app.read(|world| world.factory.enabled.clone());
    let mut found = Vec::new();
    let mut last = after;
    if let (Some(true), Some(first)) = (enabled, selected.range(after.saturating_add(1)..).next()) {
        last = first - 1;
    }
    loop {
        let page = gitlab_client::projects(app, last, 100).await?;
        let more = page.more && !page.projects.is_empty();
        for project in page.projects {
            last = project.id;
            let path = project.path_with_namespace.to_lowercase();
            let is_enabled = selected.contains(&project.id);
            let named = search.is_none_or(|text| path.contains(&text.to_lowercase()));
            if !named || enabled.is_some_and(|wanted| wanted != is_enabled) {
                continue;
            }
            if found.len() == limit {
                // One more than fits: so there is a next page, which begins after the last that fits.
                let next = found.last().map(|repository: &Repository| repository.id);
                return Ok((found, next));
            }
            found.push(Repository {
                id: project.id,
                full_path: project.path_with_namespace,
                enabled: is_enabled,
                archived: project.archived,
            });
        }
        // Of the enabled ones Factory knows by itself whether more can come.
        let none_left = enabled == Some(true) && selected.range(last.saturating_add(1)..).next().is_none();
        if !more || none_left {
            return Ok((found, None));
        }
    }
}

/// Writes into the audit log; `source` is `public_api_v0` or `web_settings_integrations`.
pub(super) fn audit(world: &mut World, intent: &str, source: &str) {
    let at = world.now();
    world.factory.audit.push(FactoryAudit {
        at,
        intent: intent.to_owned(),
        source: source.to_owned(),
    });
}
