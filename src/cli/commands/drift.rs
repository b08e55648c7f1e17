//! `drift`: what changed outside of Setpoint, told from what is only waiting to be applied.

use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::app::context::Context;
use crate::app::error::{Failure, Result};
use crate::app::exit::Exit;
use crate::app::notification::{Form, Notifier, Told};
use crate::app::operations;
use crate::cli::commands::{HookAddress, Note};
use crate::cli::console;
use crate::cli::diagnostic;
use crate::cli::globals::Globals;
use crate::cli::term;
use crate::config::Driver;
use crate::files::{self, Readers};
use crate::model::{Change, Command, Observed, Origin, Plan, SignIn};
use crate::render::{self, DriftRun, Expiry, Requests};
use crate::secrets::redact;

/// Tell what changed outside of Setpoint
///
/// Compares both sides with the configuration and the state record, and tells drift (a side changed) from pending (the
/// configuration changed). Exits with 2 on drift. It can never write to either side.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Exit with 2 also where changes are only waiting to be applied
    #[arg(long)]
    fail_on_pending: bool,

    /// Write metrics for Prometheus's textfile collector, also of a failed run
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,

    #[command(flatten)]
    notify: Notify,

    #[command(flatten)]
    note: Note,
}

/// Flags of commands that tell what they find.
#[derive(Debug, clap::Args)]
struct Notify {
    /// Tell a webhook each new finding once; HOOK is `env:NAME` or `file:PATH`,
    /// where the address is kept, or an https:// address that is no secret
    #[arg(long = "notify", value_name = "HOOK")]
    hook: Option<HookAddress>,

    /// Form of what the webhook gets: a JSON document, or a message as the
    /// incoming webhooks of Slack and Mattermost take it
    #[arg(long = "notify-format", value_enum, value_name = "FORM", requires = "hook", default_value_t = NotifyForm::Json)]
    form: NotifyForm,

    /// Where to remember what was told
    /// [default: .setpoint/notified.json beside the configuration]
    #[arg(long = "notify-state", value_name = "FILE", requires = "hook")]
    memory: Option<PathBuf>,
}

/// Form of what the webhook gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum NotifyForm {
    Json,
    Slack,
}

impl Notify {
    async fn notifier(&self) -> Result<Option<Notifier>> {
        let Some(address) = &self.hook else {
            return Ok(None);
        };
        let form = match self.form {
            NotifyForm::Json => Form::Json,
            NotifyForm::Slack => Form::Chat,
        };
        Ok(Some(Notifier::find(&address.0, form, self.memory.clone()).await?))
    }
}

impl Args {
    pub(crate) async fn run(self, globals: Globals) -> Result<Exit> {
        let max_chars = self.note.limit(&globals)?;
        let started = Instant::now();
        let (context, notifier) = match self.open(&globals).await {
            Ok(opened) => opened,
            Err(failure) => {
                self.measure_failure(started, Requests::default(), Expiry::Unknown);
                return Err(failure);
            }
        };
        let ended = self
            .watch(&context, notifier.as_ref(), started, &globals, max_chars)
            .await;
        context.close(ended).await
    }

    async fn open(&self, globals: &Globals) -> Result<(Context, Option<Notifier>)> {
        let notifier = self.notify.notifier().await?;
        let variables = notifier.iter().filter_map(Notifier::variable).map(str::to_owned);
        let context = globals.open_withholding(&variables.collect()).await?;
        Ok((context, notifier))
    }

    async fn watch(
        &self,
        context: &Context,
        notifier: Option<&Notifier>,
        started: Instant,
        globals: &Globals,
        max_chars: Option<usize>,
    ) -> Result<Exit> {
        let policy = context.policy(Command::Drift);
        // Nobody but the metrics wants to know when the token expires, so only they cost a request.
        let asks = self.metrics.is_some();
        let (looked, gitlab_token) = operations::refresh_and_plan_with_expiry(context, &policy, asks).await;
        let (plan, environment, droid_last_activity) = match looked {
            Ok(view) => {
                let seen = last_activity(context, &view.observed);
                (view.plan, view.environment, seen)
            }
            Err(failure) => {
                self.measure_failure(started, context.requests(), gitlab_token);
                return Err(failure);
            }
        };
        let told = match notifier {
            Some(notifier) => Some(self.tell(context, notifier, &plan).await),
            None => None,
        };
        if let Some(warning) = told.as_ref().and_then(|told| told.warning.as_ref())
            && !globals.quiet
        {
            term::err(&diagnostic::warning(warning));
        }
        let measured = self.measure(&DriftRun {
            found: Some(&plan),
            droid_last_activity,
            notified: told.as_ref().map(|told| told.failures.is_empty()),
            ..ended(started, context.requests(), gitlab_token)
        });
        let shown = measured.and_then(|()| console::show(&plan, &environment, globals.format, max_chars));
        let Told { failures, .. } = told.unwrap_or_default();
        for failure in &failures {
            term::err(&diagnostic::error(failure));
        }
        shown?;
        Ok(if plan.changes.iter().any(|change| self.counts(change)) {
            Exit::Differences
        } else if failures.is_empty() {
            Exit::Done
        } else {
            Exit::Error
        })
    }

    async fn tell(&self, context: &Context, notifier: &Notifier, plan: &Plan) -> Told {
        let counts = |change: &Change| self.counts(change);
        let told = async { Ok(notifier.tell(context, plan, &counts).await) };
        context.interrupts.guard(told).await.unwrap_or_else(|failure| Told {
            failures: vec![failure.context("the notification was given up")],
            warning: None,
        })
    }

    /// Whether a change makes the command exit with 2, and is told.
    fn counts(&self, change: &Change) -> bool {
        self.fail_on_pending || change.origin != Origin::Pending
    }

    /// The failure is what is told; that the metrics cannot be written either adds nothing to it.
    fn measure_failure(&self, started: Instant, requests: Requests, gitlab_token: Expiry) {
        let _ = self.measure(&ended(started, requests, gitlab_token));
    }

    fn measure(&self, run: &DriftRun<'_>) -> Result<()> {
        let Some(file) = self.metrics.as_deref() else {
            return Ok(());
        };
        let text = render::metrics(run);
        files::replace(file, redact(&text).as_bytes(), Readers::Collector)
            .map_err(|error| Failure::unwritten(file, &error))
    }
}

/// A run that ended now and found nothing out.
fn ended<'a>(started: Instant, requests: Requests, gitlab_token: Expiry) -> DriftRun<'a> {
    DriftRun {
        at: Timestamp::now(),
        seconds: started.elapsed().as_secs_f64(),
        found: None,
        requests,
        gitlab_token,
        droid_last_activity: None,
        notified: None,
    }
}

/// The day on which GitLab last saw the droid. Where `drift` itself signs in as the droid to read its page, that is what
/// GitLab saw (GitLab: `app/controllers/sessions_controller.rb` records activity), and it says nothing of Factory.
fn last_activity(context: &Context, observed: &Observed) -> Option<Date> {
    let config = &context.config;
    if config.factory.driver == Driver::Assisted && config.droid.sign_in == Some(SignIn::Password) {
        return None;
    }
    observed.gitlab.user.as_ref()?.last_activity_on.as_ref()?.parse().ok()
}
