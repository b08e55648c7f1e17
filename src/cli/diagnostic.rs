//! How a failure and a warning are laid out for people: `error:`, `Caused by:` and `hint:`.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::term;
use crate::app::error::{Body, Failure};
use crate::model::Diagnostic;
use crate::render::text::{sanitize_lines, wrap};

/// A failed command, for standard error, styled.
pub(crate) fn error(failure: &Failure) -> String {
    match &failure.body {
        // Styled in any case: what is not for a terminal is stripped where it is printed.
        Body::Configuration(error) => format!("{}\n", error.render(true, &broken).trim_end()),
        Body::Diagnostic(diagnostic) => laid_out(AnsiColor::Red, "error", diagnostic),
    }
}

/// A warning, for standard error: of something that changes nothing about how the command ended.
pub(crate) fn warning(diagnostic: &Diagnostic) -> String {
    laid_out(AnsiColor::Yellow, "warning", diagnostic)
}

/// Text for what stands behind so many columns.
pub(crate) fn broken(text: &str, indent: usize) -> String {
    wrap(text, term::width().saturating_sub(indent), "", "")
}

fn laid_out(color: AnsiColor, label: &str, Diagnostic { message, causes, hint }: &Diagnostic) -> String {
    let mut out = String::new();
    labelled(&mut out, color, label, message);
    if !causes.is_empty() {
        out.push_str("\nCaused by:\n");
        for cause in causes {
            let _ = writeln!(out, "{}", wrap(&sanitize_lines(cause), term::width(), "  ", "  "));
        }
    }
    if let Some(hint) = hint {
        // An error is the last that a command says, and stands in the open.
        if label == "error" || !causes.is_empty() {
            out.push('\n');
        }
        labelled(&mut out, AnsiColor::Cyan, "hint", hint);
    }
    out
}

fn labelled(out: &mut String, color: AnsiColor, label: &str, text: &str) {
    let style: Style = color.on_default().bold();
    let indent = " ".repeat(label.len() + 2);
    let text = wrap(&sanitize_lines(text), term::width(), &indent, &indent);
    let _ = writeln!(out, "{style}{label}:{style:#} {}", text.trim_start());
}

#[cfg(test)]
mod tests {
    use super::{Failure, error};

    fn plain(failure: &Failure) -> String {
        anstream::adapter::strip_str(&error(failure)).to_string()
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
