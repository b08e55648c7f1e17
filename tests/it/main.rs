//! The promises, tested with the real binary against the embedded GitLab and Factory over real sockets.
//! One crate of modules, because every integration crate costs a link.

#[cfg(feature = "sandbox")]
mod cli_apply;
#[cfg(feature = "sandbox")]
mod cli_help;
#[cfg(feature = "sandbox")]
mod common;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod config;
#[cfg(feature = "sandbox")]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]
mod factory_api;
#[cfg(feature = "sandbox")]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]
mod gitlab_api;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod http_client;
#[cfg(feature = "sandbox")]
#[expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, in its helpers too"
)]
mod sandbox_rest;
#[cfg(feature = "sandbox")]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod sandbox_terraform;
#[cfg(feature = "sandbox")]
mod sandbox_web;
#[cfg(feature = "sandbox")]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod web_sessions;
