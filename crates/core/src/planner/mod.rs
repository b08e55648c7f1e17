//! What is desired, what is observed and what was recorded, compared into a plan.
//!
//! Pure, synchronous, deterministic and total: the same arguments give the same plan, in canonical order, whatever they
//! are. Each kind of resource puts its changes into the plan that is being built, and asks it what it has to wait for.

mod adoption;
#[cfg(any(test, fuzzing, feature = "fixture"))]
#[doc(hidden)]
#[allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::return_self_not_must_use,
    reason = "for tests: a world that cannot be made fails the one that needs it"
)]
pub mod fixture;
mod guards;
mod interruption;
mod invariants;
mod rebuild;
mod refresh;
mod targets;
#[cfg(test)]
mod tests;

use crate::kinds;
use crate::model::{Address, Change, Command, Desired, Observed, Plan, Policy, RecordedState, Status, WarningCode};
use crate::planning::{Inputs, PlanBuilder};

pub use adoption::{Unadoptable, Word, adoptable, questions, take_over};
pub use invariants::check_invariants;
pub use rebuild::{Presumed, inhabited, presume, rebuild};
pub use refresh::refresh;
pub use targets::{belonging, keep_only};

/// Compares what is desired with what is observed and recorded, and decides everything that the execution needs.
pub fn plan(desired: &Desired, observed: &Observed, recorded: &RecordedState, policy: &Policy) -> Plan {
    let inputs = Inputs {
        desired,
        observed,
        recorded,
        policy,
    };
    let mut builder = PlanBuilder::default();
    match policy.command {
        Command::Destroy => kinds::destroy(&inputs, &mut builder),
        Command::Plan | Command::Drift | Command::Apply | Command::Rotate => converge(&inputs, &mut builder),
    }
    let mut plan = builder.finish(policy, observed.factory.source);
    if !policy.targets.is_empty() {
        targets::apply(&mut plan, &inputs, &policy.targets, true);
    } else if policy.command == Command::Rotate {
        let targets = [Address::Application, Address::Connection, Address::Authorization].into();
        targets::apply(&mut plan, &inputs, &targets, false);
    }
    interruption::mark(&mut plan, &inputs);
    if policy.command != Command::Destroy {
        guards::check(&mut plan, &inputs);
    }
    plan
}

/// Holds a plan of which a part was left out to the guards again, and finds anew what interrupts.
pub fn guard(plan: &mut Plan, desired: &Desired, observed: &Observed, recorded: &RecordedState, policy: &Policy) {
    let inputs = Inputs {
        desired,
        observed,
        recorded,
        policy,
    };
    interruption::mark(plan, &inputs);
    plan.refusals.clear();
    plan.warnings
        .retain(|warning| warning.code != WarningCode::GuardExceeded);
    guards::check(plan, &inputs);
}

/// The resources in the order in which they depend on each other.
fn converge(inputs: &Inputs<'_>, builder: &mut PlanBuilder) {
    kinds::plan(inputs, builder);
    wait_with_removal(builder);
    warn_unattested(inputs, builder);
    warn_closed(inputs, builder);
    warn_unopened(inputs, builder);
}

/// Where nobody signed in to look, what was not seen is named: nothing differs only as far as the record says.
fn warn_unopened(inputs: &Inputs<'_>, builder: &mut PlanBuilder) {
    if !inputs.policy.sessions_unopened || inputs.closed_admin().is_some() {
        return;
    }
    let mut unseen = kinds::application::taken_from_record(inputs);
    if inputs.attested() && inputs.recorded.authorization.is_some() {
        unseen.push("the droid's list of authorized applications");
    }
    if unseen.is_empty() {
        return;
    }
    let message = format!(
        "nobody signed in to look (gitlab.admin_session.use = \"apply\"), so this is what the record says: {}",
        unseen.join(", ")
    );
    builder.warn(WarningCode::FromRecord, None, message);
}

/// Sessions that are configured and not opened are missed: what only they show is what the record says, and what only
/// they can do is left to a person.
fn warn_closed(inputs: &Inputs<'_>, builder: &mut PlanBuilder) {
    if let Some(why) = inputs.closed_admin() {
        let message = format!(
            "{why}. Until then, what only gitlab.admin_session shows is taken from the record, and what only it can do is left \
             to a person"
        );
        builder.warn(WarningCode::SignInUnsafe, None, message);
    }
    if let Some(why) = inputs.closed_droid().filter(|why| inputs.closed_admin() != Some(*why)) {
        let message = format!("{why}. Until then, it is for a person to approve Factory's access as the droid");
        builder.warn(WarningCode::SignInUnsafe, None, message);
    }
}

/// Under the assisted driver, what nobody attested is what Setpoint saw or wrote while the driver was `api`.
fn warn_unattested(inputs: &Inputs<'_>, builder: &mut PlanBuilder) {
    let number = builder
        .unchanged
        .iter()
        .filter(|address| address.is_factory() && !builder.attested.contains_key(*address))
        .count();
    if inputs.attested() && number > 0 {
        builder.warn(
            WarningCode::Unobservable,
            None,
            format!(
                "{number} of Factory's resources are taken to be as the record has them, from Factory's API or from a rebuild; \
                 the driver \"assisted\" cannot ask Factory, and nobody has attested them"
            ),
        );
    }
}

/// An old application goes only after Factory has moved away from it. In a replacement the execution keeps it for the
/// end; a removal that is all that is left of one waits for whatever else moves Factory.
fn wait_with_removal(builder: &mut PlanBuilder) {
    let waits_for: Vec<Address> = [Address::Connection, Address::Authorization]
        .into_iter()
        .filter(|address| builder.changes.contains_key(address))
        .collect();
    if let Some(removal) = builder.changes.get_mut(&Address::Application)
        && is_only_removal(removal)
    {
        removal.depends_on.extend(waits_for);
    }
}

fn is_only_removal(change: &Change) -> bool {
    change.status == Status::Ready
        && !change.operations.is_empty()
        && change
            .operations
            .iter()
            .all(|operation| operation.deleted_application().is_some())
}
