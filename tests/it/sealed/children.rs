//! What the programs that keep secrets get to see, and how they end.

use std::path::Path;
use std::time::Duration;

use super::canary::{GITLAB_TOKEN, SealedFixture};
use crate::common::Fixture;

/// Writes down its own environment and the command lines of itself and of who started it.
const SPY: &str = "tr '\\\\0' '\\\\n' < /proc/$$/environ >> seen.env; tr '\\\\0' ' ' < /proc/$$/cmdline >> seen.args; tr '\\\\0' ' ' < /proc/$PPID/cmdline >> seen.args";

fn command(script: &str) -> String {
    format!("{{ command = [\"sh\", \"-c\", \"{script}\"] }}")
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn children_get_no_secret_of_others() {
    let sealed = SealedFixture::new().await;
    let token = sealed.fixture.path("token");
    std::fs::write(&token, GITLAB_TOKEN).expect("the token");
    // A token, and the application's secret, both ways.
    sealed.fixture.edit_config(
        "token = { env = \"GITLAB_TOKEN\" }",
        &format!("token = {}", command(&format!("{SPY}; cat token"))),
    );
    sealed.fixture.edit_config(
        "save = { file = \"store/secret\" }",
        &format!(
            "save = {}",
            command(&format!("{SPY}; mkdir -p store; cat > store/secret"))
        ),
    );
    sealed.fixture.edit_config(
        "load = { file = \"store/secret\" }",
        &format!(
            "load = {}",
            command(&format!("{SPY}; test ! -e store/secret || cat store/secret"))
        ),
    );
    let mut apply = sealed.command(&["apply", "--auto-approve"]);
    apply
        .env("VAULT_ADDR", "https://vault.example.com")
        .env_remove("GITLAB_TOKEN")
        .env_remove("STATE_PASSWORD")
        .env_remove("FACTORY_DROID_TOTP")
        .env_remove("GITLAB_SESSION");
    crate::common::run(apply).await.expect(0);
    std::fs::remove_file(&token).expect("the token");
    let environment = std::fs::read_to_string(sealed.fixture.path("seen.env")).expect("the children's environment");
    for needed in ["PATH=", "HOME=", "VAULT_ADDR=https://vault.example.com"] {
        assert!(environment.matches(needed).count() >= 3, "{needed}\n{environment}");
    }
    for withheld in [
        "GITLAB_ADMIN_PASSWORD",
        "GITLAB_ADMIN_TOTP",
        "FACTORY_API_KEY",
        "FACTORY_DROID_PASSWORD",
    ] {
        assert!(!environment.contains(withheld), "{withheld}\n{environment}");
    }
    sealed.canaries.expect_in_no_file(
        sealed.fixture.folder(),
        &["store/secret"],
        "the children's environments and arguments",
    );
}

async fn wait_for(path: &Path) -> String {
    for _ in 0..6000 {
        if let Ok(text) = std::fs::read_to_string(path)
            && text.ends_with('\n')
        {
            return text.trim().to_owned();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} does not come", path.display());
}

/// Waits until a process is gone, or dead and not yet taken note of.
#[cfg(target_os = "linux")]
async fn wait_for_end(pid: &str) {
    for _ in 0..1500 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        if stat.map_or(true, |stat| stat.contains(") Z")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("process {pid} still runs");
}

#[cfg(target_os = "linux")]
fn interrupt(pid: u32) {
    let sent = std::process::Command::new("kill")
        .args(["-INT", &pid.to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_interrupt_ends_a_command_with_all_that_it_started() {
    let fixture = Fixture::new().await;
    let script = "sleep 600 & echo $! > pid; wait";
    fixture.edit_config(
        "token = { env = \"GITLAB_TOKEN\" }",
        &format!("token = {}", command(script)),
    );
    let mut plan = fixture.command(&["plan"]);
    plan.stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let child = plan.spawn().expect("the binary starts");
    let sleeper = wait_for(&fixture.path("pid")).await;
    interrupt(child.id().expect("it runs"));
    let ended = child.wait_with_output().await.expect("it ends");
    assert_eq!(ended.status.code(), Some(1));
    wait_for_end(&sleeper).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_second_interrupt_ends_a_command_that_keeps_the_secret() {
    let fixture = Fixture::complete().await;
    let script = "sleep 600 & echo $! > pid; wait";
    fixture.edit_config(
        "\n[user]",
        &format!("\n[application.secret]\nsave = {}\n\n[user]", command(script)),
    );
    let mut apply = fixture.command(&["apply", "--auto-approve"]);
    apply
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = apply.spawn().expect("the binary starts");
    let sleeper = wait_for(&fixture.path("pid")).await;
    let mut said = child.stderr.take().expect("its standard error");
    interrupt(child.id().expect("it runs"));
    // The first lets the command go on: the secret is shown once, and is to be kept.
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains("Interrupt again") {
        use tokio::io::AsyncReadExt as _;
        assert!(
            said.read_buf(&mut text).await.expect("its words") > 0,
            "{}",
            String::from_utf8_lossy(&text)
        );
    }
    assert!(Path::new(&format!("/proc/{sleeper}")).exists());
    interrupt(child.id().expect("it runs"));
    assert_eq!(child.wait().await.expect("it ends").code(), Some(130));
    wait_for_end(&sleeper).await;
}
