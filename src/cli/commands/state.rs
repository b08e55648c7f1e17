//! `state`: the record, and who holds its lock.

use serde_json::json;

use crate::cli::context;
use crate::cli::error::{Failure, Result};
use crate::cli::exit::Exit;
use crate::cli::globals::{Format, Globals};
use crate::cli::{journal_text, term};
use crate::config::{Config, StateConfig};
use crate::render;
use crate::state::{StateStore, check_world};

/// Look at the state record and its lock
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: State,
}

#[derive(Debug, clap::Subcommand)]
enum State {
    /// Show the record, and who holds its lock
    Show,
    /// Release a lock that was left behind
    Unlock(Unlock),
    /// Show what was written to either side, by whom and when
    Journal,
}

/// Shows who holds the lock and releases it after a `yes`. Only do this when that run is certainly gone.
#[derive(Debug, clap::Args)]
struct Unlock {
    /// Id of the lock, to be sure that it is still the one that was meant
    #[arg(value_name = "ID")]
    id: Option<String>,

    /// Do not ask
    #[arg(long)]
    auto_approve: bool,
}

impl Args {
    pub(crate) async fn run(self, globals: Globals) -> Result<Exit> {
        let config = context::load(&globals.config)?;
        let store = context::open_store(&config, &globals).await?;
        match self.command {
            State::Show => show(&globals, store.as_ref()).await,
            State::Unlock(unlock) => {
                let tells = !matches!(config.state, StateConfig::Http(_)) || context::is_sandbox(&globals);
                unlock.run(store.as_ref(), tells).await
            }
            State::Journal => journal(&globals, &config),
        }
    }
}

async fn show(globals: &Globals, store: &dyn StateStore) -> Result<Exit> {
    let record = store.read().await?;
    if let Some(record) = &record {
        check_world(record, context::is_sandbox(globals), &store.place())?;
    }
    let holder = store.holder().await?;
    match globals.format {
        Format::Human | Format::Markdown => term::out(&render::record(
            &store.place(),
            record.as_ref(),
            holder.map(|h| h.to_string()),
        ))?,
        Format::Json => term::out(&render::to_json(&json!({
            "format_version": render::FORMAT_VERSION,
            "place": store.place(),
            "record": record,
            "lock": holder,
        })))?,
    }
    Ok(Exit::Done)
}

fn journal(globals: &Globals, config: &Config) -> Result<Exit> {
    let journal = context::journal(config);
    let contents = journal.read()?;
    match globals.format {
        Format::Human | Format::Markdown => term::out(&journal_text::journal(&contents.entries))?,
        Format::Json => term::out(&render::to_json(&json!({
            "format_version": render::FORMAT_VERSION,
            "entries": contents.entries,
        })))?,
    }
    if !contents.unreadable.is_empty() {
        let lines: Vec<String> = contents.unreadable.iter().map(ToString::to_string).collect();
        term::err(&format!(
            "{}: these lines are no entries: {}\n",
            journal.path().display(),
            lines.join(", ")
        ));
    }
    Ok(Exit::Done)
}

impl Unlock {
    /// `tells`: whether the store can say who holds its lock.
    async fn run(self, store: &dyn StateStore, tells: bool) -> Result<Exit> {
        if self.id.is_none() && !tells {
            return Err(Failure::new(format!(
                "{} cannot say whether its lock is held, nor by whom",
                store.place()
            ))
            .hint("give the id that the refused run named: `setpoint state unlock ID`"));
        }
        let id = match (self.id, store.holder().await?) {
            (None, None) => {
                term::out("Nobody holds the lock.\n")?;
                return Ok(Exit::Done);
            }
            (Some(id), None) => id,
            (given, Some(holder)) => {
                term::err(&format!("{} is locked by {holder}.\n", store.place()));
                given.unwrap_or(holder.id)
            }
        };
        let question = "Do you want to release the lock? If that run is still going, both may write at once.";
        if !self.auto_approve && !term::confirm(question, "--auto-approve").await? {
            return Err(Failure::refused("the lock is left as it is"));
        }
        store.unlock(&id).await?;
        term::out("The lock is released.\n")?;
        Ok(Exit::Done)
    }
}
