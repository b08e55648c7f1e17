//! Finding a secret in what others say, also in the forms in which programs repeat what they were given: escaped for a
//! URL, for JSON, for HTML or for a log, in Base64 (as in a `Basic` header) and in hexadecimal.
//!
//! This is for mishaps: a proxy that quotes the request, a program that traces its input. Whoever knows the secret and
//! wants to show it finds a form that nobody looks for.

use base64::Engine as _;

use super::{Secret, hex};

/// What stands in a secret's place.
const HIDDEN: &str = "***";
/// Shorter secrets are looked for as they are only: in another form they would be found everywhere.
const LEAST: usize = 6;

impl Secret {
    /// Whether the text holds the secret, as it is or in one of the forms.
    pub fn is_in(&self, text: &str) -> bool {
        let secret = self.expose();
        !secret.is_empty() && (text.contains(secret) || (secret.len() >= LEAST && self.is_within(text)))
    }

    /// The text with asterisks in place of the secret; of a form, the whole word goes.
    pub fn hide_in(&self, text: &str) -> String {
        if !self.is_in(text) {
            return text.to_owned();
        }
        let text = text.replace(self.expose(), HIDDEN);
        let words: Vec<&str> = text
            .split(' ')
            .map(|word| if self.is_in(word) { HIDDEN } else { word })
            .collect();
        let text = words.join(" ");
        // A form that has spaces in it.
        if self.is_in(&text) { HIDDEN.to_owned() } else { text }
    }

    fn is_within(&self, text: &str) -> bool {
        let secret = self.expose();
        let decoders: [fn(&str) -> Option<String>; 3] = [from_percent, from_escapes, from_entities];
        if decoders
            .iter()
            .filter_map(|decode| decode(text))
            .any(|text| text.contains(secret))
        {
            return true;
        }
        let lower = text.to_ascii_lowercase();
        let digits = hex(secret.as_bytes());
        let one_alphabet = text.replace('-', "+").replace('_', "/");
        lower.contains(&digits) || in_base64(secret).iter().any(|part| one_alphabet.contains(part))
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
            text.get(*begin..).filter(|part| part.len() >= 6).map(str::to_owned)
        })
        .collect()
}

/// As in URLs and forms. None where nothing is escaped.
fn from_percent(text: &str) -> Option<String> {
    text.contains(['%', '+']).then(|| {
        let spaced = text.replace('+', "%20");
        // Of what is no escape, both forms are looked at: a plus sign may be one.
        let mut both = percent(&spaced);
        both.push('\n');
        both.push_str(&percent(text));
        both
    })
}

fn percent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = (*byte == b'%').then(|| number(text.get(at + 1..at + 3)?, 16)).flatten();
        if let Some(code) = code.and_then(|code| u8::try_from(code).ok()) {
            out.push(code);
            at += 3;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Backslash escapes, as in JSON, in shells and in logs.
fn from_escapes(text: &str) -> Option<String> {
    text.contains('\\').then(|| {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\\') {
            out.push_str(before);
            let coded = [("u", 4), ("x", 2)].into_iter().find_map(|(mark, digits)| {
                let after = after.strip_prefix(mark)?;
                let c = number(after.get(..digits)?, 16).and_then(char::from_u32)?;
                Some((c, after.get(digits..)?))
            });
            let (c, after) = if let Some((c, after)) = coded {
                (Some(c), after)
            } else {
                let mut chars = after.chars();
                (chars.next(), chars.as_str())
            };
            out.extend(c);
            rest = after;
        }
        out.push_str(rest);
        out
    })
}

/// Character references, as in HTML.
fn from_entities(text: &str) -> Option<String> {
    text.contains('&').then(|| {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('&') {
            out.push_str(before);
            let found = after
                .split_once(';')
                .and_then(|(name, after)| Some((entity(name)?, after)));
            if let Some((c, after)) = found {
                out.push(c);
                rest = after;
            } else {
                out.push('&');
                rest = after;
            }
        }
        out.push_str(rest);
        out
    })
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let name = name.strip_prefix('#')?;
            let code = match name.strip_prefix(['x', 'X']) {
                Some(digits) => number(digits, 16),
                None => number(name, 10),
            };
            code.and_then(char::from_u32)
        }
    }
}

fn number(digits: &str, radix: u32) -> Option<u32> {
    let is_plain = digits.chars().all(|c| c.is_digit(radix));
    is_plain.then(|| u32::from_str_radix(digits, radix).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use crate::secrets::Secret;

    const TEXT: &str = "glpat-a+b/c \"d\"&é";

    #[test]
    fn every_form_is_found() {
        let secret = Secret::new(TEXT);
        let percent: String = url::form_urlencoded::byte_serialize(TEXT.as_bytes()).collect();
        let mut forms = vec![
            TEXT.to_owned(),
            percent.clone(),
            percent.to_ascii_lowercase().replace("glpat", "GLPAT").to_lowercase(),
            TEXT.bytes()
                .fold(String::new(), |text, byte| text + &format!("%{byte:02X}")),
            serde_json::to_string(TEXT).unwrap(),
            TEXT.chars()
                .fold(String::new(), |text, c| text + &format!("\\u{:04x}", u32::from(c))),
            "glpat-a+b/c &quot;d&#34;&amp;é".to_owned(),
            crate::secrets::hex(TEXT.as_bytes()).to_uppercase(),
        ];
        for lead in ["", "x", "xy", "user:", "someone:"] {
            let pair = format!("{lead}{TEXT}!");
            forms.push(base64::engine::general_purpose::STANDARD.encode(&pair));
            forms.push(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&pair));
        }
        for form in forms {
            let said = format!("the request was {form} and so on");
            assert!(secret.is_in(&said), "{said}");
            let hidden = secret.hide_in(&said);
            assert!(!secret.is_in(&hidden) && hidden.contains("***"), "{hidden}");
        }
    }

    #[test]
    fn what_holds_none_of_it_stays_as_it_is() {
        let said = "no such token: 100% of \\path & more; aGVsbG8gd29ybGQ= 68656c6c6f";
        for secret in [TEXT, "", "abc", "glpat-fake"] {
            assert_eq!(Secret::new(secret).hide_in(said), said);
        }
        assert_eq!(Secret::new("abc").hide_in("abc %61bc"), "*** %61bc");
    }
}
