//! The promises, tested with the real binary against the embedded GitLab and Factory over real sockets.
//! One crate of modules, because every integration crate costs a link.

#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod account;
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod account_setup;
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]
mod adopt;
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod any_instance;
mod application_in_place;
#[cfg(target_os = "linux")]
#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]
mod approval;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod architecture;
#[cfg(target_os = "linux")]
mod assisted;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod bad_input;
#[cfg(target_os = "linux")]
mod chromium;
#[expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, in its helpers too"
)]
mod cli_apply;
mod cli_help;
mod common;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod config;
mod deletion;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod dependencies;
#[cfg(target_os = "linux")]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod disk;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod doctor;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod documents;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod drift_notify;
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]
mod drift_watch;
#[cfg(target_os = "linux")]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]
mod examples;
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]
mod factory_api;
#[cfg(unix)]
mod fault_matrix;
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod generations;
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]
mod gitlab_api;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod http_client;
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod identity;
mod impersonation;
#[cfg(unix)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod interrupts;
#[cfg(unix)]
mod kill_matrix;
#[cfg(unix)]
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
#[expect(dead_code, reason = "the tests run a part of it, the example `soak` all of it")]
mod matrix;
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod memberships;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod merge_request;
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod networks;
#[cfg(target_os = "linux")]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod odd_files;
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod previews;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod proxies;
mod quiet_sessions;
#[cfg(unix)]
mod random_worlds;
#[cfg(unix)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod record_lost;
mod replace;
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod repository_reasons;
mod review_loop;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod sandbox_terraform;
mod sandbox_web;
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod saved_plan;
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod sealed;
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod secret_life;
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod sight;
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod sign_in_harm;
#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]
mod sign_in_matrix;
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod sign_in_ways;
#[cfg(unix)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod team_faults;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod team_state;
#[cfg(unix)]
#[expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, in its helpers too"
)]
mod two_at_once;
#[cfg(target_os = "linux")]
#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]
mod ways;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod web_sessions;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod windows;

/// A command line of the binary, for the matrices.
#[cfg(unix)]
fn program() -> std::process::Command {
    std::process::Command::new(env!("CARGO_BIN_EXE_setpoint"))
}
