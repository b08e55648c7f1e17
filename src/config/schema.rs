//! The JSON Schema of the configuration, for editors, for the structural walk, and for `setpoint schema`.

use serde_json::Value;

use super::raw::RawConfig;

/// The JSON Schema (draft 7, which TOML editors understand) of `setpoint.toml`. The same on every call.
pub fn schema() -> Value {
    let mut schema = schemars::generate::SchemaSettings::draft07()
        .into_generator()
        .into_root_schema_for::<RawConfig>()
        .to_value();
    tidy(&mut schema);
    schema
}

/// TOML has no null: an optional key is left out. Descriptions are wrapped by whoever shows them.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
                if let [only] = choices.as_slice() {
                    let only = only.clone();
                    object.shift_remove("anyOf");
                    // In draft 7 a `$ref` hides its neighbours, so that it stands in an `allOf` of one.
                    object.insert("allOf".to_owned(), Value::Array(vec![only]));
                }
            }
            if let Some(Value::String(description)) = object.get_mut("description") {
                *description = description.replace('\n', " ");
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
