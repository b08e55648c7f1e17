//! Where a sign-in itself would lock the account, no command signs in: reading goes on without what only a session
//! shows, `doctor` says the way out, and `apply` leaves to a person what only a session can do.

use serde_json::json;
use setpoint::sandbox;
use setpoint::sandbox::world::{Identity, digest};

use super::common::Fixture;
use super::common::plans::{DROID, change, find, unwrapped};

/// An applied world in which the next sign-in by password comes from a new address and locks the account.
async fn verified_by_mail() -> Fixture {
    let fixture = Fixture::complete().await;
    fixture.apply().await.expect(0);
    fixture.world(|world| {
        world.switches.require_email_verification_on_account_locked = true;
        "192.0.2.7".clone_into(&mut world.switches.client_address);
    });
    fixture
}

/// Requires that nobody tried to sign in since, and that no account is locked.
#[track_caller]
fn expect_untouched(fixture: &Fixture, since: usize, what: &str) {
    let requests = fixture.requests_since(since);
    let pages = requests.iter().filter(|request| !request.contains(" /api/"));
    let pages: Vec<_> = pages.filter(|request| request.contains("sign_in")).collect();
    assert!(pages.is_empty(), "{what}: {pages:?}");
    let locked = fixture.world(|world| world.users.iter().any(|user| user.locked));
    assert!(!locked, "{what}: an account is locked");
}

/// What the plan warns of sign-ins that are not made.
fn warned(plan: &serde_json::Value) -> String {
    let warnings = plan["warnings"].as_array().expect("a plan has warnings").iter();
    let unsafe_ones = warnings.filter(|warning| warning["code"] == "sign_in_unsafe");
    unsafe_ones
        .filter_map(|warning| warning["message"].as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn reading_goes_on_without_the_session_and_says_so() {
    let fixture = verified_by_mail().await;
    for command in [
        &["plan", "--format", "json"][..],
        &["drift", "--format", "json"],
        &["plan", "--detailed-exitcode", "--format", "json"],
    ] {
        let since = fixture.request_count();
        let plan = fixture.run(command).await.expect(0).json();
        assert_eq!(plan["changes"], json!([]), "{plan:#}");
        let said = warned(&plan);
        for way_out in ["gitlab.admin_session.totp_secret", "user.totp_secret"] {
            assert!(said.contains(way_out), "{said}");
        }
        expect_untouched(&fixture, since, command[0]);
    }
    let since = fixture.request_count();
    fixture.run(&["export"]).await.expect(0);
    expect_untouched(&fixture, since, "export");
}

#[tokio::test]
async fn doctor_fails_with_the_way_out() {
    let fixture = verified_by_mail().await;
    let since = fixture.request_count();
    let ran = fixture.run(&["doctor"]).await.expect(1);
    let said = unwrapped(&ran.stdout);
    assert!(said.contains("Nobody signs in as root"), "{said}");
    assert!(said.contains("Nobody signs in as factory-droid"), "{said}");
    assert!(
        said.contains("give its key as gitlab.admin_session.totp_secret") && said.contains("as user.totp_secret"),
        "{said}"
    );
    assert!(!said.contains("browser"), "{said}");
    assert!(said.contains("All else that plan reads can be read"), "{said}");
    expect_untouched(&fixture, since, "doctor");
}

#[tokio::test]
async fn apply_leaves_to_a_person_what_only_a_session_can_do() {
    let fixture = verified_by_mail().await;
    fixture.edit_config("\nredirect_uri", "\ntrusted = false\nredirect_uri");
    fixture.disconnect();
    let since = fixture.request_count();
    let plan = fixture.plan().await;
    for address in ["gitlab.application", "factory.authorization"] {
        assert_eq!(change(&plan, address)["status"], "operator", "{plan:#}");
    }
    let ran = fixture.apply().await.expect(3);
    assert!(ran.stdout.contains("\"Trusted\""), "{}", ran.stdout);
    assert!(fixture.application().trusted, "nobody has unticked it");
    // A new secret would end what nobody may begin again: approving is a person's, too.
    fixture.run(&["rotate", "--auto-approve"]).await.expect(3);
    expect_untouched(&fixture, since, "apply");
}

/// GitLab does not show how near to its lock an account is, so what it refused is counted from run to run.
#[tokio::test]
async fn a_password_that_is_refused_again_and_again_locks_nobody() {
    let fixture = Fixture::complete().await;
    fixture.apply().await.expect(0);
    let password_is = |password: &str| fixture.change_user("root", |root| root.password_digest = digest(password));
    let look = async |code: i32| fixture.run(&["drift", "--format", "json"]).await.expect(code);
    for _ in 0..2 {
        password_is("changed by somebody");
        look(1).await;
        look(1).await;
        // What is taken sets both counts back.
        password_is(sandbox::ROOT_PASSWORD);
        look(0).await;
    }
    password_is("changed by somebody");
    for _ in 0..3 {
        look(1).await;
    }
    let since = fixture.request_count();
    for _ in 0..8 {
        let said = warned(&look(0).await.json());
        assert!(said.contains("GitLab refused that 3 times in a row"), "{said}");
    }
    fixture.apply().await.expect(0);
    expect_untouched(&fixture, since, "a password that was refused three times");
    let said = unwrapped(&fixture.run(&["doctor"]).await.expect(1).stdout);
    assert!(said.contains("Correct gitlab.admin_session.password"), "{said}");
    let failed = fixture.world(|world| world.user_named("root").expect("the administrator").failed_attempts);
    assert_eq!(failed, 3, "doctor has tried it again");
    let memory = fixture.path(".setpoint/state.sign-ins.json");
    let counted = std::fs::read_to_string(&memory).expect("the count is there");
    assert!(counted.contains("\"root at http"), "of this GitLab only: {counted}");
    std::fs::remove_file(memory).expect("the count");
    password_is(sandbox::ROOT_PASSWORD);
    assert_eq!(warned(&look(0).await.json()), "");
    // Where GitLab locks earlier, it ends earlier.
    fixture.world(|world| world.switches.max_login_attempts = Some(2));
    password_is("changed by somebody");
    look(1).await;
    assert!(warned(&look(0).await.json()).contains("GitLab refused that once"));
    expect_untouched(&fixture, fixture.request_count(), "a lower limit");
}

/// Who signs in by LDAP is not verified by mail; but what the directory refuses counts, and three refusals would lock.
#[tokio::test]
async fn an_account_of_a_directory_signs_in_and_is_not_locked_by_its_refusals() {
    let fixture = verified_by_mail().await;
    fixture.edit_config(
        "password = { env = \"GITLAB_ADMIN_PASSWORD\" }",
        "password = { env = \"GITLAB_ADMIN_PASSWORD\" }\nprovider = \"ldapmain\"",
    );
    fixture.world(|world| world.switches.ldap_servers.insert("ldapmain".to_owned()));
    let password_is = |password: &str| {
        fixture.change_user("root", |root| {
            root.identities = vec![Identity {
                provider: "ldapmain".to_owned(),
                extern_uid: "root".to_owned(),
                password_digest: digest(password),
            }];
        });
    };
    password_is(sandbox::ROOT_PASSWORD);
    fixture.change_application(|application| application.trusted = false);
    let plan = fixture.plan().await;
    assert_eq!(change(&plan, "gitlab.application")["status"], "ready", "{plan:#}");
    assert!(!warned(&plan).contains("as root"), "{plan:#}");
    fixture.apply().await.expect(0);
    fixture.expect_signed_out("by LDAP");
    password_is("changed by somebody");
    for _ in 0..2 {
        fixture.run(&["plan"]).await.expect(1);
    }
    assert!(warned(&fixture.plan().await).contains("GitLab refused that 2 times in a row"));
    let root = fixture.world(|world| world.user_named("root").expect("the administrator").clone());
    assert!(!root.locked && root.failed_attempts == 2);
}

/// An account with an authenticator is spared, where GitLab knows of it.
#[tokio::test]
async fn an_authenticator_opens_the_doors_again() {
    let fixture = verified_by_mail().await;
    let key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    std::fs::write(fixture.path("totp"), key).expect("the key is written");
    fixture.edit_config(
        "password = { env = \"GITLAB_ADMIN_PASSWORD\" }",
        "password = { env = \"GITLAB_ADMIN_PASSWORD\" }\ntotp_secret = { file = \"totp\" }",
    );
    let since = fixture.request_count();
    let plan = fixture.plan().await;
    assert!(
        warned(&plan).contains("GitLab knows no authenticator of it"),
        "{plan:#}"
    );
    expect_untouched(&fixture, since, "an authenticator that GitLab does not know");
    for who in ["root", DROID] {
        fixture.change_user(who, |user| user.totp_secret = Some(key.to_owned()));
    }
    fixture.change_application(|application| application.trusted = false);
    let plan = fixture.plan().await;
    assert_eq!(change(&plan, "gitlab.application")["status"], "ready", "{plan:#}");
    assert!(find(&plan, "factory.authorization").is_none());
    fixture.expect_signed_out("after plan");
}
