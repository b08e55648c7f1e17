//! The address of a webhook is a key. It is nowhere but in the request: not in any output, at any verbosity, whatever
//! the webhook answers, and in no file.

use super::Watch;
use super::receiver::{Answer, Receiver, SECRET_PATH};
use crate::common::{Fixture, Ran, run};

/// What only the address has in it.
const PARTS: [&str; 5] = [
    "hookcanary",
    "T0CANARYTEAM",
    "B0CANARYHOOK",
    "canarycanarycanary",
    "querycanary",
];

#[track_caller]
fn is_silent(text: &str) {
    let lower = text.to_lowercase();
    for part in PARTS {
        assert!(!lower.contains(&part.to_lowercase()), "{part} is in\n{text}");
    }
}

/// Every file below a folder, as text.
fn files(folder: &std::path::Path, all: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, all);
        } else {
            all.push(String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned());
        }
    }
}

async fn loud(watch: &Watch, hook: &str, log: &str) -> Ran {
    let arguments = [
        "drift",
        "-vvv",
        "--log-format",
        log,
        "--metrics",
        "setpoint.prom",
        "--notify",
        hook,
    ];
    let mut command = watch.fixture.command(&arguments);
    command.env("HOOK", watch.receiver.address()).env("RUST_LOG", "trace");
    run(command).await.expect(2)
}

#[tokio::test]
async fn the_address_is_in_no_output_and_in_no_file() {
    let watch = Watch::new().await;
    watch.rename("Mallory");
    let echo = format!("Cannot POST {SECRET_PATH} T0CANARYTEAM/canarycanarycanary querycanary");
    let answers = [
        Answer::status(404).body(echo.clone()),
        Answer::status(403).body(format!("{{\"message\":\"{echo}\"}}")),
        Answer::status(302).location(watch.receiver.address().replace("http:", "https:")),
        Answer::status(500).body(echo.clone()),
        Answer::status(400).body(echo),
        Answer::status(200),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        watch.receiver.answer([answer]);
        let ran = loud(&watch, "env:HOOK", if number % 2 == 0 { "text" } else { "json" }).await;
        assert_eq!(watch.receiver.take().len(), 1, "{number}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("POST"),
            "the request itself is in the log: {}",
            ran.stderr
        );
        is_silent(&ran.all());
    }
    let mut all = Vec::new();
    files(watch.fixture.folder(), &mut all);
    assert!(all.len() > 3);
    for text in &all {
        is_silent(text);
    }
}

#[tokio::test]
async fn nor_is_it_where_nobody_answers() {
    let mut watch = Watch::new().await;
    watch.rename("Mallory");
    // Nobody listens at the first one's port any more.
    let gone = std::mem::replace(&mut watch.receiver, Receiver::start().await);
    let address = gone.address();
    gone.end().await;
    std::fs::write(watch.fixture.path("hook"), format!("{address}\n")).unwrap();
    let ran = loud(&watch, "file:hook", "text").await;
    std::fs::remove_file(watch.fixture.path("hook")).unwrap();
    assert!(ran.stderr.contains("refuses connections"), "{}", ran.stderr);
    is_silent(&ran.all());
    // On the command line it is for everybody to read, but is not repeated either.
    let ran = loud(&watch, &watch.receiver.address(), "text").await;
    watch.receiver.one();
    is_silent(&ran.all());
}

#[tokio::test]
async fn a_wrong_hook_is_an_error_of_every_run_and_is_not_repeated() {
    let fixture = Fixture::complete().await;
    let plain = format!("http://hooks.example.com{SECRET_PATH}");
    let named = format!("https://canarycanarycanary@hooks.example.com{SECRET_PATH}");
    let bare = format!("hooks.example.com{SECRET_PATH}");
    for (hook, says) in [
        ("env:NO_HOOK", "the environment variable NO_HOOK is not set, or empty"),
        ("file:missing", "the file missing does not exist"),
        (&plain, "http:// is for this machine only"),
        (&named, "has a user name or password"),
        (&bare, "takes env:NAME, file:PATH or an address"),
    ] {
        let ran = fixture
            .run(&["drift", "--metrics", "setpoint.prom", "--notify", hook])
            .await
            .expect(1);
        let said = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.starts_with("error: ") && said.contains(says), "{says}: {said}");
        is_silent(&ran.all());
        let metrics = std::fs::read_to_string(fixture.path("setpoint.prom")).unwrap();
        assert!(metrics.contains("setpoint_drift_success 0\n"), "{metrics}");
    }
    assert!(
        fixture.sandbox.requests().is_empty(),
        "nothing is asked before the hook is known"
    );
    for arguments in [
        ["drift", "--notify", &plain, "--no-such-flag"],
        ["drift", "--notify", &plain, "--notify-format=xml"],
    ] {
        let ran = fixture.run(&arguments).await.expect(1);
        is_silent(&ran.all());
    }
    fixture.run(&["drift", "--notify-format", "slack"]).await.expect(1);
}

#[tokio::test]
async fn a_command_of_the_configuration_does_not_get_it() {
    let watch = Watch::new().await;
    let token = watch.fixture.path("token");
    std::fs::write(&token, watch.fixture.sandbox.credentials().gitlab_token).unwrap();
    watch.fixture.edit_config(
        "token = { env = \"GITLAB_TOKEN\" }",
        "token = { command = [\"sh\", \"-c\", \"env > seen; cat token\"] }",
    );
    watch.rename("Mallory");
    watch.run(&[]).await.expect(2);
    assert_eq!(watch.receiver.take().len(), 1);
    let seen = std::fs::read_to_string(watch.fixture.path("seen")).unwrap();
    assert!(seen.contains("PATH=") && !seen.contains("HOOK="), "{seen}");
    is_silent(&seen);
}
