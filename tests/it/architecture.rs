//! `docs/architecture.md` says which room of the code may import which, and only the command line knows the terminal.
//! What the compiler does not keep of that is held against the code here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

type Rooms = BTreeMap<String, BTreeSet<String>>;

/// Code that no reader of the table has in mind: tests, and what only tests and fuzzing use.
fn is_for_tests(path: &Path) -> bool {
    path.components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        name.contains("test") || name.starts_with("fuzz")
    })
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// Each file below a folder, by its path there, without comments and without the tests at its end.
fn code(folder: &str) -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    sources(&root, &mut found);
    let of = |path: PathBuf| {
        let relative = path.strip_prefix(&root).unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let end = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
        let lines = text[..end].lines().filter(|line| !line.trim_start().starts_with("//"));
        (!is_for_tests(&relative)).then(|| (relative, lines.collect::<Vec<_>>().join("\n")))
    };
    found.into_iter().filter_map(of).collect()
}

/// The room that a file is in: the folder or the file at the top.
fn room(path: &Path) -> String {
    let first = path.components().next().unwrap();
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// What a text names directly below `crate::`.
fn named(text: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect()
    };
    let mut names = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut begins = 0;
        for (at, c) in group.char_indices() {
            match c {
                ',' | '}' if depth == 0 => {
                    names.insert(word(&group[begins..at]));
                    begins = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    names.remove("");
    names
}

/// Which rooms each room imports.
fn imports(folder: &str) -> Rooms {
    let files = code(folder);
    let rooms: BTreeSet<String> = files.keys().map(|path| room(path)).collect();
    // What lib.rs re-exports of the other crates counts as a room of its own.
    let core = ["diff", "kinds", "model", "planner", "sandbox"];
    let mut found = Rooms::new();
    for (path, text) in &files {
        let own = room(path);
        let entry = found.entry(own.clone()).or_default();
        entry.extend(
            named(text)
                .into_iter()
                .filter(|name| name != &own && (rooms.contains(name) || core.contains(&name.as_str()))),
        );
    }
    found
}

/// What a room may import.
enum May {
    Only(BTreeSet<String>),
    AllBut(BTreeSet<String>),
}

/// The table: the rooms below a folder, and what each may import.
fn table(folder: &str) -> BTreeMap<String, May> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let text = fs::read_to_string(path).unwrap();
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [place, _, may] = cells.as_slice() else {
            continue;
        };
        let Some(room) = place
            .strip_prefix(&format!("`{folder}"))
            .and_then(|place| place.strip_suffix('`'))
            .map(|room| room.trim_end_matches('/').trim_end_matches(".rs"))
        else {
            continue;
        };
        let names = may.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let may = if may.starts_with("all") {
            May::AllBut(names)
        } else {
            May::Only(names)
        };
        rows.insert(room.to_owned(), may);
    }
    rows
}

/// Rooms that hold no room's code: the crate's root and the program.
const ROOTS: [&str; 2] = ["lib", "main"];

fn differences(folder: &str) -> Vec<String> {
    let (built, told) = (imports(folder), table(folder));
    let mut found = Vec::new();
    for (room, uses) in built.iter().filter(|(room, _)| !ROOTS.contains(&room.as_str())) {
        let Some(may) = told.get(room) else {
            found.push(format!("{folder}{room} is not in the table"));
            continue;
        };
        let wrong: BTreeSet<_> = match may {
            May::Only(may) => uses.difference(may).collect(),
            May::AllBut(not) => uses.intersection(not).collect(),
        };
        found.extend(
            wrong
                .into_iter()
                .map(|other| format!("{folder}{room} imports {other}, and may not")),
        );
    }
    let gone = told.keys().filter(|room| !built.contains_key(*room));
    found.extend(gone.map(|room| format!("{folder}{room} is in the table, and there is no such room")));
    found
}

#[test]
fn the_table_of_rooms_is_what_is_built() {
    let mut found = differences("src/");
    found.extend(differences("crates/core/src/"));
    assert!(
        found.is_empty(),
        "docs/architecture.md and the code disagree:\n{}",
        found.join("\n")
    );
}

/// The way of the data never turns back: from no room does a way of imports lead back to it.
#[test]
fn no_rooms_import_each_other_in_a_circle() {
    let mut left = imports("src/");
    loop {
        let before = left.len();
        let rooms: BTreeSet<String> = left.keys().cloned().collect();
        left.retain(|_, uses| uses.iter().any(|other| rooms.contains(other)));
        if left.is_empty() {
            return;
        }
        assert!(left.len() < before, "these go in a circle: {left:?}");
    }
}

#[test]
fn only_the_command_line_knows_the_terminal() {
    let signs = [
        "println!",
        "print!(",
        "io::stdin",
        "io::stdout",
        "io::stderr",
        "anstream::stdout",
        "anstream::stderr",
        "IsTerminal",
        "indicatif",
        "terminal_size",
        "clap",
        "process::exit",
    ];
    let mut found = Vec::new();
    for (path, text) in code("src/").iter().filter(|(path, _)| room(path) != "cli") {
        let shown = signs.iter().filter(|sign| text.contains(**sign));
        found.extend(shown.map(|sign| format!("{}: {sign}", path.display())));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn imports_are_read_as_they_are_written() {
    let text = "use crate::http::{Client, Error};\nuse crate::{config::Driver, render, saved::{self, Basis}};\n\
                fn one() -> crate::model::Plan {}";
    let expected = ["config", "http", "model", "render", "saved"];
    assert_eq!(named(text), expected.map(str::to_owned).into());
}
