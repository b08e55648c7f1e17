//! The embedded GitLab and Factory: two servers on loopback over one [`World`], to try Setpoint (or any other client)
//! against, and to test it against.
//!
//! It imports nothing of the product, so that it cannot agree with its mistakes by sharing them: what it does comes
//! from GitLab's sources and documentation and from Factory's contract. [`start`] serves both sides on the current
//! tokio runtime; [`Sandbox`] is the handle by which tests look at the world, change it, and read what was asked.

mod builtin;
mod factory;
pub mod faults;
mod front;
pub mod generation;
mod gitlab;
mod options;
mod proxy;
mod record;
mod state;
pub mod switches;
mod wire;
pub mod world;

use std::io;
use std::sync::{Arc, PoisonError};

pub use builtin::{DROID_PASSWORD, FACTORY_KEY, ROOT_PASSWORD, ROOT_TOKEN, ROOT_USERNAME};
pub use faults::{Action, Fault, Intercept, Seen, Side};
pub use generation::{Generation, PageKind};
pub use gitlab::pages_totp::totp;
pub use options::Options;
pub use state::RequestLog;
pub use switches::Switches;
pub use world::World;

use state::{App, AppState};

/// What opens the doors of the sandbox. All of it is fixed and obviously fake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// The administrator's personal access token.
    pub gitlab_token: &'static str,
    pub root_username: &'static str,
    pub root_password: &'static str,
    /// A password to create the droid with; the sandbox takes any other as well.
    pub droid_password: &'static str,
    /// The Factory API key of an Owner.
    pub factory_key: &'static str,
}

/// A running sandbox. Dropping it leaves the servers to the runtime; [`Sandbox::stop`] ends them and saves.
pub struct Sandbox {
    app: App,
    stop: tokio::sync::watch::Sender<bool>,
    servers: Vec<tokio::task::JoinHandle<io::Result<()>>>,
}

/// Starts both servers on the current tokio runtime and returns once they listen.
///
/// # Errors
/// The world file is unreadable, or an address cannot be bound.
pub async fn start(options: Options) -> io::Result<Sandbox> {
    let mut world = match &options.world_file {
        Some(path) if path.exists() => World::load(path)?,
        _ => World::builtin(),
    };
    world.switches = world.switches.overlaid(&options.switches);
    let gitlab_listener = tokio::net::TcpListener::bind(options.gitlab_listen).await?;
    let factory_listener = tokio::net::TcpListener::bind(options.factory_listen).await?;
    let gitlab_base = format!("http://{}", gitlab_listener.local_addr()?);
    let factory_base = format!("http://{}", factory_listener.local_addr()?);
    let recorder = record::Recorder::from_environment()?;
    let app: App = Arc::new(AppState::new(world, options, recorder, gitlab_base, factory_base));
    app.save()?;

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let gitlab = front::wrap(gitlab::router(), &app, Side::Gitlab);
    let factory = front::wrap(factory::router(), &app, Side::Factory);
    let servers = vec![
        tokio::spawn(wire::serve(
            wire::Tap::new(gitlab_listener, app.away(Side::Gitlab).subscribe())?,
            gitlab,
            stopped.clone(),
        )),
        tokio::spawn(wire::serve(
            wire::Tap::new(factory_listener, app.away(Side::Factory).subscribe())?,
            factory,
            stopped,
        )),
    ];
    Ok(Sandbox { app, stop, servers })
}

impl Sandbox {
    /// Where GitLab is served, relative URL root included, no slash at the end.
    pub fn gitlab_url(&self) -> String {
        self.app.gitlab_url()
    }

    /// Where Factory's API is served.
    pub fn factory_api_url(&self) -> String {
        self.app.factory_url().to_owned()
    }

    /// Where Factory's app is served: the same server as its API.
    pub fn factory_app_url(&self) -> String {
        self.app.factory_url().to_owned()
    }

    /// Where Factory's redirect URI is served, whatever it is called outside.
    pub fn factory_redirect_url(&self) -> String {
        format!("{}{}", self.app.factory_url(), factory::REDIRECT_PATH)
    }

    /// What opens the doors.
    pub fn credentials(&self) -> Credentials {
        Credentials {
            gitlab_token: ROOT_TOKEN,
            root_username: ROOT_USERNAME,
            root_password: ROOT_PASSWORD,
            droid_password: DROID_PASSWORD,
            factory_key: FACTORY_KEY,
        }
    }

    /// Looks at the world, or changes it; a change is saved where there is a file.
    pub fn with_world<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        let result = self.app.write(f);
        // A file that cannot be written is reported by the next request and by `stop`.
        let _ = self.app.save();
        result
    }

    /// All requests so far, in the order in which they came.
    pub fn requests(&self) -> Vec<RequestLog> {
        self.app.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Brings a side back that has gone [`Action::Away`].
    pub fn come_back(&self) {
        for side in [Side::Gitlab, Side::Factory] {
            self.app.away(side).send_replace(false);
        }
    }

    /// Ends both servers, cuts the connections that are left, and saves the world.
    ///
    /// # Errors
    /// The world file cannot be written, or a server had failed.
    pub async fn stop(self) -> io::Result<()> {
        let _ = self.stop.send(true);
        let mut result = Ok(());
        for server in self.servers {
            let ended = server.await.map_err(io::Error::other).and_then(|ended| ended);
            result = result.and(ended);
        }
        self.app.touch();
        result.and(self.app.save())
    }
}
