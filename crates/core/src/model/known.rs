//! What a side shows, or does not: GitLab's API never answers `trusted`, and before 19 not the scopes.

use serde::{Deserialize, Serialize};

/// A value that was seen, or one that this side does not show to us. Unknown is never a difference; in JSON it is not
/// there, or null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(
    from = "Option<T>",
    into = "Option<T>",
    bound(serialize = "T: Clone + Serialize", deserialize = "T: Deserialize<'de>")
)]
pub enum Known<T> {
    /// Not shown to this reader.
    #[default]
    Unknown,
    Known(T),
}

impl<T> Known<T> {
    /// The value, where it was seen.
    pub fn as_ref(&self) -> Known<&T> {
        match self {
            Self::Known(value) => Known::Known(value),
            Self::Unknown => Known::Unknown,
        }
    }

    /// The value as an option, for code that treats unseen as none.
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown => None,
        }
    }

    /// Whether it was not seen.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}

impl<T> From<Option<T>> for Known<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Unknown, Self::Known)
    }
}

impl<T> From<Known<T>> for Option<T> {
    fn from(value: Known<T>) -> Self {
        value.known()
    }
}
