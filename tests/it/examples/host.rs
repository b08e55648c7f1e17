//! The watch for drift from systemd, cron and Kubernetes: what they would run is run.

use std::path::Path;
use std::process::{Command, Stdio};

use super::example;
use super::team::{READ_TOKEN, Team};
use crate::common::plans::DROID;
use crate::common::{Ran, run, setpoint, tools};

const SETPOINT: &str = env!("CARGO_BIN_EXE_setpoint");

impl Team {
    /// The secrets as a host has them, each in a file, in a folder beside the configuration; gives the folder.
    fn credentials(&self) -> String {
        let keys = self.fixture.sandbox.credentials();
        let folder = self.path("credentials");
        std::fs::create_dir(&folder).unwrap();
        for (name, value) in [
            ("gitlab-token", READ_TOKEN),
            ("state-token", keys.gitlab_token),
            ("droid-password", keys.droid_password),
            ("webhook", &self.forge.url("/hook")),
        ] {
            std::fs::write(folder.join(name), format!("{value}\n")).unwrap();
        }
        folder.display().to_string()
    }

    /// Writes a configuration of the examples; gives where.
    fn host_config(&self, text: &str, credentials: &str, are_at: &str) -> String {
        assert!(text.contains(are_at), "{are_at} is not in\n{text}");
        let file = self.path("setpoint.toml");
        std::fs::write(&file, self.config(text).replace(are_at, credentials)).unwrap();
        file.display().to_string()
    }

    fn rename_the_droid(&self) {
        self.fixture
            .change_user(DROID, |droid| "Mallory".clone_into(&mut droid.name));
    }
}

/// Runs a command line of words, the first of which is the binary.
async fn run_words(folder: &Path, line: &str) -> Ran {
    let words: Vec<&str> = line.split_whitespace().collect();
    run(setpoint(folder, &words[1..])).await
}

#[tokio::test]
async fn what_the_service_starts_looks_and_tells() {
    let team = Team::connected().await;
    let unit = example("systemd/setpoint-drift.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let loaded = unit.lines().filter(|line| line.starts_with("LoadCredential=")).count();
    let credentials = team.credentials();
    assert_eq!(std::fs::read_dir(&credentials).unwrap().count(), loaded);
    let config = team.host_config(
        &example("systemd/setpoint.toml"),
        &credentials,
        "/run/credentials/setpoint-drift.service",
    );
    let lib = team.path("lib").display().to_string();
    std::fs::create_dir_all(format!("{lib}/setpoint")).unwrap();
    let line = line
        .replace("/etc/setpoint/setpoint.toml", &config)
        .replace("%S", &lib)
        .replace("%d", &credentials);
    assert!(!line.contains('%'), "{line}");
    let folder = team.fixture.folder();
    run_words(folder, &line).await.expect(0);
    team.rename_the_droid();
    for _ in 0..2 {
        run_words(folder, &line).await.expect(2);
        assert_eq!(team.forge.told(|told| told.hooks.len()), 1);
    }
    let metrics = std::fs::read_to_string(format!("{lib}/setpoint/setpoint.prom")).unwrap();
    assert!(metrics.contains("setpoint_drift_notification_success 1\n"), "{metrics}");
}

#[tokio::test]
async fn systemd_takes_the_units_and_finds_little_exposed() {
    let Some(analyze) = tools::find("systemd-analyze") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let unit = example("systemd/setpoint-drift.service").replace("/usr/local/bin/setpoint", SETPOINT);
    std::fs::write(folder.path().join("setpoint-drift.service"), unit).unwrap();
    let timer = example("systemd/setpoint-drift.timer");
    std::fs::write(folder.path().join("setpoint-drift.timer"), timer).unwrap();
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(&analyze);
        let output = command.args(arguments).current_dir(folder.path()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let (well, said) = ask(&["verify", "./setpoint-drift.service", "./setpoint-drift.timer"]);
    // It also reads units of this machine that these depend on, and may find fault with them.
    assert!(well && !said.contains("setpoint"), "{said}");
    // Tenths of its scale of 10.
    let (well, said) = ask(&[
        "security",
        "--offline=true",
        "--threshold=15",
        "./setpoint-drift.service",
    ]);
    assert!(well, "{said}");
}

#[tokio::test]
async fn cron_mails_drift_and_not_what_waits() {
    let team = Team::connected().await;
    let tab = example("cron/setpoint-drift");
    let line = tab.lines().last().unwrap();
    let line = line.strip_prefix("17 * * * * setpoint ").unwrap();
    let config = team.host_config(
        &example("systemd/setpoint.toml"),
        &team.credentials(),
        "/run/credentials/setpoint-drift.service",
    );
    let waits = std::fs::read_to_string(&config).unwrap();
    let waits = waits.replace("\"platform\" = \"developer\"", "\"platform\" = \"maintainer\"");
    std::fs::write(&config, waits).unwrap();
    let bin = Path::new(SETPOINT).parent().unwrap().display();
    let mail = async || {
        let mut command = tokio::process::Command::new("/bin/sh");
        command
            .args(["-c", &line.replace("/etc/setpoint/setpoint.toml", &config)])
            .env_clear()
            .env("PATH", format!("{bin}:/usr/bin:/bin"))
            .env("HOME", team.fixture.folder())
            .stdin(Stdio::null());
        let ran = run(command).await;
        assert_eq!(ran.stderr, "");
        ran.stdout
    };
    assert_eq!(mail().await, "");
    team.rename_the_droid();
    assert!(mail().await.contains("Mallory"));
    std::fs::remove_file(team.path("credentials/gitlab-token")).unwrap();
    let said = crate::common::plans::unwrapped(&mail().await);
    assert!(said.contains("does not exist"), "{said}");
}

/// The text of a block of a manifest, without its indentation.
fn block(manifest: &str, key: &str) -> String {
    let mut lines = manifest.lines().skip_while(|line| line.trim() != format!("{key}: |"));
    let depth = lines.next().unwrap().chars().take_while(|c| *c == ' ').count() + 2;
    let inside = lines.take_while(|line| line.trim().is_empty() || line.starts_with(&" ".repeat(depth)));
    let lines: Vec<&str> = inside.map(|line| line.get(depth..).unwrap_or_default()).collect();
    lines.join("\n") + "\n"
}

#[tokio::test]
async fn the_cron_job_writes_no_file() {
    let team = Team::connected().await;
    let manifest = example("kubernetes/drift.yaml");
    let credentials = team.credentials();
    let config = team.host_config(
        &block(&manifest, "setpoint.toml"),
        &credentials,
        "/run/secrets/setpoint",
    );
    let arguments = manifest.lines().find_map(|line| line.trim().strip_prefix("args: ["));
    let arguments = arguments.unwrap().trim_end_matches(']').replace(',', "");
    let line = format!("setpoint {}", arguments.replace("/etc/setpoint/setpoint.toml", &config));
    let files = || {
        let names = std::fs::read_dir(team.path(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    let before = files();
    run_words(&team.path(""), &line).await.expect(0);
    team.rename_the_droid();
    run_words(&team.path(""), &line).await.expect(2);
    assert_eq!(files(), before);
}
