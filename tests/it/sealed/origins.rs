//! Credentials, cookies and codes stay where they belong, whatever a server answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use setpoint::sandbox::world::Application;
use setpoint::sandbox::{Action, Options};

use crate::common::Fixture;
use crate::common::plans::unwrapped;
use crate::common::proxy::{Phase, Proxy};

/// A place that is nobody's: it counts who comes.
struct Elsewhere {
    port: u16,
    visits: Arc<AtomicUsize>,
}

impl Elsewhere {
    async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let visits = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&visits);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { port, visits }
    }

    #[track_caller]
    fn expect_nobody(&self, what: &str) {
        assert_eq!(self.visits.load(Ordering::SeqCst), 0, "{what}: somebody came");
    }
}

fn redirect(status: u16, location: &str) -> Action {
    Action::Respond {
        status,
        headers: vec![("location".to_owned(), location.to_owned())],
        body: String::new(),
    }
}

/// Answers requests of each kind with redirects elsewhere: at each place each so many of them, at the next place others.
async fn redirected(step: usize) {
    let elsewhere = Elsewhere::open().await;
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    fixture.give_admin_session();
    let fresh = fixture.world(|world| world.clone());
    fixture.apply().await.expect(0);
    let connected = fixture.world(|world| world.clone());
    let record = std::fs::read(fixture.path(".setpoint/state.json")).expect("the record");
    let port = elsewhere.port;
    let base = fixture.sandbox.gitlab_url();
    let host = base.trim_start_matches("http://").to_owned();
    let places = [
        ("GET", "/users/sign_in", &["plan"][..]),
        ("POST", "/users/sign_in", &["plan"]),
        ("GET", "/admin/applications", &["plan"]),
        ("GET", "/api/v4/user", &["plan"]),
        ("POST", "/api/graphql", &["plan"]),
        ("GET", "/oauth/authorize", &["apply", "--auto-approve"]),
        ("PUT", "/api/v0/integrations/gitlab-sh", &["apply", "--auto-approve"]),
        (
            "GET",
            "/api/integrations/redirect/gitlab-sh/callback",
            &["apply", "--auto-approve"],
        ),
    ];
    for (number, (method, path, command)) in places.into_iter().enumerate() {
        let redirects = [
            (302, format!("http://127.0.0.1:{port}{path}?stolen=1")),
            (307, format!("http://localhost:{port}{path}")),
            (302, format!("//127.0.0.1:{port}/x")),
            (302, format!("http://{host}@127.0.0.1:{port}/x")),
            (308, format!("http://127.0.0.1:{port}\\@{host}/x")),
            (302, "http://gitlab.example.com/users/sign_in".to_owned()),
            (302, format!("https://127.0.0.1:{port}/x")),
            (302, "javascript:alert(1)".to_owned()),
            (302, "file:///etc/passwd".to_owned()),
        ];
        for (status, location) in redirects.into_iter().skip(number % step).step_by(step) {
            let _ = std::fs::remove_dir_all(fixture.path(".setpoint"));
            let start = if command[0] == "plan" { &connected } else { &fresh };
            fixture.world(|world| *world = start.clone());
            if command[0] == "plan" {
                std::fs::create_dir(fixture.path(".setpoint")).expect("the folder");
                std::fs::write(fixture.path(".setpoint/state.json"), &record).expect("the record");
            }
            let target = location.clone();
            proxy.intercept(move |request, phase| {
                let meant = request.method == method && request.path.starts_with(path);
                if meant && phase == Phase::Before {
                    redirect(status, &target)
                } else {
                    Action::Pass
                }
            });
            let ran = proxy.run(&fixture, command).await;
            let what = format!(
                "{method} {path} -> {status} {location}: {}\n{}\n{}",
                ran.code, ran.stdout, ran.stderr
            );
            assert!([1, 3].contains(&ran.code), "{what}");
            elsewhere.expect_nobody(&what);
        }
    }
}

#[tokio::test]
async fn no_redirect_takes_a_session_or_a_token_elsewhere() {
    redirected(3).await;
}

#[tokio::test]
#[ignore = "takes minutes: `.ci/run` runs it"]
async fn no_redirect_at_any_place_takes_a_session_or_a_token_elsewhere() {
    redirected(1).await;
}

#[tokio::test]
async fn an_authorize_url_that_factory_makes_up_is_not_opened() {
    let elsewhere = Elsewhere::open().await;
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    fixture.give_admin_session();
    let world = fixture.world(|world| world.clone());
    let base = fixture.sandbox.gitlab_url();
    let host = base.trim_start_matches("http://").to_owned();
    let port = elsewhere.port;
    let query = "client_id=x&response_type=code&state=s&redirect_uri=y";
    for url in [
        format!("http://127.0.0.1:{port}/oauth/authorize?{query}"),
        format!("http://{host}@127.0.0.1:{port}/oauth/authorize?{query}"),
        format!("http://root:password@{host}/oauth/authorize?{query}"),
        format!("http://gitlab.example.com/oauth/authorize?{query}"),
        format!("{base}/admin/users/1/impersonate?{query}"),
        format!("{base}/oauth/authorize/../../users/sign_out?{query}"),
        "javascript:alert(1)".to_owned(),
    ] {
        fixture.world(|now| *now = world.clone());
        let _ = std::fs::remove_dir_all(fixture.path(".setpoint"));
        let body = serde_json::json!({ "authorizationUrl": url, "expiresAt": "2099-01-01T00:00:00Z" }).to_string();
        proxy.intercept(move |request, phase| {
            if phase == Phase::Before && request.path.ends_with("/authorizations") {
                return Action::Respond {
                    status: 201,
                    headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                    body: body.clone(),
                };
            }
            Action::Pass
        });
        let count = fixture.request_count();
        let ran = proxy.run(&fixture, &["apply", "--auto-approve"]).await.expect(3);
        let said = unwrapped(&ran.stdout);
        assert!(said.contains("authorize URL"), "{url}\n{said}\n{}", ran.stderr);
        elsewhere.expect_nobody(&url);
        let log = fixture.requests_since(count);
        assert!(
            !log.iter()
                .any(|request| request.contains("/oauth/authorize") || request.contains("impersonate?")),
            "{url}\n{log:#?}"
        );
    }
}

#[tokio::test]
async fn no_other_application_and_no_more_than_declared_is_approved() {
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    fixture.give_admin_session();
    fixture.world(|world| {
        let id = world.next_id("application");
        world.applications.push(Application {
            id,
            uid: "another-application".to_owned(),
            redirect_uri: fixture.redirect_uri(),
            scopes: ["api", "sudo"].map(str::to_owned).into(),
            trusted: true,
            ..Application::default()
        });
    });
    let world = fixture.world(|world| world.clone());
    let base = fixture.sandbox.gitlab_url();
    let back = fixture.redirect_uri();
    for (asked, said) in [
        (
            "client_id=another-application&scope=api+sudo",
            "application another-application",
        ),
        (
            "client_id=another-application&scope=api",
            "application another-application",
        ),
        (
            "client_id=another-application&client_id={uid}&scope=api",
            "several values of client_id",
        ),
        ("client_id={uid}&scope=api+sudo", "declared scopes: sudo"),
        (
            "client_id={uid}&scope=read_user+admin_mode",
            "declared scopes: admin_mode",
        ),
    ] {
        fixture.world(|now| *now = world.clone());
        let _ = std::fs::remove_dir_all(fixture.path(".setpoint"));
        let (base, back) = (base.clone(), back.clone());
        let mut uid = String::new();
        proxy.intercept(move |request, phase| {
            if phase != Phase::Before {
                return Action::Pass;
            }
            if let Ok(settings) = serde_json::from_slice::<serde_json::Value>(&request.body)
                && let Some(saved) = settings["applicationId"].as_str()
            {
                saved.clone_into(&mut uid);
            }
            if !request.path.ends_with("/authorizations") {
                return Action::Pass;
            }
            let mut url: url::Url = format!("{base}/oauth/authorize?{}", asked.replace("{uid}", &uid))
                .parse()
                .expect("a URL");
            url.query_pairs_mut().extend_pairs([
                ("response_type", "code"),
                ("state", "s"),
                ("redirect_uri", back.as_str()),
            ]);
            Action::Respond {
                status: 201,
                headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                body: serde_json::json!({ "authorizationUrl": url, "expiresAt": "2099-01-01T00:00:00Z" }).to_string(),
            }
        });
        let count = fixture.request_count();
        let ran = proxy.run(&fixture, &["apply", "--auto-approve"]).await.expect(3);
        assert!(unwrapped(&ran.stdout).contains(said), "{asked}\n{}", ran.stdout);
        let log = fixture.requests_since(count);
        assert!(
            !log.iter()
                .any(|request| request.contains("/oauth/authorize") || request.contains("impersonat")),
            "{asked}\n{log:#?}"
        );
        assert!(fixture.world(|world| world.oauth_tokens.is_empty()), "{asked}");
    }
}

#[tokio::test]
async fn links_to_further_pages_lead_to_no_other_host() {
    let elsewhere = Elsewhere::open().await;
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    fixture.give_admin_session();
    fixture.edit_config("[\"platform/**\", \"web/storefront\"]", "[\"**\"]");
    fixture.world(|world| {
        for number in 0..150 {
            world.add_project(
                &format!("platform/more-{number}"),
                "More",
                setpoint::sandbox::world::Visibility::Private,
            );
        }
    });
    let port = elsewhere.port;
    proxy.intercept(move |request, phase| {
        let mine = request.query.as_deref().is_some_and(|query| query.contains("stolen"));
        if phase == Phase::Before && request.path == "/api/v4/projects" && !mine {
            // A whole page, and a next one at another place.
            let rows: Vec<_> = (0..100)
                .map(|number| {
                    serde_json::json!({"id": 10_000 + number, "path_with_namespace": format!("platform/x-{number}"),
                        "visibility": "private", "archived": false, "name": "x", "path": format!("x-{number}")})
                })
                .collect();
            let link = format!("<http://127.0.0.1:{port}/api/v4/projects?stolen=1>; rel=\"next\"");
            return Action::Respond {
                status: 200,
                headers: vec![
                    ("content-type".to_owned(), "application/json".to_owned()),
                    ("link".to_owned(), link),
                ],
                body: serde_json::Value::from(rows).to_string(),
            };
        }
        Action::Pass
    });
    let count = fixture.request_count();
    proxy.run(&fixture, &["plan"]).await;
    elsewhere.expect_nobody("a Link header");
    let log = fixture.sandbox.requests();
    let asked = log[count..].iter().filter_map(|request| request.query.as_deref());
    assert!(
        asked.clone().any(|query| query.contains("stolen")),
        "the link's query is followed at home"
    );
}

#[tokio::test]
async fn a_session_that_was_refused_leaves_nobody_signed_in() {
    let fixture = Fixture::complete().await;
    fixture.run(&["plan"]).await.expect(0);
    fixture.expect_signed_out("after a plan");
}
