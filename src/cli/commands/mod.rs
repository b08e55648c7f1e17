//! One file for each command, its flags beside it.

pub(crate) mod completions;
pub(crate) mod init;
pub(crate) mod man;
#[cfg(feature = "sandbox")]
pub(crate) mod sandbox;
pub(crate) mod schema;
pub(crate) mod state;
pub(crate) mod validate;
