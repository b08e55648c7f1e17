//! What goes wrong at a proxy is said of the proxy, with the variable that names it, and never of GitLab.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::common::plans::unwrapped;
use crate::common::{Fixture, Ran, run};

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
