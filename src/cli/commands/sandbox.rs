//! `sandbox`: the embedded GitLab and Factory, served until Ctrl-C.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde_json::json;

use crate::app::error::{Failure, Result};
use crate::app::exit::Exit;
use crate::cli::globals::{Format, Globals};
use crate::cli::signals;
use crate::cli::term;
use crate::render;
use crate::sandbox::{Options, Sandbox, Switches};

/// Serve the embedded GitLab and Factory on loopback
///
/// For any client to be tried against, until Ctrl-C. Prints the URLs and the credentials, all of which are fake. The
/// world is kept in a file, and begins with some forty projects.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Port of GitLab; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 4080)]
    gitlab_port: u16,

    /// Port of Factory; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 4081)]
    factory_port: u16,

    /// File that keeps the world [default: .setpoint/sandbox.json]
    #[arg(long, value_name = "FILE", conflicts_with = "memory")]
    world: Option<PathBuf>,

    /// Keep the world in memory only
    #[arg(long)]
    memory: bool,

    /// Set a switch of the sandbox, such as gitlab=19.3; a wrong one lists them all
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Args {
    pub(crate) async fn run(self, globals: Globals) -> Result<Exit> {
        let interrupts = signals::listen()?;
        let mut switches = Switches::default();
        for assignment in &self.set {
            switches.set(assignment).map_err(Failure::new)?;
        }
        let world_file = match (self.memory, self.world) {
            (true, _) => None,
            (false, Some(file)) => Some(file),
            (false, None) => Some(globals.world_file()),
        };
        let listen = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let sandbox = crate::sandbox::start(Options {
            world_file: world_file.clone(),
            switches,
            gitlab_listen: listen(self.gitlab_port),
            factory_listen: listen(self.factory_port),
            ..Options::default()
        })
        .await
        .map_err(|error| {
            Failure::of(&error)
                .context("the sandbox cannot start")
                .hint("if a port is taken, choose others with --gitlab-port and --factory-port")
        })?;
        match globals.format {
            Format::Human | Format::Markdown => term::out(&for_people(&sandbox, world_file.as_deref()))?,
            Format::Json => term::out_json(&for_programs(&sandbox))?,
        }
        interrupts.first().await;
        sandbox
            .stop()
            .await
            .map_err(|error| Failure::of(&error).context("the sandbox did not end well"))?;
        Ok(Exit::Done)
    }
}

fn for_people(sandbox: &Sandbox, world: Option<&std::path::Path>) -> String {
    let keys = sandbox.credentials();
    let mut out = String::new();
    let _ = write!(
        out,
        "GitLab    {gitlab}\n  token     {token}\n  sign in   {root} with {password},\n            the droid with {droid} where --sandbox made it\n\n\
         Factory   {factory}\n  API key   {key}\n  settings  {app}/settings/integrations\n\n\
         For the configuration:\n  [gitlab]\n  url = \"{gitlab}\"\n  [factory]\n  driver = \"api\"\n  \
         api_url = \"{factory}\"\n  app_url = \"{app}\"\n  [application]\n  \
         redirect_uri = \"{factory}/api/integrations/redirect/gitlab-sh/callback\"\n\n",
        gitlab = sandbox.gitlab_url(),
        token = keys.gitlab_token,
        root = keys.root_username,
        password = keys.root_password,
        droid = keys.droid_password,
        factory = sandbox.factory_api_url(),
        app = sandbox.factory_app_url(),
        key = keys.factory_key,
    );
    let _ = match world {
        Some(world) => writeln!(out, "The world is kept in {}. Ctrl-C ends it.", world.display()),
        None => writeln!(out, "The world is kept in memory. Ctrl-C ends it."),
    };
    out
}

fn for_programs(sandbox: &Sandbox) -> serde_json::Value {
    let keys = sandbox.credentials();
    json!({
        "format_version": render::FORMAT_VERSION,
        "gitlab_url": sandbox.gitlab_url(),
        "factory_api_url": sandbox.factory_api_url(),
        "factory_app_url": sandbox.factory_app_url(),
        "gitlab_token": keys.gitlab_token,
        "gitlab_username": keys.root_username,
        "gitlab_password": keys.root_password,
        "droid_password": keys.droid_password,
        "factory_token": keys.factory_key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A prompt of `apply --sandbox` sends whoever wants to be the droid here.
    #[tokio::test]
    async fn people_are_told_whom_they_can_be() {
        let sandbox = crate::sandbox::start(Options::default()).await.unwrap();
        let said = for_people(&sandbox, None);
        let keys = sandbox.credentials();
        for password in [keys.root_password, keys.droid_password] {
            assert!(said.contains(password), "{said}");
        }
    }
}
