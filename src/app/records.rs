//! Where the state record of a run is. The sandbox's is a local file beside its world in any case, and it says that it is
//! the sandbox's, so that neither is ever taken for the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::credentials::{CredentialName, Credentials};
use super::error::{Body, Failure, Result};
use super::settings::Settings;
use super::ways;
use crate::config::{Config, HttpStateConfig, StateConfig};
use crate::http::{Client, ClientOptions, Credential};
use crate::model::{Diagnostic, RecordedState};
use crate::state::{self, Holder, HttpBackend, HttpStore, Journal, LocalStore, LockInfo, StateError, StateStore};

/// The record of a run.
pub(crate) struct Records {
    pub(crate) store: Box<dyn StateStore>,
    /// The path of the local record, or where it would be: what is kept of a record that is elsewhere begins with it.
    pub(crate) local: PathBuf,
    /// What was written to either side.
    pub(crate) journal: Journal,
    /// Whether it describes the sandbox.
    pub(crate) of_sandbox: bool,
}

impl Records {
    /// Finds the record. Nothing is read yet.
    pub(crate) async fn open(config: &Config, settings: &Settings) -> Result<Self> {
        let of_sandbox = settings.sandbox.is_some();
        let store: Box<dyn StateStore> = match &config.state {
            StateConfig::Http(http) if !of_sandbox => Box::pin(over_http(config, http, settings)).await?,
            StateConfig::Http(_) | StateConfig::File(_) => Box::new(LocalStore::new(local_record(config, settings))),
        };
        Ok(Self {
            store,
            local: local_record(config, settings),
            journal: journal(config, settings),
            of_sandbox,
        })
    }

    /// Refuses a record of the other world.
    pub(crate) fn check(&self, record: &RecordedState, place: &str) -> Result<()> {
        Ok(state::check_world(record, self.of_sandbox, place)?)
    }

    /// The record, or none where nothing was ever written.
    pub(crate) async fn read(&self) -> Result<Option<RecordedState>> {
        let record = self.store.read().await?;
        if let Some(record) = &record {
            self.check(record, &self.store.place())?;
        }
        Ok(record)
    }

    /// The record, or a new one where there is none yet.
    pub(crate) async fn read_or_begin(&self) -> Result<RecordedState> {
        if let Some(record) = self.read().await? {
            Ok(record)
        } else {
            self.was_never_there()?;
            self.begin()
        }
    }

    /// Refuses to begin a record where the journal says that there was one.
    fn was_never_there(&self) -> Result<()> {
        let contents = self.journal.read()?;
        let Some(last) = contents.last_done(self.of_sandbox) else {
            return Ok(());
        };
        let evidence = format!(
            "the journal {} has what a run changed at {}",
            self.journal.path().display(),
            last.at.strftime("%Y-%m-%d %H:%M UTC")
        );
        Err(self.missing(evidence))
    }

    /// Why a record is not begun anew where this shows that there was one.
    pub(crate) fn missing(&self, evidence: String) -> Failure {
        let place = self.store.place();
        StateError::Missing { place, evidence }.into()
    }

    pub(crate) fn begin(&self) -> Result<RecordedState> {
        Ok(state::new_record(self.of_sandbox)?)
    }
}

async fn over_http(config: &Config, http: &HttpStateConfig, settings: &Settings) -> Result<Box<dyn StateStore>> {
    let credentials = Credentials::Configured {
        to_a_person: settings.to_a_person,
    };
    let client = async {
        let credential = match (&http.username, &http.password) {
            (Some(username), Some(reference)) => Credential::Basic {
                username: username.clone(),
                password: credentials.need(CredentialName::StatePassword, reference).await?,
            },
            _ => Credential::None,
        };
        Ok(Client::new(ClientOptions {
            credential,
            way: ways::find(&http.way, settings.to_a_person).await?,
            parallelism: Arc::new(Semaphore::new(settings.parallelism.get())),
            ..ClientOptions::new(&state::PEER, origin_of(&http.url))
        })?)
    };
    let client = match client.await {
        Ok(client) => client,
        Err(Failure {
            body: Body::Diagnostic(why),
            ..
        }) => {
            return Ok(Box::new(Closed {
                place: http.url.to_string(),
                why,
            }));
        }
        Err(failure) => return Err(failure),
    };
    let backend = HttpBackend {
        url: http.url.clone(),
        lock_url: http.lock_url.clone(),
        unlock_url: http.unlock_url.clone(),
        lock_method: http.lock_method.clone(),
        unlock_method: http.unlock_method.clone(),
        errored: local_record(config, settings),
    };
    Ok(Box::new(HttpStore::new(client, backend)?))
}

/// A record that cannot be asked for: who needs it is told why, and `doctor` goes on without it.
struct Closed {
    place: String,
    why: Diagnostic,
}

impl Closed {
    fn refuse<T>(&self) -> Result<T, StateError> {
        Err(StateError::NoCredential(self.why.clone()))
    }
}

#[async_trait]
impl StateStore for Closed {
    fn place(&self) -> String {
        self.place.clone()
    }

    async fn read(&self) -> Result<Option<RecordedState>, StateError> {
        self.refuse()
    }

    async fn write(&self, _: &mut RecordedState) -> Result<(), StateError> {
        self.refuse()
    }

    async fn lock(&self, _: &LockInfo, _: Duration) -> Result<(), StateError> {
        self.refuse()
    }

    async fn unlock(&self, _: &str) -> Result<(), StateError> {
        self.refuse()
    }

    async fn holder(&self) -> Result<Holder, StateError> {
        self.refuse()
    }

    async fn probe(&self, _: &RecordedState) -> Result<(), StateError> {
        self.refuse()
    }

    async fn replace(&self, _: &mut RecordedState) -> Result<Option<PathBuf>, StateError> {
        self.refuse()
    }
}

fn origin_of(url: &url::Url) -> url::Url {
    let mut origin = url.clone();
    origin.set_path("/");
    origin.set_query(None);
    origin
}

/// A path beside the configuration file.
pub(crate) fn beside(config: &Path, relative: &str) -> PathBuf {
    config.parent().unwrap_or(Path::new("")).join(relative)
}

pub(crate) fn local_record(config: &Config, settings: &Settings) -> PathBuf {
    match (&settings.sandbox, &config.state) {
        // Beside its world: trying it out leaves nothing where the real record and its journal are going to be.
        (Some(world), _) => world.with_extension("state.json"),
        (None, StateConfig::File(path)) => path.clone(),
        (None, StateConfig::Http(_)) => beside(&config.file, ".setpoint/state.json"),
    }
}

/// How often sign-ins were refused: beside the local record, or where that would be.
pub(crate) fn refused_sign_ins(local: &Path) -> PathBuf {
    local.with_extension("sign-ins.json")
}

/// The journal: beside the local record, or where that would be.
pub(crate) fn journal(config: &Config, settings: &Settings) -> Journal {
    match &settings.sandbox {
        Some(world) => Journal::new(world.with_extension("journal.jsonl")),
        None => Journal::beside(&local_record(config, settings)),
    }
}
