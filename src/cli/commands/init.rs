//! `init`: a starter configuration.

use std::io::Write as _;

use crate::app::error::{Failure, Result};
use crate::cli::exit::Exit;
use crate::cli::globals::Globals;
use crate::cli::term;
use crate::config;

/// Write a commented starter configuration
///
/// The file is written where -c/--config points. An existing file is never overwritten.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, globals: &Globals) -> Result<Exit> {
        let Self {} = self;
        let path = &globals.config;
        let written = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .and_then(|mut file| file.write_all(config::starter().as_bytes()));
        match written {
            Ok(()) => {
                if !globals.quiet {
                    term::err(&format!(
                        "Wrote {}. Adapt it, then try `setpoint validate` and `setpoint plan`.\n",
                        path.display()
                    ));
                }
                Ok(Exit::Done)
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(Failure::new(format!(
                "{} is there already and is left as it is",
                path.display()
            ))
            .hint("name another file with -c FILE")),
            Err(error) => Err(Failure::new(error.to_string()).context(format!("{} cannot be written", path.display()))),
        }
    }
}
