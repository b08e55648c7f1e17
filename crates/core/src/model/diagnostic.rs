//! What is said where something is wrong: one form for all who find something, laid out in one place for all who read it.

use std::fmt;

/// Something that is wrong, or will be. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong and where, in one sentence without its full stop.
    pub message: String,
    /// What that comes from, outermost first.
    pub causes: Vec<String>,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// With a message alone.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            causes: Vec::new(),
            hint: None,
        }
    }

    /// Of an error with its sources as causes, those left out that only repeat what is above them.
    pub fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut diagnostic = Self::new(error.to_string());
        let mut above = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !above.contains(&text) {
                diagnostic.causes.push(text.clone());
                above = text;
            }
            source = cause.source();
        }
        diagnostic
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts a message in front: what was being done. The one so far becomes its cause.
    #[must_use]
    pub fn context(mut self, outer: impl Into<String>) -> Self {
        let inner = std::mem::replace(&mut self.message, outer.into());
        self.causes.insert(0, inner);
        self
    }
}

/// The message alone, for the log.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::Diagnostic;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn a_cause_that_repeats_what_is_above_it_is_left_out() {
        let error = Layer(
            "cannot write: disk full",
            Some(Box::new(Layer(
                "disk full",
                Some(Box::new(Layer("quota of 5 GB", None))),
            ))),
        );
        let diagnostic = Diagnostic::of(&error)
            .context("the record was not kept")
            .hint("make room");
        assert_eq!(diagnostic.to_string(), "the record was not kept");
        assert_eq!(diagnostic.causes, ["cannot write: disk full", "quota of 5 GB"]);
        assert_eq!(diagnostic.hint.as_deref(), Some("make room"));
    }
}
