//! A plan as Markdown, for an issue or a merge request. Everything that others wrote stands in code spans.

use std::fmt::Write as _;

use super::checklist::{code, prose};
use super::sheet::corroboration;
use super::words::{finding, headline};
use crate::model::{Address, Attested, Change, Command, Plan};

/// Longer lists are folded.
const OPEN: usize = 20;

/// The plan, or what `drift` found.
pub fn plan(plan: &Plan) -> String {
    let mut out = String::new();
    let s = plan.summary;
    let drift = plan.command == Command::Drift;
    let _ = writeln!(out, "## Setpoint: {}\n", if drift { "drift" } else { "plan" });
    if drift {
        let _ = writeln!(
            out,
            "**{} drifted, {} pending, {} unchanged**",
            s.drifted, s.pending, s.unchanged
        );
    } else {
        let _ = writeln!(
            out,
            "**{} to create, {} to update, {} to replace, {} to delete, {} unchanged; {} for an operator, {} blocked**",
            s.create, s.update, s.replace, s.delete, s.unchanged, s.operator, s.blocked
        );
    }
    fold(&mut out, "changes", plan.changes.len(), |out| {
        for change in &plan.changes {
            write_change(out, change, if drift { finding } else { headline });
        }
    });
    fold(
        &mut out,
        "attested by people; Factory was not asked",
        plan.attested.len(),
        |out| {
            for one in &plan.attested {
                let _ = writeln!(out, "- {}: {}", code(&one.address.to_string()), attested(one));
            }
        },
    );
    fold(&mut out, "warnings", plan.warnings.len(), |out| {
        for warning in &plan.warnings {
            let about = warning
                .address
                .as_ref()
                .map_or_else(String::new, |address| format!("{}: ", code(&address.to_string())));
            let _ = writeln!(out, "- {about}{}", prose(&warning.message));
        }
    });
    for refusal in &plan.refusals {
        let _ = writeln!(
            out,
            "\n**Refused:** {} {}",
            prose(&refusal.message),
            prose(&refusal.hint)
        );
    }
    out
}

/// A list under its heading; a long one is folded away, an empty one left out.
fn fold(out: &mut String, what: &str, number: usize, list: impl Fn(&mut String)) {
    if number == 0 {
        return;
    }
    if number > OPEN {
        let _ = writeln!(out, "\n<details><summary>{number} {what}</summary>\n");
        list(out);
        out.push_str("\n</details>\n");
    } else {
        let _ = writeln!(out, "\n{number} {what}:\n");
        list(out);
    }
}

fn write_change(out: &mut String, change: &Change, remark: fn(&Change) -> String) {
    let _ = writeln!(
        out,
        "- {} {}",
        code(&change.address.to_string()),
        prose(&remark(change))
    );
    for attribute in &change.attributes {
        if matches!(change.address, Address::Repository(_)) && attribute.path == "enabled" {
            continue;
        }
        let _ = if attribute.sensitive {
            writeln!(out, "  - {}: (sensitive)", code(&attribute.path))
        } else {
            writeln!(
                out,
                "  - {}: {} → {}",
                code(&attribute.path),
                code(&attribute.before.to_string()),
                code(&attribute.after.to_string())
            )
        };
    }
    for note in &change.notes {
        let _ = writeln!(out, "  - {}", prose(note));
    }
}

/// `attested on DATE by WHO`, with what GitLab says in favour.
fn attested(one: &Attested) -> String {
    let evidence = one
        .evidence
        .as_ref()
        .map_or_else(String::new, |evidence| format!("; {}", prose(&corroboration(evidence))));
    format!(
        "attested on {} by {}{evidence}",
        one.at.strftime("%Y-%m-%d"),
        code(&one.by)
    )
}
