//! GitLab's GraphQL endpoint.
//!
//! Documents, and the types and values of variables, are judged by a GraphQL engine that nobody here wrote
//! (apollo-compiler) against `schema.graphql`, which declares what GitLab's own classes declare. So a query that
//! GitLab refuses is refused here, whatever the product believes. What is left to us is what GitLab adds to a schema:
//! limits (`complexity`), the words of its library for what is refused (`refusals`), and the data (`resolvers`).

mod complexity;
mod refusals;
mod resolvers;

use std::sync::LazyLock;

use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::resolvers::Execution;
use apollo_compiler::response::JsonMap;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use axum::Router;
use axum::response::Response;
use axum::routing::post;
use serde_json::{Map, Value, json};

use super::answers;
use super::auth;
use super::call::{Answer, Call};
use super::rest_projects::roles_of;
use crate::state::App;
use resolvers::Context;

/// The longest query in characters, variables aside (`app/controllers/graphql_controller.rb`).
const LONGEST_QUERY: usize = 10_000;

static SCHEMA: LazyLock<Result<Valid<Schema>, String>> = LazyLock::new(|| {
    Schema::parse_and_validate(include_str!("graphql/schema.graphql"), "schema.graphql")
        .map_err(|faults| faults.to_string())
});

pub(crate) fn router() -> Router<App> {
    Router::new().route("/api/graphql", post(run))
}

async fn run(call: Call) -> Answer {
    let query = call.params.text("query").unwrap_or_default();
    let variables = match call.params.value("variables") {
        Some(Value::Object(map)) => map.clone(),
        // A form sends them as a text.
        Some(Value::String(text)) if !text.trim().is_empty() => {
            serde_json::from_str(text).map_err(|_| error(422, &format!("Unexpected parameter: {text}")))?
        }
        _ => Map::new(),
    };
    let operation = call.params.filled("operationName");
    call.app.read(|world| {
        let caller = auth::identify(world, &call.parts, &["api", "read_api"]).map_err(|refusal| {
            // A wrong token is told apart from none.
            match refusal.status().as_u16() {
                401 => error(401, "Invalid token"),
                _ => refusal,
            }
        })?;
        if query.chars().count() > LONGEST_QUERY {
            return Err(error(422, "Query too large"));
        }
        let schema = SCHEMA.as_ref().map_err(|fault| error(500, fault))?;
        let limit = complexity::limit(caller.as_ref().map(|caller| caller.admin));
        let answer = answer(
            schema,
            &query,
            operation.as_deref(),
            variables,
            Context {
                world,
                roles: roles_of(world, caller.as_ref()),
                caller: caller.map(|caller| caller.user_id),
                base: &call.base,
                score: 0,
                limit,
            },
        );
        Ok(answers::json_answer(200, &answer))
    })
}

/// What GitLab answers where a query was not even looked at.
fn error(status: u16, message: &str) -> Response {
    answers::json_answer(status, &json!({ "errors": [{ "message": message }] }))
}

/// The body of the answer to a query: its data, or why GitLab does not run it.
fn answer(
    schema: &Valid<Schema>,
    query: &str,
    operation: Option<&str>,
    variables: Map<String, Value>,
    mut context: Context<'_>,
) -> Value {
    if query.trim().is_empty() {
        return refused(&[json!({ "message": "Unexpected end of document", "locations": [] })]);
    }
    let document = match ExecutableDocument::parse_and_validate(schema, query, "query.graphql") {
        Ok(document) => document,
        Err(faults) => return refused(&refusals::of_document(&faults.errors)),
    };
    let Ok(operation) = document.operations.get(operation) else {
        return refused(&[refusals::of_operation(operation)]);
    };
    let given: JsonMap = variables
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let variables = match coerce_variable_values(schema, operation, &given) {
        Ok(variables) => variables,
        Err(fault) => {
            return refused(&[refusals::of_variable(&fault, operation, &given, &document.sources)]);
        }
    };
    context.score = complexity::score(&document, operation, &variables);
    if context.score > context.limit {
        return refused(&[json!({ "message": format!(
            "Query has complexity of {}, which exceeds max complexity of {}",
            context.score, context.limit
        ) })]);
    }
    let answer = Execution::new(schema, &document)
        .operation(operation)
        .coerced_variable_values(&variables)
        .enable_schema_introspection(true)
        .execute_sync(&context);
    match answer {
        Ok(answer) => json!(answer),
        Err(fault) => refused(&[json!(fault.to_graphql_error(&document.sources))]),
    }
}

fn refused(errors: &[Value]) -> Value {
    json!({ "errors": errors })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gitlab::access::Roles;
    use crate::world::World;

    pub(super) fn ask(query: &str, variables: Value) -> Value {
        let world = World::builtin();
        let root = world.user_named("root").unwrap().id;
        let Value::Object(variables) = variables else {
            panic!("variables are an object")
        };
        let context = Context {
            roles: Roles::of(&world, Some(root), true),
            world: &world,
            caller: Some(root),
            base: "https://gitlab.example.com",
            score: 0,
            limit: complexity::limit(Some(true)),
        };
        answer(SCHEMA.as_ref().unwrap(), query, None, variables, context)
    }

    /// As graphql-ruby 2.6.3, the version that GitLab 19.3 locks, answers over the same schema.
    #[test]
    fn a_list_of_ids_is_refused_where_paths_are_texts() {
        let query = "query($paths: [ID!]) { projects(fullPaths: $paths) { nodes { id } } }";
        let answer = ask(query, json!({ "paths": ["web/storefront"] }));
        assert!(answer.get("data").is_none(), "{answer}");
        let error = &answer["errors"][0];
        assert_eq!(
            error["message"],
            "Type mismatch on variable $paths and argument fullPaths ([ID!] / [String!])"
        );
        assert_eq!(
            error["extensions"],
            json!({
                "code": "variableMismatch", "variableName": "paths", "typeName": "[ID!]", "argumentName": "fullPaths",
                "errorMessage": "Type mismatch",
            })
        );
        let right = query.replace("ID", "String");
        assert!(ask(&right, json!({ "paths": ["web/storefront"] }))["data"]["projects"]["nodes"][0]["id"].is_string());
    }

    #[test]
    fn a_page_holds_a_hundred_and_the_rest_follows() {
        let query = "query($after: String) { projects(first: 1000, after: $after) { count nodes { id } pageInfo { hasNextPage endCursor } } }";
        let mut world = World::builtin();
        let some = world.projects[0].clone();
        world.projects = (1..=150)
            .map(|id| crate::world::Project {
                id,
                full_path: format!("many/p{id}"),
                ..some.clone()
            })
            .collect();
        let ask = |after: Value| {
            let Value::Object(variables) = json!({ "after": after }) else {
                unreachable!()
            };
            let context = Context {
                roles: Roles::of(&world, None, true),
                world: &world,
                caller: None,
                base: "https://gitlab.example.com",
                score: 0,
                limit: 300,
            };
            answer(SCHEMA.as_ref().unwrap(), query, None, variables, context)["data"]["projects"].clone()
        };
        let first = ask(Value::Null);
        assert_eq!(
            (&first["count"], first["nodes"].as_array().unwrap().len()),
            (&json!(150), 100)
        );
        let second = ask(first["pageInfo"]["endCursor"].clone());
        assert_eq!(second["nodes"].as_array().unwrap().len(), 50);
        assert_eq!(second["pageInfo"]["hasNextPage"], false);
    }

    #[test]
    fn fifty_one_paths_are_an_error_of_that_field_alone() {
        let paths: Vec<String> = (0..51).map(|number| format!("a/{number}")).collect();
        let answer = ask(
            "query($p: [String!]) { projects(fullPaths: $p) { count } currentUser { username } }",
            json!({ "p": paths }),
        );
        assert_eq!(
            answer["data"],
            json!({ "projects": null, "currentUser": { "username": "root" } })
        );
        assert_eq!(answer["errors"][0]["path"], json!(["projects"]));
    }

    #[test]
    fn directives_fragments_and_type_names_are_followed() {
        let answer = ask(
            "query($with: Boolean!) { currentUser { ...names id @include(if: $with) ... on CurrentUser { id @skip(if: true) __typename } } } fragment names on CurrentUser { username }",
            json!({ "with": false }),
        );
        assert_eq!(
            answer["data"]["currentUser"],
            json!({ "username": "root", "__typename": "CurrentUser" })
        );
    }
}
