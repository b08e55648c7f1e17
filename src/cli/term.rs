//! The terminal: data on standard output, everything else on standard error, and questions to the person there. No secret
//! of the run passes here but by [`reveal`].

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinHandle;

use crate::app::error::{Failure, Result};
use crate::render;
use crate::secrets::{Secret, redact};

/// Writes data to standard output. A reader that went away (`| head`) is no error: there is nobody left to tell.
pub(crate) fn out(text: &str) -> Result<()> {
    write(&redact(text))
}

/// Writes data as JSON to standard output.
pub(crate) fn out_json<T: Serialize>(value: &T) -> Result<()> {
    write(&render::to_json(value))
}

fn write(text: &str) -> Result<()> {
    let mut stdout = anstream::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(error.to_string()).context("standard output cannot be written"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes to standard error, as far as that is possible.
pub(crate) fn err(text: &str) {
    let text = redact(text);
    let mut stderr = anstream::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Shows a secret to the person who asked for it, and goes on when it is cleared: on the terminal's second screen, which
/// no scrolling back brings up, and which is cleared before it is left.
pub(crate) async fn reveal<T>(secret: &Secret, cleared: impl Future<Output = T>) -> T {
    let raw = |text: &str| {
        let mut stderr = io::stderr().lock();
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    };
    raw("\u{1b}[?1049h\u{1b}[2J\u{1b}[H");
    raw(&format!("The application's secret:\n\n{}\n\n", secret.expose()));
    let ended = cleared.await;
    raw("\u{1b}[2J\u{1b}[H\u{1b}[?1049l");
    ended
}

/// How many columns prose may fill on standard error: the terminal's, but no more than are good to read.
pub(crate) fn width() -> usize {
    const GOOD: usize = 80;
    const LEAST: usize = 40;
    terminal_size::terminal_size_of(io::stderr()).map_or(GOOD, |(terminal_size::Width(width), _)| {
        usize::from(width).clamp(LEAST, GOOD)
    })
}

/// Whether standard error goes to a person's terminal, and not to a log that others read.
pub(crate) fn is_seen() -> bool {
    io::stderr().is_terminal()
}

/// Whether a person can be asked: questions go to standard error, answers come from standard input.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks, and gives the line that was typed, without spaces around it; none at the end of input.
pub(crate) async fn ask(question: String) -> Result<Option<String>> {
    err(&question);
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|read| (read, line))
    })
    .await
    .map_err(|error| Failure::of(&error))?;
    match line {
        Ok((0, _)) => Ok(None),
        Ok((_, line)) => Ok(Some(line.trim().to_owned())),
        Err(error) => Err(Failure::new(error.to_string()).context("standard input cannot be read")),
    }
}

/// Asks for the one word that means yes: `yes`. Without a terminal it is an error that names the flag which answers instead.
pub(crate) async fn confirm(question: &str, flag: &str) -> Result<bool> {
    if !can_ask() {
        return Err(
            Failure::new("this needs a confirmation, and there is no terminal to ask on").hint(format!(
                "pass {flag} to go on without being asked, or run it on a terminal"
            )),
        );
    }
    let answer = ask(format!("\n{question}\n  Only `yes` is taken as consent.\n\n  Answer: ")).await?;
    err("\n");
    Ok(answer.as_deref() == Some("yes"))
}

/// A sign of life on standard error for what takes over a second; nothing where that is no terminal or `quiet`.
pub(crate) struct Progress(Option<Spinner>);

struct Spinner {
    message: &'static str,
    began: Instant,
    turning: JoinHandle<()>,
}

impl Progress {
    /// How long nothing is shown.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// Begins. It shows itself after a second.
    pub(crate) fn start(message: &'static str, quiet: bool) -> Self {
        if quiet || !io::stderr().is_terminal() {
            return Self(None);
        }
        let turning = tokio::spawn(async move {
            tokio::time::sleep(Self::PATIENCE).await;
            for sign in ['|', '/', '-', '\\'].into_iter().cycle() {
                overwrite(&format!("{sign} {message}"));
                tokio::time::sleep(Duration::from_millis(120)).await;
            }
        });
        Self(Some(Spinner {
            message,
            began: Instant::now(),
            turning,
        }))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let Some(spinner) = &self.0 else { return };
        spinner.turning.abort();
        if spinner.began.elapsed() >= Self::PATIENCE {
            // With spaces: a terminal that shows no colours may know no other way of clearing a line either.
            overwrite(&" ".repeat(spinner.message.len() + 2));
            overwrite("");
        }
    }
}

/// Writes over the line that the cursor is on.
fn overwrite(line: &str) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "\r{line}").and_then(|()| stderr.flush());
}
