//! A mishap at any point ends well or with one clear error, and it converges when the mishap is over. Here each
//! third kind of request of a scenario meets one mishap; all mishaps at all kinds, once and lasting, are
//! `cargo run --example soak -- fault-matrix`.

use crate::matrix::Extent;
use crate::matrix::fault::matrix;
use crate::matrix::scenario::Scenario;

fn withstands(name: &str) {
    let tally = matrix(&Scenario::named(name), Extent::Part, 2);
    assert!(tally.violations.is_empty(), "{}", tally.violations.join("\n"));
    assert_eq!(tally.missed, 0, "{name}: a point was not reached");
    assert!(tally.struck >= 4, "{name}: only {} points", tally.struck);
}

/// All scenarios at once, because most of the time is spent waiting between attempts.
#[test]
fn a_mishap_at_a_request_of_any_kind_ends_well() {
    std::thread::scope(|scope| {
        for name in [
            "first apply, by password",
            "first apply, impersonated",
            "change in place",
            "replacement",
            "rotation",
            "destroy with the user",
        ] {
            scope.spawn(move || withstands(name));
        }
    });
}
