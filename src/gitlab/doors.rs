//! Whether a sign-in can do harm, asked over the API before a password is sent anywhere.
//!
//! Where GitLab verifies sign-ins by e-mail, the *right* password from an address that it has not seen locks an account
//! that has no second factor (GitLab: `app/controllers/concerns/verifies_with_email.rb`): an administrator's with all its
//! tokens, the droid's and with it Factory. It also takes no more than five sign-ins in ten minutes of such an account. A
//! run that only reads must not do that, and one that writes must not either.

use async_trait::async_trait;

use super::api::GitlabApi;
use super::{GitlabInspect as _, GitlabRead as _};
use crate::http::Result;

/// A sign-in that is considered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// The account: username, or e-mail address.
    pub username: String,
    /// The configuration's table with its password and `totp_secret`.
    pub table: &'static str,
    /// Whether the key of its authenticator is configured.
    pub has_totp: bool,
}

/// Says whether nobody may sign in.
#[async_trait]
pub trait Doorkeeper: Send + Sync {
    /// What harm a sign-in would do, and the way out; none where it does none.
    async fn harm(&self, door: &Door) -> Result<Option<Harm>>;
}

/// What a sign-in would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Harm {
    /// What, as a sentence.
    pub message: String,
    /// The way out.
    pub way_out: String,
}

#[async_trait]
impl Doorkeeper for GitlabApi {
    async fn harm(&self, door: &Door) -> Result<Option<Harm>> {
        let settings = self.settings().await?;
        if settings.require_email_verification_on_account_locked != Some(true) {
            return Ok(None);
        }
        // Only an authenticator that GitLab knows of spares the account.
        let is_spared = door.has_totp && self.has_second_factor(&door.username).await?;
        Ok((!is_spared).then(|| Harm::verification(door)))
    }
}

impl GitlabApi {
    /// Whether GitLab asks this account for a second factor. An account that is not there is asked for none.
    async fn has_second_factor(&self, login: &str) -> Result<bool> {
        let username = if login.contains('@') {
            self.user_with_email(login).await?
        } else {
            Some(login.to_owned())
        };
        let user = match username {
            Some(username) => self.user(&username).await?,
            None => None,
        };
        Ok(user.is_some_and(|user| user.two_factor))
    }
}

impl Harm {
    fn verification(door: &Door) -> Self {
        let Door {
            username,
            table,
            has_totp,
        } = door;
        let lacks = if *has_totp {
            "GitLab knows no authenticator of it"
        } else {
            "it has no totp_secret"
        };
        Self {
            message: format!(
                "nobody signs in as {username}: this GitLab locks an account that signs in from an address it has not seen \
                 (require_email_verification_on_account_locked), unless it has an authenticator, and {lacks}"
            ),
            way_out: format!(
                "register an authenticator for {username} (User settings > Account > Two-factor authentication), and give its \
                 key as {table}.totp_secret"
            ),
        }
    }
}
