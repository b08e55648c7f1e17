//! What people get wrong, and what the world does to them: each gives one message that says what to do, and leaves both
//! sides and the record as they were.

use std::path::Path;

use crate::common::{Fixture, Ran, run, setpoint};
use crate::http_client::tls;
use setpoint::sandbox::{Action, Fault, Side};

/// Runs `plan` and then `apply`, which have to fail in the same words, and change nothing.
async fn refused(fixture: &Fixture, environment: &[(&str, &str)]) -> String {
    let state = fixture.path(".setpoint/state.json");
    let before = (fixture.api_writes(), std::fs::read(&state).ok());
    let mut said = String::new();
    for arguments in [&["plan"][..], &["apply", "--auto-approve"]] {
        let mut command = fixture.command(arguments);
        command.envs(environment.iter().copied());
        let ran = run(command).await.expect(1);
        assert_eq!(ran.stdout, "", "{arguments:?}");
        assert!(said.is_empty() || said == ran.stderr, "{said}\n{}", ran.stderr);
        said = ran.stderr;
    }
    assert_eq!((fixture.api_writes(), std::fs::read(&state).ok()), before);
    message(fixture, &said)
}

/// The message as it is compared: no longer than a screen is wide, with one thing to do, and free of what changes.
fn message(fixture: &Fixture, said: &str) -> String {
    assert_eq!(said.matches("error:").count(), 1, "{said}");
    assert_eq!(said.matches("hint:").count(), 1, "{said}");
    assert!(!said.contains("glpat-") && !said.contains("fk-"), "{said}");
    fixture.redact(said)
}

/// The text without its line breaks.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn fault(side: Side, path: &str, status: u16, kind: &str, body: &str) -> Fault {
    Fault {
        side: Some(side),
        path: path.to_owned(),
        action: Action::Respond {
            status,
            headers: vec![("content-type".to_owned(), kind.to_owned())],
            body: body.to_owned(),
        },
        ..Fault::default()
    }
}

fn inject(fixture: &Fixture, fault: Fault) {
    fixture.sandbox.with_world(|world| world.switches.faults = vec![fault]);
}

fn set(fixture: &Fixture, switch: &str) {
    fixture.sandbox.with_world(|world| world.switches.set(switch).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token() {
    let fixture = Fixture::new().await;
    let wrong = [("GITLAB_TOKEN", "glpat-fake-and-wrong")];
    insta::assert_snapshot!(refused(&fixture, &wrong).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_the_scope() {
    let fixture = Fixture::new().await;
    set(&fixture, "token_scopes_missing=[\"api\", \"sudo\", \"admin_mode\"]");
    insta::assert_snapshot!(refused(&fixture, &[]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_a_line_break_in_it() {
    let fixture = Fixture::new().await;
    let wrong = [("GITLAB_TOKEN", "glpat-fake\nsecond line")];
    insta::assert_snapshot!(refused(&fixture, &wrong).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_url_where_a_web_page_answers() {
    let fixture = Fixture::new().await;
    let page = "<!DOCTYPE html><html><body>Please sign in to the company's proxy</body></html>";
    inject(&fixture, fault(Side::Gitlab, "/", 200, "text/html", page));
    insta::assert_snapshot!(refused(&fixture, &[]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_url_below_gitlab() {
    let fixture = Fixture::new().await;
    let gitlab = fixture.sandbox.gitlab_url();
    fixture.edit_config(&gitlab, &format!("{gitlab}/no-such-root"));
    insta::assert_snapshot!(refused(&fixture, &[]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_authority() {
    let fixture = Fixture::new().await;
    // Another authority, so that this works on a machine without any of the system's.
    std::fs::copy(tls::fixture("server.pem"), fixture.path("other.pem")).unwrap();
    let port = tls::serve(100);
    fixture.edit_config(
        &format!("url = \"{}\"", fixture.sandbox.gitlab_url()),
        &format!("url = \"https://localhost:{port}\"\nca_file = \"other.pem\""),
    );
    let said = refused(&fixture, &[]).await;
    insta::assert_snapshot!(said.replace(&port.to_string(), "[port]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_name_that_does_not_exist() {
    let fixture = Fixture::new().await;
    // Reserved by RFC 6761 never to exist.
    fixture.edit_config(&fixture.sandbox.gitlab_url(), "https://gitlab.invalid");
    insta::assert_snapshot!(refused(&fixture, &[]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_nobody_listens_on() {
    let fixture = Fixture::new().await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    fixture.edit_config(&fixture.sandbox.gitlab_url(), &format!("http://{closed}"));
    let said = refused(&fixture, &[]).await;
    insta::assert_snapshot!(said.replace(&closed.to_string(), "[closed]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gitlab_that_is_too_old() {
    let fixture = Fixture::new().await;
    set(&fixture, "gitlab_version=16.10.4-ee");
    insta::assert_snapshot!(refused(&fixture, &[]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_factory_does_not_know() {
    let fixture = Fixture::new().await;
    set(&fixture, "factory_key_unknown=true");
    insta::assert_snapshot!(refused(&fixture, &[]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_factorys_that_is_too_small() {
    let fixture = Fixture::new().await;
    set(&fixture, "factory_plan_too_small=true");
    insta::assert_snapshot!(refused(&fixture, &[]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_at_factory_that_does_not_suffice() {
    let fixture = Fixture::new().await;
    set(&fixture, "factory_role_too_low=true");
    insta::assert_snapshot!(refused(&fixture, &[]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn factory_as_it_is_today() {
    let fixture = Fixture::new().await;
    let page = "<!DOCTYPE html><html><body>404: This page could not be found.</body></html>";
    inject(&fixture, fault(Side::Factory, "/api/v0/", 404, "text/html", page));
    let html = refused(&fixture, &[]).await;
    insta::assert_snapshot!(html);
    // In JSON, and in the very words in which the contract says that nothing is configured yet.
    for body in [
        r#"{"message": "Not found"}"#,
        r#"{"detail": "Not found", "status": 404, "title": "Not Found"}"#,
    ] {
        inject(
            &fixture,
            fault(Side::Factory, "/api/v0/", 404, "application/json", body),
        );
        let json = refused(&fixture, &[]).await;
        assert!(words(&json).contains("factory.driver = \"assisted\""), "{json}");
    }
}

#[tokio::test]
async fn a_configuration_that_does_not_exist() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["plan", "apply", "drift", "doctor", "validate"] {
        let ran = run(setpoint(folder.path(), &[command, "-c", "nowhere.toml"]))
            .await
            .expect(1);
        assert!(ran.stderr.contains("nowhere.toml"), "{}", ran.stderr);
        assert_eq!(ran.stderr.matches("error").count(), 1, "{}", ran.stderr);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// The same configuration with another reference for GitLab's token.
async fn token(reference: &str) -> Fixture {
    let fixture = Fixture::new().await;
    fixture.edit_config("token = { env = \"GITLAB_TOKEN\" }", &format!("token = {reference}"));
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_file_that_is_missing_or_may_not_be_read() {
    let fixture = token("{ file = \"gitlab.token\" }").await;
    insta::assert_snapshot!("a_secret_file_that_is_missing", refused(&fixture, &[]).await);

    private(&fixture.path("gitlab.token"));
    if std::fs::read(fixture.path("gitlab.token")).is_err() {
        insta::assert_snapshot!("a_secret_file_that_may_not_be_read", refused(&fixture, &[]).await);
    }
    std::fs::remove_file(fixture.path("gitlab.token")).unwrap();
    std::fs::create_dir(fixture.path("gitlab.token")).unwrap();
    insta::assert_snapshot!("a_secret_file_that_is_a_folder", refused(&fixture, &[]).await);
}

/// A file that nobody may read. Root may nevertheless.
fn private(path: &Path) {
    std::fs::write(path, "glpat-fake").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o000)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_variable_that_is_not_set() {
    let fixture = token("{ env = \"NO_SUCH_VARIABLE\" }").await;
    insta::assert_snapshot!(refused(&fixture, &[]).await);
    // An empty one is as good as none.
    let empty = refused(&fixture, &[("NO_SUCH_VARIABLE", "")]).await;
    assert!(empty.contains("not set, or empty"), "{empty}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_or_does_not_exist() {
    let fixture =
        token(r#"{ command = ["sh", "-c", "echo glpat-half; echo 'vault: permission denied' >&2; exit 2"] }"#).await;
    insta::assert_snapshot!("a_command_that_fails", refused(&fixture, &[]).await);
    let fixture = token(r#"{ command = ["no-such-program", "kv", "get"] }"#).await;
    insta::assert_snapshot!("a_command_that_does_not_exist", refused(&fixture, &[]).await);
    let fixture = token(r#"{ command = ["true"] }"#).await;
    insta::assert_snapshot!("a_command_that_gives_nothing", refused(&fixture, &[]).await);
}

#[tokio::test]
async fn a_flag_that_does_not_exist() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(setpoint(folder.path(), &["apply", "--auto-aprove"]))
        .await
        .expect(1);
    insta::assert_snapshot!(ran.stderr);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

fn write_state(fixture: &Fixture, text: &str) {
    std::fs::create_dir_all(fixture.path(".setpoint")).unwrap();
    std::fs::write(fixture.path(".setpoint/state.json"), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_a_newer_setpoint() {
    let fixture = Fixture::new().await;
    write_state(&fixture, r#"{"version": 7, "all": "different"}"#);
    insta::assert_snapshot!(refused(&fixture, &[]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_damaged() {
    let fixture = Fixture::new().await;
    write_state(&fixture, r#"{"version": 1, "serial": 3, "lin"#);
    insta::assert_snapshot!(refused(&fixture, &[]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_the_sandbox() {
    let fixture = Fixture::new().await;
    fixture.run(&["apply", "--sandbox", "--auto-approve", "-q"]).await;
    // It has a place of its own, from which somebody has to carry it off.
    let own = fixture.path(".setpoint/sandbox.state.json");
    std::fs::rename(own, fixture.path(".setpoint/state.json")).unwrap();
    insta::assert_snapshot!(refused(&fixture, &[]).await);
}

/// A run that waits for an answer holds the lock; the second one is shown who that is, and exits with 4.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_locked() {
    let fixture = Fixture::new().await;
    inject(
        &fixture,
        Fault {
            side: Some(Side::Gitlab),
            action: Action::Hang,
            ..Fault::default()
        },
    );
    let mut holder = fixture.command(&["apply", "--auto-approve"]).spawn().unwrap();
    while fixture.sandbox.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let Ran { code, stdout, stderr } = fixture.run(&["apply", "--auto-approve"]).await;
    let pid = holder.id().unwrap();
    holder.kill().await.unwrap();
    assert_eq!((code, stdout.as_str()), (4, ""), "{stderr}");
    let stderr = words(&stderr);
    assert!(
        stderr.contains("running `apply`") && stderr.contains(&format!("process {pid}")),
        "{stderr}"
    );
    assert!(stderr.contains("--lock-timeout"), "{stderr}");
    assert_eq!(fixture.api_writes(), 0);
    // Nobody waits for a process that is gone.
    fixture.sandbox.with_world(|world| world.switches.faults.clear());
    // What is left is `trusted`, for a person.
    fixture.run(&["apply", "--auto-approve", "-q"]).await.expect(3);
}
