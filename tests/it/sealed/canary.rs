//! Secrets that are looked for: the fixed ones, each unlike any other text, and those that the sandbox makes up, taken
//! from the requests that carry them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use setpoint::sandbox::world::{World, digest};
use setpoint::sandbox::{Options, Seen};

use crate::common::hand::{Deed, Hand, Moment};
use crate::common::{Fixture, Ran};

pub(super) const GITLAB_TOKEN: &str = "glpat-canary/one+GITLAB-TOKEN";
pub(super) const ADMIN_PASSWORD: &str = "canary two&ADMIN=password";
pub(super) const ADMIN_TOTP: &str = "CANARYTHREEADMINTOTP2345672345AA";
pub(super) const DROID_PASSWORD: &str = "canary/four\"DROID<password>";
pub(super) const DROID_TOTP: &str = "CANARYFOURDROIDTOTP23456723456AA";
pub(super) const FACTORY_KEY: &str = "fk-canary-five~FACTORY/key";
pub(super) const STATE_PASSWORD: &str = "canary-six%STATE+password";

/// What is looked for, by what it is.
#[derive(Clone, Default)]
pub(super) struct Canaries(Arc<Mutex<BTreeMap<String, String>>>);

impl Canaries {
    fn fixed() -> Self {
        let canaries = Self::default();
        for (name, text) in [
            ("the GitLab token", GITLAB_TOKEN),
            ("the administrator's password", ADMIN_PASSWORD),
            ("the administrator's TOTP key", ADMIN_TOTP),
            ("the droid's password", DROID_PASSWORD),
            ("the droid's TOTP key", DROID_TOTP),
            ("the Factory key", FACTORY_KEY),
            ("the password of the state backend", STATE_PASSWORD),
        ] {
            canaries.add(text, name);
        }
        canaries
    }

    fn add(&self, text: &str, name: &str) {
        if text.len() >= 12 {
            self.0
                .lock()
                .expect("the canaries")
                .insert(text.to_owned(), name.to_owned());
        }
    }

    /// Takes note of what a request carries.
    fn see(&self, request: &Seen) {
        let body = String::from_utf8_lossy(&request.body);
        let query = request.query.as_deref().unwrap_or_default();
        for (name, value) in &request.headers {
            match name.as_str() {
                "cookie" => {
                    let values = value.split("; ").filter_map(|pair| pair.split_once('='));
                    values.for_each(|(name, value)| self.add(value, &format!("the cookie {name}")));
                }
                "authorization" => {
                    let value = value.split_once(' ').map_or(value.as_str(), |(_, value)| value);
                    self.add(value, "an authorization");
                }
                _ => {}
            }
        }
        for part in [body.as_ref(), query] {
            for (name, value) in url::form_urlencoded::parse(part.as_bytes()) {
                let is_secret = [
                    "authenticity_token",
                    "code",
                    "client_secret",
                    "access_token",
                    "refresh_token",
                    "token",
                ];
                if is_secret.contains(&name.as_ref()) && value != "setpoint-verifies-a-client-secret" {
                    self.add(
                        &value,
                        &format!("the parameter {name} of {} {}", request.method, request.path),
                    );
                }
            }
        }
        if let Ok(json) = serde_json::from_str::<serde_json::Value>(&body)
            && let Some(secret) = json["secret"].as_str()
        {
            self.add(secret, "the application's secret");
        }
    }

    /// Takes note of the tokens that Factory has by now.
    fn look_into(&self, world: &World) {
        for session in &world.sessions {
            self.add(&session.id, "a session");
            self.add(&session.csrf_token, "a CSRF token");
        }
        let Some(integration) = &world.factory.integration else {
            return;
        };
        self.add(&integration.secret, "the application's secret");
        if let Some(authorization) = &integration.authorization {
            self.add(&authorization.access_token, "an OAuth access token");
            self.add(
                authorization.refresh_token.as_deref().unwrap_or_default(),
                "an OAuth refresh token",
            );
        }
    }

    /// How many kinds there are, so that a test can tell that it looks for something.
    pub(super) fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<String> = self.0.lock().expect("the canaries").values().cloned().collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }

    /// What of it is in a text, in any usual form.
    pub(super) fn found_in(&self, text: &str) -> Option<String> {
        let folded = text.replace(['\n', ' '], "");
        let lower = text.to_ascii_lowercase();
        let all = self.0.lock().expect("the canaries");
        all.iter().find_map(|(canary, name)| {
            let whole = [text, &folded].iter().any(|text| text.contains(canary.as_str()));
            let percent: String = url::form_urlencoded::byte_serialize(canary.as_bytes()).collect();
            let json = serde_json::to_string(canary).expect("JSON");
            let html = canary.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
            let hex: String = canary
                .bytes()
                .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
            let escaped = [json.trim_matches('"'), &percent, &percent.replace('+', "%20"), &html]
                .iter()
                .any(|form| lower.contains(&form.to_ascii_lowercase()));
            let encoded = (0..3).any(|lead| {
                let mut bytes = vec![b'x'; lead];
                bytes.extend(canary.bytes());
                bytes.truncate(bytes.len() / 3 * 3);
                let standard = base64::engine::general_purpose::STANDARD.encode(&bytes);
                let url_safe = base64::engine::general_purpose::URL_SAFE.encode(&bytes);
                text.contains(&standard[lead + 1..]) || text.contains(&url_safe[lead + 1..])
            });
            (whole || escaped || encoded || lower.contains(&hex)).then(|| name.clone())
        })
    }

    /// Requires that nothing of it is in what a run showed.
    #[track_caller]
    pub(super) fn expect_unspoken(&self, ran: &Ran, what: &str) {
        for (stream, text) in [("standard output", &ran.stdout), ("standard error", &ran.stderr)] {
            if let Some(name) = self.found_in(text) {
                panic!("{what}: {name} is on {stream}:\n{text}");
            }
        }
    }

    /// Requires that nothing of it is in a file below a folder, but for those whose path contains one of `allowed`.
    #[track_caller]
    pub(super) fn expect_in_no_file(&self, folder: &Path, allowed: &[&str], what: &str) {
        let mut folders = vec![folder.to_owned()];
        let mut looked_at = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("the folder") {
                let path = entry.expect("the entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if !allowed.iter().any(|part| path.display().to_string().contains(part)) {
                    let text = String::from_utf8_lossy(&std::fs::read(&path).expect("the file")).into_owned();
                    looked_at += 1;
                    if let Some(name) = self.found_in(&text) {
                        panic!("{what}: {name} is in {}:\n{text}", path.display());
                    }
                }
            }
        }
        assert!(looked_at > 0, "{what}: there is no file at all");
    }
}

/// A sandbox whose every secret is a canary, and a configuration with all kinds of secrets in it.
pub(super) struct Cage {
    pub(super) fixture: Fixture,
    pub(super) hand: Arc<Hand>,
    pub(super) canaries: Canaries,
}

/// Where the application's secret may be.
pub(super) const STORE: &str = "store/secret";

impl Cage {
    pub(super) async fn new() -> Self {
        let mut options = Options::default();
        for switch in ["protected_paths_limit=0", "gitlab_version=19.0.0-ee"] {
            options.switches.set(switch).expect("a switch");
        }
        let (fixture, hand) = Hand::on(options).await;
        fixture.world(furnish);
        fixture.give_admin_session();
        fixture.edit_config(
            "password = { env = \"GITLAB_ADMIN_PASSWORD\" }",
            "password = { env = \"GITLAB_ADMIN_PASSWORD\" }\ntotp_secret = { env = \"GITLAB_ADMIN_TOTP\" }",
        );
        fixture.edit_config(
            "\n[user]",
            &format!(
                "\n[application.secret]\nsave = {{ file = \"{STORE}\" }}\nload = {{ file = \"{STORE}\" }}\n\n[user]"
            ),
        );
        let cage = Self {
            fixture,
            hand,
            canaries: Canaries::fixed(),
        };
        cage.watch(|_, _| Deed::Pass);
        cage
    }

    /// Follows a script, and takes note of every secret that passes.
    pub(super) fn watch(&self, mut script: impl FnMut(&Seen, Moment) -> Deed + Send + 'static) {
        let canaries = self.canaries.clone();
        self.hand.hold(move |request, moment| {
            canaries.see(request);
            script(request, moment)
        });
    }

    /// A command line with everything in its environment that could make it talk.
    pub(super) fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = self.fixture.command(arguments);
        command
            .env("GITLAB_TOKEN", GITLAB_TOKEN)
            .env("GITLAB_ADMIN_PASSWORD", ADMIN_PASSWORD)
            .env("GITLAB_ADMIN_TOTP", ADMIN_TOTP)
            .env("FACTORY_API_KEY", FACTORY_KEY)
            .env("FACTORY_DROID_PASSWORD", DROID_PASSWORD)
            .env("FACTORY_DROID_TOTP", DROID_TOTP)
            .env("STATE_PASSWORD", STATE_PASSWORD)
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "full");
        command
    }

    /// Runs a command line and requires that it says no secret and leaves none behind.
    pub(super) async fn run(&self, arguments: &[&str]) -> Ran {
        let ran = crate::common::run(self.command(arguments)).await;
        self.fixture.world(|world| self.canaries.look_into(world));
        if let Ok(stored) = std::fs::read_to_string(self.fixture.path(STORE)) {
            self.canaries.add(stored.trim_end(), "the application's secret");
        }
        let what = arguments.join(" ");
        self.canaries.expect_unspoken(&ran, &what);
        self.canaries.expect_in_no_file(self.fixture.folder(), &[STORE], &what);
        ran
    }
}

fn furnish(world: &mut World) {
    let root = world.user_mut(1).expect("root");
    root.password_digest = digest(ADMIN_PASSWORD);
    let token = &mut world.personal_tokens[0];
    token.token_digest = digest(GITLAB_TOKEN);
    world.factory.keys[0].key_digest = digest(FACTORY_KEY);
    // Two-factor authentication takes 30 s for each second sign-in, so the accounts have none; the keys are read all
    // the same.
}
