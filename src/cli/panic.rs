//! What is said where Setpoint itself is at fault: a panic's message may hold anything that was being worked on, a
//! secret among it, so it is not shown. Where it happened says enough to find it.

use std::fmt::Write as _;
use std::panic::{PanicHookInfo, catch_unwind};

use super::diagnostic;
use super::term;
use crate::app::error::{Failure, Result};
use crate::app::exit::Exit;

/// Replaces Rust's own report of panics for the whole process.
pub(super) fn keep_silent() {
    std::panic::set_hook(Box::new(|info| term::err(&report(info))));
}

/// Runs a command; one that panics, which was said already, ends as an error and not with a code of its own.
pub(super) fn contain(command: impl FnOnce() -> Result<Exit> + std::panic::UnwindSafe) -> Result<Exit> {
    catch_unwind(command).unwrap_or(Ok(Exit::Error))
}

fn report(info: &PanicHookInfo<'_>) -> String {
    let place = info
        .location()
        .map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let failure = Failure::new(format!(
        "Setpoint came into a state that it does not know, at {place}, and stopped"
    ))
    .hint(
        "the record says what was begun, and the next run takes it up from there; report this with the place and the \
         version. The message itself is not shown, for it may hold secrets",
    );
    let mut text = diagnostic::error(&failure);
    let trace = std::backtrace::Backtrace::capture();
    if trace.status() == std::backtrace::BacktraceStatus::Captured {
        let _ = write!(text, "\n{trace}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Exit;

    const CANARY: &str = "canary-in-a-panic";

    /// Run by the test below in a process of its own, because the report is one for the whole process.
    #[test]
    #[ignore = "it panics on purpose"]
    fn one_that_panics() {
        super::keep_silent();
        let ended = super::contain(|| panic!("unexpected token {CANARY}"));
        eprintln!("ended with {}", ended.map_or(99, Exit::code));
    }

    #[test]
    fn a_panic_names_its_place_and_never_its_message() {
        for trace in ["0", "1"] {
            let ran = std::process::Command::new(std::env::current_exe().unwrap())
                .args([
                    "--ignored",
                    "--exact",
                    "--nocapture",
                    "cli::panic::tests::one_that_panics",
                ])
                .env("RUST_BACKTRACE", trace)
                .output()
                .unwrap();
            let said = format!(
                "{}{}",
                String::from_utf8_lossy(&ran.stdout),
                String::from_utf8_lossy(&ran.stderr)
            );
            assert!(said.contains("src/cli/panic.rs:"), "{said}");
            assert!(said.contains("ended with 1"), "{said}");
            assert!(!said.contains(CANARY), "{said}");
            assert_eq!(said.contains("one_that_panics::"), trace == "1", "{said}");
        }
    }
}
