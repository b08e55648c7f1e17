//! The terms of service: whether the droid has accepted those that are in force.
//!
//! GitLab shows to nobody else what an account has accepted. It is known from the record, or from the droid at work: until
//! the terms are accepted, GitLab refuses each call with its token and each of its pages (GitLab:
//! `lib/gitlab/auth/user_access_denied_reason.rb`, `ApplicationController#enforce_terms!`).

use serde_json::json;

use crate::diff::Origins;
use crate::model::{Attestation, Change, OperatorStep, Origin, RecordedTerms, TermsVersion, UserOperation};
use crate::planning::Inputs;

/// Terms that are in force and not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    version: TermsVersion,
    accepted: Option<TermsVersion>,
}

/// Those that are in force, where GitLab says that there are some.
fn in_force<'a>(inputs: &Inputs<'a>) -> Option<&'a TermsVersion> {
    inputs.observed.gitlab.terms.as_ref().known()?.as_ref()
}

/// What the record says that this very account has accepted.
fn accepted<'a>(inputs: &Inputs<'a>) -> Option<&'a RecordedTerms> {
    let droid = inputs.droid()?;
    let recorded = inputs.recorded.user.as_ref()?;
    recorded.terms.as_ref().filter(|_| recorded.id == droid.id)
}

/// Whether the droid was seen to do what GitLab lets nobody do before the terms are accepted: Factory listed its
/// repositories with the droid's token, or the droid's own page was shown.
fn is_at_work(inputs: &Inputs<'_>) -> bool {
    inputs.list_is_the_droids() || !inputs.observed.gitlab.evidence.is_unknown()
}

/// What is to be accepted, if anything is.
pub(super) fn due(inputs: &Inputs<'_>) -> Option<Due> {
    let version = in_force(inputs)?;
    let accepted = accepted(inputs).map(|terms| &terms.version);
    if accepted == Some(version) || is_at_work(inputs) {
        return None;
    }
    Some(Due {
        version: version.clone(),
        accepted: accepted.cloned(),
    })
}

/// What the record is to say, where the droid was seen to have accepted what is in force.
pub(super) fn seen(inputs: &Inputs<'_>) -> Option<RecordedTerms> {
    let version = in_force(inputs).filter(|_| is_at_work(inputs))?;
    let known = accepted(inputs).is_some_and(|terms| terms.version == *version);
    (!known).then(|| RecordedTerms {
        version: version.clone(),
        id: None,
        attested: None,
    })
}

/// Whose word it is that what is in force was accepted, where nothing else says so.
pub(super) fn attestation<'a>(inputs: &Inputs<'a>) -> Option<&'a Attestation> {
    let version = in_force(inputs).filter(|_| !is_at_work(inputs))?;
    let accepted = accepted(inputs).filter(|terms| terms.version == *version)?;
    accepted.attested.as_ref()
}

impl Due {
    /// Where others were accepted before, GitLab has new ones.
    pub(super) fn count(&self, origins: &mut Origins) {
        origins.add(match self.accepted {
            Some(_) => Origin::Drift,
            None => Origin::Pending,
        });
    }

    /// Puts it into the droid's change: for Setpoint where that was declared and somebody can sign in, else for a person.
    pub(super) fn plan(self, inputs: &Inputs<'_>, planned: &mut Change) {
        let Self { version, accepted } = self;
        let username = &inputs.desired.user.fields.username;
        let page = format!("{}/-/users/terms", inputs.desired.connection.domain);
        planned.show("terms", json!(accepted), json!(version));
        match inputs.policy.sign_in.filter(|_| inputs.closed_droid().is_none()) {
            Some(sign_in) if inputs.desired.user.accept_terms => {
                planned.note(format!(
                    "Setpoint accepts GitLab's terms of service as `{username}` (user.accept_terms); they are at {page}"
                ));
                planned.operations.push(
                    UserOperation::AcceptTerms {
                        username: username.clone(),
                        sign_in,
                        version,
                    }
                    .into(),
                );
            }
            Some(_) | None => planned.steps.push(OperatorStep::AcceptTerms {
                username: username.to_string(),
                version,
            }),
        }
    }
}
