//! Without an administrator's session GitLab cannot edit an application: it is replaced, where that is allowed, in an
//! order in which Factory is never without one, and however often it is cut off.

use serde_json::json;
use setpoint::sandbox::Options;

use super::common::Fixture;
use super::common::plans::{change, expect_order, notes, unwrapped};
use super::common::proxy::{Cut, Proxy, cut_at_each_write};

/// Applied without an administrator's session, and then given a second redirect URI.
async fn with_another_redirect_uri(fixture: &Fixture) {
    fixture.edit_config("\nredirect_uri", "\ntrusted = false\nredirect_uri");
    fixture.apply().await.expect(0);
    let uri = fixture.redirect_uri();
    fixture.edit_config(
        &format!("redirect_uri = \"{uri}\""),
        &format!("redirect_uri = [\"{uri}\", \"{uri}/more\"]"),
    );
}

#[tokio::test]
async fn a_replacement_that_is_not_allowed_is_one_blocked_change_and_the_rest_goes_on() {
    let fixture = Fixture::new().await;
    with_another_redirect_uri(&fixture).await;
    let before = fixture.application();
    fixture.edit_config("\"platform\" = \"developer\"", "\"platform\" = \"maintainer\"");
    let plan = fixture.plan().await;
    let blocked = change(&plan, "gitlab.application");
    assert_eq!(
        (&blocked["status"], &blocked["reason"]),
        (&json!("blocked"), &json!("replace_refused"))
    );
    for way_out in ["gitlab.admin_session", "--allow-replace", "guards.replace_application"] {
        assert!(notes(blocked).contains(way_out), "{blocked:#}");
    }
    let ran = fixture.apply().await.expect(3);
    assert!(unwrapped(&ran.stdout).contains("--allow-replace"), "{}", ran.stdout);
    assert_eq!(fixture.application(), before);
    let role = fixture.world(|world| {
        let droid = world.user_named("factory-droid").expect("the droid").id;
        world
            .members
            .iter()
            .find(|one| one.user_id == droid)
            .map(|one| one.access_level)
    });
    assert_eq!(role, Some(40));
    fixture.expect_connected("after a refused replacement");
}

#[tokio::test]
async fn an_allowed_one_creates_moves_authorizes_and_only_then_deletes() {
    for by_flag in [true, false] {
        let fixture = Fixture::new().await;
        with_another_redirect_uri(&fixture).await;
        let before = fixture.application();
        let count = fixture.request_count();
        if by_flag {
            fixture
                .run(&["apply", "--auto-approve", "--allow-replace"])
                .await
                .expect(0);
        } else {
            let config = std::fs::read_to_string(fixture.path("setpoint.toml")).expect("the configuration");
            fixture.write_config(&format!("{config}\n[guards]\nreplace_application = true\n"));
            fixture.apply().await.expect(0);
        }
        let after = fixture.application();
        assert_ne!((after.id, &after.uid), (before.id, &before.uid));
        expect_order(
            &fixture.requests_since(count),
            &[
                "POST /api/v4/applications",
                "PUT /api/v0/integrations/gitlab-sh",
                "GET /oauth/authorize",
                "GET /api/integrations/redirect",
                &format!("DELETE /api/v4/applications/{}", before.id),
            ],
        );
        fixture.expect_connected("after the replacement");
        fixture.expect_nothing_to_do("after the replacement").await;
    }
}

#[tokio::test]
async fn one_that_is_held_to_the_application_keeps_the_old_one_until_factory_has_moved() {
    let fixture = Fixture::new().await;
    with_another_redirect_uri(&fixture).await;
    let old = fixture.application();
    let targeted = ["apply", "--auto-approve", "--allow-replace", "--allow-interruption"];
    let ran = fixture
        .run(&[&targeted[..], &["--target", "gitlab.application"]].concat())
        .await;
    ran.expect(0);
    let there = fixture.world(|world| world.applications.iter().any(|app| app.uid == old.uid));
    assert!(there, "the old one is what Factory uses");
    fixture.apply().await.expect(0);
    assert_ne!(fixture.application().uid, old.uid);
    fixture.expect_connected("after both");
    fixture.expect_nothing_to_do("after both").await;
}

#[tokio::test]
#[ignore = "a share of the kill matrix is like it; `.ci/run` runs it"]
async fn cut_off_at_any_write_the_next_run_finishes_it_and_leaves_one_application() {
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    with_another_redirect_uri(&fixture).await;
    let old = fixture.application().id;
    let arguments = ["apply", "--auto-approve", "--allow-replace"];
    cut_at_each_write(&fixture, &proxy, &arguments, Cut::KilledBefore, async |fixture, cut| {
        let ran = fixture.run(&arguments).await;
        assert_eq!(ran.code, 0, "{cut}\n{}\n{}", ran.stdout, ran.stderr);
        assert_ne!(fixture.application().id, old, "{cut}");
        fixture.expect_connected(cut);
        fixture.expect_nothing_to_do(cut).await;
    })
    .await;
}

#[tokio::test]
async fn trusted_is_a_step_for_an_administrator_with_the_click_path_and_the_command() {
    let fixture = Fixture::new().await;
    let ran = fixture.apply().await.expect(3);
    let application = fixture.application();
    let text = unwrapped(&ran.stdout);
    for words in [
        format!("/admin/applications/{}", application.id),
        "\"Trusted\"".to_owned(),
        "gitlab-rails runner".to_owned(),
        format!("find_by_id({})", application.id),
        "setpoint confirm".to_owned(),
    ] {
        assert!(text.contains(&words), "{words} is not in\n{}", ran.stdout);
    }
    // All else is done: an untrusted application works, it only asks for consent.
    assert!(!fixture.application().trusted);
    fixture.expect_connected("after the first apply");
    let plan = fixture.plan().await;
    assert_eq!(plan["changes"].as_array().map(Vec::len), Some(1), "{plan:#}");
    let step = change(&plan, "gitlab.application");
    assert_eq!(
        (&step["status"], &step["reason"]),
        (&json!("operator"), &json!("no_admin_session"))
    );
    fixture
        .run(&["confirm", "gitlab.application", "--auto-approve"])
        .await
        .expect(0);
    fixture.expect_nothing_to_do("after the attestation").await;
    // With a session the attestation is no longer needed: what is there counts.
    fixture.give_admin_session();
    let plan = fixture.plan().await;
    assert_eq!(change(&plan, "gitlab.application")["status"], "ready");
    fixture.apply().await.expect(0);
    assert!(fixture.application().trusted);
}

#[tokio::test]
async fn a_replacement_is_finished_although_trusted_is_left_to_a_person() {
    let fixture = Fixture::new().await;
    fixture.apply().await.expect(3);
    fixture
        .run(&["confirm", "gitlab.application", "--auto-approve"])
        .await
        .expect(0);
    let before = fixture.application();
    let uri = fixture.redirect_uri();
    fixture.edit_config(
        &format!("redirect_uri = \"{uri}\""),
        &format!("redirect_uri = [\"{uri}\", \"{uri}/more\"]"),
    );
    let ran = fixture
        .run(&["apply", "--auto-approve", "--allow-replace"])
        .await
        .expect(3);
    let after = fixture.application();
    assert_ne!(after.id, before.id);
    let page = format!("/admin/applications/{}", after.id);
    assert!(unwrapped(&ran.stdout).contains(&page), "{}", ran.stdout);
    fixture.expect_connected("after the replacement");
    fixture
        .run(&["confirm", "gitlab.application", "--auto-approve"])
        .await
        .expect(0);
    fixture.expect_nothing_to_do("after the attestation").await;
}
