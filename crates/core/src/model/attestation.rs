//! What is known by a person's word alone.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// That a person said a step was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// Who, as `user@host`.
    pub by: String,
    /// When.
    pub at: Timestamp,
}
