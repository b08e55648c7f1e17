//! A plain client of the API.

use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use setpoint_sandbox::{Options, Sandbox};

/// A client of the API, and the sandbox that it asks.
pub(crate) struct Api {
    pub(crate) sandbox: Sandbox,
    pub(crate) client: Client,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} is no JSON: {}", self.status, self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The address under `rel="next"`.
    pub(crate) fn next(&self) -> Option<String> {
        let link = self.header("link")?;
        let part = link.split(", ").find(|part| part.ends_with("rel=\"next\""))?;
        Some(part.strip_prefix('<')?.split('>').next()?.to_owned())
    }
}

impl Api {
    pub(crate) async fn with(mut options: Options, switches: &[&str]) -> Self {
        for switch in switches {
            options.switches.set(switch).unwrap();
        }
        // The client may have been built before in this process; the second time is refused, and does not matter.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            sandbox: setpoint_sandbox::start(options).await.unwrap(),
            client,
        }
    }

    pub(crate) async fn new(switches: &[&str]) -> Self {
        Self::with(Options::default(), switches).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, token: Option<&str>, body: Option<Value>) -> Answer {
        self.send_with(method, path, token, &[], body).await
    }

    pub(crate) async fn send_with(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let url = format!("{}{path}", self.sandbox.gitlab_url());
        let mut request = self.client.request(Method::from_bytes(method.as_bytes()).unwrap(), url);
        if let Some(token) = token {
            request = request.header("PRIVATE-TOKEN", token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    pub(crate) async fn root(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.send(method, path, Some(setpoint_sandbox::ROOT_TOKEN), body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.root("GET", path, None).await
    }

    pub(crate) async fn graphql(&self, query: &str, variables: Value) -> Value {
        let answer = self
            .root(
                "POST",
                "/api/graphql",
                Some(json!({ "query": query, "variables": variables })),
            )
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// Creates a user and gives its id.
    pub(crate) async fn user(&self, username: &str) -> u64 {
        let body = json!({
            "username": username, "name": username, "email": format!("{username}@example.com"),
            "password": "long enough 1", "skip_confirmation": true,
        });
        let answer = self.root("POST", "/api/v4/users", Some(body)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["id"].as_u64().unwrap()
    }

    /// A token of that user's own.
    pub(crate) async fn token_of(&self, id: u64, scopes: &[&str]) -> String {
        let body = json!({ "name": "test", "scopes": scopes });
        let answer = self
            .root("POST", &format!("/api/v4/users/{id}/impersonation_tokens"), Some(body))
            .await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["token"].as_str().unwrap().to_owned()
    }
}
