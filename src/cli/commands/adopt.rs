//! `adopt`: takes over what was made by hand.

use crate::app::adopt::{self, Vouched};
use crate::app::error::Result;
use crate::app::exit::Exit;
use crate::cli::globals::Globals;
use crate::cli::term;

/// Take over an integration that was made by hand
///
/// Looks at both sides, shows the application that exists and what bears out who uses it, asks what only a person knows,
/// and records it. It writes to neither side: the application's secret stays in force, and Factory keeps working. What
/// differs from the configuration shows in the next plan.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Say that this is as the configuration says, instead of being asked
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    attest: Vec<What>,

    /// Say that all of it is as the configuration says
    #[arg(long, conflicts_with = "attest")]
    all: bool,

    /// Do not ask
    #[arg(long)]
    auto_approve: bool,
}

/// What neither side shows under the assisted driver, or without an administrator's web session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// "Trusted" is ticked
    Trusted,
    /// Factory has the domain, the application's id and its present secret
    Connection,
    /// Factory's access was approved as the droid
    Authorization,
    /// All selected repositories are enabled in Factory
    Repositories,
}

impl Args {
    pub(crate) async fn run(self, globals: Globals) -> Result<Exit> {
        let said = |what| self.all || self.attest.contains(&what);
        let vouched = Vouched {
            trusted: said(What::Trusted),
            connection: said(What::Connection),
            authorization: said(What::Authorization),
            repositories: said(What::Repositories),
        };
        let context = globals.open().await?;
        let ended = Box::pin(adopt::adopt(&context, vouched, self.auto_approve)).await;
        let shown = ended.and_then(|adopted| {
            term::out(&format!(
                "Adopted: the application with the id {} is in the record at {}.\n\
                 Neither GitLab nor Factory was changed. `setpoint plan` shows what differs.\n",
                adopted.id, adopted.place
            ))?;
            Ok(Exit::Done)
        });
        context.close(shown).await
    }
}
