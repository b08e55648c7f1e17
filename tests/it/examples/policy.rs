//! `examples/policy/plan.jq` over real plans.

use std::process::Stdio;

use tokio::process::Command;

use super::team::Team;
use crate::common::{run, tools};

/// What goes against the policy, a line each.
async fn against(team: &Team) -> String {
    let plan = team.fixture.path("plan.json");
    let plan = plan.display().to_string();
    team.by_hand(&["plan", "--out", &plan], 0).await;
    let mut jq = Command::new(tools::find("jq").unwrap());
    jq.args(["--raw-output", "--from-file"])
        .arg(format!("{}/examples/policy/plan.jq", env!("CARGO_MANIFEST_DIR")))
        .args(["--arg", "most", "0"])
        .arg(plan)
        .stdin(Stdio::null());
    run(jq).await.expect(0).stdout
}

#[tokio::test]
async fn what_goes_against_the_policy_is_named() {
    if tools::find("jq").is_none() {
        return;
    }
    let team = Team::connected().await;
    assert_eq!(against(&team).await, "");
    let role = "\"web/storefront\" = \"developer\"";
    let more = "\"web/storefront\" = \"maintainer\"";
    team.fixture.edit_config(role, more);
    assert_eq!(
        against(&team).await,
        "gitlab.membership[\"web/storefront\"]: a role above developer\n"
    );
    team.fixture.edit_config(more, "");
    assert_eq!(against(&team).await, "1 removals, more than 0\n");
}
