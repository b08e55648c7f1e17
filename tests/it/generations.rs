//! The whole job over the pages of every generation of GitLab: first apply, trust, consent, impersonation with Admin
//! Mode, edit in place, rotation.

use setpoint::sandbox::{Generation, Options};

use super::common::Fixture;

/// A GitLab of that generation.
async fn at(generation: Generation, switches: &[&str]) -> Fixture {
    let mut options = Options::default();
    let generation = format!("gitlab={}", generation.name());
    for switch in [generation.as_str()].iter().chain(switches) {
        options.switches.set(switch).expect("a switch");
    }
    let fixture = Fixture::with(options).await;
    fixture.give_admin_session();
    fixture
}

/// All that there have been.
fn real() -> impl Iterator<Item = Generation> {
    let all = Generation::ALL.into_iter();
    all.filter(|generation| *generation != Generation::Unknown)
}

#[tokio::test]
async fn a_first_apply_and_a_rotation_by_password() {
    for generation in real() {
        let fixture = at(generation, &[]).await;
        let name = generation.name();
        fixture.apply().await.expect(0);
        fixture.expect_connected(name);
        assert!(fixture.application().trusted, "{name}");
        let before = fixture.application();
        fixture.run(&["rotate", "--auto-approve"]).await.expect(0);
        let after = fixture.application();
        assert_eq!(after.id, before.id, "{name}");
        assert_ne!(after.secret_digest, before.secret_digest, "{name}");
        fixture.expect_connected(name);
        fixture.expect_nothing_to_do(name).await;
        fixture.expect_signed_out(name);
    }
}

#[tokio::test]
async fn a_first_apply_by_impersonation_and_consent_in_admin_mode() {
    for generation in real() {
        let fixture = at(generation, &["admin_mode=true"]).await;
        let name = generation.name();
        fixture.edit_config("password = { env = \"FACTORY_DROID_PASSWORD\" }\n", "");
        fixture.edit_config("[user]\n", "trusted = false\n\n[user]\n");
        fixture.apply().await.expect(0);
        fixture.expect_connected(name);
        let asked = fixture.requests_since(0);
        let consented = asked
            .iter()
            .filter(|request| *request == "POST /oauth/authorize")
            .count();
        assert_eq!(consented, 1, "{name}");
        // Trust and a name are edited in place.
        fixture.edit_config("trusted = false", "trusted = true");
        fixture.apply().await.expect(0);
        assert!(fixture.application().trusted, "{name}");
        fixture.expect_connected(name);
        fixture.expect_signed_out(name);
    }
}

#[tokio::test]
async fn pages_of_no_generation_are_an_error_that_names_what_was_looked_for() {
    let fixture = at(Generation::Unknown, &[]).await;
    let ran = fixture.apply().await;
    assert_ne!(ran.code, 0);
    let said = format!("{}\n{}", ran.stdout, ran.stderr);
    assert!(said.contains("sign-in"), "{said}");
    fixture.expect_signed_out("unknown");
}
