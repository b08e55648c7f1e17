//! What GitLab asks of an account before it lets it act: accepting the terms of service, and a second factor. Over the
//! pages of every generation, by password and by impersonation; and who does it where Setpoint may not.

use serde_json::{Value, json};
use setpoint::sandbox::Options;

use super::common::Fixture;
use super::common::plans::{DROID, change, differing, find, notes, unwrapped};

const TERMS: &str = "enforce_terms=true";

/// A GitLab of that generation with an administrator's session.
async fn at(generation: &str, switches: &[&str]) -> Fixture {
    let mut options = Options::default();
    let generation = format!("gitlab={generation}");
    for switch in [generation.as_str()].iter().chain(switches) {
        options.switches.set(switch).expect("a switch");
    }
    let fixture = Fixture::with(options).await;
    fixture.give_admin_session();
    fixture
}

fn accept_terms(fixture: &Fixture) {
    fixture.edit_config("\n[user.memberships]", "accept_terms = true\n\n[user.memberships]");
}

/// New terms, which the administrator has accepted by hand.
fn publish_terms(fixture: &Fixture, text: &str) {
    fixture.world(|world| {
        world.terms.push(text.to_owned());
        world.user_mut(1).expect("root").accepted_terms = world.terms_in_force();
    });
}

/// Which terms the droid has accepted.
fn accepted(fixture: &Fixture) -> Option<u64> {
    fixture.world(|world| world.user_named(DROID).and_then(|droid| droid.accepted_terms))
}

fn count(fixture: &Fixture, since: usize, request: &str) -> usize {
    let log = fixture.requests_since(since);
    log.iter().filter(|one| *one == request).count()
}

#[tokio::test]
async fn terms_are_accepted_as_the_droid() {
    let fixture = at("19.5", &[TERMS]).await;
    accept_terms(&fixture);
    let plan = fixture.plan().await;
    let user = change(&plan, "gitlab.user");
    assert!(notes(user).contains("/-/users/terms"), "{user:#}");
    assert!(differing(user).contains(&"terms"), "{user:#}");
    fixture.apply().await.expect(0);
    assert_eq!(accepted(&fixture), Some(1));
    // One of the administrator, one of the droid.
    assert_eq!(count(&fixture, 0, "POST /users/sign_in"), 2);
    let recorded = &fixture.state()["user"]["terms"];
    assert_eq!(recorded["id"], json!(1), "{recorded}");
    let version = recorded["version"].as_str().expect("a version");
    assert!(version.starts_with("sha256:"), "{version}");
}

#[tokio::test]
async fn new_terms_are_drift_and_are_accepted_by_the_next_apply() {
    let fixture = at("19.3", &[TERMS]).await;
    accept_terms(&fixture);
    fixture.apply().await.expect(0);
    let before = fixture.state()["user"]["terms"]["version"].clone();
    publish_terms(&fixture, "Be kinder.");
    let drift = fixture.run(&["drift", "--format", "json"]).await.expect(2).json();
    let user = change(&drift, "gitlab.user");
    assert_eq!(user["origin"], "drift", "{user:#}");
    let terms = &user["attributes"][0];
    assert_eq!((&terms["path"], &terms["before"]), (&json!("terms"), &before));
    assert_eq!(accepted(&fixture), Some(1), "looking accepts nothing");
    fixture.apply().await.expect(0);
    assert_eq!(accepted(&fixture), Some(2));
    assert_eq!(fixture.state()["user"]["terms"]["version"], terms["after"]);
    fixture.expect_connected("new terms");
    fixture.expect_nothing_to_do("new terms").await;
}

#[tokio::test]
async fn a_saved_plan_accepts_the_terms_that_it_shows_and_no_others() {
    let fixture = at("19.3", &[TERMS]).await;
    accept_terms(&fixture);
    fixture.run(&["plan", "--out", "a.plan"]).await.expect(0);
    publish_terms(&fixture, "Be kinder.");
    let refused = fixture.run(&["apply", "a.plan"]).await.expect(4);
    assert!(unwrapped(&refused.all()).contains("terms"), "{}", refused.all());
    assert_eq!(accepted(&fixture), None);
    assert!(fixture.world(|world| world.user_named(DROID).is_none()));
}

/// Without `accept_terms` nobody accepts anything but a person. All that does not need it goes on.
#[tokio::test]
async fn it_is_a_step_of_a_person_unless_declared() {
    let fixture = at("19.3", &[TERMS]).await;
    let ran = fixture.apply().await.expect(3);
    let said = unwrapped(&ran.stdout);
    assert!(
        said.contains("/-/users/terms") && said.contains("read the terms of service"),
        "{said}"
    );
    assert_eq!(accepted(&fixture), None);
    let members = fixture.world(|world| world.members.iter().filter(|member| member.user_id != 1).count());
    assert!(members >= 2, "memberships do not wait for the terms");
    let plan = fixture.plan().await;
    let user = change(&plan, "gitlab.user");
    assert_eq!(
        (&user["status"], &user["origin"]),
        (&json!("operator"), &json!("pending")),
        "{user:#}"
    );
    fixture.run(&["drift"]).await.expect(0);
    // The person accepts them, and says so.
    fixture.change_user(DROID, |droid| droid.accepted_terms = Some(1));
    fixture
        .run(&["confirm", "gitlab.user", "--auto-approve"])
        .await
        .expect(0);
    assert!(fixture.state()["user"]["terms"]["attested"]["by"].is_string());
    fixture.apply().await.expect(0);
    fixture.expect_connected("after a person");
    fixture.expect_nothing_to_do("after a person").await;
    // Others are that person's again.
    publish_terms(&fixture, "Be kinder.");
    let plan = fixture.plan().await;
    let user = change(&plan, "gitlab.user");
    assert_eq!(
        (&user["status"], &user["origin"]),
        (&json!("operator"), &json!("drift")),
        "{user:#}"
    );
}

/// Whoever is seen at work has accepted what is in force: nobody is asked to do again what is done.
#[tokio::test]
async fn a_droid_at_work_has_accepted_them() {
    let fixture = at("19.3", &[]).await;
    fixture.apply().await.expect(0);
    fixture.world(|world| world.switches.enforce_terms = true);
    let plan = fixture.plan().await;
    assert_eq!(change(&plan, "gitlab.user")["status"], "operator", "{plan:#}");
    fixture.change_user(DROID, |droid| droid.accepted_terms = Some(1));
    let plan = fixture.plan().await;
    assert!(find(&plan, "gitlab.user").is_none(), "{plan:#}");
    fixture.apply().await.expect(0);
    let recorded = fixture.state()["user"]["terms"].clone();
    assert_eq!(recorded.get("id"), None::<&Value>, "nobody saw its number: {recorded}");
    publish_terms(&fixture, "Be kinder.");
    assert_eq!(change(&fixture.plan().await, "gitlab.user")["origin"], "drift");
}

#[tokio::test]
async fn a_page_of_no_generation_accepts_nothing() {
    let fixture = at("19.3", &[TERMS, "pages.terms=unknown"]).await;
    accept_terms(&fixture);
    let ran = fixture.apply().await.expect(3);
    let said = unwrapped(&ran.all());
    assert!(said.contains("has no form that accepts the terms of service"), "{said}");
    assert_eq!(accepted(&fixture), None);
    fixture.expect_signed_out("a page of no generation");
}

#[tokio::test]
async fn doctor_and_validate_look_at_the_terms() {
    let fixture = at("19.3", &[TERMS]).await;
    let said = unwrapped(&fixture.run(&["doctor"]).await.stdout);
    assert!(said.contains("user.accept_terms = true"), "{said}");
    accept_terms(&fixture);
    let said = unwrapped(&fixture.run(&["doctor"]).await.stdout);
    assert!(said.contains("apply accepts them as the droid"), "{said}");
    fixture.edit_config("password = { env = \"FACTORY_DROID_PASSWORD\" }\n", "");
    fixture.run(&["validate"]).await.expect(0);
    fixture.edit_config(
        "[gitlab.admin_session]\nusername = \"root\"\npassword = { env = \"GITLAB_ADMIN_PASSWORD\" }\n",
        "[gitlab.admin_session]\ncookie = { env = \"GITLAB_SESSION\" }\n",
    );
    let refused = unwrapped(&fixture.run(&["validate"]).await.expect(1).stderr);
    assert!(
        refused.contains("`user.accept_terms` takes a way to sign in"),
        "{refused}"
    );
}

const TOTP: &str = "totp = { save = { file = \"totp\" }, load = { file = \"totp\" } }\n\n[user.memberships]";

fn keep_authenticator(fixture: &Fixture) {
    fixture.edit_config("\n[user.memberships]", TOTP);
}

fn key(fixture: &Fixture) -> Option<String> {
    fixture.world(|world| world.user_named(DROID).and_then(|droid| droid.totp_secret.clone()))
}

fn kept(fixture: &Fixture) -> Vec<String> {
    let text = std::fs::read_to_string(fixture.path("totp")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn operations(fixture: &Fixture, since: usize) -> Vec<String> {
    let mut log = fixture.requests_since(since);
    log.retain(|request| request.contains("two_factor") || request.contains("sign_in"));
    log
}

/// With everything that can come before it: terms, an instance that enforces a second factor, and a first apply.
#[tokio::test]
async fn an_authenticator_is_registered_where_a_second_factor_is_enforced() {
    let fixture = at("19.5", &[TERMS, "require_two_factor=true"]).await;
    // The administrator's own is not what this is about.
    fixture.edit_config(
        "[gitlab.admin_session]\nusername = \"root\"\npassword = { env = \"GITLAB_ADMIN_PASSWORD\" }\n",
        "",
    );
    fixture.edit_config("\nredirect_uri", "\ntrusted = false\nredirect_uri");
    accept_terms(&fixture);
    keep_authenticator(&fixture);
    let plan = fixture.plan().await;
    let user = change(&plan, "gitlab.user");
    assert!(differing(user).contains(&"second_factor"), "{user:#}");
    assert!(notes(user).contains("user.totp.save"), "{user:#}");
    let applied = fixture.run(&["apply", "--auto-approve", "--format", "json"]).await;
    let outcomes = applied.expect(0).json()["outcomes"].clone();
    let outcomes = outcomes.as_array().expect("outcomes");
    let of_user = outcomes.iter().find(|one| one["address"] == "gitlab.user");
    assert_eq!(of_user.expect("the droid")["writes"], 3, "{outcomes:#?}");
    fixture.expect_connected("with an authenticator");
    fixture.expect_signed_out("with an authenticator");
    let kept = kept(&fixture);
    assert_eq!((kept.len(), kept.first()), (11, key(&fixture).as_ref()));
    let recorded = fixture.state()["user"]["second_factor"]["key_fingerprint"].clone();
    assert!(
        recorded.as_str().is_some_and(|text| text.starts_with("sha256:")),
        "{recorded}"
    );
    fixture.expect_nothing_to_do("with an authenticator").await;
}

#[tokio::test]
async fn one_that_somebody_else_registered_is_left_alone_until_its_key_is_given() {
    let fixture = at("19.3", &[]).await;
    fixture.apply().await.expect(0);
    keep_authenticator(&fixture);
    let theirs = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    fixture.change_user(DROID, |droid| droid.totp_secret = Some(theirs.to_owned()));
    let user = change(&fixture.plan().await, "gitlab.user").clone();
    assert_eq!(
        (&user["status"], &user["reason"]),
        (&json!("blocked"), &json!("no_sign_in")),
        "{user:#}"
    );
    assert!(notes(&user).contains("put the key there"), "{user:#}");
    fixture.apply().await.expect(3);
    let doctor = unwrapped(&fixture.run(&["doctor"]).await.stdout);
    assert!(doctor.contains("user.totp.load gives no key"), "{doctor}");
    assert_eq!(key(&fixture).as_deref(), Some(theirs));
    // With its key, the droid signs in once to see that it is the right one.
    std::fs::write(fixture.path("totp"), theirs).expect("the key");
    let since = fixture.request_count();
    assert_eq!(change(&fixture.plan().await, "gitlab.user")["status"], "ready");
    fixture.apply().await.expect(0);
    assert_eq!(
        key(&fixture).as_deref(),
        Some(theirs),
        "{:?}",
        operations(&fixture, since)
    );
    fixture.expect_nothing_to_do("the key of somebody else").await;
    // A wrong one is found out there, and nothing is recorded.
    std::fs::write(fixture.path("totp"), "MZXW6YTBOI5DKMRTGQ2TMNZYHEYDCMRT").expect("the key");
    assert_eq!(
        change(&fixture.plan().await, "gitlab.user")["attributes"][0]["before"],
        "unverified"
    );
}

#[tokio::test]
#[ignore = "waits minutes for other codes; `.ci/run` runs it"]
async fn one_that_was_switched_off_is_drift_and_one_whose_key_is_lost_is_begun_anew() {
    let fixture = at("19.3", &[]).await;
    keep_authenticator(&fixture);
    fixture.apply().await.expect(0);
    let first = key(&fixture);
    std::fs::remove_file(fixture.path("totp")).expect("the store");
    let user = change(&fixture.plan().await, "gitlab.user").clone();
    assert_eq!(user["origin"], "drift", "{user:#}");
    assert!(notes(&user).contains("disable_two_factor"), "{user:#}");
    let since = fixture.request_count();
    fixture.apply().await.expect(0);
    assert_eq!(kept(&fixture).first(), key(&fixture).as_ref());
    assert_ne!(key(&fixture), first);
    let id = fixture
        .world(|world| world.user_named(DROID).map(|droid| droid.id))
        .expect("the droid");
    assert_eq!(
        count(&fixture, since, &format!("PATCH /api/v4/users/{id}/disable_two_factor")),
        1
    );
    fixture.change_user(DROID, |droid| droid.totp_secret = None);
    let drift = fixture.run(&["drift", "--format", "json"]).await.expect(2).json();
    assert_eq!(change(&drift, "gitlab.user")["origin"], "drift");
    let doctor = unwrapped(&fixture.run(&["doctor"]).await.stdout);
    assert!(doctor.contains("apply registers an authenticator first"), "{doctor}");
}

/// Nothing is begun where the key could not be kept.
#[tokio::test]
async fn a_store_that_takes_nothing_stops_before_the_first_write() {
    let fixture = at("19.3", &[]).await;
    keep_authenticator(&fixture);
    std::fs::create_dir(fixture.path("totp")).expect("a folder in the way");
    let ran = fixture.apply().await.expect(1);
    assert!(unwrapped(&ran.stderr).contains("user.totp"), "{}", ran.stderr);
    assert_eq!(fixture.api_writes(), 0);
}

#[tokio::test]
async fn what_cannot_be_kept_or_signed_in_with_is_a_fault() {
    let fixture = at("19.3", &[]).await;
    let file = "{ file = \"totp\" }";
    for (totp, said) in [
        (format!("totp = {{ save = {file} }}"), "`user.totp.load` is missing"),
        (format!("totp = {{ load = {file} }}"), "`user.totp.save` is missing"),
        (
            format!("totp = {{ save = {file}, load = {{ env = \"X\" }} }}"),
            "is an environment variable",
        ),
        (
            format!("totp = {{ save = {file}, load = {file} }}\ntotp_secret = {{ env = \"X\" }}"),
            "`user.totp_secret` is of no use beside `user.totp`",
        ),
        (
            format!("totp = {{ save = {file}, load = {file} }}\nsign_in = \"impersonate\""),
            "takes a droid that signs in by its password",
        ),
    ] {
        let config = std::fs::read_to_string(fixture.path("setpoint.toml")).expect("the configuration");
        fixture.edit_config("\n[user.memberships]", &format!("{totp}\n\n[user.memberships]"));
        let refused = unwrapped(&fixture.run(&["validate"]).await.expect(1).stderr);
        assert!(refused.contains(said), "{totp}: {refused}");
        fixture.write_config(&config);
    }
}
