//! The log on standard error. It shows this program's own events only: those of the libraries below could hold
//! headers, and with them tokens, so no environment variable turns them on. No line has a secret of the run.

use std::io::{self, Write};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::globals::{Globals, LogFormat};
use crate::secrets::redact;

/// Sets the log up for the process.
pub(crate) fn start(globals: &Globals) {
    let level = match (globals.quiet, globals.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, 2) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    let own = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level);
    let registry = tracing_subscriber::registry().with(own);
    let lines = tracing_subscriber::fmt::layer().with_writer(|| Redacting(io::stderr()));
    // A second call, as in a test that runs two commands in one process, keeps the first log.
    let _ = match globals.log_format {
        LogFormat::Text => registry
            .with(lines.with_ansi(anstream::stderr().is_terminal()).with_target(false))
            .try_init(),
        LogFormat::Json => registry.with(lines.json()).try_init(),
    };
}

/// Takes the secrets out of each event, which comes as a whole.
struct Redacting(io::Stderr);

impl Write for Redacting {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(redact(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
