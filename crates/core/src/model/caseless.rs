//! Text in which case means nothing to GitLab: usernames and e-mail addresses.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// A text that keeps its spelling and is equal to itself in any other case.
#[derive(Clone, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Caseless(String);

impl PartialEq for Caseless {
    fn eq(&self, other: &Self) -> bool {
        // GitLab folds addresses by more than ASCII.
        self.0.eq_ignore_ascii_case(&other.0) || self.0.to_lowercase() == other.0.to_lowercase()
    }
}

impl<T: Into<String>> From<T> for Caseless {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl Deref for Caseless {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Caseless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Caseless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
