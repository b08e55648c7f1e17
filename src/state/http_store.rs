//! The record behind Terraform's HTTP backend protocol, as GitLab-managed Terraform state and others speak it: `GET`,
//! `POST` with the lock's id, and two methods for the lock (OpenTofu: `internal/backend/remote-state/http/client.go`;
//! GitLab: `lib/api/terraform/state.rb`).
//!
//! The protocol has no conditional write. So what was read last is remembered, and a record that was made from anything
//! else is refused; after the lock was taken, the first write reads again.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use super::{LockInfo, StateError, StateStore, check_ancestor, parse, successor};
use crate::http::{Client, Error, Method, Request, Response, StatusCode};
use crate::model::RecordedState;

/// How often a held lock is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// How often a request is sent whose answer gets lost.
const ATTEMPTS: u32 = 3;
/// The largest record that is read, in bytes: a hundred thousand repositories fit.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Addresses and methods of a backend.
#[derive(Debug, Clone)]
pub struct HttpBackend {
    /// Read with `GET`, written with `POST`.
    pub url: Url,
    /// Where the lock is taken.
    pub lock_url: Url,
    /// Where it is given back.
    pub unlock_url: Url,
    /// `LOCK`, or `POST` for GitLab's own state.
    pub lock_method: String,
    /// `UNLOCK`, or `DELETE` for GitLab's own state.
    pub unlock_method: String,
    /// The name, without its number, of the local file that a damaged record is saved in.
    pub aside: PathBuf,
}

/// A record behind HTTP.
#[derive(Debug)]
pub struct HttpStore {
    client: Client,
    backend: HttpBackend,
    lock_method: Method,
    unlock_method: Method,
    held: Mutex<Option<LockInfo>>,
    /// What the store held when it was last read or written.
    seen: Mutex<Option<Seen>>,
}

/// Lineage and serial of the stored record; none where there was none.
type Seen = Option<(String, u64)>;

/// What came of one attempt to take the lock.
enum Attempt {
    Taken,
    Held(Option<LockInfo>),
}

impl HttpStore {
    /// A store at this backend. The client is bound to its origin and has its credential; nothing is sent yet.
    pub fn new(client: Client, backend: HttpBackend) -> Result<Self, StateError> {
        let method =
            |name: &str| Method::from_bytes(name.as_bytes()).map_err(|_| StateError::Method { name: name.to_owned() });
        Ok(Self {
            lock_method: method(&backend.lock_method)?,
            unlock_method: method(&backend.unlock_method)?,
            client,
            backend,
            held: Mutex::new(None),
            seen: Mutex::new(None),
        })
    }

    fn held(&self) -> MutexGuard<'_, Option<LockInfo>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Option<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self) -> Result<Option<Vec<u8>>, StateError> {
        let request = Request::new(Method::GET, self.backend.url.clone()).limit(MAX_BYTES);
        let answer = self.client.send(request).await.map_err(StateError::Backend)?;
        match answer.status() {
            StatusCode::NOT_FOUND | StatusCode::NO_CONTENT => Ok(None),
            status if status.is_success() && answer.body().trim_ascii().is_empty() => Ok(None),
            status if status.is_success() && answer.is_html() => Err(StateError::Backend(
                answer
                    .unexpected(format!(
                        "{} answered {} with a web page instead of a record",
                        self.place(),
                        answer.label()
                    ))
                    .with_hint("check state.url"),
            )),
            status if status.is_success() => Ok(Some(answer.body().to_vec())),
            _ => Err(StateError::Backend(answer.error())),
        }
    }

    /// Sends the record once.
    async fn post(&self, record: &RecordedState) -> Result<(), StateError> {
        let id = self.held().as_ref().map(|held| held.id.clone());
        let locked = id.is_some();
        let request = Request::new(Method::POST, self.backend.url.clone())
            .query(id.map(|id| ("ID", id)))
            .json(record)
            .map_err(StateError::Backend)?;
        let answer = self.client.send(request).await.map_err(StateError::Backend)?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            StatusCode::CONFLICT | StatusCode::LOCKED | StatusCode::PRECONDITION_FAILED => {
                let why = match holder_in(&answer) {
                    Some(holder) => format!("it is held by {holder}"),
                    None => answer
                        .reason()
                        .unwrap_or_else(|| format!("the backend answered {}", answer.status())),
                };
                Err(StateError::LockLost {
                    place: self.place(),
                    why,
                })
            }
            // GitLab keeps one version of each serial (GitLab: app/models/terraform/state_version.rb).
            StatusCode::UNPROCESSABLE_ENTITY if answer.text().contains("UniqueViolation") => {
                Err(StateError::Conflict {
                    place: self.place(),
                    stored: record.serial,
                    ours: record.serial.saturating_sub(1),
                })
            }
            // GitLab does not catch that the lock is another's (GitLab: app/services/terraform/remote_state_handler.rb).
            StatusCode::INTERNAL_SERVER_ERROR if locked => Err(StateError::Backend(answer.error().with_hint(
                "GitLab answers this where somebody else released or took the lock; run the command again",
            ))),
            _ => Err(StateError::Backend(answer.error())),
        }
    }

    /// Whether the store holds exactly this record: what a write whose answer was lost has left.
    async fn holds(&self, record: &RecordedState) -> Result<bool, StateError> {
        let stored = self.read().await?;
        Ok(stored.as_ref() == Some(record))
    }

    async fn try_lock(&self, info: &LockInfo) -> Result<Attempt, StateError> {
        let mut lost = 0;
        loop {
            let request = Request::new(self.lock_method.clone(), self.backend.lock_url.clone())
                .json(info)
                .map_err(StateError::Backend)?;
            let answer = match self.client.send(request).await {
                Ok(answer) => answer,
                Err(error) if error.may_have_been_processed() && lost < ATTEMPTS => {
                    lost += 1;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
                Err(error) => return Err(StateError::Backend(error)),
            };
            return match answer.status() {
                status if status.is_success() => Ok(Attempt::Taken),
                StatusCode::LOCKED | StatusCode::CONFLICT => match holder_in(&answer) {
                    // The answer to an earlier attempt of ours was lost; the lock was not.
                    Some(holder) if holder.id == info.id => Ok(Attempt::Taken),
                    // A backend that does not say who: it lets the lock go by our id only if the lock is ours.
                    None if lost > 0 && self.release(&info.id).await.is_ok() => {
                        lost = 0;
                        continue;
                    }
                    holder => Ok(Attempt::Held(holder.map(without_echo))),
                },
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                    Err(StateError::Backend(answer.error().with_hint(
                        "the backend does not know this lock address or method; check state.lock_url and state.lock_method",
                    )))
                }
                _ => Err(StateError::Backend(answer.error())),
            };
        }
    }

    /// Deletes the record, so that a new history can begin: GitLab takes each serial once. With the record GitLab
    /// deletes its lock, which is taken again. A backend that cannot delete is overwritten by the next write.
    async fn purge(&self) -> Result<(), StateError> {
        let request = Request::new(Method::DELETE, self.backend.url.clone());
        let answer = self.client.send(request).await.map_err(StateError::Backend)?;
        let held = self.held().clone();
        if let (true, Some(info)) = (answer.status().is_success(), held)
            && let Attempt::Held(holder) = self.try_lock(&info).await?
            && holder.is_none_or(|holder| holder.id != info.id)
        {
            return Err(StateError::LockLost {
                place: self.place(),
                why: "it went with the damaged record, and another run took it".to_owned(),
            });
        }
        *self.seen() = Some(None);
        Ok(())
    }

    /// Gives a lock back by its id. That it is gone already is no error after an answer was lost.
    async fn release(&self, id: &str) -> Result<(), StateError> {
        let mut lost = 0;
        loop {
            let info = self.held().clone().filter(|held| held.id == id);
            let info = info.unwrap_or_else(|| LockInfo::of_id(id));
            let request = Request::new(self.unlock_method.clone(), self.backend.unlock_url.clone())
                .query([("ID", id)])
                .json(&info)
                .map_err(StateError::Backend)?;
            let answer = match self.client.send(request).await {
                Ok(answer) => answer,
                Err(error) if error.may_have_been_processed() && lost < ATTEMPTS => {
                    lost += 1;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
                Err(error) => return Err(StateError::Backend(error)),
            };
            return match answer.status() {
                status if status.is_success() => Ok(()),
                StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::LOCKED => match holder_in(&answer) {
                    Some(held) if held.id != id && !held.id.is_empty() => Err(StateError::OtherLock {
                        place: self.place(),
                        asked: id.to_owned(),
                        held: Box::new(held),
                    }),
                    _ if lost > 0 => Ok(()),
                    _ => Err(StateError::NotLocked { place: self.place() }),
                },
                _ => Err(StateError::Backend(answer.error())),
            };
        }
    }
}

/// The holder of the lock, where a refusal says so. Terraform's backends put the lock's information into the body.
fn holder_in(answer: &Response) -> Option<LockInfo> {
    let info: LockInfo = serde_json::from_slice(answer.body()).ok()?;
    (!info.id.is_empty()).then_some(info)
}

/// GitLab keeps the holder's id, account and time only, and answers the rest in the words of whoever asks.
fn without_echo(mut holder: LockInfo) -> LockInfo {
    if holder.pid == Some(std::process::id()) {
        holder.pid = None;
        holder.command.clear();
    }
    holder
}

/// Whether the backend may have taken a write whose success was not seen.
fn uncertain(error: &StateError) -> Option<&Error> {
    match error {
        StateError::Backend(error) if error.may_have_been_processed() => Some(error),
        _ => None,
    }
}

#[async_trait]
impl StateStore for HttpStore {
    fn place(&self) -> String {
        let mut url = self.backend.url.clone();
        url.set_query(None);
        // Of a URL that has them, which the configuration refuses.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.to_string()
    }

    async fn read(&self) -> Result<Option<RecordedState>, StateError> {
        let record = match self.fetch().await? {
            Some(bytes) => Some(parse(&bytes, &self.place())?),
            None => None,
        };
        *self.seen() = Some(record.as_ref().map(|record| (record.lineage.clone(), record.serial)));
        Ok(record)
    }

    async fn write(&self, record: &mut RecordedState) -> Result<(), StateError> {
        if self.seen().is_none() {
            self.read().await?;
        }
        let seen = self.seen().clone().flatten();
        if let Some((lineage, serial)) = seen {
            check_ancestor(&lineage, serial, record, &self.place())?;
        }
        let next = successor(record);
        let mut attempt = 1;
        loop {
            let Err(error) = self.post(&next).await else { break };
            if uncertain(&error).is_none() {
                return Err(error);
            }
            // It may have been taken: what is stored says so. Sending the same serial blindly a second time is
            // refused by GitLab, which keeps one version of each.
            match self.holds(&next).await {
                Ok(true) => break,
                Ok(false) if attempt < ATTEMPTS => attempt += 1,
                Ok(false) => return Err(error),
                Err(_) => {
                    *self.seen() = None;
                    return Err(error);
                }
            }
            let seen = self.seen().clone().flatten();
            if let Some((lineage, serial)) = seen {
                check_ancestor(&lineage, serial, record, &self.place())?;
            }
        }
        *self.seen() = Some(Some((next.lineage.clone(), next.serial)));
        *record = next;
        Ok(())
    }

    async fn lock(&self, info: &LockInfo, timeout: Duration) -> Result<(), StateError> {
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            match self.try_lock(info).await? {
                Attempt::Taken => {
                    *self.held() = Some(info.clone());
                    // What was read before may have been written by the last holder.
                    *self.seen() = None;
                    return Ok(());
                }
                Attempt::Held(holder) => {
                    let left = deadline.saturating_duration_since(tokio::time::Instant::now());
                    if left.is_zero() {
                        return Err(StateError::Locked {
                            place: self.place(),
                            holder: holder.map(Box::new),
                        });
                    }
                    tokio::time::sleep(left.min(RETRY_EVERY)).await;
                }
            }
        }
    }

    async fn unlock(&self, id: &str) -> Result<(), StateError> {
        self.release(id).await?;
        self.held().take_if(|held| held.id == id);
        Ok(())
    }

    /// The protocol has no question for it: only our own lock is known.
    async fn holder(&self) -> Result<Option<LockInfo>, StateError> {
        Ok(self.held().clone())
    }

    /// Saved in a local file, for the protocol has no second place.
    async fn set_aside(&self) -> Result<Option<PathBuf>, StateError> {
        let Some(bytes) = self.fetch().await? else {
            return Ok(None);
        };
        let aside = super::file::free_name(&self.backend.aside);
        super::file::replace(&aside, &bytes)?;
        self.purge().await?;
        Ok(Some(aside))
    }
}

#[cfg(test)]
#[cfg(feature = "sandbox")]
#[path = "http_store_tests.rs"]
mod tests;
