//! GitLab-managed Terraform state: Terraform's HTTP backend protocol, with locks, basic authentication and all.
//!
//! GitLab: lib/api/terraform/state.rb, `app/services/terraform/remote_state_handler.rb`. Each stored version takes its
//! number from `serial` of the document, which therefore must be new (422 otherwise), and the highest number is what is
//! served; a write whose lock id does not match is an error that GitLab does not catch (500). What is locked is not
//! deleted, although the answer says so (`app/services/terraform/states/trigger_destroy_service.rb`).

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::answers;
use super::call::{Answer, Call};
use super::rest_projects::{find_project, roles_of};
use crate::state::App;
use crate::world::{TerraformLock, TerraformState, World};

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route(
            "/api/v4/projects/{id}/terraform/state/{name}",
            get(read).post(store).delete(remove),
        )
        .route(
            "/api/v4/projects/{id}/terraform/state/{name}/lock",
            post(lock).delete(unlock),
        )
}

/// Who asks (user id) and the project; developers read, maintainers write.
fn place(call: &Call, world: &World, writing: bool) -> Result<(u64, u64), Response> {
    let caller = call.caller(world)?;
    let roles = roles_of(world, Some(&caller));
    let project = find_project(call, world, &roles)?;
    let needed = if writing { 40 } else { 30 };
    if !caller.admin && roles.in_project(project) < needed {
        return Err(answers::forbidden());
    }
    Ok((caller.user_id, project.id))
}

fn find<'w>(world: &'w World, project_id: u64, name: &str) -> Option<&'w TerraformState> {
    world
        .terraform_states
        .iter()
        .find(|state| state.project_id == project_id && state.name == name)
}

fn find_or_create<'w>(world: &'w mut World, project_id: u64, name: &str) -> &'w mut TerraformState {
    let known = world
        .terraform_states
        .iter()
        .position(|state| state.project_id == project_id && state.name == name);
    let index = known.unwrap_or_else(|| {
        world.terraform_states.push(TerraformState {
            project_id,
            name: name.to_owned(),
            ..TerraformState::default()
        });
        world.terraform_states.len() - 1
    });
    &mut world.terraform_states[index]
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

async fn read(call: Call) -> Answer {
    call.app.read(|world| {
        let (_, project_id) = place(&call, world, false)?;
        let state = find(world, project_id, call.path("name")).ok_or_else(|| answers::message(404, "404 Not found"))?;
        Ok(match &state.content {
            Some(content) => answers::answer(200, "application/octet-stream", content.clone()),
            None => answers::no_content(),
        })
    })
}

async fn store(call: Call) -> Answer {
    call.app.write(|world| {
        let (_, project_id) = place(&call, world, true)?;
        if call.body.is_empty() {
            return Ok(answers::no_content());
        }
        let content = String::from_utf8_lossy(&call.body).into_owned();
        let serial = match serde_json::from_str::<Value>(&content) {
            Ok(document) => document.get("serial").and_then(Value::as_u64),
            Err(_) => return Err(answers::message(422, "invalid JSON")),
        };
        let serial = serial.ok_or_else(|| answers::message(422, "No serial in payload"))?;
        let state = find_or_create(world, project_id, call.path("name"));
        if !matches_lock(state, call.params.text("ID").as_deref()) {
            return Err(answers::message(500, "500 Internal Server Error"));
        }
        if !state.serials.insert(serial) {
            return Err(answers::message(
                422,
                "PG::UniqueViolation: ERROR:  duplicate key value violates unique constraint \
                 \"index_terraform_state_versions_on_state_id_and_version\"",
            ));
        }
        if state.serials.last() == Some(&serial) {
            state.content = Some(content);
        }
        Ok(empty(StatusCode::OK))
    })
}

async fn remove(call: Call) -> Answer {
    call.app.write(|world| {
        let (_, project_id) = place(&call, world, true)?;
        let name = call.path("name").to_owned();
        let state = find(world, project_id, &name).ok_or_else(|| answers::message(404, "404 Not found"))?;
        if state.lock.is_none() {
            world
                .terraform_states
                .retain(|state| state.project_id != project_id || state.name != name);
        }
        Ok(empty(StatusCode::OK))
    })
}

async fn lock(call: Call) -> Answer {
    const NEEDED: [&str; 7] = ["ID", "Operation", "Info", "Who", "Version", "Created", "Path"];
    call.app.write(|world| {
        let (user_id, project_id) = place(&call, world, true)?;
        call.params.require(&NEEDED)?;
        let text = |name: &str| call.params.text(name).unwrap_or_default();
        let now = world.now().to_string();
        let state = find_or_create(world, project_id, call.path("name"));
        let held = state.lock.is_some();
        if !held {
            state.lock = Some(TerraformLock {
                id: text("ID"),
                user_id,
                created: now,
            });
        }
        let lock = state.lock.clone().unwrap_or_default();
        let who = world.user(lock.user_id).map(|user| user.username.clone());
        // What the loser sees: the holder's id, user and time, and the loser's own words for the rest.
        let body = json!({
            "Operation": text("Operation"), "Info": text("Info"), "Version": text("Version"), "Path": text("Path"),
            "ID": lock.id, "Who": who, "Created": lock.created,
        });
        Ok(answers::answer(
            if held { 409 } else { 200 },
            "application/octet-stream",
            body.to_string(),
        ))
    })
}

async fn unlock(call: Call) -> Answer {
    call.app.write(|world| {
        let (_, project_id) = place(&call, world, true)?;
        let id = call.params.text("ID");
        let state = find_or_create(world, project_id, call.path("name"));
        // `terraform force-unlock` sends no id.
        if id.is_some() && !matches_lock(state, id.as_deref()) {
            return Ok(empty(StatusCode::CONFLICT));
        }
        state.lock = None;
        Ok(empty(StatusCode::OK))
    })
}

fn matches_lock(state: &TerraformState, id: Option<&str>) -> bool {
    state.lock.as_ref().map_or("", |lock| lock.id.as_str()) == id.unwrap_or_default()
}
