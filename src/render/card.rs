//! Operator steps as short cards: where, as whom, what to click, and the exact values, one to a line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::style::{BOLD, paint};
use super::text::{count, sanitize, wrap};
use crate::model::{Address, ApplicationRef, ApplicationUid, OperatorStep, SignIn};

const WIDTH: usize = 80;
/// As many repositories are listed on a card; more go where the caller says.
const LISTED: usize = 40;

/// What cards are filled in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardFacts {
    /// GitLab as a browser reaches it, no final slash.
    pub gitlab_url: String,
    /// Factory's app, no final slash.
    pub app_url: String,
    /// The droid's username.
    pub droid: String,
    /// How to be the droid, where the configuration says.
    pub sign_in: Option<SignIn>,
    /// Where the secret is.
    pub secret: SecretPlace,
}

/// Where the person gets the application's secret from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretPlace {
    /// `application.secret.save` has it, in these words.
    Saved(String),
    /// It is shown on request.
    OnRequest,
    /// Nobody knows where it is.
    Unknown,
}

/// One card. `application` is the public id where the step alone does not say it.
pub fn card(
    steps: &[(&Address, &OperatorStep)],
    application: Option<&ApplicationUid>,
    facts: &CardFacts,
    repositories_file: Option<&str>,
) -> String {
    let mut out = String::new();
    let Some((address, step)) = steps.first() else {
        return out;
    };
    let CardFacts {
        gitlab_url,
        app_url,
        droid,
        sign_in,
        secret,
    } = facts;
    let uid = |of: &ApplicationRef| match of {
        ApplicationRef::Existing { uid, .. } => Some(uid.to_string()),
        ApplicationRef::Planned => application.map(ToString::to_string),
    };
    let settings = format!("{app_url}/settings/integrations");
    let manager = "an Owner or Manager of the organization in Factory";
    let title = if steps.len() > 1 {
        count(steps.len() as u64, "repository", "repositories")
    } else {
        sanitize(&address.to_string()).into_owned()
    };
    let _ = writeln!(out, "\n  {}", paint(BOLD, &title));
    let mut lines = Lines(&mut out);
    match step {
        OperatorStep::SetTrusted {
            application: of,
            name,
            trusted,
        } => {
            // A row id is in the address; an application of this very run is known by its public id only.
            let (page, found) = match (of, application) {
                (ApplicationRef::Existing { id, .. }, _) => (format!("/{id}"), format!("find_by_id({id})")),
                (ApplicationRef::Planned, Some(uid)) => (String::new(), format!("find_by(uid: '{uid}')")),
                (ApplicationRef::Planned, None) => (String::new(), "find_by_id(ID)".to_owned()),
            };
            lines.field("where", &format!("{gitlab_url}/admin/applications{page}"));
            lines.field("as", "an administrator of GitLab");
            let tick = if *trusted { "tick" } else { "untick" };
            lines.field(
                "do",
                &format!("{name}, \"Edit\", {tick} \"Trusted\", \"Save application\""),
            );
            lines.field("or", "on the GitLab server:");
            lines.value(&format!(
                "gitlab-rails runner 'ApplicationsFinder.new.execute.{found}.update!(trusted: {trusted})'"
            ));
        }
        OperatorStep::SaveConnection {
            domain,
            application: of,
            secret: _,
        } => {
            lines.field("where", &settings);
            lines.field("as", manager);
            lines.field("do", "\"GitLab\", \"Self-Hosted\": fill in these values and save");
            lines.field("Domain", domain);
            lines.field(
                "Application ID",
                &uid(of).unwrap_or_else(|| "as `setpoint state show` says".to_owned()),
            );
            lines.field(
                "Secret",
                &match secret {
                    SecretPlace::Saved(place) => format!("in {place}"),
                    SecretPlace::OnRequest => "shown on request".to_owned(),
                    SecretPlace::Unknown => "not known; `setpoint rotate` makes a new one".to_owned(),
                },
            );
        }
        OperatorStep::DeleteConnection => {
            lines.field("where", &settings);
            lines.field("as", manager);
            lines.field("do", "\"GitLab\", \"Self-Hosted\": disconnect");
        }
        OperatorStep::Authorize { username } => {
            let be_the_droid = match sign_in {
                Some(SignIn::Impersonate) => {
                    format!("as an administrator open {gitlab_url}/admin/users/{username} and press \"Impersonate\"")
                }
                Some(SignIn::Password) | None => {
                    format!("in a private window sign in at {gitlab_url}/users/sign_in as {username}")
                }
            };
            lines.field("first", &format!("be {username} in GitLab: {be_the_droid}"));
            lines.field("where", &format!("{settings}, in the same browser window"));
            lines.field("as", &format!("{manager}, and as {username} in GitLab"));
            lines.field("do", "\"Manage GitLab Self-Hosted Permissions\", approve the popup");
            lines.field("mind", "whoever approves is whom Factory acts as");
        }
        OperatorStep::EnableRepository { .. } | OperatorStep::DisableRepository { .. } => {
            lines.field("where", &settings);
            lines.field("as", manager);
            lines.field("do", "\"GitLab\", \"Repository Selection\"");
            repositories(&mut lines, steps, repositories_file);
        }
    }
    let _ = droid;
    out
}

/// The repositories of a card, one to a line, for a file.
pub fn repository_list(steps: &[(&Address, &OperatorStep)]) -> String {
    let mut out = String::new();
    for (_, step) in steps {
        match step {
            OperatorStep::EnableRepository { path, .. } => {
                let _ = writeln!(out, "enable {}", sanitize(path.as_str()));
            }
            OperatorStep::DisableRepository { path, .. } => {
                let _ = writeln!(out, "disable {}", sanitize(path.as_str()));
            }
            _ => {}
        }
    }
    out
}

/// Whether a card's repositories are too many to be listed on it.
pub fn needs_file(steps: &[(&Address, &OperatorStep)]) -> bool {
    steps.len() > LISTED
}

/// What to enable and what to disable, grouped by top-level group, with counts.
fn repositories(lines: &mut Lines<'_>, steps: &[(&Address, &OperatorStep)], file: Option<&str>) {
    for (verb, wanted) in [("enable", true), ("disable", false)] {
        let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (_, step) in steps {
            let path = match step {
                OperatorStep::EnableRepository { path, .. } if wanted => path,
                OperatorStep::DisableRepository { path, .. } if !wanted => path,
                _ => continue,
            };
            groups.entry(path.top_level()).or_default().push(path.as_str());
        }
        for (group, paths) in groups {
            let number = count(paths.len() as u64, "repository", "repositories");
            lines.field(verb, &format!("{number} in {group}"));
            if file.is_none() || !needs_file(steps) {
                for path in paths {
                    lines.value(path);
                }
            }
        }
    }
    if let Some(file) = file
        && needs_file(steps)
    {
        lines.field("listed", &format!("in {file}"));
    }
}

struct Lines<'a>(&'a mut String);

impl Lines<'_> {
    fn field(&mut self, label: &str, text: &str) {
        let first = format!("    {label:<15} ");
        let rest = " ".repeat(first.len());
        let _ = writeln!(self.0, "{}", wrap(&sanitize(text), WIDTH, &first, &rest));
    }

    /// A value on a line of its own, easy to copy.
    fn value(&mut self, text: &str) {
        let _ = writeln!(self.0, "      {}", sanitize(text));
    }
}

/// Puts the steps of changes on cards: one step to a card, but all repositories on one.
pub fn cards<'a>(steps: &[(&'a Address, &'a OperatorStep)]) -> Vec<Vec<(&'a Address, &'a OperatorStep)>> {
    let is_repository = |step: &OperatorStep| {
        matches!(
            step,
            OperatorStep::EnableRepository { .. } | OperatorStep::DisableRepository { .. }
        )
    };
    let (repositories, others): (Vec<_>, Vec<_>) = steps.iter().copied().partition(|(_, step)| is_repository(step));
    let mut cards: Vec<_> = others.into_iter().map(|step| vec![step]).collect();
    if !repositories.is_empty() {
        cards.push(repositories);
    }
    cards
}
