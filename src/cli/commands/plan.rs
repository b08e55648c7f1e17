//! `plan`: the difference, and nothing else.

use std::path::{Path, PathBuf};

use crate::app::context::Context;
use crate::app::error::{Failure, Result};
use crate::app::exit::Exit;
use crate::app::operations::{self, View};
use crate::cli::commands::{Allow, Note, Targets};
use crate::cli::globals::Globals;
use crate::cli::{console, term};
use crate::files::{self, Readers};
use crate::model::{Allowances, Command, Plan};
use crate::{planfile, render};

/// Show what differs from the configuration
///
/// Reads both sides and the state record, and shows what `apply` would do. Writes to neither side.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Args {
    /// Exit with 2 where there are differences
    #[arg(long)]
    detailed_exitcode: bool,

    /// Save the plan for `setpoint apply FILE`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Write the counts for GitLab's report `artifacts:reports:terraform`
    #[arg(long, value_name = "FILE")]
    gitlab_report: Option<PathBuf>,

    /// Show what `setpoint destroy` would do instead
    #[arg(long, conflicts_with_all = ["out", "target", "allow_removals", "allow_replace"])]
    destroy: bool,

    /// With --destroy: as if the droid user were blocked as well
    #[arg(long, requires = "destroy", conflicts_with = "delete_user")]
    block_user: bool,

    /// With --destroy: as if the droid user were deleted as well
    #[arg(long, requires = "destroy")]
    delete_user: bool,

    /// Show what `setpoint rotate` would do instead
    #[arg(long, conflicts_with_all = ["destroy", "out", "target", "allow_removals", "allow_replace"])]
    rotate: bool,

    #[command(flatten)]
    allow: Allow,

    #[command(flatten)]
    note: Note,

    #[command(flatten)]
    targets: Targets,
}

impl Args {
    pub(crate) async fn run(self, globals: Globals) -> Result<Exit> {
        let max_chars = self.note.limit(&globals)?;
        let context = globals.open().await?;
        let ended = self.show(&context, &globals, max_chars).await;
        context.close(ended).await
    }

    async fn show(self, context: &Context, globals: &Globals, max_chars: Option<usize>) -> Result<Exit> {
        let mut policy = context.policy(match (self.destroy, self.rotate) {
            (true, _) => Command::Destroy,
            (_, true) => Command::Rotate,
            _ => Command::Plan,
        });
        policy.block_user = self.block_user;
        policy.delete_user = self.delete_user;
        policy.allowances = self.allow.beyond(Allowances::default());
        policy.targets = self.targets.addresses();
        let view = operations::refresh_and_plan(context, &policy).await?;
        if let Some(file) = &self.out {
            save(context, &view, file)?;
            if !globals.quiet {
                term::err(&saved_as(&view.plan, file));
            }
        }
        if let Some(file) = &self.gitlab_report {
            let report = render::gitlab_report(&view.plan);
            files::replace(file, report.as_bytes(), Readers::Everyone)
                .map_err(|error| Failure::unwritten(file, &error))?;
        }
        console::show(&view.plan, &view.environment, globals.format, max_chars)?;
        Ok(if self.detailed_exitcode && !view.plan.changes.is_empty() {
            Exit::Differences
        } else {
            Exit::Done
        })
    }
}

/// What the saved plan is good for. One that a guard refuses, `apply` refuses, too.
fn saved_as(plan: &Plan, file: &Path) -> String {
    let file = file.display();
    if plan.refusals.is_empty() {
        format!("The plan is saved: `setpoint apply {file}` carries it out.\n")
    } else {
        format!(
            "The plan is saved, and refused as it stands: `setpoint apply {file}` would change nothing.\nSave it anew \
             with the flag that the refusal names.\n"
        )
    }
}

/// Writes what `apply` takes. Private: a plan shows names that are nobody else's business.
fn save(context: &Context, view: &View, file: &Path) -> Result<()> {
    let inputs = planfile::PlanInputs {
        desired: &context.config.desired,
        observed: &view.observed,
        recorded: &view.record,
    };
    let text = planfile::write(&view.plan, &view.environment, &inputs)
        .map_err(|error| Failure::of(&error).hint(error.hint()))?;
    files::replace(file, text.as_bytes(), Readers::Owner).map_err(|error| Failure::unwritten(file, &error))
}
