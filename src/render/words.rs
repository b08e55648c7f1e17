//! Codes in words. Reasons, actions and states are codes in JSON; people get sentences.

use crate::model::{Actions, Address, Change, Command, Origin, Reason, Status};

/// A reason as the end of a sentence.
pub fn reason_in_words(reason: Reason) -> &'static str {
    match reason {
        Reason::Absent => "it does not exist",
        Reason::Differs => "it differs from the configuration",
        Reason::RecreateRequired => "what differs cannot be edited in place",
        Reason::Unlisted => "it is not listed in the configuration",
        Reason::SecretUnknown => "nobody knows the secret that Factory needs",
        Reason::SecretRejected => "GitLab does not accept the secret",
        Reason::NotConnected => "Factory is not authorized",
        Reason::WrongUser => "Factory acts as another user",
        Reason::AuthorizationFailed => "Factory's authorization no longer works",
        Reason::NotFound => "GitLab has nothing fitting at this path",
        Reason::NotVisible => "the droid cannot see it",
        Reason::Moved => "it has another path now",
        Reason::Ambiguous => "several applications match",
        Reason::ReplaceRefused => "a replacement drops every token and is not allowed",
        Reason::UnsupportedScope => "this GitLab does not know one of the scopes",
        Reason::NoAdminSession => "it needs an administrator's web session",
        Reason::NoSignIn => "nobody can sign in as the droid",
        Reason::UserBlocked => "the account is blocked",
        Reason::AttestationDue => "what was attested no longer holds",
        Reason::PathTaken => "a group or another account has the name",
        Reason::EmailTaken => "another account has the e-mail address",
        Reason::AwaitingApproval => "an administrator of GitLab has to approve it",
        Reason::AlreadyExists => "what somebody else made is not adopted yet",
        Reason::PendingDeletion => "it waits for deletion in GitLab",
    }
}

/// A status as a word in parentheses behind an address; nothing for what Setpoint does itself.
pub(super) fn status_in_words(status: Status) -> &'static str {
    match status {
        Status::Ready => "",
        Status::Operator => " (operator)",
        Status::Blocked => " (blocked)",
    }
}

/// What happens to a resource, as a participle.
pub fn participle(address: &Address, actions: Actions) -> &'static str {
    match (address, actions) {
        (Address::Repository(_), Actions::Create) => "enabled",
        (Address::Repository(_), Actions::Delete) => "disabled",
        (Address::Authorization, Actions::Create) => "granted",
        (Address::Authorization, Actions::Update) => "granted anew",
        (Address::Authorization, Actions::Delete) => "ended",
        (_, Actions::Create) => "created",
        (_, Actions::Update) => "updated in place",
        (_, Actions::Replace) => "replaced",
        (_, Actions::Delete) => "deleted",
    }
}

/// What was done of a change that is not done, as a participle.
pub fn begun(address: &Address, actions: Actions) -> &'static str {
    match actions {
        Actions::Create => participle(address, actions),
        Actions::Replace => "the new one is there",
        Actions::Update => "updated in part",
        Actions::Delete => "deleted in part",
    }
}

/// What the line above a change is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mode {
    /// What is going to happen.
    Plan,
    /// As [`Mode::Plan`], where everything goes because it was asked for, not because it is unlisted.
    Destroy,
    /// What was found, where nothing is going to happen.
    Drift,
}

impl Mode {
    /// Of a plan that is not that of `drift`.
    pub(super) fn of(command: Command) -> Self {
        if command == Command::Destroy {
            Self::Destroy
        } else {
            Self::Plan
        }
    }
}

/// The line above a change, without its address.
pub(super) fn summary_line(mode: Mode, change: &Change) -> String {
    match (mode, change.status) {
        (Mode::Drift, _) => found(change),
        (Mode::Destroy, Status::Ready) => format!("will be {}", participle(&change.address, change.actions)),
        (Mode::Destroy | Mode::Plan, _) => planned(change),
    }
}

fn planned(change: &Change) -> String {
    let done = participle(&change.address, change.actions);
    let moved = match change.origin {
        Origin::Drift => "changed outside of Setpoint and ",
        Origin::Both => "changed on both sides and ",
        Origin::Pending | Origin::Unrecorded => "",
    };
    let verb = match change.status {
        Status::Ready => format!("{moved}will be {done}"),
        Status::Operator => format!("{moved}has to be {done} by a person"),
        Status::Blocked => format!("{moved}cannot be {done}"),
    };
    match speaking_reason(change) {
        Some(reason) => format!("{verb}: {reason}"),
        None => verb,
    }
}

fn found(change: &Change) -> String {
    let state = match (&change.address, change.actions) {
        (Address::Repository(_), Actions::Create) => "is not enabled",
        (Address::Repository(_), Actions::Delete) => "is enabled and should not be",
        (Address::Authorization, Actions::Create) => "is missing",
        (_, Actions::Create) => "does not exist",
        (_, Actions::Update | Actions::Replace) => "differs from the configuration",
        (_, Actions::Delete) => "exists and should not",
    };
    let origin = match change.origin {
        Origin::Both => ", and the configuration changed too",
        Origin::Unrecorded => ", and nothing is recorded about it",
        Origin::Drift | Origin::Pending => "",
    };
    match speaking_reason(change) {
        Some(reason) => format!("{state}{origin}: {reason}"),
        None => format!("{state}{origin}"),
    }
}

/// The reason, where it says more than the action does.
fn speaking_reason(change: &Change) -> Option<&'static str> {
    let says_nothing_new = matches!(
        (change.reason, change.actions),
        (Reason::Absent | Reason::NotConnected, Actions::Create)
            | (Reason::Absent, Actions::Delete)
            | (Reason::Differs, Actions::Update | Actions::Delete)
    );
    (change.status == Status::Blocked || !says_nothing_new).then(|| reason_in_words(change.reason))
}
