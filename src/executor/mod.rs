//! Walks a plan in dependency order and takes no decision that the plan has not taken.

mod effects;

pub use effects::{Answer, Effects, Event, NobodyThere, Operator, Options, SecretVault, StepContext, Stop, StopReason};
