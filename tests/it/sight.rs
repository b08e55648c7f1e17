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
