//! The record behind Terraform's HTTP backend protocol, as GitLab-managed Terraform state and others speak it: `GET`,
//! `POST` with the lock's id, and two methods for the lock (OpenTofu: `internal/backend/remote-state/http/client.go`;
//! GitLab: `lib/api/terraform/state.rb`).
//!
//! The protocol has no conditional write. So what was read last is remembered, and a record that was made from anything
//! else is refused; after the lock was taken, the first write reads again.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use url::Url;

use super::{
    Holder, LockInfo, MAX_SERIAL, StateError, StateStore, check_ancestor, condition, file, lock, next, parse, render,
    salvaged_serial,
};
use crate::http::{self, Client, Method, Peer, Request, Response, Side, StatusCode};
use crate::model::RecordedState;

/// How often a held lock is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// How often a request is sent whose answer gets lost.
const ATTEMPTS: u32 = 3;
/// How long a run waits in all for answers that do not come, before it sends each request once only. A client waits for
/// one answer up to a minute, so without this a silent backend would cost minutes with each thing that is asked of it.
const PATIENCE: Duration = Duration::from_secs(120);
/// The largest record that is read, in bytes: a hundred thousand repositories fit.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The backend's server, as messages call it.
pub static PEER: Peer = Peer {
    side: Side::Other,
    name: "The server",
    url_key: "state.url",
    section: "state",
    meaning: |_, _| None,
};

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
    /// The name, without its ending, of the local file that a replaced record is kept in.
    pub errored: PathBuf,
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
    /// What is left of the patience.
    patience: Mutex<Duration>,
}

/// Lineage and serial of the stored record; none where there was none.
type Seen = Option<(String, u64)>;

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
            patience: Mutex::new(PATIENCE),
        })
    }

    fn held(&self) -> MutexGuard<'_, Option<LockInfo>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Option<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request whose answer got lost after that long is sent again.
    fn is_patient(&self, took: Duration) -> bool {
        let mut patience = self.patience.lock().unwrap_or_else(PoisonError::into_inner);
        *patience = patience.saturating_sub(took);
        !patience.is_zero()
    }

    /// The stored text; none only where the backend itself says that there is none. What something in between answers
    /// must never begin a record anew where there is one.
    async fn fetch(&self) -> Result<Option<Vec<u8>>, StateError> {
        let request = Request::new(Method::GET, self.backend.url.clone()).limit(MAX_BYTES);
        let answer = self.client.send(request).await.map_err(StateError::Backend)?;
        match answer.status() {
            status if answer.is_html() && (status.is_success() || status == StatusCode::NOT_FOUND) => {
                Err(self.web_page(&answer))
            }
            StatusCode::NOT_FOUND if self.says_that_nothing_is_stored(&answer) => Ok(None),
            StatusCode::NOT_FOUND => Err(self.unanswered(&answer)),
            // Of a state that was locked and never written, GitLab has an entry without a version.
            StatusCode::NO_CONTENT if self.is_gitlabs() => Ok(None),
            status if status.is_success() && answer.body().trim_ascii().is_empty() => Err(self.unanswered(&answer)),
            status if status.is_success() => Ok(Some(answer.body().to_vec())),
            _ => Err(StateError::Backend(answer.error())),
        }
    }

    /// Whether it is GitLab-managed Terraform state, whose answers are known word by word.
    fn is_gitlabs(&self) -> bool {
        self.backend.url.path().contains("/terraform/state/")
    }

    /// Whether a 404 is the backend's own. GitLab says so of the state, and in other words of a project that the
    /// credential may not see (GitLab: `lib/api/helpers.rb`); to take a lock is to make an entry, so that a 404 under
    /// one's own lock is of a replica that is behind. Others answer nothing or JSON; a plain text is a proxy's.
    fn says_that_nothing_is_stored(&self, answer: &Response) -> bool {
        let body: Option<serde_json::Value> = serde_json::from_slice(answer.body()).ok();
        if self.is_gitlabs() {
            let message = body.as_ref().and_then(|body| body["message"].as_str());
            return self.held().is_none()
                && message.is_some_and(|message| message.eq_ignore_ascii_case("404 Not found"));
        }
        answer.body().is_empty() || body.is_some_and(|body| body.is_object())
    }

    fn unanswered(&self, answer: &Response) -> StateError {
        let said = answer
            .said()
            .text
            .map_or_else(String::new, |reason| format!(" ({reason})"));
        StateError::Unanswered {
            place: self.place(),
            answer: format!(
                "{} was answered {}{said}, by something in between perhaps",
                answer.label(),
                answer.status()
            ),
        }
    }

    /// A web page is nobody's answer here, whatever its status: what stands before the backend wants a sign-in, perhaps.
    fn web_page(&self, answer: &Response) -> StateError {
        let message = format!(
            "{} answered {} with a web page, as no state backend does",
            self.place(),
            answer.label()
        );
        StateError::Backend(answer.unexpected(message).with_hint("check state.url"))
    }

    /// Sends the record once.
    async fn post(&self, record: &RecordedState) -> Result<(), StateError> {
        let lock_lost = |why| StateError::LockLost {
            place: self.place(),
            why,
        };
        let id = self.held().as_ref().map(|held| held.id.clone());
        let request = Request::new(Method::POST, self.backend.url.clone())
            .query(id.map(|id| ("ID", id)))
            .json_text(render(record)?);
        let answer = self.client.send(request).await.map_err(StateError::Backend)?;
        match answer.status() {
            status if status.is_success() && answer.is_html() => Err(self.web_page(&answer)),
            status if status.is_success() => Ok(()),
            StatusCode::CONFLICT | StatusCode::LOCKED | StatusCode::PRECONDITION_FAILED => {
                let why = match holder_in(&answer) {
                    Some(holder) => format!("it is held by {holder}"),
                    None => answer
                        .said()
                        .text
                        .map_or_else(|| format!("the backend answered {}", answer.status()), String::from),
                };
                Err(lock_lost(why))
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
            StatusCode::INTERNAL_SERVER_ERROR => match self.lock_was_lost().await {
                Some(why) => Err(lock_lost(why)),
                None => Err(StateError::Backend(answer.error())),
            },
            _ => Err(StateError::Backend(answer.error())),
        }
    }

    /// Whether the lock that we took is no longer ours, and what became of it. Asking for it again tells; where it was
    /// free it is let go again, for whoever released it did so to stop this run.
    async fn lock_was_lost(&self) -> Option<String> {
        let info = self.held().clone()?;
        let request = Request::new(self.lock_method.clone(), self.backend.lock_url.clone())
            .json(&info)
            .ok()?;
        let answer = self.client.send(request).await.ok()?;
        match answer.status() {
            status if status.is_success() && !answer.is_html() => {
                let _ = self.release(&info.id).await;
                Some("somebody released it".to_owned())
            }
            StatusCode::LOCKED | StatusCode::CONFLICT => holder_in(&answer)
                .filter(|holder| holder.id != info.id)
                .map(|holder| format!("it is held by {}", without_echo(holder))),
            _ => None,
        }
    }

    /// Sends a record that takes the place of the one it was made from, or of anything at all. One whose answer was lost
    /// is looked up before it is sent again: a serial that GitLab has already is refused.
    async fn put(&self, next: &RecordedState, made_from: Option<&RecordedState>) -> Result<(), StateError> {
        let mut attempt = 1;
        loop {
            let begun = Instant::now();
            let Err(error) = self.post(next).await else { break };
            if !is_uncertain(&error) {
                return Err(error);
            }
            let again = self.is_patient(begun.elapsed()) && attempt < ATTEMPTS;
            match (self.read().await, made_from) {
                (Ok(stored), _) if stored.as_ref() == Some(next) => break,
                (Ok(_), _) | (Err(_), None) if again => attempt += 1,
                (Ok(_), _) => return Err(error),
                (Err(_), _) => {
                    *self.seen() = None;
                    return Err(error);
                }
            }
            if let (Some((lineage, serial)), Some(record)) = (self.seen().clone().flatten(), made_from) {
                check_ancestor(&lineage, serial, record, &self.place())?;
            }
        }
        *self.seen() = Some(Some((next.lineage.clone(), next.serial)));
        Ok(())
    }

    /// Sends a request that may be repeated, and again where its answer gets lost. Whether one was lost is given too.
    async fn insist(&self, request: impl Fn() -> http::Result<Request>) -> Result<(Response, bool), StateError> {
        let mut lost = 0;
        loop {
            let begun = Instant::now();
            match self.client.send(request().map_err(StateError::Backend)?).await {
                Ok(answer) => return Ok((answer, lost > 0)),
                Err(error)
                    if error.may_have_been_processed() && lost < ATTEMPTS && self.is_patient(begun.elapsed()) =>
                {
                    lost += 1;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(StateError::Backend(error)),
            }
        }
    }

    /// One attempt: the lock, or who holds it.
    async fn try_lock(&self, info: &LockInfo) -> Result<Result<(), Option<LockInfo>>, StateError> {
        loop {
            let (answer, lost) = self
                .insist(|| Request::new(self.lock_method.clone(), self.backend.lock_url.clone()).json(info))
                .await?;
            return match answer.status() {
                status if status.is_success() && answer.is_html() => Err(self.web_page(&answer)),
                status if status.is_success() => Ok(Ok(())),
                StatusCode::LOCKED | StatusCode::CONFLICT => match holder_in(&answer) {
                    // The answer to an earlier attempt of ours was lost; the lock was not.
                    Some(holder) if holder.id == info.id => Ok(Ok(())),
                    // A backend that does not say who: it lets the lock go by our id only if the lock is ours.
                    None if lost && self.release(&info.id).await.is_ok() => continue,
                    holder => Ok(Err(holder.map(without_echo))),
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

    /// Gives a lock back by its id. That it is gone already is no error after an answer was lost.
    async fn release(&self, id: &str) -> Result<(), StateError> {
        let info = self.held().clone().filter(|held| held.id == id);
        let info = info.unwrap_or_else(|| LockInfo::of_id(id));
        let request = || {
            Request::new(self.unlock_method.clone(), self.backend.unlock_url.clone())
                .query([("ID", id)])
                .json(&info)
        };
        let (answer, lost) = self.insist(request).await?;
        match answer.status() {
            status if status.is_success() && answer.is_html() => Err(self.web_page(&answer)),
            status if status.is_success() => Ok(()),
            // In HTML it is not the backend that says so.
            StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::LOCKED if !answer.is_html() => {
                match holder_in(&answer) {
                    Some(held) if held.id != id && !held.id.is_empty() => Err(StateError::OtherLock {
                        place: self.place(),
                        asked: id.to_owned(),
                        held: Box::new(held),
                    }),
                    _ if lost => Ok(()),
                    _ => Err(StateError::NotLocked { place: self.place() }),
                }
            }
            _ => Err(StateError::Backend(answer.error())),
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
fn is_uncertain(error: &StateError) -> bool {
    matches!(error, StateError::Backend(error) if error.may_have_been_processed())
}

#[async_trait]
impl StateStore for HttpStore {
    fn client(&self) -> Option<&Client> {
        Some(&self.client)
    }

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
        let next = next(record, &self.place())?;
        self.put(&next, Some(record)).await?;
        *record = next;
        Ok(())
    }

    async fn lock(&self, info: &LockInfo, timeout: Duration) -> Result<(), StateError> {
        lock::within(timeout, RETRY_EVERY, &self.place(), || self.try_lock(info)).await?;
        *self.held() = Some(info.clone());
        // What was read before may have been written by the last holder.
        *self.seen() = None;
        Ok(())
    }

    async fn unlock(&self, id: &str) -> Result<(), StateError> {
        self.release(id).await?;
        self.held().take_if(|held| held.id == id);
        Ok(())
    }

    /// The protocol has no question for it: only our own lock is known.
    async fn holder(&self) -> Result<Holder, StateError> {
        Ok(self.held().clone().map_or(Holder::Unknown, Holder::Held))
    }

    /// Whoever was given the lock may write: GitLab asks for the same role for both.
    async fn probe(&self, _: &RecordedState) -> Result<(), StateError> {
        Ok(())
    }

    /// Kept in a local file, for the protocol has no second place. GitLab takes each serial once, serves the highest,
    /// and does not delete what is locked; so where the damage hides the serial, higher ones are tried until the new
    /// record is the one that is served (GitLab: `app/models/terraform/state.rb`, `lib/api/terraform/state.rb`).
    async fn replace(&self, record: &mut RecordedState) -> Result<Option<PathBuf>, StateError> {
        let stored = match self.fetch().await {
            // Whoever replaces it has been told, and the backend takes no serial twice.
            Err(StateError::Unanswered { .. }) => None,
            fetched => fetched?,
        };
        let kept = match &stored {
            Some(bytes) => {
                let kept = file::free_name(&self.backend.errored, condition(bytes));
                file::replace(&kept, bytes)?;
                Some(kept)
            }
            None => None,
        };
        let least = stored.as_deref().map_or(0, salvaged_serial).max(record.serial);
        let mut next = next(record, &self.place())?;
        let mut ahead = 1_u64;
        loop {
            next.serial = least.saturating_add(ahead);
            let put = self.put(&next, None).await;
            let beaten = match put {
                Ok(()) => !matches!(self.read().await, Ok(Some(stored)) if stored == next),
                Err(StateError::Conflict { .. }) => true,
                Err(error) => return Err(error),
            };
            if !beaten {
                break;
            }
            ahead = ahead.saturating_mul(8);
            if least.saturating_add(ahead) > MAX_SERIAL {
                return Err(StateError::Conflict {
                    place: self.place(),
                    stored: next.serial,
                    ours: record.serial,
                });
            }
        }
        *record = next;
        Ok(kept)
    }
}

#[cfg(test)]
#[cfg(feature = "sandbox")]
#[path = "http_store_tests.rs"]
mod tests;
