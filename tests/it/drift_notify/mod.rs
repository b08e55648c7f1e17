//! `drift --notify` through the real binary: a webhook is told each new finding once, and its address is told to nobody.

mod memory;
mod receiver;
mod secrecy;

use receiver::{Answer, Receiver};
use serde_json::Value;

use crate::common::{Fixture, Ran, run};

/// An integration that is as it should be, watched with a webhook whose address is in the environment.
struct Watch {
    fixture: Fixture,
    receiver: Receiver,
}

impl Watch {
    async fn new() -> Self {
        let fixture = Fixture::complete().await;
        fixture.run(&["apply", "--auto-approve"]).await.expect(0);
        Self {
            fixture,
            receiver: Receiver::start().await,
        }
    }

    /// One run from cron.
    async fn run(&self, arguments: &[&str]) -> Ran {
        let mut all = vec!["drift", "--notify", "env:HOOK"];
        all.extend(arguments);
        let mut command = self.fixture.command(&all);
        command.env("HOOK", self.receiver.address());
        run(command).await
    }

    /// Somebody gives the droid another name.
    fn rename(&self, name: &str) {
        self.fixture.sandbox.with_world(|world| {
            for user in world.users.iter_mut().filter(|user| user.username == "factory-droid") {
                name.clone_into(&mut user.name);
            }
        });
    }

    /// Somebody ticks or unticks `trusted`.
    fn trust(&self, trusted: bool) {
        self.fixture.sandbox.with_world(|world| {
            for application in world
                .applications
                .iter_mut()
                .filter(|a| a.name == "Factory Integration")
            {
                application.trusted = trusted;
            }
        });
    }

    fn memory(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.fixture.path(".setpoint/notified.json")).unwrap()).unwrap()
    }
}

/// The addresses of a message's findings.
fn addresses(message: &Value) -> Vec<&str> {
    let findings = message["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|finding| finding["address"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn each_finding_is_told_once_and_again_when_it_comes_back() {
    let watch = Watch::new().await;
    watch.run(&[]).await.expect(0);
    assert!(watch.receiver.take().is_empty(), "there was nothing to tell");

    watch.rename("Mallory");
    let writes = watch.fixture.api_writes();
    watch.run(&[]).await.expect(2);
    let messages = watch.receiver.take();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].uri, receiver::SECRET_PATH);
    assert!(
        messages[0].headers.contains("application/json"),
        "{}",
        messages[0].headers
    );
    for credential in ["private-token", "authorization", "cookie"] {
        assert!(!messages[0].headers.contains(credential), "{}", messages[0].headers);
    }
    let message = &messages[0].body;
    crate::merge_request::fits("notify", message);
    assert_eq!(addresses(message), ["gitlab.user"]);
    assert_eq!(message["findings"][0]["attributes"][0]["before"], "Mallory");
    assert_eq!(message["known"], 0);
    assert_eq!(watch.fixture.api_writes(), writes, "drift wrote something");

    watch.run(&[]).await.expect(2);
    assert!(watch.receiver.take().is_empty(), "a finding was told twice");

    watch.trust(false);
    watch.run(&[]).await.expect(2);
    let message = watch.receiver.one();
    assert_eq!(addresses(&message), ["gitlab.application"]);
    assert_eq!(message["known"], 1);

    watch.rename("Factory Droid");
    watch.run(&[]).await.expect(2);
    assert!(watch.receiver.take().is_empty(), "what is mended is no news");
    watch.rename("Mallory");
    watch.run(&[]).await.expect(2);
    assert_eq!(addresses(&watch.receiver.one()), ["gitlab.user"]);

    // The same attribute with another value is another finding.
    watch.rename("Eve");
    watch.run(&[]).await.expect(2);
    assert_eq!(addresses(&watch.receiver.one()), ["gitlab.user"]);

    watch.rename("Factory Droid");
    watch.trust(true);
    watch.run(&[]).await.expect(0);
    assert_eq!(watch.memory()["told"], Value::Array(Vec::new()));
    assert!(watch.receiver.take().is_empty());
}

#[tokio::test]
async fn what_the_webhook_did_not_take_is_told_by_the_next_run() {
    let watch = Watch::new().await;
    watch.rename("Mallory");
    let refusals = [
        Answer::status(500).body("out of order"),
        Answer::status(404).body("no_service"),
        Answer::status(302).location("/elsewhere"),
        Answer::status(304),
    ];
    for (refusal, word) in refusals.into_iter().zip(["500", "no_service", "redirects", "304"]) {
        watch.receiver.answer([refusal]);
        let ran = watch.run(&["--metrics", "setpoint.prom"]).await.expect(2);
        assert!(
            ran.stdout.contains("gitlab.user"),
            "the finding itself is shown: {}",
            ran.stdout
        );
        assert!(
            ran.stderr.starts_with("error: the notification did not reach"),
            "{}",
            ran.stderr
        );
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
        assert_eq!(
            watch.receiver.take().len(),
            1,
            "{word}: nothing is followed or repeated"
        );
        let metrics = std::fs::read_to_string(watch.fixture.path("setpoint.prom")).unwrap();
        assert!(metrics.contains("setpoint_drift_notification_success 0\n"), "{metrics}");
        assert!(metrics.contains("setpoint_drift_success 1\n"), "{metrics}");
    }
    watch.run(&["--metrics", "setpoint.prom"]).await.expect(2);
    assert_eq!(addresses(&watch.receiver.one()), ["gitlab.user"]);
    let metrics = std::fs::read_to_string(watch.fixture.path("setpoint.prom")).unwrap();
    assert!(metrics.contains("setpoint_drift_notification_success 1\n"), "{metrics}");
    // With nothing new there is no request, so nobody notices a webhook that is out of order.
    watch.receiver.answer([Answer::status(500)]);
    let ran = watch.run(&[]).await.expect(2);
    assert_eq!(ran.stderr, "");
    assert!(watch.receiver.take().is_empty());
}

#[tokio::test]
async fn what_only_waits_is_told_where_it_counts() {
    let watch = Watch::new().await;
    let (from, to) = ("\"web/storefront\" = \"maintainer\"", "\"web/storefront\" = \"owner\"");
    watch.fixture.edit_config(from, to);
    watch.run(&[]).await.expect(0);
    assert!(watch.receiver.take().is_empty());
    watch.run(&["--fail-on-pending"]).await.expect(2);
    let message = watch.receiver.one();
    assert_eq!(addresses(&message), ["gitlab.membership[\"web/storefront\"]"]);
    assert_eq!(message["findings"][0]["origin"], "pending");
}

#[tokio::test]
async fn a_chat_gets_one_text() {
    let watch = Watch::new().await;
    watch.rename("<!channel> `@all` & Mallory");
    watch.run(&["--notify-format", "slack"]).await.expect(2);
    let message = watch.receiver.one();
    let keys: Vec<&String> = message.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["text"]);
    let text = message["text"].as_str().unwrap();
    assert!(text.starts_with("Setpoint: 1 new finding at http://"), "{text}");
    let line = "• `gitlab.user` differs from the configuration: \
                name is `\"&lt;!channel&gt; '@all' &amp; Mallory\"`, not `\"Factory Droid\"`";
    assert_eq!(text.lines().nth(1), Some(line));
    watch.run(&["--notify-format", "slack"]).await.expect(2);
    assert!(watch.receiver.take().is_empty());
}

/// The webhook gets the headers of its own section, and nobody's else; and nobody else gets those.
#[tokio::test]
async fn the_webhook_has_headers_of_its_own() {
    let watch = Watch::new().await;
    let text = std::fs::read_to_string(watch.fixture.path("setpoint.toml")).unwrap();
    let own = "headers = { \"X-Hook\" = { file = \"hook.token\" } }";
    let gitlab = "headers = { \"X-Gateway\" = { file = \"gateway.token\" } }";
    watch.fixture.write_config(&format!(
        "{}\n[notify]\n{own}\n",
        text.replace("[gitlab.admin_session]", &format!("{gitlab}\n\n[gitlab.admin_session]"))
    ));
    std::fs::write(watch.fixture.path("hook.token"), "canary-of-the-hook\n").unwrap();
    std::fs::write(watch.fixture.path("gateway.token"), "canary-of-the-gateway\n").unwrap();
    watch.rename("Mallory");
    let ran = watch.run(&["-vv"]).await.expect(2);
    let messages = watch.receiver.take();
    let headers = &messages[0].headers;
    assert!(headers.contains("canary-of-the-hook"), "{headers}");
    assert!(!headers.contains("canary-of-the-gateway"), "{headers}");
    assert!(!ran.all().contains("canary"), "{}", ran.all());
    // It is told that what its section names is missing; what was found is told all the same.
    std::fs::remove_file(watch.fixture.path("hook.token")).unwrap();
    watch.rename("Eve");
    let ran = watch.run(&[]).await.expect(2);
    assert!(ran.stderr.contains("notify.headers.X-Hook"), "{}", ran.stderr);
    assert!(watch.receiver.take().is_empty());
}
