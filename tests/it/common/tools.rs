//! Programs of others that a test talks to. Where one is missing, its test is skipped and says so; where the
//! environment requires it by name, as `.ci/run` does, that is a failure, so that no check goes missing unseen.

use std::io::Write as _;
use std::path::PathBuf;

/// Names of programs that have to be there, separated by commas.
const REQUIRE: &str = "SETPOINT_REQUIRE";

/// The program on the PATH; none where the test is to be skipped.
#[track_caller]
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| is_executable(candidate));
    if found.is_none() {
        let required = std::env::var(REQUIRE).unwrap_or_default();
        assert!(
            !required.split(',').any(|name| name.trim() == program),
            "{REQUIRE} names {program}, and it is not on the PATH"
        );
        // Past the capture of the test harness: a skipped check is to be seen in every run.
        let _ = writeln!(std::io::stderr(), "skipped: {program} is not on the PATH");
    }
    found
}

#[cfg(unix)]
fn is_executable(path: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &std::path::Path) -> bool {
    path.is_file()
}
