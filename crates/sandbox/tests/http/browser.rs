//! A browser for the tests: cookies are kept, redirects are not followed, forms are parsed as HTML.

use std::collections::BTreeMap;

use scraper::{ElementRef, Html, Selector};
use serde_json::Value;
use setpoint_sandbox::world::{Application, Source, User, digest};
use setpoint_sandbox::{Options, Sandbox};
pub(crate) const SECRET: &str = "gloas-obviously-fake";
pub(crate) const SCOPES: &str =
    "api read_api read_user read_repository write_repository read_observability write_observability";

/// A sandbox with those switches, a droid, and an application that sends back to Factory.
pub(crate) async fn sandbox(switches: &[&str]) -> Sandbox {
    let mut options = Options::default();
    for switch in switches {
        options.switches.set(switch).unwrap();
    }
    let sandbox = setpoint_sandbox::start(options).await.unwrap();
    let redirect_uri = format!(
        "{}/api/integrations/redirect/gitlab-sh/callback",
        sandbox.factory_api_url()
    );
    let password = sandbox.credentials().droid_password;
    sandbox.with_world(|world| {
        let now = world.now();
        let id = world.next_id("user");
        world.users.push(User {
            id,
            username: "droid".to_owned(),
            name: "Droid".to_owned(),
            email: "droid@example.com".to_owned(),
            confirmed_at: Some(now),
            password_digest: digest(password),
            ..User::default()
        });
        let platform = world.group_at("platform").unwrap().id;
        world.set_member(Source::Group(platform), id, 30);
        let id = world.next_id("application");
        world.applications.push(Application {
            id,
            uid: "droid-application".to_owned(),
            name: "Factory <Integration>".to_owned(),
            redirect_uri,
            scopes: SCOPES.split(' ').map(ToOwned::to_owned).collect(),
            confidential: true,
            trusted: true,
            secret_digest: digest(SECRET),
            ..Application::default()
        });
    });
    sandbox
}

/// A browser: cookies are kept, redirects are not followed.
pub(crate) struct Browser {
    pub(crate) client: reqwest::Client,
    pub(crate) base: String,
}

pub(crate) struct Shown {
    pub(crate) status: u16,
    pub(crate) location: String,
    pub(crate) body: String,
}

#[derive(Debug, Clone)]
pub(crate) struct FormSeen {
    pub(crate) action: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) names: Vec<String>,
}

impl FormSeen {
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(key, _)| key != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Browser {
    pub(crate) fn new(base: String) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .cookie_store(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self { client, base }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.base)
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Shown {
        shown(self.client.get(self.url(path)).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, form: &FormSeen) -> Shown {
        let origin = url::Url::parse(&self.base).unwrap().origin().ascii_serialization();
        shown(
            self.client
                .post(format!("{origin}{}", form.action))
                .form(&form.fields)
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    /// Signs in by the form and gives what the post was answered.
    pub(crate) async fn sign_in(&self, login: &str, password: &str) -> Shown {
        let form = self.get("/users/sign_in").await.form("/users/sign_in");
        self.post(&form.set("user[login]", login).set("user[password]", password))
            .await
    }

    /// Signs out, so that no session is left.
    pub(crate) async fn leave(&self) {
        let mut form = self.get("/").await.csrf();
        form.action = format!(
            "{}/users/sign_out",
            url::Url::parse(&self.base).unwrap().path().trim_end_matches('/')
        );
        assert_eq!(self.post(&form).await.status, 302);
    }

    pub(crate) async fn username(&self) -> Option<String> {
        let answer = self.client.get(self.url("/api/v4/user")).send().await.unwrap();
        let body: Value = answer.json().await.unwrap_or_default();
        body.get("username").and_then(Value::as_str).map(ToOwned::to_owned)
    }
}

pub(crate) async fn shown(response: reqwest::Response) -> Shown {
    let status = response.status().as_u16();
    let location = response
        .headers()
        .get("location")
        .map(|value| value.to_str().unwrap().to_owned())
        .unwrap_or_default();
    Shown {
        status,
        location,
        body: response.text().await.unwrap(),
    }
}

impl Shown {
    /// The first form whose action ends so.
    pub(crate) fn form(&self, action: &str) -> FormSeen {
        self.forms()
            .into_iter()
            .find(|form| form.action.ends_with(action))
            .unwrap_or_else(|| {
                panic!("no form for {action} with status {} in {}", self.status, self.body);
            })
    }

    pub(crate) fn forms(&self) -> Vec<FormSeen> {
        let page = Html::parse_document(&self.body);
        let (forms, inputs) = (selector("form"), selector("input, textarea"));
        page.select(&forms)
            .map(|form| {
                let mut fields = Vec::new();
                let mut names = Vec::new();
                for input in form.select(&inputs) {
                    let Some(name) = input.attr("name") else { continue };
                    names.push(name.to_owned());
                    let tick = input.attr("type") == Some("checkbox");
                    if !tick || input.attr("checked").is_some() {
                        fields.push((name.to_owned(), value_of(input)));
                    }
                }
                FormSeen {
                    action: form.attr("action").unwrap().to_owned(),
                    fields,
                    names,
                }
            })
            .collect()
    }

    pub(crate) fn attr(&self, css: &str, name: &str) -> Option<String> {
        let page = Html::parse_document(&self.body);
        page.select(&selector(css))
            .next()
            .and_then(|element| element.attr(name))
            .map(ToOwned::to_owned)
    }

    pub(crate) fn text(&self, css: &str) -> String {
        let page = Html::parse_document(&self.body);
        page.select(&selector(css))
            .flat_map(|element| element.text())
            .collect::<String>()
            .trim()
            .to_owned()
    }

    /// The text of each such element.
    pub(crate) fn texts(&self, css: &str) -> Vec<String> {
        let page = Html::parse_document(&self.body);
        page.select(&selector(css))
            .map(|element| element.text().collect())
            .collect()
    }

    /// Field and value of the page's `meta` token.
    pub(crate) fn csrf(&self) -> FormSeen {
        let token = self.attr("meta[name=csrf-token]", "content").unwrap();
        FormSeen {
            action: String::new(),
            fields: vec![("authenticity_token".to_owned(), token)],
            names: Vec::new(),
        }
    }
}

pub(crate) fn selector(css: &str) -> Selector {
    Selector::parse(css).unwrap()
}

pub(crate) fn value_of(input: ElementRef<'_>) -> String {
    if input.value().name() == "textarea" {
        input.text().collect()
    } else {
        input.attr("value").unwrap_or_default().to_owned()
    }
}

pub(crate) fn query(url: &str) -> BTreeMap<String, String> {
    url::Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

pub(crate) fn authorize_path(sandbox: &Sandbox, scope: &str) -> String {
    let redirect_uri = format!(
        "{}/api/integrations/redirect/gitlab-sh/callback",
        sandbox.factory_api_url()
    );
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", "droid-application")
        .append_pair("redirect_uri", &redirect_uri)
        .append_pair("response_type", "code")
        .append_pair("state", "a&b")
        .append_pair("scope", scope)
        .finish();
    format!("/oauth/authorize?{query}")
}
