//! `validate`: everything that can be known without the network.

use serde_json::json;

use crate::app::context;
use crate::app::error::Result;
use crate::cli::exit::Exit;
use crate::cli::globals::{Format, Globals};
use crate::cli::term;
use crate::render;

/// Check the configuration without the network
///
/// All faults are reported at once, each with its place and a hint. Nothing is written.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, globals: &Globals) -> Result<Exit> {
        let Self {} = self;
        let config = context::load(&globals.config)?;
        match globals.format {
            Format::Human | Format::Markdown => term::out(&format!("{} is valid.\n", globals.config.display()))?,
            Format::Json => term::out(&render::to_json(&json!({
                "format_version": render::FORMAT_VERSION,
                "valid": true,
                "config_digest": config.digest,
            })))?,
        }
        Ok(Exit::Done)
    }
}
