//! Where a secret is kept: the configuration holds references only, resolved when something needs the secret.
//!
//! Errors name the reference, never the value. What a failing command wrote to standard error is shown, because it is
//! the only explanation there is; what it wrote to standard output never is, because that is the secret.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use super::Secret;

/// A command that has not answered by then is ended.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// No token, password or key is longer.
const MAX_BYTES: u64 = 64 * 1024;
/// How much of a failing command's standard error is shown.
const MAX_ERROR_LINES: usize = 5;
const MAX_ERROR_COLUMNS: usize = 200;

/// Where a secret is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file whose whole content, one line end at its end aside, is the secret.
    File(PathBuf),
    /// A program and its arguments, run without a shell, whose standard output is the secret.
    Command(Vec<String>),
}

/// A reference that could not be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SecretError {
    /// What is wrong, naming the reference.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl SecretError {
    fn new(message: String, hint: impl Into<String>) -> Self {
        Self {
            message,
            hint: hint.into(),
        }
    }
}

impl std::fmt::Display for SecretRef {
    /// Names the reference for messages. A command is named by its program alone: arguments may be private.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the environment variable {}", name.escape_debug()),
            Self::File(path) => write!(f, "the file {}", path.display().to_string().escape_debug()),
            Self::Command(command) => write!(f, "the command `{}`", program(command).escape_debug()),
        }
    }
}

fn program(command: &[String]) -> &str {
    command.first().map_or("", String::as_str)
}

impl SecretRef {
    /// Follows the reference. `None` where it yields nothing: a variable that is unset or empty, an empty file or an
    /// empty standard output. One line end at the end is not part of the secret.
    pub async fn resolve(&self) -> Result<Option<Secret>, SecretError> {
        let bytes = match self {
            Self::Env(name) => return self.read_variable(name),
            Self::File(path) => self.read_file(path)?,
            Self::Command(command) => self.run(command, COMMAND_TIMEOUT).await?,
        };
        let text = String::from_utf8(bytes).map_err(|_| {
            SecretError::new(
                format!("{self} holds no UTF-8 text"),
                "store the secret as plain text, without a byte order mark of another encoding",
            )
        })?;
        Ok(Self::secret(&text))
    }

    fn read_variable(&self, name: &str) -> Result<Option<Secret>, SecretError> {
        match std::env::var(name) {
            Ok(text) => Ok(Self::secret(&text)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(SecretError::new(
                format!("{self} holds no UTF-8 text"),
                "set it to plain text",
            )),
        }
    }

    fn read_file(&self, path: &Path) -> Result<Vec<u8>, SecretError> {
        let fail = |error: &std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => SecretError::new(
                format!("{self} does not exist"),
                "create it, or correct the `file` of this secret in the configuration",
            ),
            std::io::ErrorKind::PermissionDenied => SecretError::new(
                format!("{self} may not be read"),
                "give the user that runs Setpoint the right to read it",
            ),
            _ => SecretError::new(format!("{self} cannot be read: {error}"), "check the file"),
        };
        if path.is_dir() {
            return Err(SecretError::new(
                format!("{self} is a folder"),
                "name the file that holds the secret",
            ));
        }
        // Bounded, because the path may be a device or a pipe.
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|error| fail(&error))?;
        self.within_limit(bytes)
    }

    async fn run(&self, command: &[String], timeout: Duration) -> Result<Vec<u8>, SecretError> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(SecretError::new(
                "a command reference is empty".to_owned(),
                "name a program and its arguments",
            ));
        };
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.not_started(&error))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let run = async { tokio::join!(read_bounded(stdout), read_bounded(stderr), child.wait()) };
        let Ok((stdout, stderr, status)) = tokio::time::timeout(timeout, run).await else {
            return Err(SecretError::new(
                format!("{self} had not ended after {} s and was stopped", timeout.as_secs()),
                "run it by hand: it may be waiting for input, which it does not get here, or for the network",
            ));
        };
        let failed =
            |error: std::io::Error| SecretError::new(format!("{self} cannot be run: {error}"), "run it by hand");
        let (stdout, stderr, status) = (
            stdout.map_err(failed)?,
            stderr.map_err(failed)?,
            status.map_err(failed)?,
        );
        if status.success() {
            return self.within_limit(stdout);
        }
        let said = explain(&stdout, &stderr);
        Err(SecretError::new(
            format!("{self} failed ({status}){said}"),
            "run it by hand with the environment that Setpoint has",
        ))
    }

    fn not_started(&self, error: &std::io::Error) -> SecretError {
        match error.kind() {
            std::io::ErrorKind::NotFound => SecretError::new(
                format!("{self} was not found"),
                "install the program, or name it by its absolute path; it is run without a shell",
            ),
            std::io::ErrorKind::PermissionDenied => SecretError::new(
                format!("{self} may not be executed"),
                "make the file executable, or correct the first word of the command",
            ),
            _ => SecretError::new(format!("{self} cannot be run: {error}"), "run it by hand"),
        }
    }

    fn within_limit(&self, bytes: Vec<u8>) -> Result<Vec<u8>, SecretError> {
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

/// Reads all, keeps one byte more than the limit, so that too much shows.
async fn read_bounded<R: tokio::io::AsyncRead + Unpin>(stream: Option<R>) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    if let Some(mut stream) = stream {
        (&mut stream).take(MAX_BYTES + 1).read_to_end(&mut kept).await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    }
    Ok(kept)
}

/// What a failing command said on standard error, unless it also wrote to standard output: then either may hold
/// the secret.
fn explain(stdout: &[u8], stderr: &[u8]) -> String {
    if !stdout.trim_ascii().is_empty() {
        return "; what it said is withheld, because it may hold the secret".to_owned();
    }
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut said = String::new();
    for line in lines.iter().take(MAX_ERROR_LINES) {
        said.push_str("\n  ");
        said.extend(
            line.chars()
                .take(MAX_ERROR_COLUMNS)
                .map(|c| if is_printable(c) { c } else { '\u{fffd}' }),
        );
    }
    if lines.len() > MAX_ERROR_LINES {
        said.push_str("\n  …");
    }
    if said.is_empty() { said } else { format!(":{said}") }
}

/// Whether a character can neither move the cursor nor change the direction of text.
fn is_printable(c: char) -> bool {
    !(c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}'))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{SecretError, SecretRef};

    fn shell(script: &str) -> SecretRef {
        SecretRef::Command(["sh", "-c", script].map(str::to_owned).to_vec())
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
    async fn a_failing_command_is_quoted_without_control_characters() {
        let error = error(&shell("printf 'no \\033[31mtoken\\n' >&2; exit 3")).await;
        assert_eq!(
            error.message,
            "the command `sh` failed (exit status: 3):\n  no \u{fffd}[31mtoken"
        );
    }

    #[tokio::test]
    async fn a_failing_command_that_printed_something_is_not_quoted() {
        let error = error(&shell("echo canary; echo the secret is canary >&2; exit 1")).await;
        assert!(!error.message.contains("canary"), "{error}");
        assert!(error.message.contains("withheld"), "{error}");
    }

    #[tokio::test]
    async fn errors_name_the_reference_and_not_the_arguments() {
        let command = SecretRef::Command(vec!["/nonexistent/vault".to_owned(), "canary".to_owned()]);
        let error = error(&command).await;
        assert_eq!(error.message, "the command `/nonexistent/vault` was not found");
        let folder = tempfile::tempdir().unwrap();
        let error = super::tests::error(&SecretRef::File(folder.path().to_owned())).await;
        assert!(error.message.ends_with("is a folder"), "{error}");
    }

    #[tokio::test]
    async fn too_much_and_too_long_end() {
        let error = error(&shell("head -c 100000 /dev/zero | tr '\\0' a")).await;
        assert!(error.message.contains("more than 64 KiB"), "{error}");
        let SecretRef::Command(words) = shell("exec sleep 600") else {
            unreachable!("it is a command");
        };
        let slow = SecretRef::Command(words.clone());
        let error = slow.run(&words, Duration::from_millis(20)).await.unwrap_err();
        assert!(error.message.contains("was stopped"), "{error}");
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_are_refused() {
        assert!(error(&shell("printf '\\377'")).await.message.contains("no UTF-8"));
    }
}
