//! A configuration made by chance, and what of a world it speaks of.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::rng::Rng;

/// The redirect URI that Factory has for this organization.
pub(super) const REDIRECT: &str = "https://api.factory.ai/api/integrations/redirect/gitlab-sh/callback";

const SCOPES: [&str; 7] = [
    "api",
    "read_api",
    "read_user",
    "read_repository",
    "write_repository",
    "read_observability",
    "write_observability",
];
const ROLES: [&str; 6] = ["guest", "planner", "reporter", "developer", "maintainer", "owner"];
/// Groups and projects; one that moved, and one that never was.
pub(super) const PLACES: [&str; 12] = [
    "platform",
    "platform/services",
    "Platform/Libraries",
    "platform/services/payments",
    "platform/archive",
    "web",
    "web/storefront",
    "data/pipelines",
    "data/pipelines/batch/nightly",
    "finance",
    "platform/services/basket",
    "nowhere",
];
const ENABLE: [&str; 16] = [
    "platform/**",
    "platform/services/*",
    "platform/services/c*",
    "web/*",
    "web/**",
    "**",
    "data/pipelines/**",
    "open-source/*",
    "*/*",
    "web/storefront",
    "Platform/Services/Payments",
    "finance/ledger",
    "platform/archive/old-gateway",
    "platform/services/basket",
    "nowhere/at-all",
    "data/warehouse",
];
const EXCEPT: [&str; 5] = [
    "platform/archive/**",
    "**/batch/**",
    "web/experiments/**",
    "platform/services/payments",
    "data/*",
];

/// A configuration.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one thing that may be declared or not"
)]
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub(super) admin_session: bool,
    pub(super) impersonate: bool,
    pub(super) stores_secret: bool,
    pub(super) team: bool,
    pub(super) name: String,
    redirects: Vec<&'static str>,
    trusted: bool,
    confidential: bool,
    scopes: Vec<&'static str>,
    pub(super) username: String,
    pub(super) previously: Vec<String>,
    display_name: &'static str,
    pub(super) email: &'static str,
    pub(super) memberships: BTreeMap<&'static str, &'static str>,
    enable: Vec<&'static str>,
    except: Vec<&'static str>,
    pub(super) disable_unlisted: bool,
    pub(super) few_removals: bool,
}

impl Declared {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let admin_session = rng.percent(70);
        let mut declared = Self {
            admin_session,
            impersonate: admin_session && rng.percent(30),
            stores_secret: rng.percent(40),
            team: rng.percent(15),
            name: "Factory Integration".to_owned(),
            redirects: vec![REDIRECT],
            trusted: true,
            confidential: true,
            scopes: SCOPES.to_vec(),
            username: "factory-droid".to_owned(),
            previously: Vec::new(),
            display_name: "Factory Droid",
            email: "factory-droid@example.com",
            memberships: BTreeMap::new(),
            enable: vec!["platform/**"],
            except: Vec::new(),
            disable_unlisted: false,
            few_removals: rng.percent(15),
        };
        declared.choose_places(rng);
        for _ in 0..rng.below(6) {
            declared.change(rng);
        }
        declared
    }

    fn choose_places(&mut self, rng: &mut Rng) {
        let places: Vec<&'static str> = rng.some(&PLACES, 30).into_iter().copied().collect();
        self.memberships = places.into_iter().map(|place| (place, *rng.pick(&ROLES))).collect();
    }

    /// Changes one thing. Where the record is, and where the secret is kept, stay.
    pub(super) fn change(&mut self, rng: &mut Rng) {
        match rng.below(14) {
            0 => self.name = (*rng.pick(&["Factory Integration", "Factory", "Factory (staging)"])).to_owned(),
            1 => {
                self.redirects = vec![REDIRECT];
                if rng.percent(70) {
                    self.redirects.push("https://extra.example.com/callback");
                }
            }
            2 => self.trusted = !self.trusted,
            3 => self.confidential = rng.percent(80),
            4 => {
                self.scopes = SCOPES.to_vec();
                self.scopes
                    .extend(rng.some(&["read_registry", "openid", "profile"], 40));
                let by = usize::try_from(rng.below(7)).unwrap_or(0);
                self.scopes.rotate_left(by);
            }
            5 => {
                let username = (*rng.pick(&["factory-droid", "Factory-Droid", "droid", "the.droid"])).to_owned();
                let old = std::mem::replace(&mut self.username, username);
                self.previously = if rng.percent(80) && !old.eq_ignore_ascii_case(&self.username) {
                    vec![old]
                } else {
                    Vec::new()
                };
            }
            6 => self.display_name = *rng.pick(&["Factory Droid", "The Droid", "Dröid <Factory>"]),
            7 => {
                self.email = *rng.pick(&["factory-droid@example.com", "droid@example.com", "Droid@Example.com"]);
            }
            8 => self.choose_places(rng),
            9 => {
                let enable: Vec<&'static str> = rng.some(&ENABLE, 20).into_iter().copied().collect();
                self.enable = enable;
            }
            10 => self.except = rng.some(&EXCEPT, 30).into_iter().copied().collect(),
            11 => self.disable_unlisted = !self.disable_unlisted,
            12 => self.admin_session = rng.percent(70) || self.impersonate,
            _ => self.impersonate = self.admin_session && rng.percent(50),
        }
        // Both at once is a fault of the file.
        let named = |path: &&str| !self.enable.iter().any(|enable| enable.eq_ignore_ascii_case(path));
        self.except.retain(named);
    }

    /// Whether a repository is selected by its path; it may be out of sight all the same.
    pub(super) fn selects(&self, path: &str) -> bool {
        let path = path.to_ascii_lowercase();
        let any = |patterns: &[&str]| {
            patterns
                .iter()
                .any(|pattern| matches(pattern.to_ascii_lowercase().as_bytes(), path.as_bytes()))
        };
        any(&self.enable) && !any(&self.except) || self.enable.iter().any(|named| named.eq_ignore_ascii_case(&path))
    }

    /// The text of `setpoint.toml`.
    pub(super) fn render(&self, gitlab: &str, factory: &str) -> String {
        let mut text = format!(
            "[gitlab]\nurl = \"{gitlab}\"\nexternal_url = \"https://gitlab.example.com\"\n\
             token = {{ env = \"GITLAB_TOKEN\" }}\n\n"
        );
        if self.admin_session {
            text.push_str(
                "[gitlab.admin_session]\nusername = \"root\"\npassword = { env = \"GITLAB_ADMIN_PASSWORD\" }\n\n",
            );
        }
        let _ = write!(
            text,
            "[factory]\ndriver = \"api\"\napi_url = \"{factory}\"\napp_url = \"{factory}\"\n\
             token = {{ env = \"FACTORY_API_KEY\" }}\n\n\
             [application]\nname = \"{}\"\nredirect_uri = {:?}\ntrusted = {}\nconfidential = {}\nscopes = {:?}\n\n",
            self.name, self.redirects, self.trusted, self.confidential, self.scopes
        );
        if self.stores_secret {
            text.push_str("[application.secret]\nsave = { file = \"secret\" }\nload = { file = \"secret\" }\n\n");
        }
        let sign_in = if self.impersonate {
            "sign_in = \"impersonate\""
        } else {
            "password = { env = \"FACTORY_DROID_PASSWORD\" }"
        };
        let _ = write!(
            text,
            "[user]\nname = \"{}\"\nusername = \"{}\"\nemail = \"{}\"\npreviously = {:?}\n{sign_in}\n\n[user.memberships]\n",
            self.display_name, self.username, self.email, self.previously
        );
        for (place, role) in &self.memberships {
            let _ = writeln!(text, "\"{place}\" = \"{role}\"");
        }
        let _ = write!(
            text,
            "\n[repositories]\nenable = {:?}\nexcept = {:?}\nunlisted = \"{}\"\n\n",
            self.enable,
            self.except,
            if self.disable_unlisted { "disable" } else { "keep" }
        );
        let most = if self.few_removals { 1 } else { 1000 };
        let _ = write!(
            text,
            "[guards]\nmax_removals = {most}\nmax_removal_percent = 100\nreplace_application = true\n"
        );
        if self.team {
            let _ = write!(
                text,
                "\n[state]\nurl = \"{gitlab}/api/v4/projects/1/terraform/state/setpoint\"\nusername = \"root\"\n\
                 password = {{ env = \"GITLAB_TOKEN\" }}\n"
            );
        }
        text
    }
}

/// Globs as the configuration has them: `*` stays within a segment, `**` crosses.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    match pattern {
        [] => path.is_empty(),
        // Also nothing at all: `**/x` takes `x`.
        [b'*', b'*', b'/', rest @ ..] => {
            matches(rest, path)
                || path
                    .iter()
                    .enumerate()
                    .any(|(at, byte)| *byte == b'/' && matches(rest, &path[at + 1..]))
        }
        [b'*', b'*'] => !path.is_empty(),
        [b'*', rest @ ..] => {
            let segment = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
            (0..=segment).any(|at| matches(rest, &path[at..]))
        }
        [first, rest @ ..] => path.first() == Some(first) && matches(rest, &path[1..]),
    }
}
