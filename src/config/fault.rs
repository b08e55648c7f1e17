//! What is wrong with a configuration, where, and what to do: collected as byte ranges, shown as annotated lines.
//!
//! A [`Fault`] copies the one line that it shows and keeps nothing else of the file. A line that may hold a secret is
//! never copied; its place is named alone.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use super::redact::{floor, is_commented_with_secret};
use crate::glyphs;

/// Breaks a text into lines that have so many columns before them.
pub type Broken<'a> = &'a dyn Fn(&str, usize) -> String;

/// Each text on a line, however long it is.
pub fn unbroken(text: &str, _indent: usize) -> String {
    text.to_owned()
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, and probably is not what was meant.
    Warning,
}

/// A fault that was found, before the file's text is at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// The bytes of the file that are wrong.
    pub(super) span: Range<usize>,
    pub(super) message: String,
    /// What stands at the caret, where that says more.
    pub(super) label: Option<String>,
    pub(super) hint: String,
    pub(super) severity: Severity,
}

impl Finding {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            label: None,
            hint: hint.into(),
            severity: Severity::Error,
        }
    }

    pub(super) fn warning(span: Range<usize>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::new(span, message, hint)
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
    pub message: String,
    pub hint: String,
    /// Whether the configuration can be used all the same.
    pub severity: Severity,
    /// Line and column of the first character after it.
    end: (usize, usize),
    label: Option<String>,
    /// The line and the bytes of it that are wrong; none where the line may hold a secret.
    excerpt: Option<(String, Range<usize>)>,
}

impl Fault {
    /// Finds the place of a finding in the text. Lines that touch a range of `secrets` are not copied.
    pub(super) fn new(finding: &Finding, text: &str, secrets: &[Range<usize>]) -> Self {
        let place = floor(text, finding.span.start);
        let start = text[..place].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[place..].find('\n').map_or(text.len(), |newline| place + newline);
        let line = text[start..end].trim_end_matches('\r');
        let stop = floor(
            text,
            finding.span.end.clamp(place, start + line.len().max(place - start)),
        );
        let hidden =
            secrets.iter().any(|range| range.start <= end && range.end >= start) || is_commented_with_secret(line);
        let last = floor(text, finding.span.end.max(place));
        let (number, column) = position(text, place);
        Self {
            line: number,
            column,
            end: position(text, last),
            // They may quote keys and values of the file.
            message: harmless(&finding.message),
            hint: harmless(&finding.hint),
            severity: finding.severity,
            label: finding.label.as_deref().map(harmless),
            excerpt: (!hidden).then(|| {
                let before = |end: usize| harmless(&text[start..end]).len();
                (harmless(line), before(place)..before(stop))
            }),
        }
    }

    /// As data, for editors: lines and columns count from 1, columns in characters, and the end is exclusive.
    pub fn to_json(&self) -> Value {
        json!({
            "severity": match self.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            "message": self.message,
            "hint": self.hint,
            "range": {
                "start": { "line": self.line, "column": self.column },
                "end": { "line": self.end.0, "column": self.end.1 },
            },
        })
    }

    fn render(&self, file: &str, renderer: &Renderer, broken: Broken<'_>) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(broken(&self.message, "warning: ".len()));
        // Behind the number of the line and a sign.
        let indent = self.line.to_string().len() + " = hint: ".len();
        let hint = Level::HELP.with_name("hint").message(broken(&self.hint, indent));
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

/// Line and column of a byte, each counted from 1, the column in characters.
fn position(text: &str, place: usize) -> (usize, usize) {
    let start = text[..place].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[..start].matches('\n').count() + 1;
    (line, text[start..place].chars().count() + 1)
}

/// Text of the file without what acts on a terminal or a reader instead of being shown. Control characters of ASCII are
/// left to the renderer, which shows them as symbols.
fn harmless(text: &str) -> String {
    let mark = |c: char| match c {
        c if !c.is_ascii() && glyphs::is_unsafe(c) => '\u{fffd}',
        other => other,
    };
    text.chars().map(mark).collect()
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

/// What a sound configuration is warned of.
#[derive(Debug, Clone, Default)]
pub struct Warnings {
    file: PathBuf,
    faults: Vec<Fault>,
}

impl Warnings {
    pub(super) fn new(file: &Path, text: &str, secrets: &[Range<usize>], findings: Vec<Finding>) -> Self {
        Self {
            file: file.to_owned(),
            faults: placed(text, secrets, findings),
        }
    }

    /// Each by its place.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// All of them for a person, as [`ConfigError::render`] does it; empty where there is none.
    pub fn render(&self, color: bool, broken: Broken<'_>) -> String {
        let file = self.file.to_string_lossy();
        let renderer = renderer(color);
        let shown: Vec<String> = self
            .faults
            .iter()
            .map(|fault| fault.render(&file, &renderer, broken))
            .collect();
        shown.join("\n\n")
    }
}

fn renderer(color: bool) -> Renderer {
    if color { Renderer::styled() } else { Renderer::plain() }
}

/// The findings by place, each once.
fn placed(text: &str, secrets: &[Range<usize>], mut findings: Vec<Finding>) -> Vec<Fault> {
    findings.sort_by(|a, b| (a.span.start, &a.message).cmp(&(b.span.start, &b.message)));
    findings.dedup();
    findings
        .iter()
        .map(|finding| Fault::new(finding, text, secrets))
        .collect()
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
    pub(super) fn faulty(file: &Path, text: &str, secrets: &[Range<usize>], findings: Vec<Finding>) -> Self {
        Self {
            file: file.to_owned(),
            kind: Kind::Faults(placed(text, secrets, findings)),
        }
    }

    /// What is wrong where there is no place for it: the file cannot be read. With what to do.
    pub fn unread(&self) -> Option<(&str, &str)> {
        match &self.kind {
            Kind::Unreadable { message, hint } => Some((message, hint)),
            Kind::Faults(_) => None,
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
    /// end. With `color`, styled by ANSI escapes; prose is broken into lines as told.
    pub fn render(&self, color: bool, broken: Broken<'_>) -> String {
        let renderer = renderer(color);
        match &self.kind {
            Kind::Unreadable { message, hint } => {
                let line = |level: Level<'static>, text: &str| {
                    let text = broken(text, "error: ".len());
                    renderer.render(&[Group::with_title(level.primary_title(text))])
                };
                format!(
                    "{}\n{}",
                    line(Level::ERROR, message),
                    line(Level::HELP.with_name("hint"), hint)
                )
            }
            Kind::Faults(faults) => {
                let file = self.file.to_string_lossy();
                let mut shown: Vec<String> = faults
                    .iter()
                    .map(|fault| fault.render(&file, &renderer, broken))
                    .collect();
                let errors = faults.iter().filter(|fault| fault.severity == Severity::Error).count();
                if errors > 1 {
                    let total = format!("{file} has {errors} faults");
                    shown.push(renderer.render(&[Group::with_title(Level::ERROR.primary_title(total))]));
                }
                shown.join("\n\n")
            }
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false, &unbroken))
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false, &unbroken))
    }
}

impl std::error::Error for ConfigError {}
