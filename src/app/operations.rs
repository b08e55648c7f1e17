//! What `plan`, `drift`, `apply`, `rotate`, `destroy` and `confirm` have in common: look at both sides, show, ask,
//! carry out, report.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;

use super::clients::{Readers, Sessions, Writers};
use super::console::{Event, Proposal};
use super::context::Context;
use super::error::{Failure, Result};
use super::errored_state;
use super::run_journal::{RunJournal, digest};
use super::window::{self, Gate};
use crate::config::{Driver, SessionUse};
use crate::executor;
use crate::model::{
    Address, ApplicationId, ApplicationUid, ApplyReport, Diagnostic, Ender, Observed, Operation, OperatorStep, Outcome,
    OutcomeSummary, Plan, Policy, Reason, RecordedState,
};
use crate::planfile::{Deviation, PlanInputs, SavedPlan, Stale};
use crate::render::text::count;
use crate::render::{Environment, Expiry};
use crate::state::{self, LockInfo, StateError};
use crate::{observe, planner, render};

/// What was seen, and what follows from it.
pub(crate) struct View {
    pub(crate) record: RecordedState,
    pub(crate) observed: Observed,
    pub(crate) plan: Plan,
    pub(crate) environment: Environment,
}

/// Reads both sides and the record, and plans. Can write to neither side: it is handed readers only.
pub(crate) async fn refresh_and_plan(context: &Context, policy: &Policy) -> Result<View> {
    Box::pin(refresh_and_plan_with_expiry(context, policy, false)).await.0
}

/// What becomes of web sessions where there is nothing but a look (`gitlab.admin_session.use`), and the policy that says so.
fn to_look(context: &Context, policy: &Policy) -> (Policy, Sessions) {
    let session = context.config.gitlab.admin_session.as_ref();
    let unopened = session.is_some_and(|session| session.used == SessionUse::Apply);
    let policy = Policy {
        sessions_unopened: unopened,
        ..policy.clone()
    };
    (policy, if unopened { Sessions::Unopened } else { Sessions::End })
}

/// As [`refresh_and_plan`], and `asks` at the same time when GitLab's administrator token expires. That is known also where
/// the look failed, and where it cannot be read the look is none the worse.
pub(crate) async fn refresh_and_plan_with_expiry(
    context: &Context,
    policy: &Policy,
    asks: bool,
) -> (Result<View>, Expiry) {
    let started = async {
        let record = context.interrupts.guard(context.records.read_or_begin()).await?;
        let (policy, sessions) = to_look(context, policy);
        let readers = connect(context, &record, sessions).await?;
        Ok((record, policy, readers))
    };
    let (record, policy, readers) = match started.await {
        Ok(started) => started,
        Err(failure) => return (Err(failure), Expiry::Unknown),
    };
    let expiry = async {
        if asks {
            expiry(context, &readers).await
        } else {
            Expiry::Unknown
        }
    };
    let (observed, expiry) = tokio::join!(observe(context, &record, &readers), expiry);
    readers.sign_out().await;
    let view = observed.and_then(|observed| checked(context, view(context, record, observed, &policy)));
    (view, expiry)
}

async fn expiry(context: &Context, readers: &Readers) -> Expiry {
    let asked = async { Ok(readers.own_token().await?) };
    match context.interrupts.guard(asked).await {
        Ok(Some(token)) => match token.expires_at.map(|day| day.to_zoned(jiff::tz::TimeZone::UTC)) {
            Some(Ok(start)) => Expiry::At(start.timestamp()),
            Some(Err(_)) => Expiry::Unknown,
            None => Expiry::Never,
        },
        // So it is for a token of another kind, which GitLab says nothing about.
        Ok(None) => Expiry::Unknown,
        Err(failure) => {
            tracing::info!(
                reason = %failure,
                "when gitlab.token expires could not be read"
            );
            Expiry::Unknown
        }
    }
}

/// As [`refresh_and_plan`], and leaves web sessions open for what follows.
pub(crate) async fn refresh_and_plan_connected(context: &Context, policy: &Policy) -> Result<(View, Readers)> {
    let record = context.interrupts.guard(context.records.read_or_begin()).await?;
    let (view, readers) = refresh_and_plan_from(context, policy, record).await?;
    or_sign_out(readers, checked(context, view)).await
}

/// What there is to go on with; web sessions are left open for it alone.
async fn or_sign_out<T>(readers: Readers, ended: Result<T>) -> Result<(T, Readers)> {
    match ended {
        Ok(value) => Ok((value, readers)),
        Err(failure) => {
            readers.sign_out().await;
            Err(failure)
        }
    }
}

/// Stops where a target is nowhere; and where there is no record, an integration is in use, and something would be changed: what a record would say of
/// it is not guessed. Where all is as declared, nothing is guessed, for the new record says what is live.
fn checked(context: &Context, view: View) -> Result<View> {
    let View {
        record, observed, plan, ..
    } = &view;
    targets_exist(plan)?;
    // What somebody else made is held until it is adopted, so nothing is guessed of it.
    let is_held = plan
        .changes
        .iter()
        .any(|change| change.address == Address::Application && change.reason == Reason::AlreadyExists);
    let is_lost = record.serial == 0 && !plan.changes.is_empty() && !is_held;
    let evidence = is_lost
        .then(|| planner::inhabited(&context.config.desired, observed, record))
        .flatten();
    match evidence {
        None => Ok(view),
        Some(evidence) => Err(context.records.missing(evidence)),
    }
}

/// As [`refresh_and_plan_connected`], with a record that is not the stored one.
pub(crate) async fn refresh_and_plan_from(
    context: &Context,
    policy: &Policy,
    record: RecordedState,
) -> Result<(View, Readers)> {
    let readers = connect(context, &record, Sessions::Stay).await?;
    let observed = observe(context, &record, &readers).await;
    let (observed, readers) = or_sign_out(readers, observed).await?;
    Ok((view(context, record, observed, policy), readers))
}

/// A target that is neither declared nor live is a slip of the pen, and not an empty plan.
fn targets_exist(plan: &Plan) -> Result<()> {
    let Some(unknown) = plan.unknown_targets.first() else {
        return Ok(());
    };
    Err(
        Failure::new(format!("--target {unknown} is neither in the configuration nor live"))
            .hint("`setpoint plan` lists the addresses of what differs, `setpoint state show` those that are recorded"),
    )
}

async fn connect(context: &Context, record: &RecordedState, sessions: Sessions) -> Result<Readers> {
    let connected = Box::pin(Readers::connect(context, record, sessions));
    context.interrupts.guard(connected).await
}

async fn observe(context: &Context, record: &RecordedState, readers: &Readers) -> Result<Observed> {
    let _activity = context.reading("reading GitLab and Factory");
    let sources = readers.sources();
    let observed = async { Ok(observe::observe(&sources, &context.config.desired, record).await?) };
    context.interrupts.guard(observed).await
}

fn view(context: &Context, record: RecordedState, observed: Observed, policy: &Policy) -> View {
    let plan = planner::plan(&context.config.desired, &observed, &record, policy);
    let environment = context.environment(Some(&observed.gitlab.version));
    View {
        record,
        observed,
        plan,
        environment,
    }
}

/// How a plan is carried out.
pub(crate) struct Run {
    /// What the person is asked, made from GitLab's host; none where the consent was given before.
    pub(crate) question: Option<fn(&str) -> String>,
    /// Whether not to ask.
    pub(crate) auto_approve: bool,
    /// Whether the first failure is the last change that is begun.
    pub(crate) fail_fast: bool,
    /// Why no change window is waited for.
    pub(crate) outside_window: Option<String>,
}

/// A plan that may be carried out now.
struct Ready {
    /// The record as it was read.
    record: RecordedState,
    /// The record with what was found to be as declared.
    adopted: RecordedState,
    plan: Plan,
    environment: Environment,
    /// Of the plan, as the journal names it.
    digest: String,
    gate: Gate,
}

/// How it was carried out.
pub(crate) struct Applied {
    pub(crate) environment: Environment,
    pub(crate) plan: Plan,
    pub(crate) report: ApplyReport,
    /// The application of the record then, for steps that mean the one which the plan created.
    pub(crate) application: Option<(ApplicationId, ApplicationUid)>,
}

/// Plans and carries out, under the lock. Of a plan that was saved it carries out nothing but that plan, and refuses where
/// something has changed that the plan rests on, or where a plan made now would not do the same.
pub(crate) async fn carry_out(
    context: &Context,
    saved: Option<SavedPlan>,
    policy: Policy,
    run: &Run,
) -> Result<Applied> {
    if let Some(saved) = &saved {
        is_for_this_run(context, saved)?;
    }
    let work = async {
        let (view, readers) = refresh_and_plan_connected(context, &policy).await?;
        let ready = ready(context, saved, view, &policy, run).await;
        let (ready, readers) = or_sign_out(readers, ready).await?;
        Box::pin(carry_out_plan(context, ready, readers, run)).await
    };
    locked(context, policy.command.name(), Box::pin(work)).await
}

/// What can be told of a saved plan before anything is asked of anybody.
fn is_for_this_run(context: &Context, saved: &SavedPlan) -> Result<()> {
    let of_sandbox = saved.environment.sandbox;
    if of_sandbox != context.records.of_sandbox {
        let (made_for, hint) = if of_sandbox {
            ("the embedded sandbox", "pass --sandbox, or plan anew without it")
        } else {
            ("the real sides", "leave --sandbox out, or plan anew with it")
        };
        return Err(Failure::new(format!("the saved plan was made for {made_for}")).hint(hint));
    }
    match saved.stale_configuration(&context.config.digest) {
        Some(changed) => Err(stale(&[changed])),
        None => Ok(()),
    }
}

async fn ready(context: &Context, saved: Option<SavedPlan>, view: View, policy: &Policy, run: &Run) -> Result<Ready> {
    let View {
        record,
        observed,
        plan: fresh,
        environment,
    } = view;
    let desired = &context.config.desired;
    // What is as declared follows from what is there now; a saved plan may be silent about some of it.
    let adopted = planner::refresh(desired, &observed, &record, &fresh);
    let (plan, digest) = match saved {
        None => {
            let digest = digest(&fresh);
            (fresh, digest)
        }
        Some(saved) => {
            let inputs = PlanInputs {
                desired,
                observed: &observed,
                recorded: &record,
            };
            let changed = saved.stale(&context.config.digest, &inputs);
            if !changed.is_empty() {
                return Err(stale(&changed));
            }
            let mut plan = saved.restrict(fresh).map_err(|deviations| beyond_fresh(&deviations))?;
            planner::guard(&mut plan, desired, &observed, &record, policy);
            (plan, saved.digest)
        }
    };
    let gate = prepare(context, &plan, &environment, run).await?;
    Ok(Ready {
        record,
        adopted,
        plan,
        environment,
        digest,
        gate,
    })
}

fn stale(changed: &[Stale]) -> Failure {
    Failure::refused(format!(
        "the saved plan is stale, so nothing was changed. Since it was made, this changed:{}",
        listed(changed)
    ))
    .hint("make a new one with `setpoint plan --out FILE`")
}

fn beyond_fresh(deviations: &[Deviation]) -> Failure {
    Failure::refused(format!(
        "the saved plan is not what a plan made now is, so nothing was changed:{}",
        listed(deviations)
    ))
    .hint("make a new one with `setpoint plan --out FILE`, and find out who wrote this one")
}

/// Each on a line of its own.
fn listed(all: &[impl fmt::Display]) -> String {
    let lines: Vec<String> = all.iter().map(|one| format!("\n  {one}")).collect();
    lines.concat()
}

/// Holds the state lock while something is done.
pub(crate) async fn locked<T>(context: &Context, command: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let info = LockInfo::new(command, &context.actor, Timestamp::now())?;
    context
        .interrupts
        .guard(async { Ok(context.records.store.lock(&info, context.settings.lock_timeout).await?) })
        .await?;
    if let Some(dead) = context.records.store.left_behind() {
        context.console.tell(Event::LockTakenOver(&dead));
    }
    let ended = work.await;
    if let Err(error) = context.records.store.unlock(&info.id).await {
        cannot_unlock(context, &info.id, &error);
    }
    ended
}

/// What was done is done: a lock that is left behind changes nothing about it, but stops the next run.
fn cannot_unlock(context: &Context, id: &str, error: &StateError) {
    let gone = matches!(error, StateError::NotLocked { .. } | StateError::OtherLock { .. });
    let (message, hint) = if gone {
        (
            format!("the lock was taken away during the run: {error}"),
            "whoever took it may have written at the same time: `setpoint plan` shows what is left to do".to_owned(),
        )
    } else {
        let reason = error.to_string();
        (
            format!(
                "the lock on {} may be left behind: {}",
                context.records.store.place(),
                reason.trim_end_matches('.')
            ),
            format!("release it with `setpoint state unlock {id}`, if the next run is refused"),
        )
    };
    let warning = Diagnostic::new(message).hint(hint);
    context.console.tell(Event::Warning(&warning));
}

/// Shows the plan and asks: everything that comes before the first write.
async fn prepare(context: &Context, plan: &Plan, environment: &Environment, run: &Run) -> Result<Gate> {
    let proposal = Proposal::Plan {
        plan,
        environment,
        approved: run.auto_approve,
    };
    context.console.propose(context, &proposal)?;
    if let Some(failure) = refusal(plan) {
        return Err(failure);
    }
    let unattended = run.auto_approve || run.question.is_none();
    if let Some(failure) = unallowed_interruption(context, plan).filter(|_| unattended) {
        return Err(failure);
    }
    secret_would_be_lost(context, plan)?;
    let writes = plan.changes.iter().any(|change| !change.operations.is_empty());
    if !writes {
        return Ok(Gate::default());
    }
    let gate = || {
        window::check(
            &context.config.change_windows,
            run.outside_window.as_deref(),
            Timestamp::now(),
        )
    };
    let open = gate()?;
    let Some(question) = run.question.filter(|_| !run.auto_approve) else {
        return Ok(open);
    };
    let question = question(&environment.host());
    let consent = context.interrupts.guard(context.console.confirm(&question)).await?;
    if !consent {
        return Err(Failure::refused("declined: nothing was changed"));
    }
    // A person takes a while to answer.
    gate()
}

/// Where nobody watches, Factory is not cut off until a person comes, unless that was allowed.
fn unallowed_interruption(context: &Context, plan: &Plan) -> Option<Failure> {
    let (address, interruption) = plan
        .changes
        .iter()
        .filter_map(|change| Some((&change.address, change.interrupts.as_ref()?)))
        .find(|(_, interruption)| interruption.ended_by == Ender::Operator)?;
    if context.config.interruption || plan.allowances.interruption {
        return None;
    }
    Some(
        Failure::refused(format!(
            "{address} would cut Factory off until a person has done {}, and nobody is watching",
            interruption.until
        ))
        .hint(
            "run it without --auto-approve where somebody is, or allow it with --allow-interruption or \
             `guards.interruption = true`",
        ),
    )
}

/// Under the assisted driver a person types the secret in, so somebody must be able to see it.
fn secret_would_be_lost(context: &Context, plan: &Plan) -> Result<()> {
    let makes_secret = plan
        .changes
        .iter()
        .flat_map(|change| &change.operations)
        .any(Operation::makes_secret);
    let assisted = context.config.factory.driver == Driver::Assisted;
    if makes_secret && assisted && context.config.secret.save.is_none() && !context.console.can_ask() {
        return Err(Failure::refused(
            "GitLab would show the application's secret once, and nobody would ever see it: there is no terminal, and \
             `application.secret.save` is not set",
        )
        .hint("set `application.secret.save`, or run it on a terminal"));
    }
    Ok(())
}

async fn carry_out_plan(context: &Context, ready: Ready, readers: Readers, run: &Run) -> Result<Applied> {
    let Ready {
        record,
        adopted,
        mut plan,
        environment,
        digest,
        gate,
    } = ready;
    let run_id = state::random_id()?;
    let outcomes = if plan.changes.is_empty() {
        readers.sign_out().await;
        if adopted != record {
            adopt(context, &record, adopted).await?;
        }
        Vec::new()
    } else {
        let writers = Writers::upgrade(readers, context, &plan).await?;
        // Both go out before the first write to either side, so that a full disk shows before it, too.
        let begun = async {
            context.interrupts.guard(writers.try_store(&plan)).await?;
            let adopted = adopt(context, &record, adopted).await?;
            context.interrupts.writing_begins()?;
            let journal = RunJournal::begin(context, &run_id, plan.command, digest, &gate)?;
            Ok((adopted, journal))
        };
        let (adopted, journal) = match begun.await {
            Ok(begun) => begun,
            Err(failure) => {
                writers.sign_out().await;
                return Err(failure);
            }
        };
        let options = executor::Options {
            parallelism: context.settings.parallelism.get(),
            fail_fast: run.fail_fast,
            stop: context.interrupts.stop(),
            until: gate.until,
        };
        let ended = Arc::new(AtomicUsize::new(0));
        let activity = context.console.begin("carrying out the plan", {
            let (ended, all) = (Arc::clone(&ended), plan.changes.len() as u64);
            Box::new(move || {
                format!(
                    "{} of {}",
                    ended.load(Ordering::Relaxed),
                    count(all, "change", "changes")
                )
            })
        });
        let observer = |event: executor::Event| {
            if let executor::Event::Finished(outcome) = event {
                journal.outcome(&outcome);
                ended.fetch_add(1, Ordering::Relaxed);
                let by_person = is_attested(&plan, &outcome.address) && !outcome.fallback;
                context.console.tell(Event::Ended {
                    outcome: &outcome,
                    by_person,
                });
            }
        };
        let operator = context.console.operator(context);
        let effects = writers.effects(operator.as_ref());
        let executed = executor::execute(
            &plan,
            adopted,
            &effects,
            context.records.store.as_ref(),
            &options,
            &observer,
        )
        .await;
        writers.sign_out().await;
        drop(activity);
        if let Some(unwritten) = &executed.unwritten {
            errored_state::keep(context, unwritten);
        }
        take_in(&mut plan, executed.left_to_a_person);
        let outcomes = executed.outcomes;
        journal.end(OutcomeSummary::of(&outcomes));
        outcomes
    };
    let application = if outcomes.iter().any(|outcome| outcome.outcome == Outcome::Operator) {
        let record = context.records.store.read().await.ok().flatten();
        record.as_ref().and_then(application_ids)
    } else {
        None
    };
    Ok(Applied {
        report: render::apply_report(run_id, &environment, outcomes),
        environment,
        plan,
        application,
    })
}

/// Whether a person's word is all there is of a change that is done.
fn is_attested(plan: &Plan, address: &Address) -> bool {
    plan.change(address)
        .is_some_and(|change| change.operations.is_empty() && change.steps.iter().any(OperatorStep::is_attested))
}

/// Shows an approval that turned out to be a person's as one that was known to be.
fn take_in(plan: &mut Plan, step: Option<OperatorStep>) {
    let authorization = plan
        .changes
        .iter_mut()
        .find(|change| change.address == Address::Authorization);
    if let Some(authorization) = authorization {
        authorization.steps.extend(step);
    }
}

/// Writes down what is as declared already, so that a later change of it shows as drift. Where there is nothing to
/// write, it is found out whether something could be: nothing is begun that could not be recorded.
async fn adopt(context: &Context, before: &RecordedState, mut adopted: RecordedState) -> Result<RecordedState> {
    if &adopted != before {
        context.records.store.write(&mut adopted).await?;
    }
    context.records.store.probe(&adopted).await?;
    Ok(adopted)
}

/// Why an apply of this plan is refused as a whole.
fn refusal(plan: &Plan) -> Option<Failure> {
    let lines = |of: &dyn Fn(&Diagnostic) -> &str| plan.refusals.iter().map(of).collect::<Vec<_>>().join("\n");
    (!plan.refusals.is_empty()).then(|| {
        Failure::refused(lines(&|refusal| &refusal.message))
            .hint(lines(&|refusal| refusal.hint.as_deref().unwrap_or_default()))
    })
}

/// The application's ids, for steps that mean the one which the plan created.
pub(crate) fn application_ids(record: &RecordedState) -> Option<(ApplicationId, ApplicationUid)> {
    let recorded = record.application.as_ref()?;
    Some((recorded.id, recorded.uid.clone()))
}
