//! What the engine refuses, told as graphql-ruby tells it, which GitLab runs: same code, and same words where they can
//! be made of the names in the engine's. What is in no row keeps the engine's words, and has no code.
//!
//! The right column is what graphql-ruby 2.6.3 answers over the same schema; the tests below hold it fast.

use apollo_compiler::diagnostic::Diagnostic;
use apollo_compiler::executable::Operation;
use apollo_compiler::parser::SourceMap;
use apollo_compiler::request::RequestError;
use apollo_compiler::response::JsonMap;
use apollo_compiler::validation::{DiagnosticData, DiagnosticList};
use serde_json::{Value, json};

struct Row {
    /// The engine's words; `{}` stands for a name.
    engine: &'static str,
    code: &'static str,
    /// graphql-ruby's words; `{0}` is the engine's first name. Empty: the engine's words stay.
    words: &'static str,
    /// What else stands beside the code, by the number of the name.
    names: &'static [(&'static str, usize)],
}

const fn row(
    engine: &'static str,
    code: &'static str,
    words: &'static str,
    names: &'static [(&'static str, usize)],
) -> Row {
    Row {
        engine,
        code,
        words,
        names,
    }
}

const MISMATCH: &str = "variableMismatch";

const ROWS: [Row; 27] = [
    row(
        "variable `${}` of type `{}` cannot be used for argument `{}` of type `{}`",
        MISMATCH,
        "on variable ${0} and argument {2} ({1} / {3})",
        &[("variableName", 0), ("typeName", 1), ("argumentName", 2)],
    ),
    row(
        "type `{}` does not have a field `{}`",
        "undefinedField",
        "Field '{1}' doesn't exist on type '{0}'",
        &[("typeName", 0), ("fieldName", 1)],
    ),
    row(
        "the required argument `{}.{}({}:)` is not provided",
        "missingRequiredArguments",
        "Field '{1}' is missing required arguments: {2}",
        &[("name", 1), ("arguments", 2)],
    ),
    row(
        "the required argument `@{}({}:)` is not provided",
        "missingRequiredArguments",
        "Directive '{0}' is missing required arguments: {1}",
        &[("name", 0), ("arguments", 1)],
    ),
    row(
        "the argument `{}` is not supported by `{}.{}`",
        "argumentNotAccepted",
        "Field '{2}' doesn't accept argument '{0}'",
        &[("name", 2), ("argumentName", 0)],
    ),
    row(
        "the argument `{}` is not supported by {}",
        "argumentNotAccepted",
        "",
        &[("argumentName", 0)],
    ),
    row(
        "the argument `{}` is provided multiple times",
        "argumentNotUnique",
        "There can be only one argument named \"{0}\"",
        &[("name", 0)],
    ),
    row(
        "expected value of type {}, found {}",
        "argumentLiteralsIncompatible",
        "",
        &[],
    ),
    row(
        "value `{}` does not exist on `{}`",
        "argumentLiteralsIncompatible",
        "",
        &[],
    ),
    row("int cannot represent {}", "argumentLiteralsIncompatible", "", &[]),
    row("unused variable: `${}`", "variableNotUsed", "", &[("variableName", 0)]),
    row(
        "variable `${}` is not defined",
        "variableNotDefined",
        "",
        &[("variableName", 0)],
    ),
    row(
        "the variable `${}` is declared multiple times",
        "variableNotUnique",
        "There can only be one variable named \"{0}\"",
        &[("variableName", 0)],
    ),
    row(
        "`${}` variable must be of an input type",
        "variableRequiresValidType",
        "",
        &[("variableName", 0)],
    ),
    row(
        "interface, union and object types must have a subselection set",
        "selectionMismatch",
        "",
        &[],
    ),
    row(
        "field selection of {} type `{}` must not have subselections",
        "selectionMismatch",
        "",
        &[("typeName", 1)],
    ),
    row(
        "cannot find fragment `{}` in this document",
        "useAndDefineFragment",
        "Fragment {0} was used, but not defined",
        &[("fragmentName", 0)],
    ),
    row(
        "fragment `{}` must be used in an operation",
        "useAndDefineFragment",
        "Fragment {0} was defined, but not used",
        &[("fragmentName", 0)],
    ),
    row(
        "type condition `{}` of fragment `{}` is not a type defined in the schema",
        "undefinedType",
        "No such type {0}, so it can't be a fragment condition",
        &[("typeName", 0)],
    ),
    row(
        "fragment `{}` with type condition `{}` cannot be applied to `{}`",
        "cannotSpreadFragment",
        "Fragment {0} on {1} can't be spread inside {2}",
        &[("typeName", 1), ("parentName", 2)],
    ),
    row(
        "`{}` fragment cannot reference itself",
        "infiniteLoop",
        "Fragment {0} contains an infinite loop",
        &[("fragmentName", 0)],
    ),
    row(
        "cannot find directive `@{}` in this document",
        "undefinedDirective",
        "Directive @{0} is not defined",
        &[("directiveName", 0)],
    ),
    row(
        "cannot select different fields into the same alias `{}`",
        "fieldConflict",
        "",
        &[("fieldName", 0)],
    ),
    row(
        "operation must not provide conflicting field arguments for the same name `{}`",
        "fieldConflict",
        "",
        &[("fieldName", 0)],
    ),
    row(
        "the operation `{}` is defined multiple times in the document",
        "uniquelyNamedOperations",
        "Operation name \"{0}\" must be unique",
        &[("operationName", 0)],
    ),
    row(
        "anonymous operation cannot be selected when the document contains other operations",
        "uniquelyNamedOperations",
        "Operation name is required when multiple operations are present",
        &[],
    ),
    row(
        "an executable document must not contain {}",
        "queryContainsSchemaDefinitions",
        "",
        &[],
    ),
];

/// The faults of a document.
pub(super) fn of_document(faults: &DiagnosticList) -> Vec<Value> {
    let mut errors: Vec<Value> = faults.iter().map(|fault| of_fault(&fault)).collect();
    let is = |error: &Value, code: &str| error["extensions"]["code"] == code;
    // The engine leaves out a field that does not exist, and then finds that nothing is selected.
    if errors.iter().any(|error| is(error, "undefinedField")) {
        errors.retain(|error| !is(error, "selectionMismatch"));
    }
    errors
}

fn of_fault(fault: &Diagnostic<'_, DiagnosticData>) -> Value {
    let mut error = json!(fault.to_json());
    let said = fault.error.to_string();
    let Some((row, names)) = ROWS.iter().find_map(|row| Some((row, names(&said, row.engine)?))) else {
        return error;
    };
    let mut words = row.words.to_owned();
    for (index, name) in names.iter().enumerate() {
        words = words.replace(&format!("{{{index}}}"), name);
    }
    let mut extensions = json!({ "code": row.code });
    for (key, index) in row.names {
        extensions[*key] = json!(names.get(*index));
    }
    if let (MISMATCH, [_, variable, _, argument]) = (row.code, names.as_slice()) {
        let kind = mismatch(variable, argument);
        words = format!("{kind} {words}");
        extensions["errorMessage"] = json!(kind);
    }
    if !words.is_empty() {
        error["message"] = json!(words);
    }
    error["extensions"] = extensions;
    error
}

/// In what two types differ.
fn mismatch(variable: &str, argument: &str) -> &'static str {
    let inner = |kind: &str| kind.replace(['[', ']', '!'], "");
    let depth = |kind: &str| kind.matches('[').count();
    if inner(variable) != inner(argument) {
        "Type mismatch"
    } else if depth(variable) != depth(argument) {
        "List dimension mismatch"
    } else {
        "Nullability mismatch"
    }
}

/// The names in a text that is made after a pattern with `{}`; `None`: it is made after another.
fn names<'t>(text: &'t str, pattern: &str) -> Option<Vec<&'t str>> {
    let mut pieces = pattern.split("{}");
    let mut rest = text.strip_prefix(pieces.next()?)?;
    let mut names = Vec::new();
    for piece in pieces {
        let end = if piece.is_empty() {
            rest.len()
        } else {
            rest.find(piece)?
        };
        let (name, after) = rest.split_at(end);
        names.push(name);
        rest = after.strip_prefix(piece)?;
    }
    rest.is_empty().then_some(names)
}

/// The operation that was named is none, or none was named among several.
pub(super) fn of_operation(name: Option<&str>) -> Value {
    let text = name.map_or_else(
        || "An operation name is required".to_owned(),
        |name| format!("No operation named \"{name}\""),
    );
    json!({ "message": text })
}

/// A value does not fit its variable.
pub(super) fn of_variable(fault: &RequestError, operation: &Operation, given: &JsonMap, sources: &SourceMap) -> Value {
    let said = fault.message().to_string();
    let named = |name: &str| {
        [format!("variable {name}"), format!("non-null variable '{name}'")]
            .iter()
            .any(|words| {
                said.split(words.as_str())
                    .nth(1)
                    .is_some_and(|rest| !rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_'))
            })
    };
    let mut error = json!(fault.to_graphql_error(sources));
    if let Some(variable) = operation.variables.iter().find(|variable| named(&variable.name)) {
        error["message"] = json!(format!(
            "Variable ${} of type {} was provided invalid value",
            variable.name, variable.ty
        ));
        error["locations"] = json!(
            variable
                .location()
                .and_then(|location| location.line_column(sources))
                .into_iter()
                .collect::<Vec<_>>()
        );
        error["extensions"] = json!({
            "value": given.get(variable.name.as_str()),
            "problems": [{ "path": [], "explanation": said }],
        });
    }
    error
}

#[cfg(test)]
mod tests {
    use crate::gitlab::graphql::tests::ask;
    use serde_json::{Value, json};

    /// Query, code and message, as graphql-ruby 2.6.3 answered them over the same schema. Where there is no message,
    /// the code alone is compared.
    const RUBY: [(&str, &str, &str); 28] = [
        (
            "{ currentUser { salary } }",
            "undefinedField",
            "Field 'salary' doesn't exist on type 'CurrentUser'",
        ),
        ("{ currentUser }", "selectionMismatch", ""),
        ("{ currentUser { id { x } } }", "selectionMismatch", ""),
        (
            "{ project { id } }",
            "missingRequiredArguments",
            "Field 'project' is missing required arguments: fullPath",
        ),
        (
            "{ project(fullPath: 1, foo: 2) { id } }",
            "argumentNotAccepted",
            "Field 'project' doesn't accept argument 'foo'",
        ),
        (
            "{ projects(first: \"x\") { count } }",
            "argumentLiteralsIncompatible",
            "",
        ),
        (
            "{ projects(fullPaths: [1]) { count } }",
            "argumentLiteralsIncompatible",
            "",
        ),
        (
            "{ projects(archived: NEVER) { count } }",
            "argumentLiteralsIncompatible",
            "",
        ),
        (
            "{ projects(first: 99999999999) { count } }",
            "argumentLiteralsIncompatible",
            "",
        ),
        ("{ group(fullPath: null) { id } }", "argumentLiteralsIncompatible", ""),
        ("query($a: String) { currentUser { id } }", "variableNotUsed", ""),
        ("{ group(fullPath: $p) { id } }", "variableNotDefined", ""),
        (
            "query($p: ID) { group(fullPath: $p) { id } }",
            "variableMismatch",
            "Nullability mismatch on variable $p and argument fullPath (ID / ID!)",
        ),
        (
            "query($p: String!) { projects(fullPaths: $p) { count } }",
            "variableMismatch",
            "List dimension mismatch on variable $p and argument fullPaths (String! / [String!])",
        ),
        (
            "query($n: Project) { projects(first: $n) { count } }",
            "variableRequiresValidType",
            "",
        ),
        (
            "query($n: Int, $n: Int) { projects(first: $n) { count } }",
            "variableNotUnique",
            "There can only be one variable named \"n\"",
        ),
        (
            "{ currentUser { ...missing } }",
            "useAndDefineFragment",
            "Fragment missing was used, but not defined",
        ),
        (
            "{ currentUser { id } } fragment unused on CurrentUser { id }",
            "useAndDefineFragment",
            "Fragment unused was defined, but not used",
        ),
        (
            "{ currentUser { ...f } } fragment f on Nothing { id }",
            "undefinedType",
            "No such type Nothing, so it can't be a fragment condition",
        ),
        (
            "{ currentUser { ...f } } fragment f on Project { id }",
            "cannotSpreadFragment",
            "Fragment f on Project can't be spread inside CurrentUser",
        ),
        (
            "{ currentUser { ...f } } fragment f on CurrentUser { ...f }",
            "infiniteLoop",
            "Fragment f contains an infinite loop",
        ),
        ("{ a: currentUser { id } a: metadata { version } }", "fieldConflict", ""),
        (
            "{ a: group(fullPath: \"x\") { id } a: group(fullPath: \"y\") { id } }",
            "fieldConflict",
            "",
        ),
        (
            "{ currentUser { id @foo } }",
            "undefinedDirective",
            "Directive @foo is not defined",
        ),
        (
            "{ currentUser { id @skip } }",
            "missingRequiredArguments",
            "Directive 'skip' is missing required arguments: if",
        ),
        (
            "query A { currentUser { id } } query A { metadata { version } }",
            "uniquelyNamedOperations",
            "Operation name \"A\" must be unique",
        ),
        (
            "{ currentUser { id } } query B { metadata { version } }",
            "uniquelyNamedOperations",
            "Operation name is required when multiple operations are present",
        ),
        ("type A { b: Int }", "queryContainsSchemaDefinitions", ""),
    ];

    #[test]
    fn what_is_refused_is_told_as_graphql_ruby_tells_it() {
        for (query, code, message) in RUBY {
            let answer = ask(query, json!({}));
            assert!(answer.get("data").is_none(), "{query}: {answer}");
            let errors = answer["errors"].as_array().unwrap();
            let error = errors.iter().find(|error| error["extensions"]["code"] == code);
            let error = error.unwrap_or_else(|| panic!("{query}: {code} is not in {answer}"));
            assert!(message.is_empty() || error["message"] == message, "{query}: {answer}");
            assert!(error["locations"][0]["line"].is_u64(), "{query}: {answer}");
        }
    }

    #[test]
    fn a_field_that_does_not_exist_is_the_only_fault() {
        let answer = ask("{ currentUser { salary } }", json!({}));
        assert_eq!(answer["errors"].as_array().unwrap().len(), 1, "{answer}");
    }

    #[test]
    fn a_value_that_does_not_fit_its_variable_is_named() {
        let cases = [
            (
                "query($p: ID!) { group(fullPath: $p) { id } }",
                json!({}),
                "Variable $p of type ID! was",
            ),
            (
                "query($p: ID!) { group(fullPath: $p) { id } }",
                json!({ "p": null }),
                "Variable $p of type ID! was",
            ),
            (
                "query($n: Int) { projects(first: $n) { count } }",
                json!({ "n": "x" }),
                "Variable $n of type Int was",
            ),
            (
                "query($p: [String!]!) { projects(fullPaths: $p) { count } }",
                json!({ "p": [7] }),
                "Variable $p of type [String!]! was",
            ),
            (
                "query($n: AccessLevelEnum) { projects(minAccessLevel: $n) { count } }",
                json!({ "n": "X" }),
                "Variable $n of type AccessLevelEnum was",
            ),
        ];
        for (query, variables, message) in cases {
            let answer = ask(query, variables.clone());
            let said = answer["errors"][0]["message"].as_str().unwrap();
            assert!(said.starts_with(message), "{query}: {answer}");
            let value = variables.as_object().and_then(|map| map.values().next()).cloned();
            assert_eq!(
                answer["errors"][0]["extensions"]["value"],
                value.unwrap_or(Value::Null),
                "{query}"
            );
        }
    }

    #[test]
    fn what_cannot_be_parsed_is_refused_with_its_place() {
        let answer = ask("{\n  projects(fullPaths: ) { count }\n}", json!({}));
        assert_eq!(answer["errors"][0]["locations"][0]["line"], 2, "{answer}");
        let deep = "{a".repeat(5_000);
        let nested = format!("{{ a(b: {}", "[".repeat(5_000));
        for broken in [
            "", " ", "{", "{ a", "{ }", "query {", "{ a: }", "\"", "%", &deep, &nested,
        ] {
            let answer = ask(broken, json!({}));
            assert!(
                answer["errors"][0]["message"].is_string() && answer.get("data").is_none(),
                "{broken:?} was taken"
            );
        }
        assert_eq!(
            ask(
                "query A { currentUser { id } } query B { metadata { version } }",
                json!({})
            )["errors"][0]["message"],
            "An operation name is required"
        );
    }
}
