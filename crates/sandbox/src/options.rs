//! What a sandbox is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use super::faults::Intercept;
use super::switches::Switches;

/// How to start the sandbox.
#[derive(Clone)]
pub struct Options {
    /// Where the world is kept between runs; `None`: in memory only. A file that is not there yet begins as
    /// [`World::builtin`](crate::World::builtin).
    pub world_file: Option<PathBuf>,
    /// Laid over the switches of the world: all that were [`Switches::set`] or are not at their default.
    pub switches: Switches,
    /// Address of GitLab; port 0 takes a free one.
    pub gitlab_listen: SocketAddr,
    /// Address of Factory, API and app in one; port 0 takes a free one.
    pub factory_listen: SocketAddr,
    /// What GitLab says its URL is, relative URL root included; default: where it listens.
    pub gitlab_external_url: Option<String>,
    /// What Factory's API says its URL is, such as `https://api.factory.ai`; default: where it listens.
    pub factory_api_external: Option<String>,
    /// What Factory's app says its URL is, such as `https://app.factory.ai`; default: where it listens.
    pub factory_app_external: Option<String>,
    /// The redirect URI of the organization, where it is a gateway's: it leads to Factory's own all the same. Without it
    /// the switch `factory_redirect` says which of Factory's two it is.
    pub factory_redirect_external: Option<String>,
    /// Sees every request before and after it is processed, and may act.
    pub intercept: Option<Arc<dyn Intercept>>,
}

impl Default for Options {
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            world_file: None,
            switches: Switches::default(),
            gitlab_listen: loopback,
            factory_listen: loopback,
            gitlab_external_url: None,
            factory_api_external: None,
            factory_app_external: None,
            factory_redirect_external: None,
            intercept: None,
        }
    }
}
