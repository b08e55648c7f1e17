//! What GitLab checks of a signed-in user before it shows a page, and whom it lets sign in at all.
//!
//! GitLab: `app/controllers/application_controller.rb`, `concerns/enforces_two_factor_authentication.rb`,
//! and `active_for_authentication?` of the user's model.

use axum::http::Method;

use super::pages_http::Page;
use super::pages_visit::Visit;
use crate::world::{User, UserState};

impl Visit<'_> {
    /// What GitLab's `ApplicationController` checks before any page of a signed-in user: the session, the account's
    /// state, two-factor set-up, the password's end, the terms of service. `Err` is the answer instead.
    pub(crate) fn authenticate(&mut self) -> Result<User, Page> {
        let user = self.authenticate_for_oauth()?;
        if user.password_expires_at.is_some_and(|end| end <= self.now) {
            return Err(self.redirect("/-/user_settings/password/new", None));
        }
        if self.world.switches.enforce_terms && user.terms_accepted_at.is_none() && !user.internal {
            let back = if self.request.method == Method::GET {
                self.full_path()
            } else {
                self.path("/")
            };
            let query: String = url::form_urlencoded::byte_serialize(back.as_bytes()).collect();
            return Err(self.redirect(
                &format!("/-/users/terms?redirect={query}"),
                Some(("alert", "Please accept the Terms of Service before continuing.")),
            ));
        }
        Ok(user)
    }

    /// The lesser checks of the OAuth pages: `BaseDoorkeeperController` asks for a session and for two-factor set-up only.
    pub(crate) fn authenticate_for_oauth(&mut self) -> Result<User, Page> {
        let Some(user) = self.current_user() else {
            if self.request.method == Method::GET {
                let back = self.full_path();
                self.session_mut().return_to = Some(back);
            }
            return Err(self.redirect(
                "/users/sign_in",
                Some(("alert", "You need to sign in or sign up before continuing.")),
            ));
        };
        if let Some(reason) = sign_in_refusal(&user) {
            self.sign_out();
            return Err(self.redirect("/users/sign_in", Some(("alert", reason))));
        }
        if self.world.switches.require_two_factor && user.totp_secret.is_none() {
            return Err(self.redirect(
                "/-/profile/two_factor_auth",
                Some((
                    "alert",
                    "The global settings require you to enable Two-Factor Authentication for your account.",
                )),
            ));
        }
        Ok(user)
    }
}

/// Why Devise lets nobody in under this account, or `None`. A deactivated one may come in: that activates it.
pub(crate) fn sign_in_refusal(user: &User) -> Option<&'static str> {
    match user.state {
        UserState::Blocked | UserState::LdapBlocked | UserState::Banned => {
            Some("Your account has been blocked. Contact your GitLab administrator.")
        }
        UserState::BlockedPendingApproval => {
            Some("Your account is pending approval from your GitLab administrator and hence blocked.")
        }
        UserState::Active | UserState::Deactivated if user.internal => {
            Some("Your account does not have the required permission to login.")
        }
        UserState::Active | UserState::Deactivated if user.confirmed_at.is_none() => {
            Some("You have to confirm your email address before continuing.")
        }
        UserState::Active | UserState::Deactivated => None,
    }
}
