//! Files: private where they have to be whatever the umask, and never written through a link that somebody else laid
//! in a shared folder.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use setpoint::sandbox::world::digest;

use crate::common::Fixture;

const PRECIOUS: &str = "precious\n";

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("the file").permissions().mode() & 0o777
}

fn store(fixture: &Fixture) {
    fixture.edit_config(
        "\n[user]",
        "\n[application.secret]\nsave = { file = \"store/secret\" }\n\n[user]",
    );
}

#[tokio::test]
async fn private_files_are_private_whatever_the_umask() {
    let fixture = Fixture::complete().await;
    store(&fixture);
    let meant = fixture.command(&[]);
    let run_to = async |code: i32, line: &str| {
        let mut command = tokio::process::Command::new("sh");
        command
            .args([
                "-c",
                &format!("umask 000; exec {} {line}", env!("CARGO_BIN_EXE_setpoint")),
            ])
            .current_dir(fixture.folder())
            .env_clear()
            .envs(
                meant
                    .as_std()
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        crate::common::run(command).await.expect(code);
    };
    let run = async |line: &str| run_to(0, line).await;
    run("plan --out plan.out --gitlab-report report.json").await;
    run("apply --auto-approve").await;
    run("drift --metrics setpoint.prom").await;
    std::fs::create_dir(fixture.path("other")).expect("a folder");
    std::fs::copy(fixture.path("setpoint.toml"), fixture.path("other/setpoint.toml")).expect("the configuration");
    run("plan --sandbox -c other/setpoint.toml").await;
    fixture.change_user("root", |root| root.password_digest = digest("changed by somebody"));
    run_to(1, "drift").await;
    for private in [
        "plan.out",
        "store/secret",
        ".setpoint/state.json",
        ".setpoint/state.sign-ins.json",
        ".setpoint/journal.jsonl",
        "other/.setpoint/sandbox.json",
    ] {
        assert_eq!(mode(&fixture.path(private)), 0o600, "{private}");
    }
    for shared in ["report.json", "setpoint.prom"] {
        assert_eq!(mode(&fixture.path(shared)) & 0o400, 0o400, "{shared}");
    }
}

#[tokio::test]
async fn nothing_is_written_through_a_link() {
    let fixture = Fixture::complete().await;
    store(&fixture);
    fixture.apply().await.expect(0);
    let victim = fixture.path("victim");
    std::fs::write(&victim, PRECIOUS).expect("the victim");
    for (place, arguments) in [
        ("plan.out", &["plan", "--out", "plan.out"][..]),
        ("report.json", &["plan", "--gitlab-report", "report.json"]),
        ("setpoint.prom", &["drift", "--metrics", "setpoint.prom"]),
        ("store/secret", &["rotate", "--auto-approve"]),
        (".setpoint/state.json", &["rotate", "--auto-approve"]),
        (".setpoint/state.json.lock", &["rotate", "--auto-approve"]),
        (".setpoint/journal.jsonl", &["rotate", "--auto-approve"]),
        ("new.toml", &["init", "-c", "new.toml"]),
        ("world.json", &["plan", "--sandbox=world.json"]),
    ] {
        let path = fixture.path(place);
        let before = std::fs::read(&path).ok();
        // To a file that is there, and to one that would be made.
        for target in [&victim, &fixture.path("made")] {
            let _ = std::fs::remove_file(&path);
            symlink(target, &path).expect("the link");
            let ran = fixture.run(arguments).await;
            let said = format!(
                "{place} -> {}: {}\n{}\n{}",
                target.display(),
                ran.code,
                ran.stdout,
                ran.stderr
            );
            assert_eq!(
                std::fs::read_to_string(&victim).expect("the victim"),
                PRECIOUS,
                "{said}"
            );
            assert!(!fixture.path("made").exists(), "{said}");
            if ran.code == 0 {
                assert!(!path.is_symlink(), "{said}");
            }
        }
        let _ = std::fs::remove_file(&path);
        if let Some(before) = before {
            std::fs::write(&path, before).expect("the file");
        }
    }
    // Refused sign-ins are counted where one is refused.
    fixture.change_user("root", |root| root.password_digest = digest("changed by somebody"));
    symlink(&victim, fixture.path(".setpoint/state.sign-ins.json")).expect("the link");
    fixture.run(&["drift"]).await.expect(1);
    assert_eq!(std::fs::read_to_string(&victim).expect("the victim"), PRECIOUS);
}

#[tokio::test]
async fn a_long_list_for_a_person_is_not_written_through_a_link() {
    let fixture = Fixture::complete().await;
    store(&fixture);
    fixture.edit_config("driver = \"api\"", "driver = \"assisted\"");
    fixture.edit_config("[\"platform/**\", \"web/storefront\"]", "[\"**\"]");
    fixture.edit_config("except = [\"platform/archive/**\"]\n", "");
    fixture.world(|world| {
        for number in 0..30 {
            world.add_project(
                &format!("platform/more-{number}"),
                "More",
                setpoint::sandbox::world::Visibility::Private,
            );
        }
    });
    let (victim, list) = (fixture.path("victim"), fixture.path(".setpoint/repositories.txt"));
    std::fs::write(&victim, PRECIOUS).expect("the victim");
    std::fs::create_dir_all(fixture.path(".setpoint")).expect("the folder");
    symlink(&victim, &list).expect("the link");
    let ran = fixture.apply().await.expect(3);
    assert_eq!(std::fs::read_to_string(&victim).expect("the victim"), PRECIOUS);
    assert!(
        ran.stderr.contains("repositories.txt") || ran.stdout.contains("platform/more-1"),
        "{}\n{}",
        ran.stdout,
        ran.stderr
    );
    std::fs::remove_file(&list).expect("the link");
    fixture.apply().await.expect(3);
    assert!(std::fs::read_to_string(&list).is_ok_and(|text| text.lines().count() > 40));
}

#[tokio::test]
async fn doctor_warns_of_a_secret_that_others_may_read() {
    let fixture = Fixture::new().await;
    let token = fixture.path("token");
    std::fs::write(&token, fixture.sandbox.credentials().gitlab_token).expect("the token");
    fixture.edit_config("token = { env = \"GITLAB_TOKEN\" }", "token = { file = \"token\" }");
    for (mode, status, said) in [
        (0o600, "ok", "comes from the file"),
        (0o640, "warning", "which its group may read"),
        (0o644, "warning", "which everybody on this machine may read"),
    ] {
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(mode)).expect("the mode");
        let report = fixture.run(&["doctor", "--format", "json"]).await.json();
        let checks = report["checks"].as_array().expect("checks");
        let check = checks
            .iter()
            .find(|check| check["id"] == "secrets.gitlab.token")
            .expect("the check");
        assert_eq!(check["status"], status, "{check}");
        assert!(
            check["message"].as_str().is_some_and(|message| message.contains(said)),
            "{check}"
        );
    }
}
