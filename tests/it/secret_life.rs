//! The application's secret, which GitLab shows once: kept before Factory has it, checked by a request that changes
//! nothing, renewed where nobody knows it, and rotated.

use std::sync::{Arc, Mutex};

use serde_json::json;
use setpoint::sandbox::world::digest;
use setpoint::sandbox::{Action, Options};

use super::common::plans::{change, find, unwrapped};
use super::common::proxy::{Cut, Phase, Proxy, cut_at_each_write};
use super::common::{Fixture, Ran};

const STORE: &str = "store/secret";

/// Keeps the secret in a file that is written and read by commands, as a vault's client would.
fn by_commands(fixture: &Fixture) {
    std::fs::create_dir_all(fixture.path("store")).expect("a folder");
    store(
        fixture,
        &format!(
            "save = {{ command = [\"sh\", \"-c\", \"cat > {STORE}\"] }}\nload = {{ command = [\"sh\", \"-c\", \"test ! -e \
             {STORE} || cat {STORE}\"] }}"
        ),
    );
}

fn by_file(fixture: &Fixture) {
    store(
        fixture,
        &format!("save = {{ file = \"{STORE}\" }}\nload = {{ file = \"{STORE}\" }}"),
    );
}

fn store(fixture: &Fixture, lines: &str) {
    fixture.give_admin_session();
    fixture.edit_config("\n[user]", &format!("\n[application.secret]\n{lines}\n\n[user]"));
}

fn stored(fixture: &Fixture) -> String {
    let text = std::fs::read_to_string(fixture.path(STORE)).expect("the secret is stored");
    text.trim_end_matches('\n').to_owned()
}

#[track_caller]
fn expect_stored(fixture: &Fixture, when: &str) {
    assert_eq!(digest(&stored(fixture)), fixture.application().secret_digest, "{when}");
}

fn expect_unspoken(fixture: &Fixture, ran: &Ran) {
    let secret = stored(fixture);
    assert!(!ran.stdout.contains(&secret) && !ran.stderr.contains(&secret));
    let state = std::fs::read_to_string(fixture.path(".setpoint/state.json")).expect("the record");
    assert!(!state.contains(&secret));
}

#[tokio::test]
async fn it_is_kept_before_factory_has_it() {
    for commands in [true, false] {
        let (fixture, proxy) = Proxy::on(Options::default()).await;
        if commands {
            by_commands(&fixture);
        } else {
            by_file(&fixture);
        }
        let kept = Arc::new(Mutex::new(None));
        let (seen, file) = (Arc::clone(&kept), fixture.path(STORE));
        proxy.intercept(move |request, phase| {
            if phase == Phase::Before && request.method == "PUT" {
                let secret = std::fs::read_to_string(&file).unwrap_or_default();
                let body = String::from_utf8_lossy(&request.body).into_owned();
                *seen.lock().expect("the cell") = Some((secret, body));
            }
            Action::Pass
        });
        let ran = proxy.run(&fixture, &["apply", "--auto-approve"]).await.expect(0);
        let (secret, body) = kept
            .lock()
            .expect("the cell")
            .take()
            .expect("Factory was given a connection");
        assert!(!secret.trim().is_empty() && body.contains(secret.trim()));
        expect_stored(&fixture, "after the first apply");
        expect_unspoken(&fixture, &ran);
        #[cfg(unix)]
        if !commands {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(fixture.path(STORE))
                .expect("the file")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fixture.expect_nothing_to_do("after the first apply").await;
    }
}

/// The secret in force is Factory's, nobody else has it, and it is not renewed for that.
async fn expect_kept_by_factory_alone(fixture: &Fixture, ran: &Ran) {
    let said = unwrapped(&ran.stdout);
    assert!(said.contains("Factory has the new secret and works with it"), "{said}");
    assert!(said.contains("`setpoint rotate`"), "{said}");
    fixture.expect_connected("with a secret that could not be saved");
    let (writes, secret) = (fixture.api_writes(), fixture.application().secret_digest);
    fixture
        .expect_nothing_to_do("with a secret that could not be saved")
        .await;
    fixture.apply().await.expect(0);
    assert_eq!(fixture.api_writes(), writes);
    assert_eq!(fixture.application().secret_digest, secret);
}

#[tokio::test]
async fn a_secret_that_no_store_takes_is_factorys_all_the_same() {
    let fixture = Fixture::new().await;
    store(
        &fixture,
        "save = { command = [\"sh\", \"-c\", \"echo the vault is sealed >&2; exit 7\"] }",
    );
    let ran = fixture.apply().await.expect(3);
    assert!(unwrapped(&ran.stdout).contains("the vault is sealed"), "{}", ran.stdout);
    expect_kept_by_factory_alone(&fixture, &ran).await;
    fixture.edit_config(
        "echo the vault is sealed >&2; exit 7",
        &format!("mkdir -p store; cat > {STORE}"),
    );
    fixture.run(&["rotate", "--auto-approve"]).await.expect(0);
    expect_stored(&fixture, "after the store works");
    fixture.expect_connected("after the store works");
}

#[tokio::test]
async fn a_store_that_gives_back_something_else_is_said_once_and_no_reason_to_renew() {
    let fixture = Fixture::new().await;
    store(
        &fixture,
        &format!(
            "save = {{ command = [\"sh\", \"-c\", \"mkdir -p store; tr a-z A-Z > {STORE}\"] }}\nload = {{ command = [\"sh\", \
             \"-c\", \"test ! -e {STORE} || cat {STORE}\"] }}"
        ),
    );
    let ran = fixture.apply().await.expect(3);
    let said = unwrapped(&ran.stdout);
    assert!(
        said.contains("`application.secret.load` gives something else than `application.secret.save` was given"),
        "{said}"
    );
    expect_kept_by_factory_alone(&fixture, &ran).await;
    let plan = fixture.plan().await;
    assert_eq!(plan["warnings"][0]["code"], "secret_not_stored", "{plan}");
}

#[tokio::test]
async fn a_store_that_cannot_work_is_found_before_anything_is_renewed() {
    let fixture = Fixture::new().await;
    by_commands(&fixture);
    fixture.apply().await.expect(0);
    let secret = fixture.application().secret_digest;
    let refused = async |says: &str| {
        let writes = fixture.api_writes();
        let ran = fixture.run(&["rotate", "--auto-approve"]).await.expect(1);
        let said = unwrapped(&ran.stderr);
        assert!(
            said.contains("could not be kept, so nothing was changed") && said.contains(says),
            "{said}"
        );
        assert_eq!(
            (fixture.api_writes(), fixture.application().secret_digest),
            (writes, secret.clone())
        );
    };
    // What the store has is given to it once more.
    fixture.edit_config("\"cat > store/secret\"", "\"exit 7\"");
    refused("exit status: 7").await;
    // Or a command tells.
    fixture.edit_config(
        "\"exit 7\"] }",
        "\"cat > store/secret\"] }\nprobe = { command = [\"sh\", \"-c\", \"exit 8\"] }",
    );
    refused("exit status: 8").await;
    fixture.edit_config("exit 8", "exit 0");
    fixture.run(&["rotate", "--auto-approve"]).await.expect(0);
    expect_stored(&fixture, "after the store works");
}

#[tokio::test]
async fn plan_and_drift_check_it_and_change_nothing() {
    let fixture = Fixture::new().await;
    by_commands(&fixture);
    fixture.apply().await.expect(0);
    let count = fixture.request_count();
    fixture.expect_nothing_to_do("after the first apply").await;
    let log = fixture.requests_since(count);
    assert!(
        log.iter().any(|request| request == "POST /oauth/introspect"),
        "{log:#?}"
    );
    assert!(
        !log.iter()
            .any(|request| request.contains("/oauth/revoke") || request.contains("/oauth/token"))
    );
    // Somebody renews it in the admin area: Factory and the store are left with one that is none any more.
    fixture.change_application(|application| application.secret_digest = digest("renewed-by-hand"));
    let drift = fixture.run(&["drift", "--format", "json"]).await.expect(2).json();
    let rejected = change(&drift, "gitlab.application");
    assert_eq!(
        (&rejected["reason"], &rejected["origin"]),
        (&json!("secret_rejected"), &json!("drift"))
    );
    assert!(
        fixture.sandbox.requests()[count..]
            .iter()
            .all(|request| !request.path.contains("renew"))
    );
    let ran = fixture.apply().await.expect(0);
    expect_stored(&fixture, "after the renewal");
    expect_unspoken(&fixture, &ran);
    fixture.expect_connected("after the renewal");
    fixture.expect_nothing_to_do("after the renewal").await;
}

#[tokio::test]
async fn one_that_was_lost_in_a_crash_is_renewed() {
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    fixture.give_admin_session();
    let client = proxy.client();
    proxy.intercept(move |request, phase| {
        let created = request.method == "POST" && request.path == "/api/v4/applications";
        if created && phase == Phase::After {
            client.kill()
        } else {
            Action::Pass
        }
    });
    assert_eq!(proxy.run(&fixture, &["apply", "--auto-approve"]).await.code, -1);
    proxy.pass_all();
    let id = fixture.application().id;
    let plan = fixture.plan().await;
    let lost = change(&plan, "gitlab.application");
    assert_eq!(lost["origin"], "pending");
    assert!(find(&plan, "factory.connection").is_some());
    fixture.apply().await.expect(0);
    assert_eq!(fixture.application().id, id);
    fixture.expect_connected("after the crash");
    fixture.expect_nothing_to_do("after the crash").await;
}

#[tokio::test]
async fn a_connection_whose_handover_was_cut_off_is_unknown_and_renewed() {
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    fixture.give_admin_session();
    let client = proxy.client();
    proxy.intercept(move |request, phase| {
        if request.method == "PUT" && phase == Phase::Before {
            client.kill()
        } else {
            Action::Pass
        }
    });
    assert_eq!(proxy.run(&fixture, &["apply", "--auto-approve"]).await.code, -1);
    proxy.pass_all();
    let plan = fixture.plan().await;
    assert_eq!(change(&plan, "gitlab.application")["reason"], "secret_unknown");
    fixture.apply().await.expect(0);
    fixture.expect_connected("after the crash");
    fixture.expect_nothing_to_do("after the crash").await;
}

#[tokio::test]
async fn rotate_renews_keeps_hands_over_and_authorizes_again() {
    let fixture = Fixture::new().await;
    by_file(&fixture);
    fixture.apply().await.expect(0);
    let (before, old) = (fixture.application(), stored(&fixture));
    let ran = fixture.run(&["rotate", "--auto-approve"]).await.expect(0);
    let after = fixture.application();
    assert_eq!((after.id, &after.uid), (before.id, &before.uid));
    assert_ne!(after.secret_digest, before.secret_digest);
    assert_ne!(stored(&fixture), old);
    expect_stored(&fixture, "after the rotation");
    expect_unspoken(&fixture, &ran);
    fixture.expect_connected("after the rotation");
    fixture.expect_nothing_to_do("after the rotation").await;
}

#[tokio::test]
#[ignore = "a share of the kill matrix is like it; `.ci/run` runs it"]
async fn a_rotation_cut_off_at_any_write_can_be_run_again() {
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    by_file(&fixture);
    fixture.apply().await.expect(0);
    let arguments = ["rotate", "--auto-approve"];
    cut_at_each_write(&fixture, &proxy, &arguments, Cut::KilledAfter, async |fixture, cut| {
        let ran = fixture.run(&["rotate", "--auto-approve"]).await;
        assert_eq!(ran.code, 0, "{cut}\n{}\n{}", ran.stdout, ran.stderr);
        expect_stored(fixture, cut);
        fixture.expect_connected(cut);
        fixture.expect_nothing_to_do(cut).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "a share of the kill matrix is like it; `.ci/run` runs it"]
async fn a_rotation_cut_off_is_finished_by_an_apply_too() {
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    fixture.give_admin_session();
    fixture.apply().await.expect(0);
    let arguments = ["rotate", "--auto-approve"];
    cut_at_each_write(&fixture, &proxy, &arguments, Cut::AnswerLost, async |fixture, cut| {
        let ran = fixture.apply().await;
        assert_eq!(ran.code, 0, "{cut}\n{}\n{}", ran.stdout, ran.stderr);
        fixture.expect_connected(cut);
        fixture.expect_nothing_to_do(cut).await;
    })
    .await;
}

#[tokio::test]
async fn a_refused_renewal_leaves_everything_as_it_was() {
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    by_file(&fixture);
    fixture.apply().await.expect(0);
    let before = fixture.application();
    proxy.intercept(|request, phase| {
        if phase == Phase::Before && request.path.ends_with("/renew-secret") {
            let body = "{\"message\":\"403 Forbidden\"}".to_owned();
            let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
            return Action::Respond {
                status: 403,
                headers,
                body,
            };
        }
        Action::Pass
    });
    fixture.run(&["rotate", "--auto-approve"]).await.expect(3);
    proxy.pass_all();
    assert_eq!(fixture.application(), before);
    expect_stored(&fixture, "after the refusal");
    fixture.expect_connected("after the refusal");
    fixture.expect_nothing_to_do("after the refusal").await;
}

#[tokio::test]
async fn one_that_was_renewed_elsewhere_is_put_right_in_the_same_run_once_factory_stumbles_over_it() {
    for kept in [false, true] {
        let fixture = Fixture::with(Options::default()).await;
        if kept {
            by_file(&fixture);
        } else {
            fixture.give_admin_session();
        }
        fixture.apply().await.expect(0);
        fixture.sandbox.with_world(|world| {
            if kept {
                // Factory was given another one; the stored one still works.
                let integration = world.factory.integration.as_mut().expect("it was saved");
                "typed in by somebody".clone_into(&mut integration.secret);
            } else {
                let ours = world
                    .applications
                    .iter_mut()
                    .find(|one| one.name == "Factory Integration");
                ours.expect("it was made").secret_digest = digest("renewed by somebody");
            }
            world.factory.integration.as_mut().expect("it was saved").authorization = None;
        });
        let shown = unwrapped(&fixture.run(&["plan"]).await.expect(0).stdout);
        let possible = if kept {
            "possible: if GitLab refuses the secret that Factory has, Factory is given the one that application.secret.load gives"
        } else {
            "possible: if GitLab refuses the secret that Factory has, it is renewed, saved, and given to Factory first"
        };
        assert!(shown.contains(possible), "{shown}");
        let plan = fixture.plan().await;
        let fallback = &change(&plan, "factory.authorization")["fallback"];
        assert_eq!(fallback["when"], "secret_rejected");
        let changes = fallback["changes"].as_array().expect("what is possible");
        let addresses = ["gitlab.application", "factory.connection"];
        assert_eq!(changes.len(), if kept { 1 } else { 2 });
        for (possible, address) in changes.iter().rev().zip(addresses.iter().rev()) {
            assert_eq!(possible["address"], *address);
        }
        let digest_before = fixture.application().secret_digest;
        let arguments = ["apply", "--auto-approve", "--format", "json"];
        let report = fixture.run(&arguments).await.expect(0).json();
        let outcomes = report["outcomes"].as_array().expect("outcomes");
        let fallbacks: Vec<_> = outcomes.iter().filter(|outcome| outcome["fallback"] == true).collect();
        assert_eq!(fallbacks.len(), changes.len(), "{report:#}");
        assert!(
            fallbacks
                .iter()
                .all(|outcome| outcome["outcome"] == "done" && outcome["writes"] == 1)
        );
        assert_eq!(
            fixture.application().secret_digest == digest_before,
            kept,
            "renewed only where nobody knows it"
        );
        fixture.expect_connected("after it was put right");
        fixture.expect_nothing_to_do("after it was put right").await;
    }
}

/// The plan that was approved is the one that is carried out, what may become necessary included.
#[tokio::test]
async fn a_saved_plan_puts_a_refused_secret_right_too() {
    let fixture = Fixture::with(Options::default()).await;
    fixture.give_admin_session();
    fixture.apply().await.expect(0);
    fixture.change_application(|application| application.secret_digest = digest("renewed by somebody"));
    fixture.world(|world| world.factory.integration.as_mut().expect("it was saved").authorization = None);
    fixture.run(&["plan", "--out", "plan.json"]).await.expect(0);
    fixture.run(&["apply", "plan.json"]).await.expect(0);
    fixture.expect_connected("after it was put right");
    fixture.expect_nothing_to_do("after it was put right").await;
}
