//! `show`: a saved plan, for who is to approve it.

use std::path::PathBuf;

use crate::app::error::Result;
use crate::app::exit::Exit;
use crate::cli::commands::{Note, saved_plan};
use crate::cli::console;
use crate::cli::globals::Globals;

/// Show a saved plan
///
/// Shows what `setpoint apply FILE` would carry out, with what was allowed for it. Needs neither the configuration nor
/// a token, and asks neither side.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A plan that `setpoint plan --out FILE` saved
    #[arg(value_name = "FILE")]
    plan: PathBuf,

    #[command(flatten)]
    note: Note,
}

impl Args {
    pub(crate) fn run(self, globals: &Globals) -> Result<Exit> {
        let max_chars = self.note.limit(globals)?;
        let saved = saved_plan(&self.plan)?;
        console::show(&saved.plan, &saved.environment, globals.format, max_chars)?;
        Ok(Exit::Done)
    }
}
