//! The ways into GitLab beside its own form: the form of an LDAP server, and the cookie of a session that a person opened
//! in a browser. What is particular to each, and where it is refused; `ways` tries them everywhere.

use serde_json::json;
use setpoint::sandbox::Options;
use setpoint::sandbox::world::{Identity, User, WebSession, digest};

use super::common::plans::{change, notes, unwrapped};
#[cfg(target_os = "linux")]
use super::common::terminal::Terminal;
use super::common::{Fixture, Ran, run};

const COOKIE: &str = "0123456789abcdef0123456789abcdef";
const ACCOUNT: &str = "username = \"root\"\npassword = { env = \"GITLAB_ADMIN_PASSWORD\" }\n";
const DIRECTORY_PASSWORD: &str = "the-directory-keeps-it";

async fn with(switches: &[&str]) -> Fixture {
    let mut options = Options::default();
    for switch in switches {
        options.switches.set(switch).expect("a switch");
    }
    let fixture = Fixture::with(options).await;
    fixture.give_admin_session();
    fixture
}

/// An account of the directory: GitLab takes no password of its own of it.
fn of_directory(user: &mut User, name: &str) {
    user.identities.push(Identity {
        provider: "ldapmain".to_owned(),
        extern_uid: name.to_owned(),
        password_digest: digest(DIRECTORY_PASSWORD),
    });
}

async fn ran(fixture: &Fixture, arguments: &[&str], variable: &str, value: &str) -> Ran {
    let mut command = fixture.command(arguments);
    command.env(variable, value);
    run(command).await
}

/// Of several servers the named one's, under the directory's name of the account, where GitLab takes no passwords itself.
#[tokio::test]
async fn the_form_of_an_ldap_server_takes_the_password_of_the_directory() {
    let fixture = with(&["ldap_servers=[\"ldapmain\",\"ldapother\"]", "password_login_off=true"]).await;
    fixture.change_user("root", |root| of_directory(root, "chief"));
    fixture.edit_config(
        ACCOUNT,
        "username = \"chief\"\npassword = { env = \"DIRECTORY\" }\nprovider = \"ldapmain\"\n",
    );
    // The droid is impersonated: it needs no password where GitLab takes none.
    fixture.edit_config("password = { env = \"FACTORY_DROID_PASSWORD\" }\n", "");
    let apply = &["apply", "--auto-approve"];
    ran(&fixture, apply, "DIRECTORY", DIRECTORY_PASSWORD).await.expect(0);
    fixture.expect_connected("by the directory");
    fixture.expect_signed_out("by the directory");
}

#[tokio::test]
async fn a_directory_that_refuses_and_one_that_is_not_there_are_told_apart() {
    let fixture = with(&["ldap_servers=[\"ldapmain\"]"]).await;
    fixture.apply().await.expect(0);
    fixture.edit_config(
        ACCOUNT,
        "username = \"chief\"\npassword = { env = \"DIRECTORY\" }\nprovider = \"ldapmain\"\n",
    );
    let refused = ran(&fixture, &["plan"], "DIRECTORY", "wrong-for-the-directory")
        .await
        .expect(1);
    let said = unwrapped(&refused.stderr);
    assert!(
        said.contains("GitLab does not let chief sign in: Could not authenticate you from Ldapmain"),
        "{said}"
    );
    assert!(said.contains("against the directory of `ldapmain`"), "{said}");
    fixture.edit_config("ldapmain", "ldapother");
    let missing = ran(&fixture, &["plan"], "DIRECTORY", DIRECTORY_PASSWORD)
        .await
        .expect(1);
    let said = unwrapped(&missing.stderr);
    assert!(said.contains("no form of the LDAP server `ldapother`"), "{said}");
    assert!(
        said.contains("It has those of: ldapmain. Set gitlab.admin_session.provider to one of them"),
        "{said}"
    );
}

/// A browser's session of the administrator, with Admin Mode on or off.
fn open_in_browser(fixture: &Fixture, admin_mode: bool) {
    fixture.world(|world| {
        let now = world.now();
        let root = world.user_named("root").expect("the administrator").id;
        world.sessions.push(WebSession {
            id: COOKIE.to_owned(),
            user_id: Some(root),
            created_at: now,
            admin_mode_until: admin_mode.then(|| now + jiff::SignedDuration::from_hours(6)),
            ..WebSession::default()
        });
    });
}

fn is_open(fixture: &Fixture) -> bool {
    fixture.world(|world| world.sessions.iter().any(|session| session.id == COOKIE))
}

async fn single_sign_on(switches: &[&str]) -> Fixture {
    let fixture = with(switches).await;
    fixture.edit_config(ACCOUNT, "cookie = { env = \"GITLAB_SESSION\" }\n");
    fixture
}

#[tokio::test]
async fn a_session_that_a_person_opened_is_used_and_left_open() {
    let fixture = single_sign_on(&["admin_mode=true", "sso_providers=[\"saml\"]"]).await;
    open_in_browser(&fixture, true);
    let apply = &["apply", "--auto-approve"];
    // With its name, as browsers copy it.
    let named = format!("_gitlab_session={COOKIE}");
    ran(&fixture, apply, "GITLAB_SESSION", &named).await.expect(0);
    assert!(fixture.application().trusted);
    fixture.expect_connected("in a person's session");
    assert!(is_open(&fixture));
}

#[tokio::test]
async fn admin_mode_has_to_be_on_in_it_and_an_ended_one_is_told() {
    let fixture = single_sign_on(&["admin_mode=true"]).await;
    open_in_browser(&fixture, true);
    ran(&fixture, &["apply", "--auto-approve"], "GITLAB_SESSION", COOKIE)
        .await
        .expect(0);
    fixture.world(|world| world.sessions.clear());
    open_in_browser(&fixture, false);
    let off = ran(&fixture, &["plan"], "GITLAB_SESSION", COOKIE).await.expect(1);
    let said = unwrapped(&off.stderr);
    assert!(said.contains("Admin Mode is off in the session of root"), "{said}");
    assert!(said.contains("Enter Admin Mode in that browser"), "{said}");
    assert!(is_open(&fixture));
    fixture.world(|world| world.sessions.clear());
    let ended = ran(&fixture, &["plan"], "GITLAB_SESSION", COOKIE).await.expect(1);
    let said = unwrapped(&ended.stderr);
    assert!(said.contains("is the cookie of no session that is open"), "{said}");
    let broken = ran(&fixture, &["plan"], "GITLAB_SESSION", "two words").await.expect(1);
    assert!(
        unwrapped(&broken.stderr).contains("is not the value of a cookie"),
        "{}",
        broken.stderr
    );
    // Where nobody looks with a session, the cookie need not be there at all.
    fixture.edit_config("GITLAB_SESSION\" }\n", "GITLAB_SESSION\" }\nuse = \"apply\"\n");
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
}

/// An `apply` on a terminal that has come to the question.
#[cfg(target_os = "linux")]
async fn asked_on_a_terminal(fixture: &Fixture) -> Terminal {
    let mut terminal = Terminal::start(fixture, &["apply"], 100);
    let question = terminal.until("Answer (not shown): ").await;
    let said = unwrapped(&question);
    assert!(
        said.contains("the environment variable GITLAB_SESSION does not give it") && said.contains("`_gitlab_session`"),
        "{question}"
    );
    assert!(!terminal.echoes());
    terminal
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn on_a_terminal_the_cookie_is_asked_for_and_shown_and_kept_nowhere() {
    let fixture = single_sign_on(&["admin_mode=true"]).await;
    open_in_browser(&fixture, true);
    let mut terminal = asked_on_a_terminal(&fixture).await;
    // What is pasted behind it is no consent.
    terminal.type_in(&format!("_gitlab_session={COOKIE}\nyes\n"));
    terminal.until("Answer: ").await;
    assert!(terminal.echoes());
    terminal.line("no");
    let (code, all) = terminal.end().await;
    assert_eq!(code, Some(4), "{all}");
    assert!(!all.contains(COOKIE), "{all}");
    assert_eq!(fixture.api_writes(), 0);

    let mut terminal = asked_on_a_terminal(&fixture).await;
    terminal.line(COOKIE);
    terminal.until("Answer: ").await;
    terminal.line("yes");
    let (code, all) = terminal.end().await;
    assert_eq!(code, Some(0), "{all}");
    assert!(fixture.application().trusted && is_open(&fixture));
    fixture.expect_connected("asked on a terminal");
    let kept = std::fs::read_to_string(fixture.path(".setpoint/state.json")).expect("the record");
    let journal = std::fs::read_to_string(fixture.path(".setpoint/journal.jsonl")).expect("the journal");
    assert!(![all, kept, journal].concat().contains(COOKIE));
    // Whoever only looks asks nobody, and doctor says who would.
    let (code, all) = Terminal::start(&fixture, &["plan"], 100).end().await;
    assert!(
        code == Some(1) && unwrapped(&all).contains("GITLAB_SESSION is not set"),
        "{all}"
    );
    let (_, all) = Terminal::start(&fixture, &["doctor"], 100).end().await;
    assert!(unwrapped(&all).contains("on this terminal, apply asks for it"), "{all}");
    let ran = fixture.run(&["apply"]).await.expect(1);
    assert!(!ran.all().contains("Answer"), "{}", ran.all());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_cookie_that_is_asked_for_and_not_given_ends_it_and_changes_nothing() {
    let fixture = single_sign_on(&[]).await;
    open_in_browser(&fixture, true);
    let apply = &["apply", "--auto-approve"];
    ran(&fixture, apply, "GITLAB_SESSION", COOKIE).await.expect(0);
    fixture.world(|world| world.sessions.clear());
    fixture.change_application(|application| application.trusted = false);
    let mut terminal = asked_on_a_terminal(&fixture).await;
    terminal.type_in("half-of-a-canary");
    terminal.interrupt();
    let (code, all) = terminal.end().await;
    assert_eq!(code, Some(1), "{all}");
    assert!(all.contains("interrupted before anything was changed"), "{all}");
    assert!(!all.contains("canary"), "{all}");
    for (typed, said) in [
        ("\n", "the environment variable GITLAB_SESSION is not set, or empty"),
        ("\u{4}", "the environment variable GITLAB_SESSION is not set, or empty"),
        ("two canaries\n", "is not the value of a cookie"),
        ("0123456789canary\n", "is the cookie of no session that is open"),
    ] {
        let mut terminal = asked_on_a_terminal(&fixture).await;
        terminal.type_in(typed);
        let (code, all) = terminal.end().await;
        assert_eq!(code, Some(1), "{all}");
        let told = unwrapped(&all);
        assert!(told.contains(said) && !told.contains("canar"), "{typed:?}: {all}");
    }
    assert!(!fixture.application().trusted);
}

#[tokio::test]
async fn nobody_is_impersonated_in_a_persons_session() {
    let fixture = single_sign_on(&[]).await;
    open_in_browser(&fixture, true);
    fixture.edit_config("password = { env = \"FACTORY_DROID_PASSWORD\" }\n", "");
    let plan = ran(&fixture, &["plan", "--format", "json"], "GITLAB_SESSION", COOKIE)
        .await
        .expect(0);
    let plan = plan.json();
    let authorization = change(&plan, "factory.authorization");
    assert_eq!(
        (&authorization["status"], &authorization["reason"]),
        (&json!("operator"), &json!("not_connected"))
    );
    assert!(
        notes(authorization).contains("a person approves it"),
        "{authorization:#}"
    );
    fixture.edit_config("[user]\n", "[user]\nsign_in = \"impersonate\"\n");
    let refused = ran(&fixture, &["validate"], "GITLAB_SESSION", COOKIE).await.expect(1);
    let said = unwrapped(&refused.stderr);
    assert!(
        said.contains("would end the session that `gitlab.admin_session.cookie` is of"),
        "{said}"
    );
    assert!(is_open(&fixture));
}

#[tokio::test]
async fn a_session_is_had_in_one_way_only() {
    let fixture = with(&[]).await;
    for (session, said) in [
        ("username = \"root\"\n", "`gitlab.admin_session.password` is missing"),
        (
            "username = \"root\"\ncookie = { env = \"X\" }\n",
            "`gitlab.admin_session.username` is of no use beside `cookie`",
        ),
        (
            "username = \"root\"\npassword = { env = \"X\" }\nprovider = \"saml\"\n",
            "`gitlab.admin_session.provider` is no name of an LDAP server",
        ),
    ] {
        let config = fixture.config().replace(
            "[factory]\n",
            &format!("[gitlab.admin_session]\n{session}\n[factory]\n"),
        );
        fixture.write_config(&config);
        let ran = fixture.run(&["validate"]).await.expect(1);
        assert!(unwrapped(&ran.stderr).contains(said), "{}", ran.stderr);
    }
}

/// GitLab refuses the password of an account that signs in elsewhere as if it were wrong, and counts it as such.
#[tokio::test]
async fn no_password_is_sent_that_gitlab_would_refuse_however_right_it_is() {
    let sso = "disable_password_authentication_for_users_with_sso_identities=true";
    for (switches, provider, way_out) in [
        (
            &["ldap_servers=[\"ldapmain\"]"][..],
            "ldapmain",
            "Give the LDAP server as gitlab.admin_session.provider",
        ),
        (
            &["sso_providers=[\"saml\"]", sso],
            "saml",
            "give the cookie of a session",
        ),
    ] {
        let fixture = with(switches).await;
        fixture.apply().await.expect(0);
        fixture.change_user("root", |root| {
            of_directory(root, "root");
            provider.clone_into(&mut root.identities[0].provider);
        });
        let since = fixture.request_count();
        for command in ["plan", "doctor"] {
            let said = unwrapped(&fixture.run(&[command]).await.expect(1).all());
            assert!(
                said.to_lowercase().contains(&format!("root signs in by {provider}")) && said.contains(way_out),
                "{command}: {said}"
            );
        }
        let asked = fixture.requests_since(since);
        let sent = asked.iter().filter(|request| *request == "POST /users/sign_in").count();
        assert_eq!(sent, 1, "the droid's, by doctor: {asked:#?}");
        let failed = fixture.world(|world| world.user_named("root").expect("the administrator").failed_attempts);
        assert_eq!(failed, 0);
    }
}
