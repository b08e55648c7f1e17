//! All that a plan reads, read by the very same functions: a query or a page that GitLab refuses to `plan`, or answers in
//! another form than is known, is found here, too.

use super::Check;
use crate::http::Side;
use crate::model::{Desired, FactorySource, Known, Observed, RecordedState, Testimony};
use crate::observe::{Sources, observe};

/// Reads it once, and says what of it bears out an attestation. `complete`: no source is left out because it has failed
/// already.
pub async fn reads(sources: &Sources<'_>, desired: &Desired, recorded: &RecordedState, complete: bool) -> Vec<Check> {
    const ID: &str = "plan.reads";
    let observed = match observe(sources, desired, recorded).await {
        Ok(observed) => observed,
        Err(error) if error.hint.is_some() => return vec![Check::failed(ID, &error)],
        Err(error) => {
            let side = match error.side {
                Side::Gitlab => "GitLab",
                Side::Factory | Side::Other => "Factory",
            };
            let fix = format!("run it again with -vv to see each request; plan stops until {side} answers this one");
            return vec![Check::failure(ID, &error.message, fix)];
        }
    };
    let repositories = match (&observed.factory.repositories, observed.factory.source) {
        (Known::Known(list), FactorySource::Live) => format!(", {} of Factory's repositories", list.len()),
        _ => String::new(),
    };
    let read = Check::ok(
        ID,
        format!(
            "All {}that plan reads can be read: {} of GitLab's applications, {} of the droid's memberships{repositories}",
            if complete { "" } else { "else " },
            observed.gitlab.applications.len(),
            observed.gitlab.memberships.len(),
        ),
    );
    let authorization = attested_authorization(&observed, recorded);
    authorization.into_iter().chain([read]).collect()
}

/// What GitLab says of an authorization that a person attested, by the application's row id: names may be shared.
fn attested_authorization(observed: &Observed, recorded: &RecordedState) -> Option<Check> {
    const ID: &str = "factory.authorization";
    let (application, authorization) = (recorded.application.as_ref()?, recorded.authorization.as_ref()?);
    let attested = authorization.attested.as_ref()?;
    if observed.factory.source != FactorySource::Attested {
        return None;
    }
    let droid = &authorization.user.username;
    let shown = format!("`{}` (id {})", application.fields.name, application.id);
    let minute = |at: &jiff::Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let again = "run `setpoint plan`: it has the step that is due again";
    let Known::Known(evidence) = &observed.gitlab.evidence else {
        return Some(Check::skipped(
            ID,
            format!(
                "That Factory is authorized was attested on {}; the droid's page of authorized applications was not read, \
                 so nothing bears it out",
                attested.at.strftime("%Y-%m-%d")
            ),
        ));
    };
    Some(match evidence.of(application.id, application.secret_at) {
        Testimony::Authorized(since) => {
            let since = since.map_or_else(String::new, |at| format!(" since {}", minute(&at)));
            Check::ok(ID, format!("GitLab lists {shown} as authorized by {droid}{since}"))
        }
        Testimony::Absent => Check::warning(
            ID,
            format!(
                "GitLab does not list {shown} among the applications that {droid} authorized, although it was attested"
            ),
            again,
        ),
        Testimony::Outdated(at) => Check::warning(
            ID,
            format!(
                "GitLab says that {droid} authorized {shown} last on {}, before its secret was renewed",
                minute(&at)
            ),
            again,
        ),
    })
}
