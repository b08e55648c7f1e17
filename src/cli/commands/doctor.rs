//! `doctor`: what stands in the way of an apply, before it does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::context::Context;
use crate::app::doctor::examine;
use crate::app::error::{Failure, Result};
use crate::app::exit::Exit;
use crate::cli::commands::HookAddress;
use crate::cli::globals::{Format, Globals};
use crate::cli::term;
use crate::config::Config;
use crate::doctor::{Diagnosis, Shapes};
use crate::files::{self, Readers};
use crate::http::Onlooker;
use crate::model::Diagnostic;
use crate::notify::Hook;
use crate::render;

/// Check everything that apply needs, each with its fix
///
/// Looks at secrets, both sides and the state, one thing at a time: reachability, TLS, clocks, versions, the token, the
/// administrator, settings that block a sign-in, the droid, Factory's key, plan and role, the record and its lock. Signs
/// in and out again where web sessions are configured, reads all that plan reads, and changes nothing. Exits with 1 on
/// any failure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write the shape of each page and answer that was read: names and types, nothing of what they hold
    ///
    /// For a report about a GitLab whose pages are not understood. Of pages it has elements, ids, classes and field names;
    /// of JSON keys and types; no text, no value, no token, no host.
    #[arg(long, value_name = "FILE")]
    pages: Option<PathBuf>,

    /// Look at the way to this webhook, too, and post nothing; HOOK is as drift has it
    #[arg(long, value_name = "HOOK")]
    notify: Option<HookAddress>,
}

impl Args {
    pub(crate) async fn run(self, globals: Globals) -> Result<Exit> {
        let hook = match &self.notify {
            Some(address) => Some(Hook::find(&address.0).await),
            None => None,
        };
        let variable = hook.iter().flatten().find_map(Hook::variable).map(str::to_owned);
        let mut context = globals.open_withholding(&variable.into_iter().collect()).await?;
        let shapes = self
            .pages
            .map(|file| (file, Arc::new(Shapes::new(struck(&context.config)))));
        context.onlooker = shapes.clone().map(|(_, shapes)| shapes as Arc<dyn Onlooker>);
        let ended = show(&context, hook.as_ref(), globals.format).await;
        let ended = match &shapes {
            Some((file, shapes)) => ended.and_then(|exit| keep(file, shapes, globals.quiet).map(|()| exit)),
            None => ended,
        };
        context.close(ended).await
    }
}

/// What the configuration names, none of which is in a shape.
fn struck(config: &Config) -> Vec<String> {
    let desired = &config.desired;
    let urls = [
        &config.gitlab.url,
        &config.gitlab.external_url,
        &config.factory.api_url,
        &config.factory.app_url,
    ];
    let admin = config.gitlab.admin_session.as_ref();
    let patterns = desired.repositories.enable.iter().chain(&desired.repositories.except);
    let mut struck: Vec<String> = urls.iter().map(|url| url.authority().to_owned() + url.path()).collect();
    struck.extend(desired.application.redirect_uris.iter().cloned());
    struck.push(desired.application.name.clone());
    let user = &desired.user.fields;
    struck.extend([user.name.clone(), user.username.to_string(), user.email.to_string()]);
    struck.extend(desired.user.previously.iter().cloned());
    struck.extend(admin.and_then(|admin| admin.username().map(str::to_owned)));
    struck.extend(desired.memberships.keys().map(|path| path.as_str().to_owned()));
    struck.extend(patterns.map(|pattern| pattern.as_str().to_owned()));
    struck
}

fn keep(file: &Path, shapes: &Shapes, quiet: bool) -> Result<()> {
    let text = render::to_json(&shapes.document(render::FORMAT_VERSION));
    files::replace(file, text.as_bytes(), Readers::Owner).map_err(|error| Failure::unwritten(file, &error))?;
    if !quiet {
        term::err(&format!(
            "The shapes of pages and answers are in {}: look through it before you pass it on.\n",
            file.display()
        ));
    }
    Ok(())
}

async fn show(context: &Context, hook: Option<&Result<Hook, Diagnostic>>, format: Format) -> Result<Exit> {
    let checks = {
        let _activity = context.reading("looking at GitLab and Factory");
        let checks = async { Ok(examine(context, hook).await) };
        context.interrupts.guard(checks).await?
    };
    let diagnosis = Diagnosis::new(render::FORMAT_VERSION, checks);
    match format {
        Format::Human | Format::Markdown => term::out(&render::doctor(&diagnosis, term::width_of_data()))?,
        Format::Json => term::out_json(&diagnosis)?,
    }
    Ok(match diagnosis.summary.failure {
        0 => Exit::Done,
        _ => Exit::Error,
    })
}
