//! `completions`: for shells.

use crate::app::error::Result;
use crate::app::exit::Exit;
use crate::cli::term;

/// Print a shell completion script
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

impl Args {
    pub(crate) fn run(self) -> Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::cli::command(), "setpoint", &mut script);
        term::out(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Done)
    }
}
