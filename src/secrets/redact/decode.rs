//! Text as it was before programs escaped it, with the place in the original that each byte comes from.

use super::stream::Stream;

/// How often escaping within escaping is undone.
const DEPTH: usize = 2;

/// The text, and what is under its escapes where it has any.
pub(super) fn layers(text: &str) -> Vec<Stream> {
    const DECODERS: [fn(&Stream) -> Option<Stream>; 4] = [percent, form, backslashes, references];
    let mut layers = vec![Stream::of(text)];
    let mut begin = 0;
    for _ in 0..DEPTH {
        let end = layers.len();
        for at in begin..end {
            let decoded: Vec<Stream> = DECODERS.iter().filter_map(|decode| decode(&layers[at])).collect();
            layers.extend(decoded);
        }
        begin = end;
    }
    layers
}

fn percent(stream: &Stream) -> Option<Stream> {
    undone(stream, b"%", |bytes| Some((vec![hexadecimal(bytes.get(1..3)?)?], 3)))
}

/// As in the query of a URL and in forms, where a plus sign is a space.
fn form(stream: &Stream) -> Option<Stream> {
    if !stream.bytes.contains(&b'+') {
        return None;
    }
    undone(stream, b"%+", |bytes| match bytes {
        [b'+', ..] => Some((vec![b' '], 1)),
        _ => Some((vec![hexadecimal(bytes.get(1..3)?)?], 3)),
    })
}

/// Backslash escapes, as in JSON, in shells and in logs.
fn backslashes(stream: &Stream) -> Option<Stream> {
    undone(stream, b"\\", |bytes| {
        let second = *bytes.get(1)?;
        let plain = |c: u8| Some((vec![c], 2));
        match second {
            b'u' => unicode(bytes).or_else(|| plain(second)),
            b'x' => match bytes.get(2..4).and_then(hexadecimal) {
                Some(byte) => Some((vec![byte], 4)),
                None => plain(second),
            },
            b'0'..=b'7' => match bytes.get(1..4).and_then(octal) {
                Some(byte) => Some((vec![byte], 4)),
                None => plain(second),
            },
            b'n' | b'r' | b't' | b'f' | b'b' | b'v' => plain(b' '),
            _ => plain(second),
        }
    })
}

/// `\u00e9`, two of them for a character beyond the first 65,536, or `\u{e9}`.
fn unicode(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let unit = |at: usize| number(bytes.get(at..at + 4)?, 16);
    if bytes.get(2) == Some(&b'{') {
        let digits = bytes.get(3..)?.iter().take(8).position(|byte| *byte == b'}')?;
        let c = char::from_u32(number(bytes.get(3..3 + digits)?, 16)?)?;
        return Some((utf8(c), digits + 4));
    }
    let first = unit(2)?;
    if let Some(c) = char::from_u32(first) {
        return Some((utf8(c), 6));
    }
    let second = (bytes.get(6..8)? == b"\\u").then(|| unit(8)).flatten()?;
    let pair = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
    let c = char::decode_utf16(pair).next()?.ok()?;
    Some((utf8(c), 12))
}

/// Character references, as in HTML.
fn references(stream: &Stream) -> Option<Stream> {
    const NAMED: [(&[u8], u8); 7] = [
        (b"amp", b'&'),
        (b"lt", b'<'),
        (b"gt", b'>'),
        (b"quot", b'"'),
        (b"apos", b'\''),
        (b"nbsp", b' '),
        (b"sol", b'/'),
    ];
    undone(stream, b"&", |bytes| {
        let rest = bytes.get(1..)?;
        let end = |length: usize| length + usize::from(rest.get(length) == Some(&b';')) + 1;
        if let Some((name, c)) = NAMED.iter().find(|(name, _)| rest.starts_with(name)) {
            return Some((vec![*c], end(name.len())));
        }
        let digits = rest.strip_prefix(b"#")?;
        let (digits, lead, radix) = match digits.first()? {
            b'x' | b'X' => (digits.get(1..)?, 2, 16),
            _ => (digits, 1, 10),
        };
        let length = digits
            .iter()
            .take(8)
            .take_while(|byte| char::from(**byte).is_digit(radix))
            .count();
        let c = char::from_u32(number(digits.get(..length)?, radix)?)?;
        Some((utf8(c), end(lead + length)))
    })
}

/// The stream with each escape that begins with one of these bytes replaced by what it stands for. `one` gives that with
/// the escape's length. None where there is none of the bytes.
fn undone(stream: &Stream, marks: &[u8], one: impl Fn(&[u8]) -> Option<(Vec<u8>, usize)>) -> Option<Stream> {
    if !stream.bytes.iter().any(|byte| marks.contains(byte)) {
        return None;
    }
    let mut out = Stream::with_capacity(stream.bytes.len());
    let mut at = 0;
    while let Some(byte) = stream.bytes.get(at) {
        let escape = marks.contains(byte).then(|| one(&stream.bytes[at..])).flatten();
        let (bytes, length) = escape.unwrap_or_else(|| (vec![*byte], 1));
        for byte in bytes {
            out.push(byte, stream.from[at]);
        }
        at += length;
    }
    out.end(stream.end_of_text());
    Some(out)
}

fn utf8(c: char) -> Vec<u8> {
    c.encode_utf8(&mut [0; 4]).as_bytes().to_vec()
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    number(digits, 16).and_then(|number| u8::try_from(number).ok())
}

fn octal(digits: &[u8]) -> Option<u8> {
    number(digits, 8).and_then(|number| u8::try_from(number).ok())
}

/// The number of digits alone.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |number, byte| {
        number
            .checked_mul(radix)?
            .checked_add(char::from(*byte).to_digit(radix)?)
    })
}
