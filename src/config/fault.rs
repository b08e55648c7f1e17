//! What is wrong with a configuration, where, and what to do: collected as byte ranges, shown as annotated lines.
//!
//! A [`Fault`] copies the one line that it shows and keeps nothing else of the file. A line that may hold a secret is
//! never copied; its place is named alone.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// A fault that was found, before the file's text is at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// The bytes of the file that are wrong.
    pub(super) span: Range<usize>,
    /// What is wrong.
    pub(super) message: String,
    /// What stands at the caret, where that says more.
    pub(super) label: Option<String>,
    /// What to do.
    pub(super) hint: String,
}

impl Finding {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            label: None,
            hint: hint.into(),
        }
    }

    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }
}

/// One fault of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
    label: Option<String>,
    /// The line and the bytes of it that are wrong; none where the line may hold a secret.
    excerpt: Option<(String, Range<usize>)>,
}

impl Fault {
    /// Finds the place of a finding in the text. Lines that touch a range of `secrets` are not copied.
    pub(super) fn new(finding: Finding, text: &str, secrets: &[Range<usize>]) -> Self {
        let place = floor(text, finding.span.start.min(text.len()));
        let start = text[..place].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[place..].find('\n').map_or(text.len(), |newline| place + newline);
        let line = text[start..end].trim_end_matches('\r');
        let stop = floor(
            text,
            finding.span.end.clamp(place, start + line.len().max(place - start)),
        );
        let hidden = secrets.iter().any(|range| range.start <= end && range.end >= start)
            || super::hidden::is_commented_with_secret(line);
        Self {
            line: text[..start].matches('\n').count() + 1,
            column: text[start..place].chars().count() + 1,
            message: finding.message,
            hint: finding.hint,
            label: finding.label,
            excerpt: (!hidden).then(|| (harmless(line), place - start..stop - start)),
        }
    }

    fn render(&self, file: &str, renderer: &Renderer) -> String {
        let title = Level::ERROR.primary_title(self.message.as_str());
        let hint = Level::HELP.with_name("hint").message(self.hint.as_str());
        let group = match &self.excerpt {
            Some((line, caret)) => title.element(
                Snippet::source(line.as_str())
                    .line_start(self.line)
                    .path(file)
                    .annotation(AnnotationKind::Primary.span(caret.clone()).label(self.label.as_deref())),
            ),
            None => title
                .element(Origin::path(file).line(self.line).char_column(self.column))
                .element(Level::NOTE.message("the line is not shown, because it may hold a secret")),
        };
        renderer.render(&[group.element(hint)])
    }
}

/// The line without what could turn the direction of a terminal's text or control it; places stay the same. The
/// renderer shows the other control characters as symbols.
fn harmless(line: &str) -> String {
    let mark = |c: char| match c {
        '\u{80}'..='\u{9f}' => '\u{b7}',
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => '\u{fffd}',
        other => other,
    };
    line.chars().map(mark).collect()
}

/// The nearest boundary of a character at or before a byte.
pub(super) fn floor(text: &str, mut place: usize) -> usize {
    while !text.is_char_boundary(place) {
        place -= 1;
    }
    place
}

/// A configuration that cannot be used: the file cannot be read, or it has faults. `Display` shows everything without
/// colour.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    file: PathBuf,
    kind: Kind,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Unreadable { message: String, hint: String },
    Faults(Vec<Fault>),
}

impl ConfigError {
    pub(super) fn unreadable(file: &Path, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            kind: Kind::Unreadable {
                message: message.into(),
                hint: hint.into(),
            },
        }
    }

    /// Sorts the findings by place and takes out what was found twice.
    pub(super) fn faulty(file: &Path, text: &str, secrets: &[Range<usize>], mut findings: Vec<Finding>) -> Self {
        findings.sort_by(|a, b| (a.span.start, &a.message).cmp(&(b.span.start, &b.message)));
        findings.dedup();
        let faults = findings
            .into_iter()
            .map(|finding| Fault::new(finding, text, secrets))
            .collect();
        Self {
            file: file.to_owned(),
            kind: Kind::Faults(faults),
        }
    }

    /// The faults by place; none where the file could not be read.
    pub fn faults(&self) -> &[Fault] {
        match &self.kind {
            Kind::Unreadable { .. } => &[],
            Kind::Faults(faults) => faults,
        }
    }

    /// All faults for a person, each with its place, its line and a hint. Begins with `error:`, ends without a line
    /// end. With `color`, styled by ANSI escapes.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        match &self.kind {
            Kind::Unreadable { message, hint } => {
                let line = |level: Level<'static>, text: &str| {
                    renderer.render(&[Group::with_title(level.primary_title(text.to_owned()))])
                };
                format!(
                    "{}\n{}",
                    line(Level::ERROR, message),
                    line(Level::HELP.with_name("hint"), hint)
                )
            }
            Kind::Faults(faults) => {
                let file = self.file.to_string_lossy();
                let mut shown: Vec<String> = faults.iter().map(|fault| fault.render(&file, &renderer)).collect();
                if faults.len() > 1 {
                    let total = format!("{file} has {} faults", faults.len());
                    shown.push(renderer.render(&[Group::with_title(Level::ERROR.primary_title(total))]));
                }
                shown.join("\n\n")
            }
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for ConfigError {}
