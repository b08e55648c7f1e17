//! The HTTP client against servers that misbehave: what it repeats, what it gives up, what it says.

mod server;
pub(crate) mod tls;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use setpoint::gitlab::{GitlabApi, GitlabRead as _};
use setpoint::http::{Client, ClientOptions, Credential, ErrorKind, Request, RetryPolicy, Side, Timeouts};
use setpoint::model::UserId;
use setpoint::secrets::Secret;

use server::{Answer, Server};

const TOKEN: &str = "glpat-fake-canary";

/// A client whose waits are taken note of instead of being waited.
struct Patient {
    client: Client,
    waits: Arc<Mutex<Vec<Duration>>>,
}

impl Patient {
    fn new(server: &Server) -> Self {
        Self::with(server, |_| {})
    }

    fn with(server: &Server, change: impl FnOnce(&mut ClientOptions)) -> Self {
        let waits: Arc<Mutex<Vec<Duration>>> = Arc::default();
        let notes = Arc::clone(&waits);
        let mut options = ClientOptions::new(&setpoint::gitlab::PEER, server.url());
        options.credential = Credential::PrivateToken(Secret::new(TOKEN));
        options.retry = RetryPolicy {
            attempts: 3,
            sleep: Arc::new(move |wait| {
                notes.lock().unwrap().push(wait);
                Box::pin(async {})
            }),
            random: || 0.5,
            ..RetryPolicy::default()
        };
        change(&mut options);
        Self {
            client: Client::new(options).unwrap(),
            waits,
        }
    }

    fn get(&self) -> Request {
        self.client.get(&["api", "v4", "user"])
    }

    fn post(&self) -> Request {
        self.client.post(&["api", "v4", "users"])
    }

    fn seconds(&self) -> Vec<f64> {
        self.waits.lock().unwrap().iter().map(Duration::as_secs_f64).collect()
    }
}

#[derive(Debug, Deserialize)]
struct User {
    #[expect(dead_code, reason = "its type is what the answer has to fit")]
    id: u64,
}

fn ok() -> Answer {
    Answer::json(200, r#"{"id": 1}"#)
}

#[tokio::test]
async fn a_429_repeats_any_request_when_the_server_says() {
    let server = Server::start(vec![
        Answer::new(429, "text/plain", "Retry later")
            .header("Date", "Sun, 01 Mar 2026 13:00:00 GMT")
            .header("Retry-After", "Sun, 01 Mar 2026 13:00:40 GMT"),
        Answer::new(429, "text/plain", "Retry later").header("Retry-After", "5"),
        ok(),
    ])
    .await;
    let patient = Patient::new(&server);
    patient.client.call(patient.post()).await.unwrap();
    assert_eq!(patient.seconds(), [40.0, 5.0]);
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_server_that_wants_an_hour_is_left_alone() {
    let server = Server::start(vec![
        Answer::new(429, "text/plain", "Retry later").header("Retry-After", "3600"),
    ])
    .await;
    let patient = Patient::new(&server);
    let error = patient.client.call(patient.get()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::RateLimited);
    assert_eq!(error.message, "GitLab is busy and asks to be left alone for 60 minutes");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_server_that_wants_an_hour_holds_up_no_other_request() {
    let server = Server::start(vec![
        Answer::new(429, "text/plain", "Retry later").header("Retry-After", "3600"),
        ok(),
    ])
    .await;
    let patient = Patient::new(&server);
    patient.client.call(patient.get()).await.unwrap_err();
    patient.client.call(patient.get()).await.unwrap();
    assert_eq!(patient.seconds(), [0.0; 0]);
}

#[tokio::test]
async fn the_other_requests_wait_as_well() {
    let server = Server::start(vec![
        Answer::new(429, "text/plain", "Retry later").header("Retry-After", "50"),
        ok(),
        ok(),
    ])
    .await;
    let patient = Patient::new(&server);
    patient.client.call(patient.get()).await.unwrap();
    patient.client.call(patient.get()).await.unwrap();
    let waits = patient.seconds();
    assert_eq!(waits.len(), 2, "{waits:?}");
    assert!(waits[1] > 40.0, "{waits:?}");
}

#[tokio::test]
async fn a_bad_gateway_repeats_reads_and_no_writes() {
    for (write, requests) in [(false, 3), (true, 1)] {
        let page = || Answer::new(502, "text/html", "<h1>Bad Gateway</h1>");
        let server = Server::start(vec![page(), page(), page(), ok()]).await;
        let patient = Patient::new(&server);
        let request = if write { patient.post() } else { patient.get() };
        let error = patient.client.call(request).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Server(502));
        assert!(error.may_have_been_processed());
        assert!(!error.message.contains('<'), "{}", error.message);
        assert_eq!(server.requests().len(), requests);
    }
}

#[tokio::test]
async fn a_network_before_the_server_that_does_not_reach_it_is_a_bad_gateway() {
    let server = Server::start(vec![
        Answer::new(522, "text/html", "<html>"),
        Answer::new(520, "text/html", "<html>"),
        ok(),
        Answer::new(524, "text/html", "<html>"),
    ])
    .await;
    let patient = Patient::new(&server);
    patient.client.call(patient.get()).await.unwrap();
    let error = patient.client.call(patient.post()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Server(524), "{error}");
    assert!(error.may_have_been_processed());
}

#[tokio::test]
async fn what_stands_before_gitlab_is_not_taken_for_it() {
    let nginx = "<html><center><h1>Forbidden</h1></center><hr><center>nginx</center></html>";
    for (status, said) in [
        (401, "a page of its own"),
        (403, "a page of its own"),
        (407, "a proxy between here and GitLab"),
    ] {
        let server = Server::start(vec![Answer::new(status, "text/html", nginx)]).await;
        let patient = Patient::new(&server);
        let error = patient.client.call(patient.get()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Status(status), "{error}");
        assert!(
            error.message.contains(said) && !error.message.contains("token"),
            "{error}"
        );
        assert!(error.hint.unwrap().contains("nothing is known of the credentials"));
    }
    let server = Server::start(vec![Answer::new(404, "text/html", nginx)]).await;
    let patient = Patient::new(&server);
    let error = patient.client.call(patient.get()).await.unwrap_err();
    assert!(error.message.ends_with("a page that is not GitLab's"), "{error}");
    assert!(error.hint.unwrap().contains("relative URL root"));
}

fn memberships(ids: std::ops::Range<u64>) -> String {
    let row = |id| serde_json::json!({"source_id": id, "source_type": "Project", "access_level": 30});
    ids.map(row).collect::<serde_json::Value>().to_string()
}

fn projects(ids: std::ops::Range<u64>) -> String {
    let row = |id| serde_json::json!({"id": id, "path_with_namespace": format!("a/{id}"), "visibility": "private", "archived": false});
    ids.map(row).collect::<serde_json::Value>().to_string()
}

#[tokio::test]
async fn a_full_page_without_a_sign_of_more_is_not_the_end() {
    let server = Server::start(vec![
        Answer::json(200, &projects(300..400)),
        Answer::json(200, &projects(1..101)),
        Answer::json(200, &projects(101..201)),
        Answer::json(200, "[]"),
    ])
    .await;
    let api = GitlabApi::new(Patient::new(&server).client);
    assert_eq!(api.projects(None).await.unwrap().len(), 300);
    let asked = server.requests();
    assert!(
        asked[2].contains("id_after=100") && !asked[2].contains("id_after=0"),
        "{asked:#?}"
    );
    // One that gives the same page to whoever asks has no second.
    let server = Server::start(vec![Answer::json(200, &memberships(0..100)); 3]).await;
    let api = GitlabApi::new(Patient::new(&server).client);
    let error = api.memberships(UserId(1)).await.unwrap_err();
    assert!(error.message.contains("repeat themselves"), "{error}");
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_not_repeated() {
    for lost in [Answer::drop(), ok().half()] {
        let server = Server::start(vec![lost, ok()]).await;
        let patient = Patient::new(&server);
        let error = patient.client.call(patient.post()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::AnswerLost);
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_read_and_a_repeatable_write_outlive_lost_answers() {
    for write in [false, true] {
        let server = Server::start(vec![Answer::drop(), ok().half(), ok()]).await;
        let patient = Patient::new(&server);
        let request = if write {
            patient.post().repeatable()
        } else {
            patient.get()
        };
        patient.client.call(request).await.unwrap();
        assert_eq!(patient.seconds(), [0.25, 0.5]);
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let server = Server::start(vec![Answer::hang()]).await;
    let patient = Patient::with(&server, |options| {
        options.timeouts = Timeouts {
            read: Duration::from_millis(200),
            ..Timeouts::default()
        };
    });
    let error = patient.client.call(patient.post()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AnswerLost);
    assert!(error.message.contains("in time"), "{}", error.message);
}

#[tokio::test]
async fn time_without_an_answer_counts_as_waiting() {
    let server = Server::start(vec![Answer::hang(), Answer::hang(), Answer::hang()]).await;
    let patient = Patient::with(&server, |options| {
        options.timeouts = Timeouts {
            read: Duration::from_millis(200),
            ..Timeouts::default()
        };
        options.retry.max_wait = Duration::from_millis(600);
    });
    let error = patient.client.call(patient.get()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AnswerLost);
    // 0.2 s without an answer and 0.25 s between the two leave room for a second attempt, and not for a third.
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn nobody_listening_repeats_even_a_write_and_says_so() {
    let url = Server::start(vec![]).await.stop().await;
    let server = Server::start(vec![]).await;
    let patient = Patient::with(&server, |options| options.base_url = url);
    let error = patient.client.call(patient.post()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.message.contains("refuses connections"), "{}", error.message);
    assert!(error.hint.unwrap().contains("gitlab.url"));
    assert_eq!(patient.seconds().len(), 2);
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let server = Server::start(vec![Answer::endless()]).await;
    let patient = Patient::with(&server, |options| options.max_body = 64 * 1024);
    let error = patient.client.call(patient.get()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
    assert!(error.message.contains("64 KiB"), "{}", error.message);
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_not_read() {
    let server = Server::start(vec![Answer::json(200, &"1".repeat(70_000))]).await;
    let patient = Patient::new(&server);
    let error = patient.client.call(patient.get().limit(65_536)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
}

/// Gzip of so many zeros times 258, by the fixed Huffman code: thirteen bits for each 258 bytes.
fn bomb(repetitions: usize) -> Vec<u8> {
    let mut bits = vec![true, true, false];
    bits.extend([false, false, true, true, false, false, false, false]);
    for _ in 0..repetitions {
        // Length 258, distance 1.
        bits.extend([true, true, false, false, false, true, false, true]);
        bits.extend([false; 5]);
    }
    bits.extend([false; 7]);
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    bytes.extend(
        bits.chunks(8)
            .map(|byte| byte.iter().rev().fold(0, |sum, bit| sum << 1 | u8::from(*bit))),
    );
    bytes.extend([0; 8]);
    bytes
}

#[tokio::test]
async fn what_unpacks_to_too_much_is_cut_off() {
    let small = bomb(10_000);
    assert!(small.len() < 20_000, "{}", small.len());
    let server = Server::start(vec![
        Answer::bytes(200, "application/json", small).header("Content-Encoding", "gzip"),
    ])
    .await;
    let patient = Patient::with(&server, |options| options.max_body = 1024 * 1024);
    let error = patient.client.call(patient.get()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge, "{error}");
}

#[tokio::test]
async fn what_is_known_once_is_taken_out_of_every_answer() {
    let said = r#"{"message": "hunter2-hunter2 c2Vzc2lvbi1jb29raWUtdmFsdWU= and so on"}"#;
    let server = Server::start(vec![
        ok().header("Set-Cookie", "_session=session-cookie-value; path=/; HttpOnly"),
        Answer::json(400, said),
    ])
    .await;
    let patient = Patient::with(&server, |options| options.cookies = true);
    let _ = Secret::new("hunter2-hunter2");
    patient.client.call(patient.post()).await.unwrap();
    let error = patient.client.call(patient.get()).await.unwrap_err();
    assert!(error.message.ends_with("*** *** and so on"), "{error}");
}

#[tokio::test]
async fn redirects_are_not_followed_and_the_token_stays() {
    let elsewhere = Server::start(vec![ok()]).await;
    let target = elsewhere.url().join("/api/v4/user?state=x").unwrap();
    let server = Server::start(vec![
        Answer::new(302, "text/html", "").header("Location", target.as_str()),
    ])
    .await;
    let patient = Patient::new(&server);
    let error = patient.client.call(patient.get()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Redirect);
    assert!(error.message.contains(&elsewhere.url().port().unwrap().to_string()));
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_sign_in_page_is_recognized() {
    let redirect = Answer::new(302, "text/html", "").header("Location", "/users/sign_in");
    let server = Server::start(vec![redirect, Answer::new(200, "text/html; charset=utf-8", "<html>")]).await;
    let patient = Patient::new(&server);
    let error = patient.client.json::<User>(patient.get()).await.unwrap_err();
    assert!(error.message.contains("sign-in"), "{}", error.message);
    let error = patient.client.json::<User>(patient.get()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unexpected);
    assert!(error.message.contains("a web page, not JSON"), "{}", error.message);
    assert!(error.hint.unwrap().contains("gitlab.url"));
}

#[tokio::test]
async fn json_of_another_shape_names_the_field() {
    let bodies = [r#"{"id": "x"}"#, r#"{"id": 1"#, "", r#"{"id": 1} trailing"#];
    let server = Server::start(bodies.map(|body| Answer::json(200, body)).to_vec()).await;
    let patient = Patient::new(&server);
    let mut messages = Vec::new();
    for _ in bodies {
        let error = patient.client.json::<User>(patient.get()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unexpected);
        messages.push(error.message);
    }
    assert!(messages[0].contains("at `id`"), "{messages:?}");
    assert!(messages[1].contains("no JSON"), "{messages:?}");
    assert!(messages[2].contains("with nothing"), "{messages:?}");
    assert!(messages[3].contains("no JSON"), "{messages:?}");
}

#[tokio::test]
async fn the_credential_goes_to_its_own_origin_only_and_not_where_it_is_not_wanted() {
    let server = Server::start(vec![ok(), ok()]).await;
    let other = Server::start(vec![ok()]).await;
    let patient = Patient::new(&server);
    patient.client.call(patient.get()).await.unwrap();
    patient.client.call(patient.get().anonymous()).await.unwrap();
    let [with, without] = server.requests().try_into().unwrap();
    assert!(with.contains(TOKEN));
    assert!(with.contains("user-agent: setpoint/"));
    assert!(!without.contains(TOKEN));

    let request = Request::new(setpoint::http::Method::GET, other.url());
    let error = patient.client.send(request).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn only_this_machine_is_reached_without_encryption() {
    let options = ClientOptions::new(&setpoint::gitlab::PEER, "http://gitlab.example.com".parse().unwrap());
    let error = Client::new(options).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.hint.unwrap().contains("https://"));
}

#[tokio::test]
async fn maintenance_mode_and_a_read_only_replica_are_told_apart_from_trouble() {
    let server = Server::start(vec![
        Answer::json(
            503,
            r#"{"message": "GitLab Maintenance: system is in maintenance mode"}"#,
        ),
        Answer::json(
            403,
            r#"{"message": "You cannot perform write operations on a read-only instance"}"#,
        ),
    ])
    .await;
    let patient = Patient::new(&server);
    for said in ["maintenance mode", "read-only"] {
        let error = patient.client.call(patient.post().repeatable()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::ReadOnly);
        assert!(!error.may_have_been_processed());
        assert!(error.message.contains(said), "{}", error.message);
    }
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let server = Server::start(vec![
        Answer::json(
            401,
            r#"{"error": "invalid_token", "error_description": "Token was revoked."}"#,
        ),
        Answer::json(403, r#"{"error": "insufficient_scope", "scope": "api read_api"}"#),
        Answer::json(403, r#"{"message": "403 Forbidden"}"#),
        Answer::json(400, r#"{"message": {"redirect_uri": ["must be a valid URI."]}}"#),
    ])
    .await;
    let patient = Patient::new(&server);
    let mut errors = Vec::new();
    for _ in 0..4 {
        errors.push(patient.client.call(patient.post()).await.unwrap_err());
    }
    let text = |index: usize| {
        format!(
            "{} ({})",
            errors[index],
            errors[index].hint.as_deref().unwrap_or_default()
        )
    };
    assert_eq!(
        errors[0].message,
        "GitLab does not accept the token: Token was revoked."
    );
    assert!(text(0).contains("gitlab.token"), "{}", text(0));
    assert!(text(1).contains("api read_api"), "{}", text(1));
    assert!(text(2).contains("admin_mode"), "{}", text(2));
    assert_eq!(errors[3].kind, ErrorKind::Invalid);
    assert!(text(3).contains(": redirect_uri must be a valid URI."), "{}", text(3));
}

#[tokio::test]
async fn what_a_server_says_cannot_act_on_the_terminal_nor_repeat_a_secret() {
    let said = format!("no such token {TOKEN} for hunter2\u{1b}[2J\u{202e}{}", "x".repeat(5000));
    let body = serde_json::json!({ "message": said }).to_string();
    let server = Server::start(vec![Answer::json(400, &body)]).await;
    let patient = Patient::new(&server);
    let _ = Secret::new("hunter2");
    let error = patient.client.call(patient.post()).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(TOKEN) && !shown.contains("hunter2"), "{shown}");
    assert!(!error.message.chars().any(char::is_control), "{shown}");
    assert!(error.message.chars().count() < 500, "{shown}");
}

#[tokio::test]
async fn requests_are_counted_with_their_repetitions() {
    let server = Server::start(vec![Answer::drop(), ok(), ok(), ok()]).await;
    let counter = Arc::default();
    let patient = Patient::with(&server, |options| options.counter = Arc::clone(&counter));
    patient.client.call(patient.get()).await.unwrap();
    patient.client.call(patient.post()).await.unwrap();
    patient.client.call(patient.post().reading()).await.unwrap();
    let counts = counter.of(Side::Gitlab);
    assert_eq!((counts.reads, counts.writes, counts.retries), (3, 1, 1));
}
