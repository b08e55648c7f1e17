//! `confirm`: attests later what a person did in the meantime; without an address it says what that is.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::app::attest::{self, Attested};
use crate::app::context::Context;
use crate::app::error::{Failure, Result};
use crate::app::exit::Exit;
use crate::app::operations;
use crate::cli::globals::Globals;
use crate::cli::{next, operator, term};
use crate::factory::{AUDIT_LOG_BYTES, AuditLog};
use crate::files;
use crate::model::{Address, Change, Command, OperatorStep, Plan};
use crate::render::text::{count, sanitize};
use crate::render::{self, reason_in_words};

/// As many addresses are written into one command.
const IN_ONE_COMMAND: usize = 3;

/// Attest operator steps that were done by hand
///
/// Shows what is attested, checks what evidence there is, and records it in the state with who and when. What is
/// attested holds until what it was bound to changes. Without an address it lists the steps that are due, and the
/// command for each.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Addresses of the changes whose steps were done
    #[arg(value_name = "ADDRESS")]
    addresses: Vec<Address>,

    /// All steps that are due
    #[arg(long, conflicts_with = "addresses")]
    all: bool,

    /// Look for evidence in an export of Factory's audit log (JSON or CSV)
    #[arg(long, value_name = "FILE")]
    audit_log: Option<PathBuf>,

    /// Do not ask
    #[arg(long)]
    auto_approve: bool,
}

impl Args {
    pub(crate) async fn run(self, globals: Globals) -> Result<Exit> {
        let lists = self.addresses.is_empty() && !self.all;
        if lists && self.audit_log.is_some() {
            return Err(Failure::new("--audit-log is evidence for steps, and none is named")
                .hint("add --all, or the addresses of the steps"));
        }
        let audit_log = self.audit_log.as_deref().map(read).transpose()?;
        let context = globals.open().await?;
        let policy = context.policy(Command::Apply);
        let ended = if lists {
            let looked = operations::refresh_and_plan(&context, &policy).await;
            looked.and_then(|view| term::out(&due(&context, &view.plan)).map(|()| Exit::Done))
        } else {
            let choose = |plan: &Plan| self.choose(plan);
            let attested = attest::attest(&context, policy, self.auto_approve, audit_log.as_ref(), choose);
            Box::pin(attested)
                .await
                .and_then(|attested| show(&context, attested.as_ref()))
        };
        context.close(ended).await
    }

    fn choose(&self, plan: &Plan) -> Result<std::collections::BTreeSet<Address>> {
        let is_attested = |change: &&Change| change.steps.iter().any(OperatorStep::is_attested);
        let due: Vec<_> = plan.changes.iter().filter(is_attested).collect();
        if self.all {
            return Ok(due.into_iter().map(|change| change.address.clone()).collect());
        }
        for address in &self.addresses {
            let planned = plan.change(address);
            if planned.is_some_and(|change| change.steps.iter().any(|step| !step.is_attested())) {
                return Err(Failure::new(format!(
                    "{address} is not attested: Factory itself says whether it was approved, and as whom"
                ))
                .hint("run `setpoint apply`, which shows where to approve, and asks Factory"));
            }
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
    }
}

/// An export of the audit log.
fn read(path: &Path) -> Result<AuditLog> {
    let name = path.display();
    let bytes = files::read(path, AUDIT_LOG_BYTES).map_err(|error| {
        Failure::of(&error).context(format!("{name} cannot be read")).hint(
            "name an export of Factory's audit log; what counts is since the application's present secret was made",
        )
    })?;
    AuditLog::read(&bytes).map_err(|why| {
        Failure::new(format!("{name} {why}")).hint(
            "an Owner of the organization exports Factory's audit log as JSON or CSV; each event has `eventType`, \
             `target`, `payload` and `createdAt`",
        )
    })
}

/// The steps that are due, in their order, each with the command that attests it.
fn due(context: &Context, plan: &Plan) -> String {
    let steps: Vec<_> = plan.changes.iter().flat_map(Change::steps_with_address).collect();
    if steps.is_empty() {
        return "Nothing is due.\n".to_owned();
    }
    let prompts = render::prompts(&steps);
    let mut out = String::from("Due, in this order; `setpoint apply` says where and what to click:\n");
    for (at, prompt) in (1..).zip(&prompts) {
        let place = render::Place { at, of: prompts.len() };
        let address = prompt[0].0;
        let title = if prompt.len() > 1 {
            count(prompt.len() as u64, "repository", "repositories")
        } else {
            sanitize(&address.to_string()).into_owned()
        };
        let change = plan.change(address);
        let _ = write!(out, "\n  {place}: {title}");
        // Several have a reason each.
        if let Some(change) = change.filter(|_| prompt.len() == 1) {
            let _ = write!(out, ": {}", reason_in_words(change.reason));
        }
        out.push('\n');
        match change.and_then(|change| waits_for(plan, change)) {
            Some(before) => {
                let _ = writeln!(out, "    once {before} is done, which is Setpoint's: `setpoint apply`");
            }
            None if !prompt[0].1.is_attested() => {
                out.push_str("    `setpoint apply` shows where to approve, and sees it\n");
            }
            None if prompt.len() <= IN_ONE_COMMAND => {
                let addresses: Vec<String> = prompt
                    .iter()
                    .map(|(address, _)| operator::quoted(&sanitize(&address.to_string())))
                    .collect();
                let _ = writeln!(
                    out,
                    "    {}",
                    operator::command_line(context, &format!("confirm {}", addresses.join(" ")))
                );
            }
            None => {}
        }
    }
    out.push_str(&next::once_done(context, &steps, "apply").ending());
    out
}

/// Setpoint's own part that comes before a step.
fn waits_for<'a>(plan: &'a Plan, change: &'a Change) -> Option<&'a Address> {
    let own = |change: &&Change| !change.operations.is_empty();
    let first = Some(change).filter(own);
    let found = first.or_else(|| {
        change
            .depends_on
            .iter()
            .filter_map(|before| plan.change(before))
            .find(own)
    });
    found.map(|change| &change.address)
}

/// What was recorded, and the one command that goes on from there.
fn show(context: &Context, attested: Option<&Attested>) -> Result<Exit> {
    let Some(Attested {
        steps,
        attestation,
        left,
    }) = attested
    else {
        term::out("Nothing is due.\n")?;
        return Ok(Exit::Done);
    };
    term::out(&format!(
        "{} attested on {} by {}.\n{}",
        count(*steps as u64, "step", "steps"),
        attestation.at.strftime("%Y-%m-%d"),
        sanitize(&attestation.by),
        next::attested(context, *left).ending()
    ))?;
    Ok(Exit::Done)
}
