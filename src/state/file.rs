//! The private files of the record: its own, its lock's and the journal's. 0600 in folders of 0700, and never followed
//! through a symbolic link at the final name.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::StateError;
use crate::files::{self, Obstacle, Readers};

/// The system itself does not follow a link that appears between a look at the name and its opening, and does not wait
/// for the other end of a pipe.
#[cfg(unix)]
const NOFOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed() | files::NONBLOCK;

/// A record or journal larger than this is none: bounds what is read into memory.
pub(crate) const MAX_BYTES: u64 = 256 * 1024 * 1024;

pub(super) fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::Io { what, path, source }
}

/// Says of an obstacle which path it is about.
fn obstacle(what: &'static str, path: &Path) -> impl FnOnce(Obstacle) -> StateError {
    move |obstacle| match obstacle {
        Obstacle::Link => StateError::Symlink { path: path.to_owned() },
        Obstacle::NotAFile => StateError::NotAFile { path: path.to_owned() },
        Obstacle::Folder(source) => io_error("create", files::folder_of(path))(source),
        Obstacle::Io(source) => io_error(what, path)(source),
    }
}

/// Whether there is a file; a symbolic link or anything else that is no file is refused.
pub(super) fn is_there(path: &Path) -> Result<bool, StateError> {
    files::is_there(path).map_err(obstacle("read", path))
}

fn create_folder_of(path: &Path) -> Result<(), StateError> {
    files::create_folder_of(path, Readers::Owner).map_err(obstacle("create", path))
}

/// The file's bytes, if there is one.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    if !is_there(path)? {
        return Ok(None);
    }
    let file = files::open(path).map_err(io_error("read", path))?;
    if !is_still_at(&file, path) {
        return Err(StateError::Symlink { path: path.to_owned() });
    }
    files::read_open(file, MAX_BYTES)
        .map(Some)
        .map_err(io_error("read", path))
}

/// Replaces the file as a whole.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    files::replace(path, bytes, Readers::Owner).map_err(obstacle("write", path))
}

/// The name under which a file is kept: `<path>.<word>-<number>`, the first that is free.
pub(crate) fn free_name(path: &Path, word: &str) -> PathBuf {
    let mut number = 1_u32;
    loop {
        let mut name = path.to_owned().into_os_string();
        name.push(format!(".{word}-{number}"));
        let candidate = PathBuf::from(name);
        if std::fs::symlink_metadata(&candidate).is_err() {
            return candidate;
        }
        number += 1;
    }
}

/// Keeps what is at a path under a second name as well, which is given: a link, which takes no room, or a copy where
/// there are no links.
pub(super) fn keep(path: &Path, bytes: &[u8], word: &str) -> Result<PathBuf, StateError> {
    let kept = free_name(path, word);
    if std::fs::hard_link(path, &kept).is_err() {
        replace(&kept, bytes)?;
    }
    Ok(kept)
}

/// Writes a file of that length beside the path, and removes it: whether there is room, and permission.
pub(super) fn probe(path: &Path, length: usize) -> Result<(), StateError> {
    files::probe(path, length, Readers::Owner).map_err(obstacle("write", path))
}

/// Opens a file of one's own for reading and writing, created with 0600 where there is none. `create_new` does not
/// follow a link that appears in between, and an existing file is compared with what is at the path after opening.
pub(super) fn open_private(path: &Path, append: bool) -> Result<File, StateError> {
    create_folder_of(path)?;
    let mut options = OpenOptions::new();
    options.read(true);
    if append {
        options.append(true);
    } else {
        options.write(true);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600).custom_flags(NOFOLLOW);
    }
    let file = if is_there(path)? {
        options.open(path)
    } else {
        options.clone().create_new(true).open(path)
    }
    .map_err(io_error("open", path))?;
    if !is_still_at(&file, path) {
        return Err(StateError::Symlink { path: path.to_owned() });
    }
    keep_private(&file, path)?;
    Ok(file)
}

/// Refuses a file that has a second name, for what is written to it would be written there, and takes the rights of
/// others away from one that is ours.
#[cfg(unix)]
fn keep_private(file: &File, path: &Path) -> Result<(), StateError> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let metadata = file.metadata().map_err(io_error("open", path))?;
    if metadata.nlink() > 1 {
        return Err(StateError::HardLink { path: path.to_owned() });
    }
    if metadata.mode() & 0o077 != 0 {
        // Somebody else's file cannot be changed, and is warned of.
        let _ = file.set_permissions(std::fs::Permissions::from_mode(0o600));
    }
    Ok(())
}

/// Other systems are not asked for a file's names and rights.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn keep_private(_: &File, _: &Path) -> Result<(), StateError> {
    Ok(())
}

/// Whether the path still leads, without following a link, to the file that is open.
#[cfg(unix)]
pub(super) fn is_still_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => open.dev() == there.dev() && open.ino() == there.ino(),
        _ => false,
    }
}

/// Where inodes are not shown, an open file is taken to be the one at the path.
#[cfg(not(unix))]
pub(super) fn is_still_at(_: &File, path: &Path) -> bool {
    path.exists()
}
