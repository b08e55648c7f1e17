//! The terminal: data on standard output, everything else on standard error, and questions to the person there. No secret
//! of the run passes here but by [`reveal`].

use std::borrow::Cow;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use serde::Serialize;
use tokio::task::JoinHandle;

use crate::app::error::{Failure, Result};
use crate::render;
use crate::render::text::wrap;
use crate::secrets::{Secret, redact};

/// Writes data to standard output. A reader that went away (`| head`) is no error: there is nobody left to tell.
pub(crate) fn out(text: &str) -> Result<()> {
    write(&linked(&redact(text), io::stdout().is_terminal()))
}

/// Writes data as JSON to standard output.
pub(crate) fn out_json<T: Serialize>(value: &T) -> Result<()> {
    write(&render::to_json(value))
}

fn write(text: &str) -> Result<()> {
    clear();
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
    clear();
    let text = redact(text);
    let text = linked(&text, is_seen());
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
    let _wait = Wait::begin();
    raw("\u{1b}[?1049h\u{1b}[2J\u{1b}[H");
    raw(&format!("The application's secret:\n\n{}\n\n", secret.expose()));
    let ended = cleared.await;
    raw("\u{1b}[2J\u{1b}[H\u{1b}[?1049l");
    ended
}

/// The text with its links where they can be followed: on a terminal that is known to have them, and not in the log of a
/// job that was given one.
fn linked(text: &str, is_terminal: bool) -> Cow<'_, str> {
    if is_terminal && std::env::var_os("CI").is_none() && supports_hyperlinks::supports_hyperlinks() {
        Cow::Borrowed(text)
    } else {
        render::without_links(text)
    }
}

/// How many columns text may fill on standard error: the terminal's, but no more than are good to read.
pub(crate) fn width() -> usize {
    readable(columns())
}

/// As [`width`], on standard output.
pub(crate) fn width_of_data() -> usize {
    readable(terminal_size::terminal_size_of(io::stdout()).map(wide))
}

/// As [`width_of_data`], for lists of which programs read a line at a time: only a terminal breaks those.
pub(crate) fn width_of_list() -> usize {
    if io::stdout().is_terminal() {
        width_of_data()
    } else {
        usize::MAX
    }
}

fn readable(columns: Option<usize>) -> usize {
    const WITHOUT_A_TERMINAL: usize = 80;
    const LEAST: usize = 40;
    const MOST: usize = 120;
    columns.map_or(WITHOUT_A_TERMINAL, |columns| columns.clamp(LEAST, MOST))
}

/// How many columns the terminal has that standard error goes to, if it does.
fn columns() -> Option<usize> {
    size().map(|(columns, _)| columns)
}

/// How many columns and lines that terminal has.
pub(crate) fn size() -> Option<(usize, usize)> {
    let size = terminal_size::terminal_size_of(io::stderr())?;
    Some((wide(size), usize::from(size.1.0)))
}

fn wide((terminal_size::Width(width), _): (terminal_size::Width, terminal_size::Height)) -> usize {
    usize::from(width)
}

/// Whether standard error goes to a person's terminal, and not to a log that others read.
pub(crate) fn is_seen() -> bool {
    io::stderr().is_terminal()
}

/// Whether a person can be asked: questions go to standard error, answers come from standard input.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// A question that stands on the terminal. What is said after it was given up begins on a line of its own.
struct Asked {
    is_answered: bool,
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.is_answered {
            err("\n");
        }
    }
}

/// Asks, and gives the line that was typed, without spaces around it; none at the end of input.
pub(crate) async fn ask(question: String) -> Result<Option<String>> {
    Ok(ask_line(&question).await?.map(|line| line.trim().to_owned()))
}

async fn ask_line(question: &str) -> Result<Option<Zeroizing<String>>> {
    let _wait = Wait::begin();
    err(question);
    let mut asked = Asked { is_answered: false };
    // What was typed before the question is no answer to it.
    if let Some(reading) = take_reading().filter(|reading| !reading.is_finished()) {
        keep_reading(reading);
    }
    let line = read_line().await;
    asked.is_answered = true;
    line
}

/// The line that is typed within this time; a later call goes on where this one ended.
pub(crate) async fn line_within(time: Duration) -> Option<Result<Option<String>>> {
    let _wait = Wait::begin();
    let line = tokio::time::timeout(time, read_line()).await.ok()?;
    Some(line.map(|line| line.map(|line| line.trim().to_owned())))
}

/// Whether a person can be asked, and the terminal be kept from showing the answer.
pub(crate) fn can_ask_secret() -> bool {
    cfg!(unix) && can_ask()
}

/// Asks for a secret, and gives what was typed without showing it. None where that is nothing.
pub(crate) async fn ask_secret(question: &str) -> Result<Option<Secret>> {
    let question = wrap(question, width(), "", "");
    let _silence = Silence::begin()?;
    let line = ask_line(&format!("\n{question}\n\n  Answer (not shown): ")).await?;
    let text = line.as_deref().map(|line| line.trim());
    Ok(text.filter(|text| !text.is_empty()).map(Secret::new))
}

/// Keeps the terminal from showing what is typed until it is dropped, also where the question is given up. What was typed
/// before and behind the answer goes to nobody: not to the next question, and not to the shell.
#[cfg(unix)]
struct Silence(rustix::termios::Termios);

#[cfg(unix)]
impl Silence {
    fn begin() -> Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let shows = |error: rustix::io::Errno| {
            Failure::new(io::Error::from(error).to_string())
                .context("the terminal cannot be kept from showing what is typed, so nothing is asked")
        };
        let before = tcgetattr(io::stdin()).map_err(shows)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent).map_err(shows)?;
        Ok(Self(before))
    }
}

#[cfg(unix)]
impl Drop for Silence {
    fn drop(&mut self) {
        let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Flush, &self.0);
    }
}

#[cfg(not(unix))]
struct Silence;

#[cfg(not(unix))]
impl Silence {
    fn begin() -> Result<Self> {
        Err(Failure::new(
            "the terminal cannot be kept from showing what is typed, so nothing is asked",
        ))
    }
}

type Reading = JoinHandle<io::Result<(usize, Zeroizing<String>)>>;

/// A line that is being read and that nobody waits for any more. A thread that reads cannot be stopped: the next question
/// gets its line.
static READING: Mutex<Option<Reading>> = Mutex::new(None);

fn take_reading() -> Option<Reading> {
    READING.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn keep_reading(reading: Reading) {
    *READING.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
}

/// Keeps a reading that is given up.
struct Awaited(Option<Reading>);

impl Drop for Awaited {
    fn drop(&mut self) {
        if let Some(reading) = self.0.take() {
            keep_reading(reading);
        }
    }
}

async fn read_line() -> Result<Option<Zeroizing<String>>> {
    let reading = take_reading().unwrap_or_else(|| {
        tokio::task::spawn_blocking(|| {
            let mut line = Zeroizing::new(String::new());
            io::stdin().lock().read_line(&mut line).map(|read| (read, line))
        })
    });
    let mut awaited = Awaited(None);
    let line = awaited.0.insert(reading).await;
    awaited.0 = None;
    match line.map_err(|error| Failure::of(&error))? {
        Ok((0, _)) => Ok(None),
        Ok((_, line)) => Ok(Some(line)),
        Err(error) => Err(Failure::new(error.to_string()).context("standard input cannot be read")),
    }
}

/// Asks for the one word that means yes: `yes`. Without a terminal it is an error that names the flag which answers instead.
pub(crate) async fn confirm(question: &str) -> Result<bool> {
    if !can_ask() {
        return Err(
            Failure::new("this needs a confirmation, and there is no terminal to ask on")
                .hint("pass --auto-approve to go on without being asked, or run it on a terminal"),
        );
    }
    let question = wrap(question, width(), "", "");
    let answer = ask(format!("\n{question}\n  Only `yes` is taken as consent.\n\n  Answer: ")).await?;
    err("\n");
    Ok(answer.as_deref() == Some("yes"))
}

/// The line of a sign of life that stands on the terminal: how many columns it has, and how often it was asked to wait.
static LINE: Mutex<Line> = Mutex::new(Line { columns: 0, waits: 0 });

struct Line {
    columns: usize,
    waits: usize,
}

fn line() -> MutexGuard<'static, Line> {
    LINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a sign of life over the one before. What else is written clears it.
pub(super) fn draw(text: &str) {
    let mut line = line();
    if line.waits > 0 {
        return;
    }
    // A line that wraps could not be written over.
    let room = columns().unwrap_or(80).saturating_sub(1);
    let text: String = redact(text).chars().take(room).collect();
    // With spaces: a terminal that shows no colours may know no other way of clearing a line either.
    let rest = line.columns.saturating_sub(text.chars().count());
    line.columns = text.chars().count();
    overwrite(&format!("{text}{}", " ".repeat(rest)));
}

/// Takes the sign of life off the terminal.
pub(super) fn clear() {
    let mut line = line();
    if line.columns > 0 {
        overwrite(&" ".repeat(line.columns));
        overwrite("");
        line.columns = 0;
    }
}

/// Keeps signs of life off the terminal until it is dropped.
struct Wait;

impl Wait {
    fn begin() -> Self {
        clear();
        line().waits += 1;
        Self
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut line = line();
        line.waits = line.waits.saturating_sub(1);
    }
}

/// Writes over the line that the cursor is on.
fn overwrite(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "\r{text}").and_then(|()| stderr.flush());
}
