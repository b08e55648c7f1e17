//! What the configuration declares, after its faults are out: the planner's first argument.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{FullPath, Role};

/// Everything that is declared. Only what is declared is owned: nothing else on either side is touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The OAuth application in GitLab.
    pub application: DesiredApplication,
    /// The droid user.
    pub user: DesiredUser,
    /// The droid's direct role by full path of group or project.
    pub memberships: BTreeMap<FullPath, Role>,
    /// What is saved in Factory.
    pub connection: DesiredConnection,
    /// What is enabled in Factory.
    pub repositories: DesiredRepositories,
}

/// The OAuth application as declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredApplication {
    /// Its name; GitLab allows several applications of one name.
    pub name: String,
    /// Redirect URIs, as a set: GitLab keeps them one to a line.
    pub redirect_uris: BTreeSet<String>,
    /// Whether GitLab skips the consent page. Its API neither shows nor takes it.
    pub trusted: bool,
    /// Whether it keeps a secret (OAuth's confidential client).
    pub confidential: bool,
    /// OAuth scopes, as a set.
    pub scopes: BTreeSet<String>,
}

/// The droid user as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredUser {
    /// Display name.
    pub name: String,
    /// Username: the identity, compared without regard to case.
    pub username: String,
    /// Primary e-mail address, compared without regard to case.
    pub email: String,
    /// Earlier usernames: an account found under one of them is renamed.
    pub previously: Vec<String>,
}

/// The connection as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredConnection {
    /// GitLab's external URL, relative URL root included, no final slash.
    pub domain: String,
}

/// The repository selection as declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DesiredRepositories {
    /// Full paths and globs to enable.
    pub enable: Vec<PathPattern>,
    /// Full paths and globs taken out of `enable` again.
    pub except: Vec<PathPattern>,
    /// What becomes of repositories that are enabled in Factory but not listed.
    pub unlisted: Unlisted,
}

impl DesiredRepositories {
    /// Whether the patterns select this path.
    pub fn selects(&self, path: &FullPath) -> bool {
        self.enable.iter().any(|pattern| pattern.matches(path)) && !self.is_excepted(path)
    }

    /// Whether `except` takes this path out.
    pub fn is_excepted(&self, path: &FullPath) -> bool {
        self.except.iter().any(|pattern| pattern.matches(path))
    }

    /// The paths listed literally in `enable` that `except` does not take out.
    pub fn explicit(&self) -> BTreeSet<FullPath> {
        self.enable
            .iter()
            .filter_map(PathPattern::literal)
            .filter(|path| !self.is_excepted(path))
            .cloned()
            .collect()
    }

    /// The globs of `enable`.
    pub fn globs(&self) -> impl Iterator<Item = &PathPattern> {
        self.enable.iter().filter(|pattern| pattern.literal().is_none())
    }
}

/// What becomes of repositories that are enabled in Factory but not listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unlisted {
    /// They stay as they are.
    #[default]
    Keep,
    /// They are disabled, within the guards.
    Disable,
}

/// A full path, or a glob over full paths in which `*` stays within a segment and `**` crosses segments.
/// Matching ignores case, as GitLab's paths do.
#[derive(Debug, Clone)]
pub struct PathPattern {
    text: String,
    kind: PatternKind,
}

#[derive(Debug, Clone)]
enum PatternKind {
    Literal(FullPath),
    Glob(Box<globset::GlobMatcher>),
}

/// The text does not parse as a glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is no glob: {why}")]
pub struct PatternError {
    /// The text.
    pub pattern: String,
    /// What is wrong with it.
    pub why: String,
}

impl PathPattern {
    /// Takes a full path or a glob. A text without `*`, `?`, `[` and `{` is a full path.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let trimmed = text.trim_matches('/');
        let fail = |why: String| PatternError {
            pattern: text.to_owned(),
            why,
        };
        if trimmed.is_empty() {
            return Err(fail("it is empty".to_owned()));
        }
        let kind = if trimmed.contains(['*', '?', '[', '{']) {
            PatternKind::Glob(Box::new(super::glob::compile(trimmed).map_err(fail)?))
        } else {
            PatternKind::Literal(FullPath::new(trimmed))
        };
        Ok(Self {
            text: trimmed.to_owned(),
            kind,
        })
    }

    /// The pattern as written, without outer slashes.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path, where the pattern is one.
    pub fn literal(&self) -> Option<&FullPath> {
        match &self.kind {
            PatternKind::Literal(path) => Some(path),
            PatternKind::Glob(_) => None,
        }
    }

    /// Whether the pattern selects this path.
    pub fn matches(&self, path: &FullPath) -> bool {
        match &self.kind {
            PatternKind::Literal(literal) => literal == path,
            PatternKind::Glob(glob) => glob.is_match(path.folded()),
        }
    }

    /// The group below which everything that a glob can match must lie: its leading segments without wildcards.
    /// None where the first segment has a wildcard already, and for a literal path.
    pub fn group_prefix(&self) -> Option<FullPath> {
        if self.literal().is_some() {
            return None;
        }
        let segments: Vec<&str> = self
            .text
            .split('/')
            .take_while(|segment| !segment.contains(['*', '?', '[', '{', ']', '}']))
            .collect();
        (!segments.is_empty()).then(|| FullPath::new(segments.join("/")))
    }
}

impl PartialEq for PathPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text.eq_ignore_ascii_case(&other.text)
    }
}

impl Eq for PathPattern {}

#[cfg(test)]
mod tests {
    use super::{FullPath, PathPattern};

    #[test]
    fn a_star_stays_within_a_segment_and_two_cross() {
        let matches = |pattern: &str, path: &str| PathPattern::new(pattern).unwrap().matches(&FullPath::new(path));
        assert!(matches("platform/*", "platform/a"));
        assert!(!matches("platform/*", "platform/a/b"));
        assert!(matches("platform/**", "Platform/a/b"));
        assert!(!matches("platform/**", "platforms/a"));
        assert!(matches("**/api", "a/b/api"));
        assert!(matches("PLATFORM/A", "platform/a"));
    }

    #[test]
    fn the_group_prefix_ends_at_the_first_wildcard() {
        let prefix = |pattern: &str| {
            PathPattern::new(pattern)
                .unwrap()
                .group_prefix()
                .map(|path| path.to_string())
        };
        assert_eq!(prefix("platform/services/**").as_deref(), Some("platform/services"));
        assert_eq!(prefix("plat*/x"), None);
        assert_eq!(prefix("platform/x"), None);
        assert_eq!(prefix("a/{b,c}/d").as_deref(), Some("a"));
    }

    #[test]
    fn what_does_not_parse_says_why() {
        let error = PathPattern::new("platform/[a").unwrap_err();
        assert!(error.to_string().contains("platform/[a"), "{error}");
        assert!(PathPattern::new("/").is_err());
    }
}
