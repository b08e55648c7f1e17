//! What `state rm` does: takes resources out of the record, and leaves both sides as they are.

use std::collections::BTreeSet;

use super::console::Proposal;
use super::context::Context;
use super::error::{Failure, Result};
use super::operations::locked;
use super::push::{Replaced, replace_record};
use crate::kinds;
use crate::model::{Address, RecordedState};

const COMMAND: &str = "state rm";

/// Takes these out of the record.
pub(crate) async fn forget(context: &Context, addresses: &BTreeSet<Address>, auto_approve: bool) -> Result<Replaced> {
    locked(context, COMMAND, async {
        let place = context.records.store.place();
        let Some(mut record) = context.interrupts.guard(context.records.read()).await? else {
            return Err(Failure::new(format!("there is no record at {place}")));
        };
        let remembered = may_be_forgotten(&record, addresses, &place)?;
        let proposal = Proposal::Forget {
            place: &place,
            remembered: &remembered,
        };
        context.console.propose(context, &proposal)?;
        for address in addresses {
            kinds::forget(&mut record, address);
        }
        let question = "Do you want to take this out of the record?";
        replace_record(context, COMMAND, record, question, auto_approve).await
    })
    .await
}

/// What the record says of each; refuses what is not in it, and what an interrupted run left open.
fn may_be_forgotten(
    record: &RecordedState,
    addresses: &BTreeSet<Address>,
    place: &str,
) -> Result<Vec<(Address, String)>> {
    let mut found = Vec::new();
    for address in addresses {
        if record.intents_of(address).next().is_some() {
            return Err(Failure::refused(format!(
                "an interrupted run had begun a write to {address}, and its end is not recorded: it was not taken out"
            ))
            .hint("run `setpoint apply` first: it finds out what became of that write"));
        }
        let entry = kinds::remembered(record)
            .into_iter()
            .find(|(remembered, ..)| remembered == address);
        let Some((address, text, _)) = entry else {
            return Err(Failure::new(format!("the record at {place} has no {address}"))
                .hint("`setpoint state list` shows what it has"));
        };
        found.push((address, text));
    }
    Ok(found)
}
