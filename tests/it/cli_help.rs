//! What the commands say about themselves, and the manners of the command line.

use crate::common::{run, setpoint};

fn paths(command: &clap::Command, path: &[String], all: &mut Vec<Vec<String>>) {
    all.push(path.to_vec());
    for subcommand in command.get_subcommands() {
        let mut deeper = path.to_vec();
        deeper.push(subcommand.get_name().to_owned());
        paths(subcommand, &deeper, all);
    }
}

#[tokio::test]
async fn help_of_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    paths(&setpoint::cli::command(), &[], &mut all);
    assert!(all.len() > 10);
    for path in all {
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        arguments.push("--help");
        let ran = run(setpoint(folder.path(), &arguments)).await.expect(0);
        assert_eq!(ran.stderr, "");
        for line in ran.stdout.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let name = if path.is_empty() {
            "setpoint".to_owned()
        } else {
            path.join("-")
        };
        insta::assert_snapshot!(name, ran.stdout);
    }
}

#[tokio::test]
async fn version_goes_to_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(setpoint(folder.path(), &["--version"])).await.expect(0);
    assert_eq!(ran.stdout, concat!("setpoint ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[tokio::test]
async fn a_wrong_flag_is_one_and_not_two() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["plan", "--no-such-flag"][..],
        &["no-such-command"],
        &["--format", "xml", "plan"],
        &["plan", "--target", "gitlab"],
        &["confirm"],
        &[],
    ] {
        let ran = run(setpoint(folder.path(), arguments)).await.expect(1);
        assert_eq!(ran.stdout, "", "{arguments:?}");
        assert!(!ran.stderr.is_empty());
    }
}

#[tokio::test]
async fn a_configuration_that_is_not_there_is_one_clear_message() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(setpoint(folder.path(), &["plan", "-c", "nowhere.toml"]))
        .await
        .expect(1);
    assert_eq!(ran.stdout, "");
    insta::assert_snapshot!(ran.stderr);
}

#[tokio::test]
async fn init_writes_a_sound_file_once() {
    let folder = tempfile::tempdir().unwrap();
    run(setpoint(folder.path(), &["init"])).await.expect(0);
    let written = std::fs::read(folder.path().join("setpoint.toml")).unwrap();
    run(setpoint(folder.path(), &["validate"])).await.expect(0);
    let beside = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(beside(".gitignore"), "/.setpoint/\n");
    assert!(beside("setpoint.toml").starts_with("#:schema .setpoint/setpoint.schema.json\n"));
    assert!(beside(".setpoint/setpoint.schema.json").contains("\"setpoint.toml\""));
    std::fs::write(folder.path().join("setpoint.toml"), "# mine\n").unwrap();
    let ran = run(setpoint(folder.path(), &["init"])).await.expect(1);
    assert!(ran.stderr.contains("is there already"), "{}", ran.stderr);
    assert_eq!(std::fs::read(folder.path().join("setpoint.toml")).unwrap(), b"# mine\n");
    assert!(!written.is_empty());
}

#[tokio::test]
async fn generated_texts_are_complete() {
    let folder = tempfile::tempdir().unwrap();
    let man = run(setpoint(folder.path(), &["man"])).await.expect(0);
    for section in [".SH NAME", "setpoint plan", "setpoint state unlock", "EXIT STATUS"] {
        assert!(man.stdout.contains(section), "{section}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(setpoint(folder.path(), &["completions", shell])).await.expect(0);
        assert!(script.stdout.contains("auto-approve"), "{shell}");
    }
    let schema = run(setpoint(folder.path(), &["schema"])).await.expect(0);
    assert!(schema.json()["properties"]["gitlab"].is_object());
}

#[cfg(unix)]
#[tokio::test]
async fn a_reader_that_goes_away_is_no_reason_to_complain() {
    let folder = tempfile::tempdir().unwrap();
    let mut shell = tokio::process::Command::new("sh");
    shell
        .args(["-c", "\"$0\" schema | true; \"$0\" --help | true"])
        .arg(env!("CARGO_BIN_EXE_setpoint"))
        .current_dir(folder.path());
    let ran = run(shell).await;
    assert_eq!(ran.stderr, "");
}

#[tokio::test]
async fn short_help_folds_what_all_commands_share_and_help_is_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let short = run(setpoint(folder.path(), &["plan", "-h"])).await.expect(0);
    insta::assert_snapshot!(short.stdout);
    let long = run(setpoint(folder.path(), &["plan", "--help"])).await.expect(0);
    let by_name = run(setpoint(folder.path(), &["help", "plan"])).await.expect(0);
    assert_eq!(by_name.stdout, long.stdout);
    let own = long.stdout.find("--detailed-exitcode").unwrap();
    assert!(own < long.stdout.find("--lock-timeout").unwrap());
}

#[tokio::test]
async fn variables_stand_for_the_global_options_and_what_is_typed_counts_for_more() {
    let folder = tempfile::tempdir().unwrap();
    let go = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = setpoint(folder.path(), arguments);
        command.envs(variables.iter().copied());
        run(command)
    };
    let named = go(&[("SETPOINT_CONFIG", "elsewhere.toml")], &["validate"])
        .await
        .expect(1);
    assert!(named.stderr.contains("elsewhere.toml"), "{}", named.stderr);
    let typed = go(
        &[("SETPOINT_CONFIG", "elsewhere.toml")],
        &["validate", "-c", "here.toml"],
    )
    .await
    .expect(1);
    assert!(typed.stderr.contains("here.toml"), "{}", typed.stderr);
    let world = [
        ("SETPOINT_SANDBOX", "world.json"),
        ("SETPOINT_QUIET", "1"),
        ("SETPOINT_FORMAT", "json"),
    ];
    go(&[], &["init"]).await.expect(0);
    let plan = go(&world, &["plan"]).await.expect(0);
    assert_eq!(plan.json()["sandbox"], true);
    assert_eq!(plan.stderr, "");
    assert!(folder.path().join("world.json").exists());
    let wrong = go(&[("SETPOINT_PARALLELISM", "many")], &["plan"]).await.expect(1);
    assert!(wrong.stderr.contains("--parallelism"), "{}", wrong.stderr);
    let loud = go(
        &[("SETPOINT_VERBOSE", "2"), ("SETPOINT_SANDBOX", "world.json")],
        &["plan"],
    )
    .await
    .expect(0);
    assert!(loud.stderr.contains("DEBUG"), "{}", loud.stderr);
}

#[tokio::test]
async fn colours_are_forced_and_forbidden_as_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    for (variables, coloured) in [
        (&[][..], false),
        (&[("FORCE_COLOR", "1")], true),
        (&[("FORCE_COLOR", "0")], false),
        (&[("CLICOLOR_FORCE", "1")], true),
        (&[("FORCE_COLOR", "1"), ("NO_COLOR", "1")], false),
    ] {
        let mut command = setpoint(folder.path(), &["validate"]);
        command.envs(variables.iter().copied());
        let ran = run(command).await.expect(1);
        assert_eq!(ran.stderr.contains('\u{1b}'), coloured, "{variables:?}: {}", ran.stderr);
        assert!(ran.stderr.ends_with('\n'));
    }
}

#[tokio::test]
async fn what_terraform_calls_it_is_answered_with_ours() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = String::new();
    for arguments in [
        &["plan", "-target=gitlab.user"][..],
        &["-chdir=gitlab", "plan"],
        &["refresh"],
    ] {
        let ran = run(setpoint(folder.path(), arguments)).await.expect(1);
        assert_eq!(ran.stdout, "", "{arguments:?}");
        all.push_str(&ran.stderr);
    }
    insta::assert_snapshot!(all);
}
