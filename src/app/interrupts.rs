//! Interrupts in two stages. While nothing has been written yet the first ends the use case; while a plan is carried out
//! it lets the requests under way finish and be recorded, and begins nothing new.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::error::{Failure, Result};
use crate::executor::{Stop, StopReason};

/// The end at which a use case looks whether it was interrupted.
pub(crate) struct Interrupts {
    stop: Arc<Stop>,
    stage: Arc<Mutex<Stage>>,
    interrupted: watch::Receiver<bool>,
}

/// The end at which it is interrupted.
pub(crate) struct Interrupter {
    stop: Arc<Stop>,
    stage: Arc<Mutex<Stage>>,
    interrupted: watch::Sender<bool>,
}

/// What an interrupt meets. It decides and is decided under one lock, so that no write begins after an interrupt that
/// was answered with "nothing was changed".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Reading,
    Writing,
    Ended,
}

pub(crate) fn channel() -> (Interrupter, Interrupts) {
    let (sender, receiver) = watch::channel(false);
    let interrupts = Interrupts {
        stop: Arc::default(),
        stage: Arc::default(),
        interrupted: receiver,
    };
    let interrupter = Interrupter {
        stop: Arc::clone(&interrupts.stop),
        stage: Arc::clone(&interrupts.stage),
        interrupted: sender,
    };
    (interrupter, interrupts)
}

impl Interrupter {
    /// Interrupts. Gives whether something is being written, which is finished and recorded first.
    pub(crate) fn interrupt(&self) -> bool {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        let writing = *stage == Stage::Writing;
        if writing {
            self.stop.request(StopReason::Interrupted);
        } else {
            *stage = Stage::Ended;
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

    /// From here on the first interrupt asks the executor to stop; after one nothing is begun.
    pub(crate) fn writing_begins(&self) -> Result<()> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if *stage == Stage::Ended {
            return Err(before_any_change());
        }
        *stage = Stage::Writing;
        Ok(())
    }

    /// Does something that may be given up at any point because it writes to neither side.
    pub(crate) async fn guard<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            ended = work => ended,
            () = self.first() => Err(before_any_change()),
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

fn before_any_change() -> Failure {
    Failure::new("interrupted before anything was changed")
}

#[cfg(test)]
mod tests {
    use super::channel;
    use crate::executor::StopReason;

    #[test]
    fn an_interrupt_before_the_first_write_keeps_it_from_beginning() {
        let (interrupter, interrupts) = channel();
        assert!(!interrupter.interrupt());
        assert!(interrupts.writing_begins().is_err());
        assert_eq!(interrupts.stop().requested(), None);
    }

    #[test]
    fn an_interrupt_among_writes_lets_them_finish() {
        let (interrupter, interrupts) = channel();
        interrupts.writing_begins().unwrap();
        assert!(interrupter.interrupt());
        assert_eq!(interrupts.stop().requested(), Some(StopReason::Interrupted));
    }
}
