//! The product's web sessions against the sandbox's pages, and a browser for whoever plays a person.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "the sandbox's own tests use all of it")]
#[path = "../../../crates/sandbox/tests/http/browser.rs"]
pub(crate) mod browser;
#[expect(dead_code, reason = "the sandbox's own tests use all of it")]
#[path = "../../../crates/sandbox/tests/http/factory_client.rs"]
mod factory_client;
mod product;
