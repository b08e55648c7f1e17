//! What is said where a secret cannot be had.
//!
//! Errors name the reference, never the value. What a failing command wrote to standard error is kept apart from the
//! message: it is the only explanation there is, and it may hold the secret, so it is for a person at a terminal and for
//! no log. What it wrote to standard output is for nobody, because that is the secret.

/// A reference that could not be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SecretError {
    /// What is wrong, naming the reference.
    pub message: String,
    /// What a failing command said about it, in clean lines. Not for logs: nobody knows what is in it.
    pub said: Option<String>,
    /// What to do about it.
    pub hint: String,
}

impl SecretError {
    pub(super) fn new(message: String, hint: impl Into<String>) -> Self {
        Self {
            message,
            said: None,
            hint: hint.into(),
        }
    }

    pub(super) fn saying(mut self, said: Option<String>) -> Self {
        self.said = said;
        self
    }

    /// The message with what the command said, where a person reads it and no log keeps it.
    pub fn told(&self, to_a_person: bool) -> String {
        let Self { message, said, hint: _ } = self;
        match said {
            Some(said) if to_a_person => format!("{message}:{said}"),
            Some(_) => format!("{message}; what it said is shown on a terminal only, for it may hold a secret"),
            None => message.clone(),
        }
    }
}
