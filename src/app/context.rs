//! What a command works with, put together from the configuration and the flags: the state store, the credentials, the
//! request counter, and with `--sandbox` the embedded GitLab and Factory in place of the real ones.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::credentials::{CredentialName, Credentials};
use super::error::{Failure, Result};
use super::interrupts::Interrupts;
use crate::cli::exit::Exit;
use crate::cli::globals::Globals;
use crate::config::{self, Config, HttpStateConfig, StateConfig};
use crate::http::{Client, ClientOptions, Counter, Credential, Side};
use crate::model::{Command, Policy, RecordedState};
use crate::render::{Environment, Requests, SideRequests};
use crate::secrets::declare_public;
use crate::state::{self, Actor, HttpBackend, HttpStore, Journal, LocalStore, StateError, StateStore};

/// Reads the configuration, or says all that is wrong with it.
pub(crate) fn load(path: &Path) -> Result<Config> {
    let config = config::load(path)?;
    declare_public(config.public_words());
    Ok(config)
}

/// Whether `--sandbox` was given.
pub(crate) fn is_sandbox(globals: &Globals) -> bool {
    #[cfg(feature = "sandbox")]
    return globals.sandbox.is_some();
    #[cfg(not(feature = "sandbox"))]
    {
        let _ = globals;
        false
    }
}

/// The file that keeps the sandbox's world.
#[cfg(feature = "sandbox")]
pub(crate) fn world_file(globals: &Globals) -> PathBuf {
    match &globals.sandbox {
        Some(Some(file)) => file.clone(),
        Some(None) | None => beside(&globals.config, ".setpoint/sandbox.json"),
    }
}

/// A path beside the configuration file.
pub(crate) fn beside(config: &Path, relative: &str) -> PathBuf {
    config.parent().unwrap_or(Path::new("")).join(relative)
}

/// The store of the state record. With `--sandbox` it is a local file in any case.
pub(crate) async fn open_store(config: &Config, globals: &Globals) -> Result<Box<dyn StateStore>> {
    match &config.state {
        StateConfig::File(path) => Ok(Box::new(LocalStore::new(path))),
        StateConfig::Http(_) if is_sandbox(globals) => {
            Ok(Box::new(LocalStore::new(beside(&config.file, ".setpoint/state.json"))))
        }
        StateConfig::Http(http) => open_http_store(config, http, globals).await,
    }
}

async fn open_http_store(config: &Config, http: &HttpStateConfig, globals: &Globals) -> Result<Box<dyn StateStore>> {
    let credential = match (&http.username, &http.password) {
        (Some(username), Some(reference)) => Credential::Basic {
            username: username.clone(),
            password: Credentials::Configured
                .need(CredentialName::StatePassword, reference)
                .await?,
        },
        _ => Credential::None,
    };
    let client = Client::new(ClientOptions {
        credential,
        ca_file: config.gitlab.ca_file.clone(),
        parallelism: Arc::new(Semaphore::new(globals.parallelism.get())),
        ..ClientOptions::new(Side::Other, origin_of(&http.url))
    })?;
    let backend = HttpBackend {
        url: http.url.clone(),
        lock_url: http.lock_url.clone(),
        unlock_url: http.unlock_url.clone(),
        lock_method: http.lock_method.clone(),
        unlock_method: http.unlock_method.clone(),
        aside: local_record(config),
    };
    Ok(Box::new(HttpStore::new(client, backend)?))
}

fn origin_of(url: &url::Url) -> url::Url {
    let mut origin = url.clone();
    origin.set_path("/");
    origin.set_query(None);
    origin
}

/// The path of the local record, or where it would be: what is kept of a record that is elsewhere begins with it.
pub(crate) fn local_record(config: &Config) -> PathBuf {
    match &config.state {
        StateConfig::File(path) => path.clone(),
        StateConfig::Http(_) => beside(&config.file, ".setpoint/state.json"),
    }
}

/// The journal: beside a local record, else beside the configuration.
pub(crate) fn journal(config: &Config) -> Journal {
    match &config.state {
        StateConfig::File(path) => Journal::beside(path),
        StateConfig::Http(_) => Journal::new(beside(&config.file, ".setpoint/journal.jsonl")),
    }
}

/// What a command works with.
pub(crate) struct Context {
    /// The flags of all commands.
    pub(crate) globals: Globals,
    /// The configuration, with the sandbox's addresses where it stands in.
    pub(crate) config: Config,
    /// The credentials.
    pub(crate) credentials: Credentials,
    /// Where the record is.
    pub(crate) store: Box<dyn StateStore>,
    /// Ctrl-C, SIGTERM and SIGHUP.
    pub(crate) interrupts: Interrupts,
    /// Who runs this.
    pub(crate) actor: Actor,
    /// Counts the requests of all clients.
    pub(crate) counter: Arc<Counter>,
    /// Bounds the requests of all clients.
    pub(crate) parallelism: Arc<Semaphore>,
    /// When this run began.
    pub(crate) started: Timestamp,
    #[cfg(feature = "sandbox")]
    sandbox: Option<crate::sandbox::Sandbox>,
}

impl Context {
    /// Puts everything together; nothing is asked of either side yet.
    pub(crate) async fn open(globals: Globals) -> Result<Self> {
        Self::open_withholding(globals, &BTreeSet::new()).await
    }

    /// As [`Self::open`], and keeps these environment variables, which hold secrets that the flags name, from the
    /// commands of the configuration.
    pub(crate) async fn open_withholding(globals: Globals, variables: &BTreeSet<String>) -> Result<Self> {
        let interrupts = crate::cli::signals::listen()?;
        let mut config = load(&globals.config)?;
        config.withhold(variables);
        #[cfg(feature = "sandbox")]
        let (config, sandbox) = super::embedded::replace(config, &globals).await?;
        let credentials = if is_sandbox(&globals) {
            Credentials::Sandbox
        } else {
            Credentials::Configured
        };
        let store = open_store(&config, &globals).await?;
        Ok(Self {
            credentials,
            store,
            interrupts,
            actor: Actor::from_env(),
            counter: Arc::default(),
            parallelism: Arc::new(Semaphore::new(globals.parallelism.get())),
            started: Timestamp::now(),
            #[cfg(feature = "sandbox")]
            sandbox,
            config,
            globals,
        })
    }

    /// Ends what was started. How the command ended counts, unless it ended well and this does not.
    #[cfg_attr(
        not(feature = "sandbox"),
        expect(clippy::unused_async, reason = "only the sandbox has to be waited for")
    )]
    pub(crate) async fn close(self, ended: Result<Exit>) -> Result<Exit> {
        #[cfg(feature = "sandbox")]
        if let Some(sandbox) = self.sandbox {
            let stopped = sandbox.stop().await;
            if ended.is_ok() {
                stopped.map_err(|error| Failure::of(&error).context("the sandbox cannot keep its world"))?;
            }
        }
        ended
    }

    /// What the configuration allows.
    pub(crate) fn policy(&self, command: Command) -> Policy {
        Policy {
            admin_session: self.config.gitlab.admin_session.is_some(),
            sign_in: self.config.droid.sign_in,
            can_load_secret: self.config.secret.load.is_some(),
            saves_secret: self.config.secret.save.is_some(),
            replace_application: self.config.replace_application,
            guards: self.config.guards,
            ..Policy::new(command)
        }
    }

    /// The record, or a new one where there is none yet.
    pub(crate) async fn record(&self) -> Result<RecordedState> {
        let sandbox = is_sandbox(&self.globals);
        match self.store.read().await? {
            Some(record) => {
                state::check_world(&record, sandbox, &self.store.place())?;
                Ok(record)
            }
            None => {
                self.was_never_there(sandbox)?;
                Ok(state::new_record(sandbox)?)
            }
        }
    }

    /// Refuses to begin a record where the journal says that there was one.
    fn was_never_there(&self, sandbox: bool) -> Result<()> {
        let journal = journal(&self.config);
        let contents = journal.read()?;
        let Some(last) = contents.last_done(sandbox) else {
            return Ok(());
        };
        let evidence = format!(
            "the journal {} has what a run changed at {}",
            journal.path().display(),
            last.at.strftime("%Y-%m-%d %H:%M UTC")
        );
        Err(StateError::Missing {
            place: self.store.place(),
            evidence,
        }
        .into())
    }

    /// GitLab as a person's browser reaches it: the external URL, but the sandbox itself where that stands in.
    pub(crate) fn browser_gitlab_url(&self) -> String {
        if is_sandbox(&self.globals) {
            bare(&self.config.gitlab.url)
        } else {
            bare(&self.config.gitlab.external_url)
        }
    }

    /// What a plan is made with.
    pub(crate) fn environment(&self) -> Environment {
        Environment {
            created_at: self.started,
            config_digest: self.config.digest.clone(),
            gitlab_url: bare(&self.config.gitlab.url),
            factory_url: bare(&self.config.factory.api_url),
        }
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Requests {
        let side = |side| {
            let counts = self.counter.of(side);
            SideRequests {
                reads: counts.reads,
                writes: counts.writes,
            }
        };
        Requests {
            gitlab: side(Side::Gitlab),
            factory: side(Side::Factory),
            other: side(Side::Other),
        }
    }
}

/// A URL without its final slash.
fn bare(url: &url::Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}
