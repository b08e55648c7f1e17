//! The command line as a use case sees it: what goes to standard output and what to standard error, in which form, and
//! what `--quiet` leaves out.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::adoption_text;
use super::globals::{Format, Globals};
use super::next;
use super::operator::{self, Person};
use super::progress::Progress;
use super::term;
use super::{diagnostic, rebuild_text, signals};
use crate::app::console::{Event, Proposal};
use crate::app::context::{Activity, Console, Context, SoFar};
use crate::app::error::Result;
use crate::app::exit::Exit;
use crate::app::operations::Applied;
use crate::executor::{NobodyThere, Operator};
use crate::model::{Address, ApplyReport, Change, ChangeOutcome, Command, OperatorStep, Outcome, Plan};
use crate::render::{self, Environment, Tally};
use crate::secrets::Secret;

/// The terminal, or what stands in its place.
struct Terminal {
    format: Format,
    quiet: bool,
    /// Of the plan that is carried out.
    tally: Mutex<Tally>,
}

impl Globals {
    /// Puts together what a use case works with.
    pub(super) async fn open(&self) -> Result<Context> {
        self.open_withholding(&BTreeSet::new()).await
    }

    /// As [`Self::open`], and keeps these environment variables, which hold secrets that the flags name, from the
    /// commands of the configuration.
    pub(super) async fn open_withholding(&self, variables: &BTreeSet<String>) -> Result<Context> {
        let console = Terminal {
            format: self.format,
            quiet: self.quiet,
            tally: Mutex::default(),
        };
        Context::open(self.settings(), Box::new(console), signals::listen()?, variables).await
    }
}

#[async_trait]
impl Console for Terminal {
    fn tell(&self, event: Event<'_>) {
        match event {
            Event::Warning(warning) => term::err(&diagnostic::warning(warning)),
            _ if self.quiet => {}
            Event::LockTakenOver(dead) => term::err(&format!(
                "The lock is taken over from {dead}:\nthat process is gone and did not release it.\n"
            )),
            Event::Ended {
                outcome,
                by_person: true,
            } => term::err(&render::attested_progress(outcome)),
            Event::Ended {
                outcome,
                by_person: false,
            } => {
                let line = self.tally.lock().unwrap_or_else(PoisonError::into_inner).ended(outcome);
                term::err(&line.unwrap_or_default());
            }
        }
    }

    fn propose(&self, context: &Context, proposal: &Proposal<'_>) -> Result<()> {
        match proposal {
            Proposal::Plan {
                plan,
                environment,
                approved,
            } => {
                *self.tally.lock().unwrap_or_else(PoisonError::into_inner) = Tally::of(plan);
                match self.format {
                    Format::Human => term::out(&human(plan, environment, term::width_of_data()))?,
                    // Standard output holds the report alone.
                    Format::Json | Format::Markdown if !self.quiet || !approved => {
                        term::err(&human(plan, environment, term::width()));
                    }
                    Format::Json | Format::Markdown => {}
                }
            }
            Proposal::Attestation {
                environment,
                steps,
                application,
                evidence,
            } => {
                let width = term::width();
                let prompts = operator::prompts(context, steps, application.as_ref(), None, width);
                let head = environment.lines(width);
                term::err(&format!("{head}\nThis is attested as done:\n{prompts}\n{evidence}\n"));
            }
            Proposal::Adoption(found) => term::err(&adoption_text::proposal(found, term::width())),
            Proposal::Rebuilt(rebuilt) => {
                term::out(&rebuild_text::proposal(rebuilt, term::width_of_data()))?;
            }
            Proposal::Forget { place, remembered } => {
                term::out(&render::forgotten(place, remembered, term::width_of_data()))?;
            }
            Proposal::Push { file, record, stored } => term::out(&format!(
                "{stored}\n{file} holds a record with the serial {}, lineage {}.\n",
                record.serial, record.lineage
            ))?,
        }
        Ok(())
    }

    async fn confirm(&self, question: &str) -> Result<bool> {
        term::confirm(question).await
    }

    fn can_ask_secret(&self) -> bool {
        term::can_ask_secret()
    }

    async fn ask_secret(&self, question: &str) -> Result<Option<Secret>> {
        term::ask_secret(question).await
    }

    fn begin(&self, what: &'static str, so_far: SoFar) -> Activity {
        Box::new(Progress::start(what, so_far, self.quiet))
    }

    fn can_ask(&self) -> bool {
        term::can_ask()
    }

    fn operator<'a>(&'a self, context: &'a Context) -> Box<dyn Operator + 'a> {
        if self.can_ask() {
            Box::new(Person::at_the_terminal(context))
        } else {
            Box::new(NobodyThere)
        }
    }
}

fn human(plan: &Plan, environment: &Environment, width: usize) -> String {
    match plan.command {
        Command::Drift => render::drift(plan, environment, width),
        Command::Plan | Command::Apply | Command::Rotate | Command::Destroy => render::plan(plan, environment, width),
    }
}

/// Shows a plan as data.
pub(super) fn show(plan: &Plan, environment: &Environment, format: Format, max_chars: Option<usize>) -> Result<()> {
    match format {
        Format::Human => term::out(&human(plan, environment, term::width_of_data())),
        Format::Json => term::out_json(&render::PlanDocument::new(plan, environment)),
        Format::Markdown => term::out(&render::markdown(plan, environment, max_chars)),
    }
}

/// Shows how a plan was carried out.
pub(super) fn report(context: &Context, applied: &Applied, format: Format, max_chars: Option<usize>) -> Result<Exit> {
    let Applied {
        environment,
        plan,
        report,
        application,
    } = applied;
    let application = application.as_ref();
    let steps = steps_left(applied);
    let approve_at = report.outcomes.iter().find_map(|outcome| outcome.approve_at.as_ref());
    // Who was asked for each step has seen the prompts.
    let on_prompts = !steps.is_empty() && (matches!(format, Format::Markdown) || !term::can_ask());
    let text = |width| {
        let (requests, elapsed) = (context.requests(), context.began.elapsed());
        render::report(plan, environment, report, requests, elapsed, on_prompts, width)
    };
    let onward = next::after(context, applied, &steps);
    let ending = onward.as_ref().map(render::Onward::ending).unwrap_or_default();
    match format {
        Format::Human if on_prompts => {
            let width = term::width_of_data();
            let prompts = operator::prompts(context, &steps, application, approve_at, width);
            let text = text(width);
            term::out(&format!("\nFor an operator, in this order:\n{prompts}{text}{ending}"))?;
        }
        Format::Human => term::out(&(text(term::width_of_data()) + &ending))?,
        Format::Markdown => {
            // What is to be done is the data; how the run went is for whoever looks on. The checklist ends with the command.
            let onward = onward.as_ref().filter(|_| !steps.is_empty());
            let ending = if onward.is_none() { &*ending } else { "" };
            term::err(&(text(term::width()) + ending));
            if let Some(onward) = onward {
                term::out(&operator::checklist(
                    context,
                    &steps,
                    application,
                    approve_at,
                    environment,
                    onward,
                    max_chars,
                ))?;
            }
        }
        Format::Json => term::out_json(&ApplyReport {
            next_command: onward.map(|onward| onward.command),
            ..report.clone()
        })?,
    }
    Ok(Exit::of_run(report.summary))
}

/// What is left to people.
fn steps_left(applied: &Applied) -> Vec<(&Address, &OperatorStep)> {
    let is_left = |outcome: &&ChangeOutcome| !outcome.fallback && outcome.outcome == Outcome::Operator;
    let outcomes = applied.report.outcomes.iter().filter(is_left);
    outcomes
        .filter_map(|outcome| applied.plan.change(&outcome.address))
        .flat_map(Change::steps_with_address)
        .collect()
}
