//! What an administrator has set for the whole instance, as far as it decides what is planned and how one signs in.

use serde::Deserialize;

use crate::digest::sha256;
use crate::model::{Known, TermsVersion};

/// Settings (GitLab: `lib/api/entities/application_setting.rb`). What a version does not have is taken as off.
#[expect(clippy::struct_excessive_bools, reason = "GitLab shows these as independent flags")]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct InstanceSettings {
    /// Whether the sign-in page takes passwords, as it does where nothing is said.
    #[serde(default = "yes")]
    pub password_authentication_enabled_for_web: bool,
    /// Whether everybody needs two-factor authentication.
    pub require_two_factor_authentication: bool,
    /// Whether administrators need it.
    pub require_admin_two_factor_authentication: bool,
    /// Whether the password of an account that signs in elsewhere, too, is refused as if it were wrong.
    pub disable_password_authentication_for_users_with_sso_identities: bool,
    /// Wrong passwords and codes in a row after which an account is locked; none: GitLab's own number.
    pub max_login_attempts: Option<u64>,
    /// Whether terms of service have to be accepted.
    pub enforce_terms: bool,
    pub terms: Option<String>,
    /// Whether the sign-in page may ask for a reCAPTCHA.
    pub login_recaptcha_protection_enabled: bool,
    pub admin_mode: bool,
    /// Whether administrators may not authorize applications with broad scopes.
    pub disable_admin_oauth_scopes: bool,
    /// Whether new accounts are external, which see no internal project.
    pub user_default_external: bool,
    /// The one protocol by which Git is spoken, `ssh` or `http`; none or empty: both.
    pub enabled_git_access_protocol: Option<String>,
    /// Whether accounts without activity are deactivated.
    pub deactivate_dormant_users: bool,
    /// Days after which they are.
    pub deactivate_dormant_users_period: Option<i64>,
    /// Maintenance mode; the Community Edition has none.
    pub maintenance_mode: bool,
    /// Whether a sign-in from an address that GitLab has not seen locks an account without a second factor until a code
    /// from an e-mail is given. Shown since 18.1.
    pub require_email_verification_on_account_locked: Option<bool>,
    /// `off`, `soft` or `hard`.
    pub email_confirmation_setting: Option<String>,
}

fn yes() -> bool {
    true
}

impl InstanceSettings {
    /// The terms of service that have to be accepted; none where there are none. Unknown where their text is not shown.
    pub(super) fn terms_in_force(&self) -> Known<Option<TermsVersion>> {
        if !self.enforce_terms {
            return Known::Known(None);
        }
        let version = self.terms.as_ref().map(|text| TermsVersion(sha256(text)));
        version.map_or(Known::Unknown, |version| Known::Known(Some(version)))
    }
}
