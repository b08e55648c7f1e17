//! What a token with fewer rights can do: the table in `docs/security.md`.

use crate::common::Fixture;
use crate::common::plans::unwrapped;

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
