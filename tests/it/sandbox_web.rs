//! The sandbox's web side as a browser meets it: sign-in, OAuth pages, admin area, and Factory from end to end.

use std::collections::BTreeMap;

use scraper::{ElementRef, Html, Selector};
use serde_json::{Value, json};
use setpoint::sandbox::world::{Application, Source, User, UserState, digest};
use setpoint::sandbox::{self, Options, Sandbox, Switches};

const TOTP_SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const SECRET: &str = "gloas-obviously-fake";
const SCOPES: &str = "api read_api read_user read_repository write_repository read_observability write_observability";

/// A sandbox with those switches, a droid, and an application that sends back to Factory.
async fn sandbox(switches: &[&str]) -> Sandbox {
    let mut options = Options::default();
    for switch in switches {
        options.switches.set(switch).unwrap();
    }
    let sandbox = sandbox::start(options).await.unwrap();
    let redirect_uri = format!("{}/api/integrations/redirect/gitlab-sh", sandbox.factory_app_url());
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
struct Browser {
    client: reqwest::Client,
    base: String,
}

struct Shown {
    status: u16,
    location: String,
    body: String,
}

#[derive(Debug, Clone)]
struct FormSeen {
    action: String,
    fields: Vec<(String, String)>,
    names: Vec<String>,
}

impl FormSeen {
    fn set(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(key, _)| key != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Browser {
    fn new(base: String) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .cookie_store(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self { client, base }
    }

    fn url(&self, path: &str) -> String {
        if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.base)
        }
    }

    async fn get(&self, path: &str) -> Shown {
        shown(self.client.get(self.url(path)).send().await.unwrap()).await
    }

    async fn post(&self, form: &FormSeen) -> Shown {
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
    async fn sign_in(&self, login: &str, password: &str) -> Shown {
        let form = self.get("/users/sign_in").await.form("/users/sign_in");
        self.post(&form.set("user[login]", login).set("user[password]", password))
            .await
    }

    async fn username(&self) -> Option<String> {
        let answer = self.client.get(self.url("/api/v4/user")).send().await.unwrap();
        let body: Value = answer.json().await.unwrap_or_default();
        body.get("username").and_then(Value::as_str).map(ToOwned::to_owned)
    }
}

async fn shown(response: reqwest::Response) -> Shown {
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
    fn form(&self, action: &str) -> FormSeen {
        self.forms()
            .into_iter()
            .find(|form| form.action.ends_with(action))
            .unwrap_or_else(|| {
                panic!("no form for {action} with status {} in {}", self.status, self.body);
            })
    }

    fn forms(&self) -> Vec<FormSeen> {
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

    fn attr(&self, css: &str, name: &str) -> Option<String> {
        let page = Html::parse_document(&self.body);
        page.select(&selector(css))
            .next()
            .and_then(|element| element.attr(name))
            .map(ToOwned::to_owned)
    }

    fn text(&self, css: &str) -> String {
        let page = Html::parse_document(&self.body);
        page.select(&selector(css))
            .flat_map(|element| element.text())
            .collect::<String>()
            .trim()
            .to_owned()
    }

    /// Field and value of the page's `meta` token.
    fn csrf(&self) -> FormSeen {
        let token = self.attr("meta[name=csrf-token]", "content").unwrap();
        FormSeen {
            action: String::new(),
            fields: vec![("authenticity_token".to_owned(), token)],
            names: Vec::new(),
        }
    }
}

fn selector(css: &str) -> Selector {
    Selector::parse(css).unwrap()
}

fn value_of(input: ElementRef<'_>) -> String {
    if input.value().name() == "textarea" {
        input.text().collect()
    } else {
        input.attr("value").unwrap_or_default().to_owned()
    }
}

fn query(url: &str) -> BTreeMap<String, String> {
    url::Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

fn authorize_path(sandbox: &Sandbox, scope: &str) -> String {
    let redirect_uri = format!("{}/api/integrations/redirect/gitlab-sh", sandbox.factory_app_url());
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", "droid-application")
        .append_pair("redirect_uri", &redirect_uri)
        .append_pair("response_type", "code")
        .append_pair("state", "a&b")
        .append_pair("scope", scope)
        .finish();
    format!("/oauth/authorize?{query}")
}

/// Posts to an OAuth endpoint: status and body.
async fn oauth(sandbox: &Sandbox, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
    let browser = Browser::new(sandbox.gitlab_url());
    let answer = browser
        .client
        .post(browser.url(path))
        .form(fields)
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn exchange(sandbox: &Sandbox, code: &str, secret: &str) -> (u16, Value) {
    let redirect_uri = format!("{}/api/integrations/redirect/gitlab-sh", sandbox.factory_app_url());
    oauth(
        sandbox,
        "/oauth/token",
        &[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect_uri),
            ("client_id", "droid-application"),
            ("client_secret", secret),
        ],
    )
    .await
}

#[tokio::test]
async fn sign_in_renews_the_session_and_its_token() {
    let sandbox = sandbox(&[]).await;
    let browser = Browser::new(sandbox.gitlab_url());
    assert_eq!(browser.get("/").await.status, 302);
    let page = browser.get("/users/sign_in").await;
    let form = page.form("/users/sign_in");
    assert_eq!(
        form.names,
        [
            "authenticity_token",
            "user[login]",
            "user[remember_me]",
            "user[remember_me]"
        ]
    );

    let wrong = browser
        .post(&form.clone().set("user[login]", "droid").set("user[password]", "wrong"))
        .await;
    assert_eq!(wrong.status, 200);
    assert!(wrong.text(".flash").contains("Invalid login or password"));
    let forged = browser.post(&form.clone().set("authenticity_token", "AAAA")).await;
    assert_eq!(forged.status, 422);

    let droid = sandbox.credentials().droid_password;
    let right = form.set("user[login]", "DROID").set("user[password]", droid);
    assert_eq!(browser.post(&right).await.status, 302);
    assert_eq!(browser.get("/").await.text("#username"), "droid");
    // The form from before the sign-in is worth nothing now.
    assert_eq!(browser.post(&right).await.status, 422);
    // A live session wins over whoever is posted.
    let root = sandbox.credentials();
    let token = browser.get("/").await.csrf();
    let again = FormSeen {
        action: "/users/sign_in".to_owned(),
        ..token
    }
    .set("user[login]", root.root_username)
    .set("user[password]", root.root_password);
    assert_eq!(browser.post(&again).await.status, 302);
    assert_eq!(browser.get("/").await.text("#username"), "droid");
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_redirect_after_sign_in_is_not_success() {
    let sandbox = sandbox(&[]).await;
    let droid = sandbox.credentials().droid_password;
    for state in [
        UserState::Blocked,
        UserState::BlockedPendingApproval,
        UserState::Deactivated,
    ] {
        sandbox.with_world(|world| {
            let id = world.user_named("droid").unwrap().id;
            world.user_mut(id).unwrap().state = state;
        });
        let browser = Browser::new(sandbox.gitlab_url());
        let answer = browser.sign_in("droid", droid).await;
        assert_eq!(answer.status, 302);
        let now = sandbox.with_world(|world| world.user_named("droid").unwrap().state);
        if state == UserState::Deactivated {
            assert_eq!(now, UserState::Active);
        } else {
            assert!(answer.location.ends_with("/users/sign_in"), "{}", answer.location);
            assert_eq!(browser.get("/").await.status, 302);
            assert_eq!(now, state);
        }
    }
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_sign_in() {
    let sandbox = sandbox(&["password_login_off=true"]).await;
    let droid = sandbox.credentials().droid_password;
    let browser = Browser::new(sandbox.gitlab_url());
    let token = browser.get("/users/sign_in").await.csrf();
    let form = FormSeen {
        action: "/users/sign_in".to_owned(),
        ..token
    };
    assert_eq!(
        browser
            .post(&form.set("user[login]", "droid").set("user[password]", droid))
            .await
            .status,
        403
    );

    let set = |assignment: &'static str| {
        sandbox.with_world(|world| {
            world.switches = Switches::default();
            world.switches.set(assignment).unwrap();
        });
    };
    for (switch, path) in [
        ("require_two_factor=true", "/-/profile/two_factor_auth"),
        ("enforce_terms=true", "/-/users/terms?"),
    ] {
        set(switch);
        let browser = Browser::new(sandbox.gitlab_url());
        assert_eq!(browser.sign_in("droid", droid).await.status, 302);
        let answer = browser.get("/").await;
        assert!(
            answer.status == 302 && answer.location.contains(path),
            "{switch}: {}",
            answer.location
        );
    }
    // The terms can be accepted.
    let browser = Browser::new(sandbox.gitlab_url());
    browser.sign_in("droid", droid).await;
    let terms = browser.get("/").await.location;
    let form = browser
        .get(&terms)
        .await
        .forms()
        .into_iter()
        .find(|form| form.action.contains("/accept"))
        .unwrap();
    assert_eq!(browser.post(&form).await.status, 302);
    assert_eq!(browser.get("/").await.status, 200);

    set("protected_paths_limit=3");
    let browser = Browser::new(sandbox.gitlab_url());
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(browser.sign_in("nobody", "nothing").await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    set("protected_paths_limit=0");
    sandbox.with_world(|world| {
        let now = world.now();
        let id = world.user_named("droid").unwrap().id;
        world.user_mut(id).unwrap().password_expires_at = Some(now);
    });
    let browser = Browser::new(sandbox.gitlab_url());
    browser.sign_in("droid", droid).await;
    let answer = browser.get("/").await;
    assert!(
        answer.location.ends_with("/-/user_settings/password/new"),
        "{}",
        answer.location
    );
    let form = browser.get(&answer.location).await.form("/-/user_settings/password");
    let form = form
        .set("user[password]", droid)
        .set("user[new_password]", "another-fake-password")
        .set("user[password_confirmation]", "another-fake-password");
    assert_eq!(browser.post(&form).await.status, 302);
    assert_eq!(browser.get("/").await.status, 200);
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_captcha_comes_after_failures() {
    let sandbox = sandbox(&["recaptcha=true", "protected_paths_limit=0"]).await;
    let droid = sandbox.credentials().droid_password;
    let browser = Browser::new(sandbox.gitlab_url());
    for _ in 0..6 {
        browser.sign_in("nobody", "nothing").await;
    }
    let page = browser.get("/users/sign_in").await;
    assert!(page.attr(".g-recaptcha", "data-sitekey").is_some());
    let answer = browser.sign_in("droid", droid).await;
    assert!(answer.status == 200 && answer.text(".flash").contains("reCAPTCHA"));
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_one_time_code_works_once_and_admin_mode_needs_the_next() {
    let sandbox = sandbox(&["admin_mode=true"]).await;
    let keys = sandbox.credentials();
    sandbox.with_world(|world| {
        let id = world.user_named("root").unwrap().id;
        world.user_mut(id).unwrap().totp_secret = Some(TOTP_SECRET.to_owned());
    });
    let code = |sandbox: &Sandbox| sandbox.with_world(|world| sandbox::totp(TOTP_SECRET, world.now()).unwrap());
    let browser = Browser::new(sandbox.gitlab_url());
    let asked = browser.sign_in(keys.root_username, keys.root_password).await;
    assert_eq!(asked.status, 200);
    let form = asked.form("/users/sign_in");
    assert_eq!(
        form.names,
        ["authenticity_token", "user[remember_me]", "user[otp_attempt]"]
    );
    let wrong = browser.post(&form.set("user[otp_attempt]", "000000x")).await;
    assert!(wrong.text(".flash").contains("Invalid two-factor code"));
    let used = code(&sandbox);
    let right = browser
        .post(&wrong.form("/users/sign_in").set("user[otp_attempt]", &used))
        .await;
    assert_eq!(right.status, 302, "{}", right.body);

    let door = browser.get("/admin/applications").await;
    assert!(door.location.ends_with("/admin/session/new"), "{}", door.location);
    let form = browser.get("/admin/session/new").await.form("/admin/session");
    let asked = browser.post(&form.set("user[password]", keys.root_password)).await;
    let again = browser
        .post(&asked.form("/admin/session").set("user[otp_attempt]", &used))
        .await;
    assert_eq!(again.status, 200, "a used code must be refused");
    sandbox.with_world(|world| world.switches.clock_offset_seconds += 31);
    let next = again.form("/admin/session").set("user[otp_attempt]", &code(&sandbox));
    let entered = browser.post(&next).await;
    assert!(
        entered.location.ends_with("/admin/applications"),
        "{} {}",
        entered.status,
        entered.location
    );
    assert_eq!(browser.get("/admin/applications").await.status, 200);
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_trusted_application_gets_a_page_with_a_link() {
    let sandbox = sandbox(&[]).await;
    let browser = Browser::new(sandbox.gitlab_url());
    let path = authorize_path(&sandbox, SCOPES);
    let stranger = browser.get(&path).await;
    assert!(stranger.status == 302 && stranger.location.ends_with("/users/sign_in"));
    let signed_in = browser.sign_in("droid", sandbox.credentials().droid_password).await;
    assert!(
        signed_in.location.contains("/oauth/authorize?client_id="),
        "{}",
        signed_in.location
    );
    let page = browser.get(&signed_in.location).await;
    assert_eq!(page.status, 200);
    assert!(page.text("h1").contains("Redirecting"));
    assert!(page.body.contains("&amp;state="), "the link is escaped in the page");
    let target = page.attr("a", "href").unwrap();
    let pairs = query(&target);
    assert_eq!(pairs["state"], "a&b");

    // A wrong secret does not use the code up; the code works once.
    let (status, body) = exchange(&sandbox, &pairs["code"], "wrong").await;
    assert_eq!((status, &body["error"]), (401, &json!("invalid_client")));
    let (status, first) = exchange(&sandbox, &pairs["code"], SECRET).await;
    assert_eq!((status, &first["expires_in"]), (200, &json!(7200)));
    let (status, body) = exchange(&sandbox, &pairs["code"], SECRET).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn consent_is_asked_once_for_a_set_of_scopes() {
    let sandbox = sandbox(&[]).await;
    sandbox.with_world(|world| {
        world
            .applications
            .iter_mut()
            .for_each(|application| application.trusted = false)
    });
    let browser = Browser::new(sandbox.gitlab_url());
    browser.sign_in("droid", sandbox.credentials().droid_password).await;
    let page = browser.get(&authorize_path(&sandbox, "api read_user")).await;
    assert_eq!(page.status, 200);
    let forms = page.forms();
    let wanted = [
        "client_id",
        "redirect_uri",
        "state",
        "response_type",
        "scope",
        "nonce",
        "code_challenge",
        "code_challenge_method",
    ];
    assert_eq!(forms.len(), 2);
    assert_eq!(
        forms[0].names[..2],
        ["_method", "authenticity_token"],
        "Deny comes first"
    );
    assert_eq!(forms[0].names[2..], wanted);
    assert_eq!(forms[1].names[1..], wanted);
    let denied = query(&browser.post(&forms[0]).await.location);
    assert_eq!(denied["error"], "access_denied");

    let approved = browser.post(&forms[1]).await;
    assert_eq!(approved.status, 302);
    let (status, _) = exchange(&sandbox, &query(&approved.location)["code"], SECRET).await;
    assert_eq!(status, 200);
    // The same set in another order: no question. Another set: the question again. More than it has: an error page.
    assert!(
        browser
            .get(&authorize_path(&sandbox, "read_user api"))
            .await
            .body
            .contains("Redirecting")
    );
    assert_eq!(browser.get(&authorize_path(&sandbox, "api")).await.forms().len(), 2);
    let error = browser.get(&authorize_path(&sandbox, "api sudo")).await;
    assert!(
        error.status == 200 && error.text("main pre").contains("scope"),
        "{}",
        error.body
    );
    let unknown = browser
        .get("/oauth/authorize?client_id=nobody&response_type=code")
        .await;
    assert!(unknown.status == 200 && unknown.text("h3").contains("error"));

    // The user's own page shows it, and takes it back.
    let settings = browser.get("/-/user_settings/applications").await;
    assert!(
        settings
            .text("section[data-testid=oauth-authorized-applications] td")
            .contains("Factory <Integration>")
    );
    let form = settings
        .forms()
        .into_iter()
        .find(|form| form.action.contains("/oauth/authorized_applications/"))
        .unwrap();
    assert_eq!(browser.post(&form).await.status, 302);
    assert_eq!(
        browser
            .get(&authorize_path(&sandbox, "read_user api"))
            .await
            .forms()
            .len(),
        2
    );
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn who_may_not_authorize() {
    let sandbox = sandbox(&["disable_admin_oauth_scopes=true"]).await;
    sandbox.with_world(|world| {
        world
            .applications
            .iter_mut()
            .for_each(|application| application.trusted = false)
    });
    let keys = sandbox.credentials();
    let browser = Browser::new(sandbox.gitlab_url());
    browser.sign_in(keys.root_username, keys.root_password).await;
    let page = browser.get(&authorize_path(&sandbox, SCOPES)).await;
    assert!(page.status == 200 && page.text("h1").contains("Forbidden"));
    sandbox.with_world(|world| {
        world.switches = Switches::default();
        world.switches.require_two_factor = true;
    });
    let page = browser.get(&authorize_path(&sandbox, SCOPES)).await;
    assert!(
        page.location.ends_with("/-/profile/two_factor_auth"),
        "{}",
        page.location
    );
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn probes_of_a_client_secret() {
    let sandbox = sandbox(&[]).await;
    let right = [("client_id", "droid-application"), ("client_secret", SECRET)];
    let wrong = [("client_id", "droid-application"), ("client_secret", "wrong")];
    let with = |credentials: &[(&'static str, &'static str)], more: &[(&'static str, &'static str)]| {
        [credentials, more].concat()
    };
    let random = [("token", "random")];
    let code = [
        ("grant_type", "authorization_code"),
        ("code", "invented"),
        ("redirect_uri", "https://example.com"),
    ];

    let ask =
        async |path: &'static str, fields: Vec<(&'static str, &'static str)>| oauth(&sandbox, path, &fields).await;
    assert_eq!(
        ask("/oauth/introspect", with(&right, &random)).await,
        (200, json!({ "active": false }))
    );
    assert_eq!(
        ask("/oauth/introspect", right.to_vec()).await,
        (200, json!({ "active": false }))
    );
    let (status, body) = ask("/oauth/introspect", with(&wrong, &random)).await;
    assert_eq!((status, &body["error"]), (401, &json!("invalid_client")));
    let (status, body) = ask("/oauth/introspect", random.to_vec()).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_request")));
    for credentials in [&right[..], &wrong[..], &[]] {
        assert_eq!(ask("/oauth/revoke", with(credentials, &random)).await, (200, json!({})));
    }
    let (status, body) = ask("/oauth/token", with(&right, &code)).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
    assert_eq!(ask("/oauth/token", with(&wrong, &code)).await.0, 401);
    assert_eq!(ask("/oauth/token", code.to_vec()).await.0, 401);
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn tokens_are_refreshed_and_die_with_the_secret() {
    let sandbox = sandbox(&[]).await;
    let browser = Browser::new(sandbox.gitlab_url());
    browser.sign_in("droid", sandbox.credentials().droid_password).await;
    let target = browser
        .get(&authorize_path(&sandbox, SCOPES))
        .await
        .attr("a", "href")
        .unwrap();
    let (_, first) = exchange(&sandbox, &query(&target)["code"], SECRET).await;
    let refresh = async |token: &Value, secret: &str| {
        let token = token["refresh_token"].as_str().unwrap();
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", "droid-application"),
            ("client_secret", secret),
        ];
        oauth(&sandbox, "/oauth/token", &fields).await
    };
    let info = async |token: &Value| {
        let token = token["access_token"].as_str().unwrap();
        let answer = browser
            .client
            .get(browser.url("/oauth/token/info"))
            .bearer_auth(token)
            .send()
            .await
            .unwrap();
        answer.status().as_u16()
    };
    assert_eq!(info(&first).await, 200);
    assert_eq!(refresh(&first, "renewed since").await.0, 401);
    let (status, second) = refresh(&first, SECRET).await;
    assert_eq!(status, 200);
    assert_eq!(refresh(&first, SECRET).await.0, 400);
    assert_eq!((info(&first).await, info(&second).await), (401, 200));
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn an_application_is_made_and_edited_in_the_admin_area() {
    for (version, prefix) in [
        ("17.11.0-ee", "doorkeeper_application"),
        ("18.5.1-ee", "authn_oauth_application"),
    ] {
        let version_switch = format!("gitlab_version={version}");
        let sandbox = sandbox(&[&version_switch, "relative_url_root=/gitlab"]).await;
        let keys = sandbox.credentials();
        let browser = Browser::new(sandbox.gitlab_url());
        browser.sign_in("droid", keys.droid_password).await;
        assert_eq!(browser.get("/admin/applications").await.status, 404);
        let browser = Browser::new(sandbox.gitlab_url());
        browser.sign_in(keys.root_username, keys.root_password).await;
        let field = |name: &str| format!("{prefix}[{name}]");

        let form = browser
            .get("/admin/applications/new")
            .await
            .form("/gitlab/admin/applications");
        let trusted = field("trusted");
        assert_eq!(
            form.names.iter().filter(|name| **name == trusted).count(),
            2,
            "a checkbox has a hidden twin"
        );
        let bad = form
            .clone()
            .set(&field("name"), "New")
            .set(&field("redirect_uri"), "javascript:alert(1)");
        let bad = browser.post(&bad).await;
        assert!(
            bad.status == 200 && bad.text("#error_explanation").contains("forbidden"),
            "{}",
            bad.body
        );
        assert!(bad.text("#error_explanation").contains("Scopes"), "{}", bad.body);
        let mut good = form.set(&field("name"), "New").set(
            &field("redirect_uri"),
            "https://a.example.com/cb\r\nhttps://b.example.com/cb",
        );
        good.fields.push((format!("{prefix}[scopes][]"), "api".to_owned()));
        good.fields
            .push((format!("{prefix}[scopes][]"), "read_user".to_owned()));
        let made = browser.post(&good).await;
        assert_eq!(made.status, 200);
        let secret = made
            .attr("#js-oauth-application-secret", "data-initial-secret")
            .unwrap();
        let id = made.attr("#id_of_application", "value").unwrap();
        let uid = made.attr("#application_id", "value").unwrap();

        let show = format!("/admin/applications/{id}");
        let page = browser.get(&show).await;
        assert!(
            page.attr("#js-oauth-application-secret", "data-initial-secret")
                .is_none()
        );
        assert!(!page.body.contains(&secret));
        // Trusting it needs that field alone; the rest stays, the secret too.
        let token = page.csrf().set("_method", "patch").set(&field("trusted"), "1");
        let saved = browser
            .post(&FormSeen {
                action: format!("/gitlab{show}"),
                ..token
            })
            .await;
        assert!(
            saved.status == 302 && saved.location.ends_with(&format!("/gitlab{show}")),
            "{}",
            saved.location
        );
        let edit = browser
            .get(&format!("{show}/edit"))
            .await
            .form(&format!("/gitlab{show}"));
        assert!(edit.fields.contains(&(field("trusted"), "1".to_owned())));
        assert!(edit.fields.contains(&(field("name"), "New".to_owned())));
        let kept = sandbox.with_world(|world| world.application_by_uid(&uid).unwrap().clone());
        assert_eq!(
            (kept.scopes.join(" "), kept.secret_digest),
            ("api read_user".to_owned(), digest(&secret))
        );

        let token = browser
            .get(&show)
            .await
            .attr("meta[name=csrf-token]", "content")
            .unwrap();
        let renewed = browser
            .client
            .put(browser.url(&format!("{show}/renew")))
            .header("X-CSRF-Token", token);
        let renewed: Value = renewed.send().await.unwrap().json().await.unwrap();
        assert_ne!(renewed["secret"].as_str().unwrap(), secret);
        let delete = browser
            .get(&show)
            .await
            .forms()
            .into_iter()
            .find(|form| form.names[0] == "_method")
            .unwrap();
        assert_eq!(browser.post(&delete).await.status, 302);
        assert_eq!(browser.get(&show).await.status, 404);
        sandbox.stop().await.unwrap();
    }
}

#[tokio::test]
async fn an_administrator_impersonates_and_stops() {
    let sandbox = sandbox(&["admin_mode=true"]).await;
    let keys = sandbox.credentials();
    let browser = Browser::new(sandbox.gitlab_url());
    browser.sign_in(keys.root_username, keys.root_password).await;
    browser.get("/admin/users/droid").await;
    let form = browser.get("/admin/session/new").await.form("/admin/session");
    let entered = browser.post(&form.set("user[password]", keys.root_password)).await;
    assert!(entered.location.ends_with("/admin/users/droid"), "{}", entered.location);

    let go = async |verb: &str, path: &str| {
        let token = browser.get("/").await.csrf();
        let token = if verb == "post" {
            token
        } else {
            token.set("_method", verb)
        };
        browser
            .post(&FormSeen {
                action: path.to_owned(),
                ..token
            })
            .await
    };
    let page = browser.get("/admin/users/droid").await;
    assert_eq!(
        page.attr("a[data-testid=impersonate-user-link]", "data-method")
            .as_deref(),
        Some("post")
    );
    let started = go("post", "/admin/users/droid/impersonate").await;
    assert_eq!(
        (started.status, browser.get("/").await.text("#username").as_str()),
        (302, "droid")
    );
    assert_eq!(browser.get("/admin/users/droid").await.status, 404);
    assert!(
        browser
            .get(&authorize_path(&sandbox, SCOPES))
            .await
            .body
            .contains("Redirecting")
    );
    let stopped = go("delete", "/admin/impersonation").await;
    assert!(stopped.location.ends_with("/admin/users/droid"));
    assert_eq!(browser.get("/").await.text("#username"), "root");
    // Admin Mode outlives the impersonation.
    assert_eq!(browser.get("/admin/users/droid").await.status, 200);

    for state in [UserState::Blocked, UserState::Deactivated] {
        sandbox.with_world(|world| {
            let id = world.user_named("droid").unwrap().id;
            world.user_mut(id).unwrap().state = state;
        });
        let refused = go("post", "/admin/users/droid/impersonate").await;
        assert!(refused.location.ends_with("/admin/users/droid"), "{}", refused.location);
        assert!(
            browser
                .get("/admin/users/droid")
                .await
                .text(".flash")
                .contains("cannot impersonate")
        );
        assert_eq!(browser.get("/").await.text("#username"), "root");
    }
    sandbox.with_world(|world| world.switches.impersonation_enabled = false);
    assert_eq!(go("post", "/admin/users/droid/impersonate").await.status, 404);
    sandbox.stop().await.unwrap();
}
