//! What the commands do: each use case as a function of plain arguments, which gives back what it came to. What is told
//! and asked along the way goes through [`context::Console`]; the command line alone prints.

pub(crate) mod adopt;
pub(crate) mod attest;
pub(crate) mod clients;
pub(crate) mod console;
pub(crate) mod context;
pub(crate) mod credentials;
pub(crate) mod doctor;
mod doorkeeper;
#[cfg(feature = "sandbox")]
pub(crate) mod embedded;
pub(crate) mod endpoints;
pub(crate) mod error;
pub(crate) mod errored_state;
pub(crate) mod exit;
pub(crate) mod forget;
pub(crate) mod interrupts;
pub(crate) mod notification;
pub(crate) mod operations;
pub(crate) mod push;
pub(crate) mod rebuild;
pub(crate) mod records;
mod rights;
pub(crate) mod run_journal;
pub(crate) mod secret_store;
pub(crate) mod settings;
mod ways;
pub(crate) mod window;
