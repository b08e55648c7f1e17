//! Change windows through the real binary: closed refuses before the first write, open lets through, and a reason
//! passes and is kept.

use jiff::{Timestamp, ToSpan as _};

use std::time::Duration;

use setpoint::sandbox::{Action, Options};

use crate::common::Fixture;
use crate::common::proxy::{Phase, Proxy};

/// A window that is closed now, on the weekday of four days from now, and what is said of when it opens.
fn closed() -> (String, String) {
    let opens = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date() + 4.days();
    let day = opens.strftime("%a").to_string().to_lowercase();
    let window =
        format!("[[change_windows]]\ndays = [\"{day}\"]\nstart = \"10:00\"\nend = \"12:00\"\ntime_zone = \"UTC\"\n");
    (window, format!("{opens} 10:00 UTC"))
}

/// Two windows that cover all time.
fn open() -> String {
    let days =
        "days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]\ntime_zone = \"Europe/Berlin\"\n";
    format!(
        "[[change_windows]]\n{days}start = \"00:00\"\nend = \"12:00\"\n\
         [[change_windows]]\n{days}start = \"12:00\"\nend = \"00:00\"\n"
    )
}

async fn with_windows(windows: &str) -> Fixture {
    let fixture = Fixture::complete().await;
    let config = std::fs::read_to_string(fixture.path("setpoint.toml")).unwrap();
    fixture.write_config(&format!("{config}\n{windows}"));
    fixture
}

#[tokio::test]
async fn a_closed_window_refuses_and_says_when_it_opens() {
    let (window, opens) = closed();
    let fixture = with_windows(&window).await;
    for command in ["apply", "destroy"] {
        if command == "destroy" {
            fixture
                .run(&["apply", "--auto-approve", "--outside-window", "first setup"])
                .await
                .expect(0);
        }
        let before = fixture.api_writes();
        let ran = fixture.run(&[command, "--auto-approve"]).await.expect(4);
        assert!(ran.stderr.contains("no change window is open"), "{}", ran.stderr);
        assert!(
            ran.stderr.replace("\n       ", " ").contains(&opens),
            "{opens}: {}",
            ran.stderr
        );
        assert_eq!(fixture.api_writes(), before, "{command} wrote something");
    }
    let ran = fixture.run(&["rotate", "--auto-approve"]).await.expect(4);
    assert!(ran.stderr.contains("no change window is open"), "{}", ran.stderr);
    // Looking is always allowed, and so is an apply that has nothing to write.
    fixture.run(&["drift"]).await.expect(0);
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
}

#[tokio::test]
async fn a_reason_passes_and_the_journal_keeps_it() {
    let fixture = with_windows(&closed().0).await;
    fixture
        .run(&["apply", "--auto-approve", "--outside-window", "  "])
        .await
        .expect(1);
    fixture
        .run(&["apply", "--auto-approve", "--outside-window", "the tokens leaked"])
        .await
        .expect(0);
    let journal = fixture
        .run(&["state", "journal", "--format", "json"])
        .await
        .expect(0)
        .json();
    let started = &journal["entries"][0];
    assert_eq!(started["event"], "started");
    assert_eq!(started["reason"], "the tokens leaked");
    assert!(started.get("window").is_none(), "{started}");
    let ran = fixture.run(&["state", "journal"]).await.expect(0);
    assert!(
        ran.stdout.contains("outside of a window: the tokens leaked"),
        "{}",
        ran.stdout
    );
}

#[tokio::test]
async fn an_open_window_is_named_in_the_journal() {
    let fixture = with_windows(&open()).await;
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    let journal = fixture
        .run(&["state", "journal", "--format", "json"])
        .await
        .expect(0)
        .json();
    let window = journal["entries"][0]["window"].as_str().unwrap_or_default().to_owned();
    assert!(window.starts_with("mon, tue, wed"), "{journal}");
    assert!(window.ends_with("Europe/Berlin"), "{window}");
}

/// Windows have minutes, so that it takes up to one until one ends.
#[tokio::test]
#[ignore = "waits up to a minute for a window to end; `.ci/run` runs it"]
async fn the_end_of_a_window_lets_what_was_begun_be_finished_and_nothing_else_begin() {
    for seconds_left in [12, 30, 50] {
        let (fixture, proxy) = Proxy::on(Options::default()).await;
        fixture.give_admin_session();
        let config = std::fs::read_to_string(fixture.path("setpoint.toml")).unwrap();
        let now = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
        let minute = now.round(
            jiff::ZonedRound::new()
                .smallest(jiff::Unit::Minute)
                .mode(jiff::RoundMode::Trunc),
        );
        let minute = minute.unwrap();
        let soon = seconds_left_in_minute(&now) < seconds_left;
        let end = if soon {
            &minute + 2.minutes()
        } else {
            &minute + 1.minute()
        };
        let start = &end - 2.hours();
        fixture.write_config(&format!(
            "{config}\n[[change_windows]]\ndays = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]\n\
             time_zone = \"UTC\"\nstart = \"{}\"\nend = \"{}\"\n",
            start.strftime("%H:%M"),
            end.strftime("%H:%M"),
        ));
        let begin = &end - jiff::Span::new().seconds(seconds_left);
        tokio::time::sleep(until(begin.timestamp())).await;
        let closes = end.timestamp();
        proxy.intercept(move |request, phase| {
            if phase == Phase::Before && request.method == "POST" && request.path == "/api/v4/applications" {
                let wait = until(closes) + Duration::from_secs(1);
                return Action::Delay(u64::try_from(wait.as_millis()).unwrap());
            }
            Action::Pass
        });
        let ran = proxy
            .run(&fixture, &["apply", "--auto-approve", "--parallelism", "1"])
            .await;
        proxy.pass_all();
        if ran.code == 4 && seconds_left < 50 {
            // This machine is too slow to begin in so short a time.
            continue;
        }
        let ran = ran.expect(3);
        assert!(
            ran.stdout.contains("not begun: the change window ended"),
            "{}",
            ran.stdout
        );
        assert!(
            fixture.application().trusted,
            "the application was begun, and is finished"
        );
        assert!(
            fixture.world(|world| world.user_named("factory-droid").is_none() && world.factory.integration.is_none())
        );
        fixture.apply().await.expect(4);
        let passed = ["apply", "--auto-approve", "--outside-window", "to end the test"];
        fixture.run(&passed).await.expect(0);
        fixture.expect_connected("after the rest was done");
        return;
    }
}

fn seconds_left_in_minute(now: &jiff::Zoned) -> i64 {
    60 - i64::from(now.second())
}

/// How long it is until then; nothing if it is past.
fn until(moment: Timestamp) -> Duration {
    Duration::try_from(moment.duration_since(Timestamp::now())).unwrap_or_default()
}
