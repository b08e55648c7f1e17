//! The second factor: an authenticator of the droid's whose key Setpoint keeps (`user.totp`).
//!
//! GitLab shows that an account has an authenticator, and never which. So the key that is kept is known by its fingerprint
//! in the record, which is written once the droid has signed in with it.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::diff::Origins;
use crate::model::{Change, Origin, Reason, UserOperation};
use crate::planning::Inputs;

/// What `user.totp.load` gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum KeptKey {
    /// It is not configured.
    #[default]
    NotConfigured,
    /// Nothing: there is none yet.
    Nothing,
    /// The key of an authenticator.
    Kept { fingerprint: String },
}

/// The authenticator that the droid has signed in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedSecondFactor {
    /// Fingerprint of its key.
    pub key_fingerprint: String,
}

/// What the second factor needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// An authenticator is registered.
    Enrol(Before),
    /// The one that there is is switched off first.
    StartOver(Before),
    /// The droid signs in with the key that is kept, of which nobody knows whether it is the right one.
    Verify,
    /// There is one, and nobody has its key.
    Foreign,
}

/// How it is now, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// There has been none.
    Never,
    /// There is none any more.
    Off,
    /// An earlier run was cut off in the middle.
    Unfinished,
    /// Its key is not kept any more.
    KeyLost,
}

impl Before {
    fn word(self) -> &'static str {
        match self {
            Self::Never | Self::Off => "off",
            Self::Unfinished => "unfinished",
            Self::KeyLost => "key lost",
        }
    }
}

/// What has to be done, where an authenticator is declared.
pub(super) fn need(inputs: &Inputs<'_>) -> Option<Need> {
    let kept = match &inputs.observed.gitlab.second_factor_key {
        KeptKey::NotConfigured => return None,
        KeptKey::Nothing => None,
        KeptKey::Kept { fingerprint } => Some(fingerprint),
    };
    let Some(live) = inputs.droid() else {
        return Some(Need::Enrol(Before::Never));
    };
    let recorded = inputs.recorded.user.as_ref().filter(|user| user.id == live.id);
    let recorded = recorded.and_then(|user| user.second_factor.as_ref());
    if !live.two_factor {
        return Some(Need::Enrol(recorded.map_or(Before::Never, |_| Before::Off)));
    }
    if inputs.recorded.second_factor_is_begun() {
        return Some(Need::StartOver(Before::Unfinished));
    }
    match (kept, recorded) {
        (Some(kept), Some(recorded)) if recorded.key_fingerprint == *kept => None,
        (Some(_), _) => Some(Need::Verify),
        (None, Some(_)) => Some(Need::StartOver(Before::KeyLost)),
        (None, None) => Some(Need::Foreign),
    }
}

impl Need {
    pub(super) fn count(self, origins: &mut Origins) {
        origins.add(match self {
            Self::Enrol(Before::Off) | Self::StartOver(Before::KeyLost) => Origin::Drift,
            Self::Foreign => Origin::Unrecorded,
            Self::Enrol(_) | Self::StartOver(_) | Self::Verify => Origin::Pending,
        });
    }

    /// What is switched off before anybody signs in.
    pub(super) fn begin(self, inputs: &Inputs<'_>, planned: &mut Change) {
        if let (Self::StartOver(_), Some(live), None) = (self, inputs.droid(), inputs.closed_droid()) {
            let disable = UserOperation::DisableSecondFactor { id: live.id };
            planned.write(disable);
        }
    }

    /// Puts the rest into the droid's change. Gives why it cannot be done, where it cannot.
    pub(super) fn plan(self, inputs: &Inputs<'_>, planned: &mut Change) -> Option<(Reason, String)> {
        let username = inputs.desired.user.fields.username.clone();
        let before = match self {
            Self::Enrol(before) | Self::StartOver(before) => before.word(),
            Self::Verify => "unverified",
            Self::Foreign => "key unknown",
        };
        planned.show("second_factor", json!(before), json!("on"));
        if let Self::Foreign = self {
            let why = format!(
                "`{username}` has a second factor already, and user.totp.load gives no key of it: put the key there; or let an \
                 administrator switch it off (Admin area > Users > {username} > Disable two-factor authentication), and apply \
                 registers another"
            );
            return Some((Reason::NoSignIn, why));
        }
        if let Some(why) = inputs.closed_droid() {
            return Some((Reason::NoSignIn, why.to_owned()));
        }
        if let Self::Verify = self {
            planned.note(format!(
                "`{username}` signs in once with the key that user.totp.load gives, to see that it is the right one"
            ));
            planned.write(UserOperation::VerifySecondFactor { username });
            return None;
        }
        if let Self::StartOver(before) = self {
            let why = match before {
                Before::KeyLost => "user.totp.load gives its key no more",
                Before::Unfinished | Before::Never | Before::Off => {
                    "an earlier run was cut off while it was registered"
                }
            };
            planned.note(format!(
                "the authenticator that `{username}` has is switched off by the administrator first (disable_two_factor): {why}"
            ));
        }
        planned.note(format!(
            "an authenticator is registered for `{username}`; its key and recovery codes go to user.totp.save, the key before it \
             is in force"
        ));
        planned.write(UserOperation::EnrolSecondFactor { username });
        None
    }
}
