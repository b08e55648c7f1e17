//! The `assisted` driver: the real binary before a person on a pseudo-terminal, and without one, while the operator's
//! side is played on the sandbox's own web pages.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod audit_log;
mod due;
mod evidence;
pub(crate) mod hands;
mod init;
mod rebuilt;
mod trusted;
mod unattended;
mod walk;

use crate::common::Fixture;

/// A fixture whose driver is `assisted`.
async fn fixture() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.edit_config("driver = \"api\"", "driver = \"assisted\"");
    fixture
}

/// A fixture that saves the secret beside its configuration, in `secret`.
pub(crate) async fn saving() -> Fixture {
    let fixture = fixture().await;
    fixture.edit_config(
        "[user]\n",
        "[application.secret]\nsave = { file = \"secret\" }\nload = { file = \"secret\" }\n\n[user]\n",
    );
    fixture
}

/// What `secret` holds.
pub(crate) fn secret(fixture: &Fixture) -> String {
    std::fs::read_to_string(fixture.path("secret"))
        .unwrap()
        .trim()
        .to_owned()
}

/// Attests everything, which GitLab bears out with the droid's list of authorized applications.
pub(crate) async fn confirm_all(fixture: &Fixture) {
    let confirmed = fixture.run(&["confirm", "--all"]).await.expect(0);
    assert!(
        confirmed
            .stderr
            .contains("GitLab lists `Factory Integration` as authorized by the droid"),
        "{}",
        confirmed.stderr
    );
}

/// The line that follows a label: the value to copy.
fn value(prompt: &str, label: &str) -> String {
    let mut lines = prompt.lines().map(str::trim);
    lines
        .by_ref()
        .find(|line| *line == label)
        .unwrap_or_else(|| panic!("no {label} in\n{prompt}"));
    lines.next().unwrap().to_owned()
}

/// Addresses of the plan's changes with status and reason.
async fn changes(fixture: &Fixture) -> Vec<(String, String, String)> {
    let plan = fixture.run(&["plan", "--format", "json"]).await.expect(0).json();
    let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    plan["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            (
                word(&change["address"]),
                word(&change["status"]),
                word(&change["reason"]),
            )
        })
        .collect()
}

/// The paths of the repositories that are to be enabled.
async fn wanted(fixture: &Fixture) -> Vec<String> {
    let quoted = |address: &str| address.split('"').nth(1).map(str::to_owned);
    changes(fixture)
        .await
        .iter()
        .filter(|(address, ..)| address.starts_with("factory.repository"))
        .filter_map(|(address, ..)| quoted(address))
        .collect()
}
