//! Files that are none, never end or do not answer: only regular files of a sensible size are read, and an interrupt is
//! heard whatever the program waits for.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::common::{Fixture, run};

fn pipe_at(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

#[tokio::test]
async fn a_pipe_is_refused_wherever_a_file_is_read() {
    let fixture = Fixture::new().await;
    let secret = "token = { env = \"GITLAB_TOKEN\" }";
    let text = fixture.config();
    let cases = [
        ("pipe", text.clone(), &["validate", "-c", "pipe"][..]),
        ("pipe", text.clone(), &["apply", "pipe"]),
        ("pipe", text.clone(), &["state", "push", "pipe"]),
        (".setpoint/state.json", text.clone(), &["plan"]),
        (".setpoint/state.json.lock", text.clone(), &["apply", "--auto-approve"]),
        ("pipe", text.replace(secret, "token = { file = \"pipe\" }"), &["plan"]),
        (
            "pipe",
            text.replace(secret, &format!("{secret}\nca_file = \"pipe\"")),
            &["plan"],
        ),
    ];
    for (place, config, arguments) in cases {
        fixture.write_config(&config);
        pipe_at(&fixture.path(place));
        let ran = fixture.run(arguments).await.expect(1);
        assert!(
            ran.stderr.contains(place)
                && (ran.stderr.contains("no regular file") || ran.stderr.contains("names no file that is there")),
            "{arguments:?}\n{}",
            ran.stderr
        );
        std::fs::remove_file(fixture.path(place)).unwrap();
    }
    assert_eq!(fixture.api_writes(), 0);
}

#[tokio::test]
async fn an_endless_or_huge_file_is_refused() {
    let fixture = Fixture::new().await;
    let ran = fixture.run(&["validate", "-c", "/dev/zero"]).await.expect(1);
    assert!(ran.stderr.contains("no regular file"), "{}", ran.stderr);
    // Sparse: it takes no room.
    let huge = std::fs::File::create(fixture.path("huge")).unwrap();
    huge.set_len(1 << 40).unwrap();
    for arguments in [
        &["validate", "-c", "huge"][..],
        &["apply", "huge"],
        &["state", "push", "huge"],
    ] {
        let ran = fixture.run(arguments).await.expect(1);
        assert!(
            ran.stderr.contains("it is larger than"),
            "{arguments:?}\n{}",
            ran.stderr
        );
    }
}

/// Nobody reads its output, so the thread that plans is held by the system and polls nothing any more.
#[tokio::test]
async fn the_second_interrupt_ends_a_program_that_is_held_by_the_system() {
    let fixture = Fixture::new().await;
    let arguments = ["plan", "--format", "json"];
    fixture.run(&arguments).await.expect(0);
    let requests = fixture.sandbox.requests().len();
    let (_reader, mut writer) = std::io::pipe().unwrap();
    // As much as such a pipe holds.
    writer.write_all(&vec![b' '; 64 * 1024]).unwrap();
    let mut command = fixture.command(&arguments);
    command.stdout(writer).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    while fixture.sandbox.requests().len() < 2 * requests {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(child.try_wait().unwrap(), None, "it waits for a reader");
    let id = child.id().unwrap().to_string();
    for _ in 0..2 {
        let mut kill = tokio::process::Command::new("kill");
        kill.args(["-INT", &id]);
        run(kill).await.expect(0);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
}
