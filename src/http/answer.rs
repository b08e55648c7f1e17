//! The words of a server about a failure. GitLab has two shapes of error bodies, Factory three, and proxies before
//! both answer plain text or HTML.

use serde_json::Value;

use super::Response;
use super::text::{REMOTE_TEXT, remote_text};

/// What an error body says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// All of it in one clean line.
    pub(super) text: Option<String>,
    /// By field, where it names fields; the empty field is the request as a whole.
    pub(super) fields: Vec<(String, String)>,
    /// OAuth's error code, such as `insufficient_scope`.
    pub(super) code: Option<String>,
    /// The scopes that would suffice, with `insufficient_scope`.
    pub(super) scope: Option<String>,
}

impl Answer {
    /// Reads the body of an answer.
    pub(super) fn of(response: &Response) -> Self {
        let clean = |text: &str| response.clean(text);
        if let Ok(value) = serde_json::from_slice(&response.body) {
            return Self::of_json(&value, &clean);
        }
        if response.is_html() {
            return Self::default();
        }
        let text = clean(&response.text());
        Self {
            text: (!text.is_empty()).then_some(text),
            ..Self::default()
        }
    }

    fn of_json(value: &Value, clean: &dyn Fn(&str) -> String) -> Self {
        let string = |name: &str| value.get(name).and_then(Value::as_str).map(clean);
        let mut fields = Vec::new();
        for name in ["message", "error", "detail", "errors"] {
            if let Some(part) = value.get(name) {
                collect("", part, clean, &mut fields, 0);
            }
        }
        if let Some(description) = string("error_description") {
            fields = vec![(String::new(), description)];
        }
        if fields.is_empty()
            && let Some(title) = string("title")
        {
            fields.push((String::new(), title));
        }
        let words: Vec<String> = fields
            .iter()
            .map(|(field, text)| match field.as_str() {
                "" => text.clone(),
                field => format!("{field} {text}"),
            })
            .collect();
        Self {
            text: (!words.is_empty()).then(|| remote_text(&words.join("; "), REMOTE_TEXT)),
            fields,
            code: string("error"),
            scope: string("scope"),
        }
    }
}

/// Gathers the strings below a value under the name of the nearest field. Bounded in depth and number.
fn collect(field: &str, value: &Value, clean: &dyn Fn(&str) -> String, into: &mut Vec<(String, String)>, depth: usize) {
    if depth > 4 || into.len() >= 20 {
        return;
    }
    match value {
        Value::String(text) => {
            let text = clean(text);
            if !text.is_empty() && !into.iter().any(|(_, known)| known == &text) {
                into.push((field.to_owned(), text));
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect(field, item, clean, into, depth + 1)),
        Value::Object(map) => {
            for (name, inner) in map {
                // Names that say "this is the text", not which field it is about.
                let name = match name.as_str() {
                    "error" | "message" | "base" => field.to_owned(),
                    other => clean(other),
                };
                collect(&name, inner, clean, into, depth + 1);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::Answer;
    use serde_json::json;

    fn text(value: &serde_json::Value) -> Option<String> {
        Answer::of_json(value, &str::to_owned).text
    }

    #[test]
    fn each_shape_of_an_error_body_is_understood() {
        let cases = [
            (json!({"error": "name is missing"}), "name is missing"),
            (json!({"message": "403 Forbidden"}), "403 Forbidden"),
            (
                json!({"message": {"redirect_uri": ["must be a valid URI."]}}),
                "redirect_uri must be a valid URI.",
            ),
            (
                json!({"message": {"error": "This endpoint has been requested too many times."}}),
                "This endpoint has been requested too many times.",
            ),
            (json!({"message": ["one", "two"]}), "one; two"),
            (
                json!({"error": "invalid_token", "error_description": "Token was revoked."}),
                "Token was revoked.",
            ),
            (
                json!({"detail": "Role too low", "status": 403, "title": "Forbidden"}),
                "Role too low",
            ),
            (
                json!({"status": 400, "title": "Bad", "errors": [{"message": "domain is no URL"}]}),
                "domain is no URL",
            ),
            (json!({"status": 400, "title": "Bad Request"}), "Bad Request"),
        ];
        for (body, expected) in cases {
            assert_eq!(text(&body).as_deref(), Some(expected), "{body}");
        }
        assert_eq!(text(&json!([])), None);
        assert_eq!(text(&json!({"message": null})), None);
    }

    #[test]
    fn fields_are_kept_apart() {
        let answer = Answer::of_json(
            &json!({"message": {"password": ["is too short"], "base": ["is odd"]}}),
            &str::to_owned,
        );
        let expected = [("", "is odd"), ("password", "is too short")];
        let mut fields: Vec<_> = answer.fields.iter().map(|(f, t)| (f.as_str(), t.as_str())).collect();
        fields.sort_unstable();
        assert_eq!(fields, expected);
    }
}
