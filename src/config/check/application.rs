//! The OAuth application.

use super::super::fault::Finding;
use super::super::raw::Text;
use super::super::uri;
use super::{Facts, filled, repeated, unusable};

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
    once("application.redirect_uri", uris, findings);
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
    once("application.scopes", scopes, findings);
}

fn once(path: &str, texts: &[Text], findings: &mut Vec<Finding>) {
    for text in repeated(texts, str::to_owned) {
        findings.push(Finding::new(
            text.span(),
            format!("`{path}` lists this twice"),
            "keep it once",
        ));
    }
}
