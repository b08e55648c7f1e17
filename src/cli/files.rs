//! Files that a command was asked to write: always replaced as a whole, so that whoever reads one at any moment has
//! the old or the new, and never a part.

use std::io::Write as _;
use std::path::Path;

use super::error::{Failure, Result};

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Its owner: it may hold something private.
    Owner,
    /// Whoever the process's umask lets: other programs are meant to.
    Everyone,
    /// Everyone, whatever the umask: the node exporter, whose user is another, reads it or the metrics are missing.
    Collector,
}

/// Replaces a file, or says which one cannot be written.
pub(crate) fn write(path: &Path, text: &str, readers: Readers) -> Result<()> {
    replace(path, text.as_bytes(), readers)
        .map_err(|error| Failure::of(&error).context(format!("{} cannot be written", path.display())))
}

/// Replaces a file; its folder is made where there is none. A symbolic link is not followed.
pub(crate) fn replace(path: &Path, bytes: &[u8], readers: Readers) -> std::io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_symlink() => {
            return Err(std::io::Error::other("it is a symbolic link, which is not followed"));
        }
        Ok(metadata) if !metadata.is_file() => return Err(std::io::Error::other("it is no file")),
        Ok(_) | Err(_) => {}
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_folder(folder, readers)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".setpoint-");
    // Temporary files are 0600 from the start, unless told otherwise.
    #[cfg(unix)]
    let mode = std::os::unix::fs::PermissionsExt::from_mode;
    #[cfg(unix)]
    if readers == Readers::Everyone {
        builder.permissions(mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    #[cfg(unix)]
    if readers == Readers::Collector {
        file.as_file().set_permissions(mode(0o644))?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    #[cfg(unix)]
    std::fs::File::open(folder).and_then(|folder| folder.sync_all())?;
    Ok(())
}

/// Makes a folder with those above it. One for what only its owner may read is the owner's alone.
fn create_folder(folder: &Path, readers: Readers) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    if readers == Readers::Owner {
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    }
    #[cfg(not(unix))]
    let _ = readers;
    builder.create(folder)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Readers, replace};

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
