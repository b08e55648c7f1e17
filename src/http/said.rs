//! The words of a server about a failure. Error bodies have many shapes in JSON, and what stands before a server answers
//! plain text or HTML.

use serde_json::Value;

use super::Response;
use crate::secrets::RemoteText;

/// What an error body says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// All of it in one line.
    pub text: Option<RemoteText>,
    /// OAuth's error code, such as `insufficient_scope`.
    pub code: Option<RemoteText>,
    /// The scopes that would suffice, with `insufficient_scope`.
    pub scope: Option<RemoteText>,
}

impl Said {
    /// Reads the body of an answer.
    pub(super) fn of(response: &Response) -> Self {
        if let Ok(value) = serde_json::from_slice(&response.body) {
            return Self::of_json(&value);
        }
        if response.is_html() {
            return Self::default();
        }
        Self {
            text: RemoteText::new(&response.text()).said(),
            ..Self::default()
        }
    }

    /// What happened, with the server's reason where it gives one.
    pub fn with_reason(&self, what: impl std::fmt::Display) -> String {
        match &self.text {
            Some(reason) => format!("{what}: {reason}"),
            None => what.to_string(),
        }
    }

    fn of_json(value: &Value) -> Self {
        let string = |name: &str| value.get(name).and_then(Value::as_str).map(RemoteText::new);
        let mut found = Vec::new();
        for name in ["message", "error", "detail", "errors"] {
            if let Some(part) = value.get(name) {
                collect(&RemoteText::default(), part, &mut found, 0);
            }
        }
        if let Some(description) = string("error_description") {
            found = vec![(RemoteText::default(), description)];
        }
        if found.is_empty()
            && let Some(title) = string("title")
        {
            found.push((RemoteText::default(), title));
        }
        let words: Vec<RemoteText> = found
            .into_iter()
            .map(|(field, text)| {
                if field.is_empty() {
                    text
                } else {
                    RemoteText::joined([&field, &text], " ")
                }
            })
            .collect();
        Self {
            text: RemoteText::joined(&words, "; ").said(),
            code: string("error"),
            scope: string("scope"),
        }
    }
}

/// Gathers the strings below a value under the name of the nearest field. Bounded in depth and number.
fn collect(field: &RemoteText, value: &Value, into: &mut Vec<(RemoteText, RemoteText)>, depth: usize) {
    if depth > 4 || into.len() >= 20 {
        return;
    }
    match value {
        Value::String(text) => {
            let text = RemoteText::new(text);
            if !text.is_empty() && !into.iter().any(|(_, known)| known == &text) {
                into.push((field.clone(), text));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(field, item, into, depth + 1)),
        Value::Object(map) => {
            for (name, inner) in map {
                // Names that say "this is the text", not which field it is about.
                let name = match name.as_str() {
                    "error" | "message" | "base" => field.clone(),
                    other => RemoteText::new(other),
                };
                collect(&name, inner, into, depth + 1);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::Said;
    use serde_json::json;

    fn text(value: &serde_json::Value) -> Option<String> {
        Said::of_json(value).text.map(String::from)
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
    fn a_field_is_named_with_what_is_said_about_it() {
        let body = json!({"message": {"password": ["is too short"], "base": ["is odd"]}});
        assert_eq!(text(&body).as_deref(), Some("password is too short; is odd"));
    }
}
