//! What became of each change of a plan.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Actions, Address};

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Carried out.
    Done,
    /// Tried, and did not succeed.
    Failed,
    /// Not tried, because what it depends on did not succeed, or because the run was told to stop.
    Skipped,
    /// Everything automatic is done; a person's step is left.
    Operator,
    /// It could not be done, and the plan said so.
    Blocked,
}

/// One change's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeOutcome {
    /// The resource.
    pub address: Address,
    /// What was to happen to it.
    pub actions: Actions,
    /// What became of it.
    pub outcome: Outcome,
    /// What went wrong, or what it waits for.
    pub error: Option<String>,
    /// How many of its writes were carried out, also where it did not end.
    #[serde(default)]
    pub writes: u64,
    /// Whether the plan had it as a possibility only: the `fallback` of a change that needed it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fallback: bool,
    /// Where a person approves what it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve_at: Option<ApproveAt>,
}

impl ChangeOutcome {
    /// Whether something was written of it, and something is left.
    pub fn is_begun(&self) -> bool {
        self.writes > 0 && self.outcome != Outcome::Done
    }
}

/// An authorization that Factory waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApproveAt {
    /// The address to open.
    pub url: String,
    /// Whom to be signed in to GitLab as.
    pub username: String,
    /// Until when; none where Factory does not say.
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<Timestamp>,
}

/// The report of an apply: the body of its `--format json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApplyReport {
    /// `1.0`.
    pub format_version: String,
    /// Random; the same in the journal.
    pub run_id: String,
    /// Where GitLab was written to.
    pub gitlab_url: String,
    /// Where Factory was written to.
    pub factory_url: String,
    /// The configuration file, as it was named.
    pub config_file: String,
    /// One for each change, in the plan's order; then one for each change of a fallback that was needed.
    pub outcomes: Vec<ChangeOutcome>,
    /// Counts.
    pub summary: OutcomeSummary,
    /// The one command that goes on from here, where something is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_command: Option<String>,
}

/// Counts over the outcomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeSummary {
    /// Carried out.
    pub done: u64,
    /// Failed.
    pub failed: u64,
    /// Not tried.
    pub skipped: u64,
    /// Left to a person.
    pub operator: u64,
    /// Could not be done.
    pub blocked: u64,
    /// Writes that were carried out, those of changes that did not end among them.
    #[serde(default)]
    pub writes: u64,
}

impl OutcomeSummary {
    /// Counts the outcomes.
    pub fn of(outcomes: &[ChangeOutcome]) -> Self {
        let mut summary = Self::default();
        for outcome in outcomes {
            summary.writes += outcome.writes;
            match outcome.outcome {
                Outcome::Done => summary.done += 1,
                Outcome::Failed => summary.failed += 1,
                Outcome::Skipped => summary.skipped += 1,
                Outcome::Operator => summary.operator += 1,
                Outcome::Blocked => summary.blocked += 1,
            }
        }
        summary
    }

    /// Whether nothing is left.
    pub fn is_complete(&self) -> bool {
        let Self {
            done: _,
            failed,
            skipped,
            operator,
            blocked,
            writes: _,
        } = self;
        failed + skipped + operator + blocked == 0
    }
}
