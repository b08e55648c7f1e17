//! `apply`: plan, ask, carry out.

use crate::cli::commands::Targets;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::globals::Globals;
use crate::cli::work::{self, Run};
use crate::model::Command;

/// Make GitLab and Factory as the configuration says
///
/// Plans, shows the plan, asks for `yes`, and carries it out.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not ask
    #[arg(long)]
    auto_approve: bool,

    /// Allow up to N removals in this run, whatever the guards say
    #[arg(long, value_name = "N")]
    allow_removals: Option<u64>,

    /// Allow replacing the application, which drops every token of the old one
    #[arg(long)]
    allow_replace: bool,

    /// Begin no further change after one failed
    #[arg(long)]
    fail_fast: bool,

    #[command(flatten)]
    targets: Targets,
}

impl Args {
    pub(crate) async fn run(self, globals: Globals) -> Result<Exit> {
        let context = Context::open(globals).await?;
        let mut policy = context.policy(Command::Apply);
        policy.allow_removals = self.allow_removals;
        policy.allow_replace |= self.allow_replace;
        policy.targets = self.targets.addresses();
        let run = Run {
            question: "Do you want to make these changes?",
            auto_approve: self.auto_approve,
            fail_fast: self.fail_fast,
        };
        let ended = work::carry_out(&context, policy, &run).await;
        context.close(ended).await
    }
}
