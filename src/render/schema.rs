//! JSON Schemas of the JSON outputs, made from the types that are printed. Keys may be added, so none is forbidden.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::json;

use super::json::PlanDocument;
use super::notification::NotifyDocument;
use crate::model::ApplyReport;

/// Of `plan --format json` and of a saved plan.
pub fn plan_schema() -> Schema {
    of::<PlanDocument<'_>>("plan", "What `setpoint plan --format json` prints.")
}

/// Of `drift --format json`.
pub fn drift_schema() -> Schema {
    of::<PlanDocument<'_>>("drift", "What `setpoint drift --format json` prints.")
}

/// Of what `drift --notify` posts.
pub fn notify_schema() -> Schema {
    of::<NotifyDocument<'_>>(
        "notification",
        "What `setpoint drift --notify` posts, unless --notify-format says otherwise.",
    )
}

/// Of `apply`, `rotate` and `destroy` with `--format json`.
pub fn apply_schema() -> Schema {
    of::<ApplyReport>(
        "apply",
        "What `setpoint apply`, `rotate` and `destroy` print with `--format json`.",
    )
}

fn of<T: JsonSchema>(name: &str, description: &str) -> Schema {
    let mut schema = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<T>();
    schema.insert("title".to_owned(), json!(format!("Setpoint {name}")));
    schema.insert("description".to_owned(), json!(description));
    schema
}
