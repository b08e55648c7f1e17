//! The checks of `doctor`: what an apply needs, looked at one thing at a time, each with its fix.
//!
//! Where `plan` stops at the first error, a check that fails is a finding, and the others go on. Everything here is handed
//! reading traits only.

mod factory;
mod gitlab;
mod instance;
mod permissions;
mod reachable;
mod reads;
mod shapes;
mod side;
mod sign_in;
mod state;
mod way;

use serde::Serialize;

pub use factory::FactorySide;
pub use reads::{reads, roles_are_unknown};
pub use shapes::Shapes;
pub use side::GitlabSide;
pub use state::{folder, state};
pub use way::webhook;

use crate::http::Error;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// It may stand in the way, or will.
    Warning,
    /// It stands in the way.
    Failure,
    /// It could not be looked at, or nothing depends on it.
    Skipped,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name for scripts, such as `gitlab.token_expiry`; the part before the first dot is the side.
    pub id: String,
    /// How it came out.
    pub status: Status,
    /// What was found, in one sentence.
    pub message: String,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Check {
    fn new(id: &str, status: Status, message: impl AsRef<str>) -> Self {
        Self {
            id: id.to_owned(),
            status,
            message: sentence(message.as_ref()),
            fix: None,
        }
    }

    /// As it should be.
    pub fn ok(id: &str, message: impl AsRef<str>) -> Self {
        Self::new(id, Status::Ok, message)
    }

    /// Not looked at, and why.
    pub fn skipped(id: &str, message: impl AsRef<str>) -> Self {
        Self::new(id, Status::Skipped, message)
    }

    /// It may stand in the way.
    pub fn warning(id: &str, message: impl AsRef<str>, fix: impl AsRef<str>) -> Self {
        Self::new(id, Status::Warning, message).fix(fix)
    }

    /// It stands in the way.
    pub fn failure(id: &str, message: impl AsRef<str>, fix: impl AsRef<str>) -> Self {
        Self::new(id, Status::Failure, message).fix(fix)
    }

    /// A request that failed.
    fn failed(id: &str, error: &Error) -> Self {
        let check = Self::new(id, Status::Failure, &error.message);
        match &error.hint {
            Some(hint) => check.fix(hint),
            None => check.fix("run it again with -vv to see each request"),
        }
    }

    fn fix(mut self, fix: impl AsRef<str>) -> Self {
        self.fix = Some(sentence(fix.as_ref()));
        self
    }
}

/// All checks of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Version of this form.
    pub format_version: &'static str,
    /// The checks, in the order in which they are shown.
    pub checks: Vec<Check>,
    /// How many came out how.
    pub summary: Summary,
}

/// How many checks came out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// As it should be.
    pub ok: u64,
    /// May stand in the way.
    pub warning: u64,
    /// Stand in the way.
    pub failure: u64,
    /// Not looked at.
    pub skipped: u64,
}

impl Diagnosis {
    /// Counts the checks.
    pub fn new(format_version: &'static str, checks: Vec<Check>) -> Self {
        let mut summary = Summary::default();
        for check in &checks {
            *match check.status {
                Status::Ok => &mut summary.ok,
                Status::Warning => &mut summary.warning,
                Status::Failure => &mut summary.failure,
                Status::Skipped => &mut summary.skipped,
            } += 1;
        }
        Self {
            format_version,
            checks,
            summary,
        }
    }
}

/// Messages come from errors, which begin in lower case after a colon's manner: here they stand alone. A first word that
/// is a key, a path or code stays as it is.
fn sentence(text: &str) -> String {
    let first = text.split(' ').next().unwrap_or_default();
    let is_word = first.chars().all(|c| c.is_ascii_lowercase() || matches!(c, ',' | ':'));
    let mut out = String::with_capacity(text.len() + 1);
    let mut rest = text.chars();
    if is_word && let Some(initial) = rest.next() {
        out.push(initial.to_ascii_uppercase());
    }
    out.extend(rest);
    if !out.ends_with(['.', '?']) {
        out.push('.');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn a_message_becomes_a_sentence_and_a_key_stays_one() {
        assert_eq!(sentence("check gitlab.url"), "Check gitlab.url.");
        assert_eq!(sentence("gitlab.url is wrong."), "gitlab.url is wrong.");
        assert_eq!(sentence("`x` is right?"), "`x` is right?");
        assert_eq!(sentence(""), ".");
    }
}
