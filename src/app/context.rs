//! What a use case works with, put together from the configuration and the settings: both sides, the record, the request
//! counter. With `--sandbox` the embedded GitLab and Factory take the place of the real ones.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::{OnceCell, Semaphore};

use super::console::{Activity, Console, Event};
use super::endpoints::Endpoints;
use super::error::Result;
use super::interrupts::Interrupts;
use super::records::Records;
use super::rights;
use crate::config::{self, Config};
use crate::http::{Counter, Onlooker, Side};
use crate::model::{Attestation, Command, GitlabVersion, Policy};
use crate::render::text::count;
use crate::render::{Environment, Requests, SideRequests};
use crate::secrets::{Secret, declare_public};
use crate::state::Actor;
use crate::urls;

/// Reads the configuration, or says all that is wrong with it.
pub(crate) fn load(path: &Path) -> Result<Config> {
    let config = config::load(path)?;
    declare_public(config.public_words());
    Ok(config)
}

/// What is given from outside beside the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) config: PathBuf,
    /// The file of the sandbox's world, where that takes the place of both sides.
    pub(crate) sandbox: Option<PathBuf>,
    /// How many requests may be under way at once.
    pub(crate) parallelism: NonZeroUsize,
    /// How long to wait for the lock.
    pub(crate) lock_timeout: Duration,
    /// Whether what is told goes to a person's terminal, and not to a log that others read.
    pub(crate) to_a_person: bool,
}

/// What a use case works with.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) config: Config,
    pub(crate) endpoints: Endpoints,
    pub(crate) records: Records,
    pub(crate) interrupts: Interrupts,
    /// Who is told and asked.
    pub(crate) console: Box<dyn Console>,
    pub(crate) actor: Actor,
    /// The cookie of the administrator's session, where a person was asked for it; none where none was given.
    pub(crate) asked_cookie: OnceCell<Option<Secret>>,
    /// Counts the requests of all clients.
    pub(crate) counter: Arc<Counter>,
    /// Looks at the answers that all clients get.
    pub(crate) onlooker: Option<Arc<dyn Onlooker>>,
    /// Bounds the requests of all clients.
    pub(crate) parallelism: Arc<Semaphore>,
    /// When this run began.
    pub(crate) started: Timestamp,
    /// The same, on the clock that nobody sets.
    pub(crate) began: Instant,
    #[cfg(feature = "sandbox")]
    sandbox: Option<crate::sandbox::Sandbox>,
}

impl Context {
    /// Puts everything together; nothing is asked of either side yet. The environment variables that are withheld hold
    /// secrets which the flags name: the commands of the configuration do not get them.
    pub(crate) async fn open(
        settings: Settings,
        console: Box<dyn Console>,
        interrupts: Interrupts,
        withheld: &BTreeSet<String>,
    ) -> Result<Self> {
        let mut config = load(&settings.config)?;
        config.withhold(withheld);
        for warning in rights::tidy(&config, &settings) {
            console.tell(Event::Warning(&warning));
        }
        #[cfg(feature = "sandbox")]
        let (endpoints, sandbox) = match &settings.sandbox {
            Some(world) => {
                let (endpoints, sandbox) = super::embedded::start(&config, world).await?;
                (endpoints, Some(sandbox))
            }
            None => (Endpoints::configured(&config, settings.to_a_person), None),
        };
        #[cfg(not(feature = "sandbox"))]
        let endpoints = Endpoints::configured(&config, settings.to_a_person);
        Ok(Self {
            records: Records::open(&config, &settings).await?,
            endpoints,
            interrupts,
            console,
            actor: Actor::from_env(),
            asked_cookie: OnceCell::new(),
            counter: Arc::default(),
            onlooker: None,
            parallelism: Arc::new(Semaphore::new(settings.parallelism.get())),
            started: Timestamp::now(),
            began: Instant::now(),
            #[cfg(feature = "sandbox")]
            sandbox,
            config,
            settings,
        })
    }

    /// Ends what was started. How the command ended counts, unless it ended well and this does not.
    #[cfg_attr(
        not(feature = "sandbox"),
        expect(clippy::unused_async, reason = "only the sandbox has to be waited for")
    )]
    pub(crate) async fn close<T>(self, ended: Result<T>) -> Result<T> {
        #[cfg(feature = "sandbox")]
        if let Some(sandbox) = self.sandbox {
            let stopped = sandbox.stop().await;
            if ended.is_ok() {
                stopped
                    .map_err(|error| super::error::Failure::of(&error).context("the sandbox cannot keep its world"))?;
            }
        }
        ended
    }

    /// That whoever runs this says something now.
    pub(crate) fn attestation(&self) -> Attestation {
        Attestation {
            by: self.actor.who(),
            at: Timestamp::now(),
        }
    }

    /// What the configuration allows.
    pub(crate) fn policy(&self, command: Command) -> Policy {
        Policy {
            admin_session: self.config.gitlab.admin_session.is_some(),
            sign_in: self.config.droid.sign_in,
            saves_secret: self.config.secret.save.is_some(),
            replace_application: self.config.replace_application,
            guards: self.config.guards,
            // GitLab's days are those of UTC.
            today: Some(Timestamp::now().to_zoned(TimeZone::UTC).date()),
            ..Policy::new(command)
        }
    }

    /// What a plan is made with, with the version that GitLab gave where it was asked.
    pub(crate) fn environment(&self, version: Option<&GitlabVersion>) -> Environment {
        Environment {
            created_at: self.started,
            config_digest: self.config.digest.clone(),
            config_file: self.config.file.display().to_string(),
            gitlab_url: urls::bare(&self.endpoints.gitlab).to_owned(),
            gitlab_version: version.map(|version| version.text.clone()),
            factory_url: urls::bare(&self.endpoints.factory_api).to_owned(),
            factory_driver: self.config.factory.driver,
            sandbox: self.records.of_sandbox,
        }
    }

    /// A sign of life of something that may take many requests.
    pub(crate) fn reading(&self, what: &'static str) -> Activity {
        let counter = Arc::clone(&self.counter);
        let so_far = move || count(counter.total().total(), "request", "requests");
        self.console.begin(what, Box::new(so_far))
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
            sign_ins: self.counter.sign_ins(),
        }
    }
}
