//! `plan`: the difference, and nothing else.

use crate::cli::commands::Targets;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::globals::Globals;
use crate::cli::work;
use crate::model::Command;

/// Show what differs from the configuration
///
/// Reads both sides and the state record, and shows what `apply` would do. Writes to neither side.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Exit with 2 where there are differences
    #[arg(long)]
    detailed_exitcode: bool,

    #[command(flatten)]
    targets: Targets,
}

impl Args {
    pub(crate) async fn run(self, globals: Globals) -> Result<Exit> {
        let context = Context::open(globals).await?;
        let ended = self.show(&context).await;
        context.close(ended).await
    }

    async fn show(self, context: &Context) -> Result<Exit> {
        let mut policy = context.policy(Command::Plan);
        policy.targets = self.targets.addresses();
        let view = work::look(context, &policy).await?;
        work::show(context, &view.plan)?;
        Ok(if self.detailed_exitcode && !view.plan.changes.is_empty() {
            Exit::Differences
        } else {
            Exit::Done
        })
    }
}
