//! What goes wrong at a proxy is said of the proxy, with the variable or the key that names it, and never of GitLab. Each
//! side has the proxy that its section names, or none, whatever the environment says.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::common::plans::unwrapped;
use crate::common::tls::{self, Authority};
use crate::common::{Fixture, Ran, run};
use setpoint::sandbox::Options;

/// A proxy that answers every request in one way, and counts them.
struct Proxy {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Proxy {
    async fn answering(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..read]);
                assert!(request.starts_with("CONNECT gitlab.example.com:443 "), "{request}");
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { port, asked }
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// A fixture whose GitLab is somewhere else.
async fn elsewhere() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.edit_config(&fixture.sandbox.gitlab_url(), "https://gitlab.example.com");
    fixture
}

async fn plan(fixture: &Fixture, variables: &[(&str, &str)]) -> Ran {
    let mut command = fixture.command(&["plan"]);
    command.envs(variables.iter().copied());
    run(command).await.expect(1)
}

#[tokio::test]
async fn a_proxy_that_wants_a_password_is_named_and_asked_once() {
    let proxy = Proxy::answering("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").await;
    let fixture = elsewhere().await;
    let ran = plan(&fixture, &[("HTTPS_PROXY", &proxy.address())]).await;
    let said = unwrapped(&ran.stderr).replace(&proxy.port.to_string(), "PORT");
    insta::assert_snapshot!(
        said,
        @"error: the proxy http://127.0.0.1:PORT (HTTPS_PROXY) wants a user name and password, or does not accept those that it was given (407) hint: put them into HTTPS_PROXY, as http://USER:PASSWORD@HOST:PORT with percent-encoding; if gitlab.example.com is reached without a proxy, add it to NO_PROXY"
    );
    // Each question is asked once: several are under way at the same time.
    assert!(
        proxy.asked.load(Ordering::SeqCst) <= 8,
        "{}",
        proxy.asked.load(Ordering::SeqCst)
    );
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_not_gitlabs_fault() {
    let fixture = elsewhere().await;
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let address = format!("http://me:canary-of-the-proxy@127.0.0.1:{free}");
    let ran = plan(&fixture, &[("ALL_PROXY", &address)]).await;
    let said = unwrapped(&ran.stderr);
    assert!(
        said.contains(&format!(
            "the proxy http://127.0.0.1:{free} (ALL_PROXY) refuses connections"
        )),
        "{said}"
    );
    assert!(!said.contains("canary") && !said.contains("GitLab at"), "{said}");
}

#[tokio::test]
async fn a_variable_that_names_no_proxy_is_an_error() {
    let fixture = elsewhere().await;
    for value in ["socks5://127.0.0.1:1", "http://", "http://me:canary@"] {
        let ran = plan(&fixture, &[("https_proxy", value)]).await;
        let said = unwrapped(&ran.stderr);
        assert!(
            said.contains("the environment variable https_proxy, which names the proxy"),
            "{said}"
        );
        assert!(!said.contains("canary"), "{said}");
    }
}

#[tokio::test]
async fn no_proxy_is_between_here_and_this_machine_or_a_host_that_is_excepted() {
    let proxy = Proxy::answering("HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
    let address = proxy.address();
    let fixture = Fixture::new().await;
    let mut command = fixture.command(&["plan"]);
    command.envs([
        ("HTTPS_PROXY", &address),
        ("HTTP_PROXY", &address),
        ("ALL_PROXY", &address),
    ]);
    run(command).await.expect(0);
    fixture.edit_config(&fixture.sandbox.gitlab_url(), "https://localhost:1");
    let ran = plan(
        &fixture,
        &[("HTTPS_PROXY", &address), ("NO_PROXY", "example.com, localhost")],
    )
    .await;
    assert!(unwrapped(&ran.stderr).contains("refuses connections"), "{}", ran.stderr);
    assert_eq!(proxy.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_side_has_the_proxy_that_its_section_names() {
    let servers = Authority::named("Test Authority");
    let (for_gitlab, gitlab_port) = tls::listener().await;
    let (for_factory, factory_port) = tls::listener().await;
    let (gitlab, factory) = (
        format!("https://localhost:{gitlab_port}"),
        format!("https://localhost:{factory_port}"),
    );
    let fixture = Fixture::with(Options {
        gitlab_external_url: Some(gitlab.clone()),
        factory_api_external: Some(factory.clone()),
        ..Options::default()
    })
    .await;
    tls::front(for_gitlab, &fixture.sandbox.gitlab_url(), &servers, None);
    tls::front(for_factory, &fixture.sandbox.factory_api_url(), &servers, None);
    std::fs::write(fixture.path("ca.pem"), servers.pem()).unwrap();
    let (first, asked_first) = tls::tunnel().await;
    let (second, asked_second) = tls::tunnel().await;
    tls::write_private(
        &fixture.path("proxy"),
        &second.replace("http://", "http://me:canary-of-it@"),
    );
    let url = fixture.sandbox.gitlab_url();
    fixture.edit_config(
        &format!("url = \"{url}\"\n"),
        &format!("url = \"{gitlab}\"\nca_file = \"ca.pem\"\nproxy = \"{first}\"\nheaders = {{ X-Gateway = {{ env = \"FACTORY_API_KEY\" }} }}\n"),
    );
    let url = fixture.sandbox.factory_api_url();
    fixture.edit_config(
        &format!("api_url = \"{url}\"\n"),
        &format!("api_url = \"{factory}\"\nca_file = \"ca.pem\"\nproxy = {{ file = \"proxy\" }}\n"),
    );
    let dead = [("HTTPS_PROXY", "http://127.0.0.1:1")];
    let planned = async |code: i32| {
        let mut command = fixture.command(&["plan"]);
        command.envs(dead);
        run(command).await.expect(code)
    };
    planned(0).await;
    let names = |asked: &Mutex<BTreeSet<String>>| std::mem::take(&mut *asked.lock().unwrap());
    assert_eq!(
        names(&asked_first),
        BTreeSet::from([format!("localhost:{gitlab_port}")])
    );
    assert_eq!(
        names(&asked_second),
        BTreeSet::from([format!("localhost:{factory_port}")])
    );
    let mut command = fixture.command(&["doctor", "--format", "json"]);
    command.envs(dead);
    let doctor = run(command).await;
    for said in [
        format!("through the proxy {first} (gitlab.proxy)"),
        format!("through the proxy {second} (factory.proxy)"),
    ] {
        assert!(doctor.stdout.contains(&said), "{said}\n{}", doctor.stdout);
    }
    assert!(!doctor.stdout.contains("canary"), "{}", doctor.stdout);

    fixture.edit_config(&format!("proxy = \"{first}\""), "proxy = \"none\"");
    names(&asked_first);
    planned(0).await;
    assert!(names(&asked_first).is_empty());
    // A proxy that is not there is named by the key, and so is the way around it.
    fixture.edit_config("proxy = \"none\"", "proxy = \"http://127.0.0.1:1\"");
    let said = unwrapped(&planned(1).await.stderr);
    assert!(
        said.contains("the proxy http://127.0.0.1:1 (gitlab.proxy) refuses connections")
            && said.contains("set gitlab.proxy = \"none\""),
        "{said}"
    );
    fixture.edit_config("proxy = \"http://127.0.0.1:1\"", "proxy = { env = \"NO_ADDRESS\" }");
    let mut command = fixture.command(&["plan"]);
    command.env("NO_ADDRESS", "socks5://me:canary@proxy.example.com");
    let said = unwrapped(&run(command).await.expect(1).stderr);
    assert!(
        said.contains("gitlab.proxy, which names the proxy on the way to GitLab"),
        "{said}"
    );
    assert!(!said.contains("canary"), "{said}");
}
