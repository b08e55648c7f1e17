//! Why a use case ended without its report: what is wrong, what that comes from, and what to do. How it is laid out is
//! the command line's to say.

use std::fmt;
use std::path::Path;

use crate::config::ConfigError;
use crate::files::Obstacle;

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
    /// One message with its causes, outermost first, and what to do.
    Message {
        message: String,
        causes: Vec<String>,
        hint: Option<String>,
    },
    /// All faults of a configuration, each with its place.
    Configuration(Box<ConfigError>),
}

impl Failure {
    /// An error.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            is_refusal: false,
            body: Body::Message {
                message: message.into(),
                causes: Vec::new(),
                hint: None,
            },
        }
    }

    /// A refusal before the first write.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self {
            is_refusal: true,
            ..Self::new(message)
        }
    }

    /// Adds what to do.
    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        if let Body::Message { hint, .. } = &mut self.body {
            *hint = Some(text.into());
        }
        self
    }

    /// Puts a message in front: what was being done. What was said so far becomes its cause.
    pub(crate) fn context(mut self, outer: impl Into<String>) -> Self {
        if let Body::Message { message, causes, .. } = &mut self.body {
            let inner = std::mem::replace(message, outer.into());
            causes.insert(0, inner);
        }
        self
    }

    /// Of a file that could not be written.
    pub(crate) fn unwritten(path: &Path, obstacle: &Obstacle) -> Self {
        Self::of(obstacle).context(format!("{} cannot be written", path.display()))
    }

    /// Of an error with its sources as causes, those left out that only repeat what is above them.
    pub(crate) fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut failure = Self::new(error.to_string());
        let mut said = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !said.contains(&text)
                && let Body::Message { causes, .. } = &mut failure.body
            {
                causes.push(text.clone());
                said = text;
            }
            source = cause.source();
        }
        failure
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
            Body::Message { message, .. } => f.write_str(message),
            Body::Configuration(error) => error.fmt(f),
        }
    }
}
