//! What `doctor` does: looks at everything that an apply needs, one thing at a time, and changes nothing.
//!
//! What is missing here (a secret, a certificate file) is a finding and no error: the other checks go on without it.

use std::sync::Arc;

use jiff::Timestamp;

use super::clients::{self, Kept};
use super::context::Context;
use super::credentials::{CredentialName, Credentials, missing};
use super::error::Result;
use super::notification;
use super::secret_store::ConfiguredStore;
use super::ways;
use crate::config::{AdminSignIn, Driver, WayConfig};
use crate::doctor::{self, Check, FactorySide, GitlabSide, Status};
use crate::executor::SecretStore as _;
use crate::factory::{AssistedFactory, FactoryApi, FactoryRead, FactorySite};
use crate::gitlab::web::{Account, AdminSession, Droid, DroidSignIn, Totp, WebOptions};
use crate::gitlab::{AdminInspect, AdminRead, DroidSession, EndSession, GitlabApi, GitlabInspect};
use crate::http::{Client, ClientOptions, Credential, RetryPolicy, Side, Way};
use crate::model::{Diagnostic, SignIn};
use crate::notify::Hook;
use crate::observe::{Doors, LoadedSecret, Sources};
use crate::secrets::{Secret, SecretRef};
use crate::urls;

/// All checks, and those of the webhook where one is named.
pub(crate) async fn examine(context: &Context, hook: Option<&Result<Hook, Diagnostic>>) -> Vec<Check> {
    let (secrets, mut checks) = Secrets::find(context).await;
    let webhook = webhook(context, hook, &mut checks).await;
    let (gitlab, factory) = (Gitlab::connect(context, &secrets), Factory::connect(context, &secrets));
    let (of_gitlab, of_factory, of_webhook, state) = tokio::join!(
        async {
            match &gitlab {
                Ok(gitlab) => gitlab.check(context).await,
                Err(check) => vec![check.clone()],
            }
        },
        async {
            match &factory {
                Ok(factory) => factory.check(context).await,
                Err(check) => vec![check.clone()],
            }
        },
        async {
            match webhook {
                Some(Ok(client)) => doctor::webhook(&client, Timestamp::now()).await,
                Some(Err(check)) => vec![check],
                None => Vec::new(),
            }
        },
        doctor::state(
            context.records.store.as_ref(),
            context.records.of_sandbox,
            Timestamp::now()
        ),
    );
    checks.extend(of_gitlab);
    checks.extend(of_factory);
    checks.extend(of_webhook);
    checks.extend(state);
    checks.push(doctor::folder(&context.records.local, context.records.journal.path()));
    if let Ok(gitlab) = &gitlab {
        checks.extend(reads(context, &secrets, gitlab, factory.as_ref().ok(), &checks).await);
        gitlab.end().await;
    }
    checks
}

/// What the webhook is asked with; none where nothing is said of one.
async fn webhook(
    context: &Context,
    hook: Option<&Result<Hook, Diagnostic>>,
    checks: &mut Vec<Check>,
) -> Option<Result<Client, Check>> {
    let config = &context.config.notify;
    let wrong = |why: &Diagnostic| {
        let fix = why.hint.as_deref().unwrap_or("check what --notify names");
        Check::failure("notify.reachable", &why.message, fix)
    };
    Some(match hook {
        None if !config.is_special() => return None,
        None => Err(Check::skipped(
            "notify.way",
            "The way that [notify] names was not looked at: name the webhook with --notify, as drift does",
        )),
        Some(Err(why)) => Err(wrong(why)),
        Some(Ok(hook)) => match (Look { context, checks }).way(config).await {
            Some(way) => hook
                .client(notification::options(context, way))
                .map_err(|why| wrong(&why)),
            None => Err(no_way("notify")),
        },
    })
}

/// Reads all that `plan` reads, with what `plan` reads it with: what stops there stops here. A failure that a check has
/// told already is not told again.
async fn reads(
    context: &Context,
    secrets: &Secrets,
    gitlab: &Gitlab,
    factory: Option<&Factory>,
    checks: &[Check],
) -> Vec<Check> {
    const ID: &str = "plan.reads";
    let skipped = |why: &str| {
        let why = format!("What plan reads was not read: {why}, as told above");
        vec![Check::skipped(ID, why), doctor::roles_are_unknown()]
    };
    let (Some(factory), Some(loaded_secret), Some(kept)) = (factory, secrets.of_plan(context), &secrets.kept) else {
        return skipped("a secret is missing");
    };
    if checks.iter().any(|check| check.id == "gitlab.further") {
        return skipped("GitLab cannot be asked");
    }
    let Ok(record) = context.records.read_or_begin().await else {
        return skipped("the record cannot be");
    };
    let assisted = AssistedFactory::new(record.clone());
    // A session that has failed already, or was not to be opened, is not opened here either.
    let usable = |id: &str| {
        !checks
            .iter()
            .any(|check| check.id == id && matches!(check.status, Status::Failure | Status::Warning))
    };
    let admin = gitlab.admin.as_deref().filter(|_| usable("gitlab.admin_session"));
    let droid = gitlab.droid.as_ref().filter(|_| usable("gitlab.droid_sign_in"));
    let sources = Sources {
        gitlab: gitlab.api.as_ref(),
        admin: admin.map(|admin| admin as &dyn AdminRead),
        droid: match context.config.factory.driver {
            Driver::Api => None,
            Driver::Assisted => droid.map(|droid| droid as &dyn DroidSession),
        },
        factory: match &factory.api {
            Some(api) => api,
            None => &assisted,
        },
        loaded_secret,
        kept_key: kept.key.clone(),
        doors: gitlab.doors(context),
        sign_out: None,
    };
    let complete = admin.is_some() == gitlab.admin.is_some() && droid.is_some() == gitlab.droid.is_some();
    let read = doctor::reads(&sources, &context.config.desired, &record, complete).await;
    if checks
        .iter()
        .any(|check| check.status == Status::Failure && read.iter().any(|read| read.message == check.message))
    {
        return skipped("plan stops");
    }
    read
}

/// The credentials that could be had.
#[derive(Default)]
struct Secrets {
    gitlab_way: Option<Way>,
    factory_way: Option<Way>,
    gitlab_token: Option<Secret>,
    admin_password: Option<Secret>,
    admin_cookie: Option<Secret>,
    admin_totp: Option<Arc<Totp>>,
    droid_password: Option<Secret>,
    droid_totp: Option<Arc<Totp>>,
    /// The key of the droid's authenticator, where Setpoint keeps it; none where it could not be had.
    kept: Option<Kept>,
    factory_token: Option<Secret>,
    loaded: Option<LoadedSecret>,
}

impl Secrets {
    async fn find(context: &Context) -> (Self, Vec<Check>) {
        let config = &context.config;
        let mut checks = Vec::new();
        let (admin_password, admin_totp, admin_cookie) = match context.endpoints.admin_sign_in.as_ref() {
            Some(AdminSignIn::Account {
                password, totp_secret, ..
            }) => (Some(password), totp_secret.as_ref(), None),
            Some(AdminSignIn::Cookie(cookie)) => (None, None, Some(cookie)),
            None => (None, None, None),
        };
        let mut look = Look {
            context,
            checks: &mut checks,
        };
        let mut secrets = Self {
            gitlab_way: look.way(&context.endpoints.gitlab_way).await,
            factory_way: look.way(&context.endpoints.factory_way).await,
            gitlab_token: look.find(CredentialName::GitlabToken, Some(&config.gitlab.token)).await,
            admin_password: look.find(CredentialName::AdminPassword, admin_password).await,
            admin_cookie: look.find(CredentialName::AdminCookie, admin_cookie).await,
            admin_totp: look.totp(CredentialName::AdminTotp, admin_totp).await,
            droid_password: look
                .find(CredentialName::DroidPassword, config.droid.password.as_ref())
                .await,
            droid_totp: look
                .totp(CredentialName::DroidTotp, config.droid.totp_secret.as_ref())
                .await,
            factory_token: match config.factory.driver {
                Driver::Api => {
                    look.find(CredentialName::FactoryToken, config.factory.token.as_ref())
                        .await
                }
                Driver::Assisted => None,
            },
            kept: None,
            loaded: None,
        };
        let (stored, loaded) = stored(&context.endpoints.secret_store).await;
        secrets.loaded = loaded;
        let (authenticator, kept) = kept(&context.endpoints.authenticator_store).await;
        if let Some(totp) = kept.as_ref().and_then(|kept| kept.totp.clone()) {
            secrets.droid_totp = Some(totp);
        }
        secrets.kept = kept;
        match context.endpoints.credentials {
            Credentials::Configured { .. } => checks.extend(stored.into_iter().chain(authenticator)),
            #[cfg(feature = "sandbox")]
            Credentials::Sandbox => {
                checks = vec![Check::skipped(
                    "secrets",
                    "No reference was followed: the sandbox's own credentials stand in",
                )];
            }
        }
        (secrets, checks)
    }

    /// What `application.secret.load` gave, where everything else is there, too, without which `plan` does not begin.
    fn of_plan(&self, context: &Context) -> Option<LoadedSecret> {
        let config = &context.config;
        let admin = context.endpoints.admin_sign_in.as_ref();
        let admin_is_there = admin.is_none_or(|admin| match admin {
            AdminSignIn::Account { totp_secret, .. } => {
                self.admin_password.is_some() && (totp_secret.is_none() || self.admin_totp.is_some())
            }
            AdminSignIn::Cookie(_) => self.admin_cookie.is_some(),
        });
        let factory_is_there = config.factory.driver == Driver::Assisted || self.factory_token.is_some();
        let complete = self.gitlab_token.is_some() && admin_is_there && factory_is_there;
        self.loaded.clone().filter(|_| complete)
    }
}

struct Look<'a> {
    context: &'a Context,
    checks: &'a mut Vec<Check>,
}

impl Look<'_> {
    async fn find(&mut self, name: CredentialName, reference: Option<&SecretRef>) -> Option<Secret> {
        let reference = reference?;
        let to_a_person = match self.context.endpoints.credentials {
            Credentials::Configured { to_a_person } => to_a_person,
            #[cfg(feature = "sandbox")]
            sandbox @ Credentials::Sandbox => return sandbox.find(name, Some(reference)).await.ok().flatten(),
        };
        self.at(name.as_str(), reference, to_a_person).await
    }

    /// What a reference at a place of the configuration gives.
    async fn at(&mut self, place: &str, reference: &SecretRef, to_a_person: bool) -> Option<Secret> {
        let id = format!("secrets.{place}");
        let (check, secret) = match reference.resolve().await {
            Ok(Some(secret)) => (given(&id, place, reference), Some(secret)),
            Ok(None) => {
                let (message, fix) = missing(place, reference);
                let is_asked_for =
                    place == CredentialName::AdminCookie.as_str() && self.context.console.can_ask_secret();
                let check = if is_asked_for {
                    Check::skipped(&id, format!("{message}; on this terminal, apply asks for it"))
                } else {
                    Check::failure(&id, message, fix)
                };
                (check, None)
            }
            Err(error) => {
                let message = format!("`{place}` cannot be read: {}", error.told(to_a_person));
                (Check::failure(&id, message, error.hint), None)
            }
        };
        self.checks.push(check);
        secret
    }

    /// How requests get to a side; none where a secret for that is missing.
    async fn way(&mut self, config: &WayConfig) -> Option<Way> {
        let to_a_person = self.context.settings.to_a_person;
        let found = ways::follow(config, async |place: &str, reference: &SecretRef| {
            self.at(place, reference, to_a_person).await.ok_or(())
        });
        found.await.ok()
    }

    async fn totp(&mut self, name: CredentialName, reference: Option<&SecretRef>) -> Option<Arc<Totp>> {
        let secret = self.find(name, reference).await?;
        match Totp::new(&secret) {
            Ok(totp) => Some(Arc::new(totp)),
            Err(error) => {
                let id = format!("secrets.{}", name.as_str());
                self.checks.retain(|check| check.id != id);
                self.checks.push(Check::failure(
                    &id,
                    format!("`{}` cannot be used: {error}", name.as_str()),
                    "store the key that GitLab shows beside the QR code of the authenticator",
                ));
                None
            }
        }
    }
}

/// A secret that was found. One in a file that others may read is no secret.
fn given(id: &str, name: &str, reference: &SecretRef) -> Check {
    match reference.readers() {
        None => Check::ok(id, format!("`{name}` comes from {reference}")),
        Some(who) => Check::warning(
            id,
            format!("`{name}` comes from {reference}, which {who} may read"),
            "run `chmod 600` on the file, and consider what it held as known to others",
        ),
    }
}

/// The application's stored secret may be missing: then there is none yet.
async fn stored(store: &ConfiguredStore) -> (Option<Check>, Option<LoadedSecret>) {
    const ID: &str = "secrets.application.secret.load";
    let Some(load) = &store.config.load else {
        return (None, Some(LoadedSecret::NotConfigured));
    };
    match store.load().await {
        Ok(Some(secret)) => {
            let check = given(ID, "application.secret.load", load);
            (Some(check), Some(LoadedSecret::Secret(secret)))
        }
        Ok(None) => {
            let check = Check::ok(ID, "`application.secret.load` gives nothing: no secret is stored yet");
            (Some(check), Some(LoadedSecret::Nothing))
        }
        Err(why) => {
            let check = Check::failure(
                ID,
                format!("`application.secret.load` failed: {why}"),
                "see to it that it gives the secret, or nothing where there is none yet",
            );
            (Some(check), None)
        }
    }
}

/// The key of the droid's authenticator may be missing, too: then apply registers one.
async fn kept(store: &ConfiguredStore) -> (Option<Check>, Option<Kept>) {
    const ID: &str = "secrets.user.totp.load";
    const FIX: &str = "see to it that it gives the key, or nothing where there is none yet";
    let Some(load) = &store.config.load else {
        return (None, Some(Kept::default()));
    };
    let failed = |why: String| (Some(Check::failure(ID, why, FIX)), None);
    let text = match store.load().await {
        Ok(text) => text,
        Err(why) => return failed(format!("`user.totp.load` failed: {why}")),
    };
    let check = match text {
        Some(_) => given(ID, "user.totp.load", load),
        None => Check::ok(ID, "`user.totp.load` gives nothing: no authenticator is registered yet"),
    };
    match Kept::of(text.as_ref()) {
        Ok(kept) => (Some(check), Some(kept)),
        Err(failure) => failed(failure.to_string()),
    }
}

/// GitLab as it is asked here.
struct Gitlab {
    client: Client,
    api: Arc<GitlabApi>,
    web: WebOptions,
    has_token: bool,
    external: Option<GitlabApi>,
    as_the_public: Option<GitlabApi>,
    admin: Option<Arc<AdminSession>>,
    droid: Option<Droid>,
    /// Whether the key of the droid's authenticator is kept.
    is_kept: bool,
}

impl Gitlab {
    /// Puts the clients together. Nothing is sent yet.
    fn connect(context: &Context, secrets: &Secrets) -> Result<Self, Check> {
        let way = secrets.gitlab_way.as_ref().ok_or_else(|| no_way("gitlab"))?;
        let credential = match &secrets.gitlab_token {
            Some(token) => Credential::PrivateToken(token.clone()),
            None => Credential::None,
        };
        let client = Client::new(ClientOptions {
            credential,
            ..clients::gitlab_options(context, way)
        });
        let client = client.map_err(|error| unusable("gitlab.reachable", error))?;
        let api = Arc::new(GitlabApi::new(client.clone()));
        let web = clients::web_options(context, way, &api);
        let admin = admin(context, &web, secrets).map(Arc::new);
        Ok(Self {
            client,
            has_token: secrets.gitlab_token.is_some(),
            external: external(context, way),
            as_the_public: as_the_public(context, way),
            droid: droid(context, &web, secrets, admin.as_ref()),
            admin,
            is_kept: secrets.kept.as_ref().is_some_and(|kept| kept.totp.is_some()),
            api,
            web,
        })
    }

    async fn check(&self, context: &Context) -> Vec<Check> {
        // By password only: an impersonation would be seen in GitLab's audit log, and its page tells as much.
        let by_password = context.config.droid.sign_in == Some(SignIn::Password);
        let side = GitlabSide {
            config: &context.config,
            url: &context.endpoints.gitlab,
            client: &self.client,
            ca_file: context.endpoints.gitlab_way.ca_file.as_deref(),
            read: self.api.as_ref(),
            inspect: self.api.as_ref(),
            doors: self.doors(context),
            has_token: self.has_token,
            external: self.external.as_ref().map(|api| api as &dyn GitlabInspect),
            as_the_public: self.as_the_public.as_ref().map(|api| api as &dyn GitlabInspect),
            admin: self.admin.as_deref().map(|admin| admin as &dyn AdminInspect),
            droid: self
                .droid
                .as_ref()
                .filter(|_| by_password)
                .map(|droid| droid as &dyn DroidSession),
            clock: &Timestamp::now,
        };
        side.check().await
    }

    fn doors(&self, context: &Context) -> Doors<'_> {
        Doors {
            keeper: self.web.doorkeeper.as_ref(),
            admin: clients::admin_door(context),
            droid: clients::droid_door(context, self.is_kept),
        }
    }

    async fn end(&self) {
        let droid = self.droid.as_ref().map(|droid| droid as &dyn EndSession);
        let admin = self.admin.as_deref().map(|admin| admin as &dyn EndSession);
        for session in [droid, admin].into_iter().flatten() {
            if let Err(error) = session.end().await {
                tracing::warn!(%error, "a web session could not be signed out");
            }
        }
    }
}

/// GitLab as a browser reaches it, where that is elsewhere. It gets no credential.
fn external(context: &Context, way: &Way) -> Option<GitlabApi> {
    let (own, browser) = (&context.endpoints.gitlab, &context.endpoints.gitlab_in_browser);
    if urls::same_origin(own, browser) && urls::root(own) == urls::root(browser) {
        return None;
    }
    let options = ClientOptions {
        base_url: browser.clone(),
        ..clients::gitlab_options(context, &way.elsewhere())
    };
    Client::new(options).ok().map(GitlabApi::new)
}

/// The same as a stranger sees it, who has no certificates but those that everybody has.
fn as_the_public(context: &Context, way: &Way) -> Option<GitlabApi> {
    let external = &context.config.gitlab.external_url;
    if context.records.of_sandbox || external.scheme() != "https" {
        return None;
    }
    let options = ClientOptions {
        base_url: external.clone(),
        as_the_public: true,
        retry: RetryPolicy {
            attempts: 1,
            ..RetryPolicy::default()
        },
        ..clients::gitlab_options(context, &way.elsewhere())
    };
    Client::new(options).ok().map(GitlabApi::new)
}

fn admin(context: &Context, web: &WebOptions, secrets: &Secrets) -> Option<AdminSession> {
    let options = web.clone();
    Some(match context.endpoints.admin_sign_in.as_ref()? {
        AdminSignIn::Account { username, provider, .. } => {
            let account = Account {
                username: username.clone(),
                password: secrets.admin_password.clone()?,
                totp: secrets.admin_totp.clone(),
                provider: provider.clone(),
            };
            AdminSession::new(options, account)
        }
        AdminSignIn::Cookie(_) => AdminSession::with_cookie(options, secrets.admin_cookie.clone()?),
    })
}

fn droid(context: &Context, web: &WebOptions, secrets: &Secrets, admin: Option<&Arc<AdminSession>>) -> Option<Droid> {
    let how = match context.config.droid.sign_in? {
        SignIn::Password => DroidSignIn::Password {
            password: secrets.droid_password.clone()?,
            totp: secrets.droid_totp.clone(),
            provider: context.endpoints.droid_provider.clone(),
        },
        SignIn::Impersonate => DroidSignIn::Impersonate(Arc::clone(admin?)),
    };
    Some(Droid::new(web.clone(), how))
}

/// Factory as it is asked here.
struct Factory {
    /// The web application's, without a key.
    app: Client,
    site: FactorySite,
    api: Option<FactoryApi>,
}

impl Factory {
    /// Puts the clients together. Nothing is sent yet.
    fn connect(context: &Context, secrets: &Secrets) -> Result<Self, Check> {
        let unusable = |error| unusable("factory.reachable", error);
        let way = secrets.factory_way.as_ref().ok_or_else(|| no_way("factory"))?;
        let app = Client::new(clients::factory_options(context, way, &context.endpoints.factory_app));
        let app = app.map_err(unusable)?;
        let api = secrets
            .factory_token
            .clone()
            .map(|token| clients::factory_client(context, way, token));
        Ok(Self {
            site: FactorySite::new(app.clone()),
            app,
            api: api.transpose().map_err(unusable)?,
        })
    }

    async fn check(&self, context: &Context) -> Vec<Check> {
        let side = FactorySide {
            config: &context.config,
            api_url: &context.endpoints.factory_api,
            app_url: &context.endpoints.factory_app,
            client: self.api.as_ref().map_or(&self.app, FactoryApi::client),
            now: Timestamp::now(),
            site: &self.site,
            api: self.api.as_ref().map(|api| api as &dyn FactoryRead),
        };
        side.check().await
    }
}

/// What would not get there is not sent.
fn no_way(section: &str) -> Check {
    Check::skipped(
        &format!("{section}.reachable"),
        format!("Nothing was asked: a secret that [{section}] names for the way there is missing, as told above"),
    )
}

fn unusable(id: &str, error: crate::http::Error) -> Check {
    let fix = error.hint.unwrap_or_else(|| match error.side {
        Side::Gitlab => "check [gitlab]".to_owned(),
        Side::Factory | Side::Other => "check [factory]".to_owned(),
    });
    Check::failure(id, error.message, fix)
}
