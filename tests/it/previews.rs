//! Looking before taking down or rotating, and what a note shows first.

use serde_json::Value;

use crate::common::Fixture;

async fn applied() -> Fixture {
    let fixture = Fixture::complete().await;
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    fixture
}

/// Addresses and actions of a plan.
fn changes(plan: &Value) -> Vec<(&Value, &Value)> {
    let changes = plan["changes"].as_array().expect("a plan has changes");
    changes
        .iter()
        .map(|change| (&change["address"], &change["actions"]))
        .collect()
}

#[tokio::test]
async fn destroy_and_rotate_can_be_looked_at_first() {
    let fixture = applied().await;
    let writes = fixture.api_writes();
    for (flag, command) in [("--rotate", "rotate"), ("--destroy", "destroy")] {
        let preview = fixture.run(&["plan", flag, "--format", "json"]).await.expect(0).json();
        assert_eq!(preview["command"], command);
        assert_eq!(fixture.api_writes(), writes, "{flag} wrote something");
        let shown = changes(&preview);
        assert!(
            shown.iter().any(|(address, _)| **address == "gitlab.application"),
            "{shown:?}"
        );
        if command == "rotate" {
            continue;
        }
        // What was shown is what runs, with --delete-user as well.
        assert!(shown.iter().all(|(address, _)| **address != "gitlab.user"), "{shown:?}");
        let with_user = ["plan", flag, "--delete-user", "--format", "json"];
        let preview = fixture.run(&with_user).await.expect(0).json();
        let destroy = ["destroy", "--delete-user", "--auto-approve", "--format", "json"];
        let destroyed = fixture.run(&destroy).await.expect(0).json();
        let done: Vec<_> = destroyed["outcomes"].as_array().expect("outcomes").iter().collect();
        let done: Vec<_> = done.iter().map(|one| (&one["address"], &one["actions"])).collect();
        assert_eq!(changes(&preview), done);
        assert!(done.iter().any(|(address, _)| **address == "gitlab.user"), "{done:?}");
    }
    for wrong in [
        &["plan", "--destroy", "--rotate"] as &[&str],
        &["plan", "--destroy", "--out", "plan.json"],
        &["plan", "--delete-user"],
    ] {
        fixture.run(wrong).await.expect(1);
    }
}

#[tokio::test]
async fn a_note_begins_with_what_goes() {
    let fixture = applied().await;
    fixture.edit_config(
        "[repositories]\nenable = [\"platform/**\", \"web/storefront\"]",
        "[repositories]\nunlisted = \"disable\"\nenable = [\"platform/**\"]",
    );
    let note = fixture.run(&["plan", "--format", "markdown"]).await.expect(0).stdout;
    insta::assert_snapshot!(fixture.redact(&note), @r#"
    ### Setpoint plan

    On `GitLab gitlab (18.5.1-ee), Factory factory (api), setpoint.toml`

    **Plan:** 1 to delete, 27 unchanged.

    **Removes or interrupts: 1**

    - **delete** [`factory.repository["web/storefront"]`](<http://gitlab/web/storefront>): it is not listed in the configuration

    <details>
    <summary>Delete: 1</summary>

    ```text
      # factory.repository["web/storefront"] will be disabled: it is not listed in
      #   the configuration
      - factory.repository["web/storefront"]
    ```

    </details>
    "#);
    let destroy = fixture
        .run(&["plan", "--destroy", "--format", "markdown", "--max-chars", "3000"])
        .await
        .expect(0)
        .stdout;
    assert!(destroy.chars().count() <= 3000, "{destroy}");
    assert!(destroy.contains("**Removes or interrupts: 24**"), "{destroy}");
}
