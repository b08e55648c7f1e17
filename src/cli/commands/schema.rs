//! `schema`: the JSON Schema of the configuration, for editors and CI.

use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::term;
use crate::{config, render};

/// Print the JSON Schema of the configuration
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self) -> Result<Exit> {
        let Self {} = self;
        term::out(&render::to_json(&config::schema()))?;
        Ok(Exit::Done)
    }
}
