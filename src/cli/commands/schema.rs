//! `schema`: the JSON Schemas of the configuration and of the JSON outputs, for editors and CI.

use clap::ValueEnum;

use crate::app::error::Result;
use crate::app::exit::Exit;
use crate::cli::term;
use crate::{config, render};

/// Print a JSON Schema: of the configuration, of what `--format json` prints, or of what `drift --notify` posts
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Of what
    #[arg(value_enum, default_value_t = Document::Config)]
    document: Document,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Document {
    Config,
    Plan,
    Apply,
    Drift,
    Notify,
}

impl Args {
    pub(crate) fn run(self) -> Result<Exit> {
        let schema = match self.document {
            Document::Config => render::to_json(&config::schema()),
            Document::Plan => render::to_json(&render::plan_schema()),
            Document::Apply => render::to_json(&render::apply_schema()),
            Document::Drift => render::to_json(&render::drift_schema()),
            Document::Notify => render::to_json(&render::notify_schema()),
        };
        term::out(&schema)?;
        Ok(Exit::Done)
    }
}
