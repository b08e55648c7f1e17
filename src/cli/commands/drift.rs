//! `drift`: what changed outside of Setpoint, told from what is only waiting to be applied.

use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::globals::Globals;
use crate::cli::work;
use crate::model::{Command, Origin};

/// Tell what changed outside of Setpoint
///
/// Compares both sides with the configuration and the state record, and tells drift (a side changed) from pending (the
/// configuration changed). Exits with 2 on drift. It can never write to either side.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Exit with 2 also where changes are only waiting to be applied
    #[arg(long)]
    fail_on_pending: bool,
}

impl Args {
    pub(crate) async fn run(self, globals: Globals) -> Result<Exit> {
        let context = Context::open(globals).await?;
        let ended = self.show(&context).await;
        context.close(ended).await
    }

    async fn show(self, context: &Context) -> Result<Exit> {
        let view = work::look(context, &context.policy(Command::Drift)).await?;
        work::show(context, &view.plan)?;
        let counts = |origin| self.fail_on_pending || origin != Origin::Pending;
        Ok(if view.plan.changes.iter().any(|change| counts(change.origin)) {
            Exit::Differences
        } else {
            Exit::Done
        })
    }
}
