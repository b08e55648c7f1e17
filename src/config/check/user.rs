//! The droid user, how to be it, and what it may do.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::super::fault::Finding;
use super::super::raw::{RawUser, SecretReference, Text};
use super::repositories::path_problem;
use super::{Facts, filled};
use crate::config::raw::RawSignIn;
use crate::model::FullPath;

fn user<'a>(facts: &Facts<'a>) -> Option<&'a RawUser> {
    facts.raw.user.as_deref()
}

pub(super) fn names_are_filled(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    if let Some(name) = user(facts).and_then(|user| user.name.as_ref()) {
        filled("user.name", Some(name), findings);
        if !name.trim().is_empty() && name.trim() != **name {
            findings.push(Finding::new(
                name.span(),
                "`user.name` has white space around it, which GitLab does not keep",
                "take it away, or every plan would show a difference",
            ));
        }
    }
}

pub(super) fn usernames_are_what_gitlab_takes(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(user) = user(facts) else {
        return;
    };
    if let Some(name) = &user.username {
        username("user.username", name, findings);
    }
    for name in user.previously.iter().flat_map(|names| names.iter()) {
        username("user.previously", name, findings);
    }
}

/// GitLab: `lib/gitlab/path_regex.rb`, `NAMESPACE_FORMAT_REGEX` and its message.
fn username(path: &str, name: &Text, findings: &mut Vec<Finding>) {
    let taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let what = if name.is_empty() {
        "is empty"
    } else if !name.chars().all(taken) {
        "has characters that GitLab refuses in a username"
    } else if name.starts_with('-') {
        "begins with a character that GitLab refuses there"
    } else if [".", ".git", ".atom"].iter().any(|end| name.ends_with(end)) {
        "ends as GitLab refuses it"
    } else if name.len() > 255 {
        "is longer than the 255 characters that GitLab takes"
    } else {
        return;
    };
    findings.push(Finding::new(
        name.span(),
        format!("`{path}` {what}"),
        "use letters, digits, `_`, `-` and `.`; no `-` in front, no `.`, `.git` or `.atom` at the end",
    ));
}

/// GitLab's account type *service account* can neither sign in, nor be impersonated, nor authorize (GitLab:
/// `app/policies/global_policy.rb`); their usernames begin like this unless somebody chose another.
pub(super) fn it_is_a_regular_user(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(name) = user(facts).and_then(|user| user.username.as_ref()) else {
        return;
    };
    let folded = name.to_lowercase();
    if ["service_account_", "project_", "group_"].iter().any(|begin| {
        folded
            .strip_prefix(begin)
            .is_some_and(|rest| begin == &"service_account_" || rest.contains("_bot"))
    }) {
        findings.push(Finding::warning(
            name.span(),
            "`user.username` looks like one of GitLab's service accounts or bots, which cannot sign in or approve Factory",
            "name a regular user; Factory's \"dedicated service account\" means a user of its own, not that type of account",
        ));
    }
}

pub(super) fn the_email_is_an_address(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(email) = user(facts).and_then(|user| user.email.as_ref()) else {
        return;
    };
    let parts = email.split_once('@');
    let sound = parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'))
        && !email.contains(|c: char| c.is_whitespace() || c.is_control());
    if !sound {
        findings.push(Finding::new(
            email.span(),
            "`user.email` is no e-mail address",
            "write one such as factory-droid@example.com; no other account of GitLab may have it",
        ));
    }
}

pub(super) fn earlier_names_differ(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(user) = user(facts) else {
        return;
    };
    let Some(names) = &user.previously else {
        return;
    };
    super::once("user.previously", names, str::to_lowercase, findings);
    let Some(username) = &user.username else {
        return;
    };
    for name in names.iter().filter(|name| name.eq_ignore_ascii_case(username)) {
        findings.push(Finding::new(
            name.span(),
            "`user.previously` lists the present username",
            "remove it; only earlier usernames belong here",
        ));
    }
}

pub(super) fn signing_in_is_possible(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(user) = user(facts) else {
        return;
    };
    let Some(sign_in) = &user.sign_in else {
        return;
    };
    let has_password = user.password.is_some() || facts.broken.contains("user.password");
    let gitlab_is_sound = facts.raw.gitlab.as_ref();
    let session = gitlab_is_sound.map(|gitlab| gitlab.admin_session.as_ref());
    let has_session = session.is_none_or(|session| session.is_some()) || facts.broken.contains("gitlab.admin_session");
    let is_handed_over = session.flatten().is_some_and(|session| session.cookie.is_some());
    match **sign_in {
        RawSignIn::Password if !has_password => findings.push(Finding::new(
            sign_in.span(),
            "`user.sign_in` is \"password\", but there is no `user.password`",
            "add `password = { env = \"FACTORY_DROID_PASSWORD\" }` to `[user]`, or sign in by \"impersonate\"",
        )),
        RawSignIn::Impersonate if !has_session => findings.push(Finding::new(
            sign_in.span(),
            "`user.sign_in` is \"impersonate\", but there is no `[gitlab.admin_session]`",
            "add `[gitlab.admin_session]` with `username` and `password`, or sign in by \"password\" or \"person\"",
        )),
        RawSignIn::Impersonate if is_handed_over => findings.push(Finding::new(
            sign_in.span(),
            "`user.sign_in` is \"impersonate\", which would end the session that `gitlab.admin_session.cookie` is of",
            "sign in by \"password\", with `user.password`, or let a \"person\" do it",
        )),
        RawSignIn::Password | RawSignIn::Impersonate | RawSignIn::Person => {}
    }
}

/// Setpoint registers an authenticator by signing in with the password, and keeps its key where it finds it again.
pub(super) fn its_authenticator_can_be_kept(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(user) = user(facts) else {
        return;
    };
    let Some(totp) = &user.totp else {
        return;
    };
    let is_broken = |key: &str| facts.broken.contains(key);
    if let Some(secret) = &user.totp_secret {
        findings.push(Finding::new(
            secret.span(),
            "`user.totp_secret` is of no use beside `user.totp`, which has the key",
            "keep one of them: `totp` where Setpoint registers the authenticator, `totp_secret` where somebody else has",
        ));
    }
    let stored = [
        ("user.totp.save", totp.save.is_none()),
        ("user.totp.load", totp.load.is_none()),
    ];
    for (key, _) in stored.iter().filter(|(key, is_missing)| *is_missing && !is_broken(key)) {
        findings.push(Finding::new(
            totp.span(),
            format!("`{key}` is missing"),
            "give both: `save` gets the key before GitLab is told of it, and `load` gives it back at each sign-in",
        ));
    }
    if let Some(load) = &totp.load
        && let SecretReference::Env(_) = load.get()
    {
        findings.push(Finding::new(
            load.span(),
            "`user.totp.load` is an environment variable, which stays as it is while Setpoint runs",
            "load the key from where `user.totp.save` puts it: a file, or a command",
        ));
    }
    let by_password = user
        .sign_in
        .as_deref()
        .is_none_or(|sign_in| *sign_in == RawSignIn::Password);
    if (user.password.is_none() && !is_broken("user.password")) || !by_password {
        findings.push(Finding::new(
            totp.span(),
            "`user.totp` takes a droid that signs in by its password",
            "add `user.password`, and leave `user.sign_in` out; or take `user.totp` out",
        ));
    }
}

/// Accepting them takes a session of the droid's.
pub(super) fn terms_can_be_accepted(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(user) = user(facts) else {
        return;
    };
    let Some(accept) = user.accept_terms.as_ref().filter(|accept| ***accept) else {
        return;
    };
    let has_password = user.password.is_some() || facts.broken.contains("user.password");
    let session = (facts.raw.gitlab.as_ref()).map(|gitlab| gitlab.admin_session.as_ref());
    let can_impersonate = session.is_none_or(|session| session.is_some_and(|session| session.cookie.is_none()))
        || facts.broken.contains("gitlab.admin_session");
    if !has_password && !can_impersonate {
        findings.push(Finding::new(
            accept.span(),
            "`user.accept_terms` takes a way to sign in as the droid, and there is none",
            "add `user.password`, or `[gitlab.admin_session]` with `username` and `password`; or take it out, and accept the \
             terms in a browser",
        ));
    }
}

pub(super) fn its_provider_is_ldap(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let provider = user(facts).and_then(|user| user.provider.as_ref());
    super::sides::provider_is_ldap("user.provider", provider, findings);
}

pub(super) fn memberships_are_paths(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    let memberships = user(facts).and_then(|user| user.memberships.as_ref());
    for (path, membership) in memberships.into_iter().flatten() {
        findings.extend(membership.0.expires_at.as_ref().and_then(has_ended));
        let span = path.span();
        if let Some((what, hint)) = path_problem(path) {
            findings.push(Finding::new(span, format!("a path of `user.memberships` {what}"), hint));
        } else if path.contains(['*', '?', '[', '{']) {
            findings.push(Finding::new(
                span,
                "a path of `user.memberships` is a glob",
                "name a group or a project by its full path; a role in a group reaches everything below it",
            ));
        } else if !seen.insert(FullPath::new(path.get())) {
            findings.push(Finding::new(
                span,
                "`user.memberships` names this path twice",
                "keep one role; GitLab does not tell paths apart by case",
            ));
        }
    }
}

/// GitLab refuses a day of the past, and takes the membership away on the day itself.
fn has_ended(expires_at: &Text) -> Option<Finding> {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let (what, hint) = match expires_at.parse::<Date>() {
        Err(_) => ("is no day", "write it as YYYY-MM-DD, such as 2027-01-31"),
        Ok(day) if day <= today => ("is not in the future", "set a later day, or take the membership out"),
        Ok(_) => return None,
    };
    let message = format!("`expires_at` of a membership {what}");
    Some(Finding::new(expires_at.span(), message, hint))
}
