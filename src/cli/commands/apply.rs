//! `apply`: plan, ask, carry out; or carry out what was planned before.

use std::path::PathBuf;

use crate::app::error::Result;
use crate::app::exit::Exit;
use crate::app::operations::{self, Run};
use crate::cli::commands::{Allow, Note, Targets, Windows, saved_plan};
use crate::cli::console;
use crate::cli::globals::Globals;
use crate::model::Command;

/// Make GitLab and Factory as the configuration says
///
/// Plans, shows the plan, asks for `yes`, and carries it out. With a PLAN that `plan --out` saved it carries out that
/// very plan without asking, unless something that it rests on has moved. On a terminal it asks for the cookie of
/// `gitlab.admin_session`, too, where that reference gives nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A saved plan to carry out
    #[arg(conflicts_with_all = ["target", "allow_replace"])]
    plan: Option<PathBuf>,

    /// Do not ask
    #[arg(long)]
    auto_approve: bool,

    #[command(flatten)]
    allow: Allow,

    #[command(flatten)]
    windows: Windows,

    #[command(flatten)]
    note: Note,

    /// Begin no further change after one failed
    #[arg(long)]
    fail_fast: bool,

    #[command(flatten)]
    targets: Targets,
}

impl Args {
    pub(crate) async fn run(self, globals: Globals) -> Result<Exit> {
        let max_chars = self.note.limit(&globals)?;
        let saved = self.plan.as_deref().map(saved_plan).transpose()?;
        let context = globals.open().await?;
        let mut policy = context.policy(Command::Apply);
        policy.allowances = self
            .allow
            .beyond(saved.as_ref().map(|saved| saved.plan.allowances).unwrap_or_default());
        policy.targets = match &saved {
            Some(saved) => saved.plan.targets.iter().cloned().collect(),
            None => self.targets.addresses(),
        };
        let run = Run {
            // A saved plan was looked at when it was made: giving it is the consent.
            question: saved
                .is_none()
                .then_some(|host| format!("Do you want to make these changes to the integration of {host}?")),
            auto_approve: self.auto_approve,
            fail_fast: self.fail_fast,
            outside_window: self.windows.outside_window,
        };
        let ended = operations::carry_out(&context, saved, policy, &run).await;
        let shown = ended.and_then(|applied| console::report(&context, &applied, globals.format, max_chars));
        context.close(shown).await
    }
}
