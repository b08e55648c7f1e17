//! Names and messages that are written to act on whoever reads them: they stay text, on a terminal, in a log and in a
//! note on a merge request.

use setpoint::sandbox::world::Visibility;
use setpoint::sandbox::{Action, Options};

use crate::common::plans::unwrapped;
use crate::common::proxy::{Phase, Proxy};
use crate::common::{Fixture, Ran};

/// What a terminal, a reader's eye, a line-by-line reader and GitLab's Markdown would each act on.
const EVIL: &str = "☠\u{1b}[2J\u{1b}]0;x\u{7}\r\n/close\n@all #1 !1 ~bug %1 ```\n</details><!-- <script> | `x` [a](b) \u{9b}2J\u{202e}\u{2066}\u{200b}\u{2028}\n  - gitlab.user will be deleted ☠";

fn acts(c: char) -> bool {
    c != '\n'
        && (c.is_control()
            || "\u{ad}\u{61c}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{feff}".contains(c)
            || ('\u{2028}'..='\u{202e}').contains(&c)
            || ('\u{2060}'..='\u{206f}').contains(&c))
}

/// Text outside of code: fenced blocks and spans are taken out, as Markdown has them.
fn outside_of_code(markdown: &str) -> String {
    let mut out = String::new();
    let mut fence: Option<String> = None;
    for line in markdown.lines() {
        let ticks: String = line.trim_start().chars().take_while(|c| *c == '`').collect();
        match &fence {
            Some(open) => {
                if ticks.len() >= open.len() && line.trim() == ticks {
                    fence = None;
                }
            }
            None if ticks.len() >= 3 => fence = Some(ticks),
            None => {
                out.push_str(&without_spans(line));
                out.push('\n');
            }
        }
    }
    assert_eq!(fence, None, "a fence is not closed:\n{markdown}");
    out
}

fn without_spans(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('`') {
        out.push_str(&rest[..at]);
        let ticks: String = rest[at..].chars().take_while(|c| *c == '`').collect();
        let after = &rest[at + ticks.len()..];
        // The span ends with as many, neither more nor fewer.
        let mut end = None;
        let mut place = 0;
        while let Some(next) = after[place..].find('`') {
            let run = after[place + next..].chars().take_while(|c| *c == '`').count();
            if run == ticks.len() {
                end = Some(place + next + run);
                break;
            }
            place += next + run;
        }
        if let Some(end) = end {
            rest = &after[end..];
        } else {
            out.push_str(&ticks);
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[track_caller]
fn expect_tame(ran: &Ran, what: &str) {
    for text in [&ran.stdout, &ran.stderr] {
        let found: Vec<char> = text.chars().filter(|c| acts(*c)).collect();
        assert!(found.is_empty(), "{what}: {found:?} in\n{text}");
        for line in text.lines() {
            assert!(
                !line.starts_with(['/', '☠', '@', '`']) || line.starts_with("```"),
                "{what}: {line:?} in\n{text}"
            );
            assert!(
                !line.starts_with("  - gitlab.user will be"),
                "{what}: {line:?} is forged"
            );
        }
    }
    // The other commands have no form of their own for Markdown.
    let is_note = ["plan", "drift", "apply"]
        .iter()
        .any(|command| what.contains(&format!("\"{command}\"")));
    if is_note && what.contains("markdown") && !ran.stdout.is_empty() {
        let open = outside_of_code(&ran.stdout);
        for sign in ["☠", "@all", "</details><!--", "<script", "/close"] {
            assert!(!open.contains(sign), "{what}: {sign} is no code in\n{}", ran.stdout);
        }
    }
}

/// Runs commands in every form, in turn quietly and with everything in the log, and gives how many of them showed
/// something of it.
async fn everything(fixture: &Fixture, commands: &[&[&str]]) -> usize {
    let mut told = 0;
    let mut loudness = ["-q", "-vvv"].into_iter().cycle();
    for command in commands {
        for format in ["human", "markdown", "json"] {
            let loudness = loudness.next().expect("it never ends");
            let arguments = [*command, &["--format", format, loudness]].concat();
            let ran = fixture.run(&arguments).await;
            let what = format!("{arguments:?}");
            expect_tame(&ran, &what);
            told += usize::from(ran.stdout.contains('☠') || ran.stderr.contains('☠'));
            if format == "json" && !ran.stdout.is_empty() && command[0] != "export" {
                ran.json();
            }
        }
    }
    told
}

#[tokio::test]
async fn hostile_names_are_shown_and_do_nothing() {
    let fixture = Fixture::complete().await;
    fixture.apply().await.expect(0);
    fixture.world(|world| {
        world.add_project("platform/evil", EVIL, Visibility::Private);
        for group in &mut world.groups {
            EVIL.clone_into(&mut group.name);
        }
        for project in &mut world.projects {
            EVIL.clone_into(&mut project.name);
        }
        for application in &mut world.applications {
            if application.name != "Factory Integration" {
                EVIL.clone_into(&mut application.name);
            }
            application.redirect_uri.push('\n');
            application.redirect_uri.push_str("https://example.com/☠/@all");
        }
        EVIL.clone_into(&mut world.factory.name);
    });
    fixture.change_user("factory-droid", |droid| {
        EVIL.clone_into(&mut droid.name);
        droid.email = format!("{EVIL}@example.com");
    });
    let commands: [&[&str]; 6] = [
        &["plan"],
        &["drift"],
        &["doctor"],
        &["export"],
        &["state", "show"],
        &["apply", "--auto-approve"],
    ];
    assert!(everything(&fixture, &commands).await > 0, "nothing of it was shown");
    // The apply has put the names right that are ours.
    everything(&fixture, &[&["state", "journal"], &["plan"]]).await;
}

#[tokio::test]
async fn a_path_that_gitlab_cannot_have_is_refused_with_the_name_of_who_sent_it() {
    let fixture = Fixture::complete().await;
    fixture.apply().await.expect(0);
    let path = format!("platform/{}", EVIL.replace('/', ""));
    fixture.world(|world| world.add_project(&path, "evil", Visibility::Private));
    for command in [&["plan"][..], &["drift"], &["apply", "--auto-approve"]] {
        let ran = fixture.run(command).await.expect(1);
        expect_tame(&ran, &format!("{command:?}"));
        let said = unwrapped(&ran.stderr);
        // Both send it, and the first answer is as good as the other.
        let sender = ["GitLab answered GET /api/v4/", "Factory answered GET /api/v0/"];
        assert!(sender.iter().any(|sender| said.contains(sender)), "{said}");
        assert!(said.contains("is no path that GitLab can have"), "{said}");
    }
}

#[tokio::test]
async fn another_user_with_a_hostile_name_is_named_and_does_nothing() {
    let fixture = Fixture::complete().await;
    fixture.apply().await.expect(0);
    fixture.world(|world| {
        let other = world
            .users
            .iter()
            .find(|user| user.username == "zdvorak")
            .expect("her")
            .id;
        EVIL.clone_into(&mut world.user_mut(other).expect("her").username);
        if let Some(authorization) = world
            .factory
            .integration
            .as_mut()
            .and_then(|one| one.authorization.as_mut())
        {
            authorization.user_id = other;
            EVIL.clone_into(&mut authorization.username);
        }
    });
    let told = everything(&fixture, &[&["plan"], &["drift"]]).await;
    assert!(told > 0, "nothing of it was shown");
}

#[tokio::test]
async fn hostile_messages_are_quoted_and_do_nothing() {
    let (fixture, proxy) = Proxy::on(Options::default()).await;
    fixture.give_admin_session();
    let places = [
        ("GET", "/api/v4/user"),
        ("POST", "/api/graphql"),
        ("POST", "/users/sign_in"),
        ("GET", "/admin/applications"),
        ("POST", "/api/v4/applications"),
        ("PUT", "/api/v0/integrations/gitlab-sh"),
        ("GET", "/api/integrations/redirect/gitlab-sh/callback"),
    ];
    for (number, (method, path)) in places.into_iter().enumerate() {
        for form in 0..3 {
            // Each form in each output, though not at each place.
            let output = ["human", "markdown", "json"][(number + form) % 3];
            let _ = std::fs::remove_dir_all(fixture.path(".setpoint"));
            let world = fixture.world(|world| world.clone());
            proxy.intercept(move |request, phase| {
                if phase != Phase::Before || request.method != method || !request.path.starts_with(path) {
                    return Action::Pass;
                }
                let html = EVIL.replace('<', "&lt;");
                let (status, kind, body) = match form {
                    0 => (
                        400,
                        "application/json",
                        serde_json::json!({"message": {EVIL: [EVIL]}, "error": EVIL}).to_string(),
                    ),
                    1 => (
                        200,
                        "application/json",
                        serde_json::json!({EVIL: EVIL, "id": EVIL, "errors": [{"message": EVIL}]}).to_string(),
                    ),
                    _ => (
                        422,
                        "text/html",
                        format!("<title>{html}</title><div class='flash-alert'>{html}</div><main><h1>{html}</h1>"),
                    ),
                };
                let headers = vec![("content-type".to_owned(), kind.to_owned())];
                Action::Respond { status, headers, body }
            });
            let arguments = ["apply", "--auto-approve", "-vvv", "--format", output];
            let ran = proxy.run(&fixture, &arguments).await;
            expect_tame(&ran, &format!("{method} {path} {form} {arguments:?}"));
            fixture.world(|now| *now = world);
        }
    }
}

#[tokio::test]
async fn a_hostile_configuration_does_not_act_on_who_reads_the_log() {
    let fixture = Fixture::new().await;
    let good = fixture.config();
    for (from, to) in [
        ("[user]", "[user]\n# \u{1b}[2J\u{9b}2J\u{202e}\nunknown\u{1b} = 1"),
        (
            "name = \"Factory Droid\"",
            "name = 7 # \u{1b}[2J\u{9b}2J\u{202e}\u{200b}",
        ),
        (
            "\"platform\" = \"developer\"",
            "\"plat\u{9b}form\u{202e}\" = \"developer\u{9b}\"",
        ),
        ("email = \"factory-droid@example.com\"", "email = \"\u{202e}\u{9b}\""),
    ] {
        fixture.write_config(&good.replace(from, to));
        for command in ["validate", "plan"] {
            let ran = fixture.run(&[command]).await.expect(1);
            let found: Vec<char> = ran.stderr.chars().filter(|c| acts(*c)).collect();
            assert!(found.is_empty(), "{to:?}: {found:?} in\n{}", ran.stderr);
        }
    }
}
