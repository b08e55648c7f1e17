//! The shape of JSON: keys and types.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{HIDDEN, Names};

/// Keys below which a map is data: by username, by field, by whatever was refused.
const MAPS: [&str; 4] = ["message", "error", "errors", "metadata"];

/// Types that were met at one place.
#[derive(Default)]
struct Shape {
    scalars: BTreeSet<&'static str>,
    /// By key: the shape, and in how many of the objects it is.
    object: BTreeMap<String, (Self, usize)>,
    objects: usize,
    list: Option<Box<Self>>,
}

/// The shape of a document. With `flat`, objects below the first are shown without their keys.
pub(super) fn shape(value: &Value, flat: bool, names: &Names) -> Value {
    let mut shape = Shape::default();
    shape.add(value, flat, 0, false, names);
    shape.shown()
}

impl Shape {
    fn add(&mut self, value: &Value, flat: bool, depth: usize, map: bool, names: &Names) {
        match value {
            Value::Null => self.scalar("null"),
            Value::Bool(_) => self.scalar("boolean"),
            Value::Number(number) if number.is_f64() => self.scalar("number"),
            Value::Number(_) => self.scalar("integer"),
            Value::String(_) => self.scalar("string"),
            Value::Array(items) => {
                let inner = self.list.get_or_insert_default();
                for item in items {
                    inner.add(item, flat, depth, map, names);
                }
            }
            Value::Object(_) if flat && depth > 0 => self.scalar("object"),
            Value::Object(fields) => {
                self.objects += 1;
                let mut seen = BTreeSet::new();
                for (key, value) in fields {
                    let shown = if map { HIDDEN.to_owned() } else { names.key(key) };
                    let (inner, times) = self.object.entry(shown.clone()).or_default();
                    // Keys that are not shown count once.
                    *times += usize::from(seen.insert(shown));
                    inner.add(value, flat, depth + 1, MAPS.contains(&key.as_str()), names);
                }
            }
        }
    }

    fn scalar(&mut self, name: &'static str) {
        self.scalars.insert(name);
    }

    fn shown(self) -> Value {
        let mut kinds = Vec::new();
        if !self.scalars.is_empty() {
            kinds.push(Value::from(self.scalars.into_iter().collect::<Vec<_>>().join(" or ")));
        }
        if self.objects > 0 {
            let all = self.objects;
            let fields = self.object.into_iter().map(|(key, (shape, times))| {
                let key = if times < all { format!("{key}?") } else { key };
                (key, shape.shown())
            });
            kinds.push(Value::Object(fields.collect()));
        }
        if let Some(inner) = self.list {
            kinds.push(Value::Array(vec![inner.shown()]));
        }
        match kinds.len() {
            0 => Value::from("nothing"),
            1 => kinds.remove(0),
            _ => serde_json::json!({ "one of": kinds }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_and_types_are_shown_and_no_value() {
        let value = json!([
            { "id": 7, "name": "canary", "scopes": ["canary"], "last_login": null, "permissions": { "level": 30 } },
            { "id": 8, "name": null, "scopes": [], "permissions": null, "message": { "canary": ["canary"] } },
        ]);
        assert_eq!(
            shape(&value, false, &Names::new([])),
            json!([{
                "id": "integer", "name": "null or string", "scopes": ["string"], "last_login?": "null",
                "permissions": { "one of": ["null", { "level": "integer" }] }, "message?": { "*": ["string"] },
            }])
        );
        let settings = json!({ "storages": { "canary": 100 }, "enabled": true, "ratio": 1.5 });
        assert_eq!(
            shape(&settings, true, &Names::new([])),
            json!({ "storages": "object", "enabled": "boolean", "ratio": "number" })
        );
    }
}
