//! Factory's side: reachable, and with the `api` driver whether the key, its plan and its role suffice.

use jiff::Timestamp;
use url::Url;

use super::{Check, way};
use crate::config::{Config, Driver, ExpectedRedirects};
use crate::factory::{FactoryInspect, FactoryRead};
use crate::http::{Client, Error, ErrorKind};
use crate::model::{IntegrationStatus, ObservedIntegration};
use crate::urls::origin;

/// What is known of Factory's side before the first request.
pub struct FactorySide<'a> {
    pub config: &'a Config,
    pub api_url: &'a Url,
    pub app_url: &'a Url,
    /// What it is asked with.
    pub client: &'a Client,
    pub now: Timestamp,
    /// Factory's web application, where a person does the steps of the assisted driver.
    pub site: &'a dyn FactoryInspect,
    /// Factory over its API; none without a key or under the assisted driver.
    pub api: Option<&'a dyn FactoryRead>,
}

impl FactorySide<'_> {
    /// All checks of this side.
    pub async fn check(&self) -> Vec<Check> {
        let mut checks = self.questions().await;
        checks.extend(way::check("factory", self.client, self.now).await);
        checks
    }

    async fn questions(&self) -> Vec<Check> {
        match (self.config.factory.driver, self.api) {
            (Driver::Assisted, _) => self.assisted().await,
            (Driver::Api, Some(api)) => self.api(api).await,
            (Driver::Api, None) => {
                let mut checks = self.site().await;
                checks.push(Check::skipped(
                    "factory.key",
                    "Key, plan and role were not looked at: there is no usable `factory.token`",
                ));
                checks.push(self.redirect_uri(None));
                checks
            }
        }
    }

    async fn site(&self) -> Vec<Check> {
        let place = origin(self.app_url);
        match self.site.reach().await {
            Ok(()) => reached(&place),
            Err(error) => unreached(&error),
        }
    }

    async fn assisted(&self) -> Vec<Check> {
        let mut checks = self.site().await;
        checks.push(Check::skipped(
            "factory.role",
            "Plan and role cannot be asked: whoever does the steps in Factory needs the role Owner or Manager, and the \
             organization the Enterprise plan",
        ));
        checks.push(self.redirect_uri(None));
        checks
    }

    async fn api(&self, api: &dyn FactoryRead) -> Vec<Check> {
        let place = origin(self.api_url);
        let (mut checks, integration) = match api.integration().await {
            Ok(integration) => {
                let mut checks = reached(&place);
                checks.push(Check::ok("factory.key", "Factory accepts the API key"));
                checks.push(Check::ok("factory.plan", "The plan includes self-hosted GitLab"));
                checks.push(Check::ok("factory.role", "The key's role may configure integrations"));
                checks.extend(integration.as_ref().map(connection));
                (checks, integration)
            }
            Err(error) => (refused(&place, &error), None),
        };
        let told = integration.and_then(|integration| integration.redirect_uri);
        checks.push(self.redirect_uri(told.as_deref()));
        checks
    }

    /// Whether the browser will be sent back to where the application allows it.
    fn redirect_uri(&self, told: Option<&str>) -> Check {
        const ID: &str = "factory.redirect_uri";
        let declared = &self.config.desired.application.redirect_uris;
        if let Some(told) = told {
            if declared.contains(told) {
                return Check::ok(ID, "application.redirect_uri has the redirect URI that Factory uses");
            }
            return Check::failure(
                ID,
                format!("Factory sends browsers back to {told}, which application.redirect_uri does not list"),
                "set application.redirect_uri to it",
            );
        }
        let factory = &self.config.factory;
        let expected = ExpectedRedirects::new(
            factory.region,
            Some(factory.api_url.as_str()),
            Some(factory.app_url.as_str()),
        );
        let faults: Vec<String> = declared
            .iter()
            .filter_map(|uri| expected.fault(uri).map(|fault| format!("{uri} {fault}")))
            .collect();
        if !faults.is_empty() {
            return Check::warning(
                ID,
                format!("application.redirect_uri: {}", faults.join("; ")),
                expected.hint(),
            );
        }
        match expected
            .missing(&declared.iter().map(String::as_str).collect::<Vec<_>>())
            .as_slice()
        {
            [] => Check::ok(ID, "application.redirect_uri lists both that Factory's guide has named"),
            missing => Check::ok(
                ID,
                format!(
                    "application.redirect_uri is one that Factory uses; if the popup's address names {}, list both",
                    missing.join(" or ")
                ),
            ),
        }
    }
}

fn reached(place: &str) -> Vec<Check> {
    let tls = if place.starts_with("https:") {
        "The TLS certificate of Factory is accepted"
    } else {
        "The connection is not encrypted, and does not leave this machine"
    };
    vec![
        Check::ok("factory.reachable", format!("Factory answers at {place}")),
        Check::ok("factory.tls", tls),
    ]
}

fn unreached(error: &Error) -> Vec<Check> {
    if error.kind == ErrorKind::Tls {
        return vec![Check::failed("factory.tls", error)];
    }
    vec![Check::failed("factory.reachable", error)]
}

/// Factory's refusals, in the order in which it looks: key, plan, role.
fn refused(place: &str, error: &Error) -> Vec<Check> {
    let failed = match error.kind {
        ErrorKind::Unauthorized => "factory.key",
        ErrorKind::PaymentRequired => "factory.plan",
        ErrorKind::Forbidden => "factory.role",
        ErrorKind::Unreachable | ErrorKind::Tls | ErrorKind::AnswerLost | ErrorKind::Refused => {
            return unreached(error);
        }
        _ => "factory.api",
    };
    let mut checks = reached(place);
    if matches!(error.kind, ErrorKind::PaymentRequired | ErrorKind::Forbidden) {
        checks.push(Check::ok("factory.key", "Factory accepts the API key"));
    }
    checks.push(Check::failed(failed, error));
    checks
}

fn connection(integration: &ObservedIntegration) -> Check {
    const ID: &str = "factory.connection";
    match integration.status {
        IntegrationStatus::Connected => Check::ok(ID, format!("Factory is connected to {}", integration.domain)),
        IntegrationStatus::Configured => Check::ok(
            ID,
            format!("Factory knows {}, and is not authorized there yet", integration.domain),
        ),
        IntegrationStatus::Error => {
            let detail = integration.detail.as_deref().unwrap_or("no reason is given");
            Check::warning(
                ID,
                format!(
                    "Factory's authorization at {} no longer works: {detail}",
                    integration.domain
                ),
                "run `setpoint apply`, which authorizes again",
            )
        }
    }
}
