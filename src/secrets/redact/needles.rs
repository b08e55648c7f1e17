//! What is looked for, and the search, which takes time in proportion to the text however many secrets there are.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use base64::Engine as _;

use super::HIDDEN;
use super::decode::layers;
use super::stream::Stream;
use crate::digest::hex;

/// Shorter secrets are looked for only as words of their own, and in no other alphabet: they would be found everywhere.
const LONG: usize = 8;
/// Still shorter ones are not looked for: to hide them would say where they are, and leave nothing of the rest.
const LEAST: usize = 4;

/// Words by their first eight bytes.
struct Table {
    words: BTreeMap<[u8; LONG], BTreeSet<Vec<u8>>>,
    /// Whether a word may begin so: most places of a text are done with by this.
    begins: [u64; 256],
}

impl Table {
    const fn new() -> Self {
        Self {
            words: BTreeMap::new(),
            begins: [0; 256],
        }
    }

    fn add(&mut self, word: &[u8]) {
        let Some(begin) = word.first_chunk::<LONG>() else {
            return;
        };
        let (place, bit) = slot(*begin);
        self.begins[place] |= bit;
        self.words.entry(*begin).or_default().insert(word.to_vec());
    }

    fn find(&self, bytes: &[u8], mut found: impl FnMut(Range<usize>)) {
        if self.words.is_empty() {
            return;
        }
        for (at, begin) in bytes.windows(LONG).enumerate() {
            let Some(begin) = begin.first_chunk::<LONG>() else {
                continue;
            };
            let (place, bit) = slot(*begin);
            if self.begins[place] & bit == 0 {
                continue;
            }
            for word in self.words.get(begin).into_iter().flatten() {
                if bytes[at..].starts_with(word) {
                    found(at..at + word.len());
                }
            }
        }
    }
}

fn slot(begin: [u8; LONG]) -> (usize, u64) {
    let mixed = u64::from_le_bytes(begin).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50;
    (usize::try_from(mixed >> 6).unwrap_or(0), 1 << (mixed & 63))
}

/// Secrets with the forms in which they are looked for.
pub(super) struct Needles {
    secrets: BTreeSet<String>,
    public: Vec<String>,
    plain: Table,
    hexadecimal: Table,
    base64: Table,
    short: BTreeSet<Vec<u8>>,
    longest: usize,
}

impl Needles {
    pub(super) const fn new() -> Self {
        Self {
            secrets: BTreeSet::new(),
            public: Vec::new(),
            plain: Table::new(),
            hexadecimal: Table::new(),
            base64: Table::new(),
            short: BTreeSet::new(),
            longest: 0,
        }
    }

    pub(super) fn has(&self, secret: &str) -> bool {
        self.secrets.contains(secret)
    }

    /// The length of the longest.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    pub(super) fn add(&mut self, text: &str) {
        if text.len() < LEAST || text.trim().is_empty() || !self.secrets.insert(text.to_owned()) {
            return;
        }
        self.look_for(text);
    }

    fn look_for(&mut self, text: &str) {
        if self.public.iter().any(|word| word.contains(text)) {
            return;
        }
        self.longest = self.longest.max(text.len());
        let plain = Stream::of(text).spaced(true).bytes;
        if plain.len() < LONG {
            self.short.insert(plain);
            return;
        }
        self.plain.add(&plain);
        self.hexadecimal.add(hex(text.as_bytes()).as_bytes());
        for part in in_base64(text) {
            self.base64.add(part.as_bytes());
        }
    }

    pub(super) fn declare_public(&mut self, words: impl IntoIterator<Item = String>) {
        let before = std::mem::replace(self, Self::new());
        self.public = before.public;
        self.public.extend(words);
        for secret in before.secrets {
            self.look_for(&secret);
            self.secrets.insert(secret);
        }
    }

    pub(super) fn is_in(&self, text: &str) -> bool {
        !self.places(text).is_empty()
    }

    /// The text with asterisks in place of each secret, in whatever form.
    pub(super) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.redact_until(text, text.len())
    }

    /// As [`Self::redact`], up to here.
    pub(super) fn redact_until<'a>(&self, text: &'a str, end: usize) -> Cow<'a, str> {
        let mut places = self.places(text);
        places.retain(|place| place.start < end);
        if places.is_empty() {
            return Cow::Borrowed(&text[..end]);
        }
        let mut out = String::with_capacity(end);
        let mut done = 0;
        for place in places {
            out.push_str(&text[done..place.start]);
            out.push_str(HIDDEN);
            done = place.end;
        }
        out.push_str(text.get(done..end).unwrap_or_default());
        Cow::Owned(out)
    }

    /// Where the secrets are, in order, those that touch as one.
    fn places(&self, text: &str) -> Vec<Range<usize>> {
        if self.longest == 0 {
            return Vec::new();
        }
        let mut found: Vec<Range<usize>> = Vec::new();
        for layer in layers(text) {
            let one_space = layer.spaced(true);
            let place = |stream: &Stream, range: Range<usize>| stream.from[range.start]..stream.from[range.end];
            self.plain
                .find(&one_space.bytes, |range| found.push(place(&one_space, range)));
            for word in &self.short {
                alone(&one_space.bytes, word, |range| found.push(place(&one_space, range)));
            }
            let no_space = layer.spaced(false);
            self.hexadecimal
                .find(&no_space.mapped(|byte| byte.to_ascii_lowercase()), |range| {
                    found.push(place(&no_space, range));
                });
            self.base64.find(&no_space.mapped(one_alphabet), |range| {
                found.push(widened(text.as_bytes(), place(&no_space, range)));
            });
        }
        merged(found, text)
    }
}

/// Where a word is no part of a longer one.
fn alone(bytes: &[u8], word: &[u8], mut found: impl FnMut(Range<usize>)) {
    let in_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii());
    for (at, window) in bytes.windows(word.len()).enumerate() {
        let end = at + word.len();
        if window == word && !in_word(at.checked_sub(1).and_then(|at| bytes.get(at))) && !in_word(bytes.get(end)) {
            found(at..end);
        }
    }
}

/// With the characters of Base64 around it, escaped or not: those next to it hold bits of the secret, too.
fn widened(text: &[u8], range: Range<usize>) -> Range<usize> {
    let belongs = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/-_=%\\".contains(*byte);
    let before = text[..range.start].iter().rev().take_while(belongs).count();
    let after = text[range.end..].iter().take_while(belongs).count();
    range.start - before..range.end + after
}

fn one_alphabet(byte: u8) -> u8 {
    match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    }
}

/// What is always the same in Base64, whatever stands before and after the secret: one form for each place that it can
/// begin at within a group of three bytes.
fn in_base64(secret: &str) -> Vec<String> {
    (0..3)
        .filter_map(|lead| {
            let mut bytes = vec![0; lead];
            bytes.extend_from_slice(secret.as_bytes());
            // Whole groups only, and without the characters that hold bits of what is before.
            bytes.truncate(bytes.len() / 3 * 3);
            let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
            let begin = [0, 2, 3].get(lead)?;
            text.get(*begin..).map(str::to_owned)
        })
        .collect()
}

/// Ranges in order, those that overlap or touch as one, and each of whole characters.
fn merged(mut ranges: Vec<Range<usize>>, text: &str) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for mut range in ranges {
        while !text.is_char_boundary(range.start) {
            range.start -= 1;
        }
        while !text.is_char_boundary(range.end) {
            range.end += 1;
        }
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}
