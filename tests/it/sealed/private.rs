//! What others could write, read or hold up: files and folders with rights for everybody, a second name for the journal,
//! core dumps, and a reader that stopped reading.

use std::io::Write as _;
use std::time::Duration;

use crate::common::{Fixture, run};

/// Standard output that takes nothing any more: whoever writes to it stands still.
fn stuck() -> (std::io::PipeReader, std::io::PipeWriter) {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let flags = fcntl_getfl(&writer).expect("its flags");
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).expect("it says when it is full");
    while writer.write(&[b'x'; 512]).is_ok() {}
    fcntl_setfl(&writer, flags).expect("it waits again");
    (reader, writer)
}

#[tokio::test]
async fn interrupts_end_a_program_that_stands_still() {
    let fixture = Fixture::new().await;
    let (_reader, writer) = stuck();
    let mut command = fixture.command(&["plan"]);
    command.stdout(writer);
    let mut child = command.spawn().expect("the binary starts");
    let group = child.id().and_then(|id| i32::try_from(id).ok()).expect("its number");
    // It has asked for all that it needs once no further request comes for a while.
    let mut asked = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = fixture.sandbox.requests().len();
        if now == asked && now > 0 {
            break;
        }
        asked = now;
    }
    assert_eq!(child.try_wait().expect("its state"), None, "it stands still");
    let pid = rustix::process::Pid::from_raw(group).expect("its number");
    let ended = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
            if let Ok(status) = tokio::time::timeout(Duration::from_millis(100), child.wait()).await {
                return status.expect("its end");
            }
        }
    })
    .await
    .expect("the second interrupt ends it");
    assert_eq!(ended.code(), Some(130));
}

#[tokio::test]
async fn what_others_can_write_is_warned_of_and_a_hard_link_is_not_written_through() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::complete().await;
    let ran = fixture.apply().await.expect(0);
    assert!(!ran.stderr.contains("can be written by"), "{}", ran.stderr);
    let open = |name: &str, mode: u32| {
        std::fs::set_permissions(fixture.path(name), std::fs::Permissions::from_mode(mode)).expect("its rights");
    };
    open("setpoint.toml", 0o646);
    open(".setpoint", 0o777);
    open(".setpoint/journal.jsonl", 0o666);
    let ran = fixture.run(&["plan"]).await.expect(0);
    assert_eq!(
        ran.stderr.matches("can be written by everybody").count(),
        3,
        "{}",
        ran.stderr
    );
    let journal = fixture.path(".setpoint/journal.jsonl");
    let mode = std::fs::metadata(&journal).expect("the journal").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    open("setpoint.toml", 0o644);
    open(".setpoint", 0o700);
    for name in [".setpoint/journal.jsonl", ".setpoint/state.json.lock"] {
        let path = fixture.path(name);
        let _ = std::fs::remove_file(&path);
        let victim = fixture.path("victim");
        std::fs::write(&victim, "precious\n").expect("the victim");
        std::fs::hard_link(&victim, &path).expect("a second name");
        let ran = run(fixture.command(&["rotate", "--auto-approve"])).await.expect(1);
        assert!(ran.stderr.contains("has another name as well"), "{}", ran.stderr);
        let kept = std::fs::read_to_string(&victim).expect("the victim");
        assert_eq!(kept, "precious\n", "{name}");
        std::fs::remove_file(&path).expect("the link goes");
        std::fs::remove_file(&victim).expect("the victim goes");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_core_is_dumped() {
    let fixture = Fixture::new().await;
    let script = "grep 'core file' /proc/$PPID/limits > limits; printf %s \\\"$TOKEN\\\"";
    fixture.edit_config(
        "token = { env = \"GITLAB_TOKEN\" }",
        &format!("token = {{ command = [\"sh\", \"-c\", \"{script}\"] }}"),
    );
    let mut plan = fixture.command(&["plan"]);
    plan.env("TOKEN", fixture.sandbox.credentials().gitlab_token);
    run(plan).await.expect(0);
    let limits = std::fs::read_to_string(fixture.path("limits")).expect("the limits");
    let words: Vec<&str> = limits.split_whitespace().collect();
    assert_eq!(words, ["Max", "core", "file", "size", "0", "0", "bytes"]);
}
