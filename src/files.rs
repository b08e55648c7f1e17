//! Files that are read with a limit and only where they are regular ones, so that no pipe, device or endless file holds
//! or fills the program; and that are replaced as a whole, so that whoever reads one at any moment has the old or the new, and never a part;
//! and never through a symbolic link, so that nobody who can write to a shared folder can direct a write elsewhere.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Its owner: it may hold something private. So are the folders that are made for it.
    Owner,
    /// Whoever the process's umask lets: other programs are meant to.
    Everyone,
    /// Everyone, whatever the umask: the node exporter, whose user is another, reads it or the metrics are missing.
    Collector,
}

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Obstacle {
    /// There is a symbolic link at the final name.
    #[error("it is a symbolic link, which is not followed")]
    Link,
    /// There is something at the final name that is no file.
    #[error("it is no regular file")]
    NotAFile,
    /// The folder that is to hold it cannot be made.
    #[error("its folder cannot be created: {0}")]
    Folder(io::Error),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A file as bytes. Anything but a regular file, and one of more than `limit` bytes, is an error that says so.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_open(open(path)?, limit)
}

/// The rest of an open file, of at most `limit` bytes.
pub(crate) fn read_open(file: File, limit: u64) -> io::Result<Vec<u8>> {
    // As large as it becomes: growing would leave copies of a secret behind.
    let length = file.metadata()?.len().min(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let size = match limit {
            ..MEBIBYTE => format!("{} KiB", limit / 1024),
            _ => format!("{} MiB", limit / MEBIBYTE),
        };
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {size}"),
        ));
    }
    Ok(bytes)
}

const MEBIBYTE: u64 = 1024 * 1024;

/// Opens a regular file for reading. A pipe that nobody writes to is not waited for.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, NONBLOCK);
    let file = options.open(path)?;
    match file.metadata()?.file_type() {
        kind if kind.is_file() => Ok(file),
        kind if kind.is_dir() => Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder")),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file, but a pipe, a socket or a device",
        )),
    }
}

/// Opening does not wait for a writer at the other end of a pipe.
#[cfg(unix)]
pub(crate) const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// Replaces a file; its folder is made where there is none. After a crash at any point there is the old or the new.
pub(crate) fn replace(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), Obstacle> {
    create_folder_of(path, readers)?;
    is_there(path)?;
    let mut file = temporary_beside(path, readers)?;
    file.write_all(bytes)?;
    #[cfg(unix)]
    if readers == Readers::Collector {
        file.as_file().set_permissions(mode(0o644))?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder_of(path))?;
    Ok(())
}

/// Writes a file of that length beside the path, and removes it: whether a replacement would find room, and permission.
pub(crate) fn probe(path: &Path, length: usize, readers: Readers) -> Result<(), Obstacle> {
    create_folder_of(path, readers)?;
    is_there(path)?;
    let mut file = temporary_beside(path, readers)?;
    file.write_all(&vec![b' '; length])?;
    file.as_file().sync_all()?;
    Ok(())
}

/// Whether this user may write a file there, as far as permissions tell it: nothing is written to find out. Gives the
/// folder that is there and would hold it, or would hold the folders that are missing.
pub(crate) fn may_write(path: &Path) -> Result<PathBuf, Obstacle> {
    is_there(path)?;
    let mut folder = folder_of(path);
    while !folder.exists() {
        folder = folder_of(folder);
    }
    if !folder.is_dir() {
        return Err(Obstacle::Folder(io::ErrorKind::NotADirectory.into()));
    }
    #[cfg(unix)]
    {
        use rustix::fs::Access;
        rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(io::Error::from)?;
    }
    #[cfg(not(unix))]
    if std::fs::metadata(folder)?.permissions().readonly() {
        return Err(io::Error::from(io::ErrorKind::PermissionDenied).into());
    }
    Ok(folder.to_path_buf())
}

/// A new file in the folder of another, which is gone when it is dropped. It is 0600 from the start, unless other
/// programs are to read it.
pub(crate) fn temporary_beside(path: &Path, readers: Readers) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".setpoint-");
    #[cfg(unix)]
    if readers == Readers::Everyone {
        builder.permissions(mode(0o666));
    }
    #[cfg(not(unix))]
    let _ = readers;
    builder.tempfile_in(folder_of(path))
}

#[cfg(unix)]
fn mode(bits: u32) -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(bits)
}

/// The folder that holds the path; the current one for a bare name.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Creates the folder that holds the path, with those above it. An existing one is left as it is.
pub(crate) fn create_folder_of(path: &Path, readers: Readers) -> Result<(), Obstacle> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    if readers == Readers::Owner {
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    }
    #[cfg(not(unix))]
    let _ = readers;
    builder.create(folder_of(path)).map_err(Obstacle::Folder)
}

/// Whether there is a file. A symbolic link, or anything else that is no file, is an obstacle.
pub(crate) fn is_there(path: &Path) -> Result<bool, Obstacle> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_symlink() => Err(Obstacle::Link),
        Ok(metadata) if metadata.is_file() => Ok(true),
        Ok(_) => Err(Obstacle::NotAFile),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Obstacle::Io(error)),
    }
}

/// Makes a new or replaced name in the folder durable.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Other systems do not open folders as files.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Readers, read, replace};

    #[test]
    fn only_regular_files_are_read_and_no_more_of_them_than_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, vec![b' '; 2048]).unwrap();
        assert_eq!(read(&path, 2048).unwrap().len(), 2048);
        assert_eq!(read(&path, 1024).unwrap_err().to_string(), "it is larger than 1 KiB");
        assert_eq!(read(folder.path(), 1024).unwrap_err().to_string(), "it is a folder");
        let pipe = folder.path().join("pipe");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        for other in [pipe.as_path(), std::path::Path::new("/dev/zero")] {
            let error = read(other, 1024).unwrap_err();
            assert_eq!(
                error.to_string(),
                "it is no regular file, but a pipe, a socket or a device"
            );
        }
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_private_where_it_has_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/file");
        replace(&path, b"one", Readers::Owner).unwrap();
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        replace(&path, b"two", Readers::Everyone).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o400, 0o400);
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(replace(&link, b"three", Readers::Owner).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
    }
}
