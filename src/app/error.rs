//! What a command says when it fails: `error:`, `Caused by:` and `hint:`, and the exit code that goes with it.

use std::fmt::Write as _;
use std::path::Path;

use anstyle::{AnsiColor, Style};

use crate::cli::exit::Exit;
use crate::cli::term;
use crate::files::Obstacle;
use crate::render::text::{sanitize_lines, wrap};

/// Result of a command or a part of it.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// One message with its causes, outermost first, and what to do.
    Message {
        message: String,
        causes: Vec<String>,
        hint: Option<String>,
    },
    /// Diagnostics that have their own form, such as those of a configuration file.
    Rendered(String),
}

impl Failure {
    /// An error.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Error,
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
            exit: Exit::Refused,
            ..Self::new(message)
        }
    }

    /// Diagnostics that are already laid out for people, styled, and free of control characters of others.
    pub(crate) fn rendered(text: impl Into<String>) -> Self {
        Self {
            exit: Exit::Error,
            body: Body::Rendered(text.into()),
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

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// The first line, for the log.
    pub(crate) fn message(&self) -> &str {
        match &self.body {
            Body::Message { message, .. } => message,
            Body::Rendered(text) => text,
        }
    }

    /// The text for standard error, styled.
    pub(crate) fn render(&self) -> String {
        let (message, causes, hint) = match &self.body {
            Body::Rendered(text) => return format!("{}\n", text.trim_end()),
            Body::Message { message, causes, hint } => (message, causes, hint),
        };
        let mut out = String::new();
        labelled(&mut out, AnsiColor::Red, "error", message);
        if !causes.is_empty() {
            out.push_str("\nCaused by:\n");
            for cause in causes {
                let _ = writeln!(out, "{}", wrap(&sanitize_lines(cause), 80, "  ", "  "));
            }
        }
        if let Some(hint) = hint {
            out.push('\n');
            labelled(&mut out, AnsiColor::Cyan, "hint", hint);
        }
        out
    }
}

/// A warning with what to do, for standard error: of something that changes nothing about how the command ended.
pub(crate) fn warning(message: &str, hint: &str) -> String {
    let mut out = String::new();
    labelled(&mut out, AnsiColor::Yellow, "warning", message);
    labelled(&mut out, AnsiColor::Cyan, "hint", hint);
    out
}

fn labelled(out: &mut String, color: AnsiColor, label: &str, text: &str) {
    let style: Style = color.on_default().bold();
    let indent = " ".repeat(label.len() + 2);
    let text = wrap(&sanitize_lines(text), 80, &indent, &indent);
    let _ = writeln!(out, "{style}{label}:{style:#} {}", text.trim_start());
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

impl From<crate::secrets::SecretError> for Failure {
    fn from(error: crate::secrets::SecretError) -> Self {
        Self::new(error.told(term::is_seen())).hint(error.hint)
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;

    fn plain(failure: &Failure) -> String {
        anstream::adapter::strip_str(&failure.render()).to_string()
    }

    #[test]
    fn an_error_has_its_causes_and_a_hint() {
        let failure = Failure::new("connection refused")
            .context("GitLab cannot be reached at http://localhost:1")
            .hint("check `gitlab.url`");
        assert_eq!(
            plain(&failure),
            "error: GitLab cannot be reached at http://localhost:1\n\nCaused by:\n  connection refused\n\nhint: check `gitlab.url`\n"
        );
    }

    #[test]
    fn remote_text_cannot_forge_a_line_or_move_the_cursor() {
        let failure = Failure::new("GitLab says: \u{1b}[2Jgone\rerror");
        assert!(!plain(&failure).contains(['\u{1b}', '\r']), "{}", plain(&failure));
    }
}
