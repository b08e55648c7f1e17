//! All that a plan reads, read by the very same functions: a query or a page that GitLab refuses to `plan`, or answers in
//! another form than is known, is found here, too.

use super::Check;
use crate::http::Side;
use crate::model::{Desired, FactorySource, Known, RecordedState};
use crate::observe::{Sources, observe};

/// Reads it once. `complete`: no source is left out because it has failed already.
pub async fn reads(sources: &Sources<'_>, desired: &Desired, recorded: &RecordedState, complete: bool) -> Check {
    const ID: &str = "plan.reads";
    let observed = match observe(sources, desired, recorded).await {
        Ok(observed) => observed,
        Err(error) if error.hint.is_some() => return Check::failed(ID, &error),
        Err(error) => {
            let side = match error.side {
                Side::Gitlab => "GitLab",
                Side::Factory | Side::Other => "Factory",
            };
            let fix = format!("run it again with -vv to see each request; plan stops until {side} answers this one");
            return Check::failure(ID, &error.message, fix);
        }
    };
    let repositories = match (&observed.factory.repositories, observed.factory.source) {
        (Known::Known(list), FactorySource::Live) => format!(", {} of Factory's repositories", list.len()),
        _ => String::new(),
    };
    Check::ok(
        ID,
        format!(
            "All {}that plan reads can be read: {} of GitLab's applications, {} of the droid's memberships{repositories}",
            if complete { "" } else { "else " },
            observed.gitlab.applications.len(),
            observed.gitlab.memberships.len(),
        ),
    )
}
