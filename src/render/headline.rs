//! What a plan comes to, in one sentence that claims no more than was looked at: a Factory that was not asked, and what
//! `--target` left out, are named.

use std::collections::BTreeSet;

use super::text::{count, sanitize};
use crate::model::{
    Address, Attested, Change, Command, Diagnostic, Ender, FactorySource, Fallback, Operation, Plan, Warning,
    WarningCode,
};

/// That there is nothing to change.
pub(super) fn no_changes(plan: &Plan) -> String {
    let factory_was_asked = plan.factory == FactorySource::Live;
    match (plan.command, plan.targets.is_empty()) {
        (Command::Destroy, _) if factory_was_asked => "Nothing is left to destroy.".to_owned(),
        (Command::Destroy, _) => "Nothing is left to destroy in GitLab; Factory was not asked.".to_owned(),
        (_, false) => {
            let asked = format!("No changes to what was asked for: {}.", listed(&plan.targets));
            match factorys_half(plan) {
                Some(half) if plan.targets.iter().any(Address::is_factory) => format!("{asked} {half}"),
                Some(_) | None => asked,
            }
        }
        (_, true) => match factorys_half(plan) {
            None => "No changes. GitLab and Factory are as the configuration says.".to_owned(),
            Some(half) => format!("No changes. GitLab is as the configuration says. {half}"),
        },
    }
}

/// That nothing has drifted.
pub(super) fn no_drift(plan: &Plan) -> String {
    match factorys_half(plan) {
        None => "No drift. Nothing changed outside of Setpoint.".to_owned(),
        Some(half) => format!("No drift in GitLab: nothing changed there outside of Setpoint. {half}"),
    }
}

/// On whose word Factory's half stands, where Factory was not asked.
fn factorys_half(plan: &Plan) -> Option<String> {
    match plan.factory {
        FactorySource::Live => None,
        FactorySource::Attested => Some(match days(&plan.attested) {
            Some(days) => format!("Factory's half stands as attested {days}; it was not asked."),
            None => "Factory's half stands as recorded; it was not asked.".to_owned(),
        }),
    }
}

fn days(attested: &[Attested]) -> Option<String> {
    let of_factory = attested.iter().filter(|one| one.address.is_factory());
    let days: BTreeSet<String> = of_factory.map(|one| one.at.strftime("%Y-%m-%d").to_string()).collect();
    match (days.first()?, days.last()?) {
        (first, last) if first == last => Some(format!("on {first}")),
        (first, last) => Some(format!("from {first} to {last}")),
    }
}

/// What differs as well and was left out, where only some addresses were asked for.
pub(super) fn left_out(plan: &Plan) -> Option<String> {
    if plan.targets.is_empty() {
        return None;
    }
    Some(if plan.left_out.is_empty() {
        format!(
            "Only {} was asked for (--target); nothing else differs.",
            listed(&plan.targets)
        )
    } else {
        format!(
            "Only {} was asked for (--target). Left out: {}.",
            listed(&plan.targets),
            listed(&plan.left_out)
        )
    })
}

/// That Factory is cut off, from when and until when.
pub(super) fn interruption(plan: &Plan) -> Option<String> {
    let mut interrupting = plan
        .changes
        .iter()
        .filter_map(|change| Some((&change.address, change.interrupts.as_ref()?)));
    let (from, interruption) = interrupting.next()?;
    Some(format!(
        "Factory is cut off from {from} on, until {} is done {}.",
        interruption.until,
        ender(interruption.ended_by)
    ))
}

/// What is done as well if GitLab turns out to refuse the secret that Factory has.
pub(super) fn possible(fallback: &Fallback) -> String {
    let renews = |change: &Change| change.operations.iter().any(Operation::makes_secret);
    let first = if fallback.changes.iter().any(renews) {
        "it is renewed, saved, and given to Factory first"
    } else {
        "Factory is given the one that application.secret.load gives first"
    };
    let interrupts = |change: &Change| change.interrupts.is_some();
    let meanwhile = if fallback.changes.iter().any(interrupts) {
        "; Factory is cut off meanwhile"
    } else {
        ""
    };
    format!("if GitLab refuses the secret that Factory has, {first}, in the same run{meanwhile}")
}

/// Who ends an interruption.
pub(super) fn ender(ender: Ender) -> &'static str {
    match ender {
        Ender::Setpoint => "in the same run",
        Ender::Operator => "by a person",
    }
}

/// Why an apply of this plan is refused as a whole. A saved plan has it among its warnings, without what to do.
pub(super) fn refused(plan: &Plan) -> Vec<Diagnostic> {
    if plan.command == Command::Drift {
        return Vec::new();
    }
    if !plan.refusals.is_empty() {
        return plan.refusals.clone();
    }
    let exceeded = plan.warnings.iter().filter(|warning| is_refusal(plan, warning));
    exceeded
        .map(|warning| Diagnostic::new(warning.message.clone()))
        .collect()
}

/// Whether a warning is what [`refused`] says.
pub(super) fn is_refusal(plan: &Plan, warning: &Warning) -> bool {
    plan.command != Command::Drift && warning.code == WarningCode::GuardExceeded
}

/// Addresses in a sentence: many repositories by their number.
fn listed(addresses: &[Address]) -> String {
    const FEW: usize = 3;
    let is_repository = |address: &&Address| matches!(address, Address::Repository(_));
    let repositories = addresses.iter().filter(is_repository).count();
    let mut parts: Vec<String> = addresses
        .iter()
        .filter(|address| repositories <= FEW || !is_repository(address))
        .map(|address| sanitize(&address.to_string()).into_owned())
        .collect();
    if repositories > FEW {
        parts.push(count(repositories as u64, "repository", "repositories"));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::{left_out, no_changes};
    use crate::model::{Address, Command};
    use crate::planner::fixture::{attested, converged};

    #[test]
    fn nobody_reads_that_factory_was_asked_where_it_was_not() {
        assert_eq!(
            no_changes(&converged().plan()),
            "No changes. GitLab and Factory are as the configuration says."
        );
        let mut case = attested();
        assert_eq!(
            no_changes(&case.plan()),
            "No changes. GitLab is as the configuration says. Factory's half stands as attested on 2026-02-03; it was not \
             asked."
        );
        let later = &mut case
            .recorded
            .authorization
            .as_mut()
            .unwrap()
            .attested
            .as_mut()
            .unwrap()
            .at;
        *later = "2026-03-01T00:00:00Z".parse().unwrap();
        assert!(no_changes(&case.plan()).contains("from 2026-02-03 to 2026-03-01"));
        case.policy.command = Command::Destroy;
        case.observed.gitlab.applications.clear();
        case.observed.factory.integration = None;
        let said = no_changes(&case.plan());
        assert_eq!(said, "Nothing is left to destroy in GitLab; Factory was not asked.");
    }

    #[test]
    fn what_was_left_out_is_named() {
        let mut case = converged();
        case.user().fields.name = "Mallory".to_owned();
        case.list().values_mut().for_each(|listed| listed.enabled = false);
        case.policy.targets = [Address::Connection].into();
        let plan = case.plan();
        assert_eq!(
            no_changes(&plan),
            "No changes to what was asked for: factory.connection."
        );
        assert_eq!(
            left_out(&plan).unwrap(),
            "Only factory.connection was asked for (--target). Left out: gitlab.user, factory.repository[\"platform/api\"], \
             factory.repository[\"platform/services/checkout\"]."
        );
    }
}
