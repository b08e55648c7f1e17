//! `validate`: everything that can be known without the network.

use serde_json::{Value, json};

use crate::app::error::Result;
use crate::app::exit::Exit;
use crate::cli::globals::{Format, Globals};
use crate::cli::{diagnostic, term};
use crate::config::{self, Fault};
use crate::render;

/// Check the configuration without the network
///
/// All faults are reported at once, each with its place and a hint. Nothing is written.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, globals: &Globals) -> Result<Exit> {
        let Self {} = self;
        let loaded = config::load(&globals.config);
        match globals.format {
            Format::Human | Format::Markdown => {
                let config = loaded?;
                let warnings = config.warnings.render(true, &diagnostic::broken);
                if !warnings.is_empty() {
                    term::err(&format!("{warnings}\n"));
                }
                term::out(&format!("{} is valid.\n", globals.config.display()))?;
                Ok(Exit::Done)
            }
            Format::Json => {
                let (mut document, exit) = match &loaded {
                    Ok(config) => {
                        let mut document = document(true, config.warnings.faults());
                        document["config_digest"] = json!(config.digest);
                        (document, Exit::Done)
                    }
                    Err(error) => {
                        let mut document = document(false, error.faults());
                        if let Some((message, hint)) = error.unread() {
                            document["faults"] =
                                json!([{ "severity": "error", "message": message, "hint": hint, "range": null }]);
                        }
                        (document, Exit::Error)
                    }
                };
                document["file"] = json!(globals.config);
                term::out_json(&document)?;
                Ok(exit)
            }
        }
    }
}

fn document(valid: bool, faults: &[Fault]) -> Value {
    json!({
        "format_version": render::FORMAT_VERSION,
        "valid": valid,
        "faults": faults.iter().map(Fault::to_json).collect::<Vec<_>>(),
    })
}
