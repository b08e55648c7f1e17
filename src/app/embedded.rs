//! `--sandbox`: the embedded GitLab and Factory, started in this process and put in place of the real ones. What the
//! configuration declares stays as it is, so that it can be tried out as it stands.

use url::Url;

use super::context;
use super::error::{Failure, Result};
use crate::cli::globals::Globals;
use crate::config::{Config, SaveTo};
use crate::sandbox::{self, Options, Sandbox, Switches};
use crate::secrets::SecretRef;

/// Starts the sandbox where `--sandbox` is given, and points the configuration at it.
pub(crate) async fn replace(mut config: Config, globals: &Globals) -> Result<(Config, Option<Sandbox>)> {
    if globals.sandbox.is_none() {
        return Ok((config, None));
    }
    let world_file = context::world_file(globals);
    if let Some(folder) = world_file.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::of(&error).context(format!("{} cannot be made", folder.display())))?;
    }
    let switches = if world_file.exists() {
        Switches::default()
    } else {
        suitable(&config)?
    };
    let sandbox = sandbox::start(Options {
        switches,
        gitlab_external_url: Some(bare(&config.gitlab.external_url)),
        factory_api_external: Some(bare(&config.factory.api_url)),
        factory_app_external: Some(bare(&config.factory.app_url)),
        world_file: Some(world_file.clone()),
        ..Options::default()
    })
    .await
    .map_err(|error| {
        Failure::of(&error)
            .context(format!("the sandbox cannot start with {}", world_file.display()))
            .hint("remove that file to begin with a new world, or name another with --sandbox=FILE")
    })?;
    config.gitlab.url = parse(&sandbox.gitlab_url())?;
    config.gitlab.ca_file = None;
    config.factory.api_url = parse(&sandbox.factory_api_url())?;
    config.factory.app_url = parse(&sandbox.factory_app_url())?;
    // A real store must never get the sandbox's secret.
    let secret = world_file.with_extension("secret");
    config.secret.save = config.secret.save.map(|_| SaveTo::File(secret.clone()));
    config.secret.probe = None;
    config.secret.load = config.secret.load.map(|_| SecretRef::File(secret));
    Ok((config, Some(sandbox)))
}

/// A new world is made so that the configuration fits: the same relative URL root and generation of redirect URI.
fn suitable(config: &Config) -> Result<Switches> {
    let mut switches = Switches::default();
    let root = config.gitlab.external_url.path().trim_end_matches('/');
    if !root.is_empty() {
        switches
            .set(&format!("relative_url_root={root}"))
            .map_err(Failure::new)?;
    }
    let redirects = &config.desired.application.redirect_uris;
    if !redirects.is_empty()
        && redirects
            .iter()
            .all(|uri| uri.trim_end_matches('/').ends_with("/callback"))
    {
        switches.set("factory_redirect=current").map_err(Failure::new)?;
    }
    Ok(switches)
}

fn bare(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

fn parse(text: &str) -> Result<Url> {
    Url::parse(text).map_err(|error| Failure::of(&error).context(format!("`{text}` is no URL")))
}
