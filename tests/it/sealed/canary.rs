//! Secrets that are looked for: the fixed ones, each unlike any other text, and those that the sandbox makes up, taken
//! from the requests that carry them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use setpoint::sandbox::world::{World, digest};
use setpoint::sandbox::{Action, Options, Seen};

use crate::common::proxy::{Phase, Proxy};
use crate::common::{Fixture, Ran};

pub(crate) const GITLAB_TOKEN: &str = "glpat-canary/one+GITLAB-TOKEN";
pub(crate) const ADMIN_PASSWORD: &str = "canary  two&ADMIN=password";
pub(crate) const ADMIN_TOTP: &str = "CANARYTHREEADMINTOTP2345672345AA";
pub(crate) const DROID_PASSWORD: &str = "canary/four\"DROID<password>";
pub(crate) const DROID_TOTP: &str = "CANARYFOURDROIDTOTP23456723456AA";
pub(crate) const FACTORY_KEY: &str = "fk-canary-five~FACTORY/key";
/// What a code of six digits is called where it is found.
pub(crate) const CODE: &str = "a one-time code";
pub(crate) const GATEWAY_TOKEN: &str = "canary-seven;GATEWAY+token";
pub(crate) const STATE_PASSWORD: &str = "canary-six%STATE+password";
/// The session that a person opened, as GitLab makes such ids.
pub(crate) const COOKIE: &str = "0ca9a21e18c00c1e0fa9e2505e5510af";

/// What is looked for.
#[derive(Clone, Default)]
pub(crate) struct Canaries(Arc<Mutex<Known>>);

/// What is known of it by now.
#[derive(Default)]
struct Known {
    /// What each is.
    names: BTreeMap<String, String>,
    /// Every usual form of each, in small letters, and what it is, by the eight bytes with which it begins.
    forms: HashMap<u64, Vec<(String, String)>>,
    /// Whether a form may begin so: most places of a text are done with by this.
    begins: Vec<bool>,
    /// Codes of six digits.
    codes: BTreeSet<String>,
}

impl Known {
    fn add(&mut self, text: &str, name: &str) {
        if self.names.insert(text.to_owned(), name.to_owned()).is_some() {
            return;
        }
        self.begins.resize(1 << 16, false);
        for form in forms(text) {
            let begin = form.bytes().take(8).fold(0, shifted);
            self.begins[remainder(begin)] = true;
            self.forms.entry(begin).or_default().push((form, name.to_owned()));
        }
    }

    /// What of it is in a text of small letters.
    fn form_in(&self, text: &str) -> Option<&str> {
        let text = text.as_bytes();
        let mut begin = 0;
        for (at, byte) in text.iter().enumerate() {
            begin = shifted(begin, *byte);
            if at < 7 || !self.begins.get(remainder(begin)).is_some_and(|begins| *begins) {
                continue;
            }
            let mut forms = self.forms.get(&begin).into_iter().flatten();
            let found = forms.find(|(form, _)| text[at - 7..].starts_with(form.as_bytes()));
            if let Some((_, name)) = found {
                return Some(name);
            }
        }
        None
    }

    /// Whether one of the codes stands in a text alone: six digits of a longer number, or of a fraction, are none.
    fn code_in(&self, text: &str) -> bool {
        let words = || text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.'));
        !self.codes.is_empty() && words().any(|word| self.codes.contains(word.trim_end_matches('.')))
    }
}

/// The last eight bytes, when another has come.
fn shifted(bytes: u64, next: u8) -> u64 {
    bytes << 8 | u64::from(next)
}

/// A number below 65536 for eight bytes.
fn remainder(bytes: u64) -> usize {
    usize::try_from(bytes.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48).expect("a small number")
}

/// Every form in which a canary usually appears, in small letters.
fn forms(canary: &str) -> BTreeSet<String> {
    let percent: String = url::form_urlencoded::byte_serialize(canary.as_bytes()).collect();
    let json = serde_json::to_string(canary).expect("JSON");
    let html = canary.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    let hex = canary
        .bytes()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let mut forms = vec![
        canary.to_owned(),
        // As a cut or a slip leaves it.
        canary[..canary.len() - 1].to_owned(),
        canary[1..].to_owned(),
        canary.split_whitespace().collect::<Vec<_>>().join(" "),
        // As in a text without its spaces.
        canary.replace(' ', ""),
        json.trim_matches('"').to_owned(),
        percent.replace('+', "%20"),
        percent,
        html,
        hex,
    ];
    for lead in 0..3 {
        let mut bytes = vec![b'x'; lead];
        bytes.extend(canary.bytes());
        bytes.truncate(bytes.len() / 3 * 3);
        let standard = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let url_safe = base64::engine::general_purpose::URL_SAFE.encode(&bytes);
        forms.extend([standard[lead + 1..].to_owned(), url_safe[lead + 1..].to_owned()]);
    }
    forms.iter().map(|form| form.to_ascii_lowercase()).collect()
}

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
            ("the gateway's token", GATEWAY_TOKEN),
            ("a person's session", COOKIE),
        ] {
            canaries.add(text, name);
        }
        canaries
    }

    pub(crate) fn add(&self, text: &str, name: &str) {
        if text.len() >= 12 {
            self.0.lock().expect("the canaries").add(text, name);
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
                if ["user[otp_attempt]", "pin_code"].contains(&name.as_ref()) {
                    self.0.lock().expect("the canaries").codes.insert(value.to_string());
                }
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
    pub(crate) fn kinds(&self) -> Vec<String> {
        let known = self.0.lock().expect("the canaries");
        let mut kinds: Vec<String> = known.names.values().cloned().collect();
        kinds.extend((!known.codes.is_empty()).then(|| CODE.to_owned()));
        kinds.sort();
        kinds.dedup();
        kinds
    }

    /// What of it is in a text, in any usual form.
    pub(crate) fn found_in(&self, text: &str) -> Option<String> {
        let lower = text.to_ascii_lowercase();
        let folded = lower.replace(['\n', ' '], "");
        let known = self.0.lock().expect("the canaries");
        let name = known.form_in(&lower).or_else(|| known.form_in(&folded));
        let name = name.or_else(|| known.code_in(text).then_some(CODE));
        name.map(str::to_owned)
    }

    /// Requires that nothing of it is in what a run showed.
    #[track_caller]
    pub(crate) fn expect_unspoken(&self, ran: &Ran, what: &str) {
        for (stream, text) in [("standard output", &ran.stdout), ("standard error", &ran.stderr)] {
            if let Some(name) = self.found_in(text) {
                panic!("{what}: {name} is on {stream}:\n{text}");
            }
        }
    }

    /// Requires that nothing of it is in a file below a folder, but for those whose path contains one of `allowed`.
    #[track_caller]
    pub(crate) fn expect_in_no_file(&self, folder: &Path, allowed: &[&str], what: &str) {
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
pub(crate) struct SealedFixture {
    pub(crate) fixture: Fixture,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) canaries: Canaries,
}

/// Where the application's secret may be.
pub(crate) const STORE: &str = "store/secret";
/// Where the key of the droid's authenticator may be, with its recovery codes.
pub(crate) const AUTHENTICATOR: &str = "store/authenticator";

/// Files in which a secret may be: the stores, and those that a person has written.
const STORES: &[&str] = &[STORE, AUTHENTICATOR, "client.key", "proxy.url"];

impl SealedFixture {
    pub(crate) async fn new() -> Self {
        let mut options = Options::default();
        options.switches.set("gitlab_version=19.0.0-ee").expect("a switch");
        let sealed = Self::on(options).await;
        let fixture = &sealed.fixture;
        for token in ["GITLAB_TOKEN", "FACTORY_API_KEY"] {
            fixture.edit_config(
                &format!("token = {{ env = \"{token}\" }}\n"),
                &format!(
                    "token = {{ env = \"{token}\" }}\nheaders = {{ \"X-Gateway-Token\" = {{ env = \"GATEWAY_TOKEN\" }} }}\n"
                ),
            );
        }
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
        sealed
    }

    /// With an administrator's session, and no secrets beyond those of every configuration.
    pub(crate) async fn on(options: Options) -> Self {
        let (fixture, proxy) = Proxy::on(options).await;
        fixture.world(furnish);
        fixture.give_admin_session();
        let sealed = Self {
            fixture,
            proxy,
            canaries: Canaries::fixed(),
        };
        sealed.watch(|_, _| Action::Pass);
        sealed
    }

    /// Follows a script, and takes note of every secret that passes.
    pub(crate) fn watch(&self, mut script: impl FnMut(&Seen, Phase) -> Action + Send + 'static) {
        let canaries = self.canaries.clone();
        self.proxy.intercept(move |request, phase| {
            canaries.see(request);
            script(request, phase)
        });
    }

    /// A command line with everything in its environment that could make it talk.
    pub(crate) fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = self.fixture.command(arguments);
        command
            .env("GITLAB_TOKEN", GITLAB_TOKEN)
            .env("GITLAB_ADMIN_PASSWORD", ADMIN_PASSWORD)
            .env("GITLAB_ADMIN_TOTP", ADMIN_TOTP)
            .env("FACTORY_API_KEY", FACTORY_KEY)
            .env("FACTORY_DROID_PASSWORD", DROID_PASSWORD)
            .env("FACTORY_DROID_TOTP", DROID_TOTP)
            .env("STATE_PASSWORD", STATE_PASSWORD)
            .env("GATEWAY_TOKEN", GATEWAY_TOKEN)
            .env("GITLAB_SESSION", COOKIE)
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "full");
        command
    }

    /// Runs a command line and requires that it says no secret and leaves none behind.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        let ran = self.proxy.run_command(self.command(arguments)).await;
        self.fixture.world(|world| self.canaries.look_into(world));
        if let Ok(stored) = std::fs::read_to_string(self.fixture.path(STORE)) {
            self.canaries.add(stored.trim_end(), "the application's secret");
        }
        let kept = std::fs::read_to_string(self.fixture.path(AUTHENTICATOR)).unwrap_or_default();
        for (at, line) in kept.lines().enumerate() {
            let name = if at == 0 {
                "the key of an authenticator"
            } else {
                "a recovery code"
            };
            self.canaries.add(line, name);
            // As the page shows a key.
            let groups: Vec<&str> = line
                .as_bytes()
                .chunks(4)
                .map(|four| std::str::from_utf8(four).expect("ASCII"))
                .collect();
            self.canaries.add(&groups.join(" "), name);
        }
        let what = arguments.join(" ");
        self.canaries.expect_unspoken(&ran, &what);
        self.canaries.expect_in_no_file(self.fixture.folder(), STORES, &what);
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

#[test]
fn each_is_found_in_any_usual_form() {
    let canaries = Canaries::fixed();
    canaries
        .0
        .lock()
        .expect("the canaries")
        .codes
        .insert("123456".to_owned());
    for text in [
        "a token of glpat-canary/one+GITLAB-TOKEN.",
        "glpat-canary/one+\nGITLAB-TOKEN",
        "canary  two&ADMIN=password",
        "canary two&ADMIN=password",
        "canary  two&ADMIN=passwor",
        "canary++two%26ADMIN%3Dpassword",
        "canary%20%20two%26admin%3dpassword",
        "\"canary/four\\\"DROID<password>\"",
        "canary/four&quot;DROID&lt;password>",
        "666b2d63616e6172792d666976657e464143544f52592f6b6579",
        "Basic cm9vdDpjYW5hcnktc2l4JVNUQVRFK3Bhc3N3b3Jk",
        "the code 123456",
        "code=123456.",
    ] {
        assert!(canaries.found_in(text).is_some(), "{text}");
    }
    for text in [
        "",
        "glpat-canary",
        "canary two",
        "1234567",
        "0.123456",
        "12:00:00.123456Z",
        "a123456",
    ] {
        assert_eq!(canaries.found_in(text), None, "{text}");
    }
}
