//! The `api` driver: Factory's integration settings over the HTTP contract of this project
//! (`factory-integrations.openapi.yaml`). On the day Factory publishes endpoints of its own, this file is what changes.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde::Serialize;
use url::Url;

use super::errors::explained;
use super::page::reason;
use super::wire;
use super::{Attempt, BATCH, FactoryRead, FactoryWrite};
use crate::http::{Client, Error, ErrorKind, HTML_LIMIT, Method, Request, Response, Result, StatusCode};
use crate::model::{ApplicationUid, FactoryRepository, FactorySource, Known, ObservedIntegration, ProjectId};
use crate::secrets::Secret;
use crate::urls::{join, origin, same_origin};

/// More pages than any organization has.
const MOST_PAGES: usize = 10_000;
/// More than the text of any list of repositories, in bytes.
const MOST_TEXT: usize = 64 * 1024 * 1024;
/// More than any cursor, in bytes.
const LONGEST_CURSOR: usize = 4096;
/// Hosts under which Factory itself is known, in both regions: API first, web application second.
const CANONICAL: [(&str, &str); 2] = [
    ("https://api.factory.ai", "https://app.factory.ai"),
    ("https://api.eu.factory.ai", "https://app.eu.factory.ai"),
];

/// Factory over its API.
#[derive(Debug)]
pub struct FactoryApi {
    api: Client,
    app: Client,
    /// A redirect URI that is served at another address, and that address.
    redirect: Option<(Url, Url)>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Settings<'a> {
    domain: &'a str,
    application_id: &'a str,
    secret: &'a str,
}

#[derive(Serialize)]
struct Selection {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    enable: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    disable: Vec<String>,
}

impl FactoryApi {
    /// `api` is bound to the API's host and carries the key; `app` is bound to the web application's and carries
    /// nothing: redirect URIs of older organizations lie there.
    pub fn new(api: Client, app: Client) -> Self {
        Self {
            api,
            app,
            redirect: None,
        }
    }

    /// Requests this redirect URI at another address, which the web application's host has to have.
    #[must_use]
    pub fn with_redirect(mut self, uri: Url, at: Url) -> Self {
        self.redirect = Some((uri, at));
        self
    }

    /// What the API is asked with.
    pub fn client(&self) -> &Client {
        &self.api
    }

    /// A path of the integration.
    fn request(&self, method: Method, rest: &[&str]) -> Request {
        let segments: Vec<&str> = ["api", "v0", "integrations", "gitlab-sh"]
            .iter()
            .chain(rest)
            .copied()
            .collect();
        self.api.request(method, &segments)
    }

    /// Whether the contract is spoken where the integration is said to be absent: a server that knows nothing of it may
    /// answer any path with the same 404. The contract's list of repositories is never absent: it answers 409 as long as
    /// nothing is connected.
    async fn is_contract(&self) -> Result<()> {
        let request = self.request(Method::GET, &["repositories"]).query([("limit", "1")]);
        let answer = self.api.send(request).await?;
        if answer.status() == StatusCode::CONFLICT {
            return Ok(());
        }
        answer.success().map(drop).map_err(explained)
    }

    async fn call(&self, request: Request) -> Result<Response> {
        self.api.call(request).await.map_err(explained)
    }

    /// Where a redirect URI is requested: at the configured host that it belongs to.
    fn target(&self, redirect: &Url) -> Result<(&Client, Url)> {
        if let Some((uri, at)) = &self.redirect
            && same_origin(uri, redirect)
            && uri.path() == redirect.path()
        {
            let mut url = at.clone();
            url.set_query(redirect.query());
            return Ok((&self.app, url));
        }
        for client in [&self.api, &self.app] {
            if same_origin(client.base_url(), redirect) {
                return Ok((client, redirect.clone()));
            }
        }
        let is = |canonical: &str, url: &Url| Url::parse(canonical).is_ok_and(|canonical| same_origin(&canonical, url));
        let is_canonical = |url: &Url| CANONICAL.iter().any(|(api, app)| is(api, url) || is(app, url));
        for (api, app) in CANONICAL {
            for (client, canonical) in [(&self.api, api), (&self.app, app)] {
                // A host that the configuration put in the place of Factory's own stands in for it. Where it is
                // Factory's own, the redirect belongs to the other region.
                if is(canonical, redirect) && !is_canonical(client.base_url()) {
                    let segments: Vec<&str> = redirect.path_segments().map(Iterator::collect).unwrap_or_default();
                    let mut url = join(client.base_url(), &segments);
                    url.set_query(redirect.query());
                    return Ok((client, url));
                }
            }
        }
        let message = format!(
            "refused to request the redirect URI at {}: Factory is configured at {} and {}",
            origin(redirect),
            origin(self.api.base_url()),
            origin(self.app.base_url())
        );
        Err(Error::new(
            self.api.side(),
            ErrorKind::Refused,
            format!("GET {}", redirect.path()),
            message,
        )
        .with_hint("check application.redirect_uri, factory.region, factory.api_url and factory.app_url"))
    }
}

type Results = BTreeMap<ProjectId, std::result::Result<bool, String>>;

#[async_trait]
impl FactoryRead for FactoryApi {
    fn source(&self) -> FactorySource {
        FactorySource::Live
    }

    async fn integration(&self) -> Result<Option<ObservedIntegration>> {
        let answer = self.api.send(self.request(Method::GET, &[])).await?;
        if is_absent(&answer) {
            return self.is_contract().await.map(|()| None);
        }
        let answer = answer.success().map_err(explained)?;
        let body: wire::Wrapped = answer.json().map_err(explained)?;
        Ok(Some(body.integration.observed()))
    }

    async fn repositories(&self) -> Result<Known<BTreeMap<ProjectId, FactoryRepository>>> {
        let mut repositories = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut text = 0;
        let mut cursor: Option<String> = None;
        let limit = BATCH.to_string();
        for _ in 0..MOST_PAGES {
            let query = std::iter::once(("limit", limit.as_str())).chain(cursor.iter().map(|c| ("cursor", c.as_str())));
            let request = self.request(Method::GET, &["repositories"]).query(query);
            let answer = self.api.send(request).await?;
            if answer.status() == StatusCode::CONFLICT {
                return Ok(Known::Unknown);
            }
            let answer = answer.success().map_err(explained)?;
            let page: wire::Page = answer.json().map_err(explained)?;
            text += page.repositories.iter().map(wire::Repository::text).sum::<usize>();
            let cursor_length = page.pagination.next_cursor.as_ref().map_or(0, String::len);
            if page.repositories.len() > BATCH || text > MOST_TEXT || cursor_length > LONGEST_CURSOR {
                let message = "Factory's list of repositories is longer than any that has a reason to be";
                return Err(answer.failed(ErrorKind::TooLarge, message));
            }
            for repository in page.repositories {
                repositories.insert(repository.id, repository.observed());
            }
            match page.pagination.next_cursor.filter(|_| page.pagination.has_more) {
                None => return Ok(Known::Known(repositories)),
                Some(next) if seen.insert(next.clone()) => cursor = Some(next),
                Some(_) => return Err(answer.unexpected("Factory's pages of repositories repeat themselves")),
            }
        }
        let request = self.request(Method::GET, &["repositories"]).label();
        let message = "Factory's list of repositories has no end";
        Err(Error::new(self.api.side(), ErrorKind::Unexpected, request, message))
    }
}

#[async_trait]
impl FactoryWrite for FactoryApi {
    async fn save_connection(
        &self,
        domain: &str,
        application: &ApplicationUid,
        secret: &Secret,
    ) -> Result<ObservedIntegration> {
        let settings = Settings {
            domain,
            application_id: &application.0,
            secret: secret.expose(),
        };
        let request = self.request(Method::PUT, &[]).json(&settings)?;
        let answer = self.call(request.repeatable()).await?;
        let body: wire::Wrapped = answer.json().map_err(explained)?;
        Ok(body.integration.observed())
    }

    async fn delete_connection(&self) -> Result<()> {
        let request = self.request(Method::DELETE, &[]).repeatable();
        let answer = self.api.send(request).await?;
        if is_absent(&answer) {
            return Ok(());
        }
        answer.exactly(StatusCode::NO_CONTENT).map_err(explained)
    }

    async fn start_authorization(&self) -> Result<Attempt> {
        // An attempt that nobody finishes expires, so starting one more does no harm.
        let request = self.request(Method::POST, &["authorizations"]).repeatable();
        let answer = self.call(request).await?;
        answer.json().map_err(explained)
    }

    async fn finish_authorization(&self, redirect: &Url) -> Result<()> {
        let (client, url) = self.target(redirect)?;
        // The code is good for one use, so this request is no read, and is never repeated once it may have arrived.
        let request = Request::new(Method::GET, url)
            .writing()
            .anonymous()
            .accept_html()
            .limit(HTML_LIMIT);
        let answer = client.send(request).await?;
        if answer.status() == StatusCode::OK {
            return Ok(());
        }
        if !answer.status().is_client_error() {
            return Err(answer.error());
        }
        let said = match reason(&answer) {
            Some(said) => format!("Factory did not take the authorization: {said}"),
            None => format!(
                "Factory did not take the authorization (status {})",
                answer.status().as_u16()
            ),
        };
        let kind = match answer.status() {
            // Factory's page repeats what GitLab said; the word is OAuth's own (RFC 6749, 5.2).
            StatusCode::BAD_REQUEST if said.contains("invalid_client") => ErrorKind::InvalidClient,
            StatusCode::BAD_REQUEST => ErrorKind::Invalid,
            _ => answer.error().kind,
        };
        Err(answer.failed(kind, said))
    }

    async fn set_repositories(&self, enable: &BTreeSet<ProjectId>, disable: &BTreeSet<ProjectId>) -> Result<Results> {
        let texts = |ids: &BTreeSet<ProjectId>| ids.iter().map(ToString::to_string).collect();
        let selection = Selection {
            enable: texts(enable),
            disable: texts(disable),
        };
        let request = self.request(Method::PATCH, &["repositories"]).json(&selection)?;
        let answer = self.call(request.repeatable()).await?;
        let mut given: BTreeMap<ProjectId, wire::Change> = answer
            .json::<wire::Changes>()
            .map_err(explained)?
            .results
            .into_iter()
            .map(|change| (change.id, change))
            .collect();
        let mut result = |id: &ProjectId| match given.remove(id) {
            None => Err("Factory's answer does not mention it".to_owned()),
            Some(wire::Change { error: Some(error), .. }) => Err(error.into()),
            Some(change) => Ok(change.enabled),
        };
        Ok(enable.union(disable).map(|id| (*id, result(id))).collect())
    }
}

/// The contract's own 404. One in HTML, or without the contract's error body, comes from a server that does not have these
/// endpoints.
fn is_absent(answer: &Response) -> bool {
    answer.status() == StatusCode::NOT_FOUND && answer.json::<wire::Problem>().is_ok()
}
