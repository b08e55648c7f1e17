//! The built-in world: a company small enough to read and large enough to be worth trying.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::world::{
    Application, FactoryKey, FactoryOrganization, FactoryRole, PersonalToken, Source, User, Visibility, World, digest,
    random_hex,
};

pub const ROOT_USERNAME: &str = "root";
pub const ROOT_PASSWORD: &str = "sandbox-root-password";
/// The administrator's personal access token, with the scopes `api`, `admin_mode`, `sudo`.
pub const ROOT_TOKEN: &str = "glpat-sandbox-root-token";
/// A password to create the droid with.
pub const DROID_PASSWORD: &str = "sandbox-droid-password";
/// The API key of an Owner of the Factory organization.
pub const FACTORY_KEY: &str = "fk-sandbox-owner-key";

use Visibility::{Internal, Private, Public};

/// Groups: full path, name, visibility; parents come first.
const GROUPS: [(&str, &str, Visibility); 12] = [
    ("platform", "Platform", Private),
    ("platform/services", "Services", Private),
    ("platform/libraries", "Libraries", Internal),
    ("platform/archive", "Archive", Private),
    ("platform/archive/2019", "2019", Private),
    ("web", "Web", Internal),
    ("web/experiments", "Experiments", Private),
    ("data", "Data", Private),
    ("data/pipelines", "Pipelines", Private),
    ("data/pipelines/batch", "Batch", Private),
    ("finance", "Finance", Private),
    ("open-source", "Open Source", Public),
];

/// Projects: full path and visibility; the name is made from the path.
const PROJECTS: [(&str, Visibility); 41] = [
    ("platform/handbook", Internal),
    ("platform/infrastructure", Private),
    ("platform/ci-templates", Internal),
    ("platform/runner-images", Private),
    ("platform/services/accounts", Private),
    ("platform/services/billing", Private),
    ("platform/services/catalog", Private),
    ("platform/services/checkout", Private),
    ("platform/services/gateway", Private),
    ("platform/services/inventory", Private),
    ("platform/services/mailer", Private),
    ("platform/services/notifications", Private),
    ("platform/services/payments", Private),
    ("platform/services/pricing", Private),
    ("platform/services/search", Private),
    ("platform/services/shipping", Private),
    ("platform/libraries/config", Internal),
    ("platform/libraries/http-client", Internal),
    ("platform/libraries/logging", Internal),
    ("platform/libraries/metrics", Internal),
    ("platform/archive/monolith", Private),
    ("platform/archive/old-gateway", Private),
    ("platform/archive/2019/prototype", Private),
    ("web/storefront", Internal),
    ("web/admin-console", Internal),
    ("web/design-system", Internal),
    ("web/landing-pages", Internal),
    ("web/experiments/ab-tests", Private),
    ("web/experiments/checkout-redesign", Private),
    ("data/warehouse", Private),
    ("data/notebooks", Private),
    ("data/pipelines/events", Private),
    ("data/pipelines/orders", Private),
    ("data/pipelines/batch/nightly", Private),
    ("data/pipelines/batch/reports", Private),
    ("finance/ledger", Private),
    ("finance/forecast", Private),
    ("open-source/rust-toolbox", Public),
    ("open-source/website", Public),
    ("root/dotfiles", Private),
    ("root/scratch", Private),
];

/// The old path of a project that was renamed, and its path now.
const RENAMED: (&str, &str) = ("platform/services/basket", "platform/services/cart");

impl World {
    /// The world that a sandbox begins with. It has neither a droid nor an application for Factory: those are for the
    /// first `apply` to make.
    pub fn builtin() -> Self {
        let mut world = Self::default();
        let since: Timestamp = "2024-03-01T09:00:00Z".parse().unwrap_or_default();
        world.add_people(since);
        for (full_path, name, visibility) in GROUPS {
            world.add_group(full_path, name, visibility);
        }
        for (full_path, visibility) in PROJECTS {
            world.add_project(full_path, &name_of(full_path), visibility);
        }
        world.add_project(RENAMED.0, "Cart", Private);
        world.move_project(RENAMED.0, RENAMED.1);
        for project in &mut world.projects {
            project.created_at = since;
            project.last_activity_at = since;
            project.archived = project.full_path.starts_with("platform/archive/");
            if project.full_path == "web/landing-pages" {
                project.marked_for_deletion_on = Some("2099-01-01".to_owned());
            }
        }
        world.add_roles();
        world.add_web_ide(since);
        world.factory = FactoryOrganization {
            name: "Example".to_owned(),
            plan: "enterprise".to_owned(),
            keys: vec![FactoryKey {
                key_digest: digest(FACTORY_KEY),
                role: FactoryRole::Owner,
                owner: "owner@example.com".to_owned(),
            }],
            ..FactoryOrganization::default()
        };
        world
    }

    fn add_people(&mut self, since: Timestamp) {
        let people = [
            ("root", "Administrator", "admin@example.com", true),
            ("zdvorak", "Zoë Dvořák", "zoe.dvorak@example.com", false),
            ("mlopez", "María López", "maria.lopez@example.com", false),
        ];
        for (username, name, email, admin) in people {
            let password = if admin {
                ROOT_PASSWORD.to_owned()
            } else {
                random_hex(16)
            };
            let id = self.next_id("user");
            self.users.push(User {
                id,
                username: username.to_owned(),
                name: name.to_owned(),
                email: email.to_owned(),
                confirmed_at: Some(since),
                admin,
                password_digest: digest(&password),
                accepted_terms: admin.then_some(1),
                created_at: since,
                ..User::default()
            });
        }
        let id = self.next_id("token");
        self.personal_tokens.push(PersonalToken {
            id,
            user_id: 1,
            name: "setpoint".to_owned(),
            token_digest: digest(ROOT_TOKEN),
            scopes: ["api", "admin_mode", "sudo"].map(str::to_owned).to_vec(),
            created_at: since,
            ..PersonalToken::default()
        });
    }

    fn add_roles(&mut self) {
        let roles = [
            ("platform", 2, 50),
            ("web", 2, 40),
            ("data", 3, 50),
            ("finance", 3, 50),
            ("web", 3, 30),
        ];
        let owned: BTreeSet<&str> = ["platform", "web", "data", "finance", "open-source"].into();
        for path in owned {
            if let Some(id) = self.group_at(path).map(|group| group.id) {
                self.set_member(Source::Group(id), 1, 50);
            }
        }
        for (path, user_id, level) in roles {
            if let Some(id) = self.group_at(path).map(|group| group.id) {
                self.set_member(Source::Group(id), user_id, level);
            }
        }
    }

    /// The application that GitLab makes for its own Web IDE, and lists with the others.
    fn add_web_ide(&mut self, since: Timestamp) {
        let id = self.next_id("application");
        self.applications.push(Application {
            id,
            uid: random_hex(32),
            name: "GitLab Web IDE".to_owned(),
            redirect_uri: "https://gitlab.example.com/-/ide/oauth_redirect".to_owned(),
            scopes: vec!["api".to_owned()],
            confidential: false,
            trusted: true,
            dynamic: false,
            secret_digest: digest(&random_hex(32)),
            secret_plain: None,
            created_at: since,
        });
    }
}

/// `http-client` becomes `Http Client`.
fn name_of(full_path: &str) -> String {
    let path = full_path.rsplit('/').next().unwrap_or_default();
    let words = path.split('-').map(|word| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect::<String>())
            .unwrap_or_default()
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_project_has_a_home_and_every_id_is_its_own() {
        let world = World::builtin();
        assert!(
            world
                .projects
                .iter()
                .all(|project| project.group_id.is_some() != project.owner_id.is_some())
        );
        let ids: BTreeSet<u64> = world.projects.iter().map(|project| project.id).collect();
        assert_eq!(ids.len(), world.projects.len());
        assert!(
            world
                .groups
                .iter()
                .all(|group| group.full_path.contains('/') == group.parent_id.is_some())
        );
    }

    #[test]
    fn the_first_apply_has_something_to_make() {
        let world = World::builtin();
        assert!(world.user_named("factory-droid").is_none());
        assert!(
            world
                .applications
                .iter()
                .all(|application| application.name == "GitLab Web IDE")
        );
        assert!(world.project_at("platform/services/basket").is_none());
        assert!(
            world
                .redirects
                .iter()
                .any(|redirect| redirect.old_path == "platform/services/basket")
        );
    }

    #[test]
    fn a_world_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep").join("world.json");
        let world = World::builtin();
        world.save(&path).unwrap();
        assert_eq!(World::load(&path).unwrap(), world);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
