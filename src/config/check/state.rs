//! Where the state record is kept.

use super::super::fault::Finding;
use super::super::raw::{RawState, Text};
use super::super::uri;
use super::{Facts, address, filled};

pub(super) fn the_record_has_one_place(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(state) = facts.raw.state.as_deref() else {
        return;
    };
    filled("state.path", state.path.as_ref(), findings);
    for (path, text) in [
        ("state.url", &state.url),
        ("state.lock_url", &state.lock_url),
        ("state.unlock_url", &state.unlock_url),
    ] {
        address(path, text.as_ref(), uri::server, findings);
    }
    for (path, method) in [
        ("state.lock_method", &state.lock_method),
        ("state.unlock_method", &state.unlock_method),
    ] {
        if let Some(method) = method.as_ref().filter(|method| !is_method(method)) {
            findings.push(Finding::new(
                method.span(),
                format!("`{path}` is no HTTP method"),
                "write a method in capital letters, such as \"LOCK\" or \"POST\"",
            ));
        }
    }
    let has_url = state.url.is_some() || facts.broken.contains("state.url");
    if let (Some(path), true) = (&state.path, has_url) {
        findings.push(Finding::new(
            path.span(),
            "`[state]` has both `path` and `url`",
            "keep `path` for a local file, or `url` for an HTTP backend",
        ));
    }
    if !has_url {
        of_no_use(state, findings);
    }
    credentials_are_whole(facts, state, findings);
}

/// Keys that say how to talk to an HTTP backend, where there is none.
fn of_no_use(state: &RawState, findings: &mut Vec<Finding>) {
    let texts: [(&str, Option<&Text>); 5] = [
        ("lock_url", state.lock_url.as_ref()),
        ("unlock_url", state.unlock_url.as_ref()),
        ("lock_method", state.lock_method.as_ref()),
        ("unlock_method", state.unlock_method.as_ref()),
        ("username", state.username.as_ref()),
    ];
    let password = (
        "password",
        state.password.as_ref().map(super::super::raw::Spanned::span),
    );
    for (key, span) in texts
        .map(|(key, text)| (key, text.map(Text::span)))
        .into_iter()
        .chain([password])
        .chain(state.way().keys().map(|(key, span)| (key, Some(span))))
    {
        if let Some(span) = span {
            findings.push(Finding::new(
                span,
                format!("`state.{key}` has no effect without `state.url`"),
                format!("add `url`, or remove `{key}`"),
            ));
        }
    }
}

fn credentials_are_whole(facts: &Facts<'_>, state: &RawState, findings: &mut Vec<Finding>) {
    filled("state.username", state.username.as_ref(), findings);
    match (&state.username, &state.password) {
        (Some(username), None) if !facts.broken.contains("state.password") => findings.push(Finding::new(
            username.span(),
            "`state.username` has no `state.password`",
            "add `password = { env = \"NAME\" }`, or remove `username`",
        )),
        (None, Some(password)) if !facts.broken.contains("state.username") => findings.push(Finding::new(
            password.span(),
            "`state.password` has no `state.username`",
            "add `username`; for a job token of GitLab CI it is \"gitlab-ci-token\"",
        )),
        _ => {}
    }
}

fn is_method(method: &str) -> bool {
    !method.is_empty() && method.len() <= 20 && method.bytes().all(|byte| byte.is_ascii_uppercase())
}
