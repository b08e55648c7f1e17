//! The file's shape: one set of types from which both the parser and the JSON Schema are derived, so that they cannot
//! disagree. The doc comments here are what an editor shows beside a key.
//!
//! Every key is an `Option`, also those that the schema requires: what the structural walk found wrong is taken out
//! before this is parsed, and the checks of meaning still run over the rest.

use std::borrow::Cow;
use std::ops::{Deref, Range};

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

use crate::model::{Day, Role, Unlisted};

use super::types::{Driver, Region, SessionUse};

/// The scopes that Factory's guide asks for.
pub(super) const DEFAULT_SCOPES: [&str; 7] = [
    "api",
    "read_api",
    "read_user",
    "read_repository",
    "write_repository",
    "read_observability",
    "write_observability",
];

/// A value and the bytes of the file it came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Spanned<T>(toml::Spanned<T>);

impl<T> Spanned<T> {
    /// Where it stands.
    pub(super) fn span(&self) -> Range<usize> {
        self.0.span()
    }

    /// The value without its place.
    pub(super) fn get(&self) -> &T {
        self.0.get_ref()
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.get_ref()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        toml::Spanned::deserialize(deserializer).map(Self)
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A text with its place.
pub(super) type Text = Spanned<String>;

/// How the integration of a self-hosted GitLab with Factory should be.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "setpoint.toml", rename = "Configuration")]
pub(super) struct RawConfig {
    /// How to reach GitLab.
    #[schemars(required)]
    pub(super) gitlab: Option<Spanned<RawGitlab>>,
    /// How to reach Factory. Left out, the driver is `assisted` and the region `us`.
    pub(super) factory: Option<Spanned<RawFactory>>,
    /// The instance-wide OAuth application in GitLab.
    #[schemars(required)]
    pub(super) application: Option<Spanned<RawApplication>>,
    /// The GitLab user as whom Factory acts.
    #[schemars(required)]
    pub(super) user: Option<Spanned<RawUser>>,
    /// The repositories that are enabled in Factory.
    #[schemars(required)]
    pub(super) repositories: Option<Spanned<RawRepositories>>,
    /// How far one apply may go.
    pub(super) guards: Option<Spanned<RawGuards>>,
    /// When `apply` may run. None: always.
    pub(super) change_windows: Option<Vec<Spanned<RawChangeWindow>>>,
    /// Where the state record is kept. Left out: `.setpoint/state.json` beside the configuration.
    pub(super) state: Option<Spanned<RawState>>,
    /// How to reach the webhook that `drift --notify` names.
    pub(super) notify: Option<Spanned<RawNotify>>,
}

/// How to reach GitLab.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Gitlab")]
pub(super) struct RawGitlab {
    /// Where Setpoint talks to GitLab. A relative URL root may follow the host.
    #[schemars(required, extend("format" = "uri"))]
    pub(super) url: Option<Text>,
    /// The URL that Factory is given as Domain. Left out: `url`.
    #[schemars(extend("format" = "uri"))]
    pub(super) external_url: Option<Text>,
    /// An administrator's personal access token with the scope `api`, and `admin_mode` where Admin Mode is on.
    #[schemars(required)]
    pub(super) token: Option<Spanned<SecretReference>>,
    /// A PEM file of certificates that are added to the system's roots.
    #[schemars(length(min = 1))]
    pub(super) ca_file: Option<Text>,
    /// A PEM file of the certificate that is shown to a server which asks for one, followed by those of the authorities
    /// between. Goes with `client_key_file`.
    #[schemars(length(min = 1))]
    pub(super) client_cert_file: Option<Text>,
    /// A PEM file of that certificate's private key, without a passphrase.
    #[schemars(length(min = 1))]
    pub(super) client_key_file: Option<Text>,
    /// Headers that `url` gets with each request, such as a gateway's token: references to their values.
    pub(super) headers: Option<IndexMap<Text, Spanned<SecretReference>>>,
    /// The proxy on the way to `url`, or `none`; with a user name and password, a reference to the address. Left out: what
    /// the environment's variables say.
    pub(super) proxy: Option<Spanned<RawProxy>>,
    /// A web session for what GitLab's API cannot do: trusted, in-place edits of the application, impersonation.
    pub(super) admin_session: Option<Spanned<RawAdminSession>>,
}

/// An administrator's web session.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AdminSession")]
pub(super) struct RawAdminSession {
    /// The administrator's username.
    #[schemars(length(min = 1))]
    pub(super) username: Option<Text>,
    /// The administrator's password.
    pub(super) password: Option<Spanned<SecretReference>>,
    /// The base32 key of the administrator's authenticator (RFC 6238), where GitLab asks for codes.
    pub(super) totp_secret: Option<Spanned<SecretReference>>,
    /// The LDAP server whose sign-in form takes the password, such as `ldapmain`. Left out: GitLab's own form.
    #[schemars(length(min = 1))]
    pub(super) provider: Option<Text>,
    /// The cookie `_gitlab_session` of a session that a person opened in a browser, in place of `username` and
    /// `password`: for administrators who sign in by single sign-on only. Where the reference gives nothing, `apply` asks for
    /// it on a terminal, without showing it.
    pub(super) cookie: Option<Spanned<SecretReference>>,
    /// When the session is opened: whenever it shows something (`always`), or not for `plan` and `drift` (`apply`),
    /// which then take from the record what only it shows.
    #[schemars(extend("default" = "always"))]
    pub(super) r#use: Option<Spanned<SessionUse>>,
}

/// How to reach Factory.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Factory")]
pub(super) struct RawFactory {
    /// Who does Factory's half: a guided person (`assisted`) or Setpoint (`api`).
    #[schemars(extend("default" = "assisted"))]
    pub(super) driver: Option<Spanned<Driver>>,
    /// Where the organization lives; sets the two hosts.
    #[schemars(extend("default" = "us"))]
    pub(super) region: Option<Spanned<Region>>,
    /// The API host, instead of the region's.
    #[schemars(extend("format" = "uri"))]
    pub(super) api_url: Option<Text>,
    /// The web application's host, instead of the region's.
    #[schemars(extend("format" = "uri"))]
    pub(super) app_url: Option<Text>,
    /// A Factory API key of an Owner or Manager. Required by the driver `api`.
    pub(super) token: Option<Spanned<SecretReference>>,
    /// A PEM file of certificates that are added to the system's roots.
    #[schemars(length(min = 1))]
    pub(super) ca_file: Option<Text>,
    /// A PEM file of the certificate that is shown to a server which asks for one, followed by those of the authorities
    /// between. Goes with `client_key_file`.
    #[schemars(length(min = 1))]
    pub(super) client_cert_file: Option<Text>,
    /// A PEM file of that certificate's private key, without a passphrase.
    #[schemars(length(min = 1))]
    pub(super) client_key_file: Option<Text>,
    /// Headers that `api_url` gets with each request, such as a gateway's token: references to their values.
    pub(super) headers: Option<IndexMap<Text, Spanned<SecretReference>>>,
    /// The proxy on the way to Factory, or `none`; with a user name and password, a reference to the address. Left out: what
    /// the environment's variables say.
    pub(super) proxy: Option<Spanned<RawProxy>>,
}

/// The instance-wide OAuth application in GitLab.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Application")]
pub(super) struct RawApplication {
    /// The application's name.
    #[schemars(length(min = 1), extend("default" = "Factory Integration"))]
    pub(super) name: Option<Text>,
    /// The redirect URI, or several.
    #[schemars(required, schema_with = "one_or_many_uris")]
    pub(super) redirect_uri: Option<Spanned<Vec<Text>>>,
    /// Whether GitLab skips the consent page.
    #[schemars(extend("default" = true))]
    pub(super) trusted: Option<Spanned<bool>>,
    /// Whether the application keeps a secret.
    #[schemars(extend("default" = true))]
    pub(super) confidential: Option<Spanned<bool>>,
    /// OAuth scopes.
    #[schemars(length(min = 1), extend("uniqueItems" = true, "default" = DEFAULT_SCOPES))]
    pub(super) scopes: Option<Spanned<Vec<Text>>>,
    /// Where the secret that GitLab shows once is kept.
    pub(super) secret: Option<Spanned<RawSecretStore>>,
}

/// Where the secret that GitLab shows once is kept.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SecretStore")]
pub(super) struct RawSecretStore {
    /// Takes a new secret, before Factory gets it.
    pub(super) save: Option<Spanned<SecretDestination>>,
    /// Gives the secret back.
    pub(super) load: Option<Spanned<SecretReference>>,
    /// Run before a secret is made: it succeeds where `save` will.
    pub(super) probe: Option<Spanned<RawProbe>>,
}

/// A command that looks without changing anything.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Probe")]
pub(super) struct RawProbe {
    /// A program and its arguments, run without a shell.
    #[schemars(required, length(min = 1))]
    pub(super) command: Option<Spanned<Vec<Text>>>,
}

/// The GitLab user as whom Factory acts.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "User")]
pub(super) struct RawUser {
    /// Display name.
    #[schemars(length(min = 1), extend("default" = "Factory Droid"))]
    pub(super) name: Option<Text>,
    /// Username. It identifies the account.
    #[schemars(required, length(min = 1))]
    pub(super) username: Option<Text>,
    /// Primary e-mail address.
    #[schemars(required, length(min = 3))]
    pub(super) email: Option<Text>,
    /// Earlier usernames: an account found under one of them is renamed.
    pub(super) previously: Option<Spanned<Vec<Text>>>,
    /// The password that the account gets at its creation and is signed in with.
    pub(super) password: Option<Spanned<SecretReference>>,
    /// The base32 key of the account's authenticator (RFC 6238), where GitLab asks for codes.
    pub(super) totp_secret: Option<Spanned<SecretReference>>,
    /// Where the key of an authenticator is kept that Setpoint registers for this user, with its recovery codes; in place
    /// of `totp_secret`.
    pub(super) totp: Option<Spanned<RawSecretStore>>,
    /// The LDAP server whose sign-in form takes the password, such as `ldapmain`. Left out: GitLab's own form.
    #[schemars(length(min = 1))]
    pub(super) provider: Option<Text>,
    /// Who signs in as this user to approve Factory's access. Left out: Setpoint by password if there is one, else by
    /// impersonation if there is an administrator's session, else a person.
    pub(super) sign_in: Option<Spanned<RawSignIn>>,
    /// Whether Setpoint accepts GitLab's terms of service as this user, also later ones. Left out, that is a step for a
    /// person.
    #[schemars(extend("default" = false))]
    pub(super) accept_terms: Option<Spanned<bool>>,
    /// The user's direct role by the full path of a group or project.
    pub(super) memberships: Option<IndexMap<Text, Spanned<RoleOrMembership>>>,
}

/// Who signs in as the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SignIn")]
pub(super) enum RawSignIn {
    /// Through the sign-in form, with its password and, where asked, a TOTP code.
    Password,
    /// From the administrator's web session.
    Impersonate,
    /// A person in a browser, at an address that Setpoint shows.
    Person,
}

/// What the user may do in a group or project.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Membership")]
pub(super) struct RawMembership {
    /// The direct role.
    #[schemars(required)]
    pub(super) role: Option<Spanned<Role>>,
    /// The day on which GitLab takes the role away, as YYYY-MM-DD. Left out: none.
    #[schemars(extend("format" = "date"))]
    pub(super) expires_at: Option<Text>,
}

/// A role, or a table of it and more. The walk turns the former into the latter before the types see it.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct RoleOrMembership(pub(super) RawMembership);

impl JsonSchema for RoleOrMembership {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "RoleOrMembership".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (role, membership) = (
            generator.subschema_for::<Role>(),
            generator.subschema_for::<RawMembership>(),
        );
        schemars::json_schema!({ "anyOf": [role, membership] })
    }
}

/// The repositories that are enabled in Factory.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Repositories")]
pub(super) struct RawRepositories {
    /// Full paths and globs; `*` stays within a segment, `**` crosses segments.
    #[schemars(required)]
    pub(super) enable: Option<Spanned<Vec<Text>>>,
    /// Full paths and globs that are taken out of `enable` again.
    pub(super) except: Option<Spanned<Vec<Text>>>,
    /// What becomes of repositories that are enabled in Factory but not listed.
    #[schemars(extend("default" = "keep"))]
    pub(super) unlisted: Option<Spanned<Unlisted>>,
}

/// How far one apply may go.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Guards")]
pub(super) struct RawGuards {
    /// Disables and deletions in one apply, at most.
    #[schemars(extend("default" = 10))]
    pub(super) max_removals: Option<Spanned<u64>>,
    /// The same as a percentage of what is enabled now; the lower of the two counts.
    #[schemars(range(max = 100), extend("default" = 25))]
    pub(super) max_removal_percent: Option<Spanned<u64>>,
    /// Whether the application may be replaced, which drops every token of the old one.
    #[schemars(extend("default" = false))]
    pub(super) replace_application: Option<Spanned<bool>>,
    /// Whether, with `--auto-approve`, Factory may be cut off until a person ends it.
    #[schemars(extend("default" = false))]
    pub(super) interruption: Option<Spanned<bool>>,
}

/// A span of the week in which `apply` may run.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChangeWindow")]
pub(super) struct RawChangeWindow {
    /// The days on which the window opens.
    #[schemars(required, length(min = 1), extend("uniqueItems" = true))]
    pub(super) days: Option<Spanned<Vec<Spanned<Day>>>>,
    /// When it opens, as HH:MM.
    #[schemars(required, schema_with = "clock_time")]
    pub(super) start: Option<Text>,
    /// When it closes, as HH:MM; on the next day where it is before `start`.
    #[schemars(required, schema_with = "clock_time")]
    pub(super) end: Option<Text>,
    /// The time zone of both, by its IANA name.
    #[schemars(required, length(min = 1))]
    pub(super) time_zone: Option<Text>,
}

/// Where the state record is kept: either `path`, or `url` and what belongs to it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "State")]
pub(super) struct RawState {
    /// A local file.
    #[schemars(length(min = 1))]
    pub(super) path: Option<Text>,
    /// An address that speaks Terraform's HTTP backend protocol, such as GitLab-managed Terraform state.
    #[schemars(extend("format" = "uri"))]
    pub(super) url: Option<Text>,
    /// Where the lock is taken. Left out: `url`, or `url/lock` for GitLab-managed state.
    #[schemars(extend("format" = "uri"))]
    pub(super) lock_url: Option<Text>,
    /// Where the lock is given back. Left out: `url`, or `url/lock` for GitLab-managed state.
    #[schemars(extend("format" = "uri"))]
    pub(super) unlock_url: Option<Text>,
    /// The method that takes the lock. Left out: `LOCK`, or `POST` for GitLab-managed state.
    #[schemars(length(min = 1))]
    pub(super) lock_method: Option<Text>,
    /// The method that gives it back. Left out: `UNLOCK`, or `DELETE` for GitLab-managed state.
    #[schemars(length(min = 1))]
    pub(super) unlock_method: Option<Text>,
    /// For HTTP basic authentication.
    #[schemars(length(min = 1))]
    pub(super) username: Option<Text>,
    /// For HTTP basic authentication.
    pub(super) password: Option<Spanned<SecretReference>>,
    /// A PEM file of certificates that are added to the system's roots. Left out: `gitlab.ca_file`.
    #[schemars(length(min = 1))]
    pub(super) ca_file: Option<Text>,
    /// A PEM file of the certificate that is shown to a server which asks for one, followed by those of the authorities
    /// between. Goes with `client_key_file`.
    #[schemars(length(min = 1))]
    pub(super) client_cert_file: Option<Text>,
    /// A PEM file of that certificate's private key, without a passphrase.
    #[schemars(length(min = 1))]
    pub(super) client_key_file: Option<Text>,
    /// Headers that `url` gets with each request, such as a gateway's token: references to their values.
    pub(super) headers: Option<IndexMap<Text, Spanned<SecretReference>>>,
    /// The proxy on the way to `url`, or `none`; with a user name and password, a reference to the address. Left out: what
    /// the environment's variables say.
    pub(super) proxy: Option<Spanned<RawProxy>>,
}

/// How to reach the webhook that `drift --notify` names.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Notify")]
pub(super) struct RawNotify {
    /// A PEM file of certificates that are added to the system's roots. Left out: `gitlab.ca_file`.
    #[schemars(length(min = 1))]
    pub(super) ca_file: Option<Text>,
    /// A PEM file of the certificate that is shown to a server which asks for one, followed by those of the authorities
    /// between. Goes with `client_key_file`.
    #[schemars(length(min = 1))]
    pub(super) client_cert_file: Option<Text>,
    /// A PEM file of that certificate's private key, without a passphrase.
    #[schemars(length(min = 1))]
    pub(super) client_key_file: Option<Text>,
    /// Headers that the webhook gets with each request, such as a gateway's token: references to their values.
    pub(super) headers: Option<IndexMap<Text, Spanned<SecretReference>>>,
    /// The proxy on the way to the webhook, or `none`; with a user name and password, a reference to the address. Left out:
    /// what the environment's variables say.
    pub(super) proxy: Option<Spanned<RawProxy>>,
}

/// The keys of a section that say how requests get to its server.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawWay<'a> {
    /// The section.
    pub(super) section: &'static str,
    pub(super) ca_file: Option<&'a Text>,
    pub(super) client_cert_file: Option<&'a Text>,
    pub(super) client_key_file: Option<&'a Text>,
    pub(super) headers: Option<&'a IndexMap<Text, Spanned<SecretReference>>>,
    pub(super) proxy: Option<&'a Spanned<RawProxy>>,
}

impl RawWay<'_> {
    /// The keys that are there, and where.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&'static str, Range<usize>)> {
        [
            ("ca_file", self.ca_file.map(Spanned::span)),
            ("client_cert_file", self.client_cert_file.map(Spanned::span)),
            ("client_key_file", self.client_key_file.map(Spanned::span)),
            (
                "headers",
                self.headers
                    .and_then(|headers| headers.keys().next())
                    .map(Spanned::span),
            ),
            ("proxy", self.proxy.map(Spanned::span)),
        ]
        .into_iter()
        .filter_map(|(key, span)| Some((key, span?)))
    }
}

/// Gives the way of each section that has one.
macro_rules! way {
    ($($raw:ident: $section:literal,)*) => {
        $(impl $raw {
            pub(super) fn way(&self) -> RawWay<'_> {
                RawWay {
                    section: $section,
                    ca_file: self.ca_file.as_ref(),
                    client_cert_file: self.client_cert_file.as_ref(),
                    client_key_file: self.client_key_file.as_ref(),
                    headers: self.headers.as_ref(),
                    proxy: self.proxy.as_ref(),
                }
            }
        })*
    };
}

way! {
    RawGitlab: "gitlab",
    RawFactory: "factory",
    RawState: "state",
    RawNotify: "notify",
}

impl RawConfig {
    /// The ways of all sections that are there.
    pub(super) fn ways(&self) -> Vec<RawWay<'_>> {
        let Self {
            gitlab,
            factory,
            state,
            notify,
            ..
        } = self;
        [
            gitlab.as_ref().map(|gitlab| gitlab.way()),
            factory.as_ref().map(|factory| factory.way()),
            state.as_ref().map(|state| state.way()),
            notify.as_ref().map(|notify| notify.way()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// A proxy: its address, `none`, or a reference to an address that may hold a password. The walk puts a text that stands
/// alone under `address` before the types see it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawProxy {
    Address(Text),
    Env(Text),
    File(Text),
    Command(Spanned<Vec<Text>>),
}

impl JsonSchema for RawProxy {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Proxy".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let reference = generator.subschema_for::<SecretReference>();
        schemars::json_schema!({ "anyOf": [{ "type": "string", "minLength": 1 }, reference] })
    }
}

/// Where a secret is kept: a table with exactly one of `env`, `file` and `command`. Never the secret itself.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SecretReference {
    /// The name of an environment variable that holds the secret.
    Env(Text),
    /// A file that holds the secret.
    File(Text),
    /// A program and its arguments, run without a shell, that prints the secret.
    Command(Spanned<Vec<Text>>),
}

/// What takes a new secret: a table with exactly one of `command` and `file`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SecretDestination {
    /// A program and its arguments, run without a shell, that gets the secret on standard input.
    Command(Spanned<Vec<Text>>),
    /// A file that only its owner may read.
    File(Text),
}

/// A URI, or an array of them. The walk turns the former into the latter before the types see it.
fn one_or_many_uris(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({
        "anyOf": [
            { "type": "string", "format": "uri" },
            { "type": "array", "items": { "type": "string", "format": "uri" }, "minItems": 1, "uniqueItems": true },
        ]
    })
}

fn clock_time(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$" })
}
