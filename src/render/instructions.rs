//! What an operator step says, as data: where, as whom, what to click, and the exact values. Terminal prompts and Markdown
//! checklists are two ways of writing the same instructions, so they cannot say different things.

use std::collections::BTreeMap;

use super::text::count;
use crate::model::{
    Address, ApplicationId, ApplicationRef, ApplicationUid, ApproveAt, Corroboration, OperatorStep, SignIn,
};

/// What instructions are filled in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepFacts {
    /// GitLab as a browser reaches it, no final slash.
    pub gitlab_url: String,
    /// Factory's app, no final slash.
    pub app_url: String,
    /// How to be the droid, where the configuration says.
    pub sign_in: Option<SignIn>,
    /// Where the droid's password is, where the configuration has it.
    pub password: Option<String>,
    /// Where the secret is.
    pub secret: SecretPlace,
    /// Where Factory's access is approved, once there is such an address.
    pub approve_at: Option<ApproveAt>,
    /// Which repositories are declared: patterns of those to enable, and of those to leave out.
    pub patterns: Patterns,
    /// How many columns prose may fill.
    pub width: usize,
}

/// The repositories that the configuration declares, by its patterns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns {
    /// `repositories.enable`.
    pub enable: Vec<String>,
    /// `repositories.except`.
    pub except: Vec<String>,
}

/// Where a prompt stands among all of a plan's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number, from 1.
    pub at: usize,
    /// How many there are.
    pub of: usize,
}

/// `2 of 4`
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.at, self.of)
    }
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

/// One step, or all steps about repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instructions {
    /// What it is about.
    pub(super) title: String,
    /// What is to be known and done, in order.
    pub(super) lines: Vec<Line>,
    /// Repositories by what is done with them and top-level group.
    pub(super) groups: Vec<Group>,
}

/// A line of instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    Prose(&'static str, String),
    /// Something to copy: it stands alone on its line.
    Value(&'static str, String),
    /// A page to open.
    Page(&'static str, String),
}

/// Repositories of one top-level group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// `enable` or `disable`.
    pub(super) verb: &'static str,
    pub(super) name: String,
    /// Full paths, sorted.
    pub(super) paths: Vec<String>,
}

impl Group {
    /// `enable 3 repositories in platform`
    pub(super) fn headline(&self) -> String {
        format!("{} {}", self.lead(), self.name)
    }

    /// `enable 3 repositories in`
    pub(super) fn lead(&self) -> String {
        let number = count(self.paths.len() as u64, "repository", "repositories");
        format!("{} {number} in", self.verb)
    }
}

const MANAGER: &str = "an Owner or Manager of the organization in Factory";
/// The way to the page's part, in the words of Factory's guide.
const THE_WAY: &str = "press \"Connect\" beside \"GitLab\", and choose \"Self-Hosted\" at the bottom left";

/// The instructions of a prompt's steps. `application` is the one that they mean where they do not say it themselves.
pub(super) fn instructions(
    steps: &[(&Address, &OperatorStep)],
    application: Option<&(ApplicationId, ApplicationUid)>,
    facts: &StepFacts,
) -> Option<Instructions> {
    let (address, step) = steps.first()?;
    let settings = format!("{}/settings/integrations", facts.app_url);
    let mut groups = Vec::new();
    let lines = match step {
        OperatorStep::SetTrusted {
            application: of,
            name,
            trusted,
        } => trusted_lines(meant(of, application).as_ref(), name, *trusted, facts),
        OperatorStep::AcceptTerms { username, version: _ } => terms_lines(username, facts),
        OperatorStep::SaveConnection {
            domain,
            application: of,
            secret: _,
        } => connection_lines(meant(of, application), domain.as_str(), settings, facts),
        OperatorStep::DeleteConnection => vec![
            Line::Page("where", settings),
            Line::Prose("as", MANAGER.to_owned()),
            Line::Prose("do", format!("{THE_WAY}; press \"Disconnect\"")),
        ],
        OperatorStep::Authorize { username } => authorize_lines(username, settings, facts),
        OperatorStep::Approve { username, .. } => approve_lines(username, facts.approve_at.as_ref(), facts),
        OperatorStep::EnableRepository { .. } | OperatorStep::DisableRepository { .. } => {
            groups = grouped(steps);
            repository_lines(settings, &facts.patterns)
        }
    };
    let title = if steps.len() > 1 {
        count(steps.len() as u64, "repository", "repositories")
    } else {
        address.to_string()
    };
    Some(Instructions { title, lines, groups })
}

/// The application that a step means.
fn meant(
    of: &ApplicationRef,
    application: Option<&(ApplicationId, ApplicationUid)>,
) -> Option<(ApplicationId, String)> {
    match of {
        ApplicationRef::Existing { id, uid } => Some((*id, uid.to_string())),
        ApplicationRef::Planned => application.map(|(id, uid)| (*id, uid.to_string())),
    }
}

fn trusted_lines(
    application: Option<&(ApplicationId, String)>,
    name: &str,
    trusted: bool,
    facts: &StepFacts,
) -> Vec<Line> {
    let tick = if trusted { "tick" } else { "untick" };
    let page = format!("{}/admin/applications", facts.gitlab_url);
    let mut lines = vec![
        Line::Page(
            "where",
            application.map_or_else(|| page.clone(), |(id, _)| format!("{page}/{id}/edit")),
        ),
        Line::Prose("as", "an administrator of GitLab".to_owned()),
        Line::Prose(
            "do",
            format!("edit the application {name}: {tick} \"Trusted\", and press \"Save application\""),
        ),
    ];
    if let Some((id, _)) = application {
        lines.push(Line::Value(
            "or on the GitLab server",
            format!(
                "gitlab-rails runner 'ApplicationsFinder.new.execute.find_by_id({id}).update!(trusted: {trusted})'"
            ),
        ));
    }
    lines
}

fn connection_lines(
    application: Option<(ApplicationId, String)>,
    domain: &str,
    settings: String,
    facts: &StepFacts,
) -> Vec<Line> {
    let secret = match &facts.secret {
        SecretPlace::Saved(place) => format!("in {place}"),
        SecretPlace::OnRequest => "shown here when you ask for it: answer `secret`".to_owned(),
        SecretPlace::Unknown => "not known any more; `setpoint rotate` makes a new one".to_owned(),
    };
    let mut lines = vec![
        Line::Page("where", settings),
        Line::Prose("as", MANAGER.to_owned()),
        Line::Prose(
            "do",
            format!("{THE_WAY}; fill in \"Domain\", \"Application ID\" and \"Secret\", and press \"Save\""),
        ),
        Line::Value("Domain", domain.to_owned()),
    ];
    lines.push(match application {
        Some((_, uid)) => Line::Value("Application ID", uid),
        None => Line::Prose("Application ID", "as `setpoint state show` says".to_owned()),
    });
    lines.push(Line::Prose("Secret", secret));
    lines
}

fn terms_lines(username: &str, facts: &StepFacts) -> Vec<Line> {
    let mut lines = be_the_droid(username, facts);
    lines.extend([
        Line::Page(
            "where, in the same window",
            format!("{}/-/users/terms", facts.gitlab_url),
        ),
        Line::Prose("as", format!("{username} in GitLab")),
        Line::Prose("do", "read the terms of service, and accept them".to_owned()),
    ]);
    lines
}

/// At the address of an attempt: Factory's page is not needed.
pub(super) fn approve_lines(username: &str, at: Option<&ApproveAt>, facts: &StepFacts) -> Vec<Line> {
    let mut lines = be_the_droid(username, facts);
    match at {
        Some(at) => {
            lines.push(Line::Page("then open, in the same window", at.url.clone()));
            if let Some(end) = at.expires_at {
                lines.push(Line::Prose("until", end.strftime("%Y-%m-%d %H:%M UTC").to_string()));
            }
            lines.push(Line::Prose("do", "where GitLab asks, press \"Authorize\"".to_owned()));
        }
        None => lines.push(Line::Prose(
            "then",
            "open the address that `setpoint apply` shows".to_owned(),
        )),
    }
    lines.push(mind(username));
    lines
}

fn mind(username: &str) -> Line {
    Line::Prose(
        "mind",
        format!(
            "whoever is signed in to GitLab in that window is whom Factory acts as: it must be {username}; a trusted \
             application is let in without a question"
        ),
    )
}

/// With the way to be the droid that is configured, or both ways where none is.
fn be_the_droid(username: &str, facts: &StepFacts) -> Vec<Line> {
    let StepFacts {
        gitlab_url,
        sign_in,
        password,
        ..
    } = facts;
    let impersonate = Line::Page(
        "be the droid: press \"Impersonate\", as an administrator, at",
        format!("{gitlab_url}/admin/users/{username}"),
    );
    let password = [
        Line::Page(
            "be the droid: sign in with its password, in a private window, at",
            format!("{gitlab_url}/users/sign_in"),
        ),
        Line::Value("Username", username.to_owned()),
        Line::Prose(
            "Password",
            match password {
                Some(place) => format!("in {place}"),
                None => "as whoever keeps it has it, or a new one from the admin area (Users, \"Edit\")".to_owned(),
            },
        ),
    ];
    let mut lines = Vec::new();
    match sign_in {
        Some(SignIn::Impersonate) => lines.push(impersonate),
        Some(SignIn::Password) => lines.extend(password),
        None => {
            lines.push(impersonate);
            lines.push(Line::Prose("or", "with its password, if you have it:".to_owned()));
            lines.extend(password);
        }
    }
    lines
}

fn authorize_lines(username: &str, settings: String, facts: &StepFacts) -> Vec<Line> {
    let mut lines = be_the_droid(username, facts);
    lines.extend([
        Line::Page("where, in the same window", settings),
        Line::Prose("as", format!("{MANAGER}, and as {username} in GitLab")),
        Line::Prose(
            "do",
            "at the top right press \"Manage GitLab Self-Hosted Permissions\" and, where the popup asks, \"Authorize\""
                .to_owned(),
        ),
        mind(username),
    ]);
    lines
}

/// What to tick, by the patterns of the configuration where there are some: a list of a thousand is no instruction.
fn repository_lines(settings: String, patterns: &Patterns) -> Vec<Line> {
    let mut lines = vec![
        Line::Page("where", settings),
        Line::Prose("as", MANAGER.to_owned()),
        Line::Prose(
            "do",
            format!("{THE_WAY}; below \"Repository Selection\" tick what to enable, untick what to disable, and save"),
        ),
    ];
    let listed = |patterns: &[String]| {
        let quoted: Vec<String> = patterns.iter().map(|pattern| format!("`{pattern}`")).collect();
        quoted.join(", ")
    };
    if !patterns.enable.is_empty() {
        let except = if patterns.except.is_empty() {
            String::new()
        } else {
            format!(", all except {}", listed(&patterns.except))
        };
        lines.push(Line::Prose(
            "in short",
            format!("enabled is what fits {}{except}", listed(&patterns.enable)),
        ));
    }
    lines
}

fn grouped(steps: &[(&Address, &OperatorStep)]) -> Vec<Group> {
    let mut groups: BTreeMap<(bool, &str), Vec<&str>> = BTreeMap::new();
    for (_, step) in steps {
        let (disable, path) = match step {
            OperatorStep::EnableRepository { path, .. } => (false, path),
            OperatorStep::DisableRepository { path, .. } => (true, path),
            _ => continue,
        };
        groups
            .entry((disable, path.top_level()))
            .or_default()
            .push(path.as_str());
    }
    groups
        .into_iter()
        .map(|((disable, name), mut paths)| {
            paths.sort_unstable();
            Group {
                verb: if disable { "disable" } else { "enable" },
                name: name.to_owned(),
                paths: paths.into_iter().map(str::to_owned).collect(),
            }
        })
        .collect()
}

/// What GitLab says in favour of an attested authorization, as the end of a sentence.
pub fn corroboration(evidence: &Corroboration) -> String {
    let Corroboration {
        authorized_application,
        authorized_at,
        last_activity_on,
    } = evidence;
    let since = authorized_at.as_ref().map_or_else(String::new, |at| {
        format!(" since {}", at.strftime("%Y-%m-%d %H:%M UTC"))
    });
    let active = last_activity_on.as_ref().map_or_else(String::new, |day| {
        format!(", whose last activity, Setpoint's own sign-ins among it, was on {day}")
    });
    format!("GitLab lists `{authorized_application}` as authorized by the droid{since}{active}")
}
