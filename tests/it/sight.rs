//! What the droid sees, as GitLab says it: through groups that were invited, and not as an external user.

use serde_json::{Value, json};
use setpoint::sandbox::world::{Share, Source, Visibility};

use super::common::Fixture;
use super::common::plans::{DROID, find};

/// GitLab's half is done, and nothing is attested.
async fn assisted(enable: &str) -> Fixture {
    let fixture = Fixture::complete().await;
    fixture.edit_config("driver = \"api\"", "driver = \"assisted\"");
    fixture.edit_config(
        "[user]\n",
        "[application.secret]\nsave = { file = \"secret\" }\nload = { file = \"secret\" }\n\n[user]\n",
    );
    fixture.edit_config("[\"platform/**\", \"web/storefront\"]", enable);
    fixture
}

fn status<'a>(plan: &'a Value, path: &str) -> Option<(&'a str, &'a str)> {
    let change = find(plan, &format!("factory.repository[\"{path}\"]"))?;
    Some((change["status"].as_str()?, change["reason"].as_str()?))
}

/// A group of its own, with the droid in it, that others invite.
fn guests(fixture: &Fixture, invited_into: &[&str]) {
    fixture.world(|world| {
        let droid = world.user_named(DROID).expect("the droid").id;
        let guests = world.add_group("guests", "Guests", Visibility::Private);
        world.set_member(Source::Group(guests), droid, 30);
        for path in invited_into {
            let group = world.group_at(path).map(|group| Source::Group(group.id));
            let project = world.project_at(path).map(|project| Source::Project(project.id));
            world.shares.push(Share {
                source: group.or(project).expect("a group or a project"),
                group_id: guests,
                access_level: 30,
                expires_at: None,
            });
        }
    });
}

#[tokio::test]
async fn through_invited_groups_it_does_and_no_step_is_asked_for_what_it_does_not_see() {
    let fixture = assisted("[\"finance/ledger\", \"data/**\"]").await;
    fixture.apply().await.expect(3);
    let plan = fixture.plan().await;
    assert_eq!(status(&plan, "finance/ledger"), Some(("blocked", "not_visible")));
    assert_eq!(status(&plan, "data/warehouse"), None);

    guests(&fixture, &["finance", "data/warehouse", "data/pipelines"]);
    let plan = fixture.plan().await;
    for path in [
        "finance/ledger",
        "data/warehouse",
        "data/pipelines/events",
        "data/pipelines/batch/nightly",
    ] {
        assert_eq!(status(&plan, path), Some(("operator", "absent")), "{path}");
    }
    assert_eq!(status(&plan, "data/notebooks"), None);
}

#[tokio::test]
async fn an_external_user_sees_no_internal_project_under_either_driver() {
    for driver in ["api", "assisted"] {
        for external in [false, true] {
            let fixture = assisted("[\"web/admin-console\"]").await;
            fixture.edit_config("driver = \"assisted\"", &format!("driver = \"{driver}\""));
            fixture.world(|world| world.switches.user_default_external = external);
            let before = fixture.plan().await;
            let found = status(&before, "web/admin-console").map(|(status, _)| status == "blocked");
            assert_eq!(found, Some(external), "{driver}, before the first apply");
            let code = if external || driver == "assisted" { 3 } else { 0 };
            fixture.apply().await.expect(code);
            let after = fixture.plan().await;
            let blocked = status(&after, "web/admin-console") == Some(("blocked", "not_visible"));
            assert_eq!(blocked, external, "{driver}, after it: {:#}", json!(after["changes"]));
        }
    }
}

/// The warnings of a plan that say so, and the findings of `doctor`.
async fn too_low(fixture: &Fixture) -> (Vec<String>, Vec<String>) {
    let plan = fixture.plan().await;
    let warnings = plan["warnings"].as_array().expect("warnings").iter();
    let low = warnings.filter(|warning| warning["code"] == "role_too_low");
    let planned = low.map(|warning| warning["address"].as_str().expect("an address").to_owned());
    let looked = fixture.run(&["doctor", "--format", "json"]).await.json();
    let checks = looked["checks"].as_array().expect("checks").iter();
    let found = checks.filter(|check| check["id"] == "plan.roles" && check["status"] == "warning");
    let found = found.map(|check| check["message"].as_str().expect("a message").to_owned());
    (planned.collect(), found.collect())
}

#[tokio::test]
async fn a_role_that_is_too_low_to_push_is_told_by_plan_and_doctor_and_invited_groups_count() {
    let fixture = Fixture::complete().await;
    fixture.edit_config(
        "[\"platform/**\", \"web/storefront\"]",
        "[\"platform/services/c*\", \"web/storefront\"]",
    );
    assert_eq!(too_low(&fixture).await, (vec![], vec![]));
    fixture.edit_config("\"platform\" = \"developer\"", "\"platform\" = \"reporter\"");
    for when in ["before the first apply", "after it"] {
        let (planned, found) = too_low(&fixture).await;
        assert!(
            planned.len() > 1 && planned.len() == found.len(),
            "{when}: {planned:?} {found:?}"
        );
        assert!(
            planned.iter().all(|address| address.contains("platform/services/")),
            "{planned:?}"
        );
        assert!(
            found[0].contains(&planned[0]) && found[0].contains("reporter"),
            "{found:?}"
        );
        fixture.apply().await.expect(0);
    }
    let (all, _) = too_low(&fixture).await;
    // A group that is invited into the group above, or into one project, gives what is needed.
    guests(&fixture, &["platform/services/checkout"]);
    let (but_one, found) = too_low(&fixture).await;
    let expected = all.iter().filter(|address| !address.contains("checkout")).count();
    assert_eq!((but_one.len(), found.len()), (expected, expected), "{but_one:?}");
    fixture.world(|world| {
        let platform = world.group_at("platform").expect("it is built in").id;
        let share = world.shares[0].clone();
        world.shares.push(Share {
            source: Source::Group(platform),
            ..share
        });
    });
    assert_eq!(too_low(&fixture).await, (vec![], vec![]));
}
