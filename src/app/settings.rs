//! What is given from outside beside the configuration.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) config: PathBuf,
    /// The file of the sandbox's world, where that takes the place of both sides.
    pub(crate) sandbox: Option<PathBuf>,
    /// How many requests may be under way at once.
    pub(crate) parallelism: NonZeroUsize,
    /// How long to wait for the lock.
    pub(crate) lock_timeout: Duration,
    /// Whether what is told goes to a person's terminal, and not to a log that others read.
    pub(crate) to_a_person: bool,
}
