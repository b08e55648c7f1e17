//! The two sides as a command may use them: [`Readers`] for those that only look, and [`Writers`], which are made of
//! readers once there is a plan to carry out.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::context::Context;
use super::credentials::{CredentialName, absent};
use super::doorkeeper::RememberingDoorkeeper;
use super::error::{Failure, Result};
use super::secret_store::ConfiguredStore;
use super::ways;
use crate::config::{AdminSignIn, Driver};
use crate::executor::{Effects, Operator, SecretStore as _};
use crate::factory::{AssistedFactory, FactoryApi, FactoryRead, FactoryWrite};
use crate::gitlab::web::{
    Account, AdminSession, Droid, DroidSignIn, SystemClock, Totp, WebOptions, authorize_url_for_a_person,
};
use crate::gitlab::{
    AdminRead, AdminWrite, Approval, Authenticator, Door, DroidSession, EndSession, GitlabApi, GitlabInspect as _,
    KeyPlace, OwnToken,
};
use crate::http::{self, Client, ClientOptions, Credential, Way};
use crate::model::{Operation, Plan, RecordedState, SignIn};
use crate::observe::{Doors, LoadedSecret, Sources};
use crate::secrets::{Secret, SecretRef};
use crate::urls;

/// What becomes of web sessions while both sides are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sessions {
    /// They are opened where needed, and stay open for what follows.
    Stay,
    /// They are opened where needed, and signed out beside the rest.
    End,
    /// None is opened: what only they show is taken from the record.
    Unopened,
}

/// What can look at both sides.
pub(crate) struct Readers {
    sessions: Sessions,
    gitlab: Arc<GitlabApi>,
    web: WebOptions,
    admin: Option<Arc<AdminSession>>,
    droid: Option<Droid>,
    factory: Factory,
    loaded_secret: LoadedSecret,
    kept: Kept,
    admin_door: Option<Door>,
    droid_door: Option<Door>,
}

enum Factory {
    Api(FactoryApi),
    Assisted(Box<AssistedFactory>),
}

impl Readers {
    /// Puts the clients together. Nothing is sent yet.
    pub(crate) async fn connect(context: &Context, record: &RecordedState, sessions: Sessions) -> Result<Self> {
        let config = &context.config;
        let token = context
            .endpoints
            .credentials
            .need(CredentialName::GitlabToken, &config.gitlab.token)
            .await?;
        let way = ways::find(&context.endpoints.gitlab_way, context.settings.to_a_person).await?;
        let gitlab = Arc::new(GitlabApi::new(Client::new(ClientOptions {
            credential: Credential::PrivateToken(token),
            ..gitlab_options(context, &way)
        })?));
        let web = web_options(context, &way, &gitlab);
        // Whoever only looks without sessions needs none of their passwords.
        let opens = sessions != Sessions::Unopened;
        let admin = if opens {
            admin(context, &web, sessions).await?
        } else {
            None
        };
        let kept = kept(context).await?;
        let (factory, droid) = match config.factory.driver {
            Driver::Api => (Factory::Api(factory_api(context).await?), None),
            // Where Factory cannot be asked, the droid's own page in GitLab is the evidence.
            Driver::Assisted if !opens => (Factory::Assisted(Box::new(AssistedFactory::new(record.clone()))), None),
            Driver::Assisted => {
                let password = droid_password(context, false).await?;
                let droid = droid(context, &web, admin.as_ref(), password.as_ref(), &kept).await?;
                (Factory::Assisted(Box::new(AssistedFactory::new(record.clone()))), droid)
            }
        };
        Ok(Self {
            sessions,
            gitlab,
            web,
            admin,
            droid,
            factory,
            loaded_secret: loaded_secret(context).await?,
            admin_door: admin_door(context),
            droid_door: droid_door(context, kept.totp.is_some()),
            kept,
        })
    }

    /// The reading side of everything.
    pub(crate) fn sources(&self) -> Sources<'_> {
        let admin = self.admin.as_deref();
        let droid = self.droid.as_ref();
        let has_sessions = admin.is_some() || droid.is_some();
        Sources {
            gitlab: self.gitlab.as_ref(),
            admin: admin.map(|admin| admin as &dyn AdminRead),
            droid: droid.map(|droid| droid as &dyn DroidSession),
            sign_out: (self.sessions == Sessions::End && has_sessions).then_some(self as &dyn EndSession),
            factory: self.factory_read(),
            loaded_secret: self.loaded_secret.clone(),
            kept_key: self.kept.key.clone(),
            doors: Doors {
                keeper: self.web.doorkeeper.as_ref(),
                admin: self.admin_door.clone(),
                droid: self.droid_door.clone(),
            },
        }
    }

    fn factory_read(&self) -> &dyn FactoryRead {
        match &self.factory {
            Factory::Api(api) => api,
            Factory::Assisted(assisted) => assisted.as_ref(),
        }
    }

    /// GitLab's administrator token, as far as GitLab says anything about it.
    pub(crate) async fn own_token(&self) -> http::Result<Option<OwnToken>> {
        self.gitlab.own_token().await
    }

    /// Signs out. What fails here changes nothing about what was done, so it is only logged.
    pub(crate) async fn sign_out(&self) {
        if let Some(droid) = &self.droid
            && let Err(error) = droid.end().await
        {
            tracing::warn!(%error, "the droid could not be signed out");
        }
        if let Some(admin) = &self.admin
            && let Err(error) = admin.end().await
        {
            tracing::warn!(%error, "the administrator could not be signed out");
        }
    }
}

#[async_trait]
impl EndSession for Readers {
    async fn end(&self) -> http::Result<()> {
        self.sign_out().await;
        Ok(())
    }
}

/// What can change both sides.
pub(crate) struct Writers {
    readers: Readers,
    secret_store: ConfiguredStore,
    authenticator_store: ConfiguredStore,
    droid_password: Option<Secret>,
    approve_at: ApproveUrl,
}

/// Checks an authorize URL, and gives it as a person's browser opens it.
type ApproveUrl = Box<dyn Fn(&str, &Approval<'_>) -> http::Result<url::Url> + Send + Sync>;

impl Writers {
    /// Adds what this plan needs to be carried out. A missing credential is found here, before the first write.
    pub(crate) async fn upgrade(mut readers: Readers, context: &Context, plan: &Plan) -> Result<Self> {
        match Self::droid(&readers, context, plan).await {
            Ok((password, droid)) => {
                readers.droid = readers.droid.or(droid);
                let url = context.endpoints.gitlab.clone();
                let external_url = context.config.gitlab.external_url.clone();
                let in_browser = context.endpoints.gitlab_in_browser.clone();
                Ok(Self {
                    approve_at: Box::new(move |given, approval| {
                        authorize_url_for_a_person(given, &url, &external_url, &in_browser, approval)
                    }),
                    readers,
                    secret_store: context.endpoints.secret_store.clone(),
                    authenticator_store: context.endpoints.authenticator_store.clone(),
                    // A directory's password is not given to GitLab to keep.
                    droid_password: password.filter(|_| context.endpoints.droid_provider.is_none()),
                })
            }
            Err(failure) => {
                readers.sign_out().await;
                Err(failure)
            }
        }
    }

    /// The droid's password where it is needed or there is one, and its session where there is a way.
    async fn droid(readers: &Readers, context: &Context, plan: &Plan) -> Result<(Option<Secret>, Option<Droid>)> {
        let mut operations = plan.changes.iter().flat_map(|change| &change.operations);
        let needs_password = operations.any(Operation::needs_droid_password);
        let password = droid_password(context, needs_password).await?;
        let droid = if readers.droid.is_some() {
            None
        } else {
            let (web, admin) = (&readers.web, readers.admin.as_ref());
            droid(context, web, admin, password.as_ref(), &readers.kept).await?
        };
        Ok((password, droid))
    }

    /// Tries a secret's store where the plan makes such a secret: a renewal cannot be undone.
    pub(crate) async fn try_store(&self, plan: &Plan) -> Result<()> {
        if plan.possible_writes().any(Operation::makes_key) {
            self.authenticator_store.probe().await.map_err(|why| {
                Failure::new(why)
                    .context("the key of the droid's authenticator could not be kept, so nothing was changed")
                    .hint("see to it that `user.totp.save` works, then run the same command again")
            })?;
        }
        if !plan.possible_writes().any(Operation::makes_secret) {
            return Ok(());
        }
        self.secret_store.probe().await.map_err(|why| {
            Failure::new(why)
                .context("the application's new secret could not be kept, so nothing was changed")
                .hint("see to it that `application.secret.save` works, then run the same command again")
        })
    }

    /// What the executor acts through.
    pub(crate) fn effects<'a>(&'a self, operator: &'a dyn Operator) -> Effects<'a> {
        let readers = &self.readers;
        Effects {
            gitlab_read: readers.gitlab.as_ref(),
            gitlab: readers.gitlab.as_ref(),
            admin: readers.admin.as_deref().map(|admin| admin as &dyn AdminWrite),
            droid: readers.droid.as_ref().map(|droid| droid as &dyn DroidSession),
            factory_read: readers.factory_read(),
            factory: match &readers.factory {
                Factory::Api(api) => Some(api as &dyn FactoryWrite),
                Factory::Assisted(_) => None,
            },
            secret_store: &self.secret_store,
            authenticator_store: &self.authenticator_store,
            droid_password: self.droid_password.clone(),
            operator,
            approve_at: &self.approve_at,
            clock: &Timestamp::now,
        }
    }

    pub(crate) async fn sign_out(&self) {
        self.readers.sign_out().await;
    }
}

pub(crate) fn gitlab_options(context: &Context, way: &Way) -> ClientOptions {
    ClientOptions {
        way: way.clone(),
        parallelism: Arc::clone(&context.parallelism),
        counter: Arc::clone(&context.counter),
        onlooker: context.onlooker.clone(),
        ..ClientOptions::new(&crate::gitlab::PEER, context.endpoints.gitlab.clone())
    }
}

/// The administrator's sign-in as it is configured.
pub(crate) fn admin_door(context: &Context) -> Option<Door> {
    match context.endpoints.admin_sign_in.as_ref()? {
        AdminSignIn::Account {
            username,
            totp_secret,
            provider,
            ..
        } => Some(Door {
            username: username.clone(),
            table: "gitlab.admin_session",
            key_place: KeyPlace::Secret,
            has_totp: totp_secret.is_some(),
            by_directory: provider.is_some(),
        }),
        // A person has signed in already.
        AdminSignIn::Cookie(_) => None,
    }
}

/// The droid's sign-in by password, where it is configured; and whether the key of its authenticator is kept.
pub(crate) fn droid_door(context: &Context, is_kept: bool) -> Option<Door> {
    let config = &context.config;
    (config.droid.sign_in == Some(SignIn::Password)).then(|| Door {
        username: config.desired.user.fields.username.to_string(),
        table: "user",
        key_place: droid_key_place(context),
        has_totp: config.droid.totp_secret.is_some() || is_kept,
        by_directory: context.endpoints.droid_provider.is_some(),
    })
}

fn droid_key_place(context: &Context) -> KeyPlace {
    match context.config.droid.totp {
        Some(_) => KeyPlace::Kept,
        None => KeyPlace::Secret,
    }
}

/// What the web sessions of a run are made of: one doorkeeper for all of them.
pub(crate) fn web_options(context: &Context, way: &Way, gitlab: &Arc<GitlabApi>) -> WebOptions {
    WebOptions {
        doorkeeper: Arc::new(RememberingDoorkeeper::new(context, Arc::clone(gitlab))),
        client: gitlab_options(context, way),
        external_url: context.config.gitlab.external_url.clone(),
        clock: Arc::new(SystemClock),
        droid_key_place: droid_key_place(context),
    }
}

async fn totp(context: &Context, name: CredentialName, reference: Option<&SecretRef>) -> Result<Option<Arc<Totp>>> {
    let Some(secret) = context.endpoints.credentials.find(name, reference).await? else {
        return Ok(None);
    };
    let totp = Totp::new(&secret)
        .map_err(|error| Failure::of(&error).context(format!("`{}` cannot be used", name.as_str())))?;
    Ok(Some(Arc::new(totp)))
}

async fn admin(context: &Context, web: &WebOptions, sessions: Sessions) -> Result<Option<Arc<AdminSession>>> {
    let Some(sign_in) = &context.endpoints.admin_sign_in else {
        return Ok(None);
    };
    let credentials = context.endpoints.credentials;
    let options = web.clone();
    let session = match sign_in {
        AdminSignIn::Account {
            username,
            password,
            totp_secret,
            provider,
        } => {
            let account = Account {
                username: username.clone(),
                password: credentials.need(CredentialName::AdminPassword, password).await?,
                totp: totp(context, CredentialName::AdminTotp, totp_secret.as_ref()).await?,
                provider: provider.clone(),
            };
            AdminSession::new(options, account)
        }
        AdminSignIn::Cookie(reference) => {
            let mut cookie = credentials.find(CredentialName::AdminCookie, Some(reference)).await?;
            // Whoever only looks asks nobody: a plan on a terminal is made as one in a job.
            if cookie.is_none() && sessions == Sessions::Stay {
                cookie = asked_cookie(context, reference).await?;
            }
            let cookie = cookie.ok_or_else(|| absent(CredentialName::AdminCookie.as_str(), reference))?;
            AdminSession::with_cookie(options, cookie)
        }
    };
    Ok(Some(Arc::new(session)))
}

/// The cookie as a person types it, where somebody can be asked: once in a run, and kept nowhere.
async fn asked_cookie(context: &Context, reference: &SecretRef) -> Result<Option<Secret>> {
    if !context.console.can_ask_secret() {
        return Ok(None);
    }
    let asked = context.asked_cookie.get_or_try_init(|| async {
        let question = format!(
            "The cookie of an administrator's session in {} is needed, and {reference} does not give it. Paste the value of \
             `_gitlab_session` from the browser in which that session is open. It is not shown, and kept nowhere.",
            urls::bare(&context.endpoints.gitlab_in_browser)
        );
        context.console.ask_secret(&question).await
    });
    asked.await.cloned()
}

async fn droid_password(context: &Context, needed: bool) -> Result<Option<Secret>> {
    match &context.config.droid.password {
        Some(reference) if needed => context
            .endpoints
            .credentials
            .need(CredentialName::DroidPassword, reference)
            .await
            .map(Some),
        reference => {
            context
                .endpoints
                .credentials
                .find(CredentialName::DroidPassword, reference.as_ref())
                .await
        }
    }
}

/// The key of the droid's authenticator, where Setpoint keeps it.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) key: LoadedSecret,
    pub(crate) totp: Option<Arc<Totp>>,
}

impl Kept {
    /// What `user.totp.load` gave.
    pub(crate) fn of(text: Option<&Secret>) -> Result<Self> {
        let Some(text) = text else {
            return Ok(Self {
                key: LoadedSecret::Nothing,
                totp: None,
            });
        };
        let unusable = |error| {
            Failure::of(&error)
                .context("`user.totp.load` gives no key of an authenticator on its first line")
                .hint("put the key there, or nothing where there is none yet")
        };
        let Authenticator { key, .. } = Authenticator::parse(text).map_err(unusable)?;
        Ok(Self {
            totp: Some(Arc::new(Totp::new(&key).map_err(unusable)?)),
            key: LoadedSecret::Secret(key),
        })
    }
}

async fn kept(context: &Context) -> Result<Kept> {
    if context.config.droid.totp.is_none() {
        return Ok(Kept::default());
    }
    match context.endpoints.authenticator_store.load().await {
        Ok(text) => Kept::of(text.as_ref()),
        Err(why) => Err(Failure::new(why).context("`user.totp.load` failed")),
    }
}

async fn droid(
    context: &Context,
    web: &WebOptions,
    admin: Option<&Arc<AdminSession>>,
    password: Option<&Secret>,
    kept: &Kept,
) -> Result<Option<Droid>> {
    let how = match (context.config.droid.sign_in, password, admin) {
        (Some(SignIn::Password), Some(password), _) => DroidSignIn::Password {
            password: password.clone(),
            totp: if kept.totp.is_some() {
                kept.totp.clone()
            } else {
                let reference = context.config.droid.totp_secret.as_ref();
                totp(context, CredentialName::DroidTotp, reference).await?
            },
            provider: context.endpoints.droid_provider.clone(),
        },
        (Some(SignIn::Impersonate), _, Some(admin)) => DroidSignIn::Impersonate(Arc::clone(admin)),
        _ => return Ok(None),
    };
    Ok(Some(Droid::new(web.clone(), how)))
}

async fn factory_api(context: &Context) -> Result<FactoryApi> {
    let factory = &context.config.factory;
    let Some(reference) = &factory.token else {
        return Err(Failure::new(
            "`factory.token` is missing, which the driver \"api\" needs",
        ));
    };
    let token = context
        .endpoints
        .credentials
        .need(CredentialName::FactoryToken, reference)
        .await?;
    let way = ways::find(&context.endpoints.factory_way, context.settings.to_a_person).await?;
    Ok(factory_client(context, &way, token)?)
}

pub(crate) fn factory_client(context: &Context, way: &Way, token: Secret) -> http::Result<FactoryApi> {
    let api = Client::new(ClientOptions {
        credential: Credential::Bearer(token),
        ..factory_options(context, way, &context.endpoints.factory_api)
    })?;
    // Redirect URIs of older organizations lie at the app's host; the key does not go there.
    let app = Client::new(factory_options(context, way, &context.endpoints.factory_app))?;
    let factory = FactoryApi::new(api, app);
    Ok(match context.endpoints.factory_redirect.clone() {
        Some((uri, at)) => factory.with_redirect(uri, at),
        None => factory,
    })
}

pub(crate) fn factory_options(context: &Context, way: &Way, url: &url::Url) -> ClientOptions {
    let own = urls::same_origin(url, &context.endpoints.factory_api);
    ClientOptions {
        way: if own { way.clone() } else { way.elsewhere() },
        parallelism: Arc::clone(&context.parallelism),
        counter: Arc::clone(&context.counter),
        onlooker: context.onlooker.clone(),
        ..ClientOptions::new(&crate::factory::PEER, url.clone())
    }
}

async fn loaded_secret(context: &Context) -> Result<LoadedSecret> {
    if context.config.secret.load.is_none() {
        return Ok(LoadedSecret::NotConfigured);
    }
    match context.endpoints.secret_store.load().await {
        Ok(Some(secret)) => Ok(LoadedSecret::Secret(secret)),
        Ok(None) => Ok(LoadedSecret::Nothing),
        Err(why) => Err(Failure::new(why).context("`application.secret.load` failed")),
    }
}
