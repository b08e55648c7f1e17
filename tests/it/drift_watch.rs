//! The watch from cron, through the real binary: metrics that Prometheus takes, of runs that succeeded and that failed.

use std::process::Stdio;

use crate::common::Fixture;

/// The value of a series.
#[track_caller]
fn value(metrics: &str, series: &str) -> String {
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{metrics}")).to_owned()
}

fn read(fixture: &Fixture) -> String {
    std::fs::read_to_string(fixture.path("setpoint.prom")).unwrap()
}

const WATCH: [&str; 3] = ["drift", "--metrics", "setpoint.prom"];

#[tokio::test]
async fn metrics_say_what_drifted_and_what_only_waits() {
    let fixture = Fixture::complete().await;
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    fixture.sandbox.with_world(|world| {
        for user in world.users.iter_mut().filter(|user| user.username == "factory-droid") {
            user.name = "Mallory".to_owned();
        }
    });
    fixture.edit_config("\"web/storefront\" = \"maintainer\"", "\"web/storefront\" = \"owner\"");
    let writes = fixture.api_writes();
    fixture.run(&WATCH).await.expect(2);
    assert_eq!(fixture.api_writes(), writes, "drift wrote something");
    let metrics = read(&fixture);
    let changes = |origin: &str, kind: &str| {
        value(
            &metrics,
            &format!("setpoint_drift_changes{{origin=\"{origin}\",kind=\"{kind}\"}}"),
        )
    };
    assert_eq!(value(&metrics, "setpoint_drift_success"), "1");
    assert_eq!(changes("drift", "gitlab.user"), "1");
    assert_eq!(changes("pending", "gitlab.membership"), "1");
    assert_eq!(changes("drift", "gitlab.application"), "0");
    assert_ne!(
        value(&metrics, "setpoint_drift_requests{side=\"gitlab\",kind=\"read\"}"),
        "0"
    );
    promtool(&metrics).await;

    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    fixture.run(&WATCH).await.expect(0);
    let metrics = read(&fixture);
    assert_eq!(
        value(
            &metrics,
            "setpoint_drift_changes{origin=\"drift\",kind=\"gitlab.user\"}"
        ),
        "0"
    );
}

#[tokio::test]
async fn a_run_that_failed_says_so_and_nothing_else() {
    let fixture = Fixture::complete().await;
    fixture.run(&WATCH).await.expect(0);
    let mut command = fixture.command(&WATCH);
    command.env("GITLAB_TOKEN", "glpat-wrong");
    crate::common::run(command).await.expect(1);
    let metrics = read(&fixture);
    assert_eq!(value(&metrics, "setpoint_drift_success"), "0");
    assert!(!metrics.contains("setpoint_drift_changes"), "{metrics}");
    promtool(&metrics).await;
    // A configuration that cannot be read is a failed run, too.
    fixture.run(&WATCH).await.expect(0);
    fixture.write_config("[gitlab]\n");
    fixture.run(&WATCH).await.expect(1);
    assert_eq!(value(&read(&fixture), "setpoint_drift_success"), "0");
}

/// Prometheus's own check of the format.
async fn promtool(metrics: &str) {
    let Some(promtool) = crate::common::tools::find("promtool") else {
        return;
    };
    let mut child = tokio::process::Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut input, metrics.as_bytes())
        .await
        .unwrap();
    drop(input);
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
