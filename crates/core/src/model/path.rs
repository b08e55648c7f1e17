//! Full paths of groups and projects, compared as GitLab compares them: without regard to case.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

/// The full path of a group or project, such as `platform/services/checkout`. Keeps the spelling it was given;
/// equality, order and hash ignore ASCII case, as GitLab's routes do (GitLab: app/models/route.rb).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FullPath(String);

impl FullPath {
    /// Takes a path as written, without leading and trailing slashes.
    pub fn new(path: impl AsRef<str>) -> Self {
        Self(path.as_ref().trim_matches('/').to_owned())
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

    /// The first segment.
    pub fn top_level(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }

    fn bytes(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|byte| byte.to_ascii_lowercase())
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
    use super::FullPath;

    #[test]
    fn case_is_ignored_but_kept() {
        let path = FullPath::new("/Platform/API/");
        assert_eq!(path, FullPath::new("platform/api"));
        assert_eq!(path.to_string(), "Platform/API");
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
