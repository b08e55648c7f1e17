//! Secrets as a type that cannot be printed, compared by accident or written to a file.
//!
//! A [`Secret`] has no `Display` and no `Serialize`, and its `Debug` is asterisks. The one way to its text is
//! [`Secret::expose`], which is easy to search for. From the moment it is made, [`redact()`] takes it out of all text.

mod command;
mod error;
mod process;
mod redact;
mod reference;
mod remote_text;

pub use command::{SecretCommand, end_commands};
pub use error::SecretError;
pub use process::keep_memory_private;
pub use redact::{declare_public, learn, redact, to_json};
pub use reference::SecretRef;
pub use remote_text::RemoteText;

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use crate::digest::sha256_of;

/// A token, password or client secret. Clones share the one text, which is overwritten when the last is dropped.
#[derive(Clone)]
pub struct Secret(Arc<SecretString>);

impl Secret {
    /// Takes the text over, and takes note of it for [`redact()`].
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        learn(&text);
        Self(Arc::new(SecretString::from(text)))
    }

    /// The text itself, for the one place that has to send it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether it is the same one.
    pub fn is(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }

    /// What the state record keeps instead of the secret: `sha256:` and 64 hexadecimal digits over the record's
    /// lineage and the secret, so that equal secrets in two records do not show as equal.
    pub fn fingerprint(&self, lineage: &str) -> String {
        sha256_of([
            b"setpoint secret fingerprint\0".as_slice(),
            lineage.as_bytes(),
            b"\0",
            self.expose().as_bytes(),
        ])
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("glpat-fake")), "***");
    }

    #[test]
    fn fingerprints_differ_by_secret_and_by_lineage() {
        let one = Secret::new("a").fingerprint("x");
        assert_eq!(one.len(), "sha256:".len() + 64);
        assert_ne!(one, Secret::new("b").fingerprint("x"));
        assert_ne!(one, Secret::new("a").fingerprint("y"));
        assert_eq!(one, Secret::new("a").fingerprint("x"));
    }
}
