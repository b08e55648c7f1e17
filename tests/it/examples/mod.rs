//! `examples/`, as it is pasted: the committed files are what runs, with the sandbox as GitLab and Factory. Only
//! addresses, places of files and the days of the change window are replaced.

mod forge;
mod host;
mod pipeline;
mod policy;
mod team;

/// The text of an example.
fn example(name: &str) -> String {
    let path = format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
