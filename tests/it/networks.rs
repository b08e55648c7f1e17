//! Networks as companies have them: gateways that ask for a client certificate or for a token of their own in a header.
//! Whatever they are given goes to their origin and to no other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use setpoint::sandbox::{Action, Options, Side};

use super::common::plans::unwrapped;
use super::common::proxy::{Phase, Proxy};
use super::common::tls::{self, Authority, write_private};
use super::common::{Fixture, Ran};

const TOKEN: &str = "canary-of-the-gateway";
const FACTORY_TOKEN: &str = "canary-of-the-egress";
const HEADERS: &str = "headers = { \"CF-Access-Client-Secret\" = { file = \"gateway.token\" } }\n";

/// A GitLab behind TLS, whose front wants a certificate of the second authority where there is one.
async fn behind_tls(servers: &Authority, clients: Option<&Authority>) -> (Fixture, Arc<Proxy>) {
    let (listener, port) = tls::listener().await;
    let url = format!("https://localhost:{port}");
    let (fixture, proxy) = Proxy::on(Options {
        gitlab_external_url: Some(url.clone()),
        ..Options::default()
    })
    .await;
    let inner = fixture.sandbox.gitlab_url();
    tls::front(listener, &inner, servers, clients);
    std::fs::write(fixture.path("ca.pem"), servers.pem()).expect("a file");
    write_private(&fixture.path("gateway.token"), TOKEN);
    write_private(&fixture.path("egress.token"), FACTORY_TOKEN);
    fixture.give_admin_session();
    fixture.edit_config(
        &format!("url = \"{inner}\"\n"),
        &format!("url = \"{url}\"\nca_file = \"ca.pem\"\n"),
    );
    (fixture, proxy)
}

fn give_certificate(fixture: &Fixture) {
    fixture.edit_config(
        "ca_file = \"ca.pem\"\n",
        "ca_file = \"ca.pem\"\nclient_cert_file = \"client.pem\"\nclient_key_file = \"client.key\"\n",
    );
}

/// The page of a gateway that lets nobody through.
fn gateway(status: u16, body: &str) -> Action {
    Action::Respond {
        status,
        headers: vec![("content-type".to_owned(), "text/html".to_owned())],
        body: format!("<html><head><title>{body}</title></head><body>{body}</body></html>"),
    }
}

/// A check of `doctor`, as `status: message`.
#[track_caller]
fn check(ran: &Ran, id: &str) -> String {
    let document = ran.json();
    let checks = document["checks"].as_array().expect("checks");
    let found: Vec<&Value> = checks.iter().filter(|check| check["id"] == id).collect();
    assert_eq!(found.len(), 1, "{id} in {document:#}");
    let text = |key: &str| found[0][key].as_str().unwrap_or("-").to_owned();
    format!("{}: {}", text("status"), text("message"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_wants_a_certificate_and_a_token_gets_both_and_nobody_else_does() {
    let (servers, clients) = (
        Authority::named("Servers of a Bank"),
        Authority::named("Clients of a Bank"),
    );
    let (fixture, proxy) = behind_tls(&servers, Some(&clients)).await;
    let missed = Arc::new(AtomicUsize::new(0));
    let wrong: Arc<Mutex<Vec<String>>> = Arc::default();
    let (count, places) = (Arc::clone(&missed), Arc::clone(&wrong));
    proxy.intercept(move |request, phase| {
        if phase != Phase::Before {
            return Action::Pass;
        }
        let has = |token: &str| request.headers.iter().any(|(_, value)| value.contains(token));
        let (own, other) = match request.side {
            Side::Gitlab => (TOKEN, FACTORY_TOKEN),
            Side::Factory => (FACTORY_TOKEN, TOKEN),
        };
        if has(other) {
            places.lock().expect("the list").push(request.path.clone());
        }
        if has(own) {
            return Action::Pass;
        }
        count.fetch_add(1, Ordering::SeqCst);
        gateway(403, "Forbidden. You don't have permission to view this.")
    });

    fixture.edit_config(
        "[application]",
        "headers = { \"X-Egress\" = { file = \"egress.token\" } }\n\n[application]",
    );
    // Without the certificate no request comes about at all.
    let ran = fixture.run(&["plan"]).await.expect(1);
    let said = unwrapped(&ran.stderr);
    assert!(
        said.contains("gitlab.client_cert_file") && said.contains("asks for a client certificate"),
        "{said}"
    );
    assert!(fixture.sandbox.requests().iter().all(|one| one.side == Side::Factory));
    // One that the gateway does not know.
    servers.write_client(fixture.folder());
    give_certificate(&fixture);
    let ran = fixture.run(&["plan"]).await.expect(1);
    let said = unwrapped(&ran.stderr);
    assert!(said.contains("does not take the client certificate in"), "{said}");
    // The right one, without the header.
    clients.write_client(fixture.folder());
    let ran = fixture.run(&["plan"]).await.expect(1);
    let said = unwrapped(&ran.stderr);
    assert!(said.contains("something between here and"), "{said}");
    assert!(missed.load(Ordering::SeqCst) > 0);

    fixture.edit_config("[gitlab.admin_session]", &format!("{HEADERS}\n[gitlab.admin_session]"));
    missed.store(0, Ordering::SeqCst);
    let ran = fixture.apply().await.expect(0);
    fixture.expect_connected("through the gateway");
    fixture.expect_nothing_to_do("through the gateway").await;
    let more = fixture.run(&["plan", "-vvv"]).await.expect(0);
    let doctor = fixture.run(&["doctor", "--format", "json"]).await.expect(0);
    assert_eq!(missed.load(Ordering::SeqCst), 0, "each request has its header");
    let elsewhere = wrong.lock().expect("the list").clone();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    for (id, status, parts) in [
        (
            "gitlab.way",
            "ok",
            &["directly (no proxy is named)", "HTTP/1.1 over TLS 1.3"][..],
        ),
        ("gitlab.certificate", "ok", &["Servers of a Bank"]),
        (
            "gitlab.client_certificate",
            "ok",
            &["client.pem", "Clients of a Bank", "it was asked for"],
        ),
        ("factory.way", "ok", &["127.0.0.1", "without TLS"]),
        (
            "secrets.gitlab.headers.CF-Access-Client-Secret",
            "ok",
            &["gateway.token"],
        ),
        ("secrets.factory.headers.X-Egress", "ok", &["egress.token"]),
    ] {
        let found = check(&doctor, id);
        assert!(found.starts_with(status), "{found}");
        for part in parts {
            assert!(found.contains(part), "{found}");
        }
    }
    // Nothing says the tokens.
    let state = fixture.state().to_string();
    for text in [
        &ran.stdout,
        &ran.stderr,
        &more.stdout,
        &more.stderr,
        &doctor.stdout,
        &doctor.stderr,
        &state,
    ] {
        assert!(!text.contains(TOKEN) && !text.contains(FACTORY_TOKEN), "{text}");
    }
}

/// GitLab sends a request to Factory's host, where the header would be somebody else's to read.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_takes_no_header_to_another_origin() {
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    write_private(&fixture.path("gateway.token"), TOKEN);
    fixture.edit_config("\n[factory]", &format!("{HEADERS}\n[factory]"));
    let leak = format!("{}/leak", fixture.sandbox.factory_api_url());
    let carried = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&carried);
    proxy.intercept(move |request, phase| {
        let has = request.headers.iter().any(|(_, value)| value == TOKEN);
        if request.side == Side::Factory && has {
            count.fetch_add(1, Ordering::SeqCst);
        }
        if phase == Phase::Before && request.path == "/api/v4/user" {
            return Action::Respond {
                status: 302,
                headers: vec![("location".to_owned(), leak.clone())],
                body: String::new(),
            };
        }
        Action::Pass
    });
    let ran = fixture.run(&["plan"]).await.expect(1);
    let said = unwrapped(&ran.stderr);
    assert!(
        said.contains("no credential is ever sent there") && said.contains("gitlab.headers"),
        "{said}"
    );
    assert!(fixture.sandbox.requests().iter().all(|one| one.path != "/leak"));
    assert_eq!(carried.load(Ordering::SeqCst), 0);
}

/// nginx takes the connection, and answers without a certificate in a page of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_wants_a_certificate_is_not_gitlabs() {
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    proxy.intercept(|request, phase| match (request.side, phase) {
        (Side::Gitlab, Phase::Before) => gateway(400, "400 No required SSL certificate was sent"),
        _ => Action::Pass,
    });
    let ran = fixture.run(&["plan"]).await.expect(1);
    let said = unwrapped(&ran.stderr);
    assert!(
        said.contains("No required SSL certificate was sent") && said.contains("gitlab.client_key_file"),
        "{said}"
    );
}

/// A record at GitLab is reached as GitLab is; what a section says of its own goes to its own server only.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_at_gitlab_goes_gitlabs_way_unless_its_section_says_otherwise() {
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    write_private(&fixture.path("gateway.token"), TOKEN);
    write_private(&fixture.path("egress.token"), FACTORY_TOKEN);
    fixture.edit_config("\n[factory]", &format!("{HEADERS}\n[factory]"));
    let config = std::fs::read_to_string(fixture.path("setpoint.toml")).expect("the configuration");
    let gitlab = fixture.sandbox.gitlab_url();
    let state = format!(
        "{config}\n[state]\nurl = \"{gitlab}/api/v4/projects/1/terraform/state/setpoint\"\nusername = \"root\"\n\
         password = {{ env = \"GITLAB_TOKEN\" }}\n"
    );
    for (more, wanted) in [
        ("", TOKEN),
        (
            "headers = { \"X-State\" = { file = \"egress.token\" } }\n",
            FACTORY_TOKEN,
        ),
    ] {
        fixture.write_config(&format!("{state}{more}"));
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let list = Arc::clone(&seen);
        proxy.intercept(move |request, phase| {
            if phase == Phase::Before && request.path.contains("/terraform/state/") {
                let tokens = request
                    .headers
                    .iter()
                    .filter(|(_, value)| [TOKEN, FACTORY_TOKEN].contains(&value.as_str()));
                list.lock()
                    .expect("the list")
                    .extend(tokens.map(|(_, value)| value.clone()));
            }
            Action::Pass
        });
        fixture.run(&["plan"]).await.expect(0);
        let doctor = fixture.run(&["doctor", "--format", "json"]).await;
        assert!(check(&doctor, "state.way").starts_with("ok"), "{}", doctor.stdout);
        let seen = seen.lock().expect("the list").clone();
        assert!(!seen.is_empty() && seen.iter().all(|token| token == wanted), "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_is_not_asked_without_what_its_gateway_wants() {
    let fixture = Fixture::new().await;
    fixture.edit_config(
        "\n[factory]",
        "headers = { \"X-Gateway\" = { env = \"NEVER_SET_HERE\" } }\n\n[factory]",
    );
    let ran = fixture.run(&["plan"]).await.expect(1);
    assert!(
        unwrapped(&ran.stderr).contains("there is no `gitlab.headers.X-Gateway`"),
        "{}",
        ran.stderr
    );
    let ran = fixture.run(&["doctor", "--format", "json"]).await.expect(1);
    assert!(check(&ran, "secrets.gitlab.headers.X-Gateway").starts_with("failure"));
    assert!(check(&ran, "gitlab.reachable").starts_with("skipped"));
    assert!(check(&ran, "factory.reachable").starts_with("ok"));
    assert!(fixture.sandbox.requests().iter().all(|one| one.side == Side::Factory));
    // What cannot be sent is no header, and is not repeated.
    std::fs::write(fixture.path("two-lines"), "canary-one\ncanary-two\n").expect("a file");
    fixture.edit_config("{ env = \"NEVER_SET_HERE\" }", "{ file = \"two-lines\" }");
    let ran = fixture.run(&["plan"]).await.expect(1);
    let said = unwrapped(&ran.stderr);
    assert!(
        said.contains("gitlab.headers.X-Gateway has characters that cannot be sent"),
        "{said}"
    );
    assert!(!said.contains("canary"), "{said}");
}

/// What is told of a webhook is told with what to do about the way there, and that nothing arrived.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_not_reached_says_which_key_of_its_section_is_to_be_looked_at() {
    let fixture = Fixture::complete().await;
    fixture.apply().await.expect(0);
    let (listener, port) = tls::listener().await;
    let gitlab = fixture.sandbox.gitlab_url();
    let servers = Authority::named("Servers of a Bank");
    tls::front(listener, &gitlab, &servers, None);
    std::fs::write(fixture.path("ca.pem"), servers.pem()).expect("a file");
    std::fs::write(fixture.path("other.pem"), Authority::named("Another").pem()).expect("a file");
    write_private(&fixture.path("hook"), &format!("https://localhost:{port}/"));
    fixture.change_user("factory-droid", |droid| droid.name = "Mallory".to_owned());
    let config = std::fs::read_to_string(fixture.path("setpoint.toml")).expect("the configuration");
    fixture.world(|world| world.switches.protected_paths_limit = 0);
    let since = fixture.request_count();
    write_private(
        &fixture.path("way"),
        &format!("https://localhost:{port}/services/T0-canary-of-chat"),
    );
    let look = async |keys: &str, code: i32| {
        fixture.write_config(&format!("{config}\n[notify]\n{keys}"));
        let ran = fixture.run(&["doctor", "--notify", "file:way", "--format", "json"]);
        let ran = ran.await.expect(code);
        assert!(!ran.all().contains("canary"), "{}", ran.all());
        ran
    };
    let found = look("ca_file = \"ca.pem\"\n", 0).await;
    assert!(check(&found, "notify.reachable").starts_with("ok"));
    assert!(check(&found, "notify.way").contains("directly (no proxy is named)"));
    assert!(check(&found, "notify.certificate").contains("Servers of a Bank"));
    let found = look("ca_file = \"other.pem\"\n", 1).await;
    assert!(check(&found, "notify.reachable").starts_with("failure"));
    assert!(
        found.stdout.contains("other.pem: neither the one in it"),
        "{}",
        found.stdout
    );
    assert!(check(&found, "notify.certificate").contains("Servers of a Bank"));
    let header = "headers = { X-Gateway = { env = \"NEVER_SET_HERE\" } }\n";
    let found = look(header, 1).await;
    assert!(check(&found, "secrets.notify.headers.X-Gateway").starts_with("failure"));
    assert!(check(&found, "notify.reachable").starts_with("skipped"));
    let unnamed = fixture.run(&["doctor", "--format", "json"]).await.expect(0);
    assert!(check(&unnamed, "notify.way").contains("--notify"), "{}", unnamed.stdout);
    let lost = fixture.run(&["doctor", "--notify", "file:nowhere", "--format", "json"]);
    let lost = check(&lost.await.expect(1), "notify.reachable");
    assert!(
        lost.starts_with("failure") && lost.contains("finds no address"),
        "{lost}"
    );
    let asked = fixture.requests_since(since);
    assert!(asked.iter().all(|one| !one.contains("canary")), "{asked:?}");
    for (keys, said) in [
        ("ca_file = \"other.pem\"\n", "other.pem: neither the one in it"),
        (header, "there is no `notify.headers.X-Gateway`"),
    ] {
        fixture.write_config(&format!("{config}\n[notify]\n{keys}"));
        let ran = fixture.run(&["drift", "--notify", "file:hook"]).await.expect(2);
        let shown = unwrapped(&ran.stderr);
        assert!(
            shown.contains("did not reach the webhook at https://localhost") && shown.contains(said),
            "{shown}"
        );
    }
}
