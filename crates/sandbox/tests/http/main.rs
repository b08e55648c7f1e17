//! The sandbox as any client meets it over its sockets: the API as GitLab's own specs promise it, the pages as a browser
//! sees them, and Factory from end to end. Setpoint itself is not here.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod accounts;
mod admin;
mod api;
mod browser;
mod documented;
mod factory;
mod factory_client;
mod generations;
mod members;
mod moves;
mod oauth;
mod providers;
mod rest;
mod sign_in;
mod tokens;
mod two_factor;
mod verification;
