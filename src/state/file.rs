//! Private files: 0600 in folders of 0700, replaced atomically, and never followed through a symbolic link at the
//! final name, so that nobody who can write to a shared folder can direct a write elsewhere.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::StateError;

/// The system itself does not follow a link that appears between a look at the name and its opening.
#[cfg(unix)]
const NOFOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// A record larger than this is no record: bounds what is read into memory.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

pub(super) fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::Io { what, path, source }
}

/// The folder that holds the path; the current one for a bare name.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Creates the folder that holds the path, with those above it, for the owner only. An existing one is left as it is.
pub(super) fn create_folder_of(path: &Path) -> Result<(), StateError> {
    let folder = folder_of(path);
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder).map_err(io_error("create", &folder))
}

/// Refuses a symbolic link or anything else that is no file at the final name. Whether there is a file.
pub(super) fn check_regular(path: &Path) -> Result<bool, StateError> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_symlink() => Err(StateError::Symlink { path: path.to_owned() }),
        Ok(metadata) if metadata.is_file() => Ok(true),
        Ok(_) => Err(StateError::NotAFile { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

/// The file's bytes, if there is one.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    if !check_regular(path)? {
        return Ok(None);
    }
    let file = OpenOptions::new()
        .read(true)
        .open(path)
        .map_err(io_error("read", path))?;
    if !is_still_at(&file, path) {
        return Err(StateError::Symlink { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(io_error("read", path))?;
    Ok(Some(bytes))
}

/// Replaces the file as a whole: after a crash at any point there is the old one or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    create_folder_of(path)?;
    check_regular(path)?;
    let folder = folder_of(path);
    let fail = || io_error("write", path);
    let mut file = tempfile::Builder::new()
        .prefix(".setpoint-")
        .tempfile_in(&folder)
        .map_err(fail())?;
    file.write_all(bytes).map_err(fail())?;
    file.as_file().sync_all().map_err(fail())?;
    file.persist(path).map_err(|error| fail()(error.error))?;
    sync_folder(&folder).map_err(fail())
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
    create_folder_of(path)?;
    check_regular(path)?;
    let fail = || io_error("write", path);
    let mut file = tempfile::Builder::new()
        .prefix(".setpoint-")
        .tempfile_in(folder_of(path))
        .map_err(fail())?;
    file.write_all(&vec![b' '; length]).map_err(fail())?;
    file.as_file().sync_all().map_err(fail())
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
    let file = if check_regular(path)? {
        options.open(path)
    } else {
        options.clone().create_new(true).open(path)
    }
    .map_err(io_error("open", path))?;
    if is_still_at(&file, path) {
        Ok(file)
    } else {
        Err(StateError::Symlink { path: path.to_owned() })
    }
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

/// Makes a new or replaced name in the folder durable.
#[cfg(unix)]
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Other systems do not open folders as files.
#[cfg(not(unix))]
pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
