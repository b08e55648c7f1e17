//! What `state rebuild` shows before it asks: what the new record would hold, and what it cannot.

use std::fmt::Write as _;

use crate::app::console::Rebuilt;
use crate::config::Driver;
use crate::model::{Address, Observed, Plan, RecordedState};
use crate::planner::Presumed;
use crate::render;
use crate::render::text::{count, sanitize, wrap};

/// What the new record would hold, and what it cannot, for so many columns.
pub(super) fn proposal(rebuilt: &Rebuilt<'_>, width: usize) -> String {
    let Rebuilt {
        environment,
        lost,
        observed,
        plan,
        presumed,
        record,
    } = rebuilt;
    let mut out = format!(
        "{}\n{}\n\n",
        environment.lines(width),
        wrap(&sanitize(lost), width, "", "").trim_end()
    );
    let lines = render::recorded(record);
    if lines.is_empty() {
        out.push_str("Nothing that is live is as the configuration says: the new record would be empty.\n");
    } else {
        out.push_str("The new record would hold what is live as the configuration says:\n");
    }
    for line in lines {
        let _ = writeln!(out, "{}", wrap(&line, width, "  ", "      "));
    }
    let mut left_out: Vec<&Address> = plan.changes.iter().map(|change| &change.address).collect();
    let differing = left_out.len();
    left_out.retain(|address| **address != Address::Application || record.application.is_none());
    let is_taken_over = left_out.len() < differing;
    if !left_out.is_empty() {
        out.push_str("\nLeft out, because it differs, or nobody can see that it does not:\n");
        for address in left_out {
            let _ = writeln!(out, "  {}", sanitize(&address.to_string()));
        }
    }
    let mut notes = vec![
        "Which side moved before now is not known: what differs shows as unrecorded.".to_owned(),
        "What an interrupted run had begun is forgotten; what it made is found by its name, or by what Factory uses."
            .to_owned(),
    ];
    if is_taken_over {
        notes.push("The application is recorded as it is, with what differs: it is taken to be yours.".to_owned());
    }
    notes.extend(namesakes(observed, record));
    if environment.factory_driver == Driver::Assisted {
        notes.push("What people attested is forgotten.".to_owned());
        notes.extend(presumption(*presumed, plan));
    }
    out.push('\n');
    for note in notes {
        let _ = writeln!(out, "{}", wrap(&sanitize(&note), width, "- ", "  ").trim_end());
    }
    out
}

/// Applications of the same name: one of them may be what a replacement was still to delete.
fn namesakes(observed: &Observed, record: &RecordedState) -> Option<String> {
    let ours = record.application.as_ref()?;
    let others: Vec<String> = observed
        .gitlab
        .applications
        .iter()
        .filter(|application| application.fields.name == ours.fields.name && application.id != ours.id)
        .map(|application| application.id.to_string())
        .collect();
    (!others.is_empty()).then(|| {
        format!(
            "GitLab has other applications named {:?} (id {}). If a replacement left them, delete them in GitLab's admin \
             area: the new record does not know them.",
            ours.fields.name,
            others.join(", ")
        )
    })
}

fn presumption(presumed: Presumed, plan: &Plan) -> Vec<String> {
    let mut notes = Vec::new();
    match presumed {
        Presumed::Nothing => {}
        Presumed::Connection => notes.push(
            "That Factory has this application and its present secret is taken for granted, because to doubt it would mean \
             to renew a secret that works. If Factory shows otherwise, run `setpoint rotate`."
                .to_owned(),
        ),
        Presumed::Authorization => notes.push(
            "GitLab lists the application among those that the droid authorized: connection and authorization are taken to \
             be as declared."
                .to_owned(),
        ),
    }
    let due = plan.changes.iter().filter(|change| !change.steps.is_empty()).count();
    if due > 0 {
        notes.push(format!(
            "{} due again: what is done already, `setpoint confirm ADDRESS` attests anew.",
            count(due as u64, "operator step is", "operator steps are")
        ));
    }
    notes
}
