//! Where a secret is kept: the configuration holds references only, resolved when something needs the secret.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;

use super::command::{MAX_BYTES, SecretCommand};
use super::{Secret, SecretError};
use crate::files;

/// Where a secret is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    Env(String),
    /// A file whose whole content, one line end at its end aside, is the secret.
    File(PathBuf),
    /// A program and its arguments, run without a shell, whose standard output is the secret.
    Command(SecretCommand),
}

impl std::fmt::Display for SecretRef {
    /// Names the reference for messages. A command is named by its program alone: arguments may be private.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the environment variable {}", name.escape_debug()),
            Self::File(path) => write!(f, "the file {}", path.display().to_string().escape_debug()),
            Self::Command(command) => command.fmt(f),
        }
    }
}

impl SecretRef {
    /// Follows the reference. `None` where it yields nothing: a variable that is unset or empty, an empty file or an
    /// empty standard output. One line end at the end is not part of the secret.
    pub async fn resolve(&self) -> Result<Option<Secret>, SecretError> {
        let bytes = match self {
            Self::Env(name) => return self.read_variable(name),
            Self::File(path) => self.read_file(path)?,
            Self::Command(command) => self.within_limit(command.ask().await?)?,
        };
        let text = std::str::from_utf8(&bytes).map_err(|_| {
            SecretError::new(
                format!("{self} holds no UTF-8 text"),
                "store the secret as plain text, without a byte order mark of another encoding",
            )
        })?;
        Ok(Self::secret(text))
    }

    /// The variable that it names, and that no command is to inherit.
    pub fn variable(&self) -> Option<&str> {
        match self {
            Self::Env(name) => Some(name),
            Self::File(_) | Self::Command(_) => None,
        }
    }

    /// Keeps these variables of the environment from the command, where it is one.
    pub fn withhold(&mut self, names: &BTreeSet<String>) {
        if let Self::Command(command) = self {
            command.withhold(names);
        }
    }

    /// Whom besides its owner the file lets read it, in words for a message; none for other references, and where it
    /// is private or not there.
    #[cfg(unix)]
    pub fn readers(&self) -> Option<&'static str> {
        use std::os::unix::fs::PermissionsExt as _;
        let Self::File(path) = self else {
            return None;
        };
        let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        match metadata.permissions().mode() {
            mode if mode & 0o004 != 0 => Some("everybody on this machine"),
            mode if mode & 0o040 != 0 => Some("its group"),
            _ => None,
        }
    }

    /// Systems that keep rights in other ways are not judged.
    #[cfg(not(unix))]
    pub fn readers(&self) -> Option<&'static str> {
        None
    }

    fn read_variable(&self, name: &str) -> Result<Option<Secret>, SecretError> {
        match std::env::var(name) {
            Ok(text) => Ok(Self::secret(&Zeroizing::new(text))),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(SecretError::new(
                format!("{self} holds no UTF-8 text"),
                "set it to plain text",
            )),
        }
    }

    fn read_file(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let fail = |error: &std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => SecretError::new(
                format!("{self} does not exist"),
                "create it, or correct the `file` of this secret in the configuration",
            ),
            std::io::ErrorKind::PermissionDenied => SecretError::new(
                format!("{self} may not be read"),
                "give the user that runs Setpoint the right to read it",
            ),
            std::io::ErrorKind::IsADirectory => {
                SecretError::new(format!("{self} is a folder"), "name the file that holds the secret")
            }
            std::io::ErrorKind::FileTooLarge => self.too_large(),
            _ => SecretError::new(
                format!("{self} cannot be read: {error}"),
                "name the file that holds the secret and nothing else",
            ),
        };
        files::read(path, MAX_BYTES)
            .map(Zeroizing::new)
            .map_err(|error| fail(&error))
    }

    fn within_limit(&self, bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        if bytes.len() as u64 > MAX_BYTES {
            return Err(self.too_large());
        }
        Ok(bytes)
    }

    fn too_large(&self) -> SecretError {
        SecretError::new(
            format!(
                "{self} yields more than {} KiB, which is no token or password",
                MAX_BYTES / 1024
            ),
            "check that it names the secret and nothing else",
        )
    }

    fn secret(text: &str) -> Option<Secret> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        (!text.is_empty()).then(|| Secret::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::{SecretCommand, SecretError, SecretRef};

    fn command<const N: usize>(words: [&str; N]) -> SecretRef {
        SecretRef::Command(SecretCommand::new(words.map(str::to_owned).to_vec()))
    }

    fn shell(script: &str) -> SecretRef {
        command(["sh", "-c", script])
    }

    async fn text(reference: &SecretRef) -> Option<String> {
        reference
            .resolve()
            .await
            .unwrap()
            .map(|secret| secret.expose().to_owned())
    }

    async fn error(reference: &SecretRef) -> SecretError {
        reference.resolve().await.unwrap_err()
    }

    #[tokio::test]
    async fn one_line_end_is_not_part_of_a_secret() {
        assert_eq!(text(&shell("printf 'a b\\n'")).await.as_deref(), Some("a b"));
        assert_eq!(text(&shell("printf 'a\\r\\n'")).await.as_deref(), Some("a"));
        assert_eq!(text(&shell("printf 'a\\n\\n'")).await.as_deref(), Some("a\n"));
        assert_eq!(text(&shell("printf ' a '")).await.as_deref(), Some(" a "));
    }

    #[tokio::test]
    async fn what_yields_nothing_is_none() {
        assert_eq!(text(&shell("true")).await, None);
        assert_eq!(text(&shell("echo")).await, None);
        assert_eq!(text(&SecretRef::Env("SETPOINT_TEST_NEVER_SET".to_owned())).await, None);
        let folder = tempfile::tempdir().unwrap();
        let missing = SecretRef::File(folder.path().join("missing"));
        assert!(error(&missing).await.message.ends_with("does not exist"));
    }

    #[tokio::test]
    async fn a_command_gets_no_input() {
        assert_eq!(text(&shell("read line || echo none")).await.as_deref(), Some("none"));
    }

    #[tokio::test]
    async fn what_a_failing_command_says_is_for_a_person_and_without_control_characters() {
        let error = error(&shell("printf 'no \\033[31mtoken canary\\n' >&2; exit 3")).await;
        assert_eq!(error.message, "the command `sh` failed (exit status: 3)");
        assert_eq!(
            error.told(true),
            "the command `sh` failed (exit status: 3):\n  no \u{fffd}[31mtoken canary"
        );
        let logged = format!("{error} {} {}", error.told(false), error.hint);
        assert!(!logged.contains("canary") && logged.contains("terminal"), "{logged}");
    }

    #[tokio::test]
    async fn a_failing_command_that_printed_something_is_not_quoted() {
        let error = error(&shell("echo canary; echo the secret is canary >&2; exit 1")).await;
        assert!(!error.told(true).contains("canary"), "{error}");
        assert!(error.message.contains("withheld"), "{error}");
    }

    #[tokio::test]
    async fn errors_name_the_reference_and_not_the_arguments() {
        let error = error(&command(["/nonexistent/vault", "canary"])).await;
        assert_eq!(error.message, "the command `/nonexistent/vault` was not found");
        let folder = tempfile::tempdir().unwrap();
        let error = super::tests::error(&SecretRef::File(folder.path().to_owned())).await;
        assert!(error.message.ends_with("is a folder"), "{error}");
    }

    #[tokio::test]
    async fn too_much_is_refused() {
        let error = error(&shell("head -c 100000 /dev/zero | tr '\\0' a")).await;
        assert!(error.message.contains("more than 64 KiB"), "{error}");
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_are_refused() {
        assert!(error(&shell("printf '\\377'")).await.message.contains("no UTF-8"));
    }
}
