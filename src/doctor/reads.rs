//! All that a plan reads, read by the very same functions: a query or a page that GitLab refuses to `plan`, or answers in
//! another form than is known, is found here, too.

use super::Check;
use crate::http::Side;
use crate::model::{
    Command, Desired, FactorySource, Known, Observed, Policy, RecordedState, Testimony, Warning, WarningCode,
};
use crate::observe::{Sources, observe};
use crate::planner;

/// Reads it once, and says what of it bears out an attestation. `complete`: no source is left out because it has failed
/// already.
pub async fn reads(sources: &Sources<'_>, desired: &Desired, recorded: &RecordedState, complete: bool) -> Vec<Check> {
    const ID: &str = "plan.reads";
    let observed = match observe(sources, desired, recorded).await {
        Ok(observed) => observed,
        Err(error) if error.hint.is_some() => return vec![Check::failed(ID, &error), roles_are_unknown()],
        Err(error) => {
            let side = match error.side {
                Side::Gitlab => "GitLab",
                Side::Factory | Side::Other => "Factory",
            };
            let fix = format!("run it again with -vv to see each request; plan stops until {side} answers this one");
            return vec![Check::failure(ID, &error.message, fix), roles_are_unknown()];
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
    let access = only_open_projects(&observed, desired);
    let roles = roles(desired, &observed, recorded);
    authorization
        .into_iter()
        .chain(access)
        .chain([read])
        .chain(roles)
        .collect()
}

const ROLES: &str = "plan.roles";

/// What is to be said of the droid's roles where not all was read.
pub fn roles_are_unknown() -> Check {
    Check::skipped(ROLES, "Whether the droid's roles suffice is known once all can be read")
}

/// A droid sees what is internal or public without a role, and can push to none of it.
fn only_open_projects(observed: &Observed, desired: &Desired) -> Option<Check> {
    const ID: &str = "gitlab.droid_access";
    let gitlab = &observed.gitlab;
    let is_admin = gitlab.user.as_ref().is_some_and(|user| user.is_admin);
    if is_admin || !desired.memberships.is_empty() || !gitlab.memberships.is_empty() {
        return None;
    }
    let name = &desired.user.fields.username;
    let fix =
        "declare a role in user.memberships for what it is to work on: developer is the least with which it can push";
    let is_external = match &gitlab.user {
        Some(user) => user.external,
        None => gitlab.accounts_are_external == Known::Known(true),
    };
    let open = if is_external { "public" } else { "internal and public" };
    let message =
        format!("{name} is a member of no group and no project: it sees {open} projects, and can push to none");
    Some(Check::warning(ID, message, fix))
}

/// The repositories in which the droid's role is too low, as a plan warns of them.
fn roles(desired: &Desired, observed: &Observed, recorded: &RecordedState) -> Vec<Check> {
    const SHOWN: usize = 10;
    let plan = planner::plan(desired, observed, recorded, &Policy::new(Command::Plan));
    let low: Vec<&Warning> = plan
        .warnings
        .iter()
        .filter(|warning| warning.code == WarningCode::RoleTooLow)
        .collect();
    let shown = low.iter().take(SHOWN).map(|warning| {
        let address = warning.address.as_ref().map_or_else(String::new, ToString::to_string);
        let (found, fix) = warning.message.split_once(": ").unwrap_or((&warning.message, ""));
        Check::warning(ROLES, format!("{address}: {found}"), fix)
    });
    let more = low.len().saturating_sub(SHOWN);
    let rest = (more > 0).then(|| {
        let message = format!("The droid's role is too low in {more} more repositories");
        Check::warning(ROLES, message, "`setpoint plan --format json` lists them all")
    });
    if low.is_empty() {
        return vec![Check::ok(
            ROLES,
            "The droid's role suffices in every repository that is enabled or will be",
        )];
    }
    shown.chain(rest).collect()
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
