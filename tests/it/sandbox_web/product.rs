//! The product's own web sessions against these pages: the one meets the other here first.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use setpoint::gitlab::web::{Account, AdminSession, Clock, Droid, DroidSignIn, Totp, WebOptions};
use setpoint::gitlab::{AdminRead as _, AdminWrite as _, Approval, DroidSession as _, EndSession as _};
use setpoint::http::ClientOptions;
use setpoint::model::{ApplicationAttribute, ApplicationEdit, ApplicationId, ApplicationUid};
use setpoint::sandbox::Sandbox;
use setpoint::secrets::Secret;
use url::Url;

use super::browser::*;
use crate::common::doorkeeper;

/// A clock that sleeps by moving the clock of the sandbox.
struct Shared(Mutex<Option<Arc<Sandbox>>>);

impl Shared {
    fn with<R>(&self, f: impl FnOnce(&Sandbox) -> R) -> R {
        f(self.0.lock().unwrap().as_ref().unwrap())
    }
}

#[async_trait::async_trait]
impl Clock for Shared {
    fn now(&self) -> u64 {
        self.with(|sandbox| sandbox.with_world(|world| world.now().as_second().try_into().unwrap()))
    }

    async fn sleep(&self, duration: Duration) {
        let seconds = i64::try_from(duration.as_secs()).unwrap() + 1;
        self.with(|sandbox| sandbox.with_world(|world| world.switches.clock_offset_seconds += seconds));
    }
}

struct Scene {
    sandbox: Arc<Sandbox>,
    clock: Arc<Shared>,
}

impl Scene {
    async fn new(switches: &[&str]) -> Self {
        let sandbox = Arc::new(sandbox(switches).await);
        let clock = Arc::new(Shared(Mutex::new(Some(Arc::clone(&sandbox)))));
        Self { sandbox, clock }
    }

    fn options(&self) -> WebOptions {
        let url = Url::parse(&self.sandbox.gitlab_url()).unwrap();
        WebOptions {
            client: ClientOptions::new(&setpoint::gitlab::PEER, url.clone()),
            doorkeeper: doorkeeper(&url),
            external_url: url,
            clock: self.clock.clone(),
            droid_key_place: setpoint::gitlab::KeyPlace::Secret,
        }
    }

    fn totp(&self, username: &str) -> Arc<Totp> {
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        self.sandbox.with_world(|world| {
            let id = world.user_named(username).unwrap().id;
            world.user_mut(id).unwrap().totp_secret = Some(secret.to_owned());
        });
        Arc::new(Totp::new(&Secret::new(secret)).unwrap())
    }

    fn admin(&self, totp: Option<Arc<Totp>>) -> AdminSession {
        let keys = self.sandbox.credentials();
        let account = Account {
            username: keys.root_username.to_owned(),
            password: Secret::new(keys.root_password),
            totp,
            provider: None,
        };
        AdminSession::new(self.options(), account)
    }

    /// Factory's authorize URL, for settings that are saved first.
    async fn authorize_url(&self) -> String {
        let (_, saved) = super::factory_client::save(&self.sandbox).await;
        assert_eq!(saved["integration"]["status"], json!("configured"));
        super::factory_client::start(&self.sandbox).await
    }

    fn redirect_uris(&self) -> BTreeSet<String> {
        [format!(
            "{}/api/integrations/redirect/gitlab-sh/callback",
            self.sandbox.factory_api_url()
        )]
        .into()
    }

    async fn authorize(&self, droid: &Droid) {
        let url = self.authorize_url().await;
        let application = self
            .sandbox
            .with_world(|world| world.application_by_uid("droid-application").unwrap().clone());
        let approval = Approval {
            application: &ApplicationUid(application.uid),
            scopes: &application.scopes.into_iter().collect(),
            redirect_uris: &self.redirect_uris(),
        };
        let callback = droid.authorize(&url, &approval, "droid").await.unwrap();
        assert_eq!(Browser::new(String::new()).get(callback.as_str()).await.status, 200);
        let connected = self.sandbox.with_world(|world| {
            world
                .factory
                .integration
                .as_ref()
                .and_then(|integration| integration.authorization.clone())
                .unwrap()
        });
        assert_eq!(connected.username, "droid");
    }

    async fn end(self) {
        self.clock.0.lock().unwrap().take();
        Arc::try_unwrap(self.sandbox).ok().unwrap().stop().await.unwrap();
    }
}

#[tokio::test]
async fn the_administrator_edits_in_place() {
    for version in ["gitlab_version=17.11.0-ee", "gitlab_version=19.1.0-ee"] {
        let scene = Scene::new(&[version, "admin_mode=true", "relative_url_root=/gitlab"]).await;
        let totp = scene.totp("root");
        let admin = scene.admin(Some(totp));
        let id = scene
            .sandbox
            .with_world(|world| world.application_by_uid("droid-application").unwrap().id);
        let seen = admin.application(ApplicationId(id)).await.unwrap();
        assert_eq!(seen.name, "Factory <Integration>");
        let edit = ApplicationEdit::from_iter([
            ApplicationAttribute::Trusted(false),
            ApplicationAttribute::Name("New".to_owned()),
        ]);
        admin.edit_application(ApplicationId(id), &edit).await.unwrap();
        let kept = scene.sandbox.with_world(|world| world.application(id).unwrap().clone());
        assert_eq!(
            (kept.name.as_str(), kept.trusted, kept.scopes.join(" ").as_str()),
            ("New", false, SCOPES)
        );
        admin.end().await.unwrap();
        assert!(
            scene
                .sandbox
                .with_world(|world| world.sessions.iter().all(|session| session.user_id.is_none()))
        );
        scene.end().await;
    }
}

#[tokio::test]
async fn the_droid_authorizes_by_password() {
    for trusted in [true, false] {
        let scene = Scene::new(&[]).await;
        scene.sandbox.with_world(|world| {
            world
                .applications
                .iter_mut()
                .for_each(|application| application.trusted = trusted);
        });
        let password = Secret::new(scene.sandbox.credentials().droid_password);
        let totp = Some(scene.totp("droid"));
        let droid = Droid::new(
            scene.options(),
            DroidSignIn::Password {
                password,
                totp,
                provider: None,
            },
        );
        scene.authorize(&droid).await;
        let evidence = droid.evidence("droid").await.unwrap();
        assert_eq!(evidence.authorized.len(), 1, "{evidence:?}");
        droid.end().await.unwrap();
        scene.end().await;
    }
}

#[tokio::test]
async fn the_droid_authorizes_by_impersonation() {
    let scene = Scene::new(&["admin_mode=true"]).await;
    let admin = Arc::new(scene.admin(None));
    let droid = Droid::new(scene.options(), DroidSignIn::Impersonate(Arc::clone(&admin)));
    scene.authorize(&droid).await;
    assert!(
        scene
            .sandbox
            .with_world(|world| world.sessions.iter().all(|session| session.impersonator_id.is_none()))
    );
    droid.end().await.unwrap();
    admin.end().await.unwrap();
    scene.end().await;
}
