//! A server that answers more, deeper or longer than anything has a reason to be is refused in clear words, and soon.

use setpoint::sandbox::world::Application;
use setpoint::sandbox::{Action, Options};

use crate::common::Fixture;
use crate::common::plans::{find, unwrapped};
use crate::common::proxy::{Phase, Proxy};

struct Case {
    what: &'static str,
    path: &'static str,
    kind: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
    said: &'static str,
}

fn rows(number: usize) -> String {
    let row = r#"{"id":1,"path_with_namespace":"platform/x","full_path":"platform/x","visibility":"private","archived":false}"#;
    format!("[{}]", vec![row; number].join(","))
}

#[tokio::test]
async fn answers_without_measure_are_refused() {
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    fixture.give_admin_session();
    let cases = [
        Case {
            what: "deep JSON",
            path: "/api/v4/user",
            kind: "application/json",
            headers: vec![],
            body: "[".repeat(200_000),
            said: "GitLab",
        },
        Case {
            what: "deep JSON in a field that nobody reads",
            path: "/api/v4/user",
            kind: "application/json",
            headers: vec![],
            body: format!("{{\"id\":1,\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)),
            said: "missing field `username`",
        },
        Case {
            what: "a long answer",
            path: "/api/v4/user",
            kind: "application/json",
            headers: vec![],
            body: " ".repeat(9 << 20),
            said: "more than 8192 KiB",
        },
        Case {
            what: "a list of applications without measure",
            path: "/api/v4/applications",
            kind: "application/json",
            headers: vec![],
            body: " ".repeat(65 << 20),
            said: "more than 65536 KiB",
        },
        Case {
            what: "pages without end",
            path: "/api/v4/groups/*/projects",
            kind: "application/json",
            headers: vec![("x-total-pages", "4000000000".to_owned())],
            body: "[]".to_owned(),
            said: "do not come to an end",
        },
        Case {
            what: "the same page again",
            path: "/api/v4/groups/*/projects",
            kind: "application/json",
            headers: vec![("x-next-page", "1".to_owned())],
            body: "[]".to_owned(),
            said: "do not come to an end",
        },
        Case {
            what: "a page of more than was asked for",
            path: "/api/v4/groups/*/projects",
            kind: "application/json",
            headers: vec![],
            body: rows(101),
            said: "where 100 at most were asked for",
        },
        Case {
            what: "cookies without end",
            path: "/users/sign_in",
            kind: "text/html",
            headers: (0..60).map(|number| ("set-cookie", format!("c{number}=1"))).collect(),
            body: "<p>x".to_owned(),
            said: "more cookies than a browser keeps",
        },
        Case {
            what: "a nested page",
            path: "/users/sign_in",
            kind: "text/html",
            headers: vec![],
            body: "<b><a>".repeat(20_000),
            said: "no page of GitLab's has",
        },
        Case {
            what: "a long page",
            path: "/users/sign_in",
            kind: "text/html",
            headers: vec![],
            body: "<p>x".repeat(1 << 20),
            said: "more than 2048 KiB",
        },
    ];
    for case in cases {
        if case.path == "/users/sign_in" {
            // A plan signs in where there is an application to look at.
            proxy.intercept(|_, _| Action::Pass);
            fixture.apply().await.expect(0);
        }
        let answer = Action::Respond {
            status: 200,
            headers: case
                .headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .chain([("content-type".to_owned(), case.kind.to_owned())])
                .collect(),
            body: case.body,
        };
        // Of what is asked for at the same time, only this answer is out of measure, so that it is the one that is told.
        let (start, end) = case.path.split_once('*').unwrap_or((case.path, ""));
        proxy.intercept(move |request, phase| {
            let middle = request.path.strip_prefix(start).and_then(|path| path.strip_suffix(end));
            if phase == Phase::Before && middle.is_some_and(|middle| middle.is_empty() == end.is_empty()) {
                answer.clone()
            } else {
                Action::Pass
            }
        });
        let ran = proxy.run(&fixture, &["plan"]).await;
        let said = unwrapped(&ran.stderr);
        assert_eq!(ran.code, 1, "{}: {said}", case.what);
        assert!(said.contains(case.said), "{}: {said}", case.what);
        assert!(said.len() < 2000, "{}: {said}", case.what);
    }
}

/// Where clients register themselves, GitLab has applications without an owner by the ten thousand, and gives them in
/// one answer.
#[tokio::test]
async fn applications_by_the_ten_thousand_are_read() {
    let fixture = Fixture::new().await;
    fixture.apply().await.expect(3);
    fixture.world(|world| {
        let clients = (0..40_000).map(|number| Application {
            id: 1000 + number,
            uid: format!("{number:064x}"),
            name: format!("A client that registered itself, number {number}"),
            redirect_uri: "https://client.example.com/callback".to_owned(),
            scopes: vec!["read_user".to_owned()],
            ..Application::default()
        });
        world.applications.extend(clients);
    });
    let plan = fixture.plan().await;
    assert!(find(&plan, "factory.connection").is_none(), "{plan:#}");
}

#[tokio::test]
async fn factorys_pages_come_to_an_end() {
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    fixture.give_admin_session();
    fixture.apply().await.expect(0);
    proxy.intercept(|request, phase| {
        if phase == Phase::Before && request.method == "GET" && request.path.ends_with("/gitlab-sh/repositories") {
            let body = r#"{"repositories":[],"pagination":{"hasMore":true,"nextCursor":"again"}}"#;
            return Action::Respond {
                status: 200,
                headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                body: body.to_owned(),
            };
        }
        Action::Pass
    });
    let ran = proxy.run(&fixture, &["plan"]).await.expect(1);
    assert!(unwrapped(&ran.stderr).contains("repeat themselves"), "{}", ran.stderr);
}
