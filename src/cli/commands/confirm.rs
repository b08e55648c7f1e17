//! `confirm`: attests later what a person did in the meantime.

use crate::app::attest::{self, Attested};
use crate::app::error::{Failure, Result};
use crate::app::exit::Exit;
use crate::cli::globals::Globals;
use crate::cli::term;
use crate::model::{Address, Command, Plan};
use crate::render::text::{count, sanitize};

/// Attest operator steps that were done by hand
///
/// Shows what is attested, checks what evidence there is, and records it in the state with who and when. What is
/// attested holds until what it was bound to changes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Addresses of the changes whose steps were done
    #[arg(value_name = "ADDRESS", required_unless_present = "all")]
    addresses: Vec<Address>,

    /// All steps that are due
    #[arg(long, conflicts_with = "addresses")]
    all: bool,

    /// Do not ask
    #[arg(long)]
    auto_approve: bool,
}

impl Args {
    pub(crate) async fn run(self, globals: Globals) -> Result<Exit> {
        let context = globals.open().await?;
        let policy = context.policy(Command::Apply);
        let choose = |plan: &Plan| {
            let due: Vec<_> = plan.changes.iter().filter(|change| !change.steps.is_empty()).collect();
            if self.all {
                return Ok(due.into_iter().map(|change| change.address.clone()).collect());
            }
            for address in &self.addresses {
                if !due.iter().any(|change| &change.address == address) {
                    let known = due.iter().map(|change| change.address.to_string()).collect::<Vec<_>>();
                    let hint = match known.as_slice() {
                        [] => "nothing is due".to_owned(),
                        known => format!("due are {}", known.join(", ")),
                    };
                    return Err(Failure::new(format!("no operator step is due at {address}")).hint(hint));
                }
            }
            Ok(self.addresses.iter().cloned().collect())
        };
        let ended = Box::pin(attest::attest(&context, policy, self.auto_approve, choose)).await;
        let shown = ended.and_then(|attested| show(attested.as_ref()));
        context.close(shown).await
    }
}

fn show(attested: Option<&Attested>) -> Result<Exit> {
    term::out(&match attested {
        None => "Nothing is due.\n".to_owned(),
        Some(Attested { steps, attestation }) => format!(
            "{} attested on {} by {}.\n",
            count(*steps as u64, "step", "steps"),
            attestation.at.strftime("%Y-%m-%d"),
            sanitize(&attestation.by)
        ),
    })?;
    Ok(Exit::Done)
}
