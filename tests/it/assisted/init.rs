//! `init --interactive`: what a person answers is in the file, and what does not fit is asked again.

use super::fixture;
use crate::common::terminal::Terminal;

#[tokio::test]
async fn a_person_is_asked_for_what_only_they_know() {
    let fixture = fixture().await;
    let mut terminal = Terminal::start(&fixture, &["init", "--interactive", "-c", "new.toml"], 80);
    terminal.until("[https://gitlab.example.com]: ").await;
    terminal.line("http://gitlab.example.org/api/v4");
    terminal.until("plain http").await;
    terminal.until("[https://gitlab.example.com]: ").await;
    terminal.line("https://gitlab.example.org");
    terminal.until("[assisted]: ").await;
    terminal.line("");
    terminal.until("[us]: ").await;
    terminal.line("eu");
    terminal.until("[factory-droid@example.com]: ").await;
    terminal.line("droid@example.org");
    terminal.until("[platform]: ").await;
    terminal.line("platform web/storefront");
    let (code, all) = terminal.end().await;
    assert_eq!(code, Some(0), "{all}");
    let text = std::fs::read_to_string(fixture.path("new.toml")).unwrap();
    for line in [
        "url = \"https://gitlab.example.org\"",
        "region = \"eu\"",
        "redirect_uri = \"https://api.eu.factory.ai/api/integrations/redirect/gitlab-sh/callback\"",
        "\"web/storefront\" = \"developer\"",
        "enable = [\"platform/**\", \"web/storefront/**\"]",
    ] {
        assert!(text.lines().any(|present| present == line), "{line} is not in\n{text}");
    }
    fixture.run(&["validate", "-c", "new.toml"]).await.expect(0);
}

#[tokio::test]
async fn without_a_terminal_nobody_is_asked() {
    let fixture = fixture().await;
    let ran = fixture
        .run(&["init", "--interactive", "-c", "new.toml"])
        .await
        .expect(1);
    assert!(ran.stderr.contains("leave --interactive out"), "{}", ran.stderr);
    assert!(!fixture.path("new.toml").exists());
}
