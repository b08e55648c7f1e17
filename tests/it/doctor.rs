//! `doctor`: each check by the setting that turns it, and that nothing is ever changed.

use std::collections::BTreeSet;

use crate::common::proxy::{Phase, Proxy};
use crate::common::{Fixture, Ran};
use setpoint::sandbox::world::UserState;
use setpoint::sandbox::{Action, Options, Side};

const ADMIN_SESSION: &str = "token = { env = \"GITLAB_TOKEN\" }\n\n[gitlab.admin_session]\nusername = \"root\"\n\
                             password = { env = \"GITLAB_ADMIN_PASSWORD\" }";

/// A world that was applied, with an administrator's session.
async fn applied() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.edit_config("token = { env = \"GITLAB_TOKEN\" }", ADMIN_SESSION);
    fixture.run(&["apply", "--auto-approve", "-q"]).await.expect(0);
    fixture
}

fn set(fixture: &Fixture, switches: &[&str]) {
    fixture.sandbox.with_world(|world| {
        for switch in switches {
            world.switches.set(switch).unwrap();
        }
    });
}

async fn json(fixture: &Fixture) -> Ran {
    fixture.run(&["doctor", "--format", "json"]).await
}

/// The one check with this id, as `status: message | fix`.
#[track_caller]
fn check(ran: &Ran, id: &str) -> String {
    let document = ran.json();
    let checks = document["checks"].as_array().unwrap();
    let found: Vec<_> = checks.iter().filter(|check| check["id"] == id).collect();
    assert_eq!(found.len(), 1, "{id} in\n{}", ran.stdout);
    let text = |key: &str| found[0][key].as_str().unwrap_or("-").to_owned();
    format!("{}: {} | {}", text("status"), text("message"), text("fix"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_world_is_all_right_and_is_left_as_it_is() {
    let fixture = applied().await;
    let state = std::fs::read(fixture.path(".setpoint/state.json")).unwrap();
    let before = fixture.sandbox.requests().len();
    let world = fixture.sandbox.with_world(|world| {
        (
            serde_json::to_value(&world.users).unwrap(),
            serde_json::to_value(&world.applications).unwrap(),
            serde_json::to_value(&world.factory).unwrap(),
        )
    });

    let ran = fixture.run(&["doctor"]).await.expect(0);
    insta::with_settings!({ filters => vec![(r"serial \d+", "serial [n]"), (r"\d{4}-\d\d-\d\d", "[date]")] }, {
        insta::assert_snapshot!(fixture.redact(&ran.stdout));
    });
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80));

    let log = fixture.sandbox.requests().split_off(before);
    let (sessions, others): (Vec<_>, Vec<_>) = log
        .iter()
        .filter(|request| request.write)
        .partition(|request| ["/users/sign_in", "/users/sign_out"].contains(&request.path.as_str()));
    assert_eq!(others, Vec::<&setpoint::sandbox::RequestLog>::new());
    // The administrator and the droid, each in and out.
    assert_eq!(sessions.len(), 4);
    assert!(log.iter().any(|request| request.side == Side::Factory));
    let after = fixture.sandbox.with_world(|world| {
        (
            serde_json::to_value(&world.applications).unwrap(),
            serde_json::to_value(&world.factory).unwrap(),
        )
    });
    assert_eq!(after, (world.1, world.2));
    assert_eq!(std::fs::read(fixture.path(".setpoint/state.json")).unwrap(), state);
}

/// What `plan` reads, `doctor` reads: a query that GitLab refuses stops neither alone.
#[tokio::test(flavor = "multi_thread")]
async fn it_asks_all_that_plan_asks() {
    for driver in ["api", "assisted"] {
        let fixture = applied().await;
        fixture.edit_config("driver = \"api\"", &format!("driver = \"{driver}\""));
        // A path with a slash, one that Factory does not list, and an account to look for.
        fixture.edit_config("enable = [", "enable = [\"web/nowhere\", ");
        let asked = |before: usize| -> BTreeSet<String> {
            let log = fixture.sandbox.requests().split_off(before);
            log.iter()
                .map(|one| format!("{:?} {} {}", one.side, one.method, one.path))
                .collect()
        };
        let before = fixture.sandbox.requests().len();
        fixture.run(&["plan"]).await.expect(0);
        let plan = asked(before);
        let before = fixture.sandbox.requests().len();
        let ran = json(&fixture).await.expect(0);
        let doctor = asked(before);
        assert!(check(&ran, "plan.reads").starts_with("ok"));
        let missing: Vec<_> = plan.difference(&doctor).collect();
        assert!(plan.len() > 10 && missing.is_empty(), "{driver}: {missing:#?}");
    }
}

/// A second factor is enforced by the whole hierarchy of a group that the droid is, or will be, a member of.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_enforces_a_second_factor_is_found_before_the_membership_is_made() {
    for path in ["platform", "platform/services"] {
        let fixture = Fixture::new().await;
        fixture.sandbox.with_world(|world| {
            let group = world.groups.iter_mut().find(|group| group.full_path == path);
            group.unwrap().require_two_factor = true;
        });
        // What is below another group comes with that one.
        let below = "\"platform\" = \"developer\"\n\"platform/services\" = \"maintainer\"";
        fixture.edit_config("\"platform\" = \"developer\"", below);
        let before = fixture.sandbox.requests().len();
        let ran = json(&fixture).await.expect(1);
        let asked = fixture.sandbox.requests().split_off(before).into_iter();
        let lists: BTreeSet<String> = asked
            .map(|one| one.path)
            .filter(|path| path.ends_with("/descendant_groups"))
            .collect();
        assert_eq!(lists.len(), 1, "{lists:?}");
        let found = check(&ran, "gitlab.group_two_factor");
        assert!(
            found.starts_with("failure") && found.contains(path) && found.contains("user.totp_secret"),
            "{found}"
        );
    }
}

/// What GitLab shows of the administrator's account is found without a password that has to be wrong first.
#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_who_cannot_sign_in_is_told_before_a_password_is_sent() {
    type Edit = fn(&mut setpoint::sandbox::world::User);
    let fixture = applied().await;
    let cases: [(Edit, &str, &str); 6] = [
        (|user| user.admin = false, "failure", "is no administrator"),
        (
            |user| user.totp_secret = Some("GEZDGNBVGY3TQOJQ".to_owned()),
            "failure",
            "gitlab.admin_session.totp_secret",
        ),
        (|user| user.locked = true, "failure", "is locked"),
        (
            |user| user.state = UserState::Blocked,
            "failure",
            "Unblock it (Admin area",
        ),
        (
            |user| user.state = UserState::BlockedPendingApproval,
            "failure",
            "Approve it (Admin area",
        ),
        // A sign-in would end that, which is more than a look.
        (|user| user.state = UserState::Deactivated, "warning", "is deactivated"),
    ];
    let second = fixture.sandbox.with_world(|world| {
        let id = world.next_id("user");
        let mut other = world.user_named("root").unwrap().clone();
        (other.id, other.username) = (id, "second".to_owned());
        other.email = "second@example.com".to_owned();
        world.users.push(other.clone());
        other
    });
    fixture.edit_config("username = \"root\"", "username = \"second\"");
    for (change, status, said) in cases {
        fixture.sandbox.with_world(|world| {
            let user = world.user_mut(second.id).unwrap();
            *user = second.clone();
            change(user);
        });
        let before = fixture.sandbox.requests().len();
        let ran = json(&fixture).await.expect(i32::from(status == "failure"));
        let found = check(&ran, "gitlab.admin_session");
        assert!(found.starts_with(status) && found.contains(said), "{found}");
        let signed_in = fixture.sandbox.requests().split_off(before);
        let tried = signed_in
            .iter()
            .filter(|one| one.method == "POST" && one.path == "/users/sign_in");
        assert_eq!(tried.count(), 1, "{said}: the droid's only");
    }
    let left = fixture.sandbox.with_world(|world| world.user(second.id).unwrap().state);
    assert_eq!(left, UserState::Deactivated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_gitlab_refuses_is_a_failure() {
    let refused = r#"faults=[{"method": "POST", "path": "/api/graphql", "action": {"respond": {"status": 200,
        "headers": [["content-type", "application/json"]],
        "body": "{\"errors\":[{\"message\":\"Type mismatch on variable $paths\"}]}"}}}]"#;
    let fixture = applied().await;
    set(&fixture, &[refused]);
    let ran = json(&fixture).await.expect(1);
    let found = check(&ran, "plan.reads");
    assert!(
        found.starts_with("failure") && found.contains("Type mismatch"),
        "{found}"
    );
}

/// Switches of the sandbox, the check that has to notice, how it comes out, and what it says.
const SETTINGS: &[(&[&str], &str, &str, &str)] = &[
    (
        &["gitlab_version=16.10.2-ee"],
        "gitlab.version",
        "failure",
        "needs 16.11",
    ),
    (&["gitlab_version=19.1.0"], "gitlab.version", "ok", "Community Edition"),
    (&["admin_mode=true"], "gitlab.admin_mode", "ok", "may do without it"),
    (
        &["admin_mode=true", "token_scopes_missing=[\"admin_mode\"]"],
        "gitlab.admin_mode",
        "failure",
        "lacks the scope admin_mode",
    ),
    (
        &["token_scopes_missing=[\"api\"]"],
        "gitlab.token_scopes",
        "failure",
        "lacks the scope api",
    ),
    (
        &["token_expires_at=2020-01-01"],
        "gitlab.token",
        "failure",
        "does not accept the token",
    ),
    (
        &["password_login_off=true"],
        "gitlab.password_sign_in",
        "failure",
        "takes no passwords",
    ),
    (
        &["password_login_off=true"],
        "gitlab.admin_session",
        "failure",
        "does not take passwords",
    ),
    (
        &["require_two_factor=true"],
        "gitlab.two_factor",
        "failure",
        "totp_secret",
    ),
    (&["enforce_terms=true"], "gitlab.terms", "warning", "accept them"),
    (&["recaptcha=true"], "gitlab.recaptcha", "warning", "reCAPTCHA"),
    (&["recaptcha=true"], "gitlab.admin_session", "failure", "reCAPTCHA"),
    (
        &["email_confirmation=true"],
        "gitlab.email_confirmation",
        "ok",
        "as confirmed",
    ),
    (
        &["impersonation_enabled=false"],
        "gitlab.impersonation",
        "ok",
        "not needed",
    ),
    (
        &["maintenance_mode=true"],
        "gitlab.maintenance_mode",
        "failure",
        "takes no writes",
    ),
    (
        &["no_observability_scopes=true"],
        "gitlab.scopes",
        "failure",
        "read_observability",
    ),
    (
        &["enabled_git_access_protocol=ssh"],
        "gitlab.git_over_https",
        "failure",
        "Git over HTTPS is switched off",
    ),
    (
        &["enabled_git_access_protocol=http"],
        "gitlab.git_over_https",
        "ok",
        "spoken over HTTPS",
    ),
    (
        &["deactivate_dormant_users=true", "deactivate_dormant_users_period=120"],
        "gitlab.dormant_users",
        "ok",
        "after 120 days without activity",
    ),
    (&["clock_offset_seconds=120"], "gitlab.clock", "warning", "seconds"),
    (
        &["factory_key_unknown=true"],
        "factory.key",
        "failure",
        "does not accept the API key",
    ),
    (
        &["factory_plan_too_small=true"],
        "factory.plan",
        "failure",
        "Enterprise plan",
    ),
    (
        &["factory_role_too_low=true"],
        "factory.role",
        "failure",
        "Owner or a Manager",
    ),
    (
        &["factory_redirect=legacy"],
        "factory.redirect_uri",
        "failure",
        "does not list",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_setting_has_its_finding() {
    let fixture = applied().await;
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(5 * 24);
    let soon = format!("token_expires_at={}", soon.strftime("%Y-%m-%d"));
    let clean = fixture.sandbox.with_world(|world| world.switches.clone());
    let expiring: &[&str] = &[&soon];
    let expiring = (expiring, "gitlab.token_expiry", "warning", "in 5 days");
    // A reCAPTCHA comes after as many visits that nobody signed in on.
    fixture.sandbox.with_world(|world| {
        let visits = (0..5).map(|number| setpoint::sandbox::world::WebSession {
            id: format!("visit{number}"),
            ..Default::default()
        });
        world.sessions.extend(visits);
    });
    for (switches, id, status, said) in SETTINGS.iter().copied().chain([expiring]) {
        set(&fixture, switches);
        let ran = json(&fixture).await;
        let found = check(&ran, id);
        assert!(found.starts_with(&format!("{status}: ")), "{switches:?}: {found}");
        assert!(found.contains(said), "{switches:?}: {found}");
        let failures = ran.json()["summary"]["failure"].as_u64().unwrap();
        assert_eq!(ran.code, i32::from(failures > 0), "{switches:?}");
        fixture.sandbox.with_world(|world| world.switches = clean.clone());
    }
    json(&fixture).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_droids_state_is_told_by_what_gitlab_shows_of_it() {
    let fixture = applied().await;
    let cases = [
        (UserState::Blocked, "warning", "unblocks it"),
        (UserState::Deactivated, "warning", "activates it"),
        (UserState::BlockedPendingApproval, "warning", "approves it"),
        (UserState::Banned, "failure", "End the ban"),
    ];
    let droid = |change: &dyn Fn(&mut setpoint::sandbox::world::User)| {
        fixture.sandbox.with_world(|world| {
            let id = world.user_named("factory-droid").unwrap().id;
            change(world.user_mut(id).unwrap());
        });
    };
    for (state, status, said) in cases {
        droid(&|user| user.state = state);
        let ran = json(&fixture).await;
        let found = check(&ran, "gitlab.droid");
        assert!(found.starts_with(status) && found.contains(said), "{found}");
        // A sign-in would end the deactivation.
        assert!(!ran.stdout.contains("gitlab.droid_sign_in"));
        droid(&|user| assert_eq!(user.state, state));
    }
    droid(&|user| {
        user.state = UserState::Active;
        user.admin = true;
        user.confirmed_at = None;
    });
    let ran = json(&fixture).await.expect(1);
    assert!(check(&ran, "gitlab.droid").contains("has not confirmed"));
    assert!(check(&ran, "gitlab.droid_is_admin").starts_with("warning"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_impersonation_that_is_off_are_failures() {
    let fixture = applied().await;
    fixture.edit_config("[user]\n", "[user]\nsign_in = \"impersonate\"\n");
    set(&fixture, &["impersonation_enabled=false"]);
    let ran = json(&fixture).await.expect(1);
    assert!(check(&ran, "gitlab.impersonation").starts_with("failure"));

    let mut command = fixture.command(&["doctor", "--format", "json"]);
    command.env("GITLAB_ADMIN_PASSWORD", "wrong-fake-password");
    let ran = crate::common::run(command).await.expect(1);
    let found = check(&ran, "gitlab.admin_session");
    assert!(
        found.starts_with("failure") && found.contains("gitlab.admin_session.password"),
        "{found}"
    );
    assert!(!ran.stdout.contains("wrong-fake-password"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failure_does_not_stop_the_others() {
    let fixture = Fixture::new().await;
    let mut command = fixture.command(&["doctor"]);
    command.env_remove("GITLAB_TOKEN").env("FACTORY_API_KEY", "fk-wrong");
    let ran = crate::common::run(command).await.expect(1);
    assert_eq!(fixture.api_writes(), 0);
    assert!(!fixture.path(".setpoint").exists());
    insta::assert_snapshot!(fixture.redact(&ran.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gitlab_that_is_not_there_leaves_factory_and_the_state_to_be_looked_at() {
    let fixture = applied().await;
    let gitlab = fixture.sandbox.gitlab_url();
    fixture.edit_config(
        &format!("url = \"{gitlab}\""),
        &format!("url = \"http://127.0.0.1:1\"\nexternal_url = \"{gitlab}\""),
    );
    std::fs::write(fixture.path(".setpoint/state.json"), "{").unwrap();
    let ran = json(&fixture).await.expect(1);
    assert!(check(&ran, "gitlab.reachable").contains("refuses connections"));
    assert!(check(&ran, "gitlab.external_url").starts_with("ok"));
    assert!(check(&ran, "factory.key").starts_with("ok"));
    assert!(check(&ran, "state.record").contains("damaged"));
    assert!(check(&ran, "state.lock").starts_with("ok"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_state_password_is_one_failure_and_the_rest_is_looked_at() {
    let fixture = applied().await;
    let text = std::fs::read_to_string(fixture.path("setpoint.toml")).unwrap();
    let gitlab = fixture.sandbox.gitlab_url();
    fixture.write_config(&format!(
        "{text}\n[state]\nurl = \"{gitlab}/api/v4/projects/42/terraform/state/x\"\nusername = \"u\"\npassword = {{ env = \"NOT_SET\" }}\n"
    ));
    let ran = json(&fixture).await.expect(1);
    assert_eq!(ran.json()["summary"]["failure"], 1, "{}", ran.stdout);
    assert!(check(&ran, "state.record").contains("state.password"));
    assert!(check(&ran, "state.lock").starts_with("skipped"));
    assert!(check(&ran, "gitlab.reachable").starts_with("ok"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_url_of_another_gitlab_is_found() {
    let (fixture, other) = tokio::join!(Fixture::new(), Fixture::new());
    let gitlab = format!("url = \"{}\"", fixture.sandbox.gitlab_url());
    fixture.edit_config(
        &gitlab,
        &format!("{gitlab}\nexternal_url = \"{}\"", other.sandbox.gitlab_url()),
    );
    let found = check(&json(&fixture).await.expect(1), "gitlab.external_url");
    assert!(found.contains("Another GitLab answers"), "{found}");
    // The token went to the one GitLab alone.
    assert!(
        other
            .sandbox
            .requests()
            .iter()
            .all(|request| !request.path.contains("/api/"))
    );

    fixture.edit_config(&other.sandbox.gitlab_url(), "http://127.0.0.1:1");
    let found = check(&json(&fixture).await.expect(0), "gitlab.external_url");
    assert!(
        found.starts_with("warning") && found.contains("from the internet"),
        "{found}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_assisted_driver_says_what_it_cannot_ask() {
    let fixture = Fixture::new().await;
    fixture.edit_config("driver = \"api\"\n", "");
    let ran = json(&fixture).await.expect(0);
    assert!(check(&ran, "factory.reachable").starts_with("ok"));
    assert!(check(&ran, "factory.role").starts_with("skipped"));
    let found = check(&ran, "factory.redirect_uri");
    assert!(
        found.starts_with("ok") && found.contains("redirect/gitlab-sh, list both"),
        "{found}"
    );
    let uri = fixture.redirect_uri();
    for (wrong, said) in [
        (
            uri.trim_end_matches("/callback").to_owned() + "/calback",
            "not known to use",
        ),
        (
            "https://api.eu.factory.ai/api/integrations/redirect/gitlab-sh/callback".to_owned(),
            "not known to use",
        ),
    ] {
        fixture.edit_config(&format!("\"{uri}\""), &format!("\"{wrong}\""));
        let found = check(&json(&fixture).await.expect(0), "factory.redirect_uri");
        assert!(
            found.starts_with("warning") && found.contains(said) && found.contains(&format!("Write {uri}")),
            "{found}"
        );
        fixture.edit_config(&format!("\"{wrong}\""), &format!("\"{uri}\""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_can_be_looked_at_without_any_secret() {
    let fixture = Fixture::new().await;
    let ran = crate::common::run(crate::common::setpoint(
        fixture.folder(),
        &["doctor", "--sandbox", "--format", "json"],
    ))
    .await
    .expect(0);
    assert_eq!(ran.json()["format_version"], "1.0");
    assert!(check(&ran, "secrets").starts_with("skipped"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shapes_of_pages_hold_their_names_and_nothing_that_people_wrote() {
    let fixture = applied().await;
    let secret: Vec<String> = fixture.sandbox.with_world(|world| {
        for user in &mut world.users {
            user.name = format!("Canary {}", user.id);
            user.note = Some("canary".to_owned());
        }
        for group in &mut world.groups {
            group.name = format!("Canary {}", group.id);
        }
        for project in &mut world.projects {
            project.name = format!("Canary {}", project.id);
        }
        let mut other = world.applications[0].clone();
        (other.id, other.uid, other.name) = (4711, "c0ffee".repeat(10), "Canary".to_owned());
        other.redirect_uri = "https://canary.example.com/callback".to_owned();
        world.applications.push(other);
        let people = world.users.iter().filter(|user| user.username != "root");
        let accounts = people.flat_map(|user| [user.username.clone(), user.email.clone()]);
        let groups = world.groups.iter().map(|group| group.full_path.clone());
        let projects = world.projects.iter().map(|project| project.full_path.clone());
        let uids = world.applications.iter().map(|application| application.uid.clone());
        // Shorter ones are words that programs use, too.
        accounts
            .chain(groups)
            .chain(projects)
            .chain(uids)
            .filter(|name| name.len() >= 10)
            .collect()
    });
    fixture.run(&["doctor", "-q", "--pages", "shapes.json"]).await;
    let text = std::fs::read_to_string(fixture.path("shapes.json")).unwrap();
    let keys = fixture.sandbox.credentials();
    let hosts = [fixture.sandbox.gitlab_url(), fixture.sandbox.factory_api_url()];
    let hosts = hosts.iter().map(|url| url.split_once("//").unwrap().1);
    let canaries = [
        "canary",
        "127.0.0.1",
        keys.gitlab_token,
        keys.root_password,
        keys.droid_password,
        keys.factory_key,
    ];
    for held in canaries
        .into_iter()
        .chain(hosts)
        .chain(secret.iter().map(String::as_str))
    {
        assert!(
            !text.to_lowercase().contains(&held.to_lowercase()),
            "{held} is in\n{text}"
        );
    }
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let answer = |path: &str| {
        let answers = document["answers"].as_array().unwrap();
        let found = answers
            .iter()
            .find(|answer| answer["path"] == path && answer["status"] == 200);
        found.unwrap_or_else(|| panic!("{path} is not in\n{text}")).clone()
    };
    assert!(text.contains("\"two_factor_enabled\": \"boolean\""), "{text}");
    assert_eq!(answer("/api/v4/application/settings")["json"]["admin_mode"], "boolean");
    assert_eq!(
        answer("/api/v0/integrations/gitlab-sh")["json"]["integration"]["status"],
        "string"
    );
    let page = answer("/users/sign_in")["page"].to_string();
    assert!(
        page.contains("[data-name=user[password]]") && page.contains("meta[name=csrf-token]"),
        "{page}"
    );
    let form = answer("/admin/applications/*/edit")["page"].to_string();
    assert!(
        form.contains("[trusted]]") && form.contains("[name=_method][type=hidden][value=patch]"),
        "{form}"
    );
}

/// What an account or a group has that keeps Factory out, each with its fix.
#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_the_droid_from_its_projects_is_found() {
    let fixture = applied().await;
    let ran = json(&fixture).await.expect(0);
    for id in [
        "gitlab.droid_external",
        "gitlab.droid_access",
        "gitlab.group_addresses",
        "gitlab.group_git_over_https",
    ] {
        assert!(!ran.stdout.contains(id), "{}", ran.stdout);
    }
    set(&fixture, &["deactivate_dormant_users=true"]);
    fixture.sandbox.with_world(|world| {
        let platform = world
            .groups
            .iter_mut()
            .find(|group| group.full_path == "platform")
            .unwrap();
        platform.ip_restriction_ranges = Some("10.0.0.0/8,192.0.2.7".to_owned());
        platform.enabled_git_access_protocol = Some("ssh".to_owned());
        let droid = world.user_named("factory-droid").unwrap().id;
        let droid = world.user_mut(droid).unwrap();
        droid.external = true;
        droid.last_activity_on = Some("2020-01-01".to_owned());
    });
    // Nobody signs in, which would be activity.
    fixture.edit_config("password = { env = \"FACTORY_DROID_PASSWORD\" }\n", "");
    let ran = json(&fixture).await.expect(1);
    for (id, status, said) in [
        (
            "gitlab.droid_external",
            "warning",
            "is an external user: it sees internal projects only",
        ),
        ("gitlab.group_addresses", "warning", "platform (10.0.0.0/8,192.0.2.7)"),
        ("gitlab.group_git_over_https", "failure", "only: platform."),
        ("gitlab.dormant_users", "warning", "did something last on 2020-01-01"),
    ] {
        let found = check(&ran, id);
        assert!(found.starts_with(status) && found.contains(said), "{found}");
        assert!(!found.ends_with("| -"), "there is a fix: {found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_droid_whose_projects_are_only_open_ones_is_found() {
    // With no membership at all.
    let fixture = Fixture::new().await;
    fixture.edit_config(
        "[user.memberships]\n\"platform\" = \"developer\"\n\"web/storefront\" = \"maintainer\"\n",
        "",
    );
    set(&fixture, &["user_default_external=true"]);
    let ran = json(&fixture).await;
    let found = check(&ran, "gitlab.droid_access");
    assert!(
        found.starts_with("warning") && found.contains("it sees public projects"),
        "{found}"
    );
    let found = check(&ran, "gitlab.droid_external");
    assert!(found.contains("so will factory-droid be"), "{found}");
    set(&fixture, &["user_default_external=false"]);
    let found = check(&json(&fixture).await, "gitlab.droid_access");
    assert!(found.contains("it sees internal and public projects"), "{found}");
    // With one elsewhere.
    let fixture = Fixture::new().await;
    fixture.sandbox.with_world(|world| {
        let storefront = world
            .projects
            .iter_mut()
            .find(|one| one.full_path == "web/storefront")
            .unwrap();
        storefront.visibility = setpoint::sandbox::world::Visibility::Internal;
    });
    fixture.edit_config("\"web/storefront\" = \"maintainer\"\n", "");
    let found = check(&json(&fixture).await, "plan.roles");
    assert!(
        found.starts_with("warning") && found.contains("web/storefront"),
        "{found}"
    );
}

/// What each answer is asked for: checks that say nothing without it, and say so under another name or not at all.
const OF_AN_ANSWER: &[(&str, &[&str])] = &[
    ("/api/v4/metadata", &["gitlab.version"]),
    // Whom a web session belongs to is asked there, too.
    ("/api/v4/user", &["gitlab.admin_mode", "gitlab.impersonation"]),
    (
        "/api/v4/personal_access_tokens/self",
        &["gitlab.token_scopes", "gitlab.token_expiry"],
    ),
    (
        "/api/v4/application/settings",
        &[
            "gitlab.password_sign_in",
            "gitlab.two_factor",
            "gitlab.terms",
            "gitlab.recaptcha",
            "gitlab.email_confirmation",
            "gitlab.email_verification",
            "gitlab.git_over_https",
            "gitlab.dormant_users",
            "gitlab.impersonation",
        ],
    ),
    ("/api/v4/users", &["gitlab.droid_sign_in", "gitlab.impersonation"]),
    ("/users/", &["gitlab.impersonation"]),
    ("/admin/", &["gitlab.impersonation"]),
    (
        "/api/v0/integrations/gitlab-sh",
        &["factory.key", "factory.plan", "factory.role", "factory.connection"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_single_answer_ends_it() {
    no_wrong_answer_ends_it(1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half a minute; `.ci/run` runs it"]
async fn no_single_answer_of_any_kind_ends_it() {
    no_wrong_answer_ends_it(4).await;
}

/// Each of its questions is answered wrongly, one at a time, in so many ways of four: every check that does not live by that
/// answer is there.
async fn no_wrong_answer_ends_it(ways: usize) {
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    fixture.edit_config("token = { env = \"GITLAB_TOKEN\" }", ADMIN_SESSION);
    fixture.run(&["apply", "--auto-approve", "-q"]).await.expect(0);
    let clean = fixture.sandbox.with_world(|world| world.clone());
    let ids = |ran: &Ran| -> BTreeSet<String> {
        let checks = ran.json()["checks"].as_array().unwrap().clone();
        checks
            .iter()
            .map(|check| check["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let before = fixture.sandbox.requests().len();
    let all = ids(&json(&fixture).await.expect(0));
    let asked: BTreeSet<(bool, String, String)> = fixture
        .sandbox
        .requests()
        .split_off(before)
        .into_iter()
        .map(|one| (one.side == Side::Gitlab, one.method, one.path))
        .collect();
    assert!(asked.len() > 15, "{asked:?}");
    let page = "<html><head><title>Gateway</title></head><body>Something else</body></html>";
    let wrong = [
        (500, "application/json", "{\"message\":\"500 Internal Server Error\"}"),
        (200, "text/html", page),
        (200, "application/json", "{\"a\":[1,null"),
        (200, "application/json", "[[\"neither\"], 7]"),
    ];
    let some = |at: usize| wrong.iter().cycle().skip(at).take(ways);
    let cases = asked
        .iter()
        .enumerate()
        .flat_map(|(at, one)| some(at).map(move |wrong| (one, *wrong)));
    let mut lost = Vec::new();
    for ((of_gitlab, method, path), (status, kind, body)) in cases {
        let of_gitlab = *of_gitlab;
        fixture.sandbox.with_world(|world| *world = clean.clone());
        let (wanted, at) = (method.clone(), path.clone());
        proxy.intercept(move |request, phase| {
            let meant = (request.side == Side::Gitlab) == of_gitlab && request.method == wanted && request.path == at;
            if meant && phase == Phase::Before {
                return Action::Respond {
                    status,
                    headers: vec![("content-type".to_owned(), kind.to_owned())],
                    body: body.to_owned(),
                };
            }
            Action::Pass
        });
        let ran = json(&fixture).await;
        assert!([0, 1].contains(&ran.code), "{method} {path}: {}", ran.stderr);
        let excused: BTreeSet<&str> = OF_AN_ANSWER
            .iter()
            .filter(|(prefix, _)| path.starts_with(prefix))
            .flat_map(|(_, ids)| ids.iter().copied())
            .collect();
        let found = ids(&ran);
        let missing: Vec<&String> = all
            .difference(&found)
            .filter(|id| !excused.contains(id.as_str()))
            .collect();
        if !missing.is_empty() {
            lost.push(format!("{method} {path} with {status} {kind}: {missing:?}"));
        }
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}
