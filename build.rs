//! Says in a release which commit it is of. Other builds do not ask, so that a commit alone recompiles nothing, and
//! where there is no git or no repository of our own, the version is all there is.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SETPOINT_BUILD_COMMIT");
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let of = match commit() {
        Some(commit) => format!("{version} ({commit})"),
        None => version,
    };
    println!("cargo::rustc-env=SETPOINT_VERSION={of}");
}

/// Such as `0123456789 2026-11-30`; whoever packages it may say it.
fn commit() -> Option<String> {
    if let Ok(given) = std::env::var("SETPOINT_BUILD_COMMIT") {
        let given = given.trim();
        return (!given.is_empty() && !given.contains(['\n', '\r'])).then(|| given.to_owned());
    }
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return None;
    }
    // A repository around an unpacked archive is somebody else's.
    let root = std::env::var("CARGO_MANIFEST_DIR").ok()?;
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != Path::new(&root).canonicalize().ok()? {
        return None;
    }
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]).filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["log", "-1", "--abbrev=10", "--format=%h %cs"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}
