//! From the file's shape to what the program works with: defaults, relative paths, regions. It runs after all checks
//! have passed; where a text still does not fit, nothing comes out, and [`super::parse`] says so.

#![expect(
    clippy::ref_option,
    reason = "every key of the file's shape is an option, handed on as it is"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::civil::Time;
use jiff::tz::TimeZone;
use url::Url;

use crate::certificates::ClientCertificate;
use crate::model::{
    ApplicationFields, ChangeWindow, Desired, DesiredConnection, DesiredRepositories, DesiredUser, FullPath, Guards,
    Known, MembershipFields, PathPattern, SignIn, UserFields,
};
use crate::secrets::{SecretCommand, SecretRef};
use crate::urls;

use super::raw::{
    DEFAULT_SCOPES, RawApplication, RawChangeWindow, RawConfig, RawFactory, RawGitlab, RawGuards, RawMembership,
    RawProxy, RawRepositories, RawSecretStore, RawSignIn, RawState, RawUser, RawWay, SecretDestination,
    SecretReference, Spanned, Text,
};
use super::types::{
    AdminSessionConfig, AdminSignIn, Config, DroidConfig, FactoryConfig, GitlabConfig, HttpStateConfig, ProxyConfig,
    SaveTo, SecretStoreConfig, StateConfig, WayConfig,
};
use super::uri;

/// The names that Factory's guide uses.
const DEFAULT_APPLICATION_NAME: &str = "Factory Integration";
const DEFAULT_USER_NAME: &str = "Factory Droid";

/// Where the record is kept by default, beside the configuration.
const DEFAULT_STATE: &str = ".setpoint/state.json";

/// Everything there is to convert, or nothing where something does not fit.
pub(super) fn config(raw: &RawConfig, file: &Path, digest: String) -> Option<Config> {
    let beside = Beside(file.parent().unwrap_or(Path::new("")));
    let gitlab = gitlab(raw.gitlab.as_ref()?, &beside)?;
    let application = raw.application.as_ref()?;
    let user = raw.user.as_ref()?;
    let memberships = user.memberships.iter().flatten();
    let memberships = memberships.map(|(path, raw)| Some((FullPath::new(path.get()), membership(&raw.0)?)));
    let memberships = memberships.collect::<Option<BTreeMap<_, _>>>()?;
    let guards = raw.guards.as_deref();
    let mut config = Config {
        file: file.to_owned(),
        warnings: super::Warnings::default(),
        digest,
        desired: Desired {
            application: desired_application(application)?,
            user: desired_user(user)?,
            memberships,
            connection: DesiredConnection {
                domain: urls::bare(&gitlab.external_url).into(),
            },
            repositories: repositories(raw.repositories.as_ref()?)?,
        },
        factory: factory(raw.factory.as_deref(), &beside)?,
        secret: application
            .secret
            .as_deref()
            .map(|store| secret_store(store, &beside))
            .unwrap_or_default(),
        droid: droid(
            user,
            gitlab
                .admin_session
                .as_ref()
                .is_some_and(AdminSessionConfig::can_impersonate),
            &beside,
        ),
        guards: self::guards(guards),
        replace_application: guards
            .and_then(|guards| copied(&guards.replace_application))
            .unwrap_or(false),
        interruption: guards.and_then(|guards| copied(&guards.interruption)).unwrap_or(false),
        change_windows: raw
            .change_windows
            .iter()
            .flatten()
            .map(|window| change_window(window))
            .collect::<Option<_>>()?,
        state: state(raw.state.as_deref(), &gitlab, &beside)?,
        notify: (raw.notify.as_deref())
            .map_or_else(|| Some(WayConfig::of("notify")), |notify| beside.way(notify.way()))?
            .trusting(&gitlab.way),
        gitlab,
    };
    config.withhold_secrets();
    Some(config)
}

/// Paths in the file are relative to the folder that holds it.
struct Beside<'a>(&'a Path);

impl Beside<'_> {
    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    /// A program named by a relative path lies beside the file too; a bare name is looked up in `PATH`.
    fn command(&self, words: &[Text]) -> SecretCommand {
        let mut command = texts(words);
        if let Some(program) = command.first_mut().filter(|program| program.contains('/')) {
            *program = self.path(program).to_string_lossy().into_owned();
        }
        SecretCommand::new(command)
    }

    fn secret(&self, reference: &SecretReference) -> SecretRef {
        match reference {
            SecretReference::Env(name) => SecretRef::Env(name.get().clone()),
            SecretReference::File(path) => SecretRef::File(self.path(path)),
            SecretReference::Command(words) => SecretRef::Command(self.command(words)),
        }
    }

    fn way(&self, raw: RawWay<'_>) -> Option<WayConfig> {
        Some(WayConfig {
            section: raw.section,
            ca_file: raw.ca_file.map(|path| self.path(path)),
            client_certificate: raw.client_cert_file.zip(raw.client_key_file).map(|(certificate, key)| {
                ClientCertificate {
                    certificate: self.path(certificate),
                    key: self.path(key),
                }
            }),
            headers: raw
                .headers
                .into_iter()
                .flatten()
                .map(|(name, reference)| (name.get().clone(), self.secret(reference)))
                .collect(),
            proxy: match raw.proxy.map(Spanned::get) {
                None => ProxyConfig::Environment,
                Some(RawProxy::Address(text)) if text.get() == uri::NO_PROXY => ProxyConfig::None,
                Some(RawProxy::Address(text)) => ProxyConfig::Address(uri::proxy(text).ok()?),
                Some(RawProxy::Env(name)) => ProxyConfig::Reference(SecretRef::Env(name.get().clone())),
                Some(RawProxy::File(path)) => ProxyConfig::Reference(SecretRef::File(self.path(path))),
                Some(RawProxy::Command(words)) => ProxyConfig::Reference(SecretRef::Command(self.command(words))),
            },
        })
    }

    fn optional_secret(&self, reference: &Option<Spanned<SecretReference>>) -> Option<SecretRef> {
        reference.as_deref().map(|reference| self.secret(reference))
    }
}

fn gitlab(raw: &RawGitlab, beside: &Beside<'_>) -> Option<GitlabConfig> {
    let url = uri::base(raw.url.as_deref()?).ok()?;
    let admin_session = match raw.admin_session.as_deref() {
        None => None,
        Some(session) => Some(AdminSessionConfig {
            sign_in: match beside.optional_secret(&session.cookie) {
                Some(cookie) => AdminSignIn::Cookie(cookie),
                None => AdminSignIn::Account {
                    username: text(&session.username)?,
                    password: beside.optional_secret(&session.password)?,
                    totp_secret: beside.optional_secret(&session.totp_secret),
                    provider: text(&session.provider),
                },
            },
            used: copied(&session.r#use).unwrap_or_default(),
        }),
    };
    Some(GitlabConfig {
        external_url: base_or(&raw.external_url, url.as_str())?,
        token: beside.optional_secret(&raw.token)?,
        way: beside.way(raw.way())?,
        admin_session,
        url,
    })
}

fn factory(raw: Option<&RawFactory>, beside: &Beside<'_>) -> Option<FactoryConfig> {
    let region = raw.and_then(|raw| copied(&raw.region)).unwrap_or_default();
    let none = None;
    Some(FactoryConfig {
        driver: raw.and_then(|raw| copied(&raw.driver)).unwrap_or_default(),
        region,
        api_url: base_or(raw.map_or(&none, |raw| &raw.api_url), region.api_url())?,
        app_url: base_or(raw.map_or(&none, |raw| &raw.app_url), region.app_url())?,
        token: raw.and_then(|raw| beside.optional_secret(&raw.token)),
        way: raw.map_or_else(|| Some(WayConfig::of("factory")), |raw| beside.way(raw.way()))?,
    })
}

fn desired_application(raw: &RawApplication) -> Option<ApplicationFields> {
    Some(ApplicationFields {
        name: text(&raw.name).unwrap_or_else(|| DEFAULT_APPLICATION_NAME.to_owned()),
        redirect_uris: texts(raw.redirect_uri.as_ref()?).into_iter().collect(),
        trusted: Known::Known(copied(&raw.trusted).unwrap_or(true)),
        confidential: copied(&raw.confidential).unwrap_or(true),
        scopes: Known::Known(raw.scopes.as_ref().map_or_else(
            || DEFAULT_SCOPES.into_iter().map(str::to_owned).collect(),
            |scopes| texts(scopes).into_iter().collect(),
        )),
    })
}

fn desired_user(raw: &RawUser) -> Option<DesiredUser> {
    Some(DesiredUser {
        fields: UserFields {
            username: text(&raw.username)?.into(),
            name: text(&raw.name).unwrap_or_else(|| DEFAULT_USER_NAME.to_owned()),
            email: text(&raw.email)?.into(),
        },
        previously: raw.previously.as_ref().map(|names| texts(names)).unwrap_or_default(),
        accept_terms: copied(&raw.accept_terms).unwrap_or(false),
        second_factor: raw.totp.is_some(),
    })
}

fn membership(raw: &RawMembership) -> Option<MembershipFields> {
    Some(MembershipFields {
        role: copied(&raw.role)?,
        expires_at: raw.expires_at.as_deref().map(|day| day.parse()).transpose().ok()?,
    })
}

fn repositories(raw: &RawRepositories) -> Option<DesiredRepositories> {
    let patterns = |list: &Option<Spanned<Vec<Text>>>| -> Option<Vec<PathPattern>> {
        let texts = list.iter().flat_map(Spanned::get);
        texts.map(|text| PathPattern::new(text).ok()).collect()
    };
    Some(DesiredRepositories {
        enable: patterns(&raw.enable)?,
        except: patterns(&raw.except)?,
        unlisted: copied(&raw.unlisted).unwrap_or_default(),
    })
}

fn secret_store(store: &RawSecretStore, beside: &Beside<'_>) -> SecretStoreConfig {
    SecretStoreConfig {
        save: store.save.as_deref().map(|save| match save {
            SecretDestination::Command(words) => SaveTo::Command(beside.command(words)),
            SecretDestination::File(path) => SaveTo::File(beside.path(path)),
        }),
        load: beside.optional_secret(&store.load),
        probe: store
            .probe
            .as_deref()
            .and_then(|probe| probe.command.as_deref())
            .map(|words| beside.command(words)),
    }
}

fn droid(raw: &RawUser, can_impersonate: bool, beside: &Beside<'_>) -> DroidConfig {
    let password = beside.optional_secret(&raw.password);
    let default = if password.is_some() {
        Some(SignIn::Password)
    } else {
        can_impersonate.then_some(SignIn::Impersonate)
    };
    DroidConfig {
        totp_secret: beside.optional_secret(&raw.totp_secret),
        totp: raw.totp.as_deref().map(|store| secret_store(store, beside)),
        provider: text(&raw.provider),
        sign_in: match copied(&raw.sign_in) {
            Some(RawSignIn::Password) => Some(SignIn::Password),
            Some(RawSignIn::Impersonate) => Some(SignIn::Impersonate),
            Some(RawSignIn::Person) => None,
            None => default,
        },
        password,
    }
}

fn guards(raw: Option<&RawGuards>) -> Guards {
    let default = Guards::default();
    Guards {
        max_removals: raw
            .and_then(|raw| copied(&raw.max_removals))
            .unwrap_or(default.max_removals),
        max_removal_percent: raw
            .and_then(|raw| copied(&raw.max_removal_percent))
            .unwrap_or(default.max_removal_percent),
    }
}

fn change_window(raw: &RawChangeWindow) -> Option<ChangeWindow> {
    Some(ChangeWindow {
        days: raw.days.as_ref()?.iter().map(|day| **day).collect(),
        start: clock_time(raw.start.as_deref()?)?,
        end: clock_time(raw.end.as_deref()?)?,
        time_zone: time_zone(raw.time_zone.as_deref()?)?,
    })
}

/// `HH:MM`, from 00:00 to 23:59.
pub(super) fn clock_time(text: &str) -> Option<Time> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| -> Option<i8> {
        (digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| digits.parse().ok())
            .flatten()
    };
    Time::new(number(hours)?, number(minutes)?, 0, 0).ok()
}

/// A zone by its IANA name.
pub(super) fn time_zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

fn state(raw: Option<&RawState>, gitlab: &GitlabConfig, beside: &Beside<'_>) -> Option<StateConfig> {
    let Some(raw) = raw else {
        return Some(StateConfig::File(beside.path(DEFAULT_STATE)));
    };
    let Some(url) = raw.url.as_deref() else {
        let path = raw.path.as_deref().map_or(DEFAULT_STATE, String::as_str);
        return Some(StateConfig::File(beside.path(path)));
    };
    let url = uri::server(url).ok()?;
    let of_gitlab = uri::is_gitlab_state(&url);
    let lock = if of_gitlab {
        uri::below(&url, "lock")
    } else {
        url.clone()
    };
    let lock_or =
        |own: &Option<Text>| -> Option<Url> { own.as_deref().map_or(Some(lock.clone()), |own| uri::server(own).ok()) };
    let method = |own: &Option<Text>, general: &str, gitlab: &str| {
        text(own).unwrap_or_else(|| if of_gitlab { gitlab } else { general }.to_owned())
    };
    Some(StateConfig::Http(Box::new(HttpStateConfig {
        lock_url: lock_or(&raw.lock_url)?,
        unlock_url: lock_or(&raw.unlock_url)?,
        lock_method: method(&raw.lock_method, "LOCK", "POST"),
        unlock_method: method(&raw.unlock_method, "UNLOCK", "DELETE"),
        username: text(&raw.username),
        password: beside.optional_secret(&raw.password),
        way: state_way(raw, &url, gitlab, beside)?,
        url,
    })))
}

/// GitLab-managed state is reached as GitLab is, unless the section says otherwise.
fn state_way(raw: &RawState, url: &Url, gitlab: &GitlabConfig, beside: &Beside<'_>) -> Option<WayConfig> {
    if raw.way().keys().next().is_none() && urls::same_origin(url, &gitlab.url) {
        return Some(gitlab.way.clone());
    }
    Some(beside.way(raw.way())?.trusting(&gitlab.way))
}

fn base_or(own: &Option<Text>, default: &str) -> Option<Url> {
    uri::base(own.as_deref().map_or(default, String::as_str)).ok()
}

fn text(own: &Option<Text>) -> Option<String> {
    own.as_deref().cloned()
}

fn texts(own: &[Text]) -> Vec<String> {
    own.iter().map(|text| text.get().clone()).collect()
}

fn copied<T: Copy>(own: &Option<Spanned<T>>) -> Option<T> {
    own.as_deref().copied()
}
