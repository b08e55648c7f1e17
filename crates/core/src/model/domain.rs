//! GitLab's external URL, as Factory knows it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An external URL, relative URL root included. It keeps its spelling, and is equal to what Factory would make the same
/// of: the case of scheme and host, and final slashes, mean nothing.
#[derive(Debug, Clone, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Domain(String);

impl Domain {
    /// The URL as it was spelled.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn normal(&self) -> String {
        let url = url::Url::parse(&self.0).map_or_else(|_| self.0.clone(), |url| url.to_string());
        url.trim_end_matches('/').to_owned()
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.normal() == other.normal()
    }
}

impl<T: Into<String>> From<T> for Domain {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
