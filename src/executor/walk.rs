//! The order of things: what may begin, what waits, what is skipped.
//!
//! Each change goes through its writes first and then, if it has some, through its operator steps. Changes whose
//! parents are done run at the same time, within the bound; repositories go last and in batches; a person is asked
//! while nothing else runs; the old application of a replacement is deleted after all else.

use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use indexmap::IndexMap;

use super::effects::{Event, Options, StopReason};
use super::run::{Failure, Run};
use super::writes::{Finished, WritesEnd, carry_out, selection, stop_words, waiting_deletions};
use super::{Executed, Unwritten};
use crate::factory::BATCH;
use crate::model::{Address, ApproveAt, Change, ChangeOutcome, Operation, OperatorStep, Outcome, Plan, Status};

/// Where a change stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// Part of a fallback that nothing has called for.
    Dormant,
    Waiting,
    /// Its writes are under way.
    Running,
    /// Its writes are done; the step of this number is next.
    Asking(usize),
    /// All done but what waits for the rest of the plan: the deletion of the old application, and what there is to say
    /// of a secret that could not be saved. Steps that nothing depends on may be left, too.
    AwaitingCleanup,
    Ended(Outcome),
}

/// What the parents of a change allow.
enum Verdict {
    Go,
    Wait,
    Skip(String),
    /// A person's step is left above it.
    Operator(String),
}

/// A change on its way through the run.
pub(super) struct Progress<'a> {
    pub(super) change: &'a Change,
    /// The change of whose fallback it is a part.
    fallback_of: Option<&'a Address>,
    pub(super) stage: Stage,
    error: Option<String>,
    /// A person put its step off: what depends on it is not asked for.
    pub(super) deferred: bool,
    /// Why a person's step is still left of it while it awaits cleanup.
    pub(super) pending_reason: Option<String>,
    /// A step that the plan does not have, because nobody could know that a person is needed.
    pub(super) unplanned: Option<&'a OperatorStep>,
    /// Where a person approves what is left.
    pub(super) approve_at: Option<ApproveAt>,
}

impl<'a> Progress<'a> {
    fn new(change: &'a Change, fallback_of: Option<&'a Address>) -> (Key<'a>, Self) {
        let progress = Self {
            change,
            fallback_of,
            stage: if fallback_of.is_some() {
                Stage::Dormant
            } else {
                Stage::Waiting
            },
            error: None,
            deferred: false,
            pending_reason: None,
            unplanned: None,
            approve_at: None,
        };
        ((fallback_of, &change.address), progress)
    }

    /// What it waits for: the changes that it depends on, and its own fallback where that is called for.
    fn parents(&self) -> impl Iterator<Item = Key<'a>> + use<'a> {
        let (change, of) = (self.change, self.fallback_of);
        let depends_on = change.depends_on.iter().map(move |parent| (of, parent));
        let fallback = change
            .possible()
            .iter()
            .map(|one| (Some(&change.address), &one.address));
        depends_on.chain(fallback)
    }

    fn outcome(&self, run: &Run<'_>) -> ChangeOutcome {
        let (outcome, error) = match self.stage {
            Stage::Ended(outcome) => (outcome, self.error.clone()),
            _ => (
                Outcome::Skipped,
                Some("not begun: what it depends on never ended".to_owned()),
            ),
        };
        ChangeOutcome {
            address: self.change.address.clone(),
            actions: self.change.actions,
            outcome,
            error,
            writes: run.writes_of(self.change),
            fallback: self.fallback_of.is_some(),
            approve_at: self.approve_at.clone(),
        }
    }
}

/// The address, and that of the change of whose fallback it is: the same address may be changed for itself, too.
type Key<'a> = (Option<&'a Address>, &'a Address);

pub(super) struct Walk<'a> {
    pub(super) plan: &'a Plan,
    pub(super) run: &'a Run<'a>,
    pub(super) options: &'a Options<'a>,
    observer: &'a dyn Fn(Event),
    /// In the order of the plan, and then the fallbacks.
    pub(super) progress: IndexMap<Key<'a>, Progress<'a>>,
    pub(super) quit: bool,
    failed_fast: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(plan: &'a Plan, run: &'a Run<'a>, options: &'a Options<'a>, observer: &'a dyn Fn(Event)) -> Self {
        let planned = plan.changes.iter().map(|change| Progress::new(change, None));
        let possible = plan.changes.iter().flat_map(|change| {
            let parts = change.possible().iter();
            parts.map(|part| Progress::new(part, Some(&change.address)))
        });
        Self {
            plan,
            run,
            options,
            observer,
            progress: planned.chain(possible).collect(),
            quit: false,
            failed_fast: false,
        }
    }

    pub(super) async fn walk(mut self) -> Executed {
        let mut in_flight: FuturesUnordered<LocalBoxFuture<'a, Finished>> = FuturesUnordered::new();
        let bound = self.options.parallelism.max(1);
        loop {
            self.end_unstartable();
            while in_flight.len() < bound {
                let batch = match self.next_ready() {
                    Some(at) => vec![at],
                    // Only when nothing else runs that could make more of them ready, so that batches are full.
                    None if self.only_repositories_run() => self.next_batch(),
                    None => break,
                };
                if batch.is_empty() {
                    break;
                }
                for &at in &batch {
                    let progress = &mut self.progress[at];
                    progress.stage = Stage::Running;
                    (self.observer)(Event::Started(progress.change.address.clone()));
                }
                let batch = batch.into_iter().map(|at| (at, self.progress[at].change)).collect();
                in_flight.push(carry_out(self.plan.command, self.run, self.options, batch));
            }
            if let Some(finished) = in_flight.next().await {
                for (at, end) in finished {
                    self.end_writes(at, end);
                }
            } else if !self.ask_next().await && !self.clean_up().await {
                break;
            }
        }
        // What could not be written before may be by now: room was made, or a server is back.
        let flushed = self.run.state.flush().await;
        Executed {
            outcomes: self.outcomes(),
            left_to_a_person: self.run.left_to_a_person.get().map(|left| left.step.clone()),
            unwritten: flushed.err().map(|why| Unwritten {
                record: self.run.state.successor(),
                why,
            }),
        }
    }

    /// Ends what can no longer begin: blocked changes, those whose parents failed, and all when the run is to stop.
    fn end_unstartable(&mut self) {
        loop {
            let mut moved = false;
            for at in 0..self.progress.len() {
                let Progress { change, stage, .. } = &self.progress[at];
                if *stage != Stage::Waiting {
                    continue;
                }
                if change.status == Status::Blocked {
                    self.end(at, Outcome::Blocked, Some(blocked_because(change)));
                    moved = true;
                    continue;
                }
                match self.verdict(at) {
                    Verdict::Skip(why) => self.end(at, Outcome::Skipped, Some(why)),
                    Verdict::Operator(why) => {
                        self.progress[at].deferred = true;
                        self.end(at, Outcome::Operator, Some(why));
                    }
                    Verdict::Wait => continue,
                    Verdict::Go => match self.stop().filter(|_| !self.goes_on(at)) {
                        Some(why) => self.end(at, Outcome::Skipped, Some(format!("not begun: {why}"))),
                        None if change.operations.is_empty() => self.advance(at, 0),
                        None => continue,
                    },
                }
                moved = true;
            }
            if !moved {
                return;
            }
        }
    }

    /// Why nothing new may begin, if so.
    pub(super) fn stop(&self) -> Option<String> {
        if let Some(state) = self.run.state.broken() {
            return Some(format!("the state record could not be written: {state}"));
        }
        if self.failed_fast {
            return Some("an earlier change failed, and the run was to end at the first failure".to_owned());
        }
        self.options.stopped().map(|reason| stop_words(reason).to_owned())
    }

    /// Whether a change is begun although the window has closed: one that brings Factory back, which this run has cut off.
    fn goes_on(&self, at: usize) -> bool {
        let only_closed = self.run.state.broken().is_none()
            && !self.failed_fast
            && self.options.stopped() == Some(StopReason::WindowClosed);
        let brings_back = matches!(
            self.progress[at].change.address,
            Address::Connection | Address::Authorization
        );
        let cut_off = |one: &Progress<'_>| one.change.interrupts.is_some() && self.run.writes_of(one.change) > 0;
        only_closed && brings_back && self.progress.values().any(cut_off)
    }

    fn verdict(&self, at: usize) -> Verdict {
        let change = self.progress[at].change;
        let mut waits = false;
        let mut operator = None;
        for key in self.progress[at].parents() {
            let Some(above) = self.progress.get(&key) else {
                continue;
            };
            let (_, parent) = key;
            match above.stage {
                Stage::Ended(Outcome::Done) | Stage::AwaitingCleanup | Stage::Dormant => {}
                Stage::Waiting | Stage::Running | Stage::Asking(_) => waits = true,
                Stage::Ended(Outcome::Failed) => return Verdict::Skip(format!("{parent} failed")),
                Stage::Ended(Outcome::Skipped) => return Verdict::Skip(format!("{parent} was skipped")),
                Stage::Ended(Outcome::Blocked) => return Verdict::Skip(format!("{parent} is blocked")),
                Stage::Ended(Outcome::Operator) => {
                    let holds_up = |step: &OperatorStep| holds_up(step, &change.address);
                    let needs_it = above.change.steps.iter().chain(above.unplanned).any(holds_up);
                    if needs_it && (above.deferred || !change.operations.is_empty()) {
                        operator = Some(format!("waits for a person to do {parent}"));
                    }
                }
            }
        }
        match operator {
            _ if waits => Verdict::Wait,
            Some(why) => Verdict::Operator(why),
            None => Verdict::Go,
        }
    }

    fn is_ready(&self, at: usize) -> bool {
        self.progress[at].stage == Stage::Waiting && matches!(self.verdict(at), Verdict::Go)
    }

    /// The next change with writes that may begin, repositories aside.
    fn next_ready(&self) -> Option<usize> {
        (0..self.progress.len()).find(|&at| selection(self.progress[at].change).is_none() && self.is_ready(at))
    }

    fn only_repositories_run(&self) -> bool {
        (self.progress.values()).all(|one| one.stage != Stage::Running || selection(one.change).is_some())
    }

    fn next_batch(&self) -> Vec<usize> {
        (0..self.progress.len())
            .filter(|&at| selection(self.progress[at].change).is_some() && self.is_ready(at))
            .take(BATCH)
            .collect()
    }

    fn end_writes(&mut self, at: usize, end: WritesEnd) {
        match end {
            WritesEnd::Done => {
                let is_approval = self.progress[at].change.address == Address::Authorization;
                let left = self.run.left_to_a_person.get().filter(|_| is_approval);
                self.progress[at].unplanned = left.map(|left| &left.step);
                self.advance(at, 0);
            }
            WritesEnd::Refused(why) if self.stop().is_some() || !self.fall_back(at) => {
                self.end_with_secret(at, Outcome::Failed, Some(why));
            }
            WritesEnd::Refused(_) => {}
            WritesEnd::Failed(why) => self.end_with_secret(at, Outcome::Failed, Some(why)),
            WritesEnd::Stopped(why) => self.end(at, Outcome::Skipped, Some(why)),
        }
    }

    /// Begins what was planned for a secret that GitLab refuses, after which the change is tried once more. Whether there
    /// is any, and it was not tried before.
    fn fall_back(&mut self, at: usize) -> bool {
        let of = &self.progress[at].change.address;
        let parts = self.progress.values_mut().filter(|one| one.fallback_of == Some(of));
        let mut untried = false;
        for part in parts.filter(|part| part.stage == Stage::Dormant) {
            part.stage = Stage::Waiting;
            untried = true;
        }
        if untried {
            self.progress[at].stage = Stage::Waiting;
        }
        untried
    }

    /// After the writes: the steps from this one on, then the deletion that waits, then the end.
    pub(super) fn advance(&mut self, at: usize, step: usize) {
        let Progress { change, unplanned, .. } = &self.progress[at];
        if step < change.steps.len() + usize::from(unplanned.is_some()) {
            self.progress[at].stage = Stage::Asking(step);
        } else if self.awaits_cleanup(at) {
            self.progress[at].stage = Stage::AwaitingCleanup;
        } else {
            self.end(at, Outcome::Done, None);
        }
    }

    /// Whether a change whose own part is done ends with the plan only.
    pub(super) fn awaits_cleanup(&self, at: usize) -> bool {
        let mut deletions = waiting_deletions(self.plan.command, self.progress[at].change);
        deletions.next().is_some() || self.unsaved(at).is_some()
    }

    /// What there is to say of a secret that this change made and that could not be saved.
    fn unsaved(&self, at: usize) -> Option<(Outcome, String)> {
        let makes_one = self.progress[at].change.operations.iter().any(Operation::makes_secret);
        let fresh = self.run.fresh.borrow();
        let fresh = fresh.as_ref().filter(|_| makes_one)?;
        let why = fresh.unsaved.as_ref()?;
        let record = self.run.state.record();
        let fingerprint = fresh.secret.fingerprint(&record.lineage);
        let handed = record
            .connection
            .as_ref()
            .and_then(|saved| saved.secret_fingerprint.as_ref());
        Some(if handed == Some(&fingerprint) {
            let todo =
                "Factory has the new secret and works with it, but nobody else has it, because it could not be saved";
            (
                Outcome::Operator,
                format!("{todo}: {why}; once that works, `setpoint rotate` makes another one, which is saved"),
            )
        } else {
            (
                Outcome::Failed,
                format!(
                    "the new secret could not be saved: {why}; nor was Factory given it, so the next run renews it"
                ),
            )
        })
    }

    /// Ends a change with what there is to say of its secret.
    fn end_with_secret(&mut self, at: usize, outcome: Outcome, why: Option<String>) {
        match (self.unsaved(at), why) {
            (None, why) => self.end(at, outcome, why),
            (Some((unsaved, text)), None) => self.end(at, unsaved, Some(text)),
            (Some((unsaved, text)), Some(why)) => {
                let outcome = if unsaved == Outcome::Failed { unsaved } else { outcome };
                self.end(at, outcome, Some(format!("{why}; besides, {text}")));
            }
        }
    }

    pub(super) fn end(&mut self, at: usize, outcome: Outcome, error: Option<String>) {
        let progress = &mut self.progress[at];
        progress.stage = Stage::Ended(outcome);
        progress.error = error;
        let ended = progress.outcome(self.run);
        if outcome == Outcome::Failed && self.options.fail_fast {
            self.failed_fast = true;
        }
        (self.observer)(Event::Finished(ended));
    }

    fn outcomes(&self) -> Vec<ChangeOutcome> {
        let ended = self.progress.values().filter(|one| one.stage != Stage::Dormant);
        ended.map(|one| one.outcome(self.run)).collect()
    }

    /// Ends what waited for the rest of the plan, and deletes the old application once Factory has left it. Whether there
    /// was anything to decide on.
    async fn clean_up(&mut self) -> bool {
        let waiting = (self.progress.values()).position(|one| one.stage == Stage::AwaitingCleanup);
        let Some(at) = waiting else {
            return false;
        };
        let (command, change) = (self.plan.command, self.progress[at].change);
        if waiting_deletions(command, change).next().is_none() {
            self.end_all_but_steps(at);
            return true;
        }
        if let Some((address, outcome)) = self.still_needed() {
            let why = format!("the new application is there; the old one is kept until {address} is done");
            let outcome = if outcome == Outcome::Operator {
                outcome
            } else {
                Outcome::Skipped
            };
            self.end_with_secret(at, outcome, Some(why));
            return true;
        }
        // A closed window lets what was begun be finished; an interrupt does not.
        if let Some(why) = self
            .stop()
            .filter(|_| self.options.stopped() != Some(StopReason::WindowClosed))
        {
            let why = format!("the new application is there and the old one is not deleted yet: {why}");
            self.end_with_secret(at, Outcome::Skipped, Some(why));
            return true;
        }
        for operation in waiting_deletions(command, change) {
            if let Err(Failure(why)) = self.run.perform(change, operation).await {
                let why = format!("the old application was not deleted: {why}");
                self.end_with_secret(at, Outcome::Failed, Some(why));
                return true;
            }
        }
        self.end_all_but_steps(at);
        true
    }

    /// Ends what is done, but for steps that were left.
    fn end_all_but_steps(&mut self, at: usize) {
        match self.progress[at].pending_reason.take() {
            Some(why) => self.end_with_secret(at, Outcome::Operator, Some(why)),
            None => self.end_with_secret(at, Outcome::Done, None),
        }
    }

    /// What of Factory's move to the new application is not done.
    fn still_needed(&self) -> Option<(&'a Address, Outcome)> {
        self.progress.values().find_map(|Progress { change, stage, .. }| {
            let moves = matches!(change.address, Address::Connection | Address::Authorization);
            match stage {
                Stage::Ended(Outcome::Done) | Stage::Dormant => None,
                Stage::Ended(outcome) if moves => Some((&change.address, *outcome)),
                _ if moves => Some((&change.address, Outcome::Skipped)),
                _ => None,
            }
        })
    }
}

pub(super) fn is_repository(change: &Change) -> bool {
    matches!(change.address, Address::Repository(_))
}

/// Steps that nothing else depends on: an untrusted application works, it only asks for consent.
pub(super) fn is_optional(step: &OperatorStep) -> bool {
    matches!(step, OperatorStep::SetTrusted { .. })
}

/// Whether a change cannot go on before a step of what it depends on is done. The terms are of no matter to whoever only
/// writes about the droid.
fn holds_up(step: &OperatorStep, waiting: &Address) -> bool {
    match step {
        OperatorStep::AcceptTerms { .. } => *waiting == Address::Authorization,
        step => !is_optional(step),
    }
}

fn blocked_because(change: &Change) -> String {
    match change.notes.first() {
        Some(note) => format!("{}: {note}", change.reason),
        None => change.reason.to_string(),
    }
}
