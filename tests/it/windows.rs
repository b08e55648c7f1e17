//! Change windows through the real binary: closed refuses before the first write, open lets through, and a reason
//! passes and is kept.

use jiff::{Timestamp, ToSpan as _};

use crate::common::Fixture;

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
