//! A record that the store did not take at the end of a run, kept in a local file. It says what was done, and what was
//! begun; `setpoint state push` puts it back.

use super::console::Event;
use super::context::Context;
use crate::executor::Unwritten;
use crate::files::{self, Readers};
use crate::model::Diagnostic;
use crate::state;

/// Keeps it, and says where, or why that is not possible either.
pub(crate) fn keep(context: &Context, unwritten: &Unwritten) {
    let path = state::free_name(&context.records.local, "unwritten");
    let kept = state::render(&unwritten.record)
        .map_err(|error| error.to_string())
        .and_then(|text| files::replace(&path, &text, Readers::Owner).map_err(|error| error.to_string()));
    let message = format!(
        "the state record at {} is behind what was done: {}",
        context.records.store.place(),
        unwritten.why
    );
    let hint = match kept {
        Ok(()) => format!(
            "what was to be written is in {}: put it back with `setpoint state push {}` before the next apply, unless another \
             run has written since",
            path.display(),
            path.display()
        ),
        Err(why) => format!(
            "nor can it be kept in {} ({why}); make room, and apply again: what was begun is in the record, and is looked up",
            path.display()
        ),
    };
    let warning = Diagnostic::new(message).hint(hint);
    context.console.tell(Event::Warning(&warning));
}
