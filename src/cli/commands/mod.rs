//! One file for each command, its flags beside it.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use crate::app::error::Failure;
use crate::cli::globals::{Format, Globals};
use crate::files;
use crate::model::{Address, Allowances};
use crate::planfile::{self, SavedPlan};
use crate::render::LEAST_CHARS;

pub(crate) mod adopt;
pub(crate) mod apply;
pub(crate) mod completions;
pub(crate) mod confirm;
pub(crate) mod destroy;
pub(crate) mod doctor;
pub(crate) mod drift;
pub(crate) mod export;
pub(crate) mod init;
pub(crate) mod man;
pub(crate) mod plan;
pub(crate) mod rotate;
#[cfg(feature = "sandbox")]
pub(crate) mod sandbox;
pub(crate) mod schema;
pub(crate) mod show;
pub(crate) mod state;
pub(crate) mod validate;

/// Reads a saved plan, or says in what way it is none.
pub(crate) fn saved_plan(path: &Path) -> Result<SavedPlan, Failure> {
    let name = path.display();
    let text = files::read(path, planfile::MAX_BYTES).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            Failure::new(format!("there is no saved plan at {name}")).hint("make one with `setpoint plan --out FILE`")
        }
        _ => Failure::of(&error).context(format!("{name} cannot be read")),
    })?;
    planfile::read(&text).map_err(|error| Failure::new(format!("{name}: {error}")).hint(error.hint()))
}

/// The value of `--notify`, which may be the address itself: never shown, not even in an error of the command line.
#[derive(Clone)]
pub(crate) struct HookAddress(pub(crate) String);

impl From<String> for HookAddress {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for HookAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Flags of commands that print Markdown.
#[derive(Debug, clap::Args)]
pub(crate) struct Note {
    /// Shorten what --format markdown prints to N characters; steps are never left out
    #[arg(long, value_name = "N", value_parser = at_least)]
    max_chars: Option<usize>,
}

impl Note {
    /// The limit, where the form has one.
    pub(crate) fn limit(&self, globals: &Globals) -> Result<Option<usize>, Failure> {
        if self.max_chars.is_some() && globals.format != Format::Markdown {
            return Err(Failure::new("--max-chars shortens Markdown only").hint("add --format markdown"));
        }
        Ok(self.max_chars)
    }
}

fn at_least(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number >= LEAST_CHARS => Ok(number),
        _ => Err(format!(
            "it takes at least {LEAST_CHARS} characters to say what was left out"
        )),
    }
}

/// Flags of commands that keep to the change windows.
#[derive(Debug, clap::Args)]
pub(crate) struct Windows {
    /// Do not wait for a change window; the journal keeps the REASON
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub(crate) outside_window: Option<String>,
}

fn reason(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Err("say why, for the journal");
    }
    Ok(text.to_owned())
}

/// Flags that allow more for one run than the configuration does.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Allow {
    /// Allow up to N removals, whatever the guards say
    #[arg(long = "allow-removals", id = "allow_removals", value_name = "N")]
    removals: Option<u64>,

    /// Allow replacing the application, which drops every token of the old one
    #[arg(long = "allow-replace", id = "allow_replace")]
    replace: bool,

    #[command(flatten)]
    interruption: AllowInterruption,
}

/// The flag of commands that may cut Factory off.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct AllowInterruption {
    /// Allow, with --auto-approve, to cut Factory off until a person ends it
    #[arg(long)]
    pub(crate) allow_interruption: bool,
}

impl Allow {
    /// What is allowed, beyond what a saved plan was allowed already.
    pub(crate) fn beyond(self, saved: Allowances) -> Allowances {
        Allowances {
            replace_application: self.replace || saved.replace_application,
            removals: self.removals.or(saved.removals),
            interruption: self.interruption.allow_interruption || saved.interruption,
        }
    }
}

/// Flags of commands that can be held to some addresses.
#[derive(Debug, clap::Args)]
pub(crate) struct Targets {
    /// Only ADDR and what it depends on; may be given several times
    #[arg(long, value_name = "ADDR")]
    target: Vec<Address>,
}

impl Targets {
    pub(crate) fn addresses(self) -> BTreeSet<Address> {
        self.target.into_iter().collect()
    }
}
