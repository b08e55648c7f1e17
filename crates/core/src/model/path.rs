//! Full paths of groups and projects, compared as GitLab compares them: without regard to case.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Deserializer, Serialize};

/// The full path of a group or project, such as `platform/services/checkout`. Keeps the spelling it was given;
/// equality, order and hash ignore ASCII case, as GitLab's routes do (GitLab: app/models/route.rb).
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct FullPath(String);

/// Why a text is no path that GitLab can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    #[error("it is empty")]
    Empty,
    /// Two slashes follow each other.
    #[error("one of its parts is empty")]
    EmptyPart,
    #[error("one of its parts is `.` or `..`")]
    Dots,
    /// GitLab: `lib/gitlab/path_regex.rb`.
    #[error("it has something else than letters and digits of ASCII, `_`, `-`, `.` and `/`")]
    Character,
    /// Twenty groups of 255 characters are the deepest and the longest.
    #[error("it is longer than any can be")]
    Length,
}

/// The longest path, in bytes: twenty groups and a project with their slashes.
const LENGTH: usize = 21 * 256;

impl FullPath {
    /// Takes a path as written, without leading and trailing slashes.
    pub fn new(path: impl AsRef<str>) -> Self {
        Self(path.as_ref().trim_matches('/').to_owned())
    }

    /// A path that somebody else sent. What GitLab cannot have is refused, so that nothing is made of it: no address, no
    /// request, no line of a report.
    pub fn of_gitlab(path: &str) -> Result<Self, PathFault> {
        let in_path = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
        if path.is_empty() {
            Err(PathFault::Empty)
        } else if path.len() > LENGTH {
            Err(PathFault::Length)
        } else if !path.bytes().all(in_path) {
            Err(PathFault::Character)
        } else if path.split('/').any(str::is_empty) {
            Err(PathFault::EmptyPart)
        } else if path.split('/').any(|part| part == "." || part == "..") {
            Err(PathFault::Dots)
        } else {
            Ok(Self(path.to_owned()))
        }
    }

    /// Reads a path out of an answer, see [`Self::of_gitlab`]. Whoever reads the answer says whose it was.
    pub fn received<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = String::deserialize(deserializer)?;
        Self::of_gitlab(&path)
            .map_err(|fault| serde::de::Error::custom(format!("`{path}` is no path that GitLab can have: {fault}")))
    }

    /// The path as it was spelled.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path in lower case, for keys that must not depend on spelling.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// Whether `self` is `other` or a group above it.
    pub fn contains(&self, other: &Self) -> bool {
        let (group, path) = (self.0.as_bytes(), other.0.as_bytes());
        path.len() >= group.len()
            && path[..group.len()].eq_ignore_ascii_case(group)
            && (path.len() == group.len() || path[group.len()] == b'/')
    }

    /// The path of the group that holds this one, if any.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The paths of all groups that hold this one, nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + use<> {
        std::iter::successors(self.parent(), Self::parent)
    }

    pub fn top_level(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }

    fn bytes(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|byte| byte.to_ascii_lowercase())
    }
}

impl<'de> Deserialize<'de> for FullPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl PartialEq for FullPath {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for FullPath {}

impl PartialOrd for FullPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FullPath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl Hash for FullPath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.bytes() {
            state.write_u8(byte);
        }
        state.write_u8(0xff);
    }
}

impl std::fmt::Display for FullPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{FullPath, PathFault};

    #[test]
    fn case_is_ignored_but_kept() {
        let path = FullPath::new("/Platform/API/");
        assert_eq!(path, FullPath::new("platform/api"));
        assert_eq!(path.to_string(), "Platform/API");
    }

    #[test]
    fn what_gitlab_cannot_have_is_refused() {
        for path in ["a", "A.b-c_d/-e/.f", "1/2/3"] {
            assert_eq!(FullPath::of_gitlab(path), Ok(FullPath::new(path)));
        }
        for (path, fault) in [
            ("", PathFault::Empty),
            ("/a", PathFault::EmptyPart),
            ("a/", PathFault::EmptyPart),
            ("a//b", PathFault::EmptyPart),
            ("a/../b", PathFault::Dots),
            ("./a", PathFault::Dots),
            ("a b", PathFault::Character),
            ("a\"]", PathFault::Character),
            ("a\n", PathFault::Character),
            ("\u{202e}a", PathFault::Character),
            ("gruppe/ä", PathFault::Character),
        ] {
            assert_eq!(FullPath::of_gitlab(path), Err(fault), "{path}");
        }
        assert_eq!(FullPath::of_gitlab(&"a/".repeat(4000)), Err(PathFault::Length));
    }

    #[test]
    fn a_group_contains_itself_and_what_is_below_it_only() {
        let group = FullPath::new("platform");
        assert!(group.contains(&FullPath::new("Platform")));
        assert!(group.contains(&FullPath::new("PLATFORM/a/b")));
        assert!(!group.contains(&FullPath::new("platform-tools/a")));
        assert!(!FullPath::new("platform/a").contains(&group));
    }
}
