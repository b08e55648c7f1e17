//! `doctor`: what stands in the way of an apply, before it does.

use crate::app::context::Context;
use crate::app::doctor::examine;
use crate::app::error::Result;
use crate::cli::exit::Exit;
use crate::cli::globals::{Format, Globals};
use crate::cli::term::{self, Progress};
use crate::doctor::Diagnosis;
use crate::render;

/// Check everything that apply needs, each with its fix
///
/// Looks at secrets, both sides and the state, one thing at a time: reachability, TLS, clocks, versions, the token, the
/// administrator, settings that block a sign-in, the droid, Factory's key, plan and role, the record and its lock. Signs
/// in and out again where web sessions are configured, reads all that plan reads, and changes nothing. Exits with 1 on
/// any failure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) async fn run(self, globals: Globals) -> Result<Exit> {
        let context = Context::open(globals).await?;
        let ended = show(&context).await;
        context.close(ended).await
    }
}

async fn show(context: &Context) -> Result<Exit> {
    let checks = {
        let _progress = Progress::start("Looking at GitLab and Factory", context.globals.quiet);
        let checks = async { Ok(examine(context).await) };
        context.interrupts.guard(checks).await?
    };
    let diagnosis = Diagnosis::new(render::FORMAT_VERSION, checks);
    match context.globals.format {
        Format::Human | Format::Markdown => term::out(&render::doctor(&diagnosis))?,
        Format::Json => term::out_json(&diagnosis)?,
    }
    Ok(match diagnosis.summary.failure {
        0 => Exit::Done,
        _ => Exit::Error,
    })
}
