//! An approval that a person gives: at the address that Setpoint shows, on a terminal and without one, by the droid and by
//! somebody else, and where it turns out that no program can sign in.

use serde_json::{Value, json};
use setpoint::sandbox::world::WebSession;

use super::assisted::hands::Hands;
use super::common::Fixture;
use super::common::plans::{DROID, change, notes, unwrapped};
use super::common::terminal::Terminal;

const WAITING: &str = "Waiting for Factory's answer.";

/// Nothing else is a person's: the application need not be trusted.
async fn untrusted() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.edit_config("[application]\n", "[application]\ntrusted = false\n");
    fixture
}

async fn by_a_person() -> Fixture {
    let fixture = untrusted().await;
    fixture.edit_config("[user]\n", "[user]\nsign_in = \"person\"\n");
    fixture
}

/// The address that is shown.
fn address(shown: &str) -> String {
    let at = shown
        .lines()
        .map(str::trim)
        .find(|line| line.contains("/oauth/authorize?"));
    at.unwrap_or_else(|| panic!("no address in\n{shown}")).to_owned()
}

fn passwords(fixture: &Fixture) -> (&'static str, &'static str) {
    let keys = fixture.sandbox.credentials();
    (keys.droid_password, keys.root_password)
}

fn outcome<'a>(report: &'a Value, address: &str) -> &'a Value {
    let outcomes = report["outcomes"].as_array().expect("a report has outcomes");
    let found = outcomes.iter().find(|outcome| outcome["address"] == address);
    found.unwrap_or_else(|| panic!("no outcome of {address} in {report:#}"))
}

async fn agreed(fixture: &Fixture, columns: u16) -> Terminal {
    let mut terminal = Terminal::start(fixture, &["apply"], columns);
    terminal.until("Answer: ").await;
    terminal.line("yes");
    terminal
}

#[tokio::test]
async fn on_a_terminal_it_is_waited_for_and_only_the_droid_is_taken() {
    let fixture = by_a_person().await;
    let (droid, root) = passwords(&fixture);
    let mut terminal = agreed(&fixture, 120).await;
    let shown = terminal.until(WAITING).await;
    assert!(shown.contains("it must be factory-droid"), "{shown}");
    assert!(shown.contains("until") && shown.contains(" UTC"), "{shown}");
    assert!(
        shown.contains("\u{2580}") || shown.contains("\u{2584}"),
        "no picture:\n{shown}"
    );
    // Whoever else approves is refused, and the person invited again.
    Hands(&fixture).approve_at(&address(&shown), "root", root).await;
    let again = terminal.until(WAITING).await;
    assert!(
        unwrapped(&again).contains("Factory is connected as `root` (user 1) and not as `factory-droid`"),
        "{again}"
    );
    assert_ne!(address(&again), address(&shown));
    terminal.line("nonsense");
    terminal.until("Answer with one of the words").await;
    terminal.line("new");
    let third = terminal.until(WAITING).await;
    Hands(&fixture).approve_at(&address(&third), DROID, droid).await;
    let (code, all) = terminal.end().await;
    assert_eq!(code, Some(0), "{all}");
    assert!(all.contains("factory.authorization: granted"), "{all}");
    fixture.expect_connected("approved by the droid");
    // Nothing was signed in, and nothing is left: the repositories were enabled in the same run.
    let signed_in = fixture.requests_since(0);
    let by_setpoint = signed_in
        .iter()
        .filter(|request| request.starts_with("POST /users/sign_in"));
    assert_eq!(by_setpoint.count(), 2, "the two windows of this test");
    fixture.expect_nothing_to_do("approved").await;
}

#[tokio::test]
async fn a_small_terminal_shows_the_address_alone_and_it_can_be_put_off() {
    let fixture = by_a_person().await;
    let mut terminal = agreed(&fixture, 70).await;
    let shown = terminal.until(WAITING).await;
    assert!(!shown.contains('\u{2580}') && !shown.contains('\u{2584}'), "{shown}");
    address(&shown);
    terminal.line("skip");
    let (code, all) = terminal.end().await;
    assert_eq!(code, Some(3), "{all}");
    let end = unwrapped(&all);
    assert!(end.contains("When all of it is done: setpoint apply"), "{all}");
    // Interrupted, it ends at once, and the record is sound.
    let mut terminal = agreed(&fixture, 70).await;
    terminal.until(WAITING).await;
    terminal.interrupt();
    let (code, all) = terminal.end().await;
    assert_eq!(code, Some(3), "{all}");
    assert_eq!(fixture.state()["intents"], Value::Null);
}

#[tokio::test]
async fn without_a_terminal_it_is_a_step_with_the_address_and_its_end() {
    let fixture = by_a_person().await;
    let (droid, root) = passwords(&fixture);
    let plan = fixture.plan().await;
    let authorization = change(&plan, "factory.authorization");
    assert_eq!(authorization["status"], "operator", "{plan:#}");
    assert!(
        notes(authorization).contains("signed in to GitLab as `factory-droid`"),
        "{plan:#}"
    );
    let ran = fixture.apply().await.expect(3);
    assert!(ran.stdout.contains("For an operator, in this order:"), "{}", ran.stdout);
    let first = address(&ran.stdout);
    assert!(
        unwrapped(&ran.stdout).contains("When all of it is done: setpoint apply"),
        "{}",
        ran.stdout
    );
    // It can be attested by nobody.
    let refused = fixture.run(&["confirm", "factory.authorization"]).await.expect(1);
    assert!(
        unwrapped(&refused.stderr).contains("Factory itself says whether it was approved"),
        "{}",
        refused.stderr
    );
    let due = fixture.run(&["confirm"]).await.expect(0);
    assert!(
        due.stdout.contains("`setpoint apply` shows where to approve"),
        "{}",
        due.stdout
    );
    assert!(
        fixture
            .run(&["confirm", "--all"])
            .await
            .expect(0)
            .stdout
            .contains("Nothing is due")
    );
    // Somebody else approves: the next run says so, and gives another address.
    Hands(&fixture).approve_at(&first, "root", root).await;
    let plan = fixture.plan().await;
    assert_eq!(
        change(&plan, "factory.authorization")["reason"],
        "wrong_user",
        "{plan:#}"
    );
    let report = fixture
        .run(&["apply", "--auto-approve", "--format", "json"])
        .await
        .expect(3)
        .json();
    let left = outcome(&report, "factory.authorization");
    assert_eq!(left["outcome"], "operator");
    assert_eq!(left["approve_at"]["username"], json!(DROID));
    let expires = left["approve_at"]["expires_at"].as_str().expect("an end");
    expires.parse::<jiff::Timestamp>().expect("a time");
    let url = left["approve_at"]["url"].as_str().expect("an address");
    Hands(&fixture).approve_at(url, DROID, droid).await;
    fixture.apply().await.expect(0);
    fixture.expect_connected("approved by the droid");
    fixture.expect_nothing_to_do("approved").await;
    // As Markdown the address can be clicked.
    fixture.disconnect();
    let note = fixture
        .run(&["apply", "--auto-approve", "--format", "markdown"])
        .await
        .expect(3);
    assert!(
        note.stdout.contains("then open, in the same window: <http"),
        "{}",
        note.stdout
    );
    assert!(!note.stdout.contains("setpoint confirm"), "{}", note.stdout);
}

/// Killed while it waits: the next run finds what was approved meanwhile, or shows another address.
#[tokio::test]
async fn killed_while_waiting_the_next_run_goes_on() {
    let fixture = by_a_person().await;
    let (droid, _) = passwords(&fixture);
    let mut terminal = agreed(&fixture, 120).await;
    let first = address(&terminal.until(WAITING).await);
    drop(terminal);
    let mut terminal = agreed(&fixture, 120).await;
    let second = address(&terminal.until(WAITING).await);
    assert_ne!(first, second);
    drop(terminal);
    // The address of the first run is as good as the other.
    Hands(&fixture).approve_at(&first, DROID, droid).await;
    fixture.apply().await.expect(0);
    fixture.expect_connected("approved at the first address");
    fixture.expect_nothing_to_do("approved").await;
}

/// Where no program can get in, a person is asked instead: in the plan where that is known before, in the run where it is not.
#[tokio::test]
async fn a_way_that_is_closed_to_programs_is_left_to_a_person() {
    let closed: [(&str, &str, &[&str]); 4] = [
        (
            "GitLab does not take passwords",
            "operator",
            &["password_login_off=true"],
        ),
        ("asks for a reCAPTCHA", "ready", &["recaptcha=true"]),
        (
            "set up two-factor authentication first",
            "ready",
            &["require_two_factor=true"],
        ),
        ("asks factory-droid for a code", "ready", &[]),
    ];
    for (why, planned, switches) in closed {
        let fixture = untrusted().await;
        fixture.apply().await.expect(0);
        fixture.disconnect();
        for switch in switches {
            fixture.world(|world| world.switches.set(switch)).expect("a switch");
        }
        // GitLab asks visitors for a captcha where many have been.
        fixture.world(|world| {
            let visitor = |number| WebSession {
                id: format!("visitor{number}"),
                ..WebSession::default()
            };
            world.sessions.extend((0..6).map(visitor));
        });
        if switches.is_empty() {
            fixture.change_user(DROID, |user| user.totp_secret = Some("GEZDGNBVGY3TQOJQ".to_owned()));
        }
        let plan = fixture.plan().await;
        assert_eq!(
            change(&plan, "factory.authorization")["status"],
            planned,
            "{why}: {plan:#}"
        );
        let ran = fixture.apply().await.expect(3);
        let said = unwrapped(&ran.all());
        assert!(said.contains(why), "{why}: {}", ran.all());
        address(&ran.stdout);
        assert!(!said.contains("setpoint confirm"), "{}", ran.stdout);
    }
}

#[tokio::test]
async fn an_address_that_asks_for_something_else_is_shown_to_nobody() {
    let fixture = by_a_person().await;
    // Factory asks for what is not declared.
    fixture.edit_config("trusted = false\n", "trusted = false\nscopes = [\"api\"]\n");
    let ran = fixture.apply().await.expect(3);
    assert!(!ran.all().contains("/oauth/authorize?"), "{}", ran.all());
    assert!(
        unwrapped(&ran.all()).contains("asks for more than the declared scopes"),
        "{}",
        ran.all()
    );
}
