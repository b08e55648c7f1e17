//! What all handlers share: the world behind its lock, the addresses of both sides, the log of requests.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::faults::{Intercept, Side};
use super::options::Options;
use super::record::Recorder;
use super::world::World;

/// A request that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLog {
    /// Number since the start, from 1, over both sides.
    pub number: u64,
    pub side: Side,
    pub method: String,
    /// Path, still percent-encoded, without the query.
    pub path: String,
    /// Query, still percent-encoded.
    pub query: Option<String>,
    /// Status of the answer; `None` while it is under way, and where the connection was dropped.
    pub status: Option<u16>,
    /// Whether it may change something, see [`is_write`](crate::faults::is_write).
    pub write: bool,
    /// Whether Factory made it, to serve a request of its own: no client's doing, and never delayed.
    pub by_factory: bool,
}

/// The shared state, as handlers take it: `State(app): State<App>`.
pub(crate) type App = Arc<AppState>;

pub(crate) struct AppState {
    world: Mutex<World>,
    dirty: AtomicBool,
    file: Mutex<Option<PathBuf>>,
    gitlab_base: String,
    factory_base: String,
    gitlab_external: Option<String>,
    factory_api_external: Option<String>,
    factory_app_external: Option<String>,
    factory_redirect_external: Option<String>,
    /// A test's hand on the requests.
    pub(crate) intercept: Option<Arc<dyn Intercept>>,
    /// Where exchanges are written down, if anywhere.
    pub(crate) recorder: Option<Recorder>,
    /// All requests so far.
    pub(crate) requests: Mutex<Vec<RequestLog>>,
    /// Requests counted against rate limits, by limit and client: start of the window and count.
    pub(crate) windows: Mutex<HashMap<String, (Instant, u32)>>,
    numbers: AtomicU64,
    /// Whether a side is away, see [`super::Action::Away`].
    gitlab_away: watch::Sender<bool>,
    factory_away: watch::Sender<bool>,
    /// Held while Factory refreshes its tokens: a refresh token works once.
    pub(crate) refreshing: tokio::sync::Mutex<()>,
}

impl AppState {
    pub(crate) fn new(
        world: World,
        options: Options,
        recorder: Option<Recorder>,
        gitlab_base: String,
        factory_base: String,
    ) -> Self {
        let trimmed = |url: Option<String>| url.map(|url| url.trim_end_matches('/').to_owned());
        Self {
            world: Mutex::new(world),
            dirty: AtomicBool::new(true),
            file: Mutex::new(options.world_file),
            gitlab_base,
            factory_base,
            gitlab_external: trimmed(options.gitlab_external_url),
            factory_api_external: trimmed(options.factory_api_external),
            factory_app_external: trimmed(options.factory_app_external),
            factory_redirect_external: options.factory_redirect_external,
            intercept: options.intercept,
            recorder,
            requests: Mutex::new(Vec::new()),
            windows: Mutex::new(HashMap::new()),
            numbers: AtomicU64::new(0),
            gitlab_away: watch::Sender::new(false),
            factory_away: watch::Sender::new(false),
            refreshing: tokio::sync::Mutex::new(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the world. Never call it (nor [`Self::write`]) inside the other: the lock is not re-entrant.
    pub(crate) fn read<R>(&self, f: impl FnOnce(&World) -> R) -> R {
        f(&self.lock())
    }

    /// Changes the world. It is saved before the answer of the request under way is sent.
    pub(crate) fn write<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        let result = f(&mut self.lock());
        self.touch();
        result
    }

    /// Changes what need not be saved at once (counters of faults, last activity).
    pub(crate) fn write_quietly<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        f(&mut self.lock())
    }

    /// Says that the world was changed.
    pub(crate) fn touch(&self) {
        self.dirty.store(true, Ordering::SeqCst);
    }

    /// Saves the world if it was changed and there is a file.
    pub(crate) fn save(&self) -> io::Result<()> {
        if !self.dirty.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        // The file's own lock keeps an older world from being written over a newer one.
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = file.as_deref() else { return Ok(()) };
        let world = self.lock().clone();
        world.save(path).inspect_err(|_| self.touch())
    }

    /// Whether a side is away; its server listens to it.
    pub(crate) fn away(&self, side: Side) -> &watch::Sender<bool> {
        match side {
            Side::Gitlab => &self.gitlab_away,
            Side::Factory => &self.factory_away,
        }
    }

    /// Takes a side away for so many milliseconds, or for good.
    pub(crate) fn go_away(self: &Arc<Self>, side: Side, milliseconds: u64) {
        self.away(side).send_replace(true);
        if milliseconds > 0 {
            let app = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                app.away(side).send_replace(false);
            });
        }
    }

    /// The number of the next request.
    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Where GitLab listens, relative URL root included.
    pub(crate) fn gitlab_url(&self) -> String {
        let root = self.read(|world| world.switches.relative_url_root.clone());
        format!("{}{}", self.gitlab_base, root.trim_end_matches('/'))
    }

    /// What GitLab says its URL is, relative URL root included, no slash at the end.
    pub(crate) fn gitlab_external_url(&self) -> String {
        self.gitlab_external.clone().unwrap_or_else(|| self.gitlab_url())
    }

    /// Where Factory listens, API and app.
    pub(crate) fn factory_url(&self) -> &str {
        &self.factory_base
    }

    /// What Factory's API says its URL is.
    pub(crate) fn factory_api_external(&self) -> &str {
        self.factory_api_external.as_deref().unwrap_or(&self.factory_base)
    }

    /// The redirect URI of the organization, where it is neither of Factory's own.
    pub(crate) fn factory_redirect_external(&self) -> Option<&str> {
        self.factory_redirect_external.as_deref()
    }

    /// What Factory's app says its URL is.
    pub(crate) fn factory_app_external(&self) -> &str {
        self.factory_app_external.as_deref().unwrap_or(&self.factory_base)
    }
}
