//! The automatic part of a change: its writes in their order, or one batch of repositories.

use futures_util::future::LocalBoxFuture;

use super::effects::{Options, StopReason};
use super::factory::Selecting;
use super::run::{Failure, Run, Step};
use super::state_writer::Write;
use crate::model::{Change, Command, Operation};

/// Changes that ended their writes, with the result.
pub(super) type Finished = Vec<(usize, WritesEnd)>;

/// How the writes of a change ended.
pub(super) enum WritesEnd {
    Done,
    /// GitLab does not take the secret that Factory has.
    Refused(String),
    Failed(String),
    /// Stopped between two writes.
    Stopped(String),
}

/// The writes of one change in their order, or one batch of repositories.
pub(super) fn carry_out<'a>(
    command: Command,
    run: &'a Run<'a>,
    options: &'a Options<'a>,
    batch: Vec<(usize, &'a Change)>,
) -> LocalBoxFuture<'a, Finished> {
    Box::pin(async move {
        let selections: Option<Vec<_>> = batch.iter().map(|(_, change)| selection(change)).collect();
        if let Some(selections) = selections {
            let results = run.set_repositories(&selections).await;
            let places = batch.into_iter().map(|(at, _)| at);
            return places.zip(results.into_iter().map(writes_end)).collect();
        }
        let mut finished = Vec::with_capacity(batch.len());
        for (at, change) in batch {
            finished.push((at, carry_out_one(command, change, run, options).await));
        }
        finished
    })
}

async fn carry_out_one(command: Command, change: &Change, run: &Run<'_>, options: &Options<'_>) -> WritesEnd {
    let writes = change.operations.iter().filter(|operation| !waits(command, operation));
    for (done, operation) in writes.enumerate() {
        // An interrupt ends a change between two of its writes; a closing window lets it finish.
        if done > 0 && options.stopped() == Some(StopReason::Interrupted) {
            return WritesEnd::Stopped(format!(
                "begun and not finished ({done} of {} writes): {}",
                change.operations.len(),
                stop_words(StopReason::Interrupted)
            ));
        }
        if let Err(Failure(why)) = run.perform(change, operation).await {
            return if run.secret_was_refused.take() {
                WritesEnd::Refused(why)
            } else {
                WritesEnd::Failed(why)
            };
        }
    }
    WritesEnd::Done
}

fn writes_end(result: Step) -> WritesEnd {
    match result {
        Ok(()) => WritesEnd::Done,
        Err(Failure(why)) => WritesEnd::Failed(why),
    }
}

/// Whether this write waits for the whole plan: the deletion of an old application, unless all is taken down, in an
/// order that the plan has laid down.
fn waits(command: Command, operation: &Operation) -> bool {
    operation.deleted_application().is_some() && command != Command::Destroy
}

pub(super) fn waiting_deletions(command: Command, change: &Change) -> impl Iterator<Item = &Operation> {
    let waits = move |operation: &&Operation| waits(command, operation);
    change.operations.iter().filter(waits)
}

/// The one write of a change that can share a call with others of its kind.
pub(super) fn selection(change: &Change) -> Option<Selecting<'_>> {
    match change.operations.as_slice() {
        [operation @ Operation::Repository(one)] => Some((Write { change, operation }, *one)),
        [] | [_, ..] => None,
    }
}

pub(super) fn stop_words(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Interrupted => "the run was interrupted",
        StopReason::WindowClosed => "the change window ended",
    }
}
