//! Globs over full paths, so that they mean what is promised of them: `*` and `?` stay within a segment, `[…]` stands for
//! one character of a segment, `**` crosses segments, `{a,b}` for either, of which one may be empty.
//!
//! `globset` lets `[!a]` match a slash, and takes a `**` beside other characters for two `*`. The first is mended, the
//! second is refused: who wrote it expected something else.

use globset::{GlobBuilder, GlobMatcher};

/// Compiles a pattern, or says what is wrong with it.
pub(super) fn compile(pattern: &str) -> Result<GlobMatcher, String> {
    let pattern = pattern.to_ascii_lowercase();
    let prepared = prepared(&pattern)?;
    let glob = GlobBuilder::new(&prepared)
        .literal_separator(true)
        .backslash_escape(false)
        .empty_alternates(true)
        .build()
        .map_err(|error| error.kind().to_string())?;
    Ok(glob.compile_matcher())
}

/// The pattern with a slash in every negated class.
fn prepared(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 4);
    let mut rest = pattern;
    while let Some(special) = rest.find(['[', '*']) {
        out.push_str(&rest[..special]);
        rest = &rest[special..];
        let length = if rest.starts_with('[') {
            class(rest, &mut out)?
        } else {
            stars(out.chars().next_back(), rest, &mut out)?
        };
        rest = &rest[length..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Copies the stars that `rest` begins with, and gives how many they are.
fn stars(before: Option<char>, rest: &str, out: &mut String) -> Result<usize, String> {
    let count = rest.len() - rest.trim_start_matches('*').len();
    let alone = matches!(before, None | Some('/')) && matches!(rest[count..].chars().next(), None | Some('/'));
    if count > 2 || (count == 2 && !alone) {
        return Err("`**` has to stand alone between slashes".to_owned());
    }
    out.push_str(&rest[..count]);
    Ok(count)
}

/// Copies the class that `rest` begins with, and gives its length in bytes. As in `globset`, a `]` that comes first
/// stands for itself, and so does a `-` that comes first or last.
fn class(rest: &str, out: &mut String) -> Result<usize, String> {
    let negated = rest[1..].starts_with(['!', '^']);
    let start = if negated { 2 } else { 1 };
    let mut range_open = false;
    let mut last = None;
    for (at, c) in rest[start..].char_indices() {
        if c == ']' && last.is_some() {
            let end = start + at;
            // An open range at the end is a literal `-`, which has to stay last.
            let slash = if range_open { end - 1 } else { end };
            out.push_str(&rest[..slash]);
            if negated {
                out.push('/');
            }
            out.push_str(&rest[slash..=end]);
            return Ok(end + 1);
        }
        let begins = if range_open { last.unwrap_or(c) } else { c };
        range_open = c == '-' && last.is_some() && !range_open;
        if !negated && !range_open && begins <= '/' && '/' <= c {
            return Err("`[…]` stands for one character of a name, so a slash cannot be in it".to_owned());
        }
        if !range_open {
            last = Some(c);
        }
    }
    Err("`[` has to be closed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{compile, prepared};

    #[test]
    fn no_class_matches_a_slash() {
        for (pattern, within, across) in [
            ("a[!x]b", "a-b", "a/b"),
            ("a[^x]b", "a-b", "a/b"),
            ("a[!x-]b", "a.b", "a/b"),
            ("a[!]x]b", "a.b", "a/b"),
            ("a[!-]b", "a.b", "a/b"),
            ("a[!0-9]b", "a.b", "a/b"),
        ] {
            let glob = compile(pattern).unwrap();
            assert!(glob.is_match(within), "{pattern}");
            assert!(!glob.is_match(across), "{pattern}");
        }
        assert!(!compile("a[!x-]b").unwrap().is_match("a-b"));
        for refused in ["a[/]b", "a[.-0]b", "a[x/]b"] {
            assert!(compile(refused).is_err(), "{refused}");
        }
        assert!(compile("a[0-9.]b").unwrap().is_match("a.b"));
    }

    #[test]
    fn two_stars_stand_alone() {
        for good in ["**", "a/**", "**/a", "a/**/b", "*/**"] {
            assert_eq!(prepared(good).as_deref(), Ok(good));
        }
        for bad in ["a**", "**a", "a/{**,b}", "***", "a/**b"] {
            assert!(prepared(bad).unwrap_err().contains("alone"), "{bad}");
        }
    }

    #[test]
    fn a_branch_may_be_empty() {
        let glob = compile("api{,-v2}").unwrap();
        assert!(glob.is_match("api") && glob.is_match("api-v2") && !glob.is_match("api-"));
    }

    #[test]
    fn what_is_not_closed_is_refused() {
        for open in ["a[b", "a[", "a[]", "a{b", "a[!"] {
            assert!(compile(open).is_err(), "{open}");
        }
    }
}
