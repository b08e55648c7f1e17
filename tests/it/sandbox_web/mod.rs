//! The sandbox's web side as a browser meets it: sign-in, OAuth pages, admin area, and Factory from end to end.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod admin;
pub(crate) mod browser;
mod factory;
mod generations;
mod oauth;
mod product;
mod sign_in;
mod two_factor;
mod verification;
