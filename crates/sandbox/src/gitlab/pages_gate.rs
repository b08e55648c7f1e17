//! What GitLab checks of a signed-in user before it shows a page, and whom it lets sign in at all.
//!
//! GitLab: `app/controllers/application_controller.rb`, `concerns/enforces_two_factor_authentication.rb`,
//! and `active_for_authentication?` of the user's model.

use axum::http::Method;
use jiff::Timestamp;

use super::pages_http::Page;
use super::pages_providers::password_allowed;
use super::pages_visit::Visit;
use super::two_factor;
use crate::world::{User, UserState, World, digest};

impl Visit<'_> {
    /// What GitLab's `ApplicationController` checks before any page of a signed-in user: the session, the account's
    /// state, two-factor set-up, the password's end, the terms of service. `Err` is the answer instead.
    pub(crate) fn authenticate(&mut self) -> Result<User, Page> {
        let user = self.authenticate_for_oauth()?;
        if user.password_expires_at.is_some_and(|end| end <= self.now) {
            return Err(self.redirect("/-/user_settings/password/new", None));
        }
        match self.before_terms(&user) {
            Some(page) => Err(page),
            None => Ok(user),
        }
    }

    /// The answer to whoever has yet to accept the terms; the page on which a second factor is set up is no exception
    /// (GitLab: `Profiles::TwoFactorAuthsController` skips only what checks the second factor).
    pub(crate) fn before_terms(&mut self, user: &User) -> Option<Page> {
        if !self.world.owes_terms(user) {
            return None;
        }
        let back = if self.request.method == Method::GET {
            self.full_path()
        } else {
            self.path("/")
        };
        let query: String = url::form_urlencoded::byte_serialize(back.as_bytes()).collect();
        Some(self.redirect(
            &format!("/-/users/terms?redirect={query}"),
            Some(("alert", "Please accept the Terms of Service before continuing.")),
        ))
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
        if let Some(reason) = sign_in_refusal(&user, self.now) {
            self.sign_out();
            return Err(self.thrown_out(reason));
        }
        let put_off = self
            .session()
            .and_then(|session| session.skip_two_factor_until)
            .is_some_and(|until| self.now < until);
        if !put_off && !self.bypasses_two_factor() && two_factor::owed(self.world, &user).is_some() {
            return Err(self.redirect("/-/profile/two_factor_auth", None));
        }
        Ok(user)
    }

    /// Whether the session's sign-in stands for a second factor.
    fn bypasses_two_factor(&self) -> bool {
        let provider = self.session().and_then(|session| session.provider.as_ref());
        provider.is_some_and(|provider| self.world.switches.bypass_two_factor_providers.contains(provider))
    }

    /// Back to the sign-in page with the reason for which Devise lets nobody in.
    pub(crate) fn thrown_out(&mut self, reason: &str) -> Page {
        let kind = if reason == UNCONFIRMED { "unconfirmed" } else { "alert" };
        self.redirect("/users/sign_in", Some((kind, reason)))
    }
}

/// What Devise says to whoever has not confirmed their address.
const UNCONFIRMED: &str = "You have to confirm your email address before continuing.";

/// Whether that is the account's password, which nobody knows where GitLab made it up, and which does not count where
/// the account signs in elsewhere.
pub(super) fn password_is(world: &World, user: &User, password: Option<&str>) -> bool {
    !user.password_automatically_set
        && password_allowed(world, user)
        && !user.password_digest.is_empty()
        && password.is_some_and(|password| digest(password) == user.password_digest)
}

/// Why Devise lets nobody in under this account, or `None`. A deactivated one may come in: that activates it.
pub(crate) fn sign_in_refusal(user: &User, now: Timestamp) -> Option<&'static str> {
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
        UserState::Active | UserState::Deactivated if user.confirmed_at.is_none() => Some(UNCONFIRMED),
        UserState::Active | UserState::Deactivated if user.is_locked(now) => Some("Your account is locked."),
        UserState::Active | UserState::Deactivated => None,
    }
}
