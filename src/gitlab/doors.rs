//! Whether a sign-in can do harm, asked over the API before a password is sent anywhere.
//!
//! Where GitLab verifies sign-ins by e-mail, the *right* password from an address that it has not seen locks an account
//! that has no second factor (GitLab: `app/controllers/concerns/verifies_with_email.rb`): an administrator's with all its
//! tokens, the droid's and with it Factory. It also takes no more than five sign-ins in ten minutes of such an account. A
//! run that only reads must not do that, and one that writes must not either. All of this is about GitLab's own form: who
//! signs in by the form of an LDAP server comes in by another door (GitLab: `omniauth_callbacks_controller.rb`).

use async_trait::async_trait;

use super::api::GitlabApi;
use super::settings::InstanceSettings;
use super::{GitlabInspect as _, GitlabRead as _};
use crate::http::Result;
use crate::model::{ObservedUser, TermsVersion};
use crate::secrets::RemoteText;

/// A sign-in that is considered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// The account: username, or e-mail address.
    pub username: String,
    /// The configuration's table with its password.
    pub table: &'static str,
    /// Where the key of its authenticator comes from.
    pub key_place: KeyPlace,
    /// Whether that key is there.
    pub has_totp: bool,
    /// Whether the password goes to the form of an LDAP server.
    pub by_directory: bool,
}

/// Where the key of an account's authenticator comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPlace {
    /// `totp_secret` of the account's table.
    Secret,
    /// `user.totp`, where Setpoint keeps it.
    Kept,
}

impl Door {
    /// What the configuration calls the place of that key.
    pub fn key(&self) -> String {
        match self.key_place {
            KeyPlace::Secret => format!("{}.totp_secret", self.table),
            KeyPlace::Kept => "user.totp.load".to_owned(),
        }
    }

    /// What to do with that key.
    pub fn give_key(&self) -> String {
        let key = self.key();
        match self.key_place {
            KeyPlace::Secret => format!("give its key as {key}"),
            KeyPlace::Kept => format!("put its key where {key} reads it"),
        }
    }
}

/// Says whether nobody may sign in, and why somebody could not.
#[async_trait]
pub trait Doorkeeper: Send + Sync {
    /// What harm a sign-in would do, or that GitLab would not take the password, and the way out; none where neither is so.
    async fn harm(&self, door: &Door) -> Result<Option<Harm>>;
    /// The terms of service that have to be accepted at this moment; none where there are none.
    async fn terms_now(&self) -> Result<Option<TermsVersion>>;
    /// The account of this username or e-mail address; none where there is none.
    async fn account(&self, login: &str) -> Result<Option<Resident>>;
    /// Is told of a sign-in that GitLab took, or refused for its password or code, which brings the account's lock nearer.
    fn tried(&self, _door: &Door, _was_refused: bool) {}
}

/// An account that is to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    pub user: ObservedUser,
    /// The providers that it can sign in by, such as `ldapmain` or `saml`.
    pub providers: Vec<RemoteText>,
    /// Whether GitLab refuses its password as if it were wrong, however right it is, because it signs in by those.
    pub has_no_password: bool,
}

impl Resident {
    /// Whether a directory is among the providers.
    pub fn is_of_directory(&self) -> bool {
        self.providers
            .iter()
            .any(|provider| provider.as_str().starts_with("ldap"))
    }
}

/// What a sign-in would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Harm {
    /// What, as a sentence.
    pub message: String,
    pub way_out: String,
}

#[async_trait]
impl Doorkeeper for GitlabApi {
    async fn harm(&self, door: &Door) -> Result<Option<Harm>> {
        if door.by_directory {
            return Ok(None);
        }
        let settings = self.settings().await?;
        if !settings.password_authentication_enabled_for_web {
            return Ok(Some(Harm::passwords_off(door)));
        }
        if settings.require_email_verification_on_account_locked != Some(true) {
            return Ok(None);
        }
        // Only an authenticator that GitLab knows of spares the account.
        let is_spared = door.has_totp
            && self
                .account(&door.username)
                .await?
                .is_some_and(|resident| resident.user.two_factor);
        Ok((!is_spared).then(|| Harm::verification(door)))
    }

    async fn terms_now(&self) -> Result<Option<TermsVersion>> {
        let request = self.get(&["application", "settings"]);
        let settings: InstanceSettings = self.client.json(request).await?;
        Ok(settings.terms_in_force().known().flatten())
    }

    async fn account(&self, login: &str) -> Result<Option<Resident>> {
        let username = if login.contains('@') {
            self.user_with_email(login).await?
        } else {
            Some(login.to_owned())
        };
        let Some(username) = username else {
            return Ok(None);
        };
        let (_, row) = self.user_row(&username).await?;
        let Some(mut row) = row else {
            return Ok(None);
        };
        let identities = row.identities.take().unwrap_or_default();
        let Some(user) = row.observed() else {
            return Ok(None);
        };
        let mut resident = Resident {
            user,
            providers: identities.into_iter().map(|identity| identity.provider).collect(),
            has_no_password: false,
        };
        resident.has_no_password = resident.is_of_directory()
            || (!resident.providers.is_empty()
                && self
                    .settings()
                    .await?
                    .disable_password_authentication_for_users_with_sso_identities);
        Ok(Some(resident))
    }
}

impl Harm {
    fn passwords_off(door: &Door) -> Self {
        let other_way = match door.table {
            "user" => "let an administrator whose sign-in works do it (user.sign_in = \"impersonate\")",
            _ => {
                "give the form of an LDAP server as gitlab.admin_session.provider, or the cookie of a session that a person opened"
            }
        };
        Self {
            message: format!(
                "nobody signs in as {}: GitLab does not take passwords on its sign-in page",
                door.username
            ),
            way_out: format!(
                "{other_way}, or allow password authentication for the web interface (Admin area > Settings > General > \
                 Sign-in restrictions)"
            ),
        }
    }

    fn verification(door: &Door) -> Self {
        let (username, give) = (&door.username, door.give_key());
        let lacks = match (door.has_totp, door.key_place) {
            (true, _) => "GitLab knows no authenticator of it",
            (false, KeyPlace::Kept) => "user.totp.load gives no key of one",
            (false, KeyPlace::Secret) => "it has no totp_secret",
        };
        Self {
            message: format!(
                "nobody signs in as {username}: this GitLab locks an account that signs in from an address it has not seen \
                 (require_email_verification_on_account_locked), unless it has an authenticator, and {lacks}"
            ),
            way_out: format!(
                "register an authenticator for {username} (User settings > Account > Two-factor authentication), and {give}"
            ),
        }
    }
}
