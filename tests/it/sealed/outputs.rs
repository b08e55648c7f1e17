//! Every command, in every form, at every loudness, with both logs: no secret in what it says and leaves behind. Every
//! combination of these takes minutes; everyday there are a few of them, with each value of each at least once.

use super::canary::{ADMIN_TOTP, AUTHENTICATOR, CODE, DROID_TOTP, STORE, SealedFixture};
use crate::common::Fixture;
use crate::common::plans::DROID;

/// A form, a loudness and a log.
type Way = Vec<&'static str>;

fn a_few() -> Vec<Way> {
    vec![
        vec!["--format", "human", "-vvv", "--log-format", "text"],
        vec!["--format", "json", "-vv", "--log-format", "json"],
        vec!["--format", "markdown", "-v", "--log-format", "json"],
        vec!["--format", "human", "-q", "--log-format", "json"],
        vec!["--format", "markdown", "--log-format", "text"],
    ]
}

fn all() -> Vec<Way> {
    let mut ways = Vec::new();
    for form in ["human", "json", "markdown"] {
        for loudness in [&["-q"][..], &[], &["-v"], &["-vv"], &["-vvv"]] {
            for log in ["text", "json"] {
                ways.push([&["--format", form, "--log-format", log], loudness].concat());
            }
        }
    }
    ways
}

/// Runs a command line in each way, after what `prepare` does.
async fn in_each(sealed: &SealedFixture, ways: &[Way], arguments: &[&str], codes: &[i32], prepare: impl Fn(&Fixture)) {
    for way in ways {
        prepare(&sealed.fixture);
        let arguments = [way, arguments].concat();
        let ran = sealed.run(&arguments).await;
        assert!(
            codes.contains(&ran.code),
            "{arguments:?}\n{}\n{}",
            ran.stdout,
            ran.stderr
        );
    }
}

/// Commands that need nothing, commands that look, and commands about the record.
async fn what_only_looks(ways: &[Way]) {
    let sealed = SealedFixture::new().await;
    let nothing = |_: &Fixture| {};
    in_each(&sealed, ways, &["init", "-c", "new.toml"], &[0], |fixture| {
        let _ = std::fs::remove_file(fixture.path("new.toml"));
    })
    .await;
    in_each(&sealed, ways, &["schema", "plan"], &[0], nothing).await;
    in_each(&sealed, ways, &["completions", "bash"], &[0], nothing).await;
    in_each(&sealed, ways, &["man"], &[0], nothing).await;
    sealed.run(&["apply", "--auto-approve", "-vvv"]).await.expect(0);
    // Something to say: drift, and something pending.
    sealed
        .fixture
        .change_application(|application| application.scopes.truncate(2));
    sealed
        .fixture
        .edit_config("[repositories]", "[repositories]\nunlisted = \"disable\"");
    in_each(&sealed, ways, &["validate"], &[0], nothing).await;
    in_each(&sealed, ways, &["doctor"], &[0, 1], nothing).await;
    let plan = [
        "plan",
        "--out",
        "plan.out",
        "--gitlab-report",
        "report.json",
        "--detailed-exitcode",
    ];
    in_each(&sealed, ways, &plan, &[2], nothing).await;
    in_each(&sealed, ways, &["drift", "--metrics", "setpoint.prom"], &[2], nothing).await;
    in_each(&sealed, ways, &["export"], &[0], nothing).await;
    in_each(&sealed, ways, &["state", "show"], &[0], nothing).await;
    in_each(&sealed, ways, &["state", "journal"], &[0], nothing).await;
}

/// Commands about the record: it is locked by somebody, lost, and put back.
async fn what_mends_the_record(ways: &[Way]) {
    let sealed = SealedFixture::new().await;
    sealed.run(&["apply", "--auto-approve"]).await.expect(0);
    let record = |fixture: &Fixture| fixture.path(".setpoint/state.json");
    std::fs::copy(record(&sealed.fixture), sealed.fixture.path("backup.json")).expect("a copy");
    let lock = serde_json::json!({
        "ID": "0d8a1b06-8d47-4b58-9b76-0f6b1f1c0001", "Operation": "apply", "Info": "by hand",
        "Who": "ada@elsewhere.example.com", "Version": "1", "Created": "2026-01-01T00:00:00Z", "Path": "",
    });
    let unlock = ["state", "unlock", "--auto-approve"];
    in_each(&sealed, ways, &unlock, &[0], |fixture| {
        std::fs::write(fixture.path(".setpoint/state.json.lock"), lock.to_string()).expect("a lock");
    })
    .await;
    let lose = |fixture: &Fixture| std::fs::write(record(fixture), "garbage").expect("no record");
    let push = ["state", "push", "backup.json", "--auto-approve"];
    in_each(&sealed, ways, &push, &[0], lose).await;
    in_each(&sealed, ways, &["state", "rebuild", "--auto-approve"], &[0], lose).await;
}

async fn what_writes(ways: &[Way]) {
    let sealed = SealedFixture::new().await;
    let world = sealed.fixture.world(|world| world.clone());
    let anew = |fixture: &Fixture| {
        fixture.world(|now| *now = world.clone());
        let _ = std::fs::remove_dir_all(fixture.path(".setpoint"));
        let _ = std::fs::remove_file(fixture.path(STORE));
    };
    sealed.run(&["plan", "--out", "plan.out"]).await.expect(0);
    in_each(&sealed, ways, &["apply", "plan.out"], &[0], anew).await;
    in_each(&sealed, ways, &["apply", "--auto-approve"], &[0], anew).await;
    in_each(&sealed, ways, &["rotate", "--auto-approve"], &[0], |_| {}).await;
    expect_kinds(
        &sealed,
        &[
            "cookie",
            "authenticity_token",
            "parameter code",
            "application's secret",
            "access token",
            "refresh token",
        ],
    );
    let connected = sealed.fixture.world(|world| world.clone());
    let state = std::fs::read(sealed.fixture.path(".setpoint/state.json")).expect("the record");
    let again = |fixture: &Fixture| {
        fixture.world(|now| *now = connected.clone());
        std::fs::write(fixture.path(".setpoint/state.json"), &state).expect("the record");
    };
    in_each(
        &sealed,
        ways,
        &["destroy", "--auto-approve", "--delete-user"],
        &[0],
        again,
    )
    .await;
}

/// Requires that it is looked for at least for these.
#[track_caller]
fn expect_kinds(sealed: &SealedFixture, wanted: &[&str]) {
    let kinds = sealed.canaries.kinds();
    for kind in wanted {
        assert!(
            kinds.iter().any(|name| name.contains(kind)),
            "{kind} is not looked for: {kinds:#?}"
        );
    }
}

async fn what_is_left_to_a_person(ways: &[Way]) {
    let sealed = SealedFixture::new().await;
    sealed.fixture.edit_config("driver = \"api\"", "driver = \"assisted\"");
    in_each(&sealed, ways, &["apply", "--auto-approve"], &[3], |_| {}).await;
    in_each(
        &sealed,
        ways,
        &["confirm", "--all", "--auto-approve"],
        &[0, 1, 3, 4],
        |_| {},
    )
    .await;
    in_each(&sealed, ways, &["plan"], &[0], |_| {}).await;
}

async fn a_record_behind_a_password(ways: &[Way]) {
    let sealed = SealedFixture::new().await;
    let url = format!(
        "{}/api/v4/projects/1/terraform/state/setpoint",
        sealed.fixture.sandbox.gitlab_url()
    );
    sealed.fixture.edit_config(
        "[repositories]",
        &format!(
            "[state]\nurl = \"{url}\"\nusername = \"root\"\npassword = {{ env = \"STATE_PASSWORD\" }}\n\n[repositories]"
        ),
    );
    // GitLab knows no such password.
    in_each(&sealed, ways, &["plan"], &[1], |_| {}).await;
    in_each(&sealed, ways, &["state", "show"], &[1], |_| {}).await;
    expect_kinds(&sealed, &["an authorization"]);
    let mut command = sealed.command(&["apply", "--auto-approve", "-vvv"]);
    command.env("STATE_PASSWORD", super::canary::GITLAB_TOKEN);
    let ran = crate::common::run(command).await.expect(0);
    sealed
        .canaries
        .expect_unspoken(&ran, "apply with a record behind a password");
}

#[tokio::test]
async fn what_only_looks_says_no_secret() {
    what_only_looks(&a_few()).await;
}

#[tokio::test]
async fn what_mends_the_record_says_no_secret() {
    what_mends_the_record(&a_few()).await;
}

#[tokio::test]
async fn what_writes_says_no_secret() {
    what_writes(&a_few()).await;
}

#[tokio::test]
async fn a_person_is_told_no_secret_unasked() {
    what_is_left_to_a_person(&a_few()).await;
}

#[tokio::test]
async fn a_record_behind_a_password_says_nothing_of_it() {
    a_record_behind_a_password(&a_few()).await;
}

#[tokio::test]
#[ignore = "takes minutes: `.ci/run` runs it"]
async fn what_only_looks_says_no_secret_in_any_way() {
    what_only_looks(&all()).await;
}

#[tokio::test]
#[ignore = "takes minutes: `.ci/run` runs it"]
async fn what_mends_the_record_says_no_secret_in_any_way() {
    what_mends_the_record(&all()).await;
}

#[tokio::test]
#[ignore = "takes minutes: `.ci/run` runs it"]
async fn what_writes_says_no_secret_in_any_way() {
    what_writes(&all()).await;
}

#[tokio::test]
#[ignore = "takes minutes: `.ci/run` runs it"]
async fn a_person_is_told_no_secret_in_any_way() {
    what_is_left_to_a_person(&all()).await;
}

#[tokio::test]
#[ignore = "takes minutes: `.ci/run` runs it"]
async fn a_record_behind_a_password_says_nothing_of_it_in_any_way() {
    a_record_behind_a_password(&all()).await;
}

/// With Admin Mode the administrator gives two codes in a run, and the second may be half a minute away.
#[tokio::test]
#[ignore = "takes minutes: `.ci/run` runs it"]
async fn neither_the_keys_nor_the_codes_of_two_factor_authentication_are_said() {
    let sealed = SealedFixture::new().await;
    sealed.fixture.edit_config(
        "password = { env = \"FACTORY_DROID_PASSWORD\" }",
        "password = { env = \"FACTORY_DROID_PASSWORD\" }\ntotp_secret = { env = \"FACTORY_DROID_TOTP\" }",
    );
    sealed.fixture.world(|world| world.switches.admin_mode = true);
    // The droid that is made has no key yet.
    sealed
        .fixture
        .change_user("root", |root| root.totp_secret = Some(ADMIN_TOTP.to_owned()));
    sealed.run(&["apply", "--auto-approve"]).await.expect(0);
    sealed
        .fixture
        .change_user(DROID, |droid| droid.totp_secret = Some(DROID_TOTP.to_owned()));
    for (way, command) in [
        (&["-vvv"][..], &["rotate", "--auto-approve"][..]),
        (&["-vvv", "--log-format", "json", "--format", "json"], &["plan"]),
        (&["-q", "--format", "markdown"], &["rotate", "--auto-approve"]),
    ] {
        // As if half a minute had passed: a code works once.
        for user in ["root", DROID] {
            sealed.fixture.change_user(user, |user| user.totp_last_step = None);
        }
        sealed.run(&[way, command].concat()).await.expect(0);
        sealed.fixture.expect_connected("with codes");
    }
    expect_kinds(&sealed, &["TOTP key", CODE]);
    let log = sealed.fixture.requests_since(0);
    for path in ["POST /users/sign_in", "POST /admin/session"] {
        assert!(log.iter().any(|request| request == path), "{path}: {log:#?}");
    }
}

/// The key of an authenticator that Setpoint registers is shown by a page, sent nowhere, and kept in one private file.
#[tokio::test]
#[ignore = "waits minutes for other codes; `.ci/run` runs it"]
async fn the_key_of_an_authenticator_and_its_recovery_codes_are_in_its_store_alone() {
    let sealed = SealedFixture::new().await;
    let fixture = &sealed.fixture;
    fixture.world(|world| world.switches.enforce_terms = true);
    fixture.edit_config(
        "totp_secret = { env = \"GITLAB_ADMIN_TOTP\" }",
        "# the administrator has none",
    );
    fixture.edit_config(
        "\n[user.memberships]",
        &format!(
            "accept_terms = true\ntotp = {{ save = {{ file = \"{AUTHENTICATOR}\" }}, load = {{ file = \"{AUTHENTICATOR}\" }} \
             }}\n\n[user.memberships]"
        ),
    );
    sealed.run(&["apply", "--auto-approve", "-vv"]).await.expect(0);
    let kinds = sealed.canaries.kinds();
    for kind in ["the key of an authenticator", "a recovery code", CODE] {
        assert!(kinds.iter().any(|known| known == kind), "{kinds:?}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(fixture.path(AUTHENTICATOR))
            .expect("the store")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // Also where it is read back: shown, planned, looked at.
    for arguments in [
        &["plan", "--format", "json", "-vv"][..],
        &["state", "show"],
        &["state", "journal"],
        &["doctor", "-vv"],
        &["drift", "-vv"],
    ] {
        sealed.run(arguments).await.expect(0);
    }
    // What is in the store and not as it should be is not repeated, either.
    std::fs::write(fixture.path(AUTHENTICATOR), "no-key-0189-a-canary-of-its-own\n").expect("the store");
    let ran = sealed.run(&["plan"]).await.expect(1);
    assert!(ran.stderr.contains("user.totp.load"), "{}", ran.stderr);
}
