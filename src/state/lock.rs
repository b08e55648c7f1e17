//! Taking the lock on the record.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Actor, LockInfo, StateError, random_id};

impl LockInfo {
    /// A lock that this process is about to take.
    pub fn new(command: &str, actor: &Actor, now: Timestamp) -> Result<Self, StateError> {
        Ok(Self {
            id: random_id()?,
            who: actor.who(),
            pid: Some(std::process::id()),
            host: Some(actor.host.clone()),
            command: command.to_owned(),
            created: now.to_string(),
        })
    }
}

/// Tries to take a lock, again and again until the time is over. An attempt gives what was taken, or who holds it.
pub(super) async fn within<T, F>(
    timeout: Duration,
    every: Duration,
    place: &str,
    attempt: impl Fn() -> F,
) -> Result<T, StateError>
where
    F: Future<Output = Result<Result<T, Option<LockInfo>>, StateError>>,
{
    let deadline = Instant::now() + timeout;
    loop {
        let holder = match attempt().await? {
            Ok(taken) => return Ok(taken),
            Err(holder) => holder,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(StateError::Locked {
                place: place.to_owned(),
                holder: holder.map(Box::new),
            });
        }
        tokio::time::sleep(left.min(every)).await;
    }
}

/// Who holds a lock, as far as that can be told without taking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    Nobody,
    Held(LockInfo),
    /// The store has no answer: Terraform's protocol has no question for it.
    Unknown,
}
