//! A disk that is full, read-only or in the way. Before an apply it is found out that the record and the journal can be
//! written, and nothing is changed where they cannot; in the middle of one nothing further is begun, and the next run
//! makes nothing twice.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use setpoint::sandbox::world::digest;
use setpoint::sandbox::{Action, Options};

use crate::common::plans::unwrapped;
use crate::common::proxy::{Phase, Proxy};
use crate::common::{Fixture, Ran, run};

const APPLY: [&str; 4] = ["apply", "--auto-approve", "--parallelism", "1"];

/// Runs `apply` by way of another program, which gets the binary and its arguments at its end.
async fn apply_by(fixture: &Fixture, wrapper: &[&str]) -> Ran {
    let direct = fixture.command(&APPLY);
    let direct = direct.as_std();
    let mut command = tokio::process::Command::new(wrapper[0]);
    command
        .args(&wrapper[1..])
        .arg(direct.get_program())
        .args(direct.get_args());
    command.current_dir(fixture.folder()).env_clear();
    for (name, value) in direct.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.stdin(std::process::Stdio::null()).kill_on_drop(true);
    run(command).await
}

/// What to run the binary by so that a folder's mode binds it, if there is a way: the superuser passes over modes, unless
/// that right is taken from it.
fn bound_by_modes() -> Option<&'static [&'static str]> {
    const CANDIDATES: [&[&str]; 2] = [
        &["env"],
        &["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"],
    ];
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o500);
    let file = folder.path().join("file");
    CANDIDATES.into_iter().find(|wrapper| {
        let mut touch = std::process::Command::new(wrapper[0]);
        touch.args(&wrapper[1..]).arg("touch").arg(&file);
        let output = touch.output();
        let refused = output.is_ok_and(|output| String::from_utf8_lossy(&output.stderr).contains("denied"));
        refused && !file.exists()
    })
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Requires that an apply was refused before it changed anything, in words that name the path.
#[track_caller]
fn expect_refused(fixture: &Fixture, ran: Ran, path: &str, hint: &str) {
    let ran = ran.expect(1);
    let stderr = unwrapped(&ran.stderr);
    assert!(
        stderr.contains(path) && stderr.contains(hint),
        "{path} {hint}: {}",
        ran.stderr
    );
    assert_eq!(fixture.api_writes(), 0, "{path}: {}", ran.stderr);
}

#[tokio::test]
async fn nowhere_to_write_is_found_before_the_first_write() {
    let fixture = Fixture::complete().await;
    let at = |name: &str| fixture.path(&format!(".setpoint/{name}"));

    // A file where the folder should be.
    std::fs::write(fixture.path(".setpoint"), "").unwrap();
    expect_refused(
        &fixture,
        fixture.apply().await,
        ".setpoint",
        "permissions of the folder",
    );
    std::fs::remove_file(fixture.path(".setpoint")).unwrap();

    // Folders where the files should be.
    for (name, hint) in [
        ("state.json", "the real path of a file"),
        ("state.json.lock", "the real path of a file"),
        ("journal.jsonl", "the real path of a file"),
    ] {
        std::fs::create_dir_all(at(name)).unwrap();
        expect_refused(&fixture, fixture.apply().await, name, hint);
        std::fs::remove_dir(at(name)).unwrap();
    }

    // Files may not get as large as the record could.
    for blocks in ["0", "8"] {
        let limit = format!("ulimit -f {blocks}; trap '' XFSZ; exec \"$0\" \"$@\"");
        let ran = apply_by(&fixture, &["sh", "-c", &limit]).await;
        expect_refused(&fixture, ran, ".setpoint/state.json", "check free space");
        assert_eq!(names(&fixture.path(".setpoint")), [""; 0], "nothing is left behind");
    }
    fixture.apply().await.expect(0);
}

#[tokio::test]
async fn a_read_only_folder_is_found_before_the_first_write() {
    let Some(wrapper) = bound_by_modes() else {
        eprintln!("skipped: nothing here binds this account to a folder's mode");
        return;
    };
    let fixture = Fixture::complete().await;
    let folder = fixture.path(".setpoint");
    std::fs::create_dir(&folder).unwrap();
    set_mode(&folder, 0o500);
    let ran = apply_by(&fixture, wrapper).await;
    expect_refused(&fixture, ran, ".setpoint/state.json.lock", "permissions of the folder");
    set_mode(&folder, 0o700);
    std::fs::write(fixture.path(".setpoint/journal.jsonl"), "").unwrap();
    set_mode(&fixture.path(".setpoint/journal.jsonl"), 0o400);
    let ran = apply_by(&fixture, wrapper).await;
    expect_refused(
        &fixture,
        ran,
        ".setpoint/journal.jsonl",
        "check free space and the permissions",
    );
    set_mode(&fixture.path(".setpoint/journal.jsonl"), 0o600);
    fixture.apply().await.expect(0);
    // To look takes no place to write.
    set_mode(&folder, 0o500);
    let plan = run(fixture.command(&["plan", "--detailed-exitcode"])).await;
    plan.expect(0);
    set_mode(&folder, 0o700);
}

#[tokio::test]
async fn a_record_that_can_no_longer_be_written_stops_the_run_and_nothing_is_made_twice() {
    let mut at = 0;
    loop {
        at += 1;
        let (fixture, proxy) = Proxy::on(Options::default()).await;
        fixture.give_admin_session();
        fixture.edit_config(
            "\n[user]\n",
            "\n[application.secret]\nsave = { file = \"secret\" }\nload = { file = \"secret\" }\n\n[user]\n",
        );
        let (folder, moved) = (fixture.path(".setpoint"), fixture.path("moved"));
        let (from, to) = (folder.clone(), moved.clone());
        let mut seen = 0;
        proxy.intercept(move |request, phase| {
            if phase == Phase::Before && request.write && request.path.contains("/api/v") {
                seen += 1;
                if seen == at {
                    std::fs::rename(&from, &to).unwrap();
                    std::fs::write(&from, "in the way").unwrap();
                }
            }
            Action::Pass
        });
        let ran = proxy.run(&fixture, &APPLY).await;
        proxy.pass_all();
        if !moved.exists() {
            ran.expect(0);
            assert!(at > 6, "{at} writes were tried");
            return;
        }
        let when = format!("at write {at}\n{}", ran.all());
        assert_eq!(ran.code, 3, "{when}");
        let stderr = unwrapped(&ran.stderr);
        assert!(stderr.contains("is behind what was done"), "{when}");
        assert!(stderr.contains("nor can it be kept in"), "{when}");
        // What an authorization takes goes on to its end; nothing else begins.
        let begun = fixture.api_writes();
        assert!(begun == at || begun <= at + 2, "{begun}: {when}");
        std::fs::remove_file(&folder).unwrap();
        std::fs::rename(&moved, &folder).unwrap();

        fixture.apply().await.expect(0);
        fixture.expect_nothing_to_do(&when).await;
        fixture.expect_connected(&when);
        let application = fixture.application();
        let secret = std::fs::read_to_string(fixture.path("secret")).unwrap();
        assert_eq!(digest(secret.trim()), application.secret_digest, "{when}");
        let droids = fixture.world(|world| {
            let named = world.users.iter().filter(|user| user.username == "factory-droid");
            named.count()
        });
        assert_eq!(droids, 1, "{when}");
        assert_eq!(names(&folder), ["journal.jsonl", "state.json"], "{when}");
    }
}

/// Mounts a small file system in a name space of its own, and fills it up twice: before an apply, and in its middle, by
/// the command that the secret is given to.
const SCRIPT: &str = r#"
mkdir .setpoint && mount -t tmpfs -o size=96k none .setpoint || exit 97
head -c 200000 /dev/zero > .setpoint/filler 2> /dev/null
"$@"; echo "full: $?"
truncate -s 80000 .setpoint/filler
"$@"; echo "nearly full: $?"
rm .setpoint/filler
FILL=yes "$@"; echo "filled up: $?"
rm .setpoint/filler
"$@"; echo "room again: $?"
ls -A .setpoint
"#;

#[tokio::test]
async fn no_space_left_before_and_in_the_middle_of_an_apply() {
    let fixture = Fixture::complete().await;
    let save = "cat > secret; test -z \\\"$FILL\\\" || cat /dev/zero > .setpoint/filler 2> /dev/null; true";
    fixture.edit_config(
        "\n[user]\n",
        &format!(
            "\n[application.secret]\nsave = {{ command = [\"sh\", \"-c\", \"{save}\"] }}\nload = {{ file = \"secret\" }}\n\n[user]\n"
        ),
    );
    let space = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        SCRIPT,
        "sh",
    ];
    let ran = apply_by(&fixture, &space).await;
    if ran.stdout.is_empty() {
        eprintln!("skipped: no file system can be mounted here: {}", ran.stderr);
        return;
    }
    let all = ran.all();
    let ends: Vec<&str> = ran
        .stdout
        .lines()
        .filter(|line| {
            ["full: ", "nearly full: ", "filled up: ", "room again: "]
                .iter()
                .any(|end| line.starts_with(end))
        })
        .collect();
    assert_eq!(
        ends,
        ["full: 1", "nearly full: 1", "filled up: 3", "room again: 0"],
        "{all}"
    );
    assert!(ran.stderr.matches("No space left on device").count() >= 3, "{all}");
    let log = fixture.sandbox.requests();
    let created = log
        .iter()
        .filter(|one| one.method == "POST" && one.path == "/api/v4/applications")
        .count();
    let renewed = log.iter().filter(|one| one.path.contains("/renew")).count();
    assert_eq!(
        (created, renewed),
        (1, 0),
        "the secret was saved before, and is used: {all}"
    );
    fixture.expect_connected("after there was room again");
    let left = ran.stdout.rsplit("room again: 0\n").next().unwrap_or_default();
    assert_eq!(
        left.lines().collect::<Vec<_>>(),
        ["journal.jsonl", "state.json"],
        "{all}"
    );
}
