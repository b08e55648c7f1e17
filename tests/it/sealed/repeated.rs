//! Wherever a server can put text of its own before a person, it may put there what it was sent: as it is, escaped, with a
//! cut in the middle of it, with less white space. One place after the other repeats everything, and nothing of it is in
//! any output or file.

use base64::Engine as _;
use serde_json::{Value, json};
use setpoint::sandbox::{Action, Seen};

use super::canary::{ADMIN_PASSWORD, DROID_PASSWORD, FACTORY_KEY, GITLAB_TOKEN, STATE_PASSWORD, STORE, SealedFixture};
use crate::common::proxy::Phase;

/// Every fixed secret has it in it, and nothing else of the test has.
const CANARY: &str = "canary";

/// What is said: each secret again and again, in each form, so that a cut at any place meets one.
fn said(secrets: &[&str]) -> String {
    let mut words = vec!["no:".to_owned()];
    for round in 0..4 {
        for secret in secrets {
            let percent: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            let quoted = json!(secret).to_string();
            words.extend([
                (*secret).to_owned(),
                secret.split_whitespace().collect::<Vec<_>>().join(" "),
                percent,
                quoted.trim_matches('"').to_owned(),
                secret.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;"),
                base64::engine::general_purpose::STANDARD.encode(format!("{}root:{secret}", "x".repeat(round))),
            ]);
        }
    }
    words.join(" ")
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

fn answer(status: u16, kind: &str, body: String) -> Action {
    Action::Respond {
        status,
        headers: vec![("content-type".to_owned(), kind.to_owned())],
        body,
    }
}

fn data(status: u16, body: &Value) -> Action {
    answer(status, "application/json", body.to_string())
}

fn page(status: u16, body: &str) -> Action {
    answer(
        status,
        "text/html",
        format!("<!DOCTYPE html><html><body>{body}</body></html>"),
    )
}

fn redirect(location: &str) -> Action {
    Action::Respond {
        status: 302,
        headers: vec![("location".to_owned(), location.to_owned())],
        body: String::new(),
    }
}

/// Where a server can repeat what it was sent, and in answer to which command.
struct Place {
    what: &'static str,
    command: &'static [&'static str],
    /// Method and the end of the path of the request.
    request: (&'static str, &'static str),
    answer: fn(&Seen, &str) -> Action,
    /// What the server was sent by then.
    secrets: &'static [&'static str],
}

const PLAN: &[&str] = &["plan"];
const APPLY: &[&str] = &["apply", "--auto-approve"];
const DOCTOR: &[&str] = &["doctor"];
const TOKEN: &[&str] = &[GITLAB_TOKEN];
const ADMIN: &[&str] = &[GITLAB_TOKEN, ADMIN_PASSWORD];
const DROID: &[&str] = &[GITLAB_TOKEN, ADMIN_PASSWORD, DROID_PASSWORD];
const KEY: &[&str] = &[FACTORY_KEY];
const STATE: &[&str] = &[STATE_PASSWORD];
const LOCK: &str = "/terraform/state/setpoint/lock";

fn shown(place: &str, text: &str) -> Value {
    let project = json!({"id": "gid://gitlab/Project/1", "fullPath": "platform/api", "visibility": "private",
        "archived": false, "markedForDeletionOn": null});
    match place {
        "an error" => json!({"data": null, "errors": [{"message": text}]}),
        "an id" => {
            json!({"data": {"projects": {"nodes": [{"id": text, "fullPath": "platform/api", "visibility": "private",
            "archived": false}]}}})
        }
        "a shape" => json!({"data": {"projects": text}}),
        _ => json!({"data": {"projects": {"nodes": [project]}}}),
    }
}

/// The places in a plan, over a world in which everything is applied.
#[expect(clippy::too_many_lines, reason = "a table")]
fn in_a_plan() -> Vec<Place> {
    let gitlab = |what, path, answer| Place {
        what,
        command: PLAN,
        request: ("GET", path),
        answer,
        secrets: TOKEN,
    };
    let graphql = |what, answer| Place {
        what,
        command: PLAN,
        request: ("POST", "/api/graphql"),
        answer,
        secrets: TOKEN,
    };
    let web = |what, path, answer| Place {
        what,
        command: PLAN,
        request: ("GET", path),
        answer,
        secrets: ADMIN,
    };
    let factory = |what, path, answer| Place {
        what,
        command: PLAN,
        request: ("GET", path),
        answer,
        secrets: KEY,
    };
    vec![
        gitlab("an error in JSON", "/api/v4/metadata", |_, text| {
            data(500, &json!({"message": text}))
        }),
        gitlab("the version", "/api/v4/metadata", |_, text| {
            data(200, &json!({"version": text}))
        }),
        gitlab("plain text", "/api/v4/user", |_, text| {
            answer(403, "text/plain", text.to_owned())
        }),
        gitlab("a value of another type", "/api/v4/user", |_, text| {
            data(200, &json!({"id": 1, "username": "x", "is_admin": text}))
        }),
        gitlab("the name of a field", "/api/v4/user", |_, text| {
            data(422, &json!({"message": {text: [text, "no"]}}))
        }),
        gitlab("OAuth's description", "/api/v4/user", |_, text| {
            data(401, &json!({"error": "invalid_token", "error_description": text}))
        }),
        gitlab("the scopes that would do", "/api/v4/user", |_, text| {
            data(403, &json!({"error": "insufficient_scope", "scope": text}))
        }),
        gitlab("the path of a redirect", "/api/v4/user", |_, text| {
            redirect(&format!("/{}", text.replace([' ', '?', '#'], "/")))
        }),
        gitlab("a username", "/api/v4/users", |_, text| {
            data(
                200,
                &json!([{"id": 4, "username": "factory-droid", "name": text, "email": text, "state": "active"}]),
            )
        }),
        graphql("an error of GraphQL", |_, text| data(200, &shown("an error", text))),
        graphql("an id of GraphQL", |_, text| data(200, &shown("an id", text))),
        graphql("another shape of GraphQL", |_, text| data(200, &shown("a shape", text))),
        web("the title of a page", "/edit", |_, text| {
            page(200, &format!("<title>{0}</title><h1>{0}</h1>", html(text)))
        }),
        web("a warning on a page", "/edit", |_, text| {
            page(
                200,
                &format!("<title>x</title><div class=\"flash-alert\">{}</div>", html(text)),
            )
        }),
        factory(
            "what an integration says of itself",
            "/integrations/gitlab-sh",
            |_, text| {
                data(
                    200,
                    &json!({"integration": {"domain": "https://gitlab.example.com", "applicationId": "x",
                "status": "error", "statusDetail": text}}),
                )
            },
        ),
        factory("what an integration is", "/integrations/gitlab-sh", |_, text| {
            data(
                200,
                &json!({"integration": {"domain": text, "applicationId": text, "status": "connected",
                "authorizedUser": {"id": 1, "username": text}}}),
            )
        }),
        factory("the path of a repository", "/gitlab-sh/repositories", |_, text| {
            data(
                200,
                &json!({"repositories": [{"id": "999", "fullPath": format!("platform/{text}"), "enabled": false}],
                "pagination": {"hasMore": false}}),
            )
        }),
        factory("a status that is none", "/integrations/gitlab-sh", |_, text| {
            data(
                200,
                &json!({"integration": {"domain": "x", "applicationId": "x", "status": text}}),
            )
        }),
        factory("a detail of Factory's", "/integrations/gitlab-sh", |_, text| {
            data(403, &json!({"title": "no", "detail": text, "status": 403}))
        }),
    ]
}

/// The places in an apply that has everything to do.
#[expect(clippy::too_many_lines, reason = "a table")]
fn in_an_apply() -> Vec<Place> {
    let place = |what, request, answer, secrets| Place {
        what,
        command: APPLY,
        request,
        answer,
        secrets,
    };
    vec![
        place(
            "a refused application",
            ("POST", "/api/v4/applications"),
            |_, text| data(400, &json!({"message": {"redirect_uri": [text]}})),
            TOKEN,
        ),
        place(
            "a refused user",
            ("POST", "/api/v4/users"),
            |_, text| answer(409, "text/plain", text.to_owned()),
            &[GITLAB_TOKEN, DROID_PASSWORD],
        ),
        place(
            "a refused member",
            ("POST", "/members"),
            |_, text| data(201, &json!({"status": "error", "message": {"factory-droid": text}})),
            TOKEN,
        ),
        place(
            "a refused sign-in",
            ("POST", "/users/sign_in"),
            |_, text| {
                page(
                    422,
                    &format!(
                        "<title>x</title><div class=\"flash-alert\">{}</div><form action=\"/users/sign_in\" method=\"post\">\
                     <input name=\"user[login]\"></form>",
                        html(text)
                    ),
                )
            },
            DROID,
        ),
        place(
            "a refused authorization",
            ("GET", "/oauth/authorize"),
            |_, text| {
                page(
                    200,
                    &format!("<h3>An error has occurred</h3><main><pre>{}</pre></main>", html(text)),
                )
            },
            DROID,
        ),
        place(
            "why the droid does not consent",
            ("GET", "/oauth/authorize"),
            |request, text| {
                let query = request.query.as_deref().unwrap_or_default();
                let asked: std::collections::BTreeMap<_, _> =
                    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
                let mut back: url::Url = asked["redirect_uri"].parse().expect("a URL");
                back.query_pairs_mut().extend_pairs([
                    ("error", "access_denied"),
                    ("error_description", text),
                    ("state", asked["state"].as_str()),
                ]);
                redirect(back.as_str())
            },
            DROID,
        ),
        place(
            "another place to go to",
            ("GET", "/oauth/authorize"),
            |_, text| {
                let mut away: url::Url = "https://evil.example.com/".parse().expect("a URL");
                away.set_path(text);
                page(
                    200,
                    &format!("<title>Redirecting</title><a href=\"{away}?code=x\">here</a>"),
                )
            },
            DROID,
        ),
        place(
            "an authorize URL",
            ("POST", "/authorizations"),
            |_, text| {
                data(
                    201,
                    &json!({"authorizationUrl": format!("https://evil.example.com/{text}")}),
                )
            },
            KEY,
        ),
        place(
            "no authorize URL",
            ("POST", "/authorizations"),
            |_, text| data(201, &json!({"authorizationUrl": text})),
            KEY,
        ),
        place(
            "refused settings",
            ("PUT", "/integrations/gitlab-sh"),
            |_, text| {
                data(
                    422,
                    &json!({"title": "no", "status": 422, "errors": [{"path": text, "message": text}]}),
                )
            },
            KEY,
        ),
        place(
            "Factory's page",
            ("GET", "/integrations/redirect/gitlab-sh/callback"),
            |_, text| page(400, &format!("<h1>GitLab</h1><p>{}</p>", html(text))),
            KEY,
        ),
        place(
            "a refused repository",
            ("PATCH", "/gitlab-sh/repositories"),
            |request, text| {
                let asked: Value = serde_json::from_slice(&request.body).expect("JSON");
                let ids = asked["enable"].as_array().cloned().unwrap_or_default();
                let results: Vec<Value> = ids
                    .into_iter()
                    .map(|id| json!({"id": id, "enabled": false, "error": text}))
                    .collect();
                data(200, &json!({ "results": results }))
            },
            KEY,
        ),
    ]
}

fn in_doctor() -> Vec<Place> {
    let place = |what, path, answer, secrets| Place {
        what,
        command: DOCTOR,
        request: ("GET", path),
        answer,
        secrets,
    };
    vec![
        place(
            "the issuer",
            "/.well-known/openid-configuration",
            |_, text| data(200, &json!({ "issuer": text })),
            TOKEN,
        ),
        place(
            "the token's scopes",
            "/personal_access_tokens/self",
            |_, text| data(200, &json!({ "scopes": text })),
            TOKEN,
        ),
        place(
            "the state of an account",
            "/api/v4/users",
            |_, text| {
                data(
                    200,
                    &json!([{"id": 9, "username": "factory-droid", "name": "x", "email": "factory-droid@example.com",
                    "state": text}]),
                )
            },
            TOKEN,
        ),
        place(
            "a version",
            "/api/v4/metadata",
            |_, text| data(200, &json!({ "version": format!("18.5.1-{text}") })),
            TOKEN,
        ),
    ]
}

/// The places of a state backend.
fn in_the_record() -> Vec<Place> {
    let place = |what, request, answer| Place {
        what,
        command: APPLY,
        request,
        answer,
        secrets: STATE,
    };
    vec![
        place("who holds the lock", ("POST", LOCK), |_, text| {
            data(
                423,
                &json!({"ID": "1", "Who": text, "Operation": text, "Created": text, "Info": text}),
            )
        }),
        place("a lock's id", ("POST", LOCK), |_, text| {
            data(409, &json!({ "ID": text }))
        }),
        place("a damaged record", ("GET", "/terraform/state/setpoint"), |_, text| {
            data(200, &json!({"version": 1, "lineage": text, text: text}))
        }),
        place("a lost lock", ("POST", "/terraform/state/setpoint"), |_, text| {
            answer(409, "text/plain", text.to_owned())
        }),
        place("a failed write", ("POST", "/terraform/state/setpoint"), |_, text| {
            data(500, &json!({ "message": text }))
        }),
    ]
}

/// Lets one place after the other repeat; `prepare` puts both sides and the files back.
async fn in_each(sealed: &SealedFixture, places: Vec<Place>, prepare: impl Fn()) {
    let mut wrong = Vec::new();
    for (number, place) in places.into_iter().enumerate() {
        prepare();
        let text = said(place.secrets);
        let (method, end) = place.request;
        sealed.watch(move |request, phase| {
            if phase == Phase::Before && request.method == method && request.path.ends_with(end) {
                (place.answer)(request, &text)
            } else {
                Action::Pass
            }
        });
        let form: &[&str] = match number % 3 {
            0 => &["-vvv"],
            1 => &["-vvv", "--format", "json", "--log-format", "json"],
            _ => &["--format", "markdown"],
        };
        let ran = sealed.run(&[place.command, form].concat()).await;
        let mut all = format!("{}\n{}", ran.stdout, ran.stderr);
        if !all.contains("***") || !matches!(ran.code, 0..=4) {
            wrong.push(format!(
                "{}: it is not repeated at all ({})\n{all}",
                place.what, ran.code
            ));
        }
        for name in ["state.json", "journal.jsonl"] {
            all += &std::fs::read_to_string(sealed.fixture.path(".setpoint").join(name)).unwrap_or_default();
        }
        // Not even a part of one is left.
        if all.to_lowercase().contains(CANARY) {
            wrong.push(format!("{}\n{all}", place.what));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n=====\n"));
}

#[tokio::test]
async fn a_plan_repeats_nothing_at_any_place() {
    let sealed = SealedFixture::new().await;
    sealed.run(APPLY).await.expect(0);
    let record = std::fs::read(sealed.fixture.path(".setpoint/state.json")).expect("the record");
    in_each(&sealed, in_a_plan(), || {
        std::fs::write(sealed.fixture.path(".setpoint/state.json"), &record).expect("the record");
    })
    .await;
    in_each(&sealed, in_doctor(), || {}).await;
}

#[tokio::test]
async fn an_apply_repeats_nothing_at_any_place() {
    let sealed = SealedFixture::new().await;
    let world = sealed.fixture.world(|world| world.clone());
    in_each(&sealed, in_an_apply(), || {
        sealed.fixture.world(|now| *now = world.clone());
        let _ = std::fs::remove_dir_all(sealed.fixture.path(".setpoint"));
        let _ = std::fs::remove_file(sealed.fixture.path(STORE));
    })
    .await;
}

#[tokio::test]
async fn a_state_backend_is_not_repeated_at_any_place() {
    let sealed = SealedFixture::new().await;
    let base = format!(
        "{}/api/v4/projects/1/terraform/state/setpoint",
        sealed.fixture.sandbox.gitlab_url()
    );
    sealed.fixture.edit_config(
        "[repositories]",
        &format!(
            "[state]\nurl = \"{base}\"\nlock_url = \"{base}/lock\"\nunlock_url = \"{base}/lock\"\nlock_method = \"POST\"\n\
             unlock_method = \"DELETE\"\nusername = \"root\"\npassword = {{ env = \"STATE_PASSWORD\" }}\n\n[repositories]"
        ),
    );
    // GitLab takes the token for a password.
    sealed.fixture.world(|world| {
        let mut token = world.personal_tokens[0].clone();
        token.token_digest = setpoint::sandbox::world::digest(STATE_PASSWORD);
        world.personal_tokens.push(token);
    });
    let world = sealed.fixture.world(|world| world.clone());
    in_each(&sealed, in_the_record(), || {
        sealed.fixture.world(|now| *now = world.clone());
        let _ = std::fs::remove_dir_all(sealed.fixture.path(".setpoint"));
        let _ = std::fs::remove_file(sealed.fixture.path(STORE));
    })
    .await;
}
