//! Why a use case ended without its report: what is wrong, what that comes from, and what to do. How it is laid out is
//! the command line's to say.

use std::fmt;
use std::path::Path;

use crate::config::ConfigError;
use crate::files::Obstacle;
use crate::model::Diagnostic;

/// Result of a use case or a part of it.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// A use case that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Whether it was refused before the first write.
    pub(crate) is_refusal: bool,
    pub(crate) body: Body,
}

/// What a failure says.
#[derive(Debug)]
pub(crate) enum Body {
    Diagnostic(Diagnostic),
    /// All faults of a configuration, each with its place.
    Configuration(Box<ConfigError>),
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Diagnostic::new(message).into()
    }

    /// A refusal before the first write.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self {
            is_refusal: true,
            ..Self::new(message)
        }
    }

    /// Of an error with its sources as causes.
    pub(crate) fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        Diagnostic::of(error).into()
    }

    /// Adds what to do.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        self.map(|diagnostic| diagnostic.hint(hint))
    }

    /// Puts a message in front: what was being done.
    pub(crate) fn context(self, outer: impl Into<String>) -> Self {
        self.map(|diagnostic| diagnostic.context(outer))
    }

    /// The faults of a configuration say all that there is to say.
    fn map(self, change: impl FnOnce(Diagnostic) -> Diagnostic) -> Self {
        match self.body {
            Body::Diagnostic(diagnostic) => Self {
                body: Body::Diagnostic(change(diagnostic)),
                ..self
            },
            Body::Configuration(_) => self,
        }
    }

    /// Of a file that could not be written.
    pub(crate) fn unwritten(path: &Path, obstacle: &Obstacle) -> Self {
        Self::of(obstacle).context(format!("{} cannot be written", path.display()))
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Self {
            is_refusal: false,
            body: Body::Diagnostic(diagnostic),
        }
    }
}

impl From<crate::http::Error> for Failure {
    fn from(error: crate::http::Error) -> Self {
        let failure = Self::new(&error.message);
        match error.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<crate::state::StateError> for Failure {
    fn from(error: crate::state::StateError) -> Self {
        let failure = if error.is_locked() {
            Self::refused(error.to_string())
        } else {
            Self::of(&error)
        };
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self {
            is_refusal: false,
            body: Body::Configuration(Box::new(error)),
        }
    }
}

/// The message alone, for the log.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.body {
            Body::Diagnostic(diagnostic) => diagnostic.fmt(f),
            Body::Configuration(error) => error.fmt(f),
        }
    }
}
