//! The integration as a Mermaid graph: its parts, how they depend on each other, and the state of each. Labels are
//! Setpoint's own words and numbers; nothing that others wrote is in them.

use std::fmt::Write as _;

use super::text::counts;
use crate::model::{Actions, Kind, Plan, Status};

/// The graph of a plan: the parts that change, and what of them has to be there before what. None where no two that
/// depend on each other change: a list says as much.
pub(super) fn mermaid(plan: &Plan) -> Option<String> {
    let changes = |kind: Kind| plan.changes.iter().any(|change| change.address.kind() == kind);
    let edges: Vec<(Kind, Kind)> = Kind::ALL
        .into_iter()
        .flat_map(|kind| kind.follows().iter().map(move |before| (*before, kind)))
        .filter(|(from, to)| changes(*from) && changes(*to))
        .collect();
    if edges.is_empty() {
        return None;
    }
    let mut out = String::from("flowchart LR\n");
    for (side, title) in [("gitlab", "GitLab"), ("factory", "Factory")] {
        let mut kinds = Kind::ALL
            .into_iter()
            .filter(|kind| kind.parts().0 == side && changes(*kind))
            .peekable();
        if kinds.peek().is_none() {
            continue;
        }
        let _ = writeln!(out, "  subgraph {side}[{title}]");
        for kind in kinds {
            let (state, class) = state(plan, kind);
            let _ = writeln!(
                out,
                "    {}[\"{}<br/>{state}\"]:::{class}",
                kind.parts().1,
                kind.title()
            );
        }
        out.push_str("  end\n");
    }
    for (from, to) in edges {
        let _ = writeln!(out, "  {} --> {}", from.parts().1, to.parts().1);
    }
    for (class, style) in [
        ("change", "fill:#cbe2f9,stroke:#1f75cb,color:#333"),
        ("removal", "fill:#fdd4cd,stroke:#dd2b0e,color:#333"),
        ("person", "fill:#f5d9a8,stroke:#ab6100,color:#333"),
        ("blocked", "fill:#f5b5b5,stroke:#8d1300,color:#333,stroke-width:3px"),
    ] {
        let _ = writeln!(out, "  classDef {class} {style}");
    }
    Some(out)
}

/// The state of a part that changes in words, and the class that shows it.
fn state(plan: &Plan, kind: Kind) -> (String, &'static str) {
    let changes: Vec<_> = plan
        .changes
        .iter()
        .filter(|change| change.address.kind() == kind)
        .collect();
    let unchanged = plan.unchanged.iter().filter(|address| address.kind() == kind).count();
    let to = |actions: Actions| changes.iter().filter(|change| change.actions == actions).count() as u64;
    let with = |status: Status| changes.iter().filter(|change| change.status == status).count() as u64;
    let (operator, blocked) = (with(Status::Operator), with(Status::Blocked));
    let words = counts([
        (to(Actions::Create), "to create"),
        (to(Actions::Update), "to update"),
        (to(Actions::Replace), "to replace"),
        (to(Actions::Delete), "to delete"),
        (unchanged as u64, "unchanged"),
        (operator, "for an operator"),
        (blocked, "blocked"),
    ]);
    let removes = |actions: Actions| matches!(actions, Actions::Delete | Actions::Replace);
    let class = if blocked > 0 {
        "blocked"
    } else if changes.iter().any(|change| removes(change.actions)) {
        // Also one that a person makes: that it goes matters more than who does it.
        "removal"
    } else if operator > 0 {
        "person"
    } else {
        "change"
    };
    (words.join("<br/>"), class)
}

#[cfg(test)]
mod tests {
    use super::mermaid;
    use crate::model::{Actions, Kind, Status};
    use crate::planner::fixture::untouched;

    #[test]
    fn only_what_depends_on_each_other_is_drawn() {
        let mut plan = untouched().plan();
        let all = mermaid(&plan).unwrap();
        assert!(
            all.contains("application --> connection") && all.contains("subgraph factory"),
            "{all}"
        );
        plan.changes.retain(|change| change.address.kind() == Kind::Repository);
        assert_eq!(mermaid(&plan), None);
        assert_eq!(mermaid(&crate::planner::fixture::converged().plan()), None);
    }

    #[test]
    fn a_deletion_that_is_left_to_a_person_is_red() {
        let mut plan = untouched().plan();
        for change in plan
            .changes
            .iter_mut()
            .filter(|change| change.address.kind() == Kind::Connection)
        {
            change.actions = Actions::Delete;
            change.status = Status::Operator;
        }
        let graph = mermaid(&plan).unwrap();
        assert!(
            graph.contains("1 to delete<br/>1 for an operator\"]:::removal"),
            "{graph}"
        );
    }
}
