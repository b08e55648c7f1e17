//! The few colours: green for what appears, yellow for what changes, red for what goes.

use anstyle::{AnsiColor, Color, Style};

use crate::model::Actions;

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const CREATE: Style = AnsiColor::Green.on_default();
pub(super) const UPDATE: Style = AnsiColor::Yellow.on_default();
pub(super) const DELETE: Style = AnsiColor::Red.on_default();
pub(super) const ATTENTION: Style = AnsiColor::Yellow.on_default().bold();

pub(super) const PICTURE: Style = AnsiColor::BrightWhite
    .on_default()
    .bg_color(Some(Color::Ansi(AnsiColor::Black)));

/// The text in the style.
pub(super) fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// The style of a change.
pub(super) fn of(actions: Actions) -> Style {
    match actions {
        Actions::Create => CREATE,
        Actions::Update => UPDATE,
        Actions::Replace | Actions::Delete => DELETE,
    }
}
