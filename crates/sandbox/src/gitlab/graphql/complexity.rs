//! How GitLab weighs a query (`app/graphql/types/base_field.rb`,
//! `app/graphql/resolvers/base_resolver.rb`): one for each
//! field, one more for a sort order, five more for a search, and for a list one hundredth more for each object that a
//! page may hold. GitLab 19.3 itself reckoned 113 for 33 groups beside a list of projects with five fields.

use apollo_compiler::ExecutableDocument;
use apollo_compiler::ast::Value;
use apollo_compiler::collections::IndexMap;
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};
use apollo_compiler::response::{JsonMap, JsonValue};

pub(super) const PAGE: usize = 100;

/// The most complex query: for nobody, for somebody, for an administrator (`app/graphql/gitlab_schema.rb`).
pub(super) fn limit(admin: Option<bool>) -> usize {
    match admin {
        None => 200,
        Some(false) => 250,
        Some(true) => 300,
    }
}

/// The complexity of an operation.
pub(super) fn score(document: &ExecutableDocument, operation: &Operation, variables: &JsonMap) -> usize {
    of_selections(document, &[&operation.selection_set], variables)
}

/// Selections of one object: what is selected twice under one name is one field.
fn of_selections(document: &ExecutableDocument, sets: &[&SelectionSet], variables: &JsonMap) -> usize {
    let mut fields: IndexMap<&str, Vec<&Field>> = IndexMap::default();
    for set in sets {
        collect(document, set, &mut fields);
    }
    fields.values().fold(0, |sum, fields| {
        sum.saturating_add(of_field(document, fields, variables))
    })
}

fn collect<'d>(
    document: &'d ExecutableDocument,
    set: &'d SelectionSet,
    fields: &mut IndexMap<&'d str, Vec<&'d Field>>,
) {
    for selection in &set.selections {
        match selection {
            Selection::Field(field) => fields.entry(field.response_key().as_str()).or_default().push(field),
            Selection::InlineFragment(fragment) => collect(document, &fragment.selection_set, fields),
            // A valid document has no fragment that leads back to itself.
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = spread.fragment_def(document) {
                    collect(document, &fragment.selection_set, fields);
                }
            }
        }
    }
}

fn of_field(document: &ExecutableDocument, fields: &[&Field], variables: &JsonMap) -> usize {
    let inner: Vec<&SelectionSet> = fields.iter().map(|field| &field.selection_set).collect();
    let Some(field) = fields.first() else { return 0 };
    let given = |name: &str| {
        field
            .specified_argument_by_name(name)
            .filter(|value| !is_null(value, variables))
    };
    let mut own = of_selections(document, &inner, variables).saturating_add(1);
    if given("sort").is_some() {
        own = own.saturating_add(1);
    }
    if given("search").is_some() {
        own = own.saturating_add(5);
    }
    if field.ty().inner_named_type().ends_with("Connection") {
        let size = |name| given(name).and_then(|value| number(value, variables));
        let page = [size("first"), size("last"), Some(PAGE)]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(PAGE);
        own = own.saturating_add(own.saturating_mul(page) / 100);
    }
    own
}

fn is_null(value: &Value, variables: &JsonMap) -> bool {
    match value {
        Value::Null => true,
        Value::Variable(name) => variables.get(name.as_str()).is_none_or(JsonValue::is_null),
        _ => false,
    }
}

fn number(value: &Value, variables: &JsonMap) -> Option<usize> {
    match value {
        Value::Int(number) => usize::try_from(number.try_to_i32().ok()?).ok(),
        Value::Variable(name) => usize::try_from(variables.get(name.as_str())?.as_u64()?).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::gitlab::graphql::tests::ask;
    use serde_json::{Value, json};

    fn score(query: &str) -> Value {
        let query = query.replacen('{', "{ queryComplexity { score } ", 1);
        // What asks for the score weighs two itself.
        json!(
            ask(&query, json!({}))["data"]["queryComplexity"]["score"]
                .as_u64()
                .unwrap()
                - 2
        )
    }

    #[test]
    fn a_query_weighs_what_gitlab_said_it_weighs() {
        let groups: Vec<String> = (0..33)
            .map(|number| format!("g{number}: group(fullPath: \"x\") {{ id fullPath }}"))
            .collect();
        let projects = "projects(fullPaths: [\"x\"]) { nodes { id fullPath visibility archived markedForDeletionOn } }";
        assert_eq!(score(&format!("{{ {projects} {} }}", groups.join(" "))), 113);
    }

    #[test]
    fn sort_search_and_size_of_a_page_count() {
        assert_eq!(score("{ projects(first: 10) { nodes { id } } }"), 3);
        assert_eq!(score("{ projects(first: 50) { nodes { id } } }"), 4);
        assert_eq!(
            score("{ projects(sort: \"id_asc\", search: \"x\") { nodes { id } } }"),
            18
        );
        assert_eq!(
            score("{ a: currentUser { id } ... on Query { a: currentUser { id } } }"),
            2
        );
    }
}
