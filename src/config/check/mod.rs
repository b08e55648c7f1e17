//! The checks of meaning: small named functions, all of which run, each over what is sound in structure. They see the
//! file's own shape, so that every finding has its place.

mod application;
mod repositories;
mod sides;
mod state;
mod user;
mod ways;
mod windows;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use super::fault::Finding;
use super::raw::{RawConfig, Text};
use super::uri::Problem;

/// What a check is given.
pub(super) struct Facts<'a> {
    /// What is sound in structure.
    pub(super) raw: &'a RawConfig,
    /// Dotted paths of keys that are in the file but not in `raw`, because they are wrong.
    pub(super) broken: &'a BTreeSet<String>,
    /// Where relative paths begin; none where files are not looked for.
    pub(super) folder: Option<&'a Path>,
}

type Check = fn(&Facts<'_>, &mut Vec<Finding>);

/// All of them, by the section that they begin with.
const CHECKS: [Check; 33] = [
    sides::gitlab_addresses_are_servers,
    sides::hosts_are_of_one_script,
    sides::gitlab_texts_are_filled,
    sides::the_session_is_had_in_one_way,
    sides::factory_can_reach_gitlab,
    sides::factory_addresses_are_servers,
    sides::the_api_driver_has_a_token,
    application::the_name_is_one_line,
    application::redirect_uris_are_absolute,
    application::redirect_uris_are_factorys,
    application::scopes_are_words,
    application::no_scope_is_missing,
    user::names_are_filled,
    user::usernames_are_what_gitlab_takes,
    user::it_is_a_regular_user,
    user::the_email_is_an_address,
    user::earlier_names_differ,
    user::signing_in_is_possible,
    user::terms_can_be_accepted,
    user::its_authenticator_can_be_kept,
    user::its_provider_is_ldap,
    user::memberships_are_paths,
    repositories::patterns_parse,
    repositories::patterns_are_listed_once,
    repositories::nothing_is_enabled_and_excepted,
    windows::windows_have_days,
    windows::windows_open_and_close,
    windows::time_zones_exist,
    state::the_record_has_one_place,
    ways::certificates_can_be_read,
    ways::client_certificates_are_whole,
    ways::headers_may_be_set,
    ways::proxies_are_addresses,
];

pub(super) fn check(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for check in CHECKS {
        check(facts, &mut findings);
    }
    findings
}

/// A text that is there has to have something in it.
fn filled(path: &str, text: Option<&Text>, findings: &mut Vec<Finding>) {
    if let Some(text) = text.filter(|text| text.trim().is_empty()) {
        findings.push(Finding::new(
            text.span(),
            format!("`{path}` is empty"),
            "fill it, or remove the key",
        ));
    }
}

/// An address that is there has to be one.
fn address<T>(path: &str, text: Option<&Text>, parse: fn(&str) -> Result<T, Problem>, findings: &mut Vec<Finding>) {
    if let Some(text) = text
        && let Err(problem) = parse(text)
    {
        findings.push(unusable(path, text.span(), &problem));
    }
}

fn unusable(path: &str, span: Range<usize>, problem: &Problem) -> Finding {
    Finding::new(span, format!("`{path}` cannot be used: {}", problem.what), problem.hint)
}

/// A list has nothing twice, by a key under which texts count as the same.
fn once(path: &str, texts: &[Text], same: fn(&str) -> String, findings: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    for text in texts.iter().filter(|text| !seen.insert(same(text))) {
        let message = format!("`{path}` lists this twice");
        findings.push(Finding::new(text.span(), message, "keep it once"));
    }
}
