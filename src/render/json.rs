//! The JSON forms. Their keys are an interface: keys may be added, none changes its meaning.

use std::fmt::Write as _;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::Environment;
use crate::config::Driver;
use crate::glyphs;
use crate::model::{
    Address, Allowances, ApplyReport, Attested, Change, ChangeOutcome, Command, FactorySource, OutcomeSummary, Plan,
    PlanSummary, Warning,
};
use crate::secrets;

/// The version of all JSON forms. The number before the dot goes up when a key changes its meaning or goes away.
pub const FORMAT_VERSION: &str = "1.0";

/// A plan as `--format json` prints it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanDocument<'a> {
    /// `1.0`.
    pub format_version: &'static str,
    /// The version of the program.
    pub setpoint_version: &'static str,
    /// When the plan was made, RFC 3339.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// What the plan is for.
    pub command: Command,
    /// Digest of the configuration file.
    pub config_digest: &'a str,
    /// The configuration file, as it was named.
    pub config_file: &'a str,
    /// Where GitLab was asked.
    pub gitlab_url: &'a str,
    /// The version that answered, as GitLab spells it.
    pub gitlab_version: Option<&'a str>,
    /// Where Factory was asked.
    pub factory_url: &'a str,
    /// Who does Factory's half.
    pub factory_driver: Driver,
    /// Whether the embedded sandbox stood in for both sides.
    pub sandbox: bool,
    /// What differs, sorted by address.
    pub changes: &'a [Change],
    /// What does not, sorted by address.
    pub unchanged: &'a [Address],
    /// What the reader should know.
    pub warnings: &'a [Warning],
    /// Counts.
    pub summary: PlanSummary,
    /// What is unchanged only because a person said so.
    #[serde(skip_serializing_if = "<[Attested]>::is_empty")]
    pub attested: &'a [Attested],
    /// What was allowed for this plan beyond the configuration.
    #[serde(skip_serializing_if = "Allowances::is_empty")]
    pub allowances: Allowances,
    /// Whether Factory was asked, or is known by what people attested.
    pub factory: FactorySource,
    /// What was asked for alone (`--target`).
    #[serde(skip_serializing_if = "<[Address]>::is_empty")]
    pub targets: &'a [Address],
    /// What differs as well, and was left out because only the targets were asked for.
    #[serde(skip_serializing_if = "<[Address]>::is_empty")]
    pub left_out: &'a [Address],
}

impl<'a> PlanDocument<'a> {
    /// Of a plan.
    pub fn new(plan: &'a Plan, environment: &'a Environment) -> Self {
        let Plan {
            command,
            changes,
            unchanged,
            warnings,
            summary,
            attested,
            allowances,
            factory,
            targets,
            left_out,
            unknown_targets: _,
            refusals: _,
        } = plan;
        let Environment {
            created_at,
            config_digest,
            config_file,
            gitlab_url,
            gitlab_version,
            factory_url,
            factory_driver,
            sandbox,
        } = environment;
        Self {
            format_version: FORMAT_VERSION,
            setpoint_version: env!("CARGO_PKG_VERSION"),
            created_at: *created_at,
            command: *command,
            config_digest,
            config_file,
            gitlab_url,
            gitlab_version: gitlab_version.as_deref(),
            factory_url,
            factory_driver: *factory_driver,
            sandbox: *sandbox,
            changes,
            unchanged,
            warnings,
            summary: *summary,
            attested,
            allowances: *allowances,
            factory: *factory,
            targets,
            left_out,
        }
    }
}

/// The report of an apply.
pub fn apply_report(run_id: impl Into<String>, environment: &Environment, outcomes: Vec<ChangeOutcome>) -> ApplyReport {
    ApplyReport {
        format_version: FORMAT_VERSION.to_owned(),
        run_id: run_id.into(),
        gitlab_url: environment.gitlab_url.clone(),
        factory_url: environment.factory_url.clone(),
        config_file: environment.config_file.clone(),
        summary: OutcomeSummary::of(&outcomes),
        outcomes,
        next_command: None,
    }
}

/// The counts that GitLab shows on a merge request (GitLab: artifacts:reports:terraform). A replacement counts as both
/// of its halves, as in the report of a Terraform plan.
pub fn gitlab_report(plan: &Plan) -> String {
    let summary = plan.summary;
    to_json(&json!({
        "create": summary.create + summary.replace,
        "update": summary.update,
        "delete": summary.delete + summary.replace,
    }))
}

/// A value as indented JSON with a line feed at its end, without any secret of the run. Characters that would act on a terminal instead of being
/// shown come as escapes, which mean the same to whoever reads the JSON.
pub fn to_json<T: Serialize>(value: &T) -> String {
    let text = secrets::to_json(value, true).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}").into_bytes());
    let text = String::from_utf8_lossy(&text);
    let mut safe = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        // Outside of strings there are line feeds and nothing else of the kind; inside of them there are none.
        if c == '\n' || !glyphs::is_unsafe(c) {
            safe.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(safe, "\\u{unit:04x}");
        }
    }
    safe.push('\n');
    safe
}

#[cfg(test)]
mod tests {
    use super::to_json;

    #[test]
    fn what_acts_on_a_terminal_is_escaped_and_means_the_same() {
        let value = serde_json::json!({"a\u{9b}": "\u{1b}[2J\u{202e}\u{2028}\u{e0041}\u{7f}\n é 名"});
        let text = to_json(&value);
        let acts = |c: char| c != '\n' && crate::glyphs::is_unsafe(c);
        assert!(
            !text.contains(acts) && text.contains("\\u202e") && text.contains("é 名"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 3, "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
