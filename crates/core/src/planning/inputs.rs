//! The planner's arguments as one value, with the few questions that several resources ask of them.

use crate::diff::Origins;
use crate::model::{
    Actions, Address, AttributeChange, Change, Desired, FactorySource, IntegrationStatus, Observed,
    ObservedIntegration, ObservedUser, Policy, Reason, RecordedState, SignIn,
};

use super::builder::change;

/// What a plan follows from.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) desired: &'a Desired,
    pub(crate) observed: &'a Observed,
    pub(crate) recorded: &'a RecordedState,
    pub(crate) policy: &'a Policy,
}

impl<'a> Inputs<'a> {
    /// Whether there is an administrator's web session that may be opened.
    pub(crate) fn admin_session(&self) -> bool {
        self.policy.admin_session && self.closed_admin().is_none()
    }

    /// Why the administrator's web session, which is configured, is not opened.
    pub(crate) fn closed_admin(&self) -> Option<&'a str> {
        self.observed
            .gitlab
            .closed
            .admin
            .as_deref()
            .filter(|_| self.policy.admin_session)
    }

    /// Why nobody becomes the droid in the way that is configured.
    pub(crate) fn closed_droid(&self) -> Option<&'a str> {
        match self.policy.sign_in? {
            SignIn::Password => self.observed.gitlab.closed.droid.as_deref(),
            SignIn::Impersonate => self.closed_admin(),
        }
    }

    /// Whether Factory's side is known from attestations only, and changed by a person.
    pub(crate) fn attested(&self) -> bool {
        match self.observed.factory.source {
            FactorySource::Attested => true,
            FactorySource::Live => false,
        }
    }

    /// The integration, live or attested.
    pub(crate) fn integration(&self) -> Option<&'a ObservedIntegration> {
        self.observed.factory.integration.as_ref()
    }

    /// The droid's account, if there is one.
    pub(crate) fn droid(&self) -> Option<&'a ObservedUser> {
        self.observed.gitlab.user.as_ref()
    }

    /// Whether an earlier run announced a write here and never saw its end: what differs then is unfinished, not drift.
    pub(crate) fn interrupted(&self, address: &Address) -> bool {
        self.recorded.intents_of(address).next().is_some()
    }

    /// A change whose origin is what the comparisons found, or that of an interrupted run.
    pub(crate) fn change(
        &self,
        address: Address,
        actions: Actions,
        reason: Reason,
        origins: Origins,
        attributes: Vec<AttributeChange>,
    ) -> Change {
        let origin = origins.resolve(self.interrupted(&address));
        Change {
            attributes,
            ..change(address, actions, reason, origin)
        }
    }

    /// Whether Factory acts as the droid now: as the very account, for one that is made anew is another. What a person
    /// attested holds for the username, too, so that a rename makes it due again.
    pub(crate) fn connected_as_droid(&self) -> bool {
        let Some((integration, droid)) = self.integration().zip(self.droid()) else {
            return false;
        };
        let same_name = |username: &str| username.eq_ignore_ascii_case(&self.desired.user.fields.username);
        integration.status == IntegrationStatus::Connected
            && integration
                .user
                .as_ref()
                .is_some_and(|user| user.id == droid.id && (!self.attested() || same_name(&user.username)))
    }

    /// Whether Factory listed its repositories with the droid's token, so that what is not on the list is out of the
    /// droid's sight.
    pub(crate) fn list_is_the_droids(&self) -> bool {
        !self.attested() && !self.observed.factory.repositories.is_unknown() && self.connected_as_droid()
    }
}
