//! What a use case works with, put together from the configuration and the settings: both sides, the record, the request
//! counter, and who is told and asked: a use case prints nothing itself, the command line implements [`Console`]. With
//! `--sandbox` the embedded GitLab and Factory take the place of the real sides.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::{OnceCell, Semaphore};

use super::console::{Event, Proposal};
use super::endpoints::Endpoints;
use super::error::Result;
use super::interrupts::Interrupts;
use super::records::Records;
use super::rights;
use super::settings::Settings;
use crate::config::{self, Config};
use crate::executor::Operator;
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

/// Says how far something is, such as "3 of 28 changes".
pub(crate) type SoFar = Box<dyn Fn() -> String + Send>;

/// A sign of life, until it is dropped.
pub(crate) type Activity = Box<dyn Send>;

/// Whoever started the use case.
#[async_trait]
pub(crate) trait Console: Send + Sync {
    fn tell(&self, event: Event<'_>);

    /// Shows what is about to be written. An error where that cannot be shown: nothing is written unseen.
    fn propose(&self, context: &Context, proposal: &Proposal<'_>) -> Result<()>;

    /// Asks for consent to what was proposed. An error where nobody can be asked.
    async fn confirm(&self, question: &str) -> Result<bool>;

    /// Whether a secret can be asked for without showing what is typed.
    fn can_ask_secret(&self) -> bool;

    /// Asks for a secret so. None where nothing is given.
    async fn ask_secret(&self, question: &str) -> Result<Option<Secret>>;

    /// Begins something that may take a while, named as a participle: "reading GitLab and Factory".
    fn begin(&self, what: &'static str, so_far: SoFar) -> Activity;

    /// Whether a person is there to answer, and to see a secret.
    fn can_ask(&self) -> bool;

    /// Who does the steps that no interface lets a program do.
    fn operator<'a>(&'a self, context: &'a Context) -> Box<dyn Operator + 'a>;
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
        let so_far = move || count(counter.total(), "request", "requests");
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
