//! A call of the API as an endpoint takes it: who may ask, and the parameters, which GitLab reads alike from the
//! query, from a form and from JSON (Grape).

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::response::Response;
use serde_json::{Map, Value};

use super::answers;
use super::auth::{self, Caller};
use crate::state::App;
use crate::world::World;

/// What an endpoint returns; an `Err` is an answer as well.
pub(crate) type Answer = Result<Response, Response>;

pub(crate) struct Call {
    pub(crate) app: App,
    /// Method, address, headers.
    pub(crate) parts: Parts,
    /// The parameters of query and body.
    pub(crate) params: Params,
    /// The external URL, no slash at the end; it is here because reading it takes the world's lock.
    pub(crate) base: String,
    /// The body as it came.
    pub(crate) body: Bytes,
    captured: Vec<(String, String)>,
}

impl FromRequest<App> for Call {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let captured = RawPathParams::from_request_parts(&mut parts, app)
            .await
            .map_err(|_| answers::error(400, "id is invalid"))?
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        // The front has bounded the body already.
        let body = axum::body::to_bytes(body, usize::MAX)
            .await
            .map_err(|_| answers::error(400, "body is invalid"))?;
        let params = Params::read(&parts, &body)?;
        Ok(Self {
            base: app.gitlab_external_url(),
            app: app.clone(),
            parts,
            params,
            body,
            captured,
        })
    }
}

impl Call {
    /// A part of the path, percent-decoded.
    pub(crate) fn path(&self, name: &str) -> &str {
        self.captured
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value.as_str())
    }

    /// A numeric part of the path; GitLab answers anything else with a 400.
    pub(crate) fn id(&self, name: &str) -> Result<u64, Response> {
        self.path(name)
            .parse()
            .map_err(|_| answers::error(400, &format!("{name} is invalid")))
    }

    /// The caller, who must be somebody; the usual scopes for the method.
    pub(crate) fn caller(&self, world: &World) -> Result<Caller, Response> {
        auth::authenticate(world, &self.parts, auth::usual_scopes(&self.parts))
    }

    /// The caller, whose token may also have the scope `read_user` where nothing is written.
    pub(crate) fn caller_reading_users(&self, world: &World) -> Result<Caller, Response> {
        let reading = matches!(self.parts.method.as_str(), "GET" | "HEAD");
        let scopes: &[&str] = if reading { &["api", "read_user"] } else { &["api"] };
        let wide: &[&str] = if reading {
            &["api", "read_api", "read_user"]
        } else {
            scopes
        };
        auth::authenticate(world, &self.parts, wide).map_err(|refusal| {
            // What lacks is named as GitLab names it.
            if refusal.status() == 403 && auth::identify(world, &self.parts, &[]).is_ok() {
                auth::insufficient_scope(scopes)
            } else {
                refusal
            }
        })
    }

    /// The caller, who must be able to act as administrator.
    pub(crate) fn admin(&self, world: &World) -> Result<Caller, Response> {
        let caller = self.caller(world)?;
        caller.require_admin()?;
        Ok(caller)
    }
}

/// Parameters by name. `name[]` is a list; a name that is given twice counts as given last.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Params(Map<String, Value>);

impl Params {
    /// The parameters of a request: those of the body win over those of the query.
    pub(crate) fn read(parts: &Parts, body: &[u8]) -> Result<Self, Response> {
        let mut params = Self::default();
        params.add_form(parts.uri.query().unwrap_or_default().as_bytes());
        let kind = parts
            .headers
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if kind.contains("json") {
            if !body.is_empty() {
                match serde_json::from_slice(body) {
                    Ok(Value::Object(map)) => params.0.extend(map),
                    // Terraform and GraphQL send objects too; anything else has no parameters.
                    Ok(_) => {}
                    Err(_) => return Err(answers::error(400, "Problems parsing JSON")),
                }
            }
        } else if kind.starts_with("application/x-www-form-urlencoded") {
            params.add_form(body);
        } else if let Some(boundary) = kind
            .strip_prefix("multipart/form-data")
            .and_then(|rest| rest.split_once("boundary="))
        {
            params.add_multipart(body, boundary.1.trim_matches('"'));
        }
        Ok(params)
    }

    fn add_form(&mut self, text: &[u8]) {
        for (name, value) in url::form_urlencoded::parse(text) {
            self.add(&name, value.into_owned());
        }
    }

    fn add_multipart(&mut self, body: &[u8], boundary: &str) {
        let text = String::from_utf8_lossy(body);
        for part in text.split(&format!("--{boundary}")) {
            let Some((head, value)) = part.split_once("\r\n\r\n") else {
                continue;
            };
            let Some(name) = head.split_once("name=\"").and_then(|(_, rest)| rest.split('"').next()) else {
                continue;
            };
            self.add(name, value.strip_suffix("\r\n").unwrap_or(value).to_owned());
        }
    }

    fn add(&mut self, name: &str, value: String) {
        match name.strip_suffix("[]") {
            Some(list) => {
                let entry = self.0.entry(list).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(values) = entry {
                    values.push(Value::String(value));
                }
            }
            None => {
                self.0.insert(name.to_owned(), Value::String(value));
            }
        }
    }

    /// Whether the parameter is there, empty or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    /// Whether it was sent at all, also as null.
    pub(crate) fn was_sent(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A text; numbers and truth values count as their text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            _ => None,
        }
    }

    /// A text that is not blank.
    pub(crate) fn filled(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| !text.trim().is_empty())
    }

    /// A truth value (Grape takes `true`, `false`, `1`, `0`, `t`, `f`, `on`, `off`).
    pub(crate) fn truth(&self, name: &str) -> Result<Option<bool>, Response> {
        let Some(text) = self.filled(name) else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "t" | "on" => Ok(Some(true)),
            "false" | "0" | "f" | "off" => Ok(Some(false)),
            _ => Err(answers::error(400, &format!("{name} is invalid"))),
        }
    }

    /// As [`Params::truth`], false where nothing is given.
    pub(crate) fn is_true(&self, name: &str) -> Result<bool, Response> {
        Ok(self.truth(name)?.unwrap_or(false))
    }

    /// A number that is not negative.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Response> {
        let Some(text) = self.filled(name) else { return Ok(None) };
        text.trim()
            .parse()
            .map(Some)
            .map_err(|_| answers::error(400, &format!("{name} is invalid")))
    }

    /// A list, also where it comes as a text with commas.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        match self.0.get(name) {
            Some(Value::Array(values)) => values
                .iter()
                .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                .collect(),
            Some(Value::String(text)) => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The value as it came.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Refuses a call that lacks parameters, naming all of them as Grape does.
    pub(crate) fn require(&self, names: &[&str]) -> Result<(), Response> {
        let missing: Vec<String> = names
            .iter()
            .filter(|name| !self.has(name))
            .map(|name| format!("{name} is missing"))
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(answers::error(400, &missing.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, kind: &str, body: &str) -> Params {
        let request = axum::http::Request::builder()
            .uri(format!("/api/v4/users?{query}"))
            .header("content-type", kind)
            .body(())
            .unwrap();
        Params::read(&request.into_parts().0, body.as_bytes()).unwrap()
    }

    #[test]
    fn query_form_and_json_are_read_alike() {
        let form = read(
            "page=2",
            "application/x-www-form-urlencoded",
            "scopes%5B%5D=api&scopes%5B%5D=sudo&admin=true",
        );
        assert_eq!(form.list("scopes"), ["api", "sudo"]);
        assert_eq!(
            (form.number("page").unwrap(), form.truth("admin").unwrap()),
            (Some(2), Some(true))
        );
        let json = read(
            "page=2",
            "application/json",
            r#"{"page": 3, "scopes": ["api"], "admin": false, "note": null}"#,
        );
        assert_eq!(json.list("scopes"), ["api"]);
        assert_eq!(
            (json.number("page").unwrap(), json.truth("admin").unwrap()),
            (Some(3), Some(false))
        );
        assert!(!json.has("note"));
        let multipart = "--X\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nZo\u{eb}\r\n--X--\r\n";
        assert_eq!(
            read("", "multipart/form-data; boundary=X", multipart)
                .text("name")
                .as_deref(),
            Some("Zo\u{eb}")
        );
    }

    #[test]
    fn what_is_wrong_is_a_400() {
        let params = read("page=x&admin=perhaps", "", "");
        assert_eq!(params.number("page").unwrap_err().status(), 400);
        assert_eq!(params.truth("admin").unwrap_err().status(), 400);
        assert_eq!(params.require(&["page", "name"]).unwrap_err().status(), 400);
    }
}
