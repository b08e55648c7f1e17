//! Every command, in every form, at every loudness, with both logs: no secret in what it says and leaves behind.

use super::canary::{Cage, STORE};
use crate::common::Fixture;

/// Each form, each loudness and each log at least once; what a louder log says holds what a quieter one does.
const WAYS: [&[&str]; 6] = [
    &["--format", "human", "-vvv"],
    &["--format", "json", "-vvv", "--log-format", "json"],
    &["--format", "markdown", "-vv"],
    &["--format", "human", "-q"],
    &["--format", "json", "-v"],
    &["--format", "markdown", "--log-format", "json"],
];

async fn in_every_way(cage: &Cage, arguments: &[&str], codes: &[i32], prepare: impl Fn(&Fixture)) {
    for way in WAYS {
        prepare(&cage.fixture);
        let arguments = [way, arguments].concat();
        let ran = cage.run(&arguments).await;
        assert!(
            codes.contains(&ran.code),
            "{arguments:?}\n{}\n{}",
            ran.stdout,
            ran.stderr
        );
    }
}

#[tokio::test]
async fn what_only_looks_says_no_secret() {
    let cage = Cage::new().await;
    cage.run(&["apply", "--auto-approve", "-vvv"]).await.expect(0);
    // Something to say: drift, and something pending.
    cage.fixture
        .change_application(|application| application.scopes.truncate(2));
    cage.fixture
        .edit_config("[repositories]", "[repositories]\nunlisted = \"disable\"");
    let nothing = |_: &Fixture| {};
    in_every_way(&cage, &["validate"], &[0], nothing).await;
    in_every_way(&cage, &["doctor"], &[0, 1], nothing).await;
    let plan = [
        "plan",
        "--out",
        "plan.out",
        "--gitlab-report",
        "report.json",
        "--detailed-exitcode",
    ];
    in_every_way(&cage, &plan, &[2], nothing).await;
    in_every_way(&cage, &["drift", "--metrics", "setpoint.prom"], &[2], nothing).await;
    in_every_way(&cage, &["export"], &[0], nothing).await;
    in_every_way(&cage, &["state", "show"], &[0], nothing).await;
    in_every_way(&cage, &["state", "journal"], &[0], nothing).await;
}

#[tokio::test]
async fn what_writes_says_no_secret() {
    let cage = Cage::new().await;
    let world = cage.fixture.world(|world| world.clone());
    let anew = |fixture: &Fixture| {
        fixture.world(|now| *now = world.clone());
        let _ = std::fs::remove_dir_all(fixture.path(".setpoint"));
        let _ = std::fs::remove_file(fixture.path(STORE));
    };
    in_every_way(&cage, &["apply", "--auto-approve"], &[0], anew).await;
    in_every_way(&cage, &["rotate", "--auto-approve"], &[0], |_| {}).await;
    let kinds = cage.canaries.kinds();
    for kind in [
        "cookie",
        "authenticity_token",
        "parameter code",
        "application's secret",
        "access token",
        "refresh token",
    ] {
        assert!(
            kinds.iter().any(|name| name.contains(kind)),
            "{kind} is not looked for: {kinds:#?}"
        );
    }
    let connected = cage.fixture.world(|world| world.clone());
    let state = std::fs::read(cage.fixture.path(".setpoint/state.json")).expect("the record");
    let again = |fixture: &Fixture| {
        fixture.world(|now| *now = connected.clone());
        std::fs::write(fixture.path(".setpoint/state.json"), &state).expect("the record");
    };
    in_every_way(&cage, &["destroy", "--auto-approve", "--delete-user"], &[0], again).await;
}

#[tokio::test]
async fn a_person_is_told_no_secret_unasked() {
    let cage = Cage::new().await;
    cage.fixture.edit_config("driver = \"api\"", "driver = \"assisted\"");
    in_every_way(&cage, &["apply", "--auto-approve"], &[3], |_| {}).await;
    in_every_way(&cage, &["confirm", "--all", "--auto-approve"], &[0, 1, 3, 4], |_| {}).await;
    in_every_way(&cage, &["plan"], &[0], |_| {}).await;
}

#[tokio::test]
async fn a_record_behind_a_password_says_nothing_of_it() {
    let cage = Cage::new().await;
    let url = format!(
        "{}/api/v4/projects/1/terraform/state/setpoint",
        cage.fixture.sandbox.gitlab_url()
    );
    cage.fixture.edit_config(
        "[repositories]",
        &format!(
            "[state]\nurl = \"{url}\"\nusername = \"root\"\npassword = {{ env = \"STATE_PASSWORD\" }}\n\n[repositories]"
        ),
    );
    for way in WAYS {
        // GitLab knows no such password.
        let ran = cage.run(&[way, &["plan"]].concat()).await;
        assert_eq!(ran.code, 1, "{}\n{}", ran.stdout, ran.stderr);
    }
    assert!(cage.canaries.kinds().iter().any(|kind| kind == "an authorization"));
    let mut command = cage.command(&["apply", "--auto-approve", "-vvv"]);
    command.env("STATE_PASSWORD", super::canary::GITLAB_TOKEN);
    let ran = crate::common::run(command).await.expect(0);
    cage.canaries
        .expect_unspoken(&ran, "apply with a record behind a password");
}
