//! A sign of life on standard error for what takes a while: what is being done, how far it is, and for how long. On a
//! terminal it is one line that is written over; in a log, a line a minute.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::term;
use crate::app::context::SoFar;

/// How long nothing is shown on a terminal.
const PATIENCE: Duration = Duration::from_secs(1);
/// After so long a reader wonders whether it still goes on.
const LONG: Duration = Duration::from_secs(10);
/// How often a log gets a line.
const IN_A_LOG: Duration = Duration::from_secs(60);

/// A sign of life, until it is dropped.
pub(super) struct Progress(Option<JoinHandle<()>>);

impl Progress {
    /// Begins. `what` is a participle such as `reading GitLab and Factory`.
    pub(super) fn start(what: &'static str, so_far: SoFar, quiet: bool) -> Self {
        if quiet {
            return Self(None);
        }
        let began = Instant::now();
        let shown = if io::stderr().is_terminal() {
            tokio::spawn(async move {
                tokio::time::sleep(PATIENCE).await;
                for sign in ['|', '/', '-', '\\'].into_iter().cycle() {
                    term::draw(&format!("{sign} {}", line(what, &so_far(), began.elapsed())));
                    tokio::time::sleep(Duration::from_millis(120)).await;
                }
            })
        } else {
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(IN_A_LOG).await;
                    term::err(&format!("{}\n", line(what, &so_far(), began.elapsed())));
                }
            })
        };
        Self(Some(shown))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(shown) = &self.0 {
            shown.abort();
            term::clear();
        }
    }
}

/// What is said after so long.
fn line(what: &str, so_far: &str, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    let time = if seconds < 60 {
        format!("{seconds} s")
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    };
    if elapsed >= LONG {
        return format!("Still {what}: {so_far}, {time}");
    }
    let mut letters = what.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let begun: String = first.into_iter().chain(letters).collect();
    format!("{begun}: {so_far}, {time}")
}

#[cfg(test)]
mod tests {
    use super::{Duration, line};

    #[test]
    fn it_says_what_how_far_and_how_long() {
        let said = |seconds| line("carrying out the plan", "3 of 28 changes", Duration::from_secs(seconds));
        assert_eq!(said(2), "Carrying out the plan: 3 of 28 changes, 2 s");
        assert_eq!(said(12), "Still carrying out the plan: 3 of 28 changes, 12 s");
        assert_eq!(said(125), "Still carrying out the plan: 3 of 28 changes, 2 min 05 s");
    }
}
