//! Globs over paths, against a second opinion: a matcher that follows the rule as it is documented, by trying
//! everything, and shares no code with the one in use.

use crate::model::{FullPath, PathPattern};

/// What other bytes of a pattern are taken for, so that few are wasted.
const PATTERN: &[u8] = b"abcAB/*?[]{},!-._1";
/// The same for paths.
const PATH: &[u8] = b"abcAB/-._1";

/// A pattern, a line end, and a path.
pub fn glob(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let pattern = text(parts.next().unwrap_or_default(), PATTERN);
    let path = text(parts.next().unwrap_or_default(), PATH);
    let sound = |text: &str| !text.is_empty() && text.split('/').all(|segment| !segment.is_empty());
    if pattern.len() > 40 || path.len() > 40 || !sound(&pattern) || !sound(&path) {
        return;
    }
    let Ok(compiled) = PathPattern::new(&pattern) else {
        assert!(
            pattern.contains(['*', '?', '[', '{']),
            "a plain path is refused: {pattern}"
        );
        return;
    };
    let path = FullPath::new(path);
    let matches = compiled.matches(&path);
    let shouted = FullPath::new(path.as_str().to_ascii_uppercase());
    assert_eq!(
        matches,
        compiled.matches(&shouted),
        "{pattern} minds the case of {path}"
    );
    if let Some(group) = compiled.group_prefix() {
        assert!(
            !matches || group.contains(&path),
            "{pattern} matches {path}, which is not below {group}"
        );
    }
    if let Some(expected) = opinion(&pattern, path.as_str()) {
        assert_eq!(matches, expected, "{pattern} on {path}");
    }
}

fn text(data: &[u8], alphabet: &[u8]) -> String {
    let taken = |byte: &u8| {
        if alphabet.contains(byte) {
            char::from(*byte)
        } else {
            char::from(alphabet[usize::from(*byte) % alphabet.len()])
        }
    };
    data.iter().map(taken).collect()
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    Literal(u8),
    /// `?`
    One,
    /// `*`
    Some,
    /// `**` between slashes.
    Deep,
    /// `[…]`: negated or not, with its ranges.
    Class(bool, Vec<(u8, u8)>),
    /// `{…,…}`
    Either(Vec<Vec<Part>>),
}

/// Whether the pattern matches; none where the documented rule does not say: `**` beside other characters, or in braces.
fn opinion(pattern: &str, path: &str) -> Option<bool> {
    let pattern = pattern.to_ascii_lowercase();
    let mut rest = pattern.as_bytes();
    let parts = parse(&mut rest, 0)?;
    let mut budget = 200_000;
    let answer = all(&parts, path.to_ascii_lowercase().as_bytes(), &mut budget);
    (budget > 0).then_some(answer)
}

/// Parses up to the end, or up to a comma or a closing brace within braces.
fn parse(rest: &mut &[u8], depth: usize) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    while let Some((&byte, after)) = rest.split_first() {
        if depth > 0 && matches!(byte, b',' | b'}') {
            break;
        }
        *rest = after;
        parts.push(match byte {
            b'?' => Part::One,
            b'*' if rest.first() == Some(&b'*') => {
                let begins = depth == 0 && matches!(parts.last(), None | Some(Part::Literal(b'/')));
                *rest = &rest[1..];
                if !begins || !matches!(rest.first(), None | Some(b'/')) {
                    return None;
                }
                Part::Deep
            }
            b'*' => Part::Some,
            b'[' => class(rest)?,
            b'{' => either(rest, depth)?,
            b'}' => return None,
            other => Part::Literal(other),
        });
    }
    Some(parts)
}

fn either(rest: &mut &[u8], depth: usize) -> Option<Part> {
    let mut branches = Vec::new();
    loop {
        branches.push(parse(rest, depth + 1)?);
        let (&end, after) = rest.split_first()?;
        *rest = after;
        if end == b'}' {
            return Some(Part::Either(branches));
        }
    }
}

/// A `]` that comes first stands for itself, and so does a `-` that comes first or last.
fn class(rest: &mut &[u8]) -> Option<Part> {
    let negated = rest.first() == Some(&b'!');
    if negated {
        *rest = &rest[1..];
    }
    let mut ranges = Vec::new();
    loop {
        let (&low, after) = rest.split_first()?;
        *rest = after;
        if low == b']' && !ranges.is_empty() {
            return Some(Part::Class(negated, ranges));
        }
        match *rest {
            [b'-', high, ..] if *high != b']' => {
                ranges.push((low, *high));
                *rest = &rest[2..];
            }
            _ => ranges.push((low, low)),
        }
    }
}

/// Whether the parts match the whole text. Nothing but `/` and `**` matches a slash.
fn all(parts: &[Part], text: &[u8], budget: &mut usize) -> bool {
    *budget = budget.saturating_sub(1);
    if *budget == 0 {
        return false;
    }
    let Some((part, rest)) = parts.split_first() else {
        return text.is_empty();
    };
    let one = |fits: &dyn Fn(u8) -> bool| text.first().is_some_and(|byte| fits(*byte));
    match part {
        Part::Literal(literal) => one(&|byte| byte == *literal) && all(rest, &text[1..], budget),
        Part::One => one(&|byte| byte != b'/') && all(rest, &text[1..], budget),
        Part::Class(negated, ranges) => {
            let listed = |byte: u8| ranges.iter().any(|(low, high)| (*low..=*high).contains(&byte));
            one(&|byte| byte != b'/' && listed(byte) != *negated) && all(rest, &text[1..], budget)
        }
        Part::Some => {
            let end = text.iter().position(|byte| *byte == b'/').unwrap_or(text.len());
            (0..=end).any(|taken| all(rest, &text[taken..], budget))
        }
        // Any number of whole segments; none of them takes the slash behind it along, and the last needs one.
        Part::Deep => match rest.split_first() {
            None => !text.is_empty(),
            Some((_, behind)) => {
                let starts = (0..text.len()).filter(|at| *at == 0 || text[at - 1] == b'/');
                starts
                    .collect::<Vec<_>>()
                    .into_iter()
                    .any(|at| all(behind, &text[at..], budget))
            }
        },
        Part::Either(branches) => branches.iter().any(|branch| {
            let whole: Vec<Part> = branch.iter().chain(rest).cloned().collect();
            all(&whole, text, budget)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::opinion;

    #[test]
    fn the_second_opinion_follows_the_rule() {
        for (pattern, path, expected) in [
            ("a/*", "a/b", Some(true)),
            ("a/*", "a/b/c", Some(false)),
            ("a/**", "A/b/c", Some(true)),
            ("a/**", "a", Some(false)),
            ("**/c", "c", Some(true)),
            ("a/**/c", "a/c", Some(true)),
            ("a/{b,c/d}/*", "a/c/d/e", Some(true)),
            ("a{,-x}", "a", Some(true)),
            ("a[!b]c", "a/c", Some(false)),
            ("a[.-1]c", "a/c", Some(false)),
            ("a[]]", "a]", Some(true)),
            ("a**", "a/b", None),
        ] {
            assert_eq!(opinion(pattern, path), expected, "{pattern} on {path}");
        }
    }
}
