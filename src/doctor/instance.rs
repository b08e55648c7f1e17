//! Settings of the instance that stand in the way of what an apply does, scopes it does not know, and its two addresses.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::Check;
use super::side::{Answers, GitlabSide};
use crate::config::Config;
use crate::gitlab::{GroupRules, InstanceSettings, speaks_https};
use crate::model::{Domain, Known, SignIn};
use crate::urls::{self, origin};

pub(super) fn check(config: &Config, answers: &Answers, today: Date) -> Vec<Check> {
    let mut checks = match &answers.settings {
        Ok(settings) => settings_checks(config, answers, settings, today),
        Err(_) => vec![Check::skipped(
            "gitlab.settings",
            "The settings that matter to a sign-in were not looked at: GitLab did not show them",
        )],
    };
    match &answers.groups {
        Ok(groups) => {
            checks.extend(enforcing_groups(config, answers, groups));
            checks.extend(restricted_groups(groups));
            checks.extend(groups_without_https(groups));
        }
        // `plan` asks in the same way, and what stops it there is told of it.
        Err(error) => checks.push(Check::skipped(
            "gitlab.groups",
            format!(
                "What the groups of user.memberships ask of their members was not looked at: {}",
                error.message
            ),
        )),
    }
    checks.push(scopes(config, answers));
    checks
}

/// A membership in a group that enforces a second factor, or next to one in its hierarchy, is what makes it bite.
fn enforcing_groups(config: &Config, answers: &Answers, groups: &[GroupRules]) -> Option<Check> {
    const ID: &str = "gitlab.group_two_factor";
    let has_one = matches!(&answers.droid, Ok(Some(droid)) if droid.two_factor);
    let enforcing = groups.iter().filter(|group| group.two_factor);
    let groups = enforcing.map(|group| group.path.as_str()).collect::<BTreeSet<_>>();
    if groups.is_empty() {
        return None;
    }
    let groups = groups.into_iter().collect::<Vec<_>>().join(", ");
    if has_one {
        let message = format!("These groups enforce two-factor authentication, and the droid has it: {groups}");
        return Some(Check::ok(ID, message));
    }
    if config.desired.user.second_factor {
        let message = format!(
            "These groups enforce two-factor authentication, which apply gives the droid (user.totp): {groups}"
        );
        return Some(Check::ok(ID, message));
    }
    let message = format!(
        "These groups enforce two-factor authentication, and the droid has none: {groups}. As a member there or above, it can \
         do nothing on GitLab's pages, where Factory's access is approved"
    );
    let fix = "let apply register an authenticator for it (user.totp); or register one as the droid, and give its key as \
               user.totp_secret; or exempt the group (its Settings > General > Permissions and group features)";
    Some(if config.droid.sign_in.is_some() {
        Check::failure(ID, message, fix)
    } else {
        Check::warning(ID, message, fix)
    })
}

fn settings_checks(config: &Config, answers: &Answers, settings: &InstanceSettings, today: Date) -> Vec<Check> {
    let mut checks = vec![
        password_sign_in(config, settings),
        two_factor(config, answers, settings),
        terms(config, settings),
        recaptcha(settings),
        email_confirmation(settings),
        email_verification(settings),
        git_over_https(settings),
        dormant_users(answers, settings, today),
    ];
    if settings.maintenance_mode {
        checks.push(Check::failure(
            "gitlab.maintenance_mode",
            "Maintenance mode is on: GitLab takes no writes",
            "run apply when an administrator has ended it (Admin area > Settings > General > Maintenance mode)",
        ));
    }
    let droid_is_admin = matches!(&answers.droid, Ok(Some(droid)) if droid.is_admin);
    if settings.disable_admin_oauth_scopes && droid_is_admin {
        checks.push(Check::failure(
            "gitlab.admin_oauth_scopes",
            "The droid is an administrator, and administrators may not authorize applications with broad scopes here",
            "take the administrator's rights from the droid; it does not need them",
        ));
    }
    checks
}

/// Who signs in by password, if anybody does.
fn by_password(config: &Config) -> Option<&'static str> {
    let session = config.gitlab.admin_session.as_ref();
    if session.is_some_and(|session| session.username().is_some() && session.provider().is_none()) {
        Some("the administrator of gitlab.admin_session")
    } else if config.droid.sign_in == Some(SignIn::Password) && config.droid.provider.is_none() {
        Some("the droid")
    } else {
        None
    }
}

fn password_sign_in(config: &Config, settings: &InstanceSettings) -> Check {
    const ID: &str = "gitlab.password_sign_in";
    match (settings.password_authentication_enabled_for_web, by_password(config)) {
        (true, _) => Check::ok(ID, "The sign-in page takes passwords"),
        (false, None) => Check::ok(ID, "The sign-in page takes no passwords, and none is needed"),
        (false, Some(who)) => Check::failure(
            ID,
            format!("The sign-in page takes no passwords, and {who} has to sign in with one"),
            "allow password authentication for the web interface (Admin area > Settings > General > Sign-in restrictions)",
        ),
    }
}

fn two_factor(config: &Config, answers: &Answers, settings: &InstanceSettings) -> Check {
    const ID: &str = "gitlab.two_factor";
    let admin = config.gitlab.admin_session.as_ref();
    let admin_lacks_one = admin.is_some_and(|admin| admin.username().is_some() && admin.totp_secret().is_none());
    if !settings.require_two_factor_authentication {
        if !settings.require_admin_two_factor_authentication {
            return Check::ok(ID, "Two-factor authentication is not enforced");
        }
        if !admin_lacks_one {
            return Check::ok(ID, "Two-factor authentication is enforced for administrators only");
        }
    }
    if admin_lacks_one {
        return Check::failure(
            ID,
            "Two-factor authentication is enforced, and gitlab.admin_session has no totp_secret",
            "give the key of that administrator's authenticator as gitlab.admin_session.totp_secret",
        );
    }
    let has_one = matches!(&answers.droid, Ok(Some(droid)) if droid.two_factor);
    if has_one || config.droid.sign_in.is_none() {
        return Check::ok(
            ID,
            "Two-factor authentication is enforced, and the droid is prepared for it",
        );
    }
    if config.desired.user.second_factor {
        return Check::ok(
            ID,
            "Two-factor authentication is enforced, and apply registers an authenticator for the droid (user.totp)",
        );
    }
    Check::failure(
        ID,
        "Two-factor authentication is enforced, and the droid has none: GitLab lets it do nothing before that",
        "let apply register an authenticator for it (user.totp); or sign in once as the droid, register one, and give its key \
         as user.totp_secret; or end the enforcement (Admin area > Settings > General > Sign-in restrictions)",
    )
}

fn terms(config: &Config, settings: &InstanceSettings) -> Check {
    const ID: &str = "gitlab.terms";
    if !settings.enforce_terms {
        return Check::ok(ID, "No terms of service have to be accepted");
    }
    let message = "Terms of service have to be accepted by every user before GitLab lets it do anything";
    let signs_in = (config.gitlab.admin_session.as_ref()).is_some_and(|session| session.username().is_some());
    let fix = match (config.desired.user.accept_terms, signs_in) {
        (true, false) => {
            return Check::ok(
                ID,
                format!("{message}; apply accepts them as the droid (user.accept_terms)"),
            );
        }
        (true, true) => {
            "sign in once in a browser, as the administrator, and accept them; apply accepts them as the droid"
        }
        (false, true) => {
            "sign in once in a browser, as the administrator and as the droid, and accept them; or let apply do it for the \
             droid: user.accept_terms = true"
        }
        (false, false) => {
            "sign in once in a browser, as the droid, and accept them; or let apply do it: user.accept_terms = true"
        }
    };
    Check::warning(ID, message, fix)
}

fn recaptcha(settings: &InstanceSettings) -> Check {
    const ID: &str = "gitlab.recaptcha";
    if !settings.login_recaptcha_protection_enabled {
        return Check::ok(ID, "The sign-in page asks for no reCAPTCHA");
    }
    Check::warning(
        ID,
        "The sign-in page may ask for a reCAPTCHA, which no program can answer",
        "switch off reCAPTCHA for login (Admin area > Settings > Reporting > Spam and Anti-bot Protection)",
    )
}

fn email_confirmation(settings: &InstanceSettings) -> Check {
    const ID: &str = "gitlab.email_confirmation";
    match settings.email_confirmation_setting.as_deref() {
        Some("hard" | "soft") => Check::ok(
            ID,
            "New users have to confirm their e-mail address; Setpoint creates the droid as confirmed",
        ),
        _ => Check::ok(ID, "New users need not confirm their e-mail address"),
    }
}

/// What is against a sign-in that would do harm is told of each sign-in; this is what the instance has.
fn email_verification(settings: &InstanceSettings) -> Check {
    const ID: &str = "gitlab.email_verification";
    match settings.require_email_verification_on_account_locked {
        Some(false) => Check::ok(ID, "A sign-in from a new address locks no account"),
        Some(true) => Check::ok(
            ID,
            "A sign-in by GitLab's own form from a new address locks an account without an authenticator, so nobody signs in \
             there as one",
        ),
        None => Check::skipped(
            ID,
            "This GitLab does not tell whether a sign-in from a new address locks an account; those with an authenticator \
             are safe from it",
        ),
    }
}

/// Factory clones and pushes with the droid's OAuth token, which Git takes over HTTPS only.
fn git_over_https(settings: &InstanceSettings) -> Check {
    const ID: &str = "gitlab.git_over_https";
    if speaks_https(settings.enabled_git_access_protocol.as_deref()) {
        return Check::ok(ID, "Git is spoken over HTTPS");
    }
    Check::failure(
        ID,
        "Git over HTTPS is switched off, and Factory clones and pushes with a token, which Git takes over HTTPS only",
        "let Git be spoken by SSH and HTTP(S) (Admin area > Settings > General > Visibility and access controls > Enabled \
         Git access protocols)",
    )
}

/// How long before it a deactivation is warned about.
const DORMANT_WARNING_DAYS: i64 = 14;
/// What GitLab's setting is at first, and at least.
const DORMANT_DEFAULT_DAYS: i64 = 90;

/// A deactivated account is cut off from the API and from Git, and nobody signs in as the droid to end that.
fn dormant_users(answers: &Answers, settings: &InstanceSettings, today: Date) -> Check {
    const ID: &str = "gitlab.dormant_users";
    if !settings.deactivate_dormant_users {
        return Check::ok(ID, "Accounts without activity are not deactivated");
    }
    let days = settings.deactivate_dormant_users_period.unwrap_or(DORMANT_DEFAULT_DAYS);
    let rule = format!("GitLab deactivates accounts after {days} days without activity");
    let fix = "see to it that Factory works with GitLab, which counts as activity; if the droid has been deactivated, \
               `setpoint apply` activates it; or switch this off (Admin area > Settings > General > Account and limit > \
               Dormant users)";
    let Ok(Some(droid)) = &answers.droid else {
        return Check::ok(ID, format!("{rule}; what Factory does as the droid counts"));
    };
    let name = &droid.fields.username;
    let last = droid.last_activity_on.as_ref().and_then(|day| day.parse::<Date>().ok());
    let Some(last) = last else {
        return Check::warning(ID, format!("{rule}, and {name} has done nothing yet"), fix);
    };
    let left = days - i64::from(last.until(today).map_or(0, |span| span.get_days()));
    if left > DORMANT_WARNING_DAYS {
        return Check::ok(ID, format!("{rule}; {name} did something last on {last}"));
    }
    Check::warning(ID, format!("{rule}, and {name} did something last on {last}"), fix)
}

/// Groups that let in some addresses only: whether Factory's are among them only a person can tell.
fn restricted_groups(groups: &[GroupRules]) -> Option<Check> {
    let restricted: Vec<String> = groups
        .iter()
        .filter_map(|group| Some(format!("{} ({})", group.path.as_str(), group.addresses.as_ref()?)))
        .collect();
    (!restricted.is_empty()).then(|| {
        Check::warning(
            "gitlab.group_addresses",
            format!(
                "These groups, with all in them, let in some addresses only: {}",
                restricted.join("; ")
            ),
            "see to it that the addresses that Factory comes from, which its support names, are among them, and those of \
             this machine (the group's Settings > General > Permissions and group features > Restrict access by IP address)",
        )
    })
}

fn groups_without_https(groups: &[GroupRules]) -> Option<Check> {
    let without: Vec<&str> = groups
        .iter()
        .filter(|group| !group.git_over_https)
        .map(|group| group.path.as_str())
        .collect();
    (!without.is_empty()).then(|| {
        Check::failure(
            "gitlab.group_git_over_https",
            format!(
                "Git over HTTPS is switched off in these groups, and Factory clones and pushes with a token, which Git takes \
                 over HTTPS only: {}",
                without.join(", ")
            ),
            "let Git be spoken by SSH and HTTP(S) there (the group's Settings > General > Permissions and group features > \
             Enabled Git access protocols)",
        )
    })
}

fn scopes(config: &Config, answers: &Answers) -> Check {
    const ID: &str = "gitlab.scopes";
    let known = match &answers.scopes {
        Ok(Known::Known(known)) => known,
        Ok(Known::Unknown) => return Check::skipped(ID, "GitLab does not tell which OAuth scopes it knows"),
        Err(error) => return Check::failed(ID, error),
    };
    let Known::Known(declared) = &config.desired.application.scopes else {
        return Check::skipped(ID, "No scopes are declared");
    };
    let unknown: Vec<&str> = declared.difference(known).map(String::as_str).collect();
    if unknown.is_empty() {
        return Check::ok(ID, "GitLab knows all scopes of the application");
    }
    Check::failure(
        ID,
        format!(
            "GitLab does not know these scopes of the application: {}",
            unknown.join(", ")
        ),
        "take them out of application.scopes, or upgrade GitLab to a version that has them",
    )
}

/// Whether the URL that Factory is given leads to the same GitLab.
pub(super) async fn external_url(side: &GitlabSide<'_>) -> Check {
    const ID: &str = "gitlab.external_url";
    let config = &side.config.gitlab;
    let domain = urls::bare(&config.external_url);
    let own = side.inspect.issuer().await.ok().flatten();
    let Some(external) = side.external else {
        return match own {
            Some(own) => told(domain, &own),
            None => Check::skipped(
                ID,
                "GitLab did not tell its own URL, to compare gitlab.external_url with",
            ),
        };
    };
    let answered = external.issuer().await;
    match (answered, own) {
        (Ok(Some(there)), Some(own)) if Domain::from(there.as_str()) != Domain::from(own.as_str()) => Check::failure(
            ID,
            format!("Another GitLab answers at gitlab.external_url ({there}) than at gitlab.url ({own})"),
            "set gitlab.url and gitlab.external_url to addresses of the same GitLab",
        ),
        (Ok(Some(there)), _) => told(domain, &there),
        (Ok(None), _) => Check::failure(
            ID,
            format!("What answers at gitlab.external_url ({domain}) is no GitLab"),
            "set gitlab.external_url to the URL at which browsers, and Factory, reach GitLab",
        ),
        (Err(error), _) => Check::warning(
            ID,
            format!("gitlab.external_url does not answer here: {}", error.message),
            format!(
                "Factory has to reach {} from the internet; if only this machine cannot, all is well",
                origin(&config.external_url)
            ),
        ),
    }
}

/// Compares the domain with the URL that GitLab is configured with.
fn told(domain: &str, issuer: &str) -> Check {
    const ID: &str = "gitlab.external_url";
    let issuer = issuer.trim_end_matches('/');
    if issuer.eq_ignore_ascii_case(domain) {
        return Check::ok(ID, format!("GitLab's own URL is {domain}, as Factory is told"));
    }
    Check::warning(
        ID,
        format!("GitLab says that its URL is {issuer}, and Factory is told {domain}"),
        format!("set gitlab.external_url = \"{issuer}\", or external_url in GitLab's gitlab.rb"),
    )
}
