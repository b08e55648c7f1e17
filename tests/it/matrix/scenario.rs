//! What the program is doing when something happens to it.

use std::sync::OnceLock;

use setpoint::sandbox::World;
use setpoint::sandbox::world::{Application, Source, User, Visibility, digest};

use super::stage::{Ended, Snapshot, Stage};

/// The scopes that Factory asks for.
const SCOPES: &str = r#""api", "read_api", "read_user", "read_repository", "write_repository", "read_observability",
    "write_observability""#;
/// These and another.
const MORE_SCOPES: &str = r#""api", "read_api", "read_user", "read_repository", "write_repository",
    "read_observability", "write_observability", "read_registry""#;

/// A configuration, in the few ways in which the scenarios differ.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one way in which the scenarios differ"
)]
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    driver: &'static str,
    admin_session: bool,
    impersonate: bool,
    stores_secret: bool,
    /// Whether GitLab has terms of service, which are accepted.
    pub(super) terms: bool,
    /// Whether an authenticator of the droid's is registered and kept.
    pub(super) second_factor: bool,
    /// Whether GitLab keeps the record.
    pub(super) team: bool,
    trusted: bool,
    scopes: &'static str,
    display_name: &'static str,
    storefront: &'static str,
    enable: &'static str,
    unlisted: &'static str,
}

impl Setting {
    /// With the droid's password, and nothing that takes an administrator's session.
    const PASSWORD: Self = Self {
        driver: "api",
        admin_session: false,
        impersonate: false,
        stores_secret: false,
        terms: false,
        second_factor: false,
        team: false,
        trusted: false,
        scopes: SCOPES,
        display_name: "Factory Droid",
        storefront: "maintainer",
        enable: r#""platform/services/*", "web/storefront""#,
        unlisted: "keep",
    };

    /// With an administrator's session.
    const ADMIN: Self = Self {
        admin_session: true,
        trusted: true,
        ..Self::PASSWORD
    };

    /// The text of `setpoint.toml`.
    pub(crate) fn render(&self, gitlab: &str, factory: &str) -> String {
        let session = if self.admin_session {
            "[gitlab.admin_session]\nusername = \"root\"\npassword = { env = \"GITLAB_ADMIN_PASSWORD\" }\n"
        } else {
            ""
        };
        let stores_secret = if self.stores_secret {
            "[application.secret]\nsave = { file = \"secret\" }\nload = { file = \"secret\" }\n"
        } else {
            ""
        };
        let sign_in = if self.impersonate {
            "sign_in = \"impersonate\""
        } else {
            "password = { env = \"FACTORY_DROID_PASSWORD\" }"
        };
        let terms = if self.terms { "accept_terms = true" } else { "" };
        let totp = if self.second_factor {
            "totp = { save = { file = \"totp\" }, load = { file = \"totp\" } }"
        } else {
            ""
        };
        let team = if self.team {
            format!(
                "[state]\nurl = \"{gitlab}/api/v4/projects/1/terraform/state/setpoint\"\nusername = \"root\"\n\
                 password = {{ env = \"GITLAB_TOKEN\" }}\n"
            )
        } else {
            String::new()
        };
        let Self {
            driver,
            trusted,
            scopes,
            display_name,
            storefront,
            enable,
            unlisted,
            ..
        } = self;
        format!(
            r#"[gitlab]
url = "{gitlab}"
external_url = "https://gitlab.example.com"
token = {{ env = "GITLAB_TOKEN" }}
{session}
[factory]
driver = "{driver}"
api_url = "{factory}"
app_url = "{factory}"
token = {{ env = "FACTORY_API_KEY" }}

[application]
name = "Factory Integration"
redirect_uri = "https://api.factory.ai/api/integrations/redirect/gitlab-sh/callback"
trusted = {trusted}
scopes = [{scopes}]
{stores_secret}
[user]
name = "{display_name}"
username = "factory-droid"
email = "factory-droid@example.com"
{sign_in}
{terms}
{totp}

[user.memberships]
"platform" = "developer"
"web/storefront" = "{storefront}"

[repositories]
enable = [{enable}]
unlisted = "{unlisted}"

[guards]
max_removals = 1000
max_removal_percent = 100

{team}"#
        )
    }
}

/// One thing that the program does.
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// What was applied before; nothing for a first apply.
    before: Option<Setting>,
    /// The configuration under which it happens.
    pub(crate) setting: Setting,
    /// The command at which faults are injected.
    pub(crate) command: &'static [&'static str],
    /// The command that is run afterwards until it is done.
    pub(crate) again: &'static [&'static str],
    /// Whether the integration is gone afterwards.
    pub(crate) destroyed: bool,
    /// Whether the user is gone as well.
    pub(crate) user_deleted: bool,
    /// The application of before must be gone.
    pub(crate) replaced: bool,
    /// What others did since.
    others: Option<fn(&mut World)>,
    start: OnceLock<Snapshot>,
}

const APPLY: &[&str] = &["apply", "--auto-approve"];
const REPLACE: &[&str] = &["apply", "--auto-approve", "--allow-replace"];
const ROTATE: &[&str] = &["rotate", "--auto-approve"];
const DESTROY: &[&str] = &["destroy", "--auto-approve"];
const ADOPT: &[&str] = &["adopt", "--all", "--auto-approve"];
const DESTROY_USER: &[&str] = &["destroy", "--auto-approve", "--delete-user"];

impl Scenario {
    fn new(name: &'static str, before: Option<Setting>, setting: Setting, command: &'static [&'static str]) -> Self {
        Self {
            name: name.to_owned(),
            before,
            setting,
            command,
            again: command,
            destroyed: command[0] == "destroy",
            user_deleted: command == DESTROY_USER,
            replaced: command == REPLACE,
            others: None,
            start: OnceLock::new(),
        }
    }

    /// All of them.
    pub(crate) fn all() -> Vec<Self> {
        let stores_secret = Setting {
            stores_secret: true,
            ..Setting::PASSWORD
        };
        let impersonate = Setting {
            impersonate: true,
            ..Setting::ADMIN
        };
        let terms = Setting {
            terms: true,
            ..Setting::PASSWORD
        };
        let second_factor = Setting {
            second_factor: true,
            ..Setting::PASSWORD
        };
        let terms_impersonated = Setting {
            terms: true,
            ..impersonate.clone()
        };
        let edited = Setting {
            trusted: false,
            scopes: MORE_SCOPES,
            display_name: "The Droid",
            storefront: "developer",
            ..Setting::ADMIN
        };
        let replaced = Setting {
            scopes: MORE_SCOPES,
            ..stores_secret.clone()
        };
        let selected = Setting {
            enable: r#""platform/services/c*", "platform/libraries/*", "web/storefront""#,
            unlisted: "disable",
            ..Setting::PASSWORD
        };
        let assisted = Setting {
            driver: "assisted",
            ..Setting::PASSWORD
        };
        vec![
            Self::new("first apply, by password", None, Setting::PASSWORD, APPLY),
            Self::new("first apply, impersonated", None, impersonate, APPLY),
            Self::new("first apply, terms", None, terms, APPLY),
            Self::new("first apply, terms, impersonated", None, terms_impersonated, APPLY),
            Self::new("second factor", Some(Setting::PASSWORD), second_factor, APPLY),
            Self::new("change in place", Some(Setting::ADMIN), edited, APPLY),
            Self::new("replacement", Some(stores_secret.clone()), replaced, REPLACE),
            Self::new("rotation", Some(stores_secret.clone()), stores_secret.clone(), ROTATE),
            Self {
                again: APPLY,
                ..Self::new(
                    "rotation, then apply",
                    Some(Setting::PASSWORD),
                    Setting::PASSWORD,
                    ROTATE,
                )
            },
            Self {
                others: Some(refuse_the_secret),
                ..Self::new("refused secret", Some(Setting::PASSWORD), Setting::PASSWORD, APPLY)
            },
            Self::new("adoption", Some(Setting::PASSWORD), assisted, ADOPT),
            Self::new("selection", Some(Setting::PASSWORD), selected, APPLY),
            Self::new("destroy", Some(stores_secret.clone()), stores_secret, DESTROY),
            Self::new(
                "destroy with the user",
                Some(Setting::PASSWORD),
                Setting::PASSWORD,
                DESTROY_USER,
            ),
        ]
    }

    /// The same with the record kept in GitLab, which makes a request of every write of it.
    pub(crate) fn in_gitlab(mut self) -> Self {
        for setting in self.before.iter_mut().chain([&mut self.setting]) {
            setting.team = true;
        }
        self.name.push_str(", record in GitLab");
        self
    }

    /// Whether it was all made by hand, so that there is no record of it.
    pub(super) fn is_by_hand(&self) -> bool {
        self.command == ADOPT
    }

    /// Whether a run says that there is nothing left to do, by its exit code or in words.
    pub(super) fn is_over(&self, ended: &Ended) -> bool {
        ended.code == Some(0) || (self.is_by_hand() && ended.stderr.contains("there is nothing to adopt"))
    }

    /// The one of that name.
    pub(crate) fn named(name: &str) -> Self {
        let found = Self::all().into_iter().find(|scenario| scenario.name == name);
        found.expect("there is such a scenario")
    }

    /// Which of all it is, so that neighbours can begin differently.
    pub(super) fn turn(&self) -> usize {
        let all = Self::all();
        let place = all.iter().position(|one| one.name == self.name);
        place.unwrap_or_default()
    }

    /// The world and the files with which it begins.
    pub(crate) fn start(&self) -> &Snapshot {
        self.start.get_or_init(|| {
            let mut world = world_of_others();
            world.switches.enforce_terms = self.setting.terms;
            let fresh = Snapshot::of(world);
            let Some(before) = &self.before else {
                return fresh;
            };
            let stage = Stage::new(&fresh, |_| None);
            stage.configure(before);
            let ended = stage.run(APPLY);
            assert_eq!(ended.code, Some(0), "{}: {}", self.name, ended.all());
            let mut snapshot = stage.snapshot();
            if self.is_by_hand() {
                snapshot.world.terraform_states.clear();
                snapshot = Snapshot::of(snapshot.world);
            }
            if let Some(others) = self.others {
                others(&mut snapshot.world);
            }
            snapshot
        })
    }
}

/// Somebody renewed the secret, and Factory has to be authorized anew.
fn refuse_the_secret(world: &mut World) {
    for application in &mut world.applications {
        if application.name == "Factory Integration" {
            application.secret_digest = digest("renewed by somebody");
            application.secret_plain = None;
        }
    }
    if let Some(integration) = &mut world.factory.integration {
        integration.authorization = None;
    }
}

/// The world of all scenarios: the built-in one, and things in it that nobody declares.
pub(super) fn world_of_others() -> World {
    let mut world = World::builtin();
    // Many runs a minute sign in from one address.
    world.switches.protected_paths_limit = 0;
    let id = world.next_id("user");
    world.users.push(User {
        id,
        username: "factory-droid-2".to_owned(),
        name: "Factory Droid".to_owned(),
        email: "factory-droid-2@example.com".to_owned(),
        ..User::default()
    });
    let platform = world
        .group_at("platform")
        .map(|group| group.id)
        .expect("it is built in");
    world.set_member(Source::Group(platform), id, 20);
    let id = world.next_id("application");
    world.applications.push(Application {
        id,
        uid: "0".repeat(64),
        name: "Factory Integration (staging)".to_owned(),
        redirect_uri: "https://api.factory.ai/api/integrations/redirect/gitlab-sh/callback".to_owned(),
        scopes: vec!["api".to_owned()],
        confidential: true,
        secret_digest: digest("a secret of somebody else"),
        ..Application::default()
    });
    world.add_project("open-source/enabled-by-hand", "Enabled by hand", Visibility::Public);
    world
}
