//! `docs/architecture.md` says which room of the code may import which, and only the command line knows the terminal.
//! What the compiler does not keep of that is held against the code here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each room, or each file, uses of the others.
type Uses = BTreeMap<String, BTreeSet<String>>;

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

/// A path as it is written, such as `["crate", "http", "Client"]`.
type Names<'a> = Vec<&'a str>;

fn is_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// All paths that a text names, each member of a group by itself.
fn paths(text: &str) -> BTreeSet<Names<'_>> {
    let mut found = BTreeSet::new();
    let mut rest = text;
    while let Some(begin) = rest.find(is_of_a_name) {
        rest = follow(&rest[begin..], &[], &mut found);
    }
    found
}

/// Reads the path that a text begins with, after those `before`, and returns what comes behind it.
fn follow<'a>(text: &'a str, before: &[&'a str], found: &mut BTreeSet<Names<'a>>) -> &'a str {
    let end = text.find(|c| !is_of_a_name(c)).unwrap_or(text.len());
    let path = [before, &[&text[..end]]].concat();
    let rest = &text[end..];
    match rest.strip_prefix("::") {
        Some(below) if below.starts_with(is_of_a_name) => follow(below, &path, found),
        Some(below) if below.starts_with('{') => {
            let mut group = &below[1..];
            loop {
                group = group.trim_start_matches(|c: char| c != '}' && !is_of_a_name(c));
                match group.strip_prefix('}') {
                    Some(rest) => return rest,
                    None if group.is_empty() => return group,
                    None => group = follow(group, &path, found),
                }
                // What it is called here does not matter.
                group = &group[group.find([',', '}']).unwrap_or(group.len())..];
            }
        }
        _ => {
            found.insert(path);
            rest
        }
    }
}

/// What a text names directly below `crate::`.
fn named(text: &str) -> BTreeSet<String> {
    let below = |path: Names<'_>| (path.len() > 1 && path[0] == "crate").then(|| path[1].to_owned());
    paths(text).into_iter().filter_map(below).collect()
}

/// A module by its names, from the root of its crate; the root itself has none.
type Module = Vec<String>;

fn module(path: &Path) -> Module {
    let path = path.with_extension("");
    let mut names: Module = path.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|name| name == "mod" || name == "lib") {
        names.pop();
    }
    names
}

/// A crate's modules, and from where they re-export what.
struct Tree {
    modules: BTreeMap<Module, PathBuf>,
    exported: BTreeMap<Module, Module>,
}

impl Tree {
    /// Where a path begins that a module names, and what is left of it; `None` where that is no module of this crate.
    fn begin<'a>(&self, own: &Module, path: &'a [&'a str]) -> Option<(Module, &'a [&'a str])> {
        let above = path.iter().take_while(|name| **name == "super").count();
        let child = [own.as_slice(), &[path[0].to_owned()]].concat();
        match path[0] {
            "crate" => Some((Module::new(), &path[1..])),
            "self" => Some((own.clone(), &path[1..])),
            "super" => Some((own[..own.len().checked_sub(above)?].to_vec(), &path[above..])),
            _ => self.modules.contains_key(&child).then(|| (child, &path[1..])),
        }
    }

    /// The module that holds what a path names, and whether it is that module itself.
    fn find(&self, mut place: Module, path: &[&str]) -> (Module, bool) {
        for (at, name) in path.iter().enumerate() {
            place.push((*name).to_owned());
            if self.modules.contains_key(&place) {
                continue;
            }
            if let Some(origin) = self.exported.get(&place) {
                let left = path[at + 1..].iter().copied();
                let path: Vec<&str> = origin.iter().map(String::as_str).chain(left).collect();
                return self.find(Module::new(), &path);
            }
            place.pop();
            return (place, false);
        }
        (place, true)
    }
}

/// The text apart from what it re-exports, and that.
fn without_re_exports(text: &str) -> (String, String) {
    let (mut own, mut exported) = (String::new(), String::new());
    for statement in text.split_inclusive(';') {
        let last = statement.rfind("\npub").map_or(0, |at| at + 1);
        let is_export =
            statement[last..].split_whitespace().nth(1) == Some("use") && statement[last..].starts_with("pub");
        let cut = if is_export { last } else { statement.len() };
        own.push_str(&statement[..cut]);
        exported.push_str(&statement[cut..]);
    }
    (own, exported)
}

/// Which files each file names something of. The modules around it do not count: what they hold is its own, too.
fn ties(folder: &str) -> Uses {
    let files = code(folder);
    let texts: Vec<_> = files
        .iter()
        .map(|(path, text)| (path, module(path), without_re_exports(text)))
        .collect();
    let mut tree = Tree {
        modules: files.keys().map(|path| (module(path), path.clone())).collect(),
        exported: BTreeMap::new(),
    };
    for (_, own, (_, exported)) in &texts {
        for path in paths(exported).iter().filter(|path| path.len() > 1) {
            let Some((place, rest)) = tree.begin(own, path) else {
                continue;
            };
            let name = path[path.len() - 1].to_owned();
            let origin = place
                .into_iter()
                .chain(rest.iter().map(|name| (*name).to_owned()))
                .collect();
            tree.exported.insert([own.as_slice(), &[name]].concat(), origin);
        }
    }
    let mut found = Uses::new();
    for (file, own, (text, _)) in texts {
        let paths = paths(&text);
        // Modules that were imported, and are then called by their last name.
        let mut known = BTreeMap::new();
        for path in &paths {
            if let Some((place, true)) = tree.begin(&own, path).map(|(place, rest)| tree.find(place, rest)) {
                known.insert(path[path.len() - 1], place);
            }
        }
        let mut uses = BTreeSet::new();
        for path in paths.iter().filter(|path| path.len() > 1) {
            let imported = || Some((known.get(path[0])?.clone(), &path[1..]));
            if let Some((place, rest)) = tree.begin(&own, path).or_else(imported) {
                let place = tree.find(place, rest).0;
                if !own.starts_with(&place) {
                    uses.insert(tree.modules[&place].display().to_string());
                }
            }
        }
        found.insert(file.display().to_string(), uses);
    }
    found
}

/// Which rooms each room imports.
fn imports(folder: &str) -> Uses {
    let files = code(folder);
    let rooms: BTreeSet<String> = files.keys().map(|path| room(path)).collect();
    // What lib.rs re-exports of the other crates counts as a room of its own.
    let core = ["diff", "kinds", "model", "planner", "sandbox"];
    let mut found = Uses::new();
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

/// What a room or a file uses, and what those use in turn.
fn reached<'a>(all: &'a Uses, start: &'a String) -> BTreeSet<&'a String> {
    let mut found = BTreeSet::new();
    let mut left = vec![start];
    while let Some(uses) = left.pop().map(|one| all.get(one)) {
        left.extend(uses.into_iter().flatten().filter(|other| found.insert(*other)));
    }
    found
}

/// Each use from which a way leads back.
fn circles(all: &Uses) -> Vec<String> {
    let mut found = Vec::new();
    for (one, uses) in all {
        let back = uses.iter().filter(|other| reached(all, other).contains(one));
        found.extend(back.map(|other| format!("{one} uses {other}")));
    }
    found
}

/// An answer knows whom it is from, and they know what an answer of theirs means: these are read together.
const AN_ANSWER: [&str; 4] = ["http/context.rs", "http/failure.rs", "http/response.rs", "http/said.rs"];

/// The way of the data never turns back: from no room, and from no file, does a way of imports lead back to it, so that each
/// can be read with what is below it. The files of `crates/core` are left out: a kind's file says what a kind is and how
/// it is planned, and the model that it is planned with gathers the kinds.
#[test]
fn nothing_is_imported_in_a_circle() {
    let mut files = ties("src/");
    for file in AN_ANSWER {
        files
            .get_mut(file)
            .unwrap()
            .retain(|other| !AN_ANSWER.contains(&other.as_str()));
    }
    let found = [
        circles(&imports("src/")),
        circles(&files),
        circles(&ties("crates/sandbox/src/")),
    ]
    .concat();
    assert!(found.is_empty(), "these go in circles:\n{}", found.join("\n"));
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
    let text = "use crate::http::{Client, Error};\nuse crate::{config::Driver, render as r, saved::{self, *}};\n\
                fn one() -> crate::model::Plan { two::<u8>() }";
    let expected = ["config", "http", "model", "render", "saved"];
    assert_eq!(named(text), expected.map(str::to_owned).into());
    assert!(paths(text).contains(&vec!["crate", "http", "Error"]));
}
