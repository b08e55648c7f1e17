//! `docs/architecture.md` says of each crate that is depended on directly what it is there for, and the image is built from
//! all that cargo compiles.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use toml::Table;

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The names below a key of a manifest, whatever system they are for.
fn named(manifest: &Table, key: &str) -> BTreeSet<String> {
    let systems = manifest.get("target").and_then(toml::Value::as_table).into_iter();
    let systems = systems.flat_map(Table::values).filter_map(toml::Value::as_table);
    let tables = [manifest].into_iter().chain(systems);
    let tables = tables.filter_map(|table| table.get(key)?.as_table());
    tables.flat_map(Table::keys).cloned().collect()
}

/// The first column of the table below a heading.
fn reasoned(page: &str, heading: &str) -> BTreeSet<String> {
    let (_, section) = page.split_once(&format!("\n{heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut names = BTreeSet::new();
    for row in rows {
        let (name, reason) = row.split_once("` | ").unwrap();
        assert!(reason.len() > 10, "{row}");
        assert!(names.insert(name.to_owned()), "{name} stands there twice");
    }
    names
}

#[test]
fn each_direct_dependency_has_its_reason() {
    let page = read("docs/architecture.md");
    let manifests: Vec<Table> = ["Cargo.toml", "crates/core/Cargo.toml", "crates/sandbox/Cargo.toml"]
        .iter()
        .map(|name| read(name).parse().unwrap())
        .collect();
    let of = |key: &str| -> BTreeSet<String> {
        let all = manifests.iter().flat_map(|manifest| named(manifest, key));
        all.filter(|name| !name.starts_with("setpoint")).collect()
    };
    let used = of("dependencies");
    assert_eq!(reasoned(&page, "## Dependencies"), used);
    let for_tests: BTreeSet<String> = of("dev-dependencies").difference(&used).cloned().collect();
    assert_eq!(reasoned(&page, "## Dependencies of the tests"), for_tests);
}

#[test]
fn the_image_is_built_from_all_that_cargo_compiles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ignored = read(".dockerignore");
    let context: Vec<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let cargo = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&cargo.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let targets = packages
        .iter()
        .flat_map(|package| package["targets"].as_array().unwrap());
    // Tests are found where they are, and not missed where they are not.
    let built: Vec<_> = targets.filter(|target| target["kind"][0] != "test").collect();
    assert!(built.len() > 5);
    for target in built {
        let path = Path::new(target["src_path"].as_str().unwrap());
        let within = path.strip_prefix(root).unwrap();
        assert!(
            context.iter().any(|part| within.starts_with(part)),
            "{} is not in .dockerignore",
            within.display()
        );
    }
}
