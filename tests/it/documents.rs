//! What the pages name is there: each test of `docs/verification.md`, and each reason and warning of a plan in
//! `docs/troubleshooting.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// All Rust files below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The tests of the workspace, each as the parts of its file's path and its own name: `tests it memberships a_custom_role`.
fn tests() -> BTreeSet<String> {
    let mut files = Vec::new();
    for folder in ["src", "tests", "crates"] {
        sources(&root().join(folder), &mut files);
    }
    let mut tests = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let place = file.strip_prefix(root()).unwrap().with_extension("");
        let place: Vec<_> = place.iter().map(|part| part.to_string_lossy()).collect();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            let function = line.trim_start_matches("async ").strip_prefix("fn ");
            if let Some((name, _)) = function.and_then(|rest| rest.split_once('('))
                && std::mem::take(&mut is_test)
            {
                tests.insert(format!("{} {name}", place.join(" ")));
            }
        }
    }
    tests
}

/// Each `module::test` of the page has a test of that name in a file of that module.
#[test]
fn each_test_that_verification_names_is_there() {
    let tests = tests();
    let page = read("docs/verification.md");
    let named: BTreeSet<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| code.contains("::"))
        .collect();
    assert!(named.len() > 60, "{named:?}");
    let missing: Vec<&&str> = named
        .iter()
        .filter(|named| {
            let (module, test) = named.rsplit_once("::").unwrap();
            !tests.iter().any(|known| {
                let mut parts = known.split(' ').rev();
                parts.next() == Some(test) && {
                    let file: Vec<&str> = parts.collect();
                    module.split("::").all(|part| file.contains(&part))
                }
            })
        })
        .collect();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}

/// In both tables that say what was seen, each row says which tests hold it, or that none can.
#[test]
fn each_row_of_verification_says_what_holds_it() {
    let page = read("docs/verification.md");
    for heading in ["## Fact by fact", "## GitLab's own code, 29 November 2026"] {
        let (_, section) = page.split_once(heading).unwrap();
        let rows = section.split("\n## ").next().unwrap().lines();
        let rows: Vec<&str> = rows.filter(|line| line.starts_with("| ")).skip(1).collect();
        assert!(rows.len() > 20, "{heading}: {rows:#?}");
        for row in rows {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            let is_title = row.starts_with("| *") && row.ends_with("* | | |");
            let last = cells[cells.len() - 1];
            assert!(
                is_title || (cells.len() == 3 && (last.contains("::") || last.starts_with("none"))),
                "{row}"
            );
        }
    }
}

/// The values of one of the plan's enumerations, by one of them.
fn values_beside(schema: &Value, one: &str) -> Option<Vec<String>> {
    let of_this = schema
        .get("oneOf")
        .or_else(|| schema.get("enum"))
        .and_then(Value::as_array);
    let names = of_this.map(|values| {
        let name = |value: &Value| Some(value.get("const").unwrap_or(value).as_str()?.to_owned());
        values.iter().filter_map(name).collect::<Vec<_>>()
    });
    if let Some(names) = names.filter(|names| names.iter().any(|name| name == one)) {
        return Some(names);
    }
    match schema {
        Value::Object(map) => map.values().find_map(|value| values_beside(value, one)),
        Value::Array(list) => list.iter().find_map(|value| values_beside(value, one)),
        _ => None,
    }
}

#[test]
fn troubleshooting_knows_each_reason_and_each_warning() {
    let page = read("docs/troubleshooting.md");
    let schema: Value = serde_json::from_str(&read("schema/plan.schema.json")).unwrap();
    for one in ["absent", "sign_in_unsafe"] {
        let names = values_beside(&schema, one).unwrap();
        assert!(names.len() > 10, "{names:?}");
        let missing: Vec<_> = names
            .iter()
            .filter(|name| !page.contains(&format!("`{name}`")))
            .collect();
        assert!(missing.is_empty(), "docs/troubleshooting.md does not know {missing:?}");
    }
}
