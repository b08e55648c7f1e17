//! What the documentation says of the switches.

use std::path::Path;

use setpoint_sandbox::{PageKind, Switches};

#[test]
fn each_switch_that_is_documented_is_one() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sandbox.md");
    let text = std::fs::read_to_string(page).unwrap();
    let quoted: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
    let assignments: Vec<&str> = quoted
        .iter()
        .map(|quoted| quoted.trim_start_matches("--set "))
        .filter(|quoted| quoted.contains('=') && !quoted.starts_with("KEY"))
        .collect();
    assert!(assignments.len() > 25, "{assignments:?}");
    for assignment in assignments {
        Switches::default().set(assignment).unwrap();
    }
    let pages: Vec<&str> = quoted
        .into_iter()
        .filter(|quoted| quoted.starts_with("pages."))
        .collect();
    assert_eq!(pages.len(), PageKind::ALL.len());
    for page in pages {
        Switches::default().set(&format!("{page}=19.5")).unwrap();
    }
}
