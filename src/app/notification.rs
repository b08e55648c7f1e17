//! `drift --notify`: finds the webhook before anything else is done, tells it what is new, and keeps in mind what was
//! told.
//!
//! The memory is written after the webhook took the message, so a run that ends in between tells it once more.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::context::Context;
use super::error::{Failure, Result};
use super::records::beside;
use super::ways;
use crate::files::{self, Readers};
use crate::http::{ClientOptions, Way};
use crate::model::{Change, Diagnostic, Plan};
use crate::notify::{Doubt, Finding, Hook, Memory, PEER, Subject};
use crate::render::{self, News};
use crate::{state, urls};

/// No memory is larger: some hundred bytes for each finding.
const MEMORY_LIMIT: u64 = 64 * 1024 * 1024;

/// Form of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    /// A message as the incoming webhooks of Slack and Mattermost take it.
    Chat,
}

pub(crate) struct Notifier {
    hook: Hook,
    form: Form,
    file: Option<PathBuf>,
}

/// What came of telling.
#[derive(Default)]
pub(crate) struct Told {
    /// What went wrong. It takes nothing from what was found.
    pub(crate) failures: Vec<Failure>,
    /// Why all counted as not told before, and what to do.
    pub(crate) warning: Option<Diagnostic>,
}

impl Notifier {
    /// Finds the webhook. A wrong reference is an error of every run, not only of the one that has something to tell.
    pub(crate) async fn find(hook: &str, form: Form, memory: Option<PathBuf>) -> Result<Self> {
        Ok(Self {
            hook: Hook::find(hook).await?,
            form,
            file: memory,
        })
    }

    /// The environment variable that holds the webhook's address, where one does.
    pub(crate) fn variable(&self) -> Option<&str> {
        self.hook.variable()
    }

    /// Tells what is new among the changes that count.
    pub(crate) async fn tell(&self, context: &Context, plan: &Plan, counts: &dyn Fn(&Change) -> bool) -> Told {
        let mut failures = Vec::new();
        let file = self.file(context);
        let before = read(&file, &subject(context));
        let found: Vec<Finding<'_>> = plan.changes.iter().filter(|c| counts(c)).map(Finding::of).collect();
        let new: Vec<Finding<'_>> = found.iter().filter(|f| !before.memory.knows(f)).cloned().collect();
        let told = match self.post(context, &new, found.len() - new.len()).await {
            Ok(()) => true,
            Err(failure) => {
                failures.push(failure);
                false
            }
        };
        let after = before.memory.after(&found, told, Timestamp::now());
        if after != before.memory || before.warning.is_some() {
            failures.extend(keep(&file, &after, before.set_aside).err());
        }
        Told {
            failures,
            warning: before.warning,
        }
    }

    fn file(&self, context: &Context) -> PathBuf {
        match &self.file {
            Some(file) => file.clone(),
            None => match &context.settings.sandbox {
                Some(world) => world.with_extension("notified.json"),
                None => beside(&context.config.file, ".setpoint/notified.json"),
            },
        }
    }

    async fn post(&self, context: &Context, new: &[Finding<'_>], known: usize) -> Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        let environment = context.environment(None);
        let news = News {
            new,
            known,
            environment: &environment,
        };
        let told = async {
            let way = ways::find(&context.config.notify, context.settings.to_a_person).await?;
            let options = options(context, way);
            match self.form {
                Form::Json => self.hook.post(options, &render::notify_document(&news)).await?,
                Form::Chat => self.hook.post(options, &render::chat_message(&news)).await?,
            }
            Ok(())
        };
        told.await.map_err(|failure: Failure| {
            failure.context(format!(
                "the notification did not reach the webhook at {}; the next run tries again",
                self.hook.origin()
            ))
        })
    }
}

/// How the webhook is asked. Its own origin takes the place of this address.
pub(crate) fn options(context: &Context, way: Way) -> ClientOptions {
    ClientOptions {
        way,
        parallelism: Arc::clone(&context.parallelism),
        counter: Arc::clone(&context.counter),
        ..ClientOptions::new(&PEER, context.endpoints.gitlab.clone())
    }
}

fn subject(context: &Context) -> Subject {
    Subject {
        gitlab_url: urls::bare(&context.config.gitlab.external_url).to_owned(),
        sandbox: context.records.of_sandbox,
    }
}

/// A memory as it was found.
struct Before {
    memory: Memory,
    /// Why all counts as not told, and what to do.
    warning: Option<Diagnostic>,
    /// The ending of the name under which the file is kept instead of being replaced.
    set_aside: Option<&'static str>,
}

fn read(file: &Path, subject: &Subject) -> Before {
    let nothing = |warning, set_aside| Before {
        memory: Memory::new(subject.clone()),
        warning,
        set_aside,
    };
    let shown = file.display();
    let bytes = match files::read(file, MEMORY_LIMIT) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return nothing(None, None),
        Err(error) => {
            let message = format!("{shown} cannot be read, so every finding counts as new: {error}");
            let hint = "see to it that the user that runs Setpoint can read it, or name another with --notify-state";
            return nothing(Some(Diagnostic::new(message).hint(hint)), None);
        }
    };
    let doubt = match Memory::parse(&bytes, subject) {
        Ok(memory) => {
            return Before {
                memory,
                warning: None,
                set_aside: None,
            };
        }
        Err(doubt) => doubt,
    };
    let (why, hint, name) = match doubt {
        Doubt::Damaged => (
            "is no whole memory of notifications".to_owned(),
            "nothing has to be done; what was in it is kept beside it",
            "damaged",
        ),
        Doubt::Newer(version) => (
            format!("was written by a newer Setpoint (format {version})"),
            "use that version, or name another file with --notify-state; what was in it is kept beside it",
            "newer",
        ),
        Doubt::Elsewhere(other) => {
            let sandbox = if other.sandbox { " in the sandbox" } else { "" };
            (
                format!("remembers what was told about {}{sandbox}", other.gitlab_url),
                "give each configuration a --notify-state of its own; what was in it is kept beside it",
                "other",
            )
        }
    };
    let message = format!("{shown} {why}, so every finding counts as new");
    nothing(Some(Diagnostic::new(message).hint(hint)), Some(name))
}

/// Writes the memory. A file that was not understood is kept under another name.
fn keep(file: &Path, memory: &Memory, set_aside: Option<&str>) -> Result<()> {
    let shown = file.display();
    let unkept = |failure: Failure| {
        failure
            .context(format!("what was told cannot be remembered in {shown}"))
            .hint("without it every run tells everything: see to it that the file can be written, or name another with --notify-state")
    };
    if let Some(name) = set_aside {
        let kept = state::free_name(file, name);
        std::fs::rename(file, &kept).map_err(|error| unkept(Failure::of(&error)))?;
    }
    files::replace(file, memory.to_text().as_bytes(), Readers::Owner)
        .map_err(|error| unkept(Failure::unwritten(file, &error)))
}
