//! `examples/gitlab-ci`, as it is pasted: the committed `.gitlab-ci.yml` run by gitlab-ci-local, from the merge request
//! to the watch for drift, with the sandbox as GitLab and Factory. Only addresses and the change window of its
//! `setpoint.toml` are others.

use serde_json::Value;
use setpoint::sandbox::Action;

use super::team::{Source, Team};
use crate::common::Ran;
use crate::common::proxy::Phase;

const WEB: &str = "\"web/storefront\" = \"developer\"";

#[tokio::test]
#[ignore = "takes seconds of gitlab-ci-local; `.ci/run` runs it"]
async fn a_merge_request_shows_the_plan_in_one_note_and_writes_nothing_else() {
    let Some(team) = Team::with_project().await else { return };
    let writes = team.fixture.api_writes();
    team.edit(WEB, "\"web/storefront\" = \"maintainer\"").await;
    let ran = team.pipeline(Source::MergeRequest, &[], &[]).await.expect(0);
    assert_eq!(ended(&ran, "note"), "PASS", "{}", ran.all());
    assert!(!ran.stdout.contains("apply"), "{}", ran.all());

    let plan: Value = serde_json::from_str(&team.artifact("preview", "plan.json")).unwrap();
    assert_eq!(plan["changes"][0]["address"], "gitlab.membership[\"web/storefront\"]");
    assert_eq!(plan["summary"]["update"], 1);
    let report: Value = serde_json::from_str(&team.left("preview", "report.json")).unwrap();
    assert_eq!(report["update"], 1);
    let notes = team.forge.ours();
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0].starts_with("<!-- setpoint -->\n\n### Setpoint plan"),
        "{}",
        notes[0]
    );
    assert!(notes[0].contains("**Plan:** 1 to update"), "{}", notes[0]);

    // The next pipeline of the merge request rewrites it.
    team.edit("\"platform\" = \"developer\"", "\"platform\" = \"maintainer\"")
        .await;
    team.pipeline(Source::MergeRequest, &[], &[]).await.expect(0);
    let notes = team.forge.ours();
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains("**Plan:** 2 to update"), "{}", notes[0]);
    assert_eq!(team.fixture.api_writes(), writes);
}

/// How a job ended, as the summary has it: `PASS`, `WARN` (orange) or `FAIL`.
#[track_caller]
fn ended(ran: &Ran, job: &str) -> String {
    let all = ran.all();
    let mut lines = all.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let found = lines.find(|words| words.len() > 1 && ["PASS", "WARN", "FAIL"].contains(&words[0]) && words[1] == job);
    found.unwrap_or_else(|| panic!("{job} did not run:\n{all}"))[0].to_owned()
}

#[tokio::test]
#[ignore = "takes seconds of gitlab-ci-local; `.ci/run` runs it"]
async fn what_was_approved_is_applied_in_the_window_and_nothing_else() {
    let Some(team) = Team::with_project().await else { return };
    let role = || team.role_in("web/storefront");
    team.edit(WEB, "\"web/storefront\" = \"maintainer\"").await;
    assert_eq!(role(), Some(30));
    team.pipeline(Source::Push, &[], &[]).await.expect(0);
    assert_eq!(role(), Some(30), "planning changes nothing");

    // Approved, but no window is open.
    let ran = team.pipeline(Source::Push, &["apply"], &[]).await;
    assert_eq!(ended(&ran, "apply"), "FAIL", "{}", ran.all());
    assert!(ran.all().contains("no change window is open"), "{}", ran.all());
    assert_eq!(role(), Some(30));

    // For what cannot wait. The same plan, and who, where and why is kept.
    let urgent = [("OUTSIDE_WINDOW", "storefront is down")];
    let ran = team.pipeline(Source::Push, &["apply"], &urgent).await.expect(0);
    assert_eq!(ended(&ran, "apply"), "PASS", "{}", ran.all());
    assert_eq!(role(), Some(40));
    let journal = team.artifact("apply", ".setpoint/journal.jsonl");
    assert!(
        journal.contains("storefront is down") && journal.contains("\"ada (by GITLAB_USER_LOGIN)\""),
        "{journal}"
    );

    // Once: what it rests on has moved, by itself.
    let ran = team.pipeline(Source::Push, &["apply"], &urgent).await;
    assert_eq!(ended(&ran, "apply"), "FAIL", "{}", ran.all());
    assert!(ran.all().contains("the state record: serial was"), "{}", ran.all());
}

#[tokio::test]
#[ignore = "takes seconds of gitlab-ci-local; `.ci/run` runs it"]
async fn a_persons_step_makes_the_apply_orange_and_is_confirmed_by_name() {
    let Some(team) = Team::with_project().await else { return };
    team.edit("\"web/storefront\"]", "\"web/storefront\", \"web/admin-console\"]")
        .await;
    team.edit(
        WEB,
        "\"web/storefront\" = \"developer\"\n\"web/admin-console\" = \"developer\"",
    )
    .await;
    team.pipeline(Source::Push, &[], &[]).await.expect(0);
    let now = [("OUTSIDE_WINDOW", "test")];
    let ran = team.pipeline(Source::Push, &["apply"], &now).await.expect(0);
    assert_eq!(ended(&ran, "apply"), "WARN", "{}", ran.all());
    let list = team.artifact("apply", "apply.md");
    assert!(
        list.contains("Repository selection") && list.contains("- [ ] `web/admin-console`"),
        "{list}"
    );

    let ran = team.pipeline(Source::Push, &["confirm"], &[]).await.expect(0);
    assert_eq!(ended(&ran, "confirm"), "PASS", "{}", ran.all());
    let record = team.record();
    assert!(record.contains("ada") && record.contains("/-/jobs/1"), "{record}");
    let plan = team.pipeline(Source::Push, &["plan"], &[]).await.expect(0);
    assert!(plan.stdout.contains("No changes"), "{}", plan.all());
}

#[tokio::test]
#[ignore = "takes seconds of gitlab-ci-local; `.ci/run` runs it"]
async fn a_failed_change_makes_the_apply_red() {
    let Some(team) = Team::with_project().await else { return };
    team.edit(WEB, "\"web/storefront\" = \"maintainer\"").await;
    team.pipeline(Source::Push, &["plan"], &[]).await.expect(0);
    team.refuse_memberships();
    let ran = team
        .pipeline(Source::Push, &["apply"], &[("OUTSIDE_WINDOW", "test")])
        .await;
    assert_eq!(ended(&ran, "apply"), "FAIL", "{}", ran.all());
}

#[tokio::test]
#[ignore = "takes seconds of gitlab-ci-local; `.ci/run` runs it"]
async fn a_record_that_is_behind_makes_the_apply_red_and_is_kept() {
    let Some(team) = Team::with_project().await else {
        return;
    };
    team.edit(WEB, "\"web/storefront\" = \"maintainer\"").await;
    team.pipeline(Source::Push, &["plan"], &[]).await.expect(0);
    let mut writes = 0;
    team.proxy.intercept(move |request, phase| {
        let is_record = request.method == "POST" && request.path.ends_with("/terraform/state/setpoint");
        if phase == Phase::Before && is_record {
            writes += 1;
            if writes > 1 {
                let (headers, body) = (Vec::new(), String::new());
                return Action::Respond {
                    status: 409,
                    headers,
                    body,
                };
            }
        }
        Action::Pass
    });
    let ran = team
        .pipeline(Source::Push, &["apply"], &[("OUTSIDE_WINDOW", "test")])
        .await;
    team.proxy.pass_all();
    assert_eq!(ended(&ran, "apply"), "FAIL", "{}", ran.all());
    assert_eq!(team.role_in("web/storefront"), Some(40), "{}", ran.all());
    let kept = team.artifact("apply", ".setpoint/state.json.unwritten-1");
    assert!(kept.contains("lineage"), "{kept}");
}

#[tokio::test]
#[ignore = "takes seconds of gitlab-ci-local; `.ci/run` runs it"]
async fn drift_is_told_once_and_what_waits_is_not() {
    let Some(team) = Team::with_project().await else { return };
    let writes = team.fixture.api_writes();
    let watch = async || team.pipeline(Source::Schedule, &[], &[]).await.expect(0);
    // Merged, and waiting to be applied.
    team.edit(WEB, "\"web/storefront\" = \"maintainer\"").await;
    let ran = watch().await;
    assert_eq!(ended(&ran, "drift"), "PASS", "{}", ran.all());
    assert!(team.forge.told(|told| told.hooks.is_empty()));

    team.fixture.change_user(crate::common::plans::DROID, |droid| {
        "Mallory".clone_into(&mut droid.name);
    });
    for _ in 0..2 {
        let ran = watch().await;
        assert_eq!(ended(&ran, "drift"), "WARN", "{}", ran.all());
        team.forge.told(|told| {
            assert_eq!(told.hooks.len(), 1, "{:?}", told.hooks);
            assert!(told.hooks[0].contains("gitlab.user"), "{:?}", told.hooks);
        });
    }
    team.forge.told(|told| {
        assert_eq!(told.metrics.len(), 3);
        let series = "setpoint_drift_changes{origin=\"drift\",kind=\"gitlab.user\"}";
        assert!(
            told.metrics[0].contains(&format!("{series} 0\n")),
            "{}",
            told.metrics[0]
        );
        assert!(
            told.metrics[2].contains(&format!("{series} 1\n")),
            "{}",
            told.metrics[2]
        );
    });
    assert_eq!(team.fixture.api_writes(), writes);

    // Who cannot look is red, whatever there was to see.
    let ran = team
        .pipeline(Source::Schedule, &[], &[("GITLAB_READ_TOKEN", "glpat-wrong")])
        .await;
    assert_eq!(ended(&ran, "drift"), "FAIL", "{}", ran.all());
}
