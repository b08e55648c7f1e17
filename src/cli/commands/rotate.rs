//! `rotate`: a new secret for the application.

use crate::app::error::Result;
use crate::app::exit::Exit;
use crate::app::operations::{self, Run};
use crate::cli::commands::{AllowInterruption, Note, Windows};
use crate::cli::console;
use crate::cli::globals::Globals;
use crate::model::Command;

/// Give the application a new secret and hand it to Factory
///
/// Renews the secret in GitLab, stores it, saves it in Factory and authorizes anew. Factory is disconnected from the
/// renewal until then. Interrupted anywhere, it can be run again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not ask
    #[arg(long)]
    auto_approve: bool,

    #[command(flatten)]
    allow: AllowInterruption,

    #[command(flatten)]
    windows: Windows,

    #[command(flatten)]
    note: Note,
}

impl Args {
    pub(crate) async fn run(self, globals: Globals) -> Result<Exit> {
        let max_chars = self.note.limit(&globals)?;
        let context = globals.open().await?;
        let mut policy = context.policy(Command::Rotate);
        policy.allowances.interruption = self.allow.allow_interruption;
        let run = Run {
            question: Some(|host| {
                format!(
                    "Do you want to renew the secret of the integration of {host}?\n\
                     Factory is disconnected until it has the new one."
                )
            }),
            auto_approve: self.auto_approve,
            fail_fast: false,
            outside_window: self.windows.outside_window,
        };
        let ended = operations::carry_out(&context, None, policy, &run).await;
        let shown = ended.and_then(|applied| console::report(&context, &applied, globals.format, max_chars));
        context.close(shown).await
    }
}
