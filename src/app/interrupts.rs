//! Interrupts in two stages. While nothing has been written yet the first ends the use case; while a plan is carried out
//! it lets the requests under way finish and be recorded, and begins nothing new.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::error::{Failure, Result};
use crate::executor::{Stop, StopReason};

/// The end at which a use case looks whether it was interrupted.
pub(crate) struct Interrupts {
    stop: Arc<Stop>,
    writing: Arc<AtomicBool>,
    interrupted: watch::Receiver<bool>,
}

/// The end at which it is interrupted.
pub(crate) struct Interrupter {
    stop: Arc<Stop>,
    writing: Arc<AtomicBool>,
    interrupted: watch::Sender<bool>,
}

/// Both ends.
pub(crate) fn channel() -> (Interrupter, Interrupts) {
    let (sender, receiver) = watch::channel(false);
    let interrupts = Interrupts {
        stop: Arc::default(),
        writing: Arc::default(),
        interrupted: receiver,
    };
    let interrupter = Interrupter {
        stop: Arc::clone(&interrupts.stop),
        writing: Arc::clone(&interrupts.writing),
        interrupted: sender,
    };
    (interrupter, interrupts)
}

impl Interrupter {
    /// Interrupts. Gives whether something is being written, which is finished and recorded first.
    pub(crate) fn interrupt(&self) -> bool {
        let writing = self.writing.load(Ordering::SeqCst);
        if writing {
            self.stop.request(StopReason::Interrupted);
        }
        let _ = self.interrupted.send(true);
        writing
    }
}

impl Interrupts {
    /// What the executor looks at before it begins anything.
    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// From here on the first interrupt asks the executor to stop.
    pub(crate) fn writing_begins(&self) {
        self.writing.store(true, Ordering::SeqCst);
    }

    /// Does something that may be given up at any point because it writes to neither side.
    pub(crate) async fn guard<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            ended = work => ended,
            () = self.first() => Err(Failure::new("interrupted before anything was changed")),
        }
    }

    /// Waits for the first interrupt.
    pub(crate) async fn first(&self) {
        let mut interrupted = self.interrupted.clone();
        if interrupted.wait_for(|interrupted| *interrupted).await.is_err() {
            // Nobody is left who could interrupt.
            std::future::pending::<()>().await;
        }
    }
}
