//! Factory's side of the wire to GitLab: the token endpoint, the API as the authorizing user, tokens that are refreshed
//! when they end.
//!
//! Its name service knows one GitLab: the configured external URL and the listening address both lead to the listening
//! address, every other domain leads nowhere.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::faults::FACTORY_AGENT;
use crate::state::App;
use crate::world::{FactoryAuthorization, FactoryIntegration, World};

/// Why GitLab could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// There is no integration, or nobody has authorized it.
    NotConnected,
    /// The authorization works no longer, and why; it has been written down.
    Broken(String),
    /// GitLab could not be reached or did not answer in order: it may work later.
    Unavailable(String),
}

/// What the token endpoint gives.
#[derive(Deserialize)]
pub(super) struct Tokens {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: i64,
}

impl Tokens {
    pub(super) fn into_authorization(self, user: &GitlabUser, now: Timestamp) -> FactoryAuthorization {
        FactoryAuthorization {
            user_id: user.id,
            username: user.username.clone(),
            access_token: self.access_token,
            refresh_token: self.refresh_token,
            expires_at: now + SignedDuration::from_secs(self.expires_in),
            authorized_at: now,
            broken: None,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct GitlabUser {
    id: u64,
    username: String,
}

/// A project as the list gives it.
#[derive(Deserialize)]
pub(super) struct GitlabProject {
    pub(super) id: u64,
    pub(super) path_with_namespace: String,
    #[serde(default)]
    pub(super) archived: bool,
}

/// A page of projects, by ascending id.
pub(super) struct Projects {
    pub(super) projects: Vec<GitlabProject>,
    pub(super) more: bool,
}

/// One address in the form in which two spellings are equal: host in lower case, no slash at the end.
pub(super) fn normalized(domain: &str) -> Option<String> {
    let url = url::Url::parse(domain.trim()).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    plain.then(|| url.as_str().trim_end_matches('/').to_owned())
}

/// Where a domain leads: the listening address of this sandbox's GitLab, or nowhere.
pub(super) fn resolve(app: &App, domain: &str) -> Option<String> {
    let wanted = normalized(domain)?;
    let listening = app.gitlab_url();
    let known = [Some(listening.clone()), Some(app.gitlab_external_url())];
    known
        .into_iter()
        .flatten()
        .any(|url| normalized(&url).is_some_and(|url| url == wanted))
        .then_some(listening)
}

fn client() -> Result<&'static reqwest::Client, Trouble> {
    static CLIENT: OnceLock<Option<reqwest::Client>> = OnceLock::new();
    let client = CLIENT.get_or_init(|| {
        // Loopback only, but the client wants a provider at hand; whoever was first may stay.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .user_agent(FACTORY_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // Sandboxes come and go with their runtimes: a connection kept from one must not be used in the next.
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(30))
            .build()
            .ok()
    });
    client
        .as_ref()
        .ok_or_else(|| Trouble::Unavailable("Factory has no HTTP client".to_owned()))
}

fn unreachable_domain(domain: &str) -> Trouble {
    Trouble::Unavailable(format!("GitLab could not be reached at {domain}"))
}

/// Exchanges a code, or a refresh token, with the credentials that are stored.
///
/// # Errors
/// `Broken` with GitLab's error code where it refused, `Unavailable` where it did not answer.
async fn tokens(app: &App, integration: &FactoryIntegration, grant: &[(&str, &str)]) -> Result<Tokens, Trouble> {
    let base = resolve(app, &integration.domain).ok_or_else(|| unreachable_domain(&integration.domain))?;
    let mut form = vec![
        ("client_id", integration.application_id.as_str()),
        ("client_secret", integration.secret.as_str()),
    ];
    form.extend_from_slice(grant);
    let answer = client()?
        .post(format!("{base}/oauth/token"))
        .form(&form)
        .send()
        .await
        .map_err(broken_wire)?;
    let status = answer.status();
    let body: Value = answer.json().await.map_err(broken_wire)?;
    if status.is_success() {
        return serde_json::from_value(body)
            .map_err(|_| Trouble::Unavailable("GitLab's token endpoint gave no token".to_owned()));
    }
    if status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS {
        return Err(Trouble::Unavailable(format!(
            "GitLab's token endpoint answered {status}"
        )));
    }
    let code = body
        .get("error")
        .and_then(Value::as_str)
        .unwrap_or("unknown error")
        .to_owned();
    Err(Trouble::Broken(format!("GitLab refused the credentials: {code}")))
}

/// Exchanges the code of the redirect URI and asks GitLab whose it is.
pub(super) async fn authorize(
    app: &App,
    integration: &FactoryIntegration,
    code: &str,
    redirect_uri: &str,
) -> Result<FactoryAuthorization, Trouble> {
    let grant = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri),
    ];
    let tokens = tokens(app, integration, &grant).await?;
    let base = resolve(app, &integration.domain).ok_or_else(|| unreachable_domain(&integration.domain))?;
    let answer = get(&base, "/api/v4/user", &tokens.access_token).await?;
    if !answer.status().is_success() {
        return Err(Trouble::Broken(refusal(answer).await));
    }
    let user: GitlabUser = answer.json().await.map_err(broken_wire)?;
    Ok(tokens.into_authorization(&user, app.read(World::now)))
}

async fn get(base: &str, path: &str, token: &str) -> Result<reqwest::Response, Trouble> {
    client()?
        .get(format!("{base}{path}"))
        .bearer_auth(token)
        .send()
        .await
        .map_err(broken_wire)
}

fn broken_wire(error: reqwest::Error) -> Trouble {
    Trouble::Unavailable(format!("GitLab did not answer: {}", error.without_url()))
}

/// GitLab's own words on a refusal.
async fn refusal(answer: reqwest::Response) -> String {
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or_default();
    let text = ["message", "error_description", "error"]
        .into_iter()
        .find_map(|key| body.get(key)?.as_str());
    match text {
        Some(text) => format!("GitLab refused: {text}"),
        None => format!("GitLab refused with status {status}"),
    }
}

/// A request to GitLab's API as the user who approved. A token that ended is refreshed before, one that is refused
/// is refreshed once after; what then still fails is written down as broken, and what works again as whole.
pub(super) async fn call(app: &App, path: &str) -> Result<reqwest::Response, Trouble> {
    let (integration, mut authorization) = stored(app)?;
    let base = resolve(app, &integration.domain).ok_or_else(|| unreachable_domain(&integration.domain))?;
    let now = app.read(World::now);
    let mut fresh = false;
    if authorization.expires_at <= now + SignedDuration::from_secs(60) {
        (_, authorization) = refresh(app, &authorization.access_token).await?;
        fresh = true;
    }
    let mut answer = get(&base, path, &authorization.access_token).await?;
    if answer.status() == reqwest::StatusCode::UNAUTHORIZED && !fresh {
        (_, authorization) = refresh(app, &authorization.access_token).await?;
        answer = get(&base, path, &authorization.access_token).await?;
    }
    let status = answer.status();
    if matches!(status.as_u16(), 401 | 403) {
        let reason = refusal(answer).await;
        remember(app, Some(&reason));
        return Err(Trouble::Broken(reason));
    }
    if status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS {
        return Err(Trouble::Unavailable(format!("GitLab answered {status}")));
    }
    if authorization.broken.is_some() {
        remember(app, None);
    }
    Ok(answer)
}

fn stored(app: &App) -> Result<(FactoryIntegration, FactoryAuthorization), Trouble> {
    let integration = app
        .read(|world| world.factory.integration.clone())
        .ok_or(Trouble::NotConnected)?;
    let authorization = integration.authorization.clone().ok_or(Trouble::NotConnected)?;
    Ok((integration, authorization))
}

fn remember(app: &App, broken: Option<&str>) {
    app.write(|world| {
        let place = world
            .factory
            .integration
            .as_mut()
            .and_then(|integration| integration.authorization.as_mut());
        if let Some(authorization) = place {
            authorization.broken = broken.map(ToOwned::to_owned);
        }
    });
}

/// Refreshes the tokens, unless somebody did so since `used` was read.
async fn refresh(app: &App, used: &str) -> Result<(FactoryIntegration, FactoryAuthorization), Trouble> {
    let _turn = app.refreshing.lock().await;
    let (integration, authorization) = stored(app)?;
    if authorization.access_token != used {
        return Ok((integration, authorization));
    }
    let Some(refresh_token) = authorization.refresh_token.clone() else {
        let reason = "The access token ended, and there is none to refresh it with";
        remember(app, Some(reason));
        return Err(Trouble::Broken(reason.to_owned()));
    };
    let grant = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token.as_str()),
    ];
    match tokens(app, &integration, &grant).await {
        Ok(tokens) => {
            app.write(|world| {
                let now = world.now();
                let place = world
                    .factory
                    .integration
                    .as_mut()
                    .and_then(|integration| integration.authorization.as_mut());
                if let Some(authorization) = place.filter(|authorization| authorization.access_token == used) {
                    authorization.access_token = tokens.access_token;
                    authorization.refresh_token = tokens.refresh_token;
                    authorization.expires_at = now + SignedDuration::from_secs(tokens.expires_in);
                }
            });
            stored(app)
        }
        Err(Trouble::Broken(reason)) => {
            remember(app, Some(&reason));
            Err(Trouble::Broken(reason))
        }
        Err(other) => Err(other),
    }
}

/// Projects that the user can see, with ids above `after`, at most `limit` (to 100).
pub(super) async fn projects(app: &App, after: u64, limit: usize) -> Result<Projects, Trouble> {
    let path = format!("/api/v4/projects?pagination=keyset&order_by=id&sort=asc&per_page={limit}&id_after={after}");
    let answer = call(app, &path).await?;
    if !answer.status().is_success() {
        return Err(Trouble::Unavailable(format!(
            "GitLab answered {} to the list of projects",
            answer.status()
        )));
    }
    let more = answer
        .headers()
        .get_all("link")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|link| link.contains("rel=\"next\""));
    let projects = answer.json().await.map_err(broken_wire)?;
    Ok(Projects { projects, more })
}

/// Whether the user can see that project; moved ones count, their id stays.
pub(super) async fn sees(app: &App, id: u64) -> Result<bool, Trouble> {
    Ok(call(app, &format!("/api/v4/projects/{id}"))
        .await?
        .status()
        .is_success())
}

#[cfg(test)]
mod tests {
    use super::normalized;

    #[test]
    fn a_domain_is_an_origin_with_perhaps_a_path() {
        assert_eq!(
            normalized("https://GitLab.example.com/").as_deref(),
            Some("https://gitlab.example.com")
        );
        assert_eq!(
            normalized("https://example.com/gitlab/").as_deref(),
            Some("https://example.com/gitlab")
        );
        for wrong in [
            "gitlab.example.com",
            "ftp://example.com",
            "https://a:b@example.com",
            "https://example.com/?q=1",
        ] {
            assert_eq!(normalized(wrong), None, "{wrong}");
        }
    }
}
