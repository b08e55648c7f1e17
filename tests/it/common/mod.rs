//! The harness: the real binary in a folder of its own with a clean environment, against a sandbox that runs in the
//! test, where it can be looked at and changed as by another client.

#![expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]

pub(crate) mod plans;
pub(crate) mod proxy;
#[cfg(target_os = "linux")]
pub(crate) mod terminal;
pub(crate) mod tls;
pub(crate) mod tools;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use setpoint::gitlab::GitlabApi;
use setpoint::http::{Client, ClientOptions, Credential};
use setpoint::sandbox::{self, Options, Sandbox};
use setpoint::secrets::Secret;
use tempfile::TempDir;
use url::Url;

/// How a run of the binary ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    /// The exit code; -1 where a signal ended it.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Ran {
    /// Requires an exit code, and shows everything where it is another.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "\n--- standard output\n{}\n--- standard error\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("no JSON ({error}):\n{}\n{}", self.stdout, self.stderr),
        }
    }

    /// Exit code and both outputs as one text, for snapshots.
    pub(crate) fn all(&self) -> String {
        format!(
            "exit code: {}\n----- stdout -----\n{}\n----- stderr -----\n{}",
            self.code, self.stdout, self.stderr
        )
    }
}

/// A command line of the binary with an empty environment but for what it needs to start.
pub(crate) fn setpoint(folder: &Path, arguments: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_setpoint"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        // Nobody is to believe it where the machine says better.
        .env("USER", "mallory")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs a command line to its end.
pub(crate) async fn run(mut command: tokio::process::Command) -> Ran {
    let output = command.output().await.expect("the binary starts");
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
    }
}

/// GitLab's API with the administrator's token, which is asked before a password is sent.
pub(crate) fn doorkeeper(gitlab: &Url) -> Arc<GitlabApi> {
    let options = ClientOptions {
        credential: Credential::PrivateToken(Secret::new(sandbox::ROOT_TOKEN)),
        ..ClientOptions::new(&setpoint::gitlab::PEER, gitlab.clone())
    };
    Arc::new(GitlabApi::new(Client::new(options).expect("a client")))
}

/// A folder with a configuration, and the sandbox that it points at.
pub(crate) struct Fixture {
    /// The GitLab and Factory.
    pub(crate) sandbox: Sandbox,
    folder: TempDir,
}

impl Fixture {
    /// With the sandbox's own world and a configuration of the `api` driver that has everything in it.
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    /// With an administrator's web session as well: everything can be done without a person.
    pub(crate) async fn complete() -> Self {
        let fixture = Self::new().await;
        fixture.edit_config(
            "[factory]\n",
            "[gitlab.admin_session]\nusername = \"root\"\npassword = { env = \"GITLAB_ADMIN_PASSWORD\" }\n\n[factory]\n",
        );
        fixture
    }

    /// With a sandbox of one's own making. GitLab's limit on sign-ins, which the many runs of a test would wait for, is off.
    pub(crate) async fn with(mut options: Options) -> Self {
        options.switches.set("protected_paths_limit=0").expect("a switch");
        let sandbox = sandbox::start(options).await.expect("the sandbox starts");
        let folder = tempfile::tempdir().expect("a folder");
        let fixture = Self { sandbox, folder };
        let config = fixture.config();
        fixture.write_config(&config);
        fixture
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// The configuration to begin with; tests edit it with `replace`.
    pub(crate) fn config(&self) -> String {
        format!(
            r#"[gitlab]
url = "{gitlab}"
token = {{ env = "GITLAB_TOKEN" }}

[factory]
driver = "api"
api_url = "{api}"
app_url = "{app}"
token = {{ env = "FACTORY_API_KEY" }}

[application]
name = "Factory Integration"
redirect_uri = "{redirect}"

[user]
name = "Factory Droid"
username = "factory-droid"
email = "factory-droid@example.com"
password = {{ env = "FACTORY_DROID_PASSWORD" }}

[user.memberships]
"platform" = "developer"
"web/storefront" = "maintainer"

[repositories]
enable = ["platform/**", "web/storefront"]
except = ["platform/archive/**"]
"#,
            gitlab = self.sandbox.gitlab_url(),
            api = self.sandbox.factory_api_url(),
            app = self.sandbox.factory_app_url(),
            redirect = self.redirect_uri(),
        )
    }

    /// Where the sandbox's Factory has browsers sent back to.
    pub(crate) fn redirect_uri(&self) -> String {
        let api = self.sandbox.factory_api_url();
        format!("{api}/api/integrations/redirect/gitlab-sh/callback")
    }

    /// Writes `setpoint.toml`.
    pub(crate) fn write_config(&self, text: &str) {
        std::fs::write(self.path("setpoint.toml"), text).expect("the configuration is written");
    }

    /// Changes `setpoint.toml`: replaces a text that must be in it.
    #[track_caller]
    pub(crate) fn edit_config(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path("setpoint.toml")).expect("the configuration is there");
        assert!(text.contains(from), "{from} is not in\n{text}");
        self.write_config(&text.replace(from, to));
    }

    /// A command line in the folder, with the sandbox's credentials in the environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let keys = self.sandbox.credentials();
        let mut command = setpoint(self.folder(), arguments);
        command
            .env("GITLAB_TOKEN", keys.gitlab_token)
            .env("GITLAB_ADMIN_PASSWORD", keys.root_password)
            .env("FACTORY_API_KEY", keys.factory_key)
            .env("FACTORY_DROID_PASSWORD", keys.droid_password);
        command
    }

    /// Runs a command line in the folder.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        run(self.command(arguments)).await
    }

    /// The state record.
    pub(crate) fn state(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(self.path(".setpoint/state.json")).expect("the record is there");
        serde_json::from_str(&text).expect("the record is JSON")
    }

    /// How many writes both sides have seen, sign-ins and other pages aside: requests to their APIs that change something.
    pub(crate) fn api_writes(&self) -> usize {
        let log = self.sandbox.requests();
        log.iter()
            .filter(|request| request.write && request.path.contains("/api/v"))
            .count()
    }

    /// A text without what differs from run to run: addresses, folders, times and random numbers.
    pub(crate) fn redact(&self, text: &str) -> String {
        let folder = self.folder().display().to_string();
        let text = text
            .replace(&self.sandbox.gitlab_url(), "http://gitlab")
            .replace(&self.sandbox.factory_api_url(), "http://factory")
            .replace(authority(&self.sandbox.gitlab_url()), "gitlab")
            .replace(authority(&self.sandbox.factory_api_url()), "factory")
            .replace(&folder, "[folder]");
        hexadecimal(&elapsed(&text))
    }
}

/// Replaces how long a run took.
fn elapsed(text: &str) -> String {
    let mut parts = text.split(" requests in ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        out.push_str(" requests in [time]");
        out.push_str(rest.trim_start_matches(" s"));
    }
    out
}

/// Host and port.
fn authority(url: &str) -> &str {
    url.trim_start_matches("http://")
}

/// Replaces words of many hexadecimal digits, which are application ids and digests.
fn hexadecimal(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(std::iter::once('\0')) {
        if c.is_ascii_hexdigit() {
            word.push(c);
            continue;
        }
        if word.len() >= 32 {
            out.push_str("[hex]");
        } else {
            out.push_str(&word);
        }
        word.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

/// The account that runs these tests, as the system has it.
pub(crate) fn account() -> String {
    let ran = std::process::Command::new("id").arg("-un").output().expect("`id` runs");
    String::from_utf8(ran.stdout).expect("a name").trim().to_owned()
}
