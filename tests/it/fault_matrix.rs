//! A mishap at any point ends well or with one clear error, and it converges when the mishap is over. Here each
//! fifth kind of request of a scenario meets one mishap; all mishaps at all kinds, once and lasting, are
//! `cargo run --example soak -- fault-matrix`. Below it, by name, what that has found.

use setpoint::sandbox::{Action, Options};

use crate::common::plans::unwrapped;
use crate::common::proxy::{Phase, Proxy};
use crate::matrix::Extent;
use crate::matrix::fault::matrix;
use crate::matrix::scenario::Scenario;

fn withstands(name: &str) {
    let tally = matrix(&Scenario::named(name), Extent::Part, 2);
    assert!(tally.violations.is_empty(), "{}", tally.violations.join("\n"));
    assert_eq!(tally.missed, 0, "{name}: a point was not reached");
    assert!(tally.injected >= 2, "{name}: only {} points", tally.injected);
}

/// All scenarios at once, because most of the time is spent waiting between attempts.
#[test]
fn a_mishap_at_a_request_of_any_kind_ends_well() {
    std::thread::scope(|scope| {
        for name in [
            "first apply, by password",
            "first apply, impersonated",
            "change in place",
            "replacement",
            "rotation",
            "destroy with the user",
        ] {
            scope.spawn(move || withstands(name));
        }
    });
}

/// Answers the next request of a kind in place of the server.
fn answer_once(proxy: &Proxy, method: &'static str, part: &'static str, status: u16, kind: &str, body: &str) {
    let mut answer = Some(Action::Respond {
        status,
        headers: vec![("content-type".to_owned(), kind.to_owned())],
        body: body.to_owned(),
    });
    proxy.intercept(move |request, phase| {
        if phase == Phase::Before && request.method == method && request.path.contains(part) {
            return answer.take().unwrap_or(Action::Pass);
        }
        Action::Pass
    });
}

#[tokio::test]
async fn a_status_of_success_from_something_in_between_is_no_deletion() {
    for (part, kind, body) in [
        (
            "/applications/",
            "text/html",
            "<html><form action=\"/login\"></form></html>",
        ),
        ("/users/", "text/plain", ""),
        ("/integrations/gitlab-sh", "text/html", "<html><h1>Welcome</h1></html>"),
    ] {
        let (fixture, proxy) = Proxy::on(Options::default()).await;
        fixture.give_admin_session();
        fixture.apply().await.expect(0);
        answer_once(&proxy, "DELETE", part, 200, kind, body);
        let destroy = ["destroy", "--delete-user", "--auto-approve"];
        let ran = fixture.run(&destroy).await.expect(3);
        assert!(
            unwrapped(&ran.stdout).contains("and not 204 No Content"),
            "{}",
            ran.all()
        );
        fixture.run(&destroy).await.expect(0);
        let user_is_there = fixture.world(|world| world.user_named("factory-droid").is_some());
        assert!(!user_is_there, "{part}: the user is still there");
    }
}

#[tokio::test]
async fn a_page_in_place_of_a_group_does_not_empty_it() {
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    answer_once(&proxy, "GET", "/groups/", 404, "text/html", "<h1>Not Found</h1>");
    let ran = fixture.run(&["plan"]).await.expect(1);
    assert!(
        unwrapped(&ran.stderr).contains("with the relative URL root"),
        "{}",
        ran.all()
    );
}
