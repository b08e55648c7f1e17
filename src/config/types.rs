//! The configuration as the rest of the program sees it: checked, defaulted, with relative paths resolved beside the
//! file that named them. What the planner needs is in [`Desired`]; the rest says how to reach things and how far to go.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;
use url::Url;

use crate::certificates::ClientCertificate;
use crate::diff::declared_values;
use crate::model::{ChangeWindow, Desired, Guards, SignIn};
use crate::secrets::{SecretCommand, SecretRef};

/// A whole `setpoint.toml`, sound.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// What in it is probably not meant.
    pub warnings: super::Warnings,
    /// `sha256:` and the hexadecimal digest of the file's bytes.
    pub digest: String,
    /// What is declared.
    pub desired: Desired,
    /// How to reach GitLab.
    pub gitlab: GitlabConfig,
    /// How to reach Factory.
    pub factory: FactoryConfig,
    /// Where the application's secret is kept.
    pub secret: SecretStoreConfig,
    /// How to be the droid.
    pub droid: DroidConfig,
    /// How much may be removed in one apply.
    pub guards: Guards,
    /// Whether replacing the application, which drops every token of the old one, is allowed.
    pub replace_application: bool,
    /// Whether Factory may be cut off until a person ends it, also where nobody watches.
    pub interruption: bool,
    /// When `apply` may run; none means always.
    pub change_windows: Vec<ChangeWindow>,
    /// Where the state record is kept.
    pub state: StateConfig,
    /// How to reach the webhook that `drift --notify` names.
    pub notify: WayConfig,
}

impl Config {
    /// Keeps the environment variables that hold secrets of this configuration from the commands that it names.
    pub(super) fn withhold_secrets(&mut self) {
        let names = self
            .references()
            .iter()
            .filter_map(|reference| reference.variable().map(str::to_owned))
            .collect();
        self.withhold(&names);
    }

    /// Keeps these environment variables from the commands that it names.
    pub(crate) fn withhold(&mut self, names: &BTreeSet<String>) {
        for reference in self.references() {
            reference.withhold(names);
        }
        for store in std::iter::once(&mut self.secret).chain(&mut self.droid.totp) {
            if let Some(SaveTo::Command(command)) = &mut store.save {
                command.withhold(names);
            }
            if let Some(command) = &mut store.probe {
                command.withhold(names);
            }
        }
    }

    /// Names, paths and addresses that stand in the file for everybody to read. What commands are given does not: it may
    /// be private.
    pub(crate) fn public_words(&self) -> Vec<String> {
        let Desired {
            application,
            user,
            memberships,
            connection,
            repositories,
        } = &self.desired;
        let values = declared_values(application)
            .into_iter()
            .chain(declared_values(&user.fields));
        let mut words = vec![connection.domain.to_string()];
        words.extend(values.flat_map(|(_, value)| {
            match value {
                Value::Array(list) => list,
                one => vec![one],
            }
            .into_iter()
            .filter_map(|value| value.as_str().map(str::to_owned))
        }));
        words.extend(user.previously.iter().cloned());
        words.extend(memberships.keys().map(|path| path.as_str().to_owned()));
        let patterns = repositories.enable.iter().chain(&repositories.except);
        words.extend(patterns.map(|pattern| pattern.as_str().to_owned()));
        let addresses = [
            &self.gitlab.url,
            &self.gitlab.external_url,
            &self.factory.api_url,
            &self.factory.app_url,
        ];
        words.extend(addresses.map(|address| address.as_str().to_owned()));
        let session = self.gitlab.admin_session.as_ref();
        words.extend(session.and_then(|session| session.username().map(str::to_owned)));
        words
    }

    /// All references to secrets. Every field is named, so that one that is added is thought of here.
    fn references(&mut self) -> Vec<&mut SecretRef> {
        let Self {
            file: _,
            warnings: _,
            digest: _,
            desired: _,
            gitlab:
                GitlabConfig {
                    url: _,
                    external_url: _,
                    token,
                    way: gitlab_way,
                    admin_session,
                },
            factory:
                FactoryConfig {
                    driver: _,
                    region: _,
                    api_url: _,
                    app_url: _,
                    token: factory_token,
                    way: factory_way,
                },
            secret:
                SecretStoreConfig {
                    save: _,
                    load,
                    probe: _,
                },
            droid:
                DroidConfig {
                    password,
                    totp_secret,
                    totp,
                    provider: _,
                    sign_in: _,
                },
            guards: _,
            replace_application: _,
            interruption: _,
            change_windows: _,
            state,
            notify,
        } = self;
        let mut references = vec![token];
        match admin_session.as_mut().map(|session| &mut session.sign_in) {
            Some(AdminSignIn::Account {
                username: _,
                password,
                totp_secret,
                provider: _,
            }) => {
                references.push(password);
                references.extend(totp_secret);
            }
            Some(AdminSignIn::Cookie(cookie)) => references.push(cookie),
            None => {}
        }
        references.extend([factory_token, load, password, totp_secret].into_iter().flatten());
        references.extend(
            [gitlab_way, factory_way, notify]
                .into_iter()
                .flat_map(WayConfig::references),
        );
        references.extend(totp.as_mut().and_then(|store| store.load.as_mut()));
        if let StateConfig::Http(http) = state {
            references.extend(&mut http.password);
            references.extend(http.way.references());
        }
        references
    }
}

/// How to reach GitLab.
#[derive(Debug, Clone)]
pub struct GitlabConfig {
    /// Where Setpoint talks to GitLab. A relative URL root may follow the host, with or without a final slash.
    pub url: Url,
    /// What Factory is given as Domain; `url` where the file does not say.
    pub external_url: Url,
    /// The administrator's personal access token.
    pub token: SecretRef,
    /// How requests get there.
    pub way: WayConfig,
    /// A web session for what GitLab's API cannot do.
    pub admin_session: Option<AdminSessionConfig>,
}

/// An administrator's web session.
#[derive(Debug, Clone)]
pub struct AdminSessionConfig {
    /// How it is had.
    pub sign_in: AdminSignIn,
    /// When it is opened.
    pub used: SessionUse,
}

/// How an administrator's web session is had.
#[derive(Debug, Clone)]
pub enum AdminSignIn {
    /// By signing in.
    Account {
        /// Username or e-mail address; with a provider, as its directory has it.
        username: String,
        /// Password.
        password: SecretRef,
        /// The base32 key of an RFC 6238 authenticator.
        totp_secret: Option<SecretRef>,
        /// The LDAP server whose form takes the password; none: GitLab's own.
        provider: Option<String>,
    },
    /// By the cookie of a session that a person opened.
    Cookie(SecretRef),
}

impl AdminSessionConfig {
    /// Who signs in; none where a person did.
    pub fn username(&self) -> Option<&str> {
        match &self.sign_in {
            AdminSignIn::Account { username, .. } => Some(username),
            AdminSignIn::Cookie(_) => None,
        }
    }

    /// The key of its authenticator, where one is configured.
    pub fn totp_secret(&self) -> Option<&SecretRef> {
        match &self.sign_in {
            AdminSignIn::Account { totp_secret, .. } => totp_secret.as_ref(),
            AdminSignIn::Cookie(_) => None,
        }
    }

    /// The LDAP server by which it is signed in to; none: GitLab's own form, or a person.
    pub fn provider(&self) -> Option<&str> {
        match &self.sign_in {
            AdminSignIn::Account { provider, .. } => provider.as_deref(),
            AdminSignIn::Cookie(_) => None,
        }
    }

    /// Whether others can be impersonated in it: not in a person's, which that would end.
    pub fn can_impersonate(&self) -> bool {
        self.username().is_some()
    }
}

/// When the administrator's web session is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionUse {
    /// Whenever it shows or does something that nothing else does.
    #[default]
    Always,
    /// Not for `plan` and `drift`, which take from the record what only it shows.
    Apply,
}

/// How to reach Factory.
#[derive(Debug, Clone)]
pub struct FactoryConfig {
    /// Who does Factory's half.
    pub driver: Driver,
    /// Where the organization lives.
    pub region: Region,
    /// The API host, by the region unless overridden.
    pub api_url: Url,
    /// The web application's host, by the region unless overridden.
    pub app_url: Url,
    /// An API key. Always there under [`Driver::Api`].
    pub token: Option<SecretRef>,
    /// How requests get there.
    pub way: WayConfig,
}

/// How requests get to a server.
#[derive(Debug, Clone)]
pub struct WayConfig {
    /// The section that says so.
    pub section: &'static str,
    /// A PEM file of certificates added to the system's roots.
    pub ca_file: Option<PathBuf>,
    /// The certificate that is shown where one is asked for.
    pub client_certificate: Option<ClientCertificate>,
    /// Further headers of each request, by name.
    pub headers: Vec<(String, SecretRef)>,
    /// The proxy.
    pub proxy: ProxyConfig,
}

impl WayConfig {
    /// What a section says that says nothing of it.
    pub(crate) fn of(section: &'static str) -> Self {
        Self {
            section,
            ca_file: None,
            client_certificate: None,
            headers: Vec::new(),
            proxy: ProxyConfig::Environment,
        }
    }

    /// Whether its section says more than whose certificates count.
    pub(crate) fn is_special(&self) -> bool {
        let is_plain = matches!(self.proxy, ProxyConfig::Environment);
        self.client_certificate.is_some() || !self.headers.is_empty() || !is_plain
    }

    /// With the certificates of another way where it has none of its own.
    pub(super) fn trusting(mut self, other: &Self) -> Self {
        self.ca_file = self.ca_file.or_else(|| other.ca_file.clone());
        self
    }

    /// Its references to secrets.
    fn references(&mut self) -> Vec<&mut SecretRef> {
        let Self {
            section: _,
            ca_file: _,
            client_certificate: _,
            headers,
            proxy,
        } = self;
        let proxy = match proxy {
            ProxyConfig::Reference(reference) => Some(reference),
            ProxyConfig::Environment | ProxyConfig::None | ProxyConfig::Address(_) => None,
        };
        headers
            .iter_mut()
            .map(|(_, reference)| reference)
            .chain(proxy)
            .collect()
    }
}

/// Which proxy is on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyConfig {
    /// The one that the environment's variables name, if they name any.
    Environment,
    /// None.
    None,
    /// This one.
    Address(Url),
    /// One whose address may hold a password.
    Reference(SecretRef),
}

/// Who does Factory's half.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// A person, guided step by step: for factory.ai as it is today.
    #[default]
    Assisted,
    /// Setpoint, over the integration API.
    Api,
}

impl Driver {
    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assisted => "assisted",
            Self::Api => "api",
        }
    }
}

/// Where a Factory organization lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    /// The United States.
    #[default]
    Us,
    /// The European Union.
    Eu,
}

impl Region {
    /// The API host's origin (Factory: API reference, "Regions").
    pub fn api_url(self) -> &'static str {
        match self {
            Self::Us => "https://api.factory.ai",
            Self::Eu => "https://api.eu.factory.ai",
        }
    }

    /// The web application's origin.
    pub fn app_url(self) -> &'static str {
        match self {
            Self::Us => "https://app.factory.ai",
            Self::Eu => "https://app.eu.factory.ai",
        }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Us => Self::Eu,
            Self::Eu => Self::Us,
        }
    }

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
        }
    }
}

/// Where the secret that GitLab shows once is kept.
#[derive(Debug, Clone, Default)]
pub struct SecretStoreConfig {
    /// Takes a new secret before Factory gets it.
    pub save: Option<SaveTo>,
    /// Gives it back.
    pub load: Option<SecretRef>,
    /// Tells, before a secret is made, whether `save` will work.
    pub probe: Option<SecretCommand>,
}

/// What takes a new secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaveTo {
    /// A command, run without a shell, with the secret on standard input.
    Command(SecretCommand),
    /// A file, readable by its owner only, replaced atomically.
    File(PathBuf),
}

/// How to be the droid.
#[derive(Debug, Clone, Default)]
pub struct DroidConfig {
    /// Given at creation, used to sign in.
    pub password: Option<SecretRef>,
    /// The base32 key of an RFC 6238 authenticator.
    pub totp_secret: Option<SecretRef>,
    /// Where the key of an authenticator is kept that Setpoint registers.
    pub totp: Option<SecretStoreConfig>,
    /// The LDAP server whose form takes the password; none: GitLab's own.
    pub provider: Option<String>,
    /// How to sign in as the droid, by default already: the password where there is one, else impersonation where
    /// there is an administrator's session, else nothing.
    pub sign_in: Option<SignIn>,
}

/// Where the state record is kept.
#[derive(Debug, Clone)]
pub enum StateConfig {
    /// A local file; the lock and the journal lie beside it.
    File(PathBuf),
    /// Terraform's HTTP backend protocol.
    Http(Box<HttpStateConfig>),
}

/// A state record behind Terraform's HTTP backend protocol (Terraform: backend type "http").
#[derive(Debug, Clone)]
pub struct HttpStateConfig {
    /// Read with GET, written with POST.
    pub url: Url,
    /// Where the lock is taken.
    pub lock_url: Url,
    /// Where it is given back.
    pub unlock_url: Url,
    /// `LOCK`, or `POST` for GitLab's own state.
    pub lock_method: String,
    /// `UNLOCK`, or `DELETE` for GitLab's own state.
    pub unlock_method: String,
    /// For HTTP basic authentication.
    pub username: Option<String>,
    /// For HTTP basic authentication.
    pub password: Option<SecretRef>,
    /// How requests get there.
    pub way: WayConfig,
}
