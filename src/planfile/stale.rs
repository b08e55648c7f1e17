//! What changed between the making of a plan and its execution, so that the plan is stale.

use std::fmt;

use serde_json::{Value, json};

use super::restrict::is_idle;
use super::{PlanInputs, SavedPlan, StateRef};
use crate::kinds::preconditions;

/// Something that is not as it was when the plan was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Stale {
    /// What: an address, the configuration or the record.
    pub what: String,
    /// Which of its attributes, as it was and as it is.
    pub attribute: String,
    /// When the plan was made.
    pub before: Value,
    pub now: Value,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            attribute,
            before,
            now,
        } = self;
        write!(f, "{what}: {attribute} was {before}, is {now}")
    }
}

impl SavedPlan {
    /// Everything that the plan rests on and that is not as it was: the configuration, the record, and what the
    /// changes touch. Where the configuration did, the objects are not compared: what they are follows from it.
    pub fn stale(&self, config_digest: &str, inputs: &PlanInputs<'_>) -> Vec<Stale> {
        let configuration = self.stale_configuration(config_digest);
        let objects = match configuration {
            Some(_) => Vec::new(),
            None => self.stale_objects(inputs),
        };
        configuration
            .into_iter()
            .chain(self.stale_record(inputs))
            .chain(objects)
            .collect()
    }

    /// Whether the configuration is another: the one part that can be told before anything is asked of anybody.
    pub fn stale_configuration(&self, config_digest: &str) -> Option<Stale> {
        (config_digest != self.environment.config_digest).then(|| Stale {
            what: "the configuration".to_owned(),
            attribute: "digest".to_owned(),
            before: json!(self.environment.config_digest),
            now: json!(config_digest),
        })
    }

    fn stale_record(&self, inputs: &PlanInputs<'_>) -> Vec<Stale> {
        let (before, now) = (&self.execution.state, StateRef::of(inputs.recorded));
        let stale = |attribute: &str, before: Value, now: Value| Stale {
            what: "the state record".to_owned(),
            attribute: attribute.to_owned(),
            before,
            now,
        };
        if before.lineage.is_some() && now.lineage.is_some() && before.lineage != now.lineage {
            vec![stale("lineage", json!(before.lineage), json!(now.lineage))]
        } else if before.serial == now.serial {
            Vec::new()
        } else {
            vec![stale("serial", json!(before.serial), json!(now.serial))]
        }
    }

    fn stale_objects(&self, inputs: &PlanInputs<'_>) -> Vec<Stale> {
        let mut stale = Vec::new();
        let pairs = self.plan.changes.iter().zip(&self.execution.changes);
        let all = pairs.flat_map(|pair| std::iter::once(pair).chain(pair.0.possible().iter().zip(&pair.1.fallback)));
        for (change, execution) in all {
            // What is blocked is not touched.
            if is_idle(change) {
                continue;
            }
            let now = preconditions(change, inputs.desired, inputs.observed, inputs.recorded);
            for (attribute, before) in &execution.preconditions {
                // What one of the two runs was not shown is not known to have changed.
                if let Some(now) = now.get(attribute).filter(|now| *now != before) {
                    stale.push(Stale {
                        what: change.address.to_string(),
                        attribute: attribute.clone(),
                        before: before.clone(),
                        now: now.clone(),
                    });
                }
            }
        }
        stale
    }
}
