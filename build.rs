//! Says in a release which commit it is of, and of which day: from git in a checkout of our own, from the archive where it
//! was exported by git, from whoever packages it otherwise. Where nobody knows, the version is all there is. Other builds
//! do not ask, so that a commit alone recompiles nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SETPOINT_BUILD_COMMIT");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let of = match build() {
        Some(build) => format!("{version} ({build})"),
        None => version,
    };
    println!("cargo::rustc-env=SETPOINT_VERSION={of}");
}

/// Such as `0123456789 2026-11-30`; whoever packages it may say it.
fn build() -> Option<String> {
    if let Ok(given) = std::env::var("SETPOINT_BUILD_COMMIT") {
        let given = given.trim();
        return (!given.is_empty() && !given.contains(['\n', '\r'])).then(|| given.to_owned());
    }
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return None;
    }
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR")?);
    let commit = of_checkout(&root).or_else(|| of_archive(&root));
    let (hash, committed) = commit.unzip();
    let day = source_date().or(committed);
    let parts: Vec<String> = [hash, day].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// The commit that is checked out, and its day.
fn of_checkout(root: &Path) -> Option<(String, String)> {
    // A repository around an unpacked archive is somebody else's.
    let top = git(root, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(root, &["rev-parse", "--git-path", name]).filter(|path| root.join(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    parsed(&git(root, &["log", "-1", "--format=%H %cs"])?)
}

/// The same of an archive: git fills in what `.gitattributes` marks as it exports.
fn of_archive(root: &Path) -> Option<(String, String)> {
    println!("cargo::rerun-if-changed=packaging/commit");
    parsed(std::fs::read_to_string(root.join("packaging/commit")).ok()?.trim())
}

/// A commit's hash, shortened, and a day.
fn parsed(text: &str) -> Option<(String, String)> {
    let (hash, day) = text.split_once(' ')?;
    let is_hash = hash.len() >= 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_day = day.len() == 10 && day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    (is_hash && is_day).then(|| (hash[..10].to_owned(), day.to_owned()))
}

/// The day that a build which is to be repeatable is of (<https://reproducible-builds.org/specs/source-date-epoch/>).
fn source_date() -> Option<String> {
    let seconds: i64 = std::env::var("SOURCE_DATE_EPOCH").ok()?.trim().parse().ok()?;
    // Days since 0000-03-01, in eras of 400 years: leap days come last then.
    let days = seconds.div_euclid(24 * 60 * 60) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_from_march + 2) / 5 + 1;
    let month = (months_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(root).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}
