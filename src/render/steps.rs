//! What is left to people, as a list: what to do, with which values.

use std::fmt::Write as _;

use super::style::{BOLD, paint};
use super::text::{sanitize, wrap};
use crate::model::{Address, ApplicationRef, OperatorStep};

/// The steps under a title.
pub fn steps(title: &str, steps: &[(&Address, &OperatorStep)]) -> String {
    let mut out = format!("{title}\n");
    for (address, step) in steps {
        let _ = writeln!(out, "\n  {}", paint(BOLD, &sanitize(&address.to_string())));
        let _ = writeln!(out, "{}", wrap(&sanitize(&in_words(step)), 80, "      ", "      "));
    }
    out
}

fn in_words(step: &OperatorStep) -> String {
    match step {
        OperatorStep::SetTrusted { name, trusted, .. } => format!(
            "in GitLab, Admin area, Applications, {name}: \"Trusted\" is {}",
            if *trusted { "ticked" } else { "not ticked" }
        ),
        OperatorStep::SaveConnection {
            domain, application, ..
        } => {
            let application = match application {
                ApplicationRef::Existing { uid, .. } => uid.to_string(),
                ApplicationRef::Planned => "of the new application".to_owned(),
            };
            format!(
                "in Factory, Settings, Integrations, GitLab, Self-Hosted: saved with domain {domain}, application ID \
                 {application} and its secret"
            )
        }
        OperatorStep::DeleteConnection => {
            "in Factory, Settings, Integrations, GitLab, Self-Hosted: disconnected".to_owned()
        }
        OperatorStep::Authorize { username } => format!(
            "in Factory, \"Manage GitLab Self-Hosted Permissions\": approved while signed in to GitLab as {username}"
        ),
        OperatorStep::EnableRepository { path, .. } => format!("in Factory, Repository Selection: {path} is enabled"),
        OperatorStep::DisableRepository { path, .. } => format!("in Factory, Repository Selection: {path} is disabled"),
    }
}
