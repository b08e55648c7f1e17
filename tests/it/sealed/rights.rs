//! What a token with fewer rights can do: the table in `docs/security.md`.

use std::collections::BTreeSet;

use setpoint::sandbox::Options;

use crate::common::Fixture;
use crate::common::plans::unwrapped;

/// The permissions that the page lists for a fine-grained token.
fn listed() -> BTreeSet<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/security.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let (_, below) = page.split_once("| within | permissions |").expect("the table is there");
    let table = below.split("\n\n").next().unwrap_or_default();
    table.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_fine_grained_token_with_what_is_listed_does_everything() {
    let mut options = Options::default();
    for switch in ["gitlab=19.3", "admin_mode=true"] {
        options.switches.set(switch).expect("a switch");
    }
    let fixture = Fixture::with(options).await;
    fixture.give_admin_session();
    fixture.world(|world| {
        let token = &mut world.personal_tokens[0];
        token.scopes.clear();
        token.granular = Some(listed());
    });
    fixture.plan().await;
    fixture.run(&["doctor"]).await.expect(0);
    fixture.apply().await.expect(0);
    // Each question that only some situations ask: a role and its end, other addresses, groups that were invited, paths
    // that lead nowhere, and the states that apply lifts.
    fixture.edit_config(
        "\"platform\" = \"developer\"",
        "\"platform\" = { role = \"maintainer\", expires_at = \"2099-01-01\" }\n\"data\" = \"developer\"",
    );
    fixture.edit_config("factory-droid@example.com", "another-droid@example.com");
    fixture.change_user("factory-droid", |droid| "Another Name".clone_into(&mut droid.name));
    fixture.run(&["drift"]).await.expect(2);
    fixture.apply().await.expect(0);
    fixture.run(&["export"]).await.expect(0);
    fixture.run(&["rotate", "--auto-approve"]).await.expect(0);
    fixture.run(&["drift"]).await.expect(0);
    fixture.run(&["doctor"]).await.expect(0);
    fixture.run(&["destroy", "--auto-approve"]).await.expect(0);
}

#[tokio::test]
async fn a_token_that_may_only_read_is_enough_to_plan() {
    let fixture = Fixture::new().await;
    fixture.apply().await.expect(3);
    let confirm = ["confirm", "gitlab.application", "--auto-approve"];
    fixture.run(&confirm).await.expect(0);
    fixture.change_user("factory-droid", |droid| "Another Name".clone_into(&mut droid.name));
    let shown = async || {
        let plan = fixture.plan().await;
        ["changes", "warnings", "unchanged"].map(|part| plan[part].clone())
    };
    let with_everything = shown().await;
    for (scopes, admin_mode, refusal) in [
        (&["api", "admin_mode", "sudo"][..], false, None),
        (&["api", "admin_mode"], true, None),
        (&["api"], false, None),
        (&["api"], true, Some("admin_mode")),
        (&["read_api"], false, None),
        (&["read_api"], true, Some("admin_mode")),
        (&["read_api", "admin_mode"], true, None),
        (&["read_user"], false, Some("scope")),
    ] {
        fixture.world(|world| {
            world.switches.admin_mode = admin_mode;
            world.personal_tokens[0].scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        });
        let with = format!("{scopes:?}, Admin Mode {admin_mode}");
        for command in ["plan", "drift"] {
            let ran = fixture.run(&[command]).await;
            let text = unwrapped(&format!("{}{}", ran.stdout, ran.stderr));
            let code = match (refusal, command) {
                (Some(_), _) => 1,
                (None, "drift") => 2,
                (None, _) => 0,
            };
            assert_eq!(ran.code, code, "{command} with {with}: {text}");
            assert!(
                text.contains(refusal.unwrap_or("Another Name")),
                "{command} with {with}: {text}"
            );
        }
        if refusal.is_none() {
            assert_eq!(shown().await, with_everything, "{with}");
        }
        if scopes.contains(&"read_api") && refusal.is_none() {
            let ran = fixture.apply().await.expect(3);
            assert!(
                unwrapped(&ran.stdout).contains("lacks the scope"),
                "{with}: {}",
                ran.stdout
            );
        }
    }
}
