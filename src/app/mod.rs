//! What the commands do: each use case as a function of plain arguments.

pub(crate) mod attest;
pub(crate) mod clients;
pub(crate) mod context;
pub(crate) mod credentials;
pub(crate) mod doctor;
#[cfg(feature = "sandbox")]
pub(crate) mod embedded;
pub(crate) mod endpoints;
pub(crate) mod error;
pub(crate) mod errored_state;
pub(crate) mod interrupts;
pub(crate) mod notification;
pub(crate) mod operations;
pub(crate) mod push;
pub(crate) mod rebuild;
pub(crate) mod records;
pub(crate) mod run_journal;
pub(crate) mod secret_store;
pub(crate) mod window;
