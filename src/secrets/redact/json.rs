//! Values as JSON without any secret of this run: each text in it by itself, so that the JSON stays what it is, whatever
//! a secret looks like.

use serde::Serialize;
use serde_json::Value;

use super::redact;

/// A value as JSON, indented or on one line.
pub fn to_json<T: Serialize + ?Sized>(value: &T, indented: bool) -> serde_json::Result<Vec<u8>> {
    let value = redacted(serde_json::to_value(value)?);
    if indented {
        serde_json::to_vec_pretty(&value)
    } else {
        serde_json::to_vec(&value)
    }
}

/// Texts and keys are redacted; all else stays.
fn redacted(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(redact(&text).into_owned()),
        Value::Array(items) => items.into_iter().map(redacted).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (redact(&key).into_owned(), redacted(value)))
            .collect(),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => plain,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::to_json;
    use crate::secrets::Secret;

    #[test]
    fn numbers_may_be_keys() {
        let map = std::collections::BTreeMap::from([(7_u64, "x"), (8, "y")]);
        assert_eq!(to_json(&map, false).unwrap(), br#"{"7":"x","8":"y"}"#);
    }

    #[test]
    fn each_text_is_redacted_and_nothing_else_changes() {
        for secret in ["can\"ary\\one\n", "12345678", "\": \"", "tr\",\"ue"] {
            let _ = Secret::new(secret);
        }
        let value = json!({
            "a": ["can\"ary\\one\n", "x\u{1b}\u{1f600}\"\\\n", true, null, 1.5],
            "can\"ary\\one\n": {"number": 12_345_678, "text": "no 12345678 here", "empty": {}, "none": []},
        });
        let expected = json!({
            "a": ["***", "x\u{1b}\u{1f600}\"\\\n", true, null, 1.5],
            "***": {"number": 12_345_678, "text": "no *** here", "empty": {}, "none": []},
        });
        for indented in [true, false] {
            let bytes = to_json(&value, indented).unwrap();
            let expected_text = if indented {
                serde_json::to_vec_pretty(&expected)
            } else {
                serde_json::to_vec(&expected)
            };
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&bytes).unwrap(), expected);
            assert_eq!(bytes.len(), expected_text.unwrap().len());
        }
    }
}
