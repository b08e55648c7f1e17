//! `drift`: what changed outside of Setpoint, told from what is only waiting to be applied.

use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::Timestamp;

use crate::cli::commands::Note;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::files::{self, Readers};
use crate::cli::globals::Globals;
use crate::cli::work;
use crate::model::{Command, Origin, Plan};
use crate::render::{self, DriftRun, Requests};

/// Tell what changed outside of Setpoint
///
/// Compares both sides with the configuration and the state record, and tells drift (a side changed) from pending (the
/// configuration changed). Exits with 2 on drift. It can never write to either side.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Exit with 2 also where changes are only waiting to be applied
    #[arg(long)]
    fail_on_pending: bool,

    /// Write metrics for Prometheus's textfile collector, also of a failed run
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,

    #[command(flatten)]
    note: Note,
}

impl Args {
    pub(crate) async fn run(self, globals: Globals) -> Result<Exit> {
        let max_chars = self.note.limit(&globals)?;
        let started = Instant::now();
        let context = match Context::open(globals).await {
            Ok(context) => context,
            Err(failure) => {
                // The failure is what is told; that the metrics cannot be written either adds nothing to it.
                let _ = self.measure(started, None, Requests::default());
                return Err(failure);
            }
        };
        let looked = work::look(&context, &context.policy(Command::Drift)).await;
        let plan = looked.as_ref().ok().map(|view| &view.plan);
        let measured = self.measure(started, plan, context.requests());
        let ended = match looked {
            Ok(view) => measured.and_then(|()| self.show(&context, &view.plan, max_chars)),
            Err(failure) => Err(failure),
        };
        context.close(ended).await
    }

    fn show(&self, context: &Context, plan: &Plan, max_chars: Option<usize>) -> Result<Exit> {
        work::show(context, plan, max_chars)?;
        let counts = |origin| self.fail_on_pending || origin != Origin::Pending;
        Ok(if plan.changes.iter().any(|change| counts(change.origin)) {
            Exit::Differences
        } else {
            Exit::Done
        })
    }

    fn measure(&self, started: Instant, found: Option<&Plan>, requests: Requests) -> Result<()> {
        let Some(file) = self.metrics.as_deref() else {
            return Ok(());
        };
        write(file, started, found, requests)
    }
}

fn write(file: &Path, started: Instant, found: Option<&Plan>, requests: Requests) -> Result<()> {
    let text = render::metrics(&DriftRun {
        at: Timestamp::now(),
        seconds: started.elapsed().as_secs_f64(),
        found,
        requests,
    });
    files::write(file, &text, Readers::Everyone)
}
