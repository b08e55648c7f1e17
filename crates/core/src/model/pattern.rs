//! Which paths are meant: full paths, and globs over them.

use super::FullPath;

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
