//! Programs that keep secrets: started without a shell, with no more of our environment than they need, bounded in
//! time and output, and ended with all that they started.
//!
//! A command runs in a process group of its own. It is ended as a whole when its time is up, when Setpoint stops
//! waiting for it, and by [`end_commands`] when Setpoint is ended on the spot.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::redact::redact_beginning;
use super::{Secret, SecretError};
use crate::glyphs;

/// A command that has not ended by then is ended.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long is waited for the rest of its output once it has ended.
const AFTER_ITS_END: Duration = Duration::from_millis(200);
/// No token, password or key is longer.
pub(super) const MAX_BYTES: u64 = 64 * 1024;
/// Room for that, and for the byte that shows that it is too much.
const BUFFER: usize = 64 * 1024 + 64;
/// How much of a failing command's standard error is shown.
const MAX_ERROR_LINES: usize = 5;
const MAX_ERROR_COLUMNS: usize = 200;
/// Where programs are looked for where `PATH` is not set.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// How much of it is looked at, in bytes.
const SHOWN_OF: usize = 16 * 1024;
/// Said in place of what may hold the secret: a command that printed something before it failed may have printed it on
/// either stream.
const WITHHELD: &str = "; what it said is withheld, because it may hold the secret";

/// A program with its arguments, and the variables of our environment that it does not get.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretCommand {
    words: Vec<String>,
    withheld: BTreeSet<String>,
}

impl std::fmt::Debug for SecretCommand {
    /// The program alone: arguments may be private.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SecretCommand").field(&self.program()).finish()
    }
}

impl std::fmt::Display for SecretCommand {
    /// Names the command for messages, by its program alone.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the command `{}`", self.program().escape_debug())
    }
}

impl SecretCommand {
    /// A program and its arguments.
    pub fn new(words: Vec<String>) -> Self {
        Self {
            words,
            withheld: BTreeSet::new(),
        }
    }

    /// Keeps these variables of the environment from it: the secrets of others.
    pub fn withhold(&mut self, names: &BTreeSet<String>) {
        self.withheld.extend(names.iter().cloned());
    }

    pub fn program(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// Gives it a secret on standard input. What it prints is not looked at.
    ///
    /// # Errors
    /// It could not be started, did not end in time, or failed.
    pub async fn give(&self, secret: &Secret) -> Result<(), SecretError> {
        self.run(Some(secret), TIMEOUT).await.map(drop)
    }

    /// Runs it without input, for whether it succeeds.
    ///
    /// # Errors
    /// It could not be started, did not end in time, or failed.
    pub async fn succeeds(&self) -> Result<(), SecretError> {
        self.run(None, TIMEOUT).await.map(drop)
    }

    /// What it prints on standard output. It gets no input.
    pub(super) async fn ask(&self) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        self.run(None, TIMEOUT).await
    }

    async fn run(&self, input: Option<&Secret>, timeout: Duration) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let mut child = self.start(input.is_some())?;
        // Dropped before the child is, so that the group is still the child's.
        let group = Group::of(&child);
        let (stdin, from_stdout, from_stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // As large as they may become: growing would leave copies behind, which nobody overwrites.
        let buffer = || Zeroizing::new(Vec::with_capacity(BUFFER));
        let (mut stdout, mut stderr) = (buffer(), buffer());
        let run = async {
            let mut reading = pin!(async {
                tokio::try_join!(gather(from_stdout, &mut stdout), gather(from_stderr, &mut stderr)).map(drop)
            });
            let mut ended = pin!(async {
                let ((), status) = tokio::join!(write(stdin, input), child.wait());
                status
            });
            tokio::select! {
                status = &mut ended => {
                    // What it left running may hold its output open for as long as it likes.
                    let read = tokio::time::timeout(AFTER_ITS_END, &mut reading).await;
                    status.and_then(|status| read.unwrap_or(Ok(())).map(|()| status))
                }
                read = &mut reading => match read {
                    Ok(()) => ended.await,
                    Err(error) => Err(error),
                },
            }
        };
        let Ok(status) = tokio::time::timeout(timeout, run).await else {
            return Err(SecretError::new(
                format!("{self} had not ended after {} s and was stopped", timeout.as_secs()),
                "run it by hand: it may be waiting for input, which it does not get here, or for the network",
            ));
        };
        group.disarm();
        let failed =
            |error: std::io::Error| SecretError::new(format!("{self} cannot be run: {error}"), "run it by hand");
        let status = status.map_err(failed)?;
        if status.success() {
            return Ok(stdout);
        }
        let failed = |how: &str| {
            SecretError::new(
                format!("{self} failed ({status}){how}"),
                "run it by hand with the environment that Setpoint has, without the variables that hold secrets",
            )
        };
        let text = String::from_utf8_lossy(&stderr);
        Err(match input {
            _ if !stdout.trim_ascii().is_empty() => failed(WITHHELD),
            Some(secret) if secret.is_in(&text) => failed(WITHHELD),
            // What it was given is not in there, so a log may have it.
            Some(_) => failed(&lines(&text).map(|said| format!(":{said}")).unwrap_or_default()),
            None => failed("").saying(lines(&text)),
        })
    }

    /// Whether its program is there.
    ///
    /// # Errors
    /// It is not, or may not be executed.
    pub fn is_there(&self) -> Result<(), SecretError> {
        let program = self.find()?;
        match std::fs::metadata(&program) {
            Ok(metadata) if is_executable(&metadata) => Ok(()),
            Ok(_) => Err(self.not_started(&std::io::ErrorKind::PermissionDenied.into())),
            Err(error) => Err(self.not_started(&error)),
        }
    }

    /// Where its program is. A bare name is looked for in those folders of `PATH` that are named from the root on, and
    /// never in the current one, where anybody's file may be.
    fn find(&self) -> Result<PathBuf, SecretError> {
        let program = Path::new(self.program());
        if program.as_os_str().is_empty() {
            return Err(SecretError::new(
                "a command reference is empty".to_owned(),
                "name a program and its arguments",
            ));
        }
        if cfg!(not(unix)) || program.components().count() > 1 || self.program().contains('/') {
            return Ok(program.to_owned());
        }
        let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
        let mut candidates = std::env::split_paths(&path)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(program))
            .filter(|candidate| candidate.is_file());
        let first = candidates.next();
        let is_executable = |candidate: &PathBuf| std::fs::metadata(candidate).is_ok_and(|one| is_executable(&one));
        let best = first.iter().cloned().chain(candidates).find(is_executable);
        best.or(first)
            .ok_or_else(|| self.not_started(&std::io::ErrorKind::NotFound.into()))
    }

    fn start(&self, gets_input: bool) -> Result<tokio::process::Child, SecretError> {
        let mut command = tokio::process::Command::new(self.find()?);
        command
            .args(self.words.iter().skip(1))
            .kill_on_drop(true)
            .stderr(Stdio::piped());
        if gets_input {
            command.stdin(Stdio::piped()).stdout(Stdio::null());
        } else {
            command.stdin(Stdio::null()).stdout(Stdio::piped());
        }
        for name in &self.withheld {
            command.env_remove(name);
        }
        #[cfg(unix)]
        command.process_group(0);
        command.spawn().map_err(|error| self.not_started(&error))
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
}

#[cfg(unix)]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    metadata.is_file()
}

/// Hands the secret over. A command that ends without reading to the end is judged by its exit status alone.
async fn write(stdin: Option<tokio::process::ChildStdin>, secret: Option<&Secret>) {
    if let (Some(mut stdin), Some(secret)) = (stdin, secret) {
        let _ = stdin.write_all(secret.expose().as_bytes()).await;
        let _ = stdin.shutdown().await;
    }
}

/// Reads all, keeps one byte more than the limit, so that too much shows. Given up at any moment, what was read is there.
async fn gather<R: tokio::io::AsyncRead + Unpin>(stream: Option<R>, kept: &mut Vec<u8>) -> std::io::Result<()> {
    if let Some(mut stream) = stream {
        let mut rest = (&mut stream).take(MAX_BYTES + 1);
        while rest.read_buf(kept).await? > 0 {}
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    }
    Ok(())
}

/// The first lines of what a failing command said on standard error, each on a line of its own and indented.
fn lines(text: &str) -> Option<String> {
    let text = redact_beginning(text, SHOWN_OF);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut said = String::new();
    for line in lines.iter().take(MAX_ERROR_LINES) {
        said.push_str("\n  ");
        said.extend(
            line.chars()
                .take(MAX_ERROR_COLUMNS)
                .map(|c| if glyphs::is_unsafe(c) { '\u{fffd}' } else { c }),
        );
    }
    if lines.len() > MAX_ERROR_LINES {
        said.push_str("\n  …");
    }
    (!said.is_empty()).then_some(said)
}

#[cfg(unix)]
mod group {
    use std::collections::BTreeSet;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use rustix::process::{Pid, Signal, kill_process_group};

    /// The groups of the commands that run now.
    static RUNNING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

    fn running() -> MutexGuard<'static, BTreeSet<i32>> {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(number: i32) {
        if let Some(leader) = Pid::from_raw(number) {
            // One that has ended by itself meanwhile is as good.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }

    /// Ends a command with all that it started, unless it ended by itself.
    pub(super) struct Group(Option<i32>);

    impl Group {
        pub(super) fn of(child: &tokio::process::Child) -> Self {
            let number = child.id().and_then(|id| i32::try_from(id).ok());
            running().extend(number);
            Self(number)
        }

        /// The command was waited for: its number may be another's from now on.
        pub(super) fn disarm(mut self) {
            if let Some(number) = self.0.take() {
                running().remove(&number);
            }
        }
    }

    impl Drop for Group {
        fn drop(&mut self) {
            if let Some(number) = self.0 {
                end(number);
                running().remove(&number);
            }
        }
    }

    /// Ends all commands that run now, with all that they started: for a program that is about to exit without
    /// letting anything come to its end.
    pub fn end_commands() {
        for number in std::mem::take(&mut *running()) {
            end(number);
        }
    }
}

#[cfg(not(unix))]
mod group {
    /// Systems without process groups end the command alone, as its handle is dropped.
    pub(super) struct Group;

    impl Group {
        pub(super) fn of(_: &tokio::process::Child) -> Self {
            Self
        }

        pub(super) fn disarm(self) {}
    }

    /// Nothing: see [`Group`].
    pub fn end_commands() {}
}

use group::Group;
pub use group::end_commands;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::SecretCommand;
    use crate::secrets::Secret;

    fn shell(script: &str) -> SecretCommand {
        SecretCommand::new(["sh", "-c", script].map(str::to_owned).to_vec())
    }

    #[tokio::test]
    async fn what_is_withheld_is_not_in_its_environment() {
        // Cargo sets it for every test.
        let name = "CARGO_PKG_NAME".to_owned();
        let mut command = shell("printf %s \"$CARGO_PKG_NAME/${PATH:+path}\"");
        assert_eq!(**command.ask().await.unwrap(), *b"setpoint/path");
        command.withhold(&BTreeSet::from([name]));
        assert_eq!(**command.ask().await.unwrap(), *b"/path");
    }

    #[tokio::test]
    async fn what_it_repeats_of_the_secret_is_not_shown_in_any_form() {
        let secret = Secret::new("gloas-fake/secret");
        for script in [
            "cat >&2; exit 3",
            "set -x; read s; echo \"$s\" >&2; exit 3",
            "base64 >&2; exit 3",
            "od -An -tx1 | tr -d ' \\n' >&2; exit 3",
            "sed s,/,%2F, >&2; exit 3",
        ] {
            let error = shell(script).give(&secret).await.unwrap_err();
            assert!(error.message.ends_with("it may hold the secret"), "{script}: {error}");
            assert_eq!(error.said, None);
        }
        let error = shell("echo no such path >&2; exit 1").give(&secret).await.unwrap_err();
        assert!(error.message.ends_with(":\n  no such path"), "{error}");
    }

    #[tokio::test]
    async fn what_it_leaves_running_with_its_output_open_is_not_waited_for() {
        let begun = std::time::Instant::now();
        let said = shell("sleep 20 & printf gloas-fake").ask().await.unwrap();
        assert_eq!(*said, b"gloas-fake");
        shell("sleep 20 & cat > /dev/null")
            .give(&Secret::new("gloas-fake"))
            .await
            .unwrap();
        let error = shell("sleep 20 & echo no such path >&2; exit 1")
            .ask()
            .await
            .unwrap_err();
        assert_eq!(error.said.as_deref(), Some("\n  no such path"));
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    }

    #[cfg(unix)]
    #[test]
    fn a_bare_name_is_not_looked_for_in_the_current_folder() {
        // The tests run in the package's folder, which has a `src`.
        assert!(SecretCommand::new(vec!["Cargo.toml".to_owned()]).is_there().is_err());
        assert!(SecretCommand::new(vec!["sh".to_owned()]).is_there().is_ok());
        assert!(SecretCommand::new(vec!["./src".to_owned()]).is_there().is_err());
    }

    #[test]
    fn debug_shows_no_argument() {
        let shown = format!("{:?}", shell("canary"));
        assert!(shown.contains("sh") && !shown.contains("canary"), "{shown}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_it_started_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
        let error = shell(&script).run(None, Duration::from_secs(2)).await.unwrap_err();
        assert!(error.message.contains("stopped"), "{error}");
        let child = std::fs::read_to_string(&file).unwrap();
        let place = format!("/proc/{}/stat", child.trim());
        // Killed is not yet gone: its new parent has to take note.
        let is_over = || std::fs::read_to_string(&place).map_or(true, |stat| stat.contains(") Z"));
        for _ in 0..1000 {
            if is_over() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it still runs: {place}");
    }
}
