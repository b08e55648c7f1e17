//! What the commands say about themselves, and the manners of the command line.

#[cfg(target_os = "linux")]
use crate::common::{Fixture, terminal::Terminal};
use crate::common::{run, setpoint, tools};

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

/// The widest line, in columns.
#[cfg(target_os = "linux")]
fn longest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn text_is_as_wide_as_the_terminal_and_no_wider_than_is_good_to_read() {
    let fixture = Fixture::new().await;
    // A long line in the middle of a plan, and the prose of doctor.
    for arguments in [&["plan", "--target", "gitlab.user"][..], &["doctor"]] {
        let piped = fixture.run(arguments).await.expect(0).stdout;
        assert!(longest(&piped) <= 80, "{piped}");
        for (columns, from, to) in [(200, 81, 120), (100, 81, 100), (80, 61, 80), (60, 41, 80)] {
            let (code, shown) = Terminal::start(&fixture, arguments, columns).end().await;
            assert_eq!(code, Some(0), "{shown}");
            let widest = longest(&shown);
            assert!((from..=to).contains(&widest), "{columns}: {widest}\n{shown}");
        }
    }
    let unknown = Terminal::start(&fixture, &["plan", "--target", "gitlab"], 60);
    let (code, shown) = unknown.end().await;
    assert!(code == Some(1) && longest(&shown) <= 60, "{shown}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn links_are_there_where_the_terminal_has_them_and_nowhere_else() {
    const LINK: &str = "\u{1b}]8;;";
    let fixture = Fixture::new().await;
    let command = |variables: &[(&str, &str)]| {
        let mut command = fixture.command(&["plan"]);
        command.env("NO_COLOR", "").envs(variables.iter().copied());
        command
    };
    for (variables, linked) in [
        (&[("TERM_PROGRAM", "vscode")][..], true),
        (&[("VTE_VERSION", "7006")], true),
        (&[("FORCE_HYPERLINK", "1")], true),
        (&[], false),
        (&[("TERM_PROGRAM", "vscode"), ("FORCE_HYPERLINK", "0")], false),
        (&[("TERM_PROGRAM", "vscode"), ("CI", "true")], false),
        (&[("TERM_PROGRAM", "vscode"), ("NO_COLOR", "1")], false),
        (&[("TERM_PROGRAM", "vscode"), ("TERM", "dumb")], false),
    ] {
        let (code, shown) = Terminal::of(&command(variables), 80).end().await;
        assert_eq!(code, Some(0), "{shown}");
        assert_eq!(shown.contains(LINK), linked, "{variables:?}: {shown}");
        let page = format!("{LINK}{}/web/storefront\u{1b}\\", fixture.sandbox.gitlab_url());
        assert_eq!(shown.contains(&page), linked, "{variables:?}: {shown}");
    }
    let forced = [
        ("TERM_PROGRAM", "vscode"),
        ("FORCE_HYPERLINK", "1"),
        ("FORCE_COLOR", "1"),
    ];
    let piped = run(command(&forced)).await.expect(0);
    assert!(
        piped.stdout.contains('\u{1b}') && !piped.stdout.contains(LINK),
        "{}",
        piped.stdout
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn addresses_are_completed_in_bash_zsh_and_fish() {
    const PROMPT: &str = "listening> ";
    let folder = tempfile::tempdir().unwrap();
    run(setpoint(folder.path(), &["init", "-q"])).await.expect(0);
    let config = folder.path().join("setpoint.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let automatic = text
        .replace("driver = \"assisted\"", "driver = \"api\"")
        .replace("# token", "token");
    std::fs::write(&config, automatic).unwrap();
    run(setpoint(folder.path(), &["apply", "--sandbox", "--auto-approve", "-q"]))
        .await
        .expect(3);
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_setpoint"));
    let mut path = program.parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    for (shell, flags, prompt, load) in [
        (
            "bash",
            &["--norc", "--noprofile", "-i"][..],
            "PS1='listen''ing> '",
            "source <(setpoint completions bash)",
        ),
        (
            "zsh",
            &["-f", "-i"],
            "PS1='listen''ing> '",
            "mkdir f; setpoint completions zsh > f/_setpoint; fpath=($PWD/f $fpath); autoload -U compinit; compinit -u -D",
        ),
        (
            "fish",
            &["--no-config", "-i"],
            "function fish_prompt; echo -n 'listen''ing> '; end",
            "setpoint completions fish | source",
        ),
    ] {
        let Some(found) = tools::find(shell) else { continue };
        let mut command = tokio::process::Command::new(found);
        command
            .args(flags)
            .current_dir(folder.path())
            .env("PATH", &path)
            .env("HOME", folder.path());
        let mut terminal = Terminal::of(&command, 200);
        terminal.line(&format!("{load}; {prompt}; echo lo''aded"));
        terminal.until("loaded\n").await;
        // What a flag takes, from the configuration and in quotation marks that the shell needs.
        for typed in [
            "--target gitlab.mem\t",
            "--target=gitlab.mem\t",
            "--target 'gitlab.mem\t",
        ] {
            // A key that is pressed before the shell listens goes to the terminal.
            terminal.until(PROMPT).await;
            // Fish writes over the line that was typed, and over what it suggests.
            terminal.line(&format!("setpoint plan --sandbox {typed}"));
            terminal
                .until("No changes to what was asked for: gitlab.membership[\"platform\"].")
                .await;
        }
        // What a command takes, from the record.
        terminal.until(PROMPT).await;
        terminal.line("setpoint state rm --sandbox gitlab.us\t");
        terminal.until("would no longer remember").await;
        terminal.until("gitlab.user:").await;
        terminal.until("Answer: ").await;
        terminal.line("no");
        terminal.until("the record is as it was").await;
    }
}

/// The build script, built and run as cargo does it for a release.
#[cfg(unix)]
#[test]
fn a_release_says_its_commit_and_day_wherever_it_is_built() {
    let Some(git) = tools::find("git") else { return };
    let work = tempfile::tempdir().unwrap();
    let script = work.path().join("build-script");
    let built = std::process::Command::new("rustc")
        .args(["--edition", "2024", "-o"])
        .arg(&script)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/build.rs"))
        .status()
        .unwrap();
    assert!(built.success());
    let root = work.path().join("clone");
    std::fs::create_dir_all(root.join("packaging")).unwrap();
    let of_this = |name: &str| std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    for name in [".gitattributes", "packaging/commit"] {
        std::fs::write(root.join(name), of_this(name)).unwrap();
    }
    let ran = |program: &std::path::Path, folder: &std::path::Path, arguments: &[&str], variables: &[(&str, &str)]| {
        let output = std::process::Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", work.path())
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let committed = ("GIT_COMMITTER_DATE", "2026-11-30T12:00:00Z");
    ran(&git, &root, &["init", "-q"], &[]);
    ran(&git, &root, &["add", "."], &[]);
    let who = [
        "-c",
        "user.name=N",
        "-c",
        "user.email=n@example.com",
        "commit",
        "-q",
        "-m",
        "x",
    ];
    ran(&git, &root, &who, &[committed]);
    let commit = ran(&git, &root, &["rev-parse", "HEAD"], &[]);
    let archive = work.path().join("archive");
    std::fs::create_dir(&archive).unwrap();
    ran(&git, &root, &["archive", "-o", "../archive.tar", "HEAD"], &[]);
    ran("tar".as_ref(), &archive, &["-xf", "../archive.tar"], &[]);
    let bare = work.path().join("bare");
    std::fs::create_dir_all(bare.join("packaging")).unwrap();
    std::fs::write(bare.join("packaging/commit"), of_this("packaging/commit")).unwrap();

    let version = |root: &std::path::Path, variables: &[(&str, &str)]| {
        let cargo = [
            ("CARGO_MANIFEST_DIR", root.to_str().unwrap()),
            ("CARGO_PKG_VERSION", "1.2.3"),
            ("PROFILE", "release"),
        ];
        let said = ran(&script, root, &[], &[&cargo[..], variables].concat());
        said.rsplit_once('=').unwrap().1.to_owned()
    };
    let hash = &commit[..10];
    for root in [&root, &archive] {
        assert_eq!(version(root, &[]), format!("1.2.3 ({hash} 2026-11-30)"));
        assert_eq!(
            version(root, &[("SOURCE_DATE_EPOCH", "951868800")]),
            format!("1.2.3 ({hash} 2000-03-01)")
        );
        assert_eq!(version(root, &[("PROFILE", "debug")]), "1.2.3");
    }
    // What somebody copied out of its repository.
    assert_eq!(version(&bare, &[]), "1.2.3");
    assert_eq!(version(&bare, &[("SOURCE_DATE_EPOCH", "0")]), "1.2.3 (1970-01-01)");
    assert_eq!(version(&bare, &[("SOURCE_DATE_EPOCH", "soon")]), "1.2.3");
    assert_eq!(
        version(&bare, &[("SETPOINT_BUILD_COMMIT", "abc 2026-01-01")]),
        "1.2.3 (abc 2026-01-01)"
    );
    // An archive that was unpacked within somebody else's repository.
    let within = root.join("vendor");
    std::fs::create_dir(&within).unwrap();
    assert_eq!(version(&within, &[]), "1.2.3");
}
