//! The known word nearest to one that is not known.

/// A known word, and whether it is near enough to be what was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nearest<'a> {
    pub(super) word: &'a str,
    pub(super) is_close: bool,
}

/// The word with the least distance, the first of several; none where no words are known.
pub(super) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<Nearest<'a>> {
    let folded = unknown.to_lowercase().replace('-', "_");
    let (distance, word) = known
        .map(|word| (strsim::damerau_levenshtein(&folded, word), word))
        .min_by_key(|(distance, _)| *distance)?;
    let longest = folded.chars().count().max(word.chars().count());
    let is_part = folded.len() >= 4 && (word.starts_with(&folded) || folded.starts_with(word));
    Some(Nearest {
        word,
        is_close: distance * 3 <= longest || is_part,
    })
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_close_and_another_word_is_not() {
        let known = ["url", "external_url", "token", "ca_file", "admin_session"];
        let near = |word: &str| nearest(word, known.into_iter()).unwrap();
        assert_eq!((near("tokne").word, near("tokne").is_close), ("token", true));
        assert_eq!(
            (near("external-url").word, near("external-url").is_close),
            ("external_url", true)
        );
        assert_eq!((near("URL").word, near("URL").is_close), ("url", true));
        assert!(!near("retries").is_close);
        assert_eq!(nearest("x", std::iter::empty()), None);
    }
}
