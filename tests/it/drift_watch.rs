//! The watch from cron, through the real binary: metrics that Prometheus takes, of runs that succeeded and that failed.

use std::process::Stdio;

use setpoint::sandbox::{Action, Fault, Side};

use crate::common::{Fixture, tools};

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

const EXPIRY: &str = "setpoint_token_expiry_timestamp_seconds{token=\"gitlab\"}";
const KNOWN: &str = "setpoint_token_expiry_known{token=\"gitlab\"}";

fn refuse(fixture: &Fixture, side: Side, path: &str) {
    let fault = Fault {
        side: Some(side),
        path: path.to_owned(),
        action: Action::Respond {
            status: 403,
            headers: Vec::new(),
            body: "{\"message\":\"403 Forbidden\"}".to_owned(),
        },
        ..Fault::default()
    };
    fixture.sandbox.with_world(|world| world.switches.faults = vec![fault]);
}

/// How many requests a run made, and how many of them asked about the token.
async fn requests(fixture: &Fixture, arguments: &[&str]) -> (usize, usize) {
    let before = fixture.sandbox.requests().len();
    fixture.run(arguments).await.expect(0);
    let log = fixture.sandbox.requests();
    let own: Vec<_> = log[before..].iter().filter(|request| !request.by_factory).collect();
    let about_token = own
        .iter()
        .filter(|request| request.path.ends_with("/personal_access_tokens/self"));
    (own.len(), about_token.count())
}

#[tokio::test]
async fn metrics_say_when_the_token_expires_and_only_they_ask() {
    let fixture = Fixture::complete().await;
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    let (plain, asked) = requests(&fixture, &["drift"]).await;
    assert_eq!(asked, 0);
    assert_eq!(
        requests(&fixture, &["drift", "--notify", "http://127.0.0.1:9/x"]).await,
        (plain, 0)
    );
    assert_eq!(requests(&fixture, &["plan"]).await.1, 0);
    assert_eq!(requests(&fixture, &WATCH).await, (plain + 1, 1));

    let metrics = read(&fixture);
    assert_eq!(
        (value(&metrics, EXPIRY), value(&metrics, KNOWN)),
        ("+Inf".to_owned(), "1".to_owned())
    );
    promtool(&metrics).await;

    let set = |day: &str| {
        let switch = format!("token_expires_at={day}");
        fixture.sandbox.with_world(|world| world.switches.set(&switch).unwrap());
    };
    set("2099-12-31");
    fixture.run(&WATCH).await.expect(0);
    // The start of that day: GitLab accepts it no longer from then on.
    let start: jiff::Timestamp = "2099-12-31T00:00:00Z".parse().unwrap();
    assert_eq!(value(&read(&fixture), EXPIRY), start.as_second().to_string());

    set("2020-01-01");
    fixture.run(&WATCH).await.expect(1);
    let metrics = read(&fixture);
    assert_eq!(value(&metrics, "setpoint_drift_success"), "0");
    assert_eq!(value(&metrics, KNOWN), "0");
    assert!(
        !metrics.contains("setpoint_token_expiry_timestamp_seconds"),
        "{metrics}"
    );
    promtool(&metrics).await;
}

#[tokio::test]
async fn a_token_that_cannot_be_asked_about_is_unknown_and_fails_nothing() {
    let fixture = Fixture::complete().await;
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    refuse(&fixture, Side::Gitlab, "/api/v4/personal_access_tokens/self");
    let ran = fixture.run(&WATCH).await.expect(0);
    assert_eq!(ran.stderr, "");
    let metrics = read(&fixture);
    assert_eq!(value(&metrics, "setpoint_drift_success"), "1");
    assert_eq!(value(&metrics, KNOWN), "0");
    assert!(
        !metrics.contains("setpoint_token_expiry_timestamp_seconds"),
        "{metrics}"
    );
    promtool(&metrics).await;
    // And the other way round: a run that fails elsewhere still says when the token expires.
    refuse(&fixture, Side::Factory, "/api/v0/");
    fixture.run(&WATCH).await.expect(1);
    let metrics = read(&fixture);
    assert_eq!(value(&metrics, "setpoint_drift_success"), "0");
    assert_eq!(value(&metrics, KNOWN), "1");
    assert_eq!(value(&metrics, EXPIRY), "+Inf");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_replaced_as_a_whole_and_readable_by_the_node_exporter() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::complete().await;
    fixture.run(&WATCH).await.expect(0);
    let (file, reader) = (fixture.path("setpoint.prom"), fixture.path("reader"));
    // Whoever opened the old file before keeps the whole of it.
    std::fs::hard_link(&file, &reader).unwrap();
    let old = std::fs::read(&reader).unwrap();
    let mut command = fixture.command(&WATCH);
    command.env("GITLAB_TOKEN", "glpat-wrong");
    let inner = command.as_std();
    let mut masked = tokio::process::Command::new("sh");
    masked
        .args(["-c", "umask 077; exec \"$@\"", "sh"])
        .arg(inner.get_program())
        .args(inner.get_args());
    masked.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    masked.current_dir(fixture.folder());
    crate::common::run(masked).await.expect(1);
    assert_eq!(value(&read(&fixture), "setpoint_drift_success"), "0");
    assert_eq!(std::fs::read(&reader).unwrap(), old);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    let left: Vec<_> = std::fs::read_dir(fixture.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".setpoint-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn the_example_rules_hold_what_they_promise() {
    let Some(promtool) = tools::find("promtool") else {
        return;
    };
    let folder = format!("{}/examples/prometheus", env!("CARGO_MANIFEST_DIR"));
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]] {
        let mut command = tokio::process::Command::new(&promtool);
        command.args(arguments).current_dir(&folder);
        let ran = crate::common::run(command).await.expect(0);
        assert!(ran.stdout.contains("SUCCESS"), "{}", ran.stdout);
    }
    // Each metric that a rule names is one that a run writes.
    let fixture = Fixture::complete().await;
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    fixture
        .run(&[
            "drift",
            "--metrics",
            "setpoint.prom",
            "--notify",
            "http://127.0.0.1:9/x",
        ])
        .await
        .expect(0);
    let metrics = read(&fixture);
    let rules = std::fs::read_to_string(format!("{folder}/alerts.yml")).unwrap();
    let names: Vec<&str> = rules
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .filter(|word| word.starts_with("setpoint_"))
        .collect();
    assert!(names.len() > 7, "{names:?}");
    for name in names {
        assert!(
            metrics.contains(&format!("# TYPE {name} gauge\n")),
            "{name} is in no run:\n{metrics}"
        );
    }
}

/// Prometheus's own check of the format.
async fn promtool(metrics: &str) {
    let Some(promtool) = tools::find("promtool") else {
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
