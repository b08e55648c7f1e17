//! Values as JSON without any secret of this run: each text in it by itself, so that the JSON stays what it is, whatever
//! a secret looks like.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, PrettyFormatter, Serializer};

use super::redact;

/// A value as JSON, indented or on one line.
pub fn to_json<T: Serialize + ?Sized>(value: &T, indented: bool) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if indented {
        value.serialize(&mut Serializer::with_formatter(
            &mut bytes,
            Redacting::new(PrettyFormatter::new()),
        ))?;
    } else {
        value.serialize(&mut Serializer::with_formatter(
            &mut bytes,
            Redacting::new(CompactFormatter),
        ))?;
    }
    Ok(bytes)
}

/// Gathers each text before it is written; all else is left to the other.
struct Redacting<F> {
    layout: F,
    text: Vec<u8>,
    /// Keys may be numbers, which are written as such within a text.
    in_text: bool,
}

/// Numbers and the like: within a text, a part of it.
macro_rules! plain {
    ($($name:ident: $kind:ty),*) => {$(
        fn $name<W: ?Sized + Write>(&mut self, writer: &mut W, value: $kind) -> io::Result<()> {
            if self.in_text {
                self.layout.$name(&mut self.text, value)
            } else {
                self.layout.$name(writer, value)
            }
        }
    )*};
}

impl<F> Redacting<F> {
    fn new(layout: F) -> Self {
        Self {
            layout,
            text: Vec::new(),
            in_text: false,
        }
    }
}

impl<F: Formatter> Formatter for Redacting<F> {
    fn begin_string<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.text.clear();
        self.in_text = true;
        Ok(())
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, _: &mut W, fragment: &str) -> io::Result<()> {
        self.text.extend_from_slice(fragment.as_bytes());
        Ok(())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, _: &mut W, escape: CharEscape) -> io::Result<()> {
        self.text.push(match escape {
            CharEscape::Quote => b'"',
            CharEscape::ReverseSolidus => b'\\',
            CharEscape::Solidus => b'/',
            CharEscape::Backspace => 0x08,
            CharEscape::FormFeed => 0x0c,
            CharEscape::LineFeed => b'\n',
            CharEscape::CarriageReturn => b'\r',
            CharEscape::Tab => b'\t',
            CharEscape::AsciiControl(byte) => byte,
        });
        Ok(())
    }

    fn end_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.in_text = false;
        let text = String::from_utf8_lossy(&self.text);
        serde_json::to_writer(writer, redact(&text).as_ref()).map_err(io::Error::from)
    }

    plain!(
        write_bool: bool, write_i8: i8, write_i16: i16, write_i32: i32, write_i64: i64, write_i128: i128, write_u8: u8,
        write_u16: u16, write_u32: u32, write_u64: u64, write_u128: u128, write_f32: f32, write_f64: f64
    );

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.layout.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.layout.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.layout.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.layout.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.layout.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.layout.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.layout.begin_object_key(writer, first)
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.layout.end_object_key(writer)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.layout.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.layout.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::to_json;
    use crate::secrets::Secret;

    #[test]
    fn numbers_may_be_keys() {
        let map = std::collections::BTreeMap::from([(7_u64, "x"), (8, "y")]);
        assert_eq!(to_json(&map, false).unwrap(), br#"{"7":"x","8":"y"}"#);
    }

    #[test]
    fn each_text_is_redacted_and_nothing_else_changes() {
        for secret in ["can\"ary\\one\n", "12345678", "\": \"", "tr\",\"ue"] {
            let _ = Secret::new(secret);
        }
        let value = json!({
            "a": ["can\"ary\\one\n", "x\u{1b}\u{1f600}\"\\\n", true, null, 1.5],
            "can\"ary\\one\n": {"number": 12_345_678, "text": "no 12345678 here", "empty": {}, "none": []},
        });
        let expected = json!({
            "a": ["***", "x\u{1b}\u{1f600}\"\\\n", true, null, 1.5],
            "***": {"number": 12_345_678, "text": "no *** here", "empty": {}, "none": []},
        });
        for indented in [true, false] {
            let bytes = to_json(&value, indented).unwrap();
            let expected_text = if indented {
                serde_json::to_vec_pretty(&expected)
            } else {
                serde_json::to_vec(&expected)
            };
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&bytes).unwrap(), expected);
            assert_eq!(bytes.len(), expected_text.unwrap().len());
        }
    }
}
