//! Instances as companies run them: below a path, behind another host name, with a certificate of their own, of any
//! supported version, with two-factor authentication and Admin Mode.

use std::sync::{Arc, Mutex};

use serde_json::json;
use setpoint::sandbox::world::Visibility;
use setpoint::sandbox::{self, Action, Options};

use super::common::Fixture;
use super::common::plans::{DROID, add_droid, change, find, notes, unwrapped};
use super::common::proxy::{Phase, Proxy};
use super::common::tls::{self, Authority};

const ROOT_TOTP: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const DROID_TOTP: &str = "MFRGGZDFMZTWQ2LKMFRGGZDFMZTWQ2LK";

fn with(switches: &[&str]) -> Options {
    let mut options = Options::default();
    for switch in switches {
        options.switches.set(switch).expect("a switch");
    }
    options
}

/// Applies, by password or by impersonation, and requires that all is in order afterwards.
async fn expect_all_of_it(fixture: &Fixture, when: &str) {
    let ran = fixture.apply().await;
    assert_eq!(ran.code, 0, "{when}\n{}\n{}", ran.stdout, ran.stderr);
    assert!(fixture.application().trusted, "{when}");
    fixture.expect_connected(when);
    fixture.expect_signed_out(when);
    fixture.expect_nothing_to_do(when).await;
}

#[tokio::test]
async fn a_proxy_that_refuses_or_decodes_encoded_slashes_does_no_harm() {
    for how in ["proxy_encoded_slash=refuse", "proxy_encoded_slash=decode"] {
        let fixture = Fixture::with(with(&[how])).await;
        fixture.give_admin_session();
        // Candidates below a group that no membership names, and a path that may have moved.
        fixture.edit_config(
            "[\"platform/**\", \"web/storefront\"]",
            "[\"platform/services/**\", \"web/storefront\", \"web/gone\"]",
        );
        let plan = fixture.plan().await;
        assert!(
            find(&plan, "factory.repository[\"platform/services/cart\"]").is_some(),
            "{how}: {plan:#}"
        );
        let gone = change(&plan, "factory.repository[\"web/gone\"]");
        assert_eq!(
            (&gone["status"], &gone["reason"]),
            (&json!("blocked"), &json!("not_found")),
            "{how}"
        );
        fixture.apply().await.expect(3);
        fixture.expect_connected(how);
        let requests = fixture.requests_since(0);
        let encoded: Vec<_> = requests.iter().filter(|request| request.contains("%2F")).collect();
        assert!(
            encoded.iter().all(|request| request.contains("/projects/web%2Fgone")),
            "{how}: {encoded:#?}"
        );
    }
}

#[tokio::test]
async fn an_external_host_is_never_talked_to_and_given_to_factory() {
    for (external, root) in [
        ("https://gitlab.example.com", ""),
        ("https://www.example.com/gitlab", "relative_url_root=/gitlab"),
    ] {
        let switches: Vec<&str> = std::iter::once(root).filter(|root| !root.is_empty()).collect();
        let fixture = Fixture::with(Options {
            gitlab_external_url: Some(external.to_owned()),
            ..with(&switches)
        })
        .await;
        fixture.give_admin_session();
        let url = format!("url = \"{}\"\n", fixture.sandbox.gitlab_url());
        fixture.edit_config(&url, &format!("{url}external_url = \"{external}\"\n"));
        // More than a page of projects: the next page's address, in a `Link` header, is the external one.
        fixture.world(|world| {
            for number in 0..110 {
                world.add_project(&format!("platform/services/more-{number}"), "More", Visibility::Private);
            }
        });
        expect_all_of_it(&fixture, external).await;
        let domain = fixture.world(|world| world.factory.integration.as_ref().map(|one| one.domain.clone()));
        assert_eq!(domain.as_deref(), Some(external));
        let wanted = fixture.world(|world| {
            let projects = world.projects.iter();
            projects
                .filter(|one| one.full_path.starts_with("platform/") && !one.full_path.starts_with("platform/archive/"))
                .count()
        });
        assert_eq!(fixture.world(|world| world.factory.enabled.len()), wanted + 1);
    }
}

#[tokio::test]
async fn a_private_certificate_authority_is_trusted_where_it_is_named() {
    let (listener, port) = tls::listener().await;
    let servers = Authority::named("Test Authority");
    let url = format!("https://localhost:{port}");
    let fixture = Fixture::with(Options {
        gitlab_external_url: Some(url.clone()),
        ..Options::default()
    })
    .await;
    let inner = fixture.sandbox.gitlab_url();
    tls::front(listener, &inner, &servers, None);
    std::fs::write(fixture.path("corp-ca.pem"), servers.pem()).expect("the authority is written");
    fixture.give_admin_session();
    fixture.edit_config(&format!("url = \"{inner}\""), &format!("url = \"{url}\""));
    let ran = fixture.run(&["plan"]).await.expect(1);
    assert!(unwrapped(&ran.stderr).contains("gitlab.ca_file"), "{}", ran.stderr);
    fixture.edit_config(
        "\n[gitlab.admin_session]",
        "ca_file = \"corp-ca.pem\"\n\n[gitlab.admin_session]",
    );
    expect_all_of_it(&fixture, "with a private authority").await;
    // It serves Setpoint, and Factory has no `ca_file`.
    let doctor = fixture.run(&["doctor", "--format", "json"]).await.expect(0).json();
    let checks = doctor["checks"].as_array().expect("checks");
    let found = checks.iter().find(|check| check["id"] == "gitlab.public_certificate");
    let found = found.unwrap_or_else(|| panic!("no such check in {doctor:#}"));
    assert_eq!(found["status"], "warning", "{found}");
    let message = found["message"].as_str().expect("a message");
    assert!(message.contains("UnknownIssuer"), "{message}");
}

#[tokio::test]
async fn every_supported_version_is_understood() {
    for (version, prefix) in [
        ("16.11.2-ee", "doorkeeper_application"),
        ("17.11.4", "doorkeeper_application"),
        ("18.5.1-ee", "authn_oauth_application"),
        ("19.1.0-ee", "authn_oauth_application"),
    ] {
        let (fixture, proxy) = Proxy::on(with(&[&format!("gitlab_version={version}")])).await;
        fixture.give_admin_session();
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&bodies);
        proxy.intercept(move |request, phase| {
            if phase == Phase::Before && request.method == "POST" && request.path.starts_with("/admin/applications/") {
                seen.lock()
                    .expect("the cell")
                    .push(String::from_utf8_lossy(&request.body).into_owned());
            }
            Action::Pass
        });
        expect_all_of_it(&fixture, version).await;
        let bodies = bodies.lock().expect("the cell").clone();
        assert_eq!(bodies.len(), 1, "{version}");
        assert!(bodies[0].contains(prefix), "{version}: {}", bodies[0]);
    }
}

#[tokio::test]
async fn scopes_are_seen_by_api_from_19_on_and_by_form_before() {
    for (version, session, seen) in [
        ("18.5.1-ee", false, false),
        ("18.5.1-ee", true, true),
        ("19.1.0-ee", false, true),
    ] {
        let fixture = Fixture::with(with(&[&format!("gitlab_version={version}")])).await;
        fixture.edit_config("\nredirect_uri", "\ntrusted = false\nredirect_uri");
        if session {
            fixture.give_admin_session();
        }
        fixture.apply().await.expect(0);
        fixture.change_application(|application| application.scopes.retain(|scope| scope != "read_user"));
        let plan = fixture.plan().await;
        assert_eq!(find(&plan, "gitlab.application").is_some(), seen, "{version}: {plan:#}");
    }
}

#[tokio::test]
async fn scopes_that_the_instance_does_not_know_are_named_when_planning() {
    let fixture = Fixture::with(with(&["no_observability_scopes=true"])).await;
    fixture.give_admin_session();
    let plan = fixture.plan().await;
    let blocked = change(&plan, "gitlab.application");
    assert_eq!(
        (&blocked["status"], &blocked["reason"]),
        (&json!("blocked"), &json!("unsupported_scope"))
    );
    assert!(
        notes(blocked).contains("`read_observability`, `write_observability`"),
        "{blocked:#}"
    );
    fixture.apply().await.expect(3);
    assert!(fixture.world(|world| world.applications.iter().all(|one| one.name != "Factory Integration")));
}

/// With an administrator's session, and with the TOTP keys of the administrator, whose account has its own, and the droid.
fn with_totp_keys(fixture: &Fixture) {
    fixture.give_admin_session();
    std::fs::write(fixture.path("root.key"), ROOT_TOTP).expect("a file");
    std::fs::write(fixture.path("droid.key"), DROID_TOTP).expect("a file");
    fixture.edit_config(
        "username = \"root\"\n",
        "username = \"root\"\ntotp_secret = { file = \"root.key\" }\n",
    );
    fixture.edit_config(
        "password = { env = \"FACTORY_DROID_PASSWORD\" }\n",
        "password = { env = \"FACTORY_DROID_PASSWORD\" }\ntotp_secret = { file = \"droid.key\" }\n",
    );
    fixture.change_user("root", |root| root.totp_secret = Some(ROOT_TOTP.to_owned()));
}

#[tokio::test]
async fn one_time_codes_are_given_for_the_administrator_and_for_the_droid() {
    let fixture = Fixture::new().await;
    with_totp_keys(&fixture);
    fixture.apply().await.expect(0);
    assert!(fixture.application().trusted);
    fixture.change_user(DROID, |droid| droid.totp_secret = Some(DROID_TOTP.to_owned()));
    fixture.disconnect();
    // As if half a minute had passed: a code works once.
    fixture.change_user("root", |root| root.totp_last_step = None);
    fixture.apply().await.expect(0);
    fixture.expect_connected("with one-time codes");
    fixture.expect_signed_out("with one-time codes");
}

#[tokio::test]
async fn admin_mode_is_entered_and_a_token_without_its_scope_is_named() {
    let fixture = Fixture::with(with(&["admin_mode=true"])).await;
    fixture.give_admin_session();
    expect_all_of_it(&fixture, "in Admin Mode").await;
    assert!(
        fixture
            .requests_since(0)
            .iter()
            .any(|request| request == "POST /admin/session")
    );

    let fixture = Fixture::with(with(&["admin_mode=true", "token_scopes_missing=[\"admin_mode\"]"])).await;
    fixture.give_admin_session();
    let ran = fixture.run(&["plan"]).await.expect(1);
    assert!(unwrapped(&ran.stderr).contains("admin_mode"), "{}", ran.stderr);
}

/// GitLab takes a code once, so Admin Mode has to wait for the one after the sign-in's.
#[tokio::test]
#[ignore = "waits up to half a minute for another code; `.ci/run` runs it"]
async fn one_run_has_one_time_codes_for_sign_in_admin_mode_and_the_droid() {
    let fixture = Fixture::with(with(&["admin_mode=true"])).await;
    with_totp_keys(&fixture);
    fixture.world(|world| add_droid(world, sandbox::DROID_PASSWORD).totp_secret = Some(DROID_TOTP.to_owned()));
    fixture.apply().await.expect(0);
    let log = fixture.requests_since(0);
    let posts = |path: &str| log.iter().filter(|request| **request == format!("POST {path}")).count();
    assert_eq!(posts("/admin/session"), 2, "password and code: {log:#?}");
    assert_eq!(
        posts("/users/sign_in"),
        4,
        "password and code of each account: {log:#?}"
    );
    assert!(fixture.application().trusted);
    fixture.expect_connected("with codes in Admin Mode");
    fixture.expect_signed_out("with codes in Admin Mode");
}
