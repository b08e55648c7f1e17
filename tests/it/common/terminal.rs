//! The real binary on a pseudo-terminal of its own: what it shows can be waited for, and a person's keys be pressed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::Fixture;

/// Nothing takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(240);
/// Linux: `O_NOCTTY`; the terminal is the child's, not ours.
const NO_CONTROLLING_TERMINAL: i32 = 0o400;

/// A terminal with the binary on it.
pub(crate) struct Terminal {
    child: Child,
    keys: File,
    screen: Arc<Mutex<Vec<u8>>>,
    /// Ends by itself: the last process that has the terminal open takes it away.
    reader: JoinHandle<()>,
    seen: usize,
}

impl Terminal {
    /// Starts a command line in the fixture's folder, on a terminal of so many columns.
    pub(crate) fn start(fixture: &Fixture, arguments: &[&str], columns: u16) -> Self {
        Self::of(&fixture.command(arguments), columns)
    }

    /// Starts a command in its folder and environment. Without colours, unless that says otherwise.
    pub(crate) fn of(meant: &tokio::process::Command, columns: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize {
            ws_row: 50,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let end = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(NO_CONTROLLING_TERMINAL)
            .open(name)
            .unwrap();
        let meant = meant.as_std();
        // util-linux: makes its standard input the controlling terminal, so that Ctrl-C is a signal as in a shell.
        let child = Command::new("setsid")
            .arg("--ctty")
            .arg(meant.get_program())
            .args(meant.get_args())
            .env_clear()
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
            .envs(meant.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(meant.get_current_dir().unwrap())
            .stdin(Stdio::from(end.try_clone().unwrap()))
            .stdout(Stdio::from(end.try_clone().unwrap()))
            .stderr(Stdio::from(end))
            .spawn()
            .unwrap();
        let keys = File::from(master);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut output, shown) = (keys.try_clone().unwrap(), Arc::clone(&screen));
        let reader = std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut chunk) {
                shown.lock().unwrap().extend_from_slice(&chunk[..read]);
            }
        });
        Self {
            child,
            keys,
            screen,
            reader,
            seen: 0,
        }
    }

    /// Everything so far.
    pub(crate) fn all(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).replace("\r\n", "\n")
    }

    /// Waits until a text is shown that was not there at the last call, and gives what was shown up to its end.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            let ended = self.reader.is_finished();
            let all = self.all();
            let new = &all[self.seen..];
            if let Some(at) = new.find(text) {
                let shown = new[..at + text.len()].to_owned();
                self.seen += shown.len();
                return shown;
            }
            assert!(
                !ended && begun.elapsed() < PATIENCE,
                "{text:?} was not shown (ended: {ended}) in\n{new}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Types a line.
    pub(crate) fn line(&mut self, text: &str) {
        self.type_in(&format!("{text}\n"));
    }

    /// Types what is no line yet.
    pub(crate) fn type_in(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).unwrap();
    }

    /// Whether the terminal shows what is typed.
    pub(crate) fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.keys).unwrap().local_modes;
        modes.contains(LocalModes::ECHO) && !modes.contains(LocalModes::ECHONL)
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&mut self) {
        self.type_in("\u{3}");
    }

    /// Waits for the end: the exit code, and everything that was shown. The terminal is left as it was found.
    pub(crate) async fn end(mut self) -> (Option<i32>, String) {
        let begun = Instant::now();
        loop {
            // What it said last may still be on its way through the terminal when it has ended.
            if self.reader.is_finished()
                && let Some(status) = self.child.try_wait().unwrap()
            {
                assert!(self.echoes(), "it left a terminal that shows nothing");
                return (status.code(), self.all());
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end:\n{}", self.all());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
