//! `destroy`: takes the integration down.

use crate::app::error::Result;
use crate::app::exit::Exit;
use crate::app::operations::{self, Run};
use crate::cli::commands::{Note, Windows};
use crate::cli::console;
use crate::cli::globals::Globals;
use crate::model::Command;

/// Take the integration down
///
/// Disables the repositories, disconnects Factory and deletes the application. The user stays, unless told otherwise.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not ask
    #[arg(long)]
    auto_approve: bool,

    /// Block the droid user as well
    #[arg(long, conflicts_with = "delete_user")]
    block_user: bool,

    /// Delete the droid user as well
    #[arg(long)]
    delete_user: bool,

    #[command(flatten)]
    windows: Windows,

    #[command(flatten)]
    note: Note,
}

impl Args {
    pub(crate) async fn run(self, globals: Globals) -> Result<Exit> {
        let max_chars = self.note.limit(&globals)?;
        let context = globals.open().await?;
        let mut policy = context.policy(Command::Destroy);
        policy.block_user = self.block_user;
        policy.delete_user = self.delete_user;
        let run = Run {
            question: Some(|host| format!("Do you want to take the integration of {host} down? There is no undo.")),
            auto_approve: self.auto_approve,
            fail_fast: false,
            outside_window: self.windows.outside_window,
        };
        let ended = operations::carry_out(&context, None, policy, &run).await;
        let shown = ended.and_then(|applied| console::report(&context, &applied, globals.format, max_chars));
        context.close(shown).await
    }
}
