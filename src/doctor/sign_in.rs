//! The doors of GitLab's web side, tried where that changes nothing: the administrator's session, impersonation, and the
//! droid's own account and sign-in.

use super::Check;
use super::side::{Answers, GitlabSide};
use crate::config::{AdminSessionConfig, Config};
use crate::gitlab::{Door, Harm, Resident};
use crate::model::{Known, ObservedUser, SignIn, UserState};
use crate::observe::Doors;
use crate::secrets::RemoteText;

/// Sessions and the droid's account.
pub(super) async fn check(side: &GitlabSide<'_>, answers: &Answers) -> Vec<Check> {
    let mut checks = droid(side, answers);
    let account = answers.droid.as_ref().ok().and_then(Option::as_ref);
    match closed("gitlab.admin_session", &side.doors, side.doors.admin.as_ref()).await {
        Some(closed) => checks.push(closed),
        None => match unfit(side).await {
            Some(unfit) => checks.push(unfit),
            None => checks.extend(admin_session(side, account).await),
        },
    }
    let closed = closed("gitlab.droid_sign_in", &side.doors, side.doors.droid.as_ref()).await;
    if let Some(closed) = closed {
        checks.push(closed);
    } else if let (Some(session), Some(account)) = (side.droid, account)
        && account.can_be_visited()
    {
        const ID: &str = "gitlab.droid_sign_in";
        let name = &account.fields.username;
        let desired = &side.config.desired.user;
        checks.push(if desired.second_factor && !account.two_factor {
            let message =
                format!("The sign-in of {name} was not tried: apply registers an authenticator first (user.totp)");
            Check::skipped(ID, message)
        } else {
            match session.evidence(name).await {
                Ok(_) => Check::ok(ID, format!("{name} can sign in")),
                Err(error) if desired.accept_terms && error.message.contains("terms of service") => Check::ok(
                    ID,
                    format!("{name} can sign in, and apply accepts the terms of service first"),
                ),
                Err(error) => Check::failed(ID, &error),
            }
        });
    }
    checks
}

/// That nobody tries this sign-in, because it would do harm, or because nobody knows that it would not.
async fn closed(id: &str, doors: &Doors<'_>, door: Option<&Door>) -> Option<Check> {
    match doors.keeper.harm(door?).await {
        Ok(None) => None,
        Ok(Some(Harm { message, way_out })) => Some(Check::failure(id, message, way_out)),
        Err(error) => Some(Check::failed(id, &error)),
    }
}

/// What GitLab shows of the administrator's account that is against its sign-in, so that no password need be sent to find
/// out.
async fn unfit(side: &GitlabSide<'_>) -> Option<Check> {
    const ID: &str = "gitlab.admin_session";
    let door = side.doors.admin.as_ref()?;
    let name = &door.username;
    // What cannot be asked is found at the sign-in.
    let Ok(resident) = side.doors.keeper.account(name).await else {
        return None;
    };
    // A directory may know the account by another name, which is found at the sign-in, too.
    let provider = side
        .config
        .gitlab
        .admin_session
        .as_ref()
        .and_then(|session| session.provider());
    let Some(resident) = resident else {
        if provider.is_some() {
            return None;
        }
        let message = format!("There is no account {name}, which is to have the administrator's session");
        return Some(Check::failure(ID, message, "check gitlab.admin_session.username"));
    };
    let by_ldap = resident.is_of_directory();
    let Resident {
        user,
        providers,
        has_no_password,
    } = resident;
    if user.state == UserState::Deactivated {
        // Doctor changes nothing, so it does not sign in either.
        return Some(Check::warning(
            ID,
            format!(
                "{} is deactivated, and GitLab activates an account again that signs in, as plan and apply do",
                user.fields.username
            ),
            "activate it (Admin area > Users), or name another administrator in gitlab.admin_session",
        ));
    }
    let (message, fix) = if let Some((message, fix, _)) = obstacle(&user) {
        // What apply lifts, it lifts of the droid.
        let fix = match user.state {
            UserState::Blocked => "unblock it (Admin area > Users)",
            UserState::BlockedPendingApproval => "approve it (Admin area > Users)",
            _ => fix,
        };
        (message, fix.to_owned())
    } else if !user.is_admin {
        let fix = "name an administrator in gitlab.admin_session";
        (
            "is no administrator, and is to have the administrator's session".to_owned(),
            fix.to_owned(),
        )
    } else if provider.is_none() && has_no_password {
        let by = RemoteText::joined(&providers, ", ");
        let fix = if by_ldap {
            "give the LDAP server as gitlab.admin_session.provider, and the password of the directory"
        } else {
            "name an administrator in gitlab.admin_session whose password GitLab itself keeps, or give the cookie of a session \
             that a person opened"
        };
        (
            format!("signs in by {by}, and GitLab takes no password of its own of it"),
            fix.to_owned(),
        )
    } else if user.two_factor && !door.has_totp {
        let fix = format!("give the key of its authenticator as {}", door.key());
        ("has two-factor authentication, and its key is missing".to_owned(), fix)
    } else {
        return None;
    };
    Some(Check::failure(ID, format!("{} {message}", user.fields.username), fix))
}

async fn admin_session(side: &GitlabSide<'_>, account: Option<&ObservedUser>) -> Vec<Check> {
    let Some(admin) = side.admin else {
        return without_admin_session(side.config).into_iter().collect();
    };
    if let Err(error) = admin.enter().await {
        return vec![Check::failed("gitlab.admin_session", &error)];
    }
    let mut checks = vec![Check::ok(
        "gitlab.admin_session",
        "The administrator can sign in and enter the admin area",
    )];
    // In a person's session nobody is impersonated.
    let session = side.config.gitlab.admin_session.as_ref();
    if let Some(account) = account
        && session.is_some_and(AdminSessionConfig::can_impersonate)
    {
        checks.push(match admin.offers_impersonation(&account.fields.username).await {
            Ok(()) => Check::ok("gitlab.impersonation", "GitLab offers impersonation of the droid"),
            Err(error) if side.config.droid.sign_in == Some(SignIn::Impersonate) => {
                Check::failed("gitlab.impersonation", &error)
            }
            Err(error) => Check::ok(
                "gitlab.impersonation",
                format!("Impersonation is not needed; {}", error.message),
            ),
        });
    }
    checks
}

fn without_admin_session(config: &Config) -> Option<Check> {
    const ID: &str = "gitlab.admin_session";
    if let Some(session) = &config.gitlab.admin_session {
        let what = match session.username() {
            Some(_) => "sign-in was not tried: its password is missing",
            None => "session was not looked at: its cookie is missing",
        };
        return Some(Check::skipped(ID, format!("The administrator's {what}")));
    }
    (config.desired.application.trusted == Known::Known(true)).then(|| {
        Check::skipped(
            ID,
            "There is no gitlab.admin_session: `trusted` can neither be read nor set, and becomes a step for a person",
        )
    })
}

/// The account as GitLab shows it to an administrator.
fn droid(side: &GitlabSide<'_>, answers: &Answers) -> Vec<Check> {
    const ID: &str = "gitlab.droid";
    let config = side.config;
    let account = match &answers.droid {
        Ok(Some(account)) => account,
        Ok(None) => {
            let name = &config.desired.user.fields.username;
            let mut checks = vec![Check::ok(ID, format!("{name} does not exist yet; apply creates it"))];
            if matches!(&answers.settings, Ok(settings) if settings.user_default_external) {
                checks.push(external(&format!(
                    "New accounts are external users here, and so will {name} be"
                )));
            }
            return checks;
        }
        Err(error) => return vec![Check::failed(ID, error)],
    };
    let name = &account.fields.username;
    let mut checks = vec![match obstacle(account) {
        Some((message, fix, true)) => Check::failure(ID, format!("{name} {message}"), fix),
        Some((message, fix, false)) => Check::warning(ID, format!("{name} {message}"), fix),
        None => Check::ok(
            ID,
            match &account.last_activity_on {
                Some(day) => format!(
                    "{name} is active, and did something last on {} (sign-ins of Setpoint's count)",
                    RemoteText::within(day, 10)
                ),
                None => format!("{name} is active, and has done nothing yet"),
            },
        ),
    }];
    if matches!(&answers.own_user, Ok(own) if own.id == account.id) {
        checks.push(Check::failure(
            "gitlab.droid_is_own_user",
            format!("{name} is the account that gitlab.token belongs to, which Setpoint never changes"),
            "give gitlab.token another administrator's token, or user.username the droid's own name",
        ));
    }
    if account.is_admin {
        checks.push(Check::warning(
            "gitlab.droid_is_admin",
            format!("{name} is an administrator, so Factory acts with an administrator's rights"),
            "take the administrator's rights from it (Admin area > Users); user.memberships says what it may do",
        ));
    }
    if account.external {
        checks.push(external(&format!("{name} is an external user")));
    }
    let lacks_key = side.doors.droid.as_ref().is_some_and(|door| !door.has_totp);
    if account.two_factor && lacks_key {
        let (what, fix) = if config.desired.user.second_factor {
            (
                "user.totp.load gives no key",
                "put the key of its authenticator there; or let an administrator switch it off (Admin area > Users), and apply \
                 registers another",
            )
        } else {
            (
                "user.totp_secret is missing",
                "give the key of its authenticator as user.totp_secret",
            )
        };
        checks.push(Check::failure(
            "gitlab.droid_two_factor",
            format!("{name} has two-factor authentication, and {what}"),
            fix,
        ));
    }
    checks
}

/// An external user sees no project for its visibility to everybody who is signed in.
fn external(who: &str) -> Check {
    Check::warning(
        "gitlab.droid_external",
        format!("{who}: it sees internal projects only where it is a member"),
        "declare a role in user.memberships for all that it is to work on, or let an administrator make it a regular user \
         (Admin area > Users > Edit > External)",
    )
}

/// What is wrong with the account, what to do, and whether apply is stopped by it.
fn obstacle(account: &ObservedUser) -> Option<(String, &'static str, bool)> {
    Some(match &account.state {
        UserState::Blocked => (
            "is blocked".to_owned(),
            "run `setpoint apply`, which unblocks it",
            false,
        ),
        UserState::Deactivated => (
            "is deactivated".to_owned(),
            "run `setpoint apply`, which activates it",
            false,
        ),
        UserState::BlockedPendingApproval => (
            "waits for an administrator's approval".to_owned(),
            "run `setpoint apply`, which approves it",
            false,
        ),
        UserState::LdapBlocked => (
            "is blocked by LDAP".to_owned(),
            "enable it in the directory: GitLab follows at the next synchronization",
            true,
        ),
        UserState::Banned => ("is banned".to_owned(), "end the ban (Admin area > Users)", true),
        UserState::Active | UserState::Other(_) if account.locked => (
            "is locked after failed sign-ins".to_owned(),
            "wait until the lock ends (10 minutes), or unlock it (Admin area > Users)",
            true,
        ),
        UserState::Active | UserState::Other(_) if !account.confirmed => (
            "has not confirmed its e-mail address, so GitLab lets nobody authorize as it".to_owned(),
            "confirm it (Admin area > Users > the user > Confirm user)",
            true,
        ),
        UserState::Active => return None,
        UserState::Other(state) => (
            format!(
                "has the state `{}`, which Setpoint does not know",
                crate::secrets::RemoteText::within(state, 40)
            ),
            "look at the user in the admin area",
            false,
        ),
    })
}
