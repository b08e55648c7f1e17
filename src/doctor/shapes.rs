//! The shape of what a server answers: enough to build a fixture of a GitLab that nobody here has seen, and nothing of
//! what is in it. Of a page: elements, their ids, classes and field names, names of data attributes. Of JSON: keys and
//! types. No text, no value, no token, no host, and of paths only the words that GitLab's own routes are made of.
//!
//! Names that programs choose and names that people choose look alike, so three things keep the latter out: an id, class
//! or field name must look like a program's; whatever the configuration names is struck from all of them; and maps whose
//! keys are data are shown without their keys.

mod json;
mod page;

use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;

use crate::http::{Onlooker, Response, Side, parse_html};

/// The shapes of all answers of a run.
#[derive(Debug)]
pub struct Shapes {
    names: Names,
    answers: Mutex<Vec<Answer>>,
}

/// The shape of an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Answer {
    side: &'static str,
    method: String,
    path: String,
    /// Names of the query's parameters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    query: Vec<String>,
    status: u16,
    /// Headers that mean something to Setpoint, by name.
    headers: Vec<&'static str>,
    /// Where a redirect leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<Value>,
    times: u64,
}

impl Shapes {
    /// Begins with nothing. What is in `struck` is in no name.
    pub fn new(struck: impl IntoIterator<Item = String>) -> Self {
        Self {
            names: Names::new(struck),
            answers: Mutex::default(),
        }
    }

    /// All shapes, as a document.
    pub fn document(&self, format_version: &str) -> Value {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::json!({ "format_version": format_version, "answers": *answers })
    }

    fn shape(&self, method: &str, answer: &Response) -> Answer {
        const HEADERS: [&str; 12] = [
            "content-type",
            "gitlab-lb",
            "link",
            "location",
            "ratelimit-limit",
            "ratelimit-remaining",
            "ratelimit-reset",
            "retry-after",
            "set-cookie",
            "x-next-page",
            "x-per-page",
            "x-total",
        ];
        let url = answer.url();
        let page = answer.is_html().then(|| match parse_html(&answer.text()) {
            Ok(page) => page::outline(&page, &self.names),
            Err(_) => vec!["(too complex to be read)".to_owned()],
        });
        let json = match page {
            Some(_) => None,
            None => serde_json::from_slice(answer.body()).ok(),
        };
        let path = Names::path(url.path());
        Answer {
            side: match answer.side() {
                Side::Gitlab => "gitlab",
                Side::Factory => "factory",
                Side::Other => "other",
            },
            method: method.to_owned(),
            query: url.query_pairs().map(|(name, _)| self.names.key(&name)).collect(),
            status: answer.status().as_u16(),
            headers: HEADERS
                .into_iter()
                .filter(|name| answer.headers().contains_key(*name))
                .collect(),
            location: answer.location().map(|url| Names::path(url.path())),
            page,
            // A setting that is a map has names of the instance's own for keys.
            json: json.map(|value: Value| json::shape(&value, path.ends_with("/application/settings"), &self.names)),
            path,
            times: 1,
        }
    }
}

impl Onlooker for Shapes {
    fn saw(&self, method: &str, answer: &Response) {
        let shape = self.shape(method, answer);
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = answers.iter_mut().find(|known| {
            Answer {
                times: known.times,
                ..shape.clone()
            } == **known
        });
        match known {
            Some(known) => known.times += 1,
            None => answers.push(shape),
        }
    }
}

/// Tells names that programs choose from names that people choose.
#[derive(Debug)]
struct Names {
    struck: Vec<String>,
}

/// What stands for a name that is not shown.
const HIDDEN: &str = "*";
/// The longest name, and the longest word in one: a token is longer.
const NAME: usize = 64;
const WORD: usize = 20;
/// The words of which GitLab's and Factory's own paths are made.
const ROUTES: &str = "- accept activate admin all api application applications approve audit_events auth authorizations \
    authorize authorized_applications block callback dashboard destroy edit emails exists graphql groups impersonate \
    impersonation impersonation_tokens info integrations introspect gitlab-sh members memberships metadata namespaces new \
    oauth password personal_access_tokens profile projects redirect renew renew-secret repositories revoke self session \
    settings sign_in sign_out skip state terms terraform token two_factor_auth unblock user user_settings users v0 v4 \
    version";

impl Names {
    fn new(struck: impl IntoIterator<Item = String>) -> Self {
        let parts = struck.into_iter().flat_map(|text| {
            let text = text.to_lowercase();
            // The words of a display name are everybody's; programs make one name of them.
            if text.contains(char::is_whitespace) {
                let joined = |by: &str| text.split_whitespace().collect::<Vec<_>>().join(by);
                return vec![joined("-"), joined("_"), joined("")];
            }
            let words = text.split(|letter: char| !letter.is_alphanumeric());
            words.map(str::to_owned).chain([text.clone()]).collect()
        });
        let ordinary = |word: &String| {
            word.len() < 4
                || ["gitlab", "factory", "https", "http", "admin", "root"].contains(&word.as_str())
                || ROUTES.split_whitespace().any(|route| route == word)
        };
        Self {
            struck: parts.filter(|word| !ordinary(word)).collect(),
        }
    }

    fn is_struck(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.struck.iter().any(|word| name.contains(word.as_str()))
    }

    /// A path: words of routes stay, all else is data.
    fn path(path: &str) -> String {
        let segments = path.split('/').map(|segment| {
            let known = segment.is_empty() || ROUTES.split_whitespace().any(|word| word == segment);
            if known { segment } else { HIDDEN }
        });
        segments.collect::<Vec<_>>().join("/")
    }

    /// A key of JSON or of a query: letters, digits, underscores.
    fn key(&self, name: &str) -> String {
        let plain = name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "_[]".contains(letter));
        self.shown(name, plain)
    }

    /// An id, a class, the name of a field or of an attribute. A number in it is one of a row.
    fn markup(&self, name: &str) -> String {
        let plain = name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "_-[]:".contains(letter));
        let shown = self.shown(name, plain);
        let mut without = String::new();
        let mut rest = shown.as_str();
        while let Some(at) = rest.find(|letter: char| letter.is_ascii_digit()) {
            let (before, number) = rest.split_at(at);
            let end = number
                .find(|letter: char| !letter.is_ascii_digit())
                .unwrap_or(number.len());
            let (number, after) = number.split_at(end);
            // Of a word, such as `2fa`, it is a part.
            let is_row = !after.starts_with(|letter: char| letter.is_ascii_alphabetic());
            without.push_str(before);
            without.push_str(if is_row { "0" } else { number });
            rest = after;
        }
        without.push_str(rest);
        without
    }

    fn shown(&self, name: &str, plain: bool) -> String {
        let begins = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
        let words = name.split(|letter: char| !letter.is_ascii_alphabetic());
        let short = name.len() <= NAME && words.into_iter().all(|word| word.len() <= WORD);
        // A number or two is a row or a version; more of them among letters are a token.
        let numbers = name
            .split(|letter: char| !letter.is_ascii_digit())
            .filter(|run| !run.is_empty());
        let short = short && numbers.count() <= 2;
        if plain && begins && short && !self.is_struck(name) {
            name.to_owned()
        } else {
            HIDDEN.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_programs_stay_and_names_of_people_go() {
        let names = Names::new([
            "https://gitlab.acme.example.com".to_owned(),
            "platform/checkout".to_owned(),
        ]);
        assert_eq!(names.markup("user_two_factor_17"), "user_two_factor_0");
        assert_eq!(
            names.markup("authn_oauth_application[scopes][]"),
            "authn_oauth_application[scopes][]"
        );
        for name in [
            "project-checkout",
            "acme-banner",
            "Zoë",
            "a b",
            "glpatAbCdEfGhIjKlMnOpQrStUv",
            "https://x",
        ] {
            assert_eq!(names.markup(name), HIDDEN, "{name}");
        }
        assert_eq!(names.key("markedForDeletionOn"), "markedForDeletionOn");
        assert_eq!(
            Names::path("/gitlab/api/v4/users/42/emails"),
            "/*/api/v4/users/*/emails"
        );
        assert_eq!(Names::path("/admin/users/someone"), "/admin/users/*");
    }
}
