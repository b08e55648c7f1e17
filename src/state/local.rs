//! The record as a file beside the configuration, and a lock that the operating system keeps: when its holder dies,
//! the lock is gone, whatever the lock file still says. Another machine's lock file is believed all the same, for not
//! every network file system tells one machine about the locks of another.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{
    Holder, LockInfo, StateError, StateStore, check_ancestor, condition, file, lock, next, parse, render,
    salvaged_serial,
};
use crate::files;
use crate::model::RecordedState;

/// How often a held lock is tried again.
const RETRY_EVERY: Duration = Duration::from_millis(200);

/// How long a lock is tried at least: [`LocalStore::holder`] of another process takes it for an instant to look.
const GLANCE: Duration = Duration::from_millis(100);

/// How much room there has to be for a record before a run begins, over twice its present length.
const ROOM: usize = 16 * 1024;

/// A record in a JSON file (0600), with `<file>.lock` beside it.
#[derive(Debug)]
pub struct LocalStore {
    path: PathBuf,
    held: Mutex<Option<Held>>,
    /// Whose lock file was found without a lock when ours was taken.
    left_behind: Mutex<Option<LockInfo>>,
}

/// Our own lock: the open file carries it.
#[derive(Debug)]
struct Held {
    file: File,
    info: LockInfo,
}

impl LocalStore {
    /// A store at this path. Nothing is read or created yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            held: Mutex::new(None),
            left_behind: Mutex::new(None),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn lock_path(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".lock");
        PathBuf::from(name)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One attempt: the lock, or who holds it.
    fn try_lock(&self, info: &LockInfo) -> Result<Result<Held, Option<LockInfo>>, StateError> {
        let path = self.lock_path();
        loop {
            let mut file = file::open_private(&path, false)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Err(read_holder(&mut file))),
                Err(TryLockError::Error(error)) => return Err(file::io_error("lock", &path)(error)),
            }
            // Its former holder may have removed the file between our opening and locking it.
            if !file::is_still_at(&file, &path) {
                continue;
            }
            let left = read_holder(&mut file);
            if let Some(left) = left.as_ref().filter(|left| is_elsewhere(left)) {
                return Ok(Err(Some(left.clone())));
            }
            *self.left_behind.lock().unwrap_or_else(PoisonError::into_inner) = left;
            let text = serde_json::to_vec(info).map_err(|error| StateError::Encode(error.to_string()))?;
            let written = file
                .set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| file.write_all(&text))
                .and_then(|()| file.sync_all());
            if let Err(error) = written {
                // Still locked, so that nobody else's file is removed.
                let _ = std::fs::remove_file(&path);
                return Err(file::io_error("write", &path)(error));
            }
            return Ok(Ok(Held {
                file,
                info: info.clone(),
            }));
        }
    }

    /// Whether another process holds the lock.
    fn foreign_holder(&self) -> Result<Foreign, StateError> {
        let path = self.lock_path();
        if !file::is_there(&path)? {
            return Ok(Foreign::Free);
        }
        let mut file = match files::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Foreign::Free),
            Err(error) => return Err(file::io_error("open", &path)(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(match read_holder(&mut file).filter(is_elsewhere) {
                Some(holder) => Foreign::Elsewhere(holder),
                None => Foreign::Free,
            }),
            Err(TryLockError::WouldBlock) => Ok(read_holder(&mut file).map_or(Foreign::Unnamed, Foreign::Held)),
            Err(TryLockError::Error(error)) => Err(file::io_error("lock", &path)(error)),
        }
    }
}

/// What another process has of the lock.
enum Foreign {
    Free,
    Held(LockInfo),
    /// Written by another machine, which may hold it or not.
    Elsewhere(LockInfo),
    /// Held by one that has not written its name yet.
    Unnamed,
}

/// Whether it was taken on another machine. One that does not say where it was taken is this machine's.
fn is_elsewhere(holder: &LockInfo) -> bool {
    let here = gethostname::gethostname();
    holder
        .host
        .as_deref()
        .is_some_and(|host| here.to_string_lossy() != host)
}

/// What the lock file says; none while its holder is still writing it.
fn read_holder(file: &mut File) -> Option<LockInfo> {
    let mut text = Vec::new();
    file.rewind().ok()?;
    file.take(64 * 1024).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[async_trait]
impl StateStore for LocalStore {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    async fn read(&self) -> Result<Option<RecordedState>, StateError> {
        file::read(&self.path)?
            .map(|bytes| parse(&bytes, &self.place()))
            .transpose()
    }

    async fn write(&self, record: &mut RecordedState) -> Result<(), StateError> {
        if let Some(stored) = self.read().await? {
            check_ancestor(&stored.lineage, stored.serial, record, &self.place())?;
        }
        let next = next(record, &self.place())?;
        file::replace(&self.path, &render(&next)?)?;
        *record = next;
        Ok(())
    }

    async fn lock(&self, info: &LockInfo, timeout: Duration) -> Result<(), StateError> {
        let attempt = || std::future::ready(self.try_lock(info));
        let lock = lock::within(timeout.max(GLANCE), RETRY_EVERY, &self.place(), attempt).await?;
        *self.held() = Some(lock);
        Ok(())
    }

    fn left_behind(&self) -> Option<LockInfo> {
        self.left_behind.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn unlock(&self, id: &str) -> Result<(), StateError> {
        let path = self.lock_path();
        let remove = || std::fs::remove_file(&path).map_err(file::io_error("remove", &path));
        let other = |held: LockInfo| StateError::OtherLock {
            place: self.place(),
            asked: id.to_owned(),
            held: Box::new(held),
        };
        let ours = self.held().take_if(|held| held.info.id == id);
        if let Some(lock) = ours {
            // Removed while it is still locked, so that no other process can have locked it meanwhile.
            remove()?;
            drop(lock.file);
            return Ok(());
        }
        if let Some(held) = self.held().as_ref() {
            return Err(other(held.info.clone()));
        }
        match self.foreign_holder()? {
            Foreign::Free => Err(StateError::NotLocked { place: self.place() }),
            Foreign::Held(held) | Foreign::Elsewhere(held) if held.id != id => Err(other(held)),
            Foreign::Elsewhere(_) => remove(),
            Foreign::Held(holder) => Err(StateError::HeldByProcess {
                place: self.place(),
                holder: Box::new(holder),
            }),
            Foreign::Unnamed => Err(StateError::Locked {
                place: self.place(),
                holder: None,
            }),
        }
    }

    async fn holder(&self) -> Result<Holder, StateError> {
        if let Some(held) = self.held().as_ref() {
            return Ok(Holder::Held(held.info.clone()));
        }
        Ok(match self.foreign_holder()? {
            Foreign::Free => Holder::Nobody,
            Foreign::Held(holder) | Foreign::Elsewhere(holder) => Holder::Held(holder),
            Foreign::Unnamed => Holder::Held(LockInfo::of_id("unknown")),
        })
    }

    /// A record grows while it is written to, by its announcements: twice its length has to fit, and some more.
    async fn probe(&self, record: &RecordedState) -> Result<(), StateError> {
        file::probe(&self.path, 2 * render(record)?.len() + ROOM)
    }

    async fn replace(&self, record: &mut RecordedState) -> Result<Option<PathBuf>, StateError> {
        let stored = file::read(&self.path)?;
        let kept = match &stored {
            Some(bytes) => Some(file::keep(&self.path, bytes, condition(bytes))?),
            None => None,
        };
        let mut next = next(record, &self.place())?;
        if let Some(bytes) = &stored {
            next.serial = next.serial.max(salvaged_serial(bytes).saturating_add(1));
        }
        file::replace(&self.path, &render(&next)?)?;
        *record = next;
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Holder, LocalStore, LockInfo, StateError, StateStore};
    use crate::state::new_record;

    fn info(id: &str) -> LockInfo {
        LockInfo {
            id: id.into(),
            who: "ada@host.example.com".into(),
            pid: Some(1),
            host: None,
            command: "apply".into(),
            created: "2026-01-02T03:04:05Z".into(),
        }
    }

    fn store(folder: &tempfile::TempDir) -> LocalStore {
        LocalStore::new(folder.path().join("sub/state.json"))
    }

    #[tokio::test]
    async fn the_serial_goes_up_with_each_write_and_the_file_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        assert_eq!(store.read().await.unwrap(), None);
        let mut record = new_record(false).unwrap();
        store.write(&mut record).await.unwrap();
        store.write(&mut record).await.unwrap();
        assert_eq!(record.serial, 2);
        assert_eq!(store.read().await.unwrap(), Some(record));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(store.path()), 0o600);
            assert_eq!(mode(store.path().parent().unwrap()), 0o700);
        }
        let names: Vec<_> = std::fs::read_dir(folder.path().join("sub")).unwrap().collect();
        assert_eq!(names.len(), 1, "no temporary file stays behind");
    }

    #[tokio::test]
    async fn another_history_or_a_write_in_between_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let mut record = new_record(false).unwrap();
        store.write(&mut record).await.unwrap();
        let mut stale = record.clone();
        store.write(&mut record).await.unwrap();
        let error = store.write(&mut stale).await.unwrap_err();
        assert!(
            matches!(error, StateError::Conflict { stored: 2, ours: 1, .. }),
            "{error}"
        );
        let error = store.write(&mut new_record(false).unwrap()).await.unwrap_err();
        assert!(matches!(error, StateError::OtherLineage { .. }), "{error}");
        assert_eq!(store.read().await.unwrap(), Some(record));
    }

    #[tokio::test]
    async fn a_damaged_record_is_never_overwritten_but_can_be_replaced_and_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let mut record = new_record(false).unwrap();
        store.write(&mut record).await.unwrap();
        let damaged = "{\"version\": 1, \"serial\": 41, \"li";
        std::fs::write(store.path(), damaged).unwrap();
        let error = store.write(&mut record).await.unwrap_err();
        assert!(matches!(error, StateError::Damaged { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(store.path()).unwrap(), damaged);
        let mut new = new_record(false).unwrap();
        let kept = store.replace(&mut new).await.unwrap().unwrap();
        assert!(kept.ends_with("state.json.damaged-1"), "{}", kept.display());
        assert_eq!(std::fs::read_to_string(kept).unwrap(), damaged);
        assert_eq!(new.serial, 42);
        store.write(&mut new).await.unwrap();
        let kept = store.replace(&mut new).await.unwrap().unwrap();
        assert!(kept.ends_with("state.json.replaced-1"), "{}", kept.display());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn probing_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::new(folder.path().join("a/state.json"));
        store.probe(&new_record(false).unwrap()).await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path().join("a")).unwrap().count(), 0);
        let below_a_file = folder.path().join("file");
        std::fs::write(&below_a_file, "").unwrap();
        let store = LocalStore::new(below_a_file.join("state.json"));
        let error = store.probe(&new_record(false).unwrap()).await.unwrap_err();
        assert!(matches!(error, StateError::Io { .. }), "{error}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_symbolic_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        std::fs::write(&target, "precious").unwrap();
        for name in ["state.json", "state.json.lock"] {
            std::os::unix::fs::symlink(&target, folder.path().join(name)).unwrap();
        }
        let store = LocalStore::new(folder.path().join("state.json"));
        let mut record = new_record(false).unwrap();
        assert!(matches!(store.read().await, Err(StateError::Symlink { .. })));
        assert!(matches!(
            store.write(&mut record).await,
            Err(StateError::Symlink { .. })
        ));
        let lock = store.lock(&info("1"), Duration::ZERO).await;
        assert!(matches!(lock, Err(StateError::Symlink { .. })));
        assert_eq!(std::fs::read(&target).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn the_loser_is_told_who_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (winner, loser) = (store(&folder), store(&folder));
        assert_eq!(loser.holder().await.unwrap(), Holder::Nobody);
        winner.lock(&info("1"), Duration::ZERO).await.unwrap();
        let error = loser.lock(&info("2"), Duration::ZERO).await.unwrap_err();
        assert!(error.is_locked());
        assert!(
            error.to_string().contains("ada@host.example.com running `apply`"),
            "{error}"
        );
        assert_eq!(loser.holder().await.unwrap(), Holder::Held(info("1")));
        assert!(matches!(loser.unlock("1").await, Err(StateError::HeldByProcess { .. })));
        assert!(matches!(loser.unlock("3").await, Err(StateError::OtherLock { .. })));
        winner.unlock("1").await.unwrap();
        assert!(matches!(winner.unlock("1").await, Err(StateError::NotLocked { .. })));
        loser.lock(&info("2"), Duration::ZERO).await.unwrap();
        loser.unlock("2").await.unwrap();
    }

    #[tokio::test]
    async fn waiting_gets_the_lock_when_it_is_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (store(&folder), store(&folder));
        first.lock(&info("1"), Duration::ZERO).await.unwrap();
        let two = info("2");
        let (waited, released) = tokio::join!(second.lock(&two, Duration::from_secs(60)), first.unlock("1"));
        released.unwrap();
        waited.unwrap();
    }

    #[tokio::test]
    async fn the_file_of_a_dead_process_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let text = serde_json::to_string(&info("dead")).unwrap();
        std::fs::write(store.lock_path(), text).unwrap();
        assert_eq!(store.holder().await.unwrap(), Holder::Nobody);
        assert!(matches!(store.unlock("dead").await, Err(StateError::NotLocked { .. })));
        assert_eq!(store.left_behind(), None);
        store.lock(&info("2"), Duration::ZERO).await.unwrap();
        assert_eq!(store.holder().await.unwrap(), Holder::Held(info("2")));
        assert_eq!(store.left_behind(), Some(info("dead")));
        store.unlock("2").await.unwrap();
        store.lock(&info("3"), Duration::ZERO).await.unwrap();
        assert_eq!(store.left_behind(), None, "what was released was not left behind");
    }

    #[tokio::test]
    async fn the_file_of_another_machine_is_believed_until_a_person_says_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let other = LockInfo {
            host: Some("elsewhere.example.com".into()),
            ..info("other")
        };
        std::fs::write(store.lock_path(), serde_json::to_string(&other).unwrap()).unwrap();
        let error = store.lock(&info("2"), Duration::ZERO).await.unwrap_err();
        assert!(error.is_locked(), "{error}");
        assert_eq!(store.holder().await.unwrap(), Holder::Held(other));
        assert!(matches!(store.unlock("2").await, Err(StateError::OtherLock { .. })));
        store.unlock("other").await.unwrap();
        store.lock(&info("2"), Duration::ZERO).await.unwrap();
    }
}
