//! How to reach GitLab and Factory.

use super::super::fault::Finding;
use super::super::raw::{Spanned, Text};
use super::super::types::Driver;
use super::super::uri;
use super::{Facts, address, filled};
use crate::urls;

pub(super) fn gitlab_addresses_are_servers(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    if let Some(gitlab) = &facts.raw.gitlab {
        address("gitlab.url", gitlab.url.as_ref(), uri::base, findings);
        address("gitlab.external_url", gitlab.external_url.as_ref(), uri::base, findings);
    }
}

/// A host that mixes scripts may only look like the one that is meant, and would get the tokens for it.
pub(super) fn hosts_are_of_one_script(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let gitlab = facts.raw.gitlab.as_ref();
    let factory = facts.raw.factory.as_ref();
    let state = facts.raw.state.as_ref();
    let addresses = [
        ("gitlab.url", gitlab.and_then(|gitlab| gitlab.url.as_ref())),
        (
            "gitlab.external_url",
            gitlab.and_then(|gitlab| gitlab.external_url.as_ref()),
        ),
        ("factory.api_url", factory.and_then(|factory| factory.api_url.as_ref())),
        ("factory.app_url", factory.and_then(|factory| factory.app_url.as_ref())),
        ("state.url", state.and_then(|state| state.url.as_ref())),
    ];
    for (key, address) in addresses {
        let Some((address, shown)) = address.and_then(|address| Some((address, uri::look_alike(address)?))) else {
            continue;
        };
        findings.push(Finding::warning(
            address.span(),
            format!(
                "`{key}` mixes letters of several scripts, and may only look like the host that is meant: it is {shown}"
            ),
            "type the host anew; if it is the right one, write it in that form, which ends this warning",
        ));
    }
}

pub(super) fn gitlab_texts_are_filled(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    if let Some(gitlab) = &facts.raw.gitlab
        && let Some(session) = &gitlab.admin_session
    {
        filled("gitlab.admin_session.username", session.username.as_ref(), findings);
    }
}

/// A session is signed in to, or handed over, and only one of these.
pub(super) fn the_session_is_had_in_one_way(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(session) = facts
        .raw
        .gitlab
        .as_ref()
        .and_then(|gitlab| gitlab.admin_session.as_ref())
    else {
        return;
    };
    let is_broken = |key: &str| facts.broken.contains(&format!("gitlab.admin_session.{key}"));
    provider_is_ldap("gitlab.admin_session.provider", session.provider.as_ref(), findings);
    let account = [
        ("username", session.username.as_ref().map(Spanned::span)),
        ("password", session.password.as_ref().map(Spanned::span)),
        ("totp_secret", session.totp_secret.as_ref().map(Spanned::span)),
        ("provider", session.provider.as_ref().map(Spanned::span)),
    ];
    if session.cookie.is_some() || is_broken("cookie") {
        for (key, span) in account {
            if let Some(span) = span {
                findings.push(Finding::new(
                    span,
                    format!(
                        "`gitlab.admin_session.{key}` is of no use beside `cookie`, which is a session that is open"
                    ),
                    "keep one of them: a cookie, or an account that signs in",
                ));
            }
        }
        return;
    }
    for (key, span) in account.into_iter().take(2) {
        if span.is_none() && !is_broken(key) {
            findings.push(Finding::new(
                session.span(),
                format!("`gitlab.admin_session.{key}` is missing"),
                "give `username` and `password`; or `cookie`, where administrators sign in by single sign-on only",
            ));
        }
    }
}

/// Only the form of an LDAP server can be filled in by a program; all other providers take the browser elsewhere.
pub(super) fn provider_is_ldap(key: &str, provider: Option<&Text>, findings: &mut Vec<Finding>) {
    let Some(provider) = provider else { return };
    let plain = provider
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if !provider.starts_with("ldap") || !plain {
        findings.push(Finding::new(
            provider.span(),
            format!("`{key}` is no name of an LDAP server"),
            "name it as GitLab does: `ldap` and the server's key in gitlab.rb, such as \"ldapmain\"; every other provider takes \
             a browser",
        ));
    }
}

/// Factory refuses a Domain that leads to no public address (Factory: "Self-Managed Source Control"). A GitLab on this
/// machine is a trial with the sandbox and is left alone.
pub(super) fn factory_can_reach_gitlab(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(gitlab) = &facts.raw.gitlab else { return };
    let url = gitlab.url.as_ref().and_then(|url| uri::base(url).ok());
    if url.as_ref().is_some_and(urls::is_loopback) {
        return;
    }
    let (key, given) = match (&gitlab.external_url, &gitlab.url) {
        (Some(external), _) => ("gitlab.external_url", external),
        (None, Some(url)) => ("gitlab.url", url),
        (None, None) => return,
    };
    let Some(what) = uri::base(given).ok().as_ref().and_then(uri::not_public) else {
        return;
    };
    findings.push(Finding::new(
        given.span(),
        format!("`{key}` is what Factory is given as Domain, and it is {what}, which Factory cannot reach"),
        "set `gitlab.external_url` to the address at which GitLab is reached from the internet; Factory's support names the \
         addresses that it comes from, for a firewall that lets in only those",
    ));
}

pub(super) fn factory_addresses_are_servers(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    if let Some(factory) = &facts.raw.factory {
        address("factory.api_url", factory.api_url.as_ref(), uri::base, findings);
        address("factory.app_url", factory.app_url.as_ref(), uri::base, findings);
    }
}

pub(super) fn the_api_driver_has_a_token(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(factory) = &facts.raw.factory else {
        return;
    };
    let Some(driver) = factory.driver.as_ref().filter(|driver| ***driver == Driver::Api) else {
        return;
    };
    if factory.token.is_none() && !facts.broken.contains("factory.token") {
        findings.push(Finding::new(
            driver.span(),
            "the driver `api` needs `factory.token`",
            "add `token = { env = \"FACTORY_API_KEY\" }` to `[factory]`, or choose the driver `assisted`",
        ));
    }
}
