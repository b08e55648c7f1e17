//! On a terminal: prompt by prompt.

use super::hands::Hands;
use super::{changes, fixture, value, wanted};
use crate::common::terminal::Terminal;

const QUESTION: &str = "done, skip or quit?";

/// Agrees to the plan.
async fn agree(terminal: &mut Terminal) {
    terminal.until("Only `yes` is taken as consent.").await;
    terminal.until("Answer: ").await;
    terminal.line("yes");
}

#[tokio::test]
async fn the_whole_procedure_is_walked_and_borne_out() {
    let fixture = fixture().await;
    let hands = Hands(&fixture);
    let paths = wanted(&fixture).await;
    assert!(paths.len() > 10, "{paths:?}");
    let mut terminal = Terminal::start(&fixture, &["apply"], 80);
    agree(&mut terminal).await;

    let prompt = terminal.until(QUESTION).await;
    assert!(
        prompt.contains("tick \"Trusted\"") && prompt.contains("/admin/applications/"),
        "{prompt}"
    );
    hands.trust().await;
    terminal.line("done");

    let prompt = terminal.until(QUESTION).await;
    assert!(prompt.contains("Not checked: the tick"), "{prompt}");
    assert!(
        prompt.contains("  2 of 4: ") && prompt.contains("press \"Connect\" beside \"GitLab\""),
        "{prompt}"
    );
    assert!(
        prompt.contains("/settings/integrations") && !prompt.contains("gloas-"),
        "{prompt}"
    );
    let (domain, application) = (value(&prompt, "Domain"), value(&prompt, "Application ID"));
    terminal.line("nonsense");
    terminal.until(QUESTION).await;
    terminal.line("secret");
    let shown = terminal.until("Press Enter to clear it: ").await;
    let (before, shown) = shown.split_once("\u{1b}[?1049h").expect("the second screen");
    assert!(!before.contains("gloas-"), "{before}");
    let secret = shown
        .lines()
        .find(|line| line.starts_with("gloas-"))
        .unwrap()
        .to_owned();
    terminal.line("");
    terminal.until("\u{1b}[2J\u{1b}[H\u{1b}[?1049l").await;
    terminal.until(QUESTION).await;
    hands.save(&domain, &application, &secret).await;
    terminal.line("done");

    let prompt = terminal.until(QUESTION).await;
    for said in [
        "/users/sign_in",
        "factory-droid",
        "the environment variable FACTORY_DROID_PASSWORD",
        "Manage GitLab Self-Hosted Permissions",
    ] {
        assert!(prompt.contains(said), "{said} is not in\n{prompt}");
    }
    // Not yet: GitLab's own page says so, and the prompt comes again.
    terminal.line("done");
    let prompt = terminal.until(QUESTION).await;
    assert!(prompt.contains("GitLab does not list"), "{prompt}");
    hands.approve_as("factory-droid").await;
    terminal.line("done");

    let prompt = terminal.until(QUESTION).await;
    assert!(
        prompt.contains("Checked: GitLab lists `Factory Integration`"),
        "{prompt}"
    );
    assert!(
        prompt.contains("fits `platform/**`, `web/storefront`, all except"),
        "{prompt}"
    );
    for path in &paths {
        assert!(
            prompt.lines().any(|line| line.trim() == path),
            "{path} is not in\n{prompt}"
        );
    }
    assert!(
        prompt.contains("repositories in platform") && prompt.contains("1 repository in web"),
        "{prompt}"
    );
    hands.enable(&paths).await;
    terminal.line("d");
    let (code, all) = terminal.end().await;
    assert_eq!(code, Some(0), "{all}");
    assert_eq!(
        all.matches(&secret).count(),
        1,
        "shown once, on the second screen:\n{all}"
    );
    assert!(all.contains("factory.connection: attested"), "{all}");
    assert!(
        !std::fs::read_to_string(fixture.path(".setpoint/state.json"))
            .unwrap()
            .contains(&secret)
    );

    // Nothing is claimed beyond what was attested, and what GitLab says of it.
    let plan = fixture.run(&["plan"]).await.expect(0);
    assert!(
        plan.stdout.contains("attested on ") && plan.stdout.contains("as authorized by the droid"),
        "{}",
        plan.stdout
    );
    let json = fixture.run(&["plan", "--format", "json"]).await.expect(0).json();
    assert_eq!(json["changes"], serde_json::json!([]));
    let attested = json["attested"].as_array().unwrap();
    assert_eq!(
        attested.len(),
        paths.len() + 3,
        "application, connection, authorization: {json}"
    );
    let authorization = attested
        .iter()
        .find(|one| one["address"] == "factory.authorization")
        .unwrap();
    assert_eq!(
        authorization["evidence"]["authorized_application"],
        "Factory Integration"
    );

    // It was all true, says the other driver, which can see; and the way back costs nothing either.
    assert_eq!(hands.status().await, "Connected as factory-droid");
    fixture.edit_config("driver = \"assisted\"", "driver = \"api\"");
    fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
    fixture.run(&["apply", "--auto-approve"]).await.expect(0);
    fixture.edit_config("driver = \"api\"", "driver = \"assisted\"");
    let back = fixture.run(&["plan", "--detailed-exitcode"]).await.expect(0);
    assert!(
        !back.stdout.contains("attested on ") || back.stdout.contains("gitlab.application"),
        "{}",
        back.stdout
    );

    // A revoked authorization contradicts the record.
    fixture.sandbox.with_world(|world| {
        world.oauth_tokens.clear();
    });
    let drift = fixture.run(&["drift", "--format", "json"]).await.expect(2).json();
    assert_eq!(drift["changes"][0]["address"], "factory.authorization");
    assert_eq!(drift["changes"][0]["origin"], "drift");
}

#[tokio::test]
async fn what_is_skipped_or_quit_is_left_with_all_that_waits_for_it() {
    let fixture = fixture().await;
    let mut terminal = Terminal::start(&fixture, &["apply"], 80);
    agree(&mut terminal).await;
    terminal.until(QUESTION).await;
    terminal.line("skip");
    let prompt = terminal.until(QUESTION).await;
    assert!(prompt.contains("factory.connection"), "{prompt}");
    terminal.line("quit");
    let (code, all) = terminal.end().await;
    assert_eq!(code, Some(3), "{all}");
    assert!(!all.contains("gloas-"), "{all}");
    assert!(fixture.state().get("connection").is_none_or(serde_json::Value::is_null));
    // Nobody has seen the secret, so the next run makes another, and asks again.
    let changes = changes(&fixture).await;
    let application = changes
        .iter()
        .find(|(address, ..)| address == "gitlab.application")
        .unwrap();
    assert_eq!(application.2, "secret_unknown", "{changes:?}");
    let mut terminal = Terminal::start(&fixture, &["apply", "--auto-approve"], 80);
    terminal.until("tick \"Trusted\"").await;
    terminal.until(QUESTION).await;
    terminal.line("done");
    terminal.until("Application ID").await;
    terminal.until("(secret: shows it)").await;
    terminal.line("q");
    assert_eq!(terminal.end().await.0, Some(3));
}

#[tokio::test]
async fn an_interrupt_keeps_what_was_attested_and_clears_the_secret() {
    let fixture = fixture().await;
    let mut terminal = Terminal::start(&fixture, &["apply"], 80);
    agree(&mut terminal).await;
    terminal.until(QUESTION).await;
    terminal.line("done");
    terminal.until(QUESTION).await;
    terminal.line("secret");
    terminal.until("Press Enter to clear it: ").await;
    terminal.interrupt();
    terminal.until("\u{1b}[2J\u{1b}[H\u{1b}[?1049l").await;
    let (code, all) = terminal.end().await;
    assert_eq!(code, Some(3), "{all}");
    let state = fixture.state();
    assert!(state["application"]["trusted_attested"]["by"].is_string(), "{state}");
    assert!(
        state.get("connection").is_none_or(serde_json::Value::is_null),
        "{state}"
    );
}

#[tokio::test]
async fn a_narrow_terminal_breaks_prose_and_leaves_values_whole() {
    let fixture = fixture().await;
    let mut terminal = Terminal::start(&fixture, &["apply"], 60);
    agree(&mut terminal).await;
    let mut prompts = String::new();
    for _ in 0..3 {
        prompts.push_str(&terminal.until(QUESTION).await);
        terminal.line("done");
        if prompts.contains("Manage GitLab") {
            break;
        }
    }
    drop(terminal);
    let from = prompts.find("Trusted").unwrap();
    for line in prompts[from..].lines().filter(|line| line.starts_with("    ")) {
        assert!(line.chars().count() <= 60, "{line}");
    }
    let application = fixture.sandbox.with_world(|world| {
        let ours = world.applications.iter().find(|one| one.name == "Factory Integration");
        ours.unwrap().uid.clone()
    });
    assert!(prompts.lines().any(|line| line == application), "{prompts}");
}
