//! The OAuth application.

use super::super::fault::Finding;
use super::super::raw::{DEFAULT_SCOPES, RawFactory, Text};
use super::super::redirect::Expected;
use super::super::uri;
use super::{Facts, filled, once, unusable};

pub(super) fn the_name_is_one_line(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(name) = facts.raw.application.as_ref().and_then(|raw| raw.name.as_ref()) else {
        return;
    };
    filled("application.name", Some(name), findings);
    if name.contains(char::is_control) {
        findings.push(Finding::new(
            name.span(),
            "`application.name` has control characters or line ends",
            "write it on one line",
        ));
    }
}

pub(super) fn redirect_uris_are_absolute(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(uris) = facts.raw.application.as_ref().and_then(|raw| raw.redirect_uri.as_ref()) else {
        return;
    };
    if uris.is_empty() && !facts.broken.contains("application.redirect_uri") {
        findings.push(Finding::new(
            uris.span(),
            "`application.redirect_uri` is empty",
            "write the redirect URI that Factory shows on its integration page",
        ));
    }
    for uri in uris.iter() {
        if let Err(problem) = uri::redirect(uri) {
            findings.push(unusable("application.redirect_uri", uri.span(), &problem));
        }
    }
    once("application.redirect_uri", uris, str::to_owned, findings);
}

/// Whether each is one of those that Factory sends browsers back to.
pub(super) fn redirect_uris_are_factorys(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(uris) = facts.raw.application.as_ref().and_then(|raw| raw.redirect_uri.as_ref()) else {
        return;
    };
    if facts.broken.iter().any(|path| path.starts_with("factory.")) {
        return;
    }
    let factory = facts.raw.factory.as_deref();
    let region = factory.and_then(|factory| factory.region.as_deref().copied());
    let own = |host: fn(&RawFactory) -> Option<&Text>| factory.and_then(host).map(|text| text.as_str());
    let expected = Expected::new(
        region.unwrap_or_default(),
        own(|factory| factory.api_url.as_ref()),
        own(|factory| factory.app_url.as_ref()),
    );
    for given in uris.iter().filter(|given| uri::redirect(given).is_ok()) {
        if let Some(fault) = expected.fault(given) {
            findings.push(Finding::warning(
                given.span(),
                format!("`application.redirect_uri` {fault}"),
                expected.hint(),
            ));
        }
    }
}

/// Factory asks for all that its guide names, and GitLab shows an error page where an application lacks one of them.
pub(super) fn no_scope_is_missing(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(scopes) = facts.raw.application.as_ref().and_then(|raw| raw.scopes.as_ref()) else {
        return;
    };
    if scopes.is_empty() || facts.broken.contains("application.scopes") {
        return;
    }
    let missing: Vec<&str> = DEFAULT_SCOPES
        .into_iter()
        .filter(|wanted| scopes.iter().all(|scope| scope.get() != wanted))
        .collect();
    if missing.is_empty() {
        return;
    }
    let lost: Vec<&str> = missing.iter().map(|scope| use_of(scope)).collect();
    findings.push(Finding::warning(
        scopes.span(),
        format!(
            "`application.scopes` lacks `{}`, which Factory's guide asks for",
            missing.join("`, `")
        ),
        format!(
            "without them: {}; where Factory asks for a scope that the application lacks, GitLab refuses the authorization as \
             a whole",
            lost.join("; ")
        ),
    ));
}

/// What a Droid does with a scope (GitLab: "OAuth 2.0 scopes").
fn use_of(scope: &str) -> &'static str {
    match scope {
        "api" => "no merge request, comment or branch is made",
        "read_api" => "projects and merge requests are not listed",
        "read_user" => "whom Factory acts as is not known",
        "read_repository" => "code is not cloned",
        "write_repository" => "code is not pushed",
        "read_observability" => "errors and traces are not read",
        _ => "errors and traces are not written",
    }
}

pub(super) fn scopes_are_words(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(scopes) = facts.raw.application.as_ref().and_then(|raw| raw.scopes.as_ref()) else {
        return;
    };
    if scopes.is_empty() && !facts.broken.contains("application.scopes") {
        findings.push(Finding::new(
            scopes.span(),
            "`application.scopes` is empty",
            "list the scopes, or remove the key for the seven that Factory asks for",
        ));
    }
    for scope in scopes.iter() {
        // RFC 6749, 3.3: scopes are separated by spaces.
        if scope.is_empty() || scope.contains(|c: char| c.is_whitespace() || c.is_control()) {
            findings.push(Finding::new(
                scope.span(),
                "a scope of `application.scopes` is not one word",
                "write each scope as a string of its own, such as [\"api\", \"read_user\"]",
            ));
        }
    }
    once("application.scopes", scopes, str::to_owned, findings);
}
