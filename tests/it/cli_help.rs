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
