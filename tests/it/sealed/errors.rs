//! What goes wrong says no secret either: servers that repeat what they were sent, references that fail, files that are
//! written wrongly.

use base64::Engine as _;
use setpoint::sandbox::{Action, Seen};

use super::canary::{STORE, SealedFixture};
use crate::common::plans::unwrapped;
use crate::common::proxy::Phase;

/// Everything that a request holds, as a program in its way may quote it.
fn echo(request: &Seen, form: usize) -> Action {
    let headers: Vec<String> = request
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    let body = String::from_utf8_lossy(&request.body);
    let decoded: Vec<String> = url::form_urlencoded::parse(body.as_bytes())
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let query = request.query.clone().unwrap_or_default();
    let all = format!("{} {body} {} {query}", headers.join(" "), decoded.join(" "));
    let secrets: String = request
        .headers
        .iter()
        .filter(|(name, _)| ["private-token", "authorization", "cookie"].contains(&name.as_str()))
        .map(|(_, value)| format!("{value} "))
        .chain([body.clone().into_owned(), decoded.join(" "), query])
        .collect();
    let (kind, body) = match form {
        0 => (
            "application/json",
            serde_json::json!({ "message": secrets }).to_string(),
        ),
        1 => ("text/plain", secrets),
        2 => (
            "text/html",
            format!(
                "<title>{secrets}</title><div class=\"flash-alert\">{all}</div><main><h1>{secrets}</h1><pre>{secrets}</pre></main>"
            ),
        ),
        3 => {
            let encoded = base64::engine::general_purpose::STANDARD.encode(&secrets);
            ("application/json", serde_json::json!({ "error": encoded }).to_string())
        }
        _ => {
            let encoded: String = url::form_urlencoded::byte_serialize(secrets.as_bytes()).collect();
            ("text/plain", encoded)
        }
    };
    // 422 is repeated in detail, 500 is what a broken server answers.
    Action::Respond {
        status: if form.is_multiple_of(2) { 422 } else { 500 },
        headers: vec![("content-type".to_owned(), kind.to_owned())],
        body,
    }
}

#[tokio::test]
#[ignore = "`repeated` has the like at a few places; `.ci/run` runs it"]
async fn a_server_that_repeats_what_it_was_sent_is_not_repeated() {
    let sealed = SealedFixture::new().await;
    let world = sealed.fixture.world(|world| world.clone());
    sealed.run(&["apply", "--auto-approve"]).await.expect(0);
    let mut places: Vec<(String, String)> = Vec::new();
    for request in sealed.fixture.sandbox.requests() {
        // Of repositories and members one is like the other.
        let path: String = request
            .path
            .split('/')
            .map(|part| part.parse::<u64>().map_or(part, |_| ""))
            .collect::<Vec<_>>()
            .join("/");
        if !request.by_factory && !places.contains(&(request.method.clone(), path.clone())) {
            places.push((request.method, path));
        }
    }
    assert!(places.len() > 15, "{places:#?}");
    for (number, (method, place)) in places.iter().enumerate() {
        sealed.fixture.world(|now| *now = world.clone());
        let _ = std::fs::remove_dir_all(sealed.fixture.path(".setpoint"));
        let _ = std::fs::remove_file(sealed.fixture.path(STORE));
        let (method, place) = (method.clone(), place.clone());
        let place_too = place.clone();
        sealed.watch(move |request, phase| {
            let path: String = request
                .path
                .split('/')
                .map(|part| part.parse::<u64>().map_or(part, |_| ""))
                .collect::<Vec<_>>()
                .join("/");
            if phase == Phase::Before && request.method == method && path == place {
                echo(request, number % 5)
            } else {
                Action::Pass
            }
        });
        let ran = sealed.run(&["apply", "--auto-approve", "-vvv"]).await;
        assert!(
            [0, 1, 3].contains(&ran.code),
            "{place_too}\n{}\n{}",
            ran.stdout,
            ran.stderr
        );
    }
}

#[tokio::test]
async fn a_wrong_token_is_not_in_what_is_said_about_it() {
    let sealed = SealedFixture::new().await;
    sealed.watch(|request, phase| {
        let wrong = request.headers.iter().any(|(_, value)| value.contains("wrong"));
        if phase == Phase::Before && wrong {
            return echo(request, 0);
        }
        Action::Pass
    });
    for name in ["GITLAB_TOKEN", "FACTORY_API_KEY"] {
        let canary = format!("wrong-{name}-canary");
        for command in ["plan", "doctor"] {
            let mut command = sealed.command(&[command, "-vvv"]);
            command.env(name, &canary);
            let ran = crate::common::run(command).await.expect(1);
            assert!(
                !ran.stdout.contains(&canary) && !ran.stderr.contains(&canary),
                "{}\n{}",
                ran.stdout,
                ran.stderr
            );
        }
    }
}

#[tokio::test]
async fn a_reference_that_fails_with_the_secret_on_standard_error_keeps_it() {
    let sealed = SealedFixture::new().await;
    for script in [
        "echo glpat-canary-in-a-script >&2; exit 1",
        "echo glpat-canary-in-a-script; exit 1",
        "set -x; true glpat-canary-in-a-script; exit 1",
    ] {
        let before = std::fs::read_to_string(sealed.fixture.path("setpoint.toml")).expect("the configuration");
        sealed.fixture.edit_config(
            "{ env = \"GITLAB_TOKEN\" }",
            &format!("{{ command = [\"sh\", \"-c\", \"{script}\"] }}"),
        );
        for command in ["plan", "doctor", "drift"] {
            let ran = sealed.run(&[command, "-vvv"]).await.expect(1);
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(unwrapped(&said).contains("failed (exit status: 1)"), "{said}");
            assert!(!said.contains("glpat-canary"), "{said}");
        }
        sealed.fixture.write_config(&before);
    }
}

#[tokio::test]
async fn a_secret_in_the_wrong_place_of_the_file_is_not_quoted() {
    let sealed = SealedFixture::new().await;
    let good = std::fs::read_to_string(sealed.fixture.path("setpoint.toml")).expect("the configuration");
    let reference = "token = { env = \"GITLAB_TOKEN\" }";
    for wrong in [
        "token = \"glpat-canary-in-the-file\"",
        "token = 'glpat-canary-in-the-file'",
        "token = \"glpat-canary-in-the-file",
        "token = glpat-canary-in-the-file",
        "token = { value = \"glpat-canary-in-the-file\" }",
        "token = { env = \"glpat-canary-in-the-file\" }",
        "token = [\"glpat-canary-in-the-file\"]",
        "token = \"\"\"\nglpat-canary-in-the-file\n\"\"\"",
        "token = { env = \"A\", value = \"glpat-canary-in-the-file\" }",
        "tokens = \"glpat-canary-in-the-file\"",
        "private_token = \"glpat-canary-in-the-file\"",
    ] {
        sealed.fixture.write_config(&good.replace(reference, wrong));
        for command in ["validate", "plan", "doctor"] {
            let ran = sealed.fixture.run(&[command, "-vvv"]).await.expect(1);
            let said = format!("{}{}", ran.stdout, ran.stderr);
            // A name that was given as one is named: an unset variable could not be told otherwise.
            let is_name = wrong.contains("env = \"glpat");
            assert!(is_name || !said.contains("glpat-canary"), "{wrong}\n{said}");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_configuration_that_cannot_be_read_is_named_and_no_more() {
    let sealed = SealedFixture::new().await;
    let config = sealed.fixture.path("setpoint.toml");
    std::fs::remove_file(&config).expect("the configuration");
    std::fs::create_dir(&config).expect("a folder in its place");
    let ran = crate::common::run(sealed.command(&["plan", "-vvv"])).await.expect(1);
    sealed
        .canaries
        .expect_unspoken(&ran, "a folder in place of the configuration");
    assert!(ran.stderr.contains("setpoint.toml"), "{}", ran.stderr);
}
