//! `state`: the record, who holds its lock, and what to do when it was lost.

use std::path::PathBuf;

use serde_json::json;

use crate::app::context;
use crate::app::error::{Failure, Result};
use crate::app::exit::Exit;
use crate::app::forget;
use crate::app::push::{self, Replaced};
use crate::app::rebuild;
use crate::app::records::{Records, journal as journal_of};
use crate::cli::globals::{Format, Globals};
use crate::cli::{journal_text, term};
use crate::config::Config;
use crate::kinds;
use crate::model::Address;
use crate::render;
use crate::state::{Holder, StateStore};

/// Look at the state record and its lock, and mend them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: State,
}

#[derive(Debug, clap::Subcommand)]
enum State {
    /// Show the record, and who holds its lock
    Show,
    /// List the addresses of what the record remembers
    List,
    /// Take resources out of the record
    ///
    /// Shows what follows from it, and after a `yes` lets the record forget them. Writes to neither side. What was
    /// there is kept in a file.
    Rm {
        /// What to forget
        #[arg(value_name = "ADDR", required = true)]
        addresses: Vec<Address>,

        /// Do not ask
        #[arg(long)]
        auto_approve: bool,
    },
    /// Release a lock that was left behind
    ///
    /// Shows who holds the lock and releases it after a `yes`. Only do this when that run is certainly gone.
    Unlock {
        /// Id of the lock, to be sure that it is still the one that was meant
        #[arg(value_name = "ID")]
        id: Option<String>,

        /// Do not ask
        #[arg(long)]
        auto_approve: bool,
    },
    /// Show what was written to either side, by whom and when
    Journal,
    /// Make a new record from what is live, after the old one was lost
    ///
    /// Reads both sides, and after a `yes` writes a new record of what is live as the configuration says. Writes to
    /// neither side. What differs stays out of it, and shows as unrecorded. What was there is kept in a file.
    ///
    /// Lost with the old record are which side moved, what people attested, and what an interrupted run had begun.
    Rebuild {
        /// Also where a record is there that is not damaged
        #[arg(long)]
        replace: bool,

        /// Do not ask
        #[arg(long)]
        auto_approve: bool,
    },
    /// Put a record back from a file
    ///
    /// Replaces the record by a backup, or by what a run could not write and kept in a file, after a `yes`. Refuses a
    /// file that is older than the record or has another history. What was there is kept in a file.
    Push {
        /// The record to put back
        #[arg(value_name = "FILE")]
        file: PathBuf,

        /// Also where a record is there that is newer, or has another history
        #[arg(long)]
        replace: bool,

        /// Do not ask
        #[arg(long)]
        auto_approve: bool,
    },
}

impl Args {
    pub(crate) async fn run(self, globals: Globals) -> Result<Exit> {
        match self.command {
            State::Show => show(&globals, &open(&globals).await?).await,
            State::List => list(&globals, &open(&globals).await?).await,
            State::Rm {
                addresses,
                auto_approve,
            } => {
                let context = globals.open().await?;
                let ended = forget::forget(&context, &addresses.into_iter().collect(), auto_approve).await;
                context.close(ended.and_then(|replaced| say_replaced(&replaced))).await
            }
            State::Unlock { id, auto_approve } => {
                let records = open(&globals).await?;
                unlock(records.store.as_ref(), id, auto_approve).await
            }
            State::Journal => journal(&globals, &context::load(&globals.config)?),
            State::Rebuild { replace, auto_approve } => {
                let context = globals.open().await?;
                let ended = Box::pin(rebuild::rebuild(&context, replace, auto_approve)).await;
                context.close(ended.and_then(|replaced| say_replaced(&replaced))).await
            }
            State::Push {
                file,
                replace,
                auto_approve,
            } => {
                let context = globals.open().await?;
                let ended = push::push(&context, &file, replace, auto_approve).await;
                context.close(ended.and_then(|replaced| say_replaced(&replaced))).await
            }
        }
    }
}

fn say_replaced(Replaced { place, serial, kept }: &Replaced) -> Result<Exit> {
    let kept = kept.as_ref().map_or_else(String::new, |kept| {
        format!("What was there is kept in {}.\n", kept.display())
    });
    term::out(&format!(
        "\n{place} is written, with the serial {serial}.\n{kept}`setpoint plan` shows what differs.\n"
    ))?;
    Ok(Exit::Done)
}

async fn open(globals: &Globals) -> Result<Records> {
    let settings = globals.settings();
    Records::open(&context::load(&settings.config)?, &settings).await
}

async fn list(globals: &Globals, records: &Records) -> Result<Exit> {
    let record = records.read().await?;
    let remembered = record.as_ref().map(kinds::remembered).unwrap_or_default();
    // A replaced application that is still to be deleted has the address of its successor.
    let mut addresses: Vec<Address> = remembered.into_iter().map(|(address, ..)| address).collect();
    addresses.sort();
    addresses.dedup();
    match globals.format {
        Format::Human | Format::Markdown => {
            let lines = addresses
                .iter()
                .map(|address| format!("{}\n", render::text::sanitize(&address.to_string())));
            term::out(&lines.collect::<String>())?;
        }
        Format::Json => term::out_json(&json!({
            "format_version": render::FORMAT_VERSION,
            "addresses": addresses,
        }))?,
    }
    Ok(Exit::Done)
}

async fn show(globals: &Globals, records: &Records) -> Result<Exit> {
    let record = records.read().await?;
    let store = &records.store;
    let holder = store.holder().await?;
    match globals.format {
        Format::Human | Format::Markdown => {
            let lock = match &holder {
                Holder::Nobody => "Nobody holds the lock.".to_owned(),
                Holder::Held(holder) => format!("Locked by {holder}."),
                Holder::Unknown => {
                    "Whether somebody holds the lock is not known: the backend says so only to who asks for it."
                        .to_owned()
                }
            };
            term::out(&render::record(
                &store.place(),
                record.as_ref(),
                &lock,
                term::width_of_list(),
            ))?;
        }
        Format::Json => {
            let (state, lock) = match holder {
                Holder::Nobody => ("free", None),
                Holder::Held(holder) => ("held", Some(holder)),
                Holder::Unknown => ("unknown", None),
            };
            term::out_json(&json!({
                "format_version": render::FORMAT_VERSION,
                "place": store.place(),
                "record": record,
                "lock_state": state,
                "lock": lock,
            }))?;
        }
    }
    Ok(Exit::Done)
}

fn journal(globals: &Globals, config: &Config) -> Result<Exit> {
    let journal = journal_of(config, &globals.settings());
    let contents = journal.read()?;
    match globals.format {
        Format::Human | Format::Markdown => {
            term::out(&journal_text::journal(&contents.entries, term::width_of_list()))?;
        }
        Format::Json => term::out_json(&json!({
            "format_version": render::FORMAT_VERSION,
            "entries": contents.entries,
        }))?,
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

async fn unlock(store: &dyn StateStore, id: Option<String>, auto_approve: bool) -> Result<Exit> {
    let id = match (id, store.holder().await?) {
        (None, Holder::Unknown) => {
            return Err(Failure::new(format!(
                "{} cannot say whether its lock is held, nor by whom",
                store.place()
            ))
            .hint("give the id that the refused run named: `setpoint state unlock ID`"));
        }
        (None, Holder::Nobody) => {
            term::out("Nobody holds the lock.\n")?;
            return Ok(Exit::Done);
        }
        (Some(id), Holder::Nobody | Holder::Unknown) => id,
        (given, Holder::Held(holder)) => {
            term::err(&format!("{} is locked by {holder}.\n", store.place()));
            given.unwrap_or(holder.id)
        }
    };
    let question = "Do you want to release the lock? If that run is still going, both may write at once.";
    if !auto_approve && !term::confirm(question).await? {
        return Err(Failure::refused("the lock is left as it is"));
    }
    store.unlock(&id).await?;
    term::out("The lock is released.\n")?;
    Ok(Exit::Done)
}
