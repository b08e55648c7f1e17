//! GitLab's GraphQL endpoint, the part of it that clients of this kind use: `currentUser`, `metadata`, `project`,
//! `projects(fullPaths:)`, `group`, `groups`, `user`, `users`, with aliases, arguments and variables.
//!
//! Faults of a query are a 200 with `errors`, as GitLab gives them (lib/gitlab/graphql/). Projects and groups that the
//! caller cannot see are absent, or null.

mod parser;
mod schema;

use axum::Router;
use axum::routing::post;
use serde_json::{Map, Value, json};

use super::answers;
use super::auth;
use super::call::{Answer, Call};
use super::rest_projects::roles_of;
use crate::state::App;
use parser::{Document, Fault, Field, Selection};
use schema::{Context, Object};

/// The longest query, variables aside.
const LONGEST_QUERY: usize = 10_000;
/// The most complex query for somebody, and for nobody.
const COMPLEXITY: (u32, u32) = (250, 200);

pub(crate) fn router() -> Router<App> {
    Router::new().route("/api/graphql", post(run))
}

async fn run(call: Call) -> Answer {
    let query = call.params.text("query").unwrap_or_default();
    let variables = match call.params.value("variables") {
        Some(Value::Object(map)) => map.clone(),
        // A form sends them as a text.
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        _ => Map::new(),
    };
    let operation = call.params.filled("operationName");
    call.app.read(|world| {
        // A wrong token is told apart from none (app/controllers/graphql_controller.rb).
        let caller = auth::identify(world, &call.parts, &["api", "read_api"]).map_err(|refusal| {
            if refusal.status() == 401 {
                answers::json_answer(401, &json!({ "errors": [{ "message": "Invalid token" }] }))
            } else {
                refusal
            }
        })?;
        if query.is_empty() {
            return Ok(errors(&[Fault::new("Unexpected end of document")]));
        }
        if query.len() > LONGEST_QUERY {
            return Ok(errors(&[Fault::new("Query too large")]));
        }
        let document = match Document::parse(&query) {
            Ok(document) => document,
            Err(fault) => return Ok(errors(&[fault])),
        };
        let fields = match document.fields(operation.as_deref(), &variables) {
            Ok(fields) => fields,
            Err(faults) => return Ok(errors(&faults)),
        };
        let limit = if caller.is_some() { COMPLEXITY.0 } else { COMPLEXITY.1 };
        let complexity = complexity(&fields);
        if complexity > limit {
            let text = format!("Query has complexity of {complexity}, which exceeds max complexity of {limit}");
            return Ok(errors(&[Fault::new(&text)]));
        }
        let context = Context {
            world,
            roles: roles_of(world, caller.as_ref()),
            caller,
            base: &call.base,
        };
        let mut faults = Vec::new();
        let data = resolve(&context, &Object::Query, &fields, &mut Vec::new(), &mut faults);
        if faults.is_empty() {
            return Ok(answers::json_answer(200, &json!({ "data": data })));
        }
        // A fault of the schema means that nothing was run; one of a value leaves the rest.
        if faults.iter().any(|fault| fault.fatal) {
            return Ok(errors(&faults));
        }
        let list: Vec<Value> = faults.iter().map(Fault::to_json).collect();
        Ok(answers::json_answer(200, &json!({ "data": data, "errors": list })))
    })
}

fn errors(faults: &[Fault]) -> axum::response::Response {
    let list: Vec<Value> = faults.iter().map(Fault::to_json).collect();
    answers::json_answer(200, &json!({ "errors": list }))
}

/// One point a field; the fields of a list count twice, which is near what GitLab computes for small pages.
fn complexity(fields: &[Field]) -> u32 {
    fields.iter().fold(0, |sum, field| {
        let inner = complexity(&field.fields);
        let weight = if field.name == "nodes" || field.name == "edges" {
            2
        } else {
            1
        };
        sum.saturating_add(1).saturating_add(inner.saturating_mul(weight))
    })
}

/// Resolves the fields of an object; each answer stands under its alias.
fn resolve(
    context: &Context<'_>,
    object: &Object<'_>,
    fields: &[Field],
    path: &mut Vec<String>,
    faults: &mut Vec<Fault>,
) -> Value {
    let mut result = Map::new();
    for field in fields {
        path.push(field.alias.clone());
        let value = match context.field(object, field) {
            Ok(Selection::Value(value)) => {
                // A null may stand for an object that is not there.
                if !field.fields.is_empty() && !value.is_null() {
                    faults.push(Fault::schema(&format!(
                        "Selections can't be made on scalars (field '{}' returns a scalar but has selections)",
                        field.name
                    )));
                }
                value
            }
            Ok(Selection::Nothing) => {
                need_selection(field, faults);
                Value::Null
            }
            Ok(Selection::One(inner)) => {
                need_selection(field, faults);
                resolve(context, &inner, &field.fields, path, faults)
            }
            Ok(Selection::Many(inner)) => {
                need_selection(field, faults);
                Value::Array(
                    inner
                        .iter()
                        .map(|object| resolve(context, object, &field.fields, path, faults))
                        .collect(),
                )
            }
            Err(mut fault) => {
                if !fault.fatal {
                    fault.path.clone_from(path);
                }
                faults.push(fault);
                Value::Null
            }
        };
        path.pop();
        result.insert(field.alias.clone(), value);
    }
    Value::Object(result)
}

fn need_selection(field: &Field, faults: &mut Vec<Fault>) {
    if field.fields.is_empty() {
        faults.push(Fault::schema(&format!(
            "Field must have selections (field '{}' returns an object)",
            field.name
        )));
    }
}
