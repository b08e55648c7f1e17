//! Random worlds through the real binary. Here a few that stay the same; as many as one likes are
//! `cargo run --example soak -- random --runs 1000`. Below them, by name, what the random worlds have found.

use crate::common::Fixture;
use crate::matrix::random::runs;

#[test]
fn whatever_is_declared_live_and_recorded_an_apply_ends_well() {
    let (tally, found) = runs(2026, 6, 6);
    assert!(tally.violations.is_empty(), "{}", tally.violations.join("\n"));
    assert_eq!(tally.injected, 6);
    assert!(found.faults > 0, "nothing went wrong in any of them");
    assert!(found.undisturbed > 0, "something went wrong in each of them");
}

#[tokio::test]
async fn a_domain_at_which_factory_finds_no_gitlab_is_put_right() {
    let fixture = Fixture::complete().await;
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    let move_away = |domain: &str| {
        fixture.sandbox.with_world(|world| {
            let integration = world.factory.integration.as_mut();
            domain.clone_into(&mut integration.expect("it was saved").domain);
        });
    };
    move_away("https://old.example.com");
    // Factory asks GitLab for its list, and answers 502 where it finds none at the address that it was given.
    let ran = fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    assert!(ran.stdout.contains("old.example.com"), "{}", ran.stdout);
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
}
