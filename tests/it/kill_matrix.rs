//! Killed at any point, the next run converges. Here at each kind of write of a scenario, in turn before and after
//! it; before and after every request it is `cargo run --example soak -- kill-matrix`.

use crate::matrix::kill::matrix;
use crate::matrix::scenario::Scenario;
use crate::matrix::{Extent, Tally};

/// One request at a time, so that the points are the same in every run.
fn survives(name: &str) {
    let scenario = Scenario::named(name);
    let tally = matrix(&scenario, Extent::Part, "1", None, 3);
    let Tally {
        injected,
        missed,
        attempts,
        violations,
    } = tally;
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    assert_eq!(missed, 0, "a point was not reached");
    assert!(injected >= 2, "only {injected} points");
    assert_eq!(attempts.iter().sum::<usize>(), injected);
}

#[test]
fn a_first_apply_by_password() {
    survives("first apply, by password");
}

#[test]
fn a_first_apply_by_impersonation() {
    survives("first apply, impersonated");
}

#[test]
fn terms_that_are_accepted() {
    survives("first apply, terms");
}

#[test]
#[ignore = "a share of the other kills is like it; `.ci/run` runs it"]
fn terms_that_are_accepted_impersonated() {
    survives("first apply, terms, impersonated");
}

/// Every code waits for its step of 30 s.
#[test]
#[ignore = "takes minutes; `.ci/run` runs it"]
fn an_authenticator_that_is_registered() {
    let tally = matrix(&Scenario::named("second factor"), Extent::All, "1", None, 8);
    assert!(tally.violations.is_empty(), "{}", tally.violations.join("\n"));
    assert!(tally.injected > 20, "only {} points", tally.injected);
}

#[test]
fn a_change_in_place() {
    survives("change in place");
}

#[test]
fn a_replacement() {
    survives("replacement");
}

#[test]
fn a_rotation() {
    survives("rotation");
}

#[test]
fn a_rotation_that_an_apply_ends() {
    survives("rotation, then apply");
}

/// Each point of the renewal that nobody knew of before is a point of its own.
#[test]
fn an_apply_that_meets_a_refused_secret() {
    survives("refused secret");
}

#[test]
fn an_adoption() {
    survives("adoption");
}

#[test]
fn a_change_of_the_selection() {
    survives("selection");
}

#[test]
fn a_destroy() {
    survives("destroy");
}

#[test]
fn a_destroy_with_the_user() {
    survives("destroy with the user");
}
