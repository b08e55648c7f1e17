//! Saved plans: what `plan --out` writes and `apply PLAN` carries out, and nothing else than that.
//!
//! The file is the plan as `--format json` prints it, with an `execution` part that scripts leave alone: the writes
//! and steps of each change, what was seen of each object that a change touches, and the record that the plan was made
//! from. A digest over all of it shows that the file was neither damaged nor edited by mistake; against intent it is no
//! protection, so nothing in the file is done that a plan made now would not do. It holds no secret, for a plan holds none.

mod restrict;
mod stale;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::kinds::preconditions;
use crate::model::{Address, Change, Desired, Observed, Operation, OperatorStep, Plan, RecordedState};
use crate::render::{Environment, PlanDocument};
use crate::secrets::to_json;

/// A file larger than this is no saved plan: one of ten thousand repositories has twenty mebibytes.
pub(crate) const MAX_BYTES: u64 = 256 * 1024 * 1024;

pub use restrict::Deviation;
pub use stale::Stale;

/// The version of the `execution` part that this program writes and carries out.
const EXECUTION_VERSION: u64 = 1;

/// A plan read from a file.
#[derive(Debug, Clone)]
pub struct SavedPlan {
    /// The plan, complete again.
    pub plan: Plan,
    /// What it was made with.
    pub environment: Environment,
    /// Of the whole file: the same for the same plan.
    pub digest: String,
    execution: Execution,
}

/// What a plan needs to be carried out by another process.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Execution {
    version: u64,
    sandbox: bool,
    state: StateRef,
    changes: Vec<ChangeExecution>,
}

/// The record that a plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StateRef {
    /// None where nothing was recorded yet.
    lineage: Option<String>,
    serial: u64,
}

impl StateRef {
    fn of(record: &RecordedState) -> Self {
        Self {
            // A record that was never written has a random lineage that nobody will see again.
            lineage: (record.serial > 0).then(|| record.lineage.clone()),
            serial: record.serial,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct ChangeExecution {
    address: Address,
    operations: Vec<Operation>,
    steps: Vec<OperatorStep>,
    preconditions: Map<String, Value>,
    /// Of what is done if something turns out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fallback: Vec<ChangeExecution>,
}

impl ChangeExecution {
    fn of(change: &Change, inputs: &PlanInputs<'_>) -> Self {
        Self {
            address: change.address.clone(),
            operations: change.operations.clone(),
            steps: change.steps.clone(),
            preconditions: preconditions(change, inputs.desired, inputs.observed, inputs.recorded),
            fallback: change.possible().iter().map(|one| Self::of(one, inputs)).collect(),
        }
    }

    /// Gives a change back what the document leaves out of it; false where the two do not fit each other.
    fn complete(&self, change: &mut Change) -> bool {
        change.operations.clone_from(&self.operations);
        change.steps.clone_from(&self.steps);
        let possible = change
            .fallback
            .as_mut()
            .map_or(&mut [][..], |fallback| &mut fallback.changes);
        change.address == self.address && Self::complete_all(&self.fallback, possible)
    }

    fn complete_all(executions: &[Self], changes: &mut [Change]) -> bool {
        executions.len() == changes.len()
            && (executions.iter().zip(changes)).all(|(execution, change)| execution.complete(change))
    }
}

#[derive(Serialize)]
struct File<'a> {
    #[serde(flatten)]
    document: PlanDocument<'a>,
    execution: &'a Execution,
}

/// Why a file cannot be carried out as a saved plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SavedPlanError {
    /// It ends in the middle.
    #[error("the saved plan is cut off: it ends in the middle")]
    Truncated,
    /// It is something else.
    #[error("this is no saved plan: {0}")]
    Foreign(String),
    /// A later version wrote it.
    #[error("the saved plan was written by a newer Setpoint ({0}) in a form that this one does not know")]
    Newer(String),
    /// It is not what was written.
    #[error("the saved plan was edited after it was written: its digest does not fit")]
    Edited,
    /// It could not be put into JSON.
    #[error("the plan cannot be saved: {0}")]
    Encode(String),
}

impl SavedPlanError {
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Truncated => "copy the file again, or make a new one with `setpoint plan --out FILE`",
            Self::Foreign(_) => "make one with `setpoint plan --out FILE`",
            Self::Newer(_) => "use the version of Setpoint that wrote it",
            Self::Edited => {
                "a saved plan is carried out as it was made: make a new one with `setpoint plan --out FILE`"
            }
            Self::Encode(_) => "this is a defect of Setpoint: report it",
        }
    }
}

/// What a plan was made from, beside the environment that its document names.
#[derive(Debug, Clone, Copy)]
pub struct PlanInputs<'a> {
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    pub recorded: &'a RecordedState,
}

/// The text of a saved plan.
pub fn write(plan: &Plan, environment: &Environment, inputs: &PlanInputs<'_>) -> Result<String, SavedPlanError> {
    let of = |change| ChangeExecution::of(change, inputs);
    let execution = Execution {
        version: EXECUTION_VERSION,
        sandbox: environment.sandbox,
        state: StateRef::of(inputs.recorded),
        changes: plan.changes.iter().map(of).collect(),
    };
    let file = File {
        document: PlanDocument::new(plan, environment),
        execution: &execution,
    };
    let encode = |error: serde_json::Error| SavedPlanError::Encode(error.to_string());
    let mut value: Value = serde_json::from_slice(&to_json(&file, false).map_err(encode)?).map_err(encode)?;
    let digest = digest(&value);
    value["digest"] = Value::String(digest);
    let mut text = serde_json::to_string_pretty(&value).map_err(encode)?;
    text.push('\n');
    Ok(text)
}

/// Reads a saved plan, or says in what way it is none.
pub fn read(text: &[u8]) -> Result<SavedPlan, SavedPlanError> {
    let mut file = object(text)?;
    let text_of = |file: &Map<String, Value>, key: &str| file.get(key).and_then(Value::as_str).map(str::to_owned);
    let (Some(format), Some(writer)) = (text_of(&file, "format_version"), text_of(&file, "setpoint_version")) else {
        return Err(SavedPlanError::Foreign("it is JSON of another kind".to_owned()));
    };
    let Some(execution) = file.get("execution") else {
        let what = "it is the output of `--format json`, which shows a plan and cannot be carried out";
        return Err(SavedPlanError::Foreign(what.to_owned()));
    };
    let known = execution.get("version").and_then(Value::as_u64);
    let major = format.split('.').next().and_then(|major| major.parse::<u64>().ok());
    if major.is_none_or(|major| major > 1) || known.is_none_or(|version| version > EXECUTION_VERSION) {
        return Err(SavedPlanError::Newer(writer));
    }
    let Some(Value::String(stated)) = file.remove("digest") else {
        return Err(SavedPlanError::Edited);
    };
    let value = Value::Object(file);
    if digest(&value) != stated {
        return Err(SavedPlanError::Edited);
    }
    complete(value, stated).ok_or(SavedPlanError::Newer(writer))
}

/// The top of the file, which has to be an object.
fn object(text: &[u8]) -> Result<Map<String, Value>, SavedPlanError> {
    match serde_json::from_slice(text) {
        Ok(Value::Object(file)) => Ok(file),
        Ok(_) => Err(SavedPlanError::Foreign("it is JSON of another kind".to_owned())),
        Err(error) if error.is_eof() => Err(SavedPlanError::Truncated),
        Err(_) => Err(SavedPlanError::Foreign("it is no JSON".to_owned())),
    }
}

/// The plan with what the document leaves out; none where the parts do not fit each other.
fn complete(value: Value, digest: String) -> Option<SavedPlan> {
    let mut environment: Environment = serde_json::from_value(value.clone()).ok()?;
    let execution: Execution = serde_json::from_value(value.get("execution")?.clone()).ok()?;
    // The part that is carried out is what counts, and files of before have it there only.
    environment.sandbox = execution.sandbox;
    let mut plan: Plan = serde_json::from_value(value).ok()?;
    let fits = ChangeExecution::complete_all(&execution.changes, &mut plan.changes);
    fits.then_some(SavedPlan {
        plan,
        environment,
        digest,
        execution,
    })
}

/// Over the value, so that neither layout nor the order of keys counts.
fn digest(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    crate::digest::sha256(text)
}

/// JSON without white space and with sorted keys, whatever order the map keeps them in.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            text.push('{');
            for (at, (key, value)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                canonical(value, text);
            }
            text.push('}');
        }
        Value::Array(list) => {
            text.push('[');
            for (at, value) in list.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                canonical(value, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

/// The text of a saved plan that was edited, with a digest that fits again.
#[cfg(any(test, fuzzing))]
pub(crate) fn with_digest(mut file: Map<String, Value>) -> Vec<u8> {
    file.remove("digest");
    let digest = digest(&Value::Object(file.clone()));
    file.insert("digest".to_owned(), digest.into());
    Value::Object(file).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{PlanInputs, SavedPlanError, canonical, read, write};
    use crate::model::FullPath;
    use crate::planner::fixture::{Case, converged};
    use crate::render::Environment;

    pub(super) fn saved(case: &Case) -> String {
        let environment = Environment {
            created_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            config_digest: "sha256:00".to_owned(),
            ..Environment::example()
        };
        write(&case.plan(), &environment, &inputs(case)).unwrap()
    }

    fn inputs(case: &Case) -> PlanInputs<'_> {
        PlanInputs {
            desired: &case.desired,
            observed: &case.observed,
            recorded: &case.recorded,
        }
    }

    fn drifted() -> Case {
        let mut case = converged();
        "Somebody".clone_into(&mut case.user().fields.name);
        case
    }

    #[test]
    fn a_plan_comes_back_whole() {
        let case = drifted();
        let back = read(saved(&case).as_bytes()).unwrap();
        assert_eq!(back.plan, case.plan());
        assert!(!back.plan.changes[0].operations.is_empty());
    }

    #[test]
    fn the_digest_is_over_sorted_keys_in_the_form_that_files_have_had() {
        let value = json!({"b": [1, {"y": null, "x": "\u{e9}\n\""}], "a": -2.5, "ä": {}, "B": []});
        let mut text = String::new();
        canonical(&value, &mut text);
        assert_eq!(text, r#"{"B":[],"a":-2.5,"b":[1,{"x":"é\n\"","y":null}],"ä":{}}"#);
    }

    #[test]
    fn what_was_allowed_is_kept_with_the_plan() {
        let mut case = drifted();
        case.policy.allowances.removals = Some(12);
        let text = saved(&case);
        assert_eq!(read(text.as_bytes()).unwrap().plan.allowances, case.policy.allowances);
        let without = saved(&drifted());
        assert!(
            !without.contains("allowances"),
            "files of before stay as they were: {without}"
        );
    }

    proptest! {
        #[test]
        fn a_plan_comes_back_whatever_is_in_it(texts in prop::collection::vec(any::<String>(), 3)) {
            let mut case = drifted();
            case.user().fields.name.clone_from(&texts[0]);
            case.application().fields.name.clone_from(&texts[1]);
            let path = FullPath::new(&texts[2]);
            let role = *case.desired.memberships.values().next().unwrap();
            case.desired.memberships.insert(path, role);
            let text = saved(&case);
            prop_assert_eq!(read(text.as_bytes()).unwrap().plan, case.plan());
        }
    }

    #[test]
    fn a_file_that_is_cut_off_is_never_taken_for_whole() {
        let text = saved(&drifted());
        for length in (0..text.len() - 2).step_by(7) {
            assert_eq!(
                read(&text.as_bytes()[..length]).unwrap_err(),
                SavedPlanError::Truncated,
                "{length}"
            );
        }
    }

    #[test]
    fn an_edit_is_seen_wherever_it_is() {
        let text = saved(&drifted());
        for (from, to) in [
            ("Factory Droid", "Factory Droit"),
            ("\"serial\": ", "\"serial\": 1"),
            ("sha256:00", "sha256:01"),
        ] {
            assert!(text.contains(from), "{from} is not in {text}");
            assert_eq!(
                read(text.replace(from, to).as_bytes()).unwrap_err(),
                SavedPlanError::Edited
            );
        }
    }

    #[test]
    fn other_files_are_named_for_what_they_are() {
        for other in ["[1]", "{}", "hello", "{\"version\": 4}"] {
            assert!(
                matches!(read(other.as_bytes()), Err(SavedPlanError::Foreign(_))),
                "{other}"
            );
        }
        let newer = saved(&drifted()).replace("\"format_version\": \"1.0\"", "\"format_version\": \"2.0\"");
        assert!(matches!(read(newer.as_bytes()), Err(SavedPlanError::Newer(_))));
    }

    #[test]
    fn what_moved_is_named_and_what_is_not_touched_is_not() {
        let case = drifted();
        let back = read(saved(&case).as_bytes()).unwrap();
        assert_eq!(back.stale("sha256:00", &inputs(&case)), []);

        let mut elsewhere = case.clone();
        "Elsewhere".clone_into(&mut elsewhere.application().fields.name);
        assert_eq!(
            back.stale("sha256:00", &inputs(&elsewhere)),
            [],
            "the application is not touched"
        );

        let mut renamed = case.clone();
        "Somebody else".clone_into(&mut renamed.user().fields.name);
        renamed.recorded.serial += 2;
        let stale = |digest: &str| -> Vec<String> {
            let stale = back.stale(digest, &inputs(&renamed));
            stale.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            stale("sha256:00"),
            [
                "the state record: serial was 0, is 2",
                "gitlab.user: name was \"Somebody\", is \"Somebody else\"",
            ]
        );
        assert_eq!(
            stale("sha256:01"),
            [
                "the configuration: digest was \"sha256:00\", is \"sha256:01\"",
                "the state record: serial was 0, is 2",
            ]
        );
    }
}
