//! Both sides as a run reaches them, and the secrets for them. Made once, from the configuration or from the sandbox:
//! the configuration stays as it was read, and nothing else has to ask which of the two it is.

use url::Url;

use super::credentials::Credentials;
use super::secret_store::ConfiguredStore;
use crate::config::{AdminSignIn, Config, WayConfig};

/// Where a run goes.
pub(crate) struct Endpoints {
    pub(crate) gitlab: Url,
    /// GitLab as a person's browser reaches it.
    pub(crate) gitlab_in_browser: Url,
    /// How an administrator's web session is had, where one is configured.
    pub(crate) admin_sign_in: Option<AdminSignIn>,
    /// The LDAP server whose form takes the droid's password; none: GitLab's own.
    pub(crate) droid_provider: Option<String>,
    /// How requests get to GitLab.
    pub(crate) gitlab_way: WayConfig,
    pub(crate) factory_api: Url,
    pub(crate) factory_app: Url,
    /// How requests get to Factory.
    pub(crate) factory_way: WayConfig,
    /// A redirect URI that is served at another address, and that address.
    pub(crate) factory_redirect: Option<(Url, Url)>,
    pub(crate) credentials: Credentials,
    /// Keeps the application's secret.
    pub(crate) secret_store: ConfiguredStore,
    /// Keeps the key of the droid's authenticator.
    pub(crate) authenticator_store: ConfiguredStore,
}

impl Endpoints {
    pub(crate) fn configured(config: &Config, to_a_person: bool) -> Self {
        Self {
            gitlab: config.gitlab.url.clone(),
            gitlab_in_browser: config.gitlab.external_url.clone(),
            admin_sign_in: (config.gitlab.admin_session.as_ref()).map(|session| session.sign_in.clone()),
            droid_provider: config.droid.provider.clone(),
            gitlab_way: config.gitlab.way.clone(),
            factory_api: config.factory.api_url.clone(),
            factory_app: config.factory.app_url.clone(),
            factory_way: config.factory.way.clone(),
            factory_redirect: None,
            credentials: Credentials::Configured { to_a_person },
            secret_store: ConfiguredStore {
                table: "application.secret",
                config: config.secret.clone(),
                to_a_person,
            },
            authenticator_store: ConfiguredStore {
                table: "user.totp",
                config: config.droid.totp.clone().unwrap_or_default(),
                to_a_person,
            },
        }
    }
}
