//! Instance-wide OAuth applications. There is no way to edit one, `trusted` is dropped without a word, and the list
//! has no pages.
//!
//! GitLab: lib/api/applications.rb, lib/api/entities/application.rb.

use axum::Router;
use axum::response::Response;
use axum::routing::{delete, get, post};
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::{answers, entities};
use crate::state::App;
use crate::world::{Application, World, digest, random_hex};

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api/v4/applications", get(list).post(create))
        .route("/api/v4/applications/{id}", delete(remove))
        .route("/api/v4/applications/{id}/renew-secret", post(renew))
}

async fn list(call: Call) -> Answer {
    call.app.read(|world| {
        call.admin(world)?;
        let all: Vec<Value> = world
            .applications
            .iter()
            .map(|application| entities::application(world, application))
            .collect();
        Ok(answers::json_answer(200, &Value::Array(all)))
    })
}

async fn create(call: Call) -> Answer {
    call.app.read(|world| call.admin(world))?;
    required(&call)?;
    let name = call.params.text("name").unwrap_or_default();
    let redirect_uri = call.params.text("redirect_uri").unwrap_or_default();
    let scopes = call.params.text("scopes").unwrap_or_default();
    let confidential = call.params.truth("confidential")?.unwrap_or(true);
    call.app.write(|world| {
        let faults = faults(world, &name, &redirect_uri, &scopes);
        if !faults.is_empty() {
            return Err(answers::json_answer(400, &json!({ "message": faults })));
        }
        let id = world.next_id("application");
        let mut application = Application {
            id,
            uid: random_hex(32),
            name,
            redirect_uri,
            scopes: scopes.split_whitespace().map(str::to_owned).collect(),
            confidential,
            trusted: false,
            created_at: world.now(),
            ..Application::default()
        };
        let secret = give_secret(&mut application, world.switches.hash_secrets);
        let mut body = entities::application(world, &application);
        entities::extend(&mut body, json!({ "secret": secret }));
        world.applications.push(application);
        Ok(answers::json_answer(201, &body))
    })
}

async fn remove(call: Call) -> Answer {
    let id = call.id("id")?;
    call.app.write(|world| {
        call.admin(world)?;
        if remove_application(world, id) {
            Ok(answers::no_content())
        } else {
            Err(answers::not_found("Application"))
        }
    })
}

async fn renew(call: Call) -> Answer {
    let id = call.id("id")?;
    call.app.write(|world| {
        call.admin(world)?;
        let hashed = world.switches.hash_secrets;
        let Some(position) = world.applications.iter().position(|application| application.id == id) else {
            return Err(answers::not_found("Application"));
        };
        let secret = give_secret(&mut world.applications[position], hashed);
        let mut body = entities::application(world, &world.applications[position]);
        entities::extend(&mut body, json!({ "secret": secret }));
        Ok(answers::json_answer(201, &body))
    })
}

/// What Grape finds missing; `scopes` must also not be blank.
fn required(call: &Call) -> Result<(), Response> {
    let mut missing: Vec<&str> = Vec::new();
    if !call.params.has("name") {
        missing.push("name is missing");
    }
    if !call.params.has("redirect_uri") {
        missing.push("redirect_uri is missing");
    }
    if !call.params.has("scopes") {
        missing.push("scopes is missing");
    }
    if call.params.filled("scopes").is_none() {
        missing.push("scopes is empty");
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(answers::error(400, &missing.join(", ")))
    }
}

/// What the model finds wrong with an application: texts by field. The admin form shows the same.
pub(crate) fn faults(world: &World, name: &str, redirect_uri: &str, scopes: &str) -> serde_json::Map<String, Value> {
    let mut faults = serde_json::Map::new();
    if name.trim().is_empty() {
        faults.insert("name".to_owned(), json!(["can't be blank"]));
    }
    let found = redirect_faults(world, redirect_uri);
    if !found.is_empty() {
        faults.insert("redirect_uri".to_owned(), json!(found));
    }
    let known = world.switches.known_scopes();
    if scopes.split_whitespace().any(|scope| !known.contains(&scope)) {
        faults.insert("scopes".to_owned(), json!(["doesn't match configured on the server."]));
    }
    faults
}

fn redirect_faults(world: &World, redirect_uri: &str) -> Vec<&'static str> {
    if redirect_uri.trim().is_empty() {
        return vec!["can't be blank"];
    }
    let invalid = if world.switches.at_least(17, 0) {
        "must be a valid URI."
    } else {
        "must be an absolute URI."
    };
    let mut found: Vec<&'static str> = Vec::new();
    for line in redirect_uri
        .split_whitespace()
        .filter(|line| *line != "urn:ietf:wg:oauth:2.0:oob")
    {
        let faults: Vec<&'static str> = match url::Url::parse(line) {
            Err(_) => vec![invalid],
            Ok(uri) => {
                // What has no authority has no scheme that counts (Doorkeeper: `unspecified_scheme?`).
                let opaque = uri.cannot_be_a_base() || uri.scheme() == "localhost";
                let forbidden = matches!(uri.scheme(), "javascript" | "data" | "vbscript");
                [
                    (forbidden, "is forbidden by the server."),
                    (uri.fragment().is_some(), "cannot contain a fragment."),
                    (opaque, "must specify a scheme."),
                ]
                .into_iter()
                .filter_map(|(found, fault)| found.then_some(fault))
                .collect()
            }
        };
        for fault in faults {
            if !found.contains(&fault) {
                found.push(fault);
            }
        }
    }
    found
}

/// Gives an application a new secret, and gives the secret.
pub(crate) fn give_secret(application: &mut Application, hashed: bool) -> String {
    let secret = format!("gloas-{}", random_hex(32));
    application.secret_digest = digest(&secret);
    application.secret_plain = (!hashed).then(|| secret.clone());
    secret
}

/// Deletes an application with all grants and tokens that it was given.
pub(crate) fn remove_application(world: &mut World, id: u64) -> bool {
    let before = world.applications.len();
    world.applications.retain(|application| application.id != id);
    world.grants.retain(|grant| grant.application_id != id);
    world.oauth_tokens.retain(|token| token.application_id != id);
    world.applications.len() != before
}
