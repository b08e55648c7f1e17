//! Where credentials come from: the references of the configuration, or the fixed and fake ones of the sandbox.

use super::error::{Failure, Result};
use crate::secrets::{Secret, SecretRef};

/// Where credentials come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// The references of the configuration are followed. What a command said is told `to_a_person` only.
    Configured { to_a_person: bool },
    /// No reference is followed; the sandbox's own credentials stand in.
    #[cfg(feature = "sandbox")]
    Sandbox,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CredentialName {
    GitlabToken,
    AdminPassword,
    AdminTotp,
    AdminCookie,
    DroidPassword,
    DroidTotp,
    FactoryToken,
    StatePassword,
}

impl CredentialName {
    /// Its place in the configuration.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::GitlabToken => "gitlab.token",
            Self::AdminPassword => "gitlab.admin_session.password",
            Self::AdminTotp => "gitlab.admin_session.totp_secret",
            Self::AdminCookie => "gitlab.admin_session.cookie",
            Self::DroidPassword => "user.password",
            Self::DroidTotp => "user.totp_secret",
            Self::FactoryToken => "factory.token",
            Self::StatePassword => "state.password",
        }
    }

    #[cfg(feature = "sandbox")]
    fn of_sandbox(self) -> Option<Secret> {
        use crate::sandbox::{DROID_PASSWORD, FACTORY_KEY, ROOT_PASSWORD, ROOT_TOKEN};
        let text = match self {
            Self::GitlabToken => ROOT_TOKEN,
            Self::AdminPassword => ROOT_PASSWORD,
            Self::DroidPassword => DROID_PASSWORD,
            Self::FactoryToken => FACTORY_KEY,
            Self::AdminTotp | Self::AdminCookie | Self::DroidTotp | Self::StatePassword => return None,
        };
        Some(Secret::new(text))
    }
}

impl Credentials {
    /// The credential, or none where the reference yields nothing or there is no reference.
    pub(crate) async fn find(self, name: CredentialName, reference: Option<&SecretRef>) -> Result<Option<Secret>> {
        let Some(reference) = reference else {
            return Ok(None);
        };
        match self {
            #[cfg(feature = "sandbox")]
            Self::Sandbox => Ok(name.of_sandbox()),
            Self::Configured { to_a_person } => find(name.as_str(), reference, to_a_person).await,
        }
    }

    /// The credential, which has to be there.
    pub(crate) async fn need(self, name: CredentialName, reference: &SecretRef) -> Result<Secret> {
        let found = self.find(name, Some(reference)).await?;
        found.ok_or_else(|| absent(name.as_str(), reference))
    }
}

/// What a reference at a place of the configuration yields, or none.
async fn find(place: &str, reference: &SecretRef, to_a_person: bool) -> Result<Option<Secret>> {
    reference.resolve().await.map_err(|error| {
        Failure::new(error.told(to_a_person))
            .hint(error.hint)
            .context(format!("`{place}` cannot be read"))
    })
}

/// The same, which has to be there.
pub(crate) async fn need(place: &str, reference: &SecretRef, to_a_person: bool) -> Result<Secret> {
    let found = find(place, reference, to_a_person).await?;
    found.ok_or_else(|| absent(place, reference))
}

/// The failure of a reference at a place of the configuration that gives nothing.
pub(crate) fn absent(place: &str, reference: &SecretRef) -> Failure {
    let (message, hint) = missing(place, reference);
    Failure::new(message).hint(format!(
        "{hint}; to try Setpoint without any credentials, add --sandbox"
    ))
}

/// What to say, and what to do, where the reference at a place of the configuration gives nothing.
pub(crate) fn missing(place: &str, reference: &SecretRef) -> (String, String) {
    let (what, hint) = match reference {
        SecretRef::Env(name) => (
            format!("the environment variable {name} is not set, or empty"),
            format!("set {name}"),
        ),
        other => (
            format!("{other} gives nothing"),
            format!("see to it that {other} gives it"),
        ),
    };
    (format!("there is no `{place}`: {what}"), hint)
}
