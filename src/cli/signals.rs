//! Ctrl-C, SIGTERM and SIGHUP: the first interrupts the use case, the second ends the program on the spot.
//!
//! They are listened to on a thread of their own, so that they are heard while the use case waits for what cannot be given
//! up: a file on a network share that does not answer, the resolver. As long as nothing is written, one interrupt is enough
//! there too, after a while.
//!
//! SIGHUP is what is left of a terminal that was closed, in the middle of a change window perhaps: the requests under way
//! are finished and recorded then as well. Under `nohup`, which ignores it, it stays ignored.

use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use super::term;
use crate::app::error::{Failure, Result};
use crate::app::exit::Exit;
use crate::app::interrupts::{self, Interrupter, Interrupts};
use crate::secrets;

/// How long a use case that has written nothing may take to end, its web sessions and its lock included.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a last word may take.
const A_MOMENT: Duration = Duration::from_secs(1);

/// Listens until the program ends.
pub(crate) fn listen() -> Result<Interrupts> {
    let deaf = |error: &std::io::Error| Failure::of(error).context("signals cannot be watched");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| deaf(&error))?;
    let signals = {
        let _guard = runtime.enter();
        Signals::new().map_err(|error| deaf(&error))?
    };
    let (interrupter, interrupts) = interrupts::channel();
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(hear(signals, interrupter)))
        .map_err(|error| deaf(&error))?;
    Ok(interrupts)
}

async fn hear(mut signals: Signals, interrupter: Interrupter) {
    signals.next().await;
    if interrupter.interrupt() {
        let _told = tell(
            "\nInterrupted. What is under way is finished and recorded, nothing new begins.\n\
             Interrupt again to end at once.\n",
        );
        signals.next().await;
    } else if tokio::time::timeout(PATIENCE, signals.next()).await.is_err() {
        let told = tell(
            "error: interrupted before anything was changed; what does not answer, a file or a name, is not waited for\n",
        );
        let _ = told.recv_timeout(A_MOMENT);
    }
    secrets::end_commands();
    std::process::exit(Exit::Interrupted.code().into());
}

/// Whoever reads standard error may have stopped reading, which must not keep the next signal from being heard.
fn tell(text: &'static str) -> Receiver<()> {
    let (sender, told) = sync_channel(1);
    std::thread::spawn(move || {
        term::err(text);
        let _ = sender.send(());
    });
    told
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// None where it is ignored.
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: hangup_counts().then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = hung_up(self.hangup.as_mut()) => {}
        }
    }
}

#[cfg(unix)]
async fn hung_up(hangup: Option<&mut tokio::signal::unix::Signal>) {
    match hangup {
        Some(hangup) => drop(hangup.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether the program was started with SIGHUP not ignored. Only Linux tells; elsewhere the signal keeps its default,
/// which ends the program on the spot, and the next run goes on from the record.
#[cfg(unix)]
fn hangup_counts() -> bool {
    const HANGUP_BIT: u64 = 1;
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return false;
    };
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & HANGUP_BIT == 0)
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
