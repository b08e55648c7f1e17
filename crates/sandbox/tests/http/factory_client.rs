//! A client of Factory's API with the Owner's key.

use serde_json::{Value, json};
use setpoint_sandbox::Sandbox;

use super::browser::{Browser, SECRET};

/// A request to Factory's API with the Owner's key.
pub(crate) async fn factory(
    sandbox: &Sandbox,
    method: reqwest::Method,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let browser = Browser::new(sandbox.factory_api_url());
    let mut request = browser
        .client
        .request(method, browser.url(path))
        .bearer_auth(sandbox.credentials().factory_key);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (
        status,
        if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap()
        },
    )
}

pub(crate) const INTEGRATION: &str = "/api/v0/integrations/gitlab-sh";

pub(crate) const AUTHORIZATIONS: &str = "/api/v0/integrations/gitlab-sh/authorizations";

pub(crate) const REPOSITORIES: &str = "/api/v0/integrations/gitlab-sh/repositories";

pub(crate) fn settings(sandbox: &Sandbox, secret: &str) -> Value {
    json!({ "domain": sandbox.gitlab_url(), "applicationId": "droid-application", "secret": secret })
}

/// Saves the settings of the application that is there.
pub(crate) async fn save(sandbox: &Sandbox) -> (u16, Value) {
    factory(
        sandbox,
        reqwest::Method::PUT,
        INTEGRATION,
        Some(settings(sandbox, SECRET)),
    )
    .await
}

/// Starts an attempt: its authorize URL.
pub(crate) async fn start(sandbox: &Sandbox) -> String {
    let (status, started) = factory(sandbox, reqwest::Method::POST, AUTHORIZATIONS, None).await;
    assert_eq!(status, 201);
    started["authorizationUrl"].as_str().unwrap().to_owned()
}
