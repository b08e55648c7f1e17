//! What GitLab holds of memberships beside the plain ones: requests for access, roles without a project, roles of an
//! instance's own making, and those that an administrator has to approve first.

use serde_json::json;
use setpoint::sandbox::world::{Member, MemberRole, Source};

use super::common::Fixture;
use super::common::plans::{DROID, change, find, notes, unwrapped};

const PLATFORM: &str = "gitlab.membership[\"platform\"]";

async fn applied() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.give_admin_session();
    fixture.apply().await.expect(0);
    fixture
}

fn group(fixture: &Fixture, path: &str) -> Source {
    fixture.world(|world| Source::Group(world.group_at(path).expect("the group").id))
}

/// Edits the droid's membership there as another client would.
fn edit(fixture: &Fixture, source: Source, f: impl FnOnce(&mut Member)) {
    fixture.world(|world| {
        let droid = world.user_named(DROID).expect("the droid").id;
        let mut members = world.members.iter_mut();
        f(members
            .find(|one| one.source == source && one.user_id == droid)
            .expect("the membership"));
    });
}

fn level(fixture: &Fixture, source: Source) -> Option<u32> {
    fixture.world(|world| {
        let droid = world.user_named(DROID).expect("the droid").id;
        let mut members = world.members.iter();
        let one = members.find(|one| one.source == source && one.user_id == droid && !one.requested);
        one.map(|one| one.access_level)
    })
}

/// The membership of a group in what `export` prints.
fn exported(text: &str, path: &str) -> Option<String> {
    let table: toml::Table = text.parse().expect("export prints TOML");
    let role = &table["user"]["memberships"].get(path)?;
    role.as_str().map(str::to_owned)
}

/// Takes what `export` prints as the configuration, of which there must be nothing to do.
async fn expect_export_agrees(fixture: &Fixture, when: &str) -> String {
    let exported = fixture.run(&["export"]).await.expect(0);
    let before = std::fs::read_to_string(fixture.path("setpoint.toml")).expect("the configuration");
    fixture.write_config(&exported.stdout);
    fixture.expect_nothing_to_do(when).await;
    fixture.write_config(&before);
    exported.stdout
}

#[tokio::test]
async fn a_request_for_access_is_no_membership() {
    let fixture = applied().await;
    let web = group(&fixture, "web");
    fixture.world(|world| {
        let droid = world.user_named(DROID).expect("the droid").id;
        let asked = Member {
            requested: true,
            ..Member::new(web, droid, 30, world.now())
        };
        world.members.push(asked);
    });
    assert_eq!(
        exported(&expect_export_agrees(&fixture, "a request").await, "web"),
        None
    );
    fixture.edit_config(
        "\"platform\" = \"developer\"",
        "\"platform\" = \"developer\"\n\"web\" = \"developer\"",
    );
    let plan = fixture.plan().await;
    assert_eq!(
        change(&plan, "gitlab.membership[\"web\"]")["actions"],
        json!(["create"])
    );
    fixture.apply().await.expect(0);
    assert_eq!(level(&fixture, web), Some(30));
    fixture.expect_nothing_to_do("the request was granted").await;
}

#[tokio::test]
async fn every_role_is_read_as_it_is_and_export_and_plan_agree() {
    let fixture = Fixture::new().await;
    fixture.world(|world| world.switches.gitlab_version = "19.3.0-ee".to_owned());
    fixture.give_admin_session();
    fixture.edit_config(
        "\"platform\" = \"developer\"",
        "\"platform\" = \"developer\"\n\"data\" = \"developer\"\n\"finance\" = \"developer\"",
    );
    fixture.apply().await.expect(0);
    let roles = [
        ("platform", 5, "minimal_access"),
        ("data", 15, "planner"),
        ("finance", 25, "security_manager"),
    ];
    for (path, access_level, _) in roles {
        edit(&fixture, group(&fixture, path), |member| {
            member.access_level = access_level;
        });
    }
    let drift = fixture.run(&["drift", "--format", "json"]).await.expect(2).json();
    let printed = expect_export_agrees(&fixture, "three unusual roles").await;
    for (path, _, role) in roles {
        let found = change(&drift, &format!("gitlab.membership[\"{path}\"]"));
        assert_eq!(
            (&found["actions"], &found["origin"], &found["attributes"][0]["before"]),
            (&json!(["update"]), &json!("drift"), &json!(role))
        );
        assert_eq!(exported(&printed, path).as_deref(), Some(role));
    }
    fixture.apply().await.expect(0);
    for (path, ..) in roles {
        assert_eq!(level(&fixture, group(&fixture, path)), Some(30), "{path}");
    }
    fixture.expect_nothing_to_do("all are put right").await;
}

#[tokio::test]
async fn minimal_access_shows_no_project() {
    let fixture = Fixture::new().await;
    fixture.give_admin_session();
    fixture.edit_config("\"platform\" = \"developer\"", "\"platform\" = \"minimal_access\"");
    fixture.edit_config("[\"platform/**\", \"web/storefront\"]", "[\"platform/services/cart\"]");
    let plan = fixture.plan().await;
    let cart = change(&plan, "factory.repository[\"platform/services/cart\"]");
    assert_eq!(
        (&cart["status"], &cart["reason"]),
        (&json!("blocked"), &json!("not_visible"))
    );
}

/// The droid has a custom role in a group, based on the one that is declared.
async fn with_a_custom_role() -> (Fixture, Source) {
    let fixture = applied().await;
    let platform = group(&fixture, "platform");
    fixture.world(|world| {
        world.member_roles.push(MemberRole {
            id: 7,
            name: "Release Keeper".to_owned(),
            base_access_level: 30,
        });
    });
    edit(&fixture, platform, |member| member.member_role_id = Some(7));
    (fixture, platform)
}

#[tokio::test]
async fn a_custom_role_is_the_role_that_it_is_based_on_and_export_says_so() {
    let (fixture, _) = with_a_custom_role().await;
    fixture.expect_nothing_to_do("the role is the one declared").await;
    let ran = fixture.run(&["export"]).await.expect(0);
    assert_eq!(exported(&ran.stdout, "platform").as_deref(), Some("developer"));
    let said = unwrapped(&ran.stderr);
    assert!(
        said.contains("the custom role `Release Keeper`") && said.contains("platform is written as developer"),
        "{}",
        ran.stderr
    );
}

/// GitLab keeps what a change does not name, and does not change the role that a custom one is based on.
#[tokio::test]
async fn another_end_leaves_a_custom_role_and_another_role_is_refused() {
    let (fixture, platform) = with_a_custom_role().await;
    fixture.edit_config(
        "\"platform\" = \"developer\"",
        "\"platform\" = { role = \"developer\", expires_at = \"2099-01-01\" }",
    );
    fixture.apply().await.expect(0);
    let held = || {
        let mut held = None;
        edit(&fixture, platform, |member| {
            held = Some((member.access_level, member.member_role_id, member.expires_at.clone()));
        });
        held
    };
    let with_an_end = Some((30, Some(7), Some("2099-01-01".to_owned())));
    assert_eq!(held(), with_an_end);
    fixture.edit_config("role = \"developer\", expires_at", "role = \"maintainer\", expires_at");
    let ran = fixture.apply().await.expect(3);
    assert!(
        unwrapped(&ran.stdout).contains("declare the role that it is based on"),
        "{}",
        ran.stdout
    );
    assert_eq!(held(), with_an_end);
}

#[tokio::test]
async fn what_an_administrator_has_to_approve_is_not_done_and_the_next_plan_knows() {
    let fixture = Fixture::new().await;
    fixture.world(|world| world.switches.memberships_await_approval = true);
    fixture.give_admin_session();
    let ran = fixture.apply().await.expect(3);
    assert!(
        unwrapped(&ran.stdout).contains("an administrator has to approve it before it counts"),
        "{}",
        ran.stdout
    );
    let platform = group(&fixture, "platform");
    assert_eq!(level(&fixture, platform), None);
    let before = fixture.api_writes();
    let plan = fixture.plan().await;
    let waiting = change(&plan, PLATFORM);
    assert_eq!(
        (&waiting["status"], &waiting["reason"], &waiting["origin"]),
        (&json!("blocked"), &json!("awaiting_approval"), &json!("pending"))
    );
    assert!(notes(waiting).contains("Role promotions"), "{waiting:#}");
    // Nothing is asked for a second time.
    fixture.apply().await.expect(3);
    let asked = fixture.sandbox.requests()[..]
        .iter()
        .filter(|request| request.method == "POST" && request.path.ends_with("/members"))
        .count();
    assert_eq!(asked, 2, "one for each membership");
    assert_eq!(fixture.api_writes() - before, 0, "nothing else is left to do either");

    // An administrator approves.
    fixture.world(|world| {
        world.switches.memberships_await_approval = false;
        let droid = world.user_named(DROID).expect("the droid").id;
        let storefront = world.project_at("web/storefront").expect("the project").id;
        world.set_member(platform, droid, 30);
        world.set_member(Source::Project(storefront), droid, 40);
    });
    assert!(find(&fixture.plan().await, PLATFORM).is_none());
    fixture.apply().await.expect(0);
    fixture.expect_nothing_to_do("after the approval").await;
}

#[tokio::test]
async fn a_higher_role_that_waits_leaves_the_present_one_and_is_not_drift() {
    let fixture = applied().await;
    let platform = group(&fixture, "platform");
    fixture.world(|world| world.switches.memberships_await_approval = true);
    fixture.edit_config("\"platform\" = \"developer\"", "\"platform\" = \"maintainer\"");
    fixture.apply().await.expect(3);
    assert_eq!(level(&fixture, platform), Some(30));
    let plan = fixture.plan().await;
    assert_eq!(change(&plan, PLATFORM)["reason"], json!("awaiting_approval"));
    assert_eq!(plan["summary"]["drifted"], json!(0));
    fixture.run(&["drift"]).await.expect(0);
    // It was refused, and the file keeps to what there is.
    fixture.edit_config("\"platform\" = \"maintainer\"", "\"platform\" = \"developer\"");
    fixture.apply().await.expect(0);
    assert_eq!(fixture.state()["memberships"]["platform"].get("awaits_approval"), None);
}

#[tokio::test]
async fn one_that_is_listed_while_it_waits_is_none() {
    let fixture = applied().await;
    let platform = group(&fixture, "platform");
    // Where seats are short, the row is there and gives nothing: GitLab's list does not tell it apart.
    fixture.world(|world| world.switches.memberships_await_approval = true);
    fixture.edit_config("\"platform\" = \"developer\"", "\"platform\" = \"maintainer\"");
    fixture.apply().await.expect(3);
    edit(&fixture, platform, |member| {
        member.access_level = 40;
        member.awaiting = true;
    });
    let plan = fixture.plan().await;
    let waiting = change(&plan, PLATFORM);
    assert_eq!(
        (&waiting["actions"], &waiting["reason"]),
        (&json!(["create"]), &json!("awaiting_approval"))
    );
    edit(&fixture, platform, |member| member.awaiting = false);
    assert!(find(&fixture.plan().await, PLATFORM).is_none());
}

#[tokio::test]
async fn a_second_factor_that_a_group_enforces_is_told_before_the_membership_makes_it_bite() {
    let fixture = applied().await;
    fixture.world(|world| {
        // The administrator is under no such group.
        world.members.retain(|member| member.user_id != 1);
        for path in ["data/pipelines", "web"] {
            let mut groups = world.groups.iter_mut();
            let group = groups.find(|group| group.full_path == path).expect("the group");
            group.require_two_factor = true;
        }
    });
    let warned = async || {
        let plan = fixture.plan().await;
        let warnings = plan["warnings"].as_array().expect("a plan has warnings").clone();
        let enforced = warnings
            .into_iter()
            .filter(|warning| warning["code"] == "two_factor_enforced");
        enforced.collect::<Vec<_>>()
    };
    // The membership in `web/storefront` is there already, and is doctor's to find.
    assert_eq!(warned().await, Vec::<serde_json::Value>::new());
    let found = unwrapped(&fixture.run(&["doctor"]).await.stdout);
    assert!(
        found.contains("enforce two-factor authentication, and the droid has none: web"),
        "{found}"
    );
    // From below, and from above.
    fixture.edit_config(
        "\"platform\" = \"developer\"",
        "\"platform\" = \"developer\"\n\"data\" = \"developer\"\n\"data/pipelines/batch\" = \"maintainer\"",
    );
    let told = warned().await;
    let mut addresses: Vec<_> = told.iter().filter_map(|warning| warning["address"].as_str()).collect();
    addresses.sort_unstable();
    assert_eq!(
        addresses,
        [
            "gitlab.membership[\"data\"]",
            "gitlab.membership[\"data/pipelines/batch\"]"
        ]
    );
    let said = told[0]["message"].as_str().expect("a message");
    assert!(
        said.contains("`data/pipelines` enforces two-factor authentication"),
        "{said}"
    );
}
