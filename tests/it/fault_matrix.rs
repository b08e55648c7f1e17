//! A mishap at any point ends well or with one clear error, and it converges when the mishap is over. Here each kind
//! of request of a scenario meets one mishap; all mishaps at all kinds, once and lasting, are
//! `cargo run --example soak -- fault-matrix`.

use crate::matrix::Extent;
use crate::matrix::fault::matrix;
use crate::matrix::scenario::Scenario;

fn withstands(name: &str) {
    let tally = matrix(&Scenario::named(name), Extent::Part, 6);
    assert!(tally.violations.is_empty(), "{}", tally.violations.join("\n"));
    assert_eq!(tally.missed, 0, "a point was not reached");
    assert!(tally.struck >= 10, "only {} points", tally.struck);
}

#[test]
fn a_first_apply_by_password() {
    withstands("first apply, by password");
}

#[test]
fn a_first_apply_by_impersonation() {
    withstands("first apply, impersonated");
}

#[test]
fn a_change_in_place() {
    withstands("change in place");
}

#[test]
fn a_replacement() {
    withstands("replacement");
}

#[test]
fn a_rotation() {
    withstands("rotation");
}

#[test]
fn a_destroy() {
    withstands("destroy with the user");
}
