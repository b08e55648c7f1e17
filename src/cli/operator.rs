//! The person at the terminal, walked through the steps that no interface lets a program do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;

use super::term;
use crate::app::context::Context;
use crate::app::records::beside;
use crate::config::SaveTo;
use crate::executor::{Answer, Invitation, Operator, Prompt, StopReason, Waited};
use crate::files::{self, Readers};
use crate::model::{Address, ApplicationId, ApplicationUid, ApproveAt, OperatorStep, PathPattern, Seen};
use crate::render::{self, Environment, Onward, Patterns, Place, SecretPlace, StepFacts};
use crate::secrets::{Secret, redact};
use crate::urls;

/// How long Factory is left alone between two looks at whether it has an answer.
const PAUSE: Duration = Duration::from_secs(2);

/// Puts prompts before the person, one at a time.
pub(super) struct Person<'a> {
    context: &'a Context,
}

impl<'a> Person<'a> {
    /// Only where [`term::can_ask`].
    pub(super) fn at_the_terminal(context: &'a Context) -> Self {
        Self { context }
    }

    async fn answer(&self, secret: Option<&Secret>) -> Answer {
        let question = match secret {
            Some(_) => "\n  done, skip or quit? (secret: shows it) ",
            None => "\n  done, skip or quit? ",
        };
        loop {
            let answer = tokio::select! {
                answer = term::ask(question.to_owned()) => answer,
                () = self.context.interrupts.first() => return Answer::Quit,
            };
            let answer = answer.ok().flatten().map(|answer| answer.to_ascii_lowercase());
            match (answer.as_deref(), secret) {
                (Some("d" | "done"), _) => {
                    return Answer::Attested {
                        by: self.context.actor.who(),
                    };
                }
                (Some("s" | "skip"), _) => return Answer::Skipped,
                (Some("q" | "quit") | None, _) => return Answer::Quit,
                (Some("secret"), Some(secret)) if !self.reveal(secret).await => return Answer::Quit,
                (Some("secret"), Some(_)) => {}
                (Some(_), _) => term::err("  Answer with one of the words.\n"),
            }
        }
    }

    /// Shows where to approve, as whom, and what may be typed meanwhile.
    fn show(&self, invitation: &Invitation<'_>) {
        let facts = facts(self.context, SecretPlace::Unknown, None, term::width());
        objection(invitation.objection, facts.width);
        term::err(&render::approval(&facts, invitation.at, term::size()));
        term::err("\n  Waiting for Factory's answer. Type `new` for another address, `skip` or `quit`.\n");
    }

    /// Shows the secret until it is cleared. Whether the person is still there.
    async fn reveal(&self, secret: &Secret) -> bool {
        let cleared = async {
            tokio::select! {
                answer = term::ask("Press Enter to clear it: ".to_owned()) => answer.is_ok(),
                () = self.context.interrupts.first() => false,
            }
        };
        term::reveal(secret, cleared).await
    }
}

#[async_trait]
impl Operator for Person<'_> {
    async fn ask(&self, prompt: Prompt<'_>) -> Answer {
        if self.context.interrupts.stop().requested() == Some(StopReason::Interrupted) {
            return Answer::Quit;
        }
        let place = if prompt.secret.is_some() && !prompt.secret_saved {
            SecretPlace::OnRequest
        } else {
            saved_place(self.context)
        };
        let facts = facts(self.context, place, None, term::width());
        objection(prompt.objection, facts.width);
        let file = listed_in(self.context, &prompt.steps);
        let file = file.as_ref().map(|file| file.display().to_string());
        let place = Place {
            at: prompt.number,
            of: prompt.of,
        };
        term::err(&render::prompt(
            &prompt.steps,
            place,
            prompt.application,
            &facts,
            file.as_deref(),
        ));
        self.answer(prompt.secret).await
    }

    async fn invite(&self, invitation: &Invitation<'_>) -> Waited {
        if self.context.interrupts.stop().requested() == Some(StopReason::Interrupted) {
            return Waited::Quit;
        }
        if !invitation.is_repeated {
            self.show(invitation);
        }
        let typed = tokio::select! {
            typed = term::line_within(PAUSE) => typed,
            () = self.context.interrupts.first() => return Waited::Quit,
        };
        let Some(line) = typed else {
            return Waited::ForAWhile;
        };
        match line.ok().flatten().map(|line| line.to_ascii_lowercase()).as_deref() {
            Some("n" | "new") => Waited::Another,
            Some("s" | "skip") => Waited::Skipped,
            Some("q" | "quit") | None => Waited::Quit,
            Some("") => Waited::ForAWhile,
            Some(_) => {
                term::err("  Answer with one of the words, or wait.\n");
                Waited::ForAWhile
            }
        }
    }

    fn recorded(&self, step: &OperatorStep, seen: &Seen) {
        term::err(&render::after(step, seen, term::width()));
    }
}

/// What was wrong with the answer before.
fn objection(objection: Option<&str>, width: usize) {
    if let Some(objection) = objection {
        let text = render::text::sanitize(objection);
        term::err(&format!("\n{}\n", render::text::wrap(&text, width, "  ", "  ")));
    }
}

/// Steps as prompts, for so many columns.
pub(super) fn prompts(
    context: &Context,
    steps: &[(&Address, &OperatorStep)],
    application: Option<&(ApplicationId, ApplicationUid)>,
    approve_at: Option<&ApproveAt>,
    width: usize,
) -> String {
    let facts = facts(context, saved_place(context), approve_at.cloned(), width);
    let prompts = render::prompts(steps);
    let of = prompts.len();
    (1..)
        .zip(&prompts)
        .map(|(at, prompt)| {
            let file = listed_in(context, prompt).map(|file| file.display().to_string());
            render::prompt(prompt, Place { at, of }, application, &facts, file.as_deref())
        })
        .collect()
}

/// Steps as a task list in Markdown.
pub(super) fn checklist(
    context: &Context,
    steps: &[(&Address, &OperatorStep)],
    application: Option<&(ApplicationId, ApplicationUid)>,
    approve_at: Option<&ApproveAt>,
    environment: &Environment,
    onward: &Onward,
    max_chars: Option<usize>,
) -> String {
    let file = render::prompts(steps)
        .iter()
        .find_map(|prompt| listed_in(context, prompt));
    let file = file.map(|file| file.display().to_string());
    render::checklist(
        steps,
        application,
        &facts(
            context,
            saved_place(context),
            approve_at.cloned(),
            term::width_of_data(),
        ),
        environment,
        file.as_deref(),
        onward,
        max_chars,
    )
}

/// What prompts are filled in with.
fn facts(context: &Context, secret: SecretPlace, approve_at: Option<ApproveAt>, width: usize) -> StepFacts {
    StepFacts {
        gitlab_url: urls::bare(&context.endpoints.gitlab_in_browser).to_owned(),
        app_url: urls::bare(&context.endpoints.factory_app).to_owned(),
        sign_in: context.config.droid.sign_in,
        password: password_place(context),
        secret,
        approve_at,
        patterns: Patterns {
            enable: patterns(&context.config.desired.repositories.enable),
            except: patterns(&context.config.desired.repositories.except),
        },
        width,
    }
}

fn patterns(patterns: &[PathPattern]) -> Vec<String> {
    patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect()
}

/// Where the droid's password is.
fn password_place(context: &Context) -> Option<String> {
    let configured = context.config.droid.password.as_ref()?;
    Some(if context.records.of_sandbox {
        "what `setpoint sandbox` prints".to_owned()
    } else {
        configured.to_string()
    })
}

/// A command of Setpoint for the same configuration and the same sides.
pub(super) fn command_line(context: &Context, arguments: &str) -> String {
    let file = &context.config.file;
    let file = if file == Path::new("setpoint.toml") {
        String::new()
    } else {
        format!(" -c {}", quoted(&file.display().to_string()))
    };
    let sandbox = if context.records.of_sandbox { " --sandbox" } else { "" };
    let (command, rest) = arguments.split_once(' ').unwrap_or((arguments, ""));
    let line = format!("setpoint {command}{file}{sandbox} {rest}");
    line.trim_end().to_owned()
}

/// A word of a command line, in quotation marks where a shell would take it apart.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Where the configuration keeps the secret.
fn saved_place(context: &Context) -> SecretPlace {
    match &context.endpoints.secret_store.config.save {
        Some(SaveTo::File(path)) => SecretPlace::Saved(format!("the file {}", path.display())),
        Some(SaveTo::Command(command)) => SecretPlace::Saved(format!(
            "the store that `application.secret.save` gave it to (`{}`)",
            command.program()
        )),
        None => match &context.endpoints.secret_store.config.load {
            Some(_) => SecretPlace::Saved("the place that `application.secret.load` reads".to_owned()),
            None => SecretPlace::Unknown,
        },
    }
}

/// Writes a long list of repositories to a file. Where that fails, the prompt has the list.
fn listed_in(context: &Context, steps: &[(&Address, &OperatorStep)]) -> Option<PathBuf> {
    if !render::needs_file(steps) {
        return None;
    }
    let path = beside(&context.config.file, ".setpoint/repositories.txt");
    let list = render::repository_list(steps);
    let written = files::replace(&path, redact(&list).as_bytes(), Readers::Owner);
    match written {
        Ok(()) => Some(path),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "the list of repositories cannot be written");
            None
        }
    }
}
