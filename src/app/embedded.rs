//! `--sandbox`: the embedded GitLab and Factory, started in this process. What the configuration declares is what they
//! are made for, so that it can be tried out as it stands.

use std::path::{Path, PathBuf};

use url::Url;

use super::credentials::Credentials;
use super::endpoints::Endpoints;
use super::error::{Failure, Result};
use super::secret_store::ConfiguredStore;
use crate::config::{AdminSignIn, Config, SaveTo, SecretStoreConfig, WayConfig};
use crate::sandbox::{self, Options, Sandbox, Switches};
use crate::secrets::SecretRef;
use crate::urls;

/// Starts the sandbox with the world of a file.
pub(crate) async fn start(config: &Config, world_file: &Path) -> Result<(Endpoints, Sandbox)> {
    if let Some(folder) = world_file.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::of(&error).context(format!("{} cannot be made", folder.display())))?;
    }
    let switches = if world_file.exists() {
        Switches::default()
    } else {
        suitable(config)?
    };
    // Whatever the organization's redirect URI is, a gateway's perhaps: it is one that the configuration has.
    let redirect = config.desired.application.redirect_uris.first().cloned();
    let sandbox = sandbox::start(Options {
        switches,
        gitlab_external_url: Some(urls::bare(&config.gitlab.external_url).to_owned()),
        factory_api_external: Some(urls::bare(&config.factory.api_url).to_owned()),
        factory_app_external: Some(urls::bare(&config.factory.app_url).to_owned()),
        factory_redirect_external: redirect.clone(),
        world_file: Some(world_file.to_owned()),
        ..Options::default()
    })
    .await
    .map_err(|error| {
        Failure::of(&error)
            .context(format!("the sandbox cannot start with {}", world_file.display()))
            .hint("remove that file to begin with a new world, or name another with --sandbox=FILE")
    })?;
    let gitlab = parse(&sandbox.gitlab_url())?;
    let endpoints = Endpoints {
        gitlab_in_browser: gitlab.clone(),
        gitlab,
        admin_sign_in: (config.gitlab.admin_session.as_ref()).map(|session| by_password(&session.sign_in)),
        droid_provider: None,
        gitlab_way: WayConfig::of("gitlab"),
        factory_way: WayConfig::of("factory"),
        factory_api: parse(&sandbox.factory_api_url())?,
        factory_app: parse(&sandbox.factory_app_url())?,
        factory_redirect: match &redirect {
            Some(uri) => Some((parse(uri)?, parse(&sandbox.factory_redirect_url())?)),
            None => None,
        },
        credentials: Credentials::Sandbox,
        secret_store: kept_beside(
            &config.secret,
            "application.secret",
            world_file.with_extension("secret"),
        ),
        authenticator_store: kept_beside(
            config.droid.totp.as_ref().unwrap_or(&SecretStoreConfig::default()),
            "user.totp",
            world_file.with_extension("totp"),
        ),
    };
    Ok((endpoints, sandbox))
}

/// By a password of GitLab's own, in the place of a directory or a handed-over session: the embedded one has neither.
fn by_password(configured: &AdminSignIn) -> AdminSignIn {
    let (username, password, totp_secret) = match configured {
        AdminSignIn::Account {
            username,
            password,
            totp_secret,
            provider: _,
        } => (username.clone(), password.clone(), totp_secret.clone()),
        AdminSignIn::Cookie(reference) => (sandbox::ROOT_USERNAME.to_owned(), reference.clone(), None),
    };
    AdminSignIn::Account {
        username,
        password,
        totp_secret,
        provider: None,
    }
}

/// A file in place of the store that is configured: a real one must never get what is the sandbox's.
fn kept_beside(config: &SecretStoreConfig, table: &'static str, file: PathBuf) -> ConfiguredStore {
    ConfiguredStore {
        table,
        config: SecretStoreConfig {
            save: config.save.as_ref().map(|_| SaveTo::File(file.clone())),
            load: config.load.as_ref().map(|_| SecretRef::File(file)),
            probe: None,
        },
        to_a_person: false,
    }
}

/// A new world is made so that the configuration fits: the same relative URL root.
fn suitable(config: &Config) -> Result<Switches> {
    let mut switches = Switches::default();
    let root = urls::root(&config.gitlab.external_url);
    if !root.is_empty() {
        switches
            .set(&format!("relative_url_root={root}"))
            .map_err(Failure::new)?;
    }
    Ok(switches)
}

fn parse(text: &str) -> Result<Url> {
    Url::parse(text).map_err(|error| Failure::of(&error).context(format!("`{text}` is no URL")))
}
