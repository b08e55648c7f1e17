//! The promises, tested with the real binary against the embedded GitLab and Factory over real sockets.
//! One crate of modules, because every integration crate costs a link.

#[cfg(feature = "sandbox")]
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod account;
#[cfg(feature = "sandbox")]
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod account_setup;
#[cfg(feature = "sandbox")]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]
mod adopt;
#[cfg(feature = "sandbox")]
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod any_instance;
#[cfg(feature = "sandbox")]
mod application_in_place;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]
mod approval;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod architecture;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
mod assisted;
#[cfg(feature = "sandbox")]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod bad_input;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
mod chromium;
#[cfg(feature = "sandbox")]
#[expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, in its helpers too"
)]
mod cli_apply;
#[cfg(feature = "sandbox")]
mod cli_help;
#[cfg(feature = "sandbox")]
mod common;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod config;
#[cfg(feature = "sandbox")]
mod deletion;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod dependencies;
#[cfg(all(target_os = "linux", feature = "sandbox"))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod disk;
#[cfg(feature = "sandbox")]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod doctor;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod documents;
#[cfg(feature = "sandbox")]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod drift_notify;
#[cfg(feature = "sandbox")]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]
mod drift_watch;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]
mod examples;
#[cfg(feature = "sandbox")]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]
mod factory_api;
#[cfg(all(unix, feature = "sandbox"))]
mod fault_matrix;
#[cfg(feature = "sandbox")]
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod generations;
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
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod identity;
#[cfg(feature = "sandbox")]
mod impersonation;
#[cfg(all(unix, feature = "sandbox"))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod interrupts;
#[cfg(all(unix, feature = "sandbox"))]
mod kill_matrix;
#[cfg(all(unix, feature = "sandbox"))]
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
#[expect(dead_code, reason = "the tests run a part of it, the example `soak` all of it")]
mod matrix;
#[cfg(feature = "sandbox")]
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod memberships;
#[cfg(feature = "sandbox")]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod merge_request;
#[cfg(feature = "sandbox")]
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod networks;
#[cfg(all(target_os = "linux", feature = "sandbox"))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod odd_files;
#[cfg(feature = "sandbox")]
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod previews;
#[cfg(feature = "sandbox")]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod proxies;
#[cfg(feature = "sandbox")]
mod quiet_sessions;
#[cfg(all(unix, feature = "sandbox"))]
mod random_worlds;
#[cfg(all(unix, feature = "sandbox"))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod record_lost;
#[cfg(feature = "sandbox")]
mod replace;
#[cfg(feature = "sandbox")]
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod repository_reasons;
#[cfg(feature = "sandbox")]
mod review_loop;
#[cfg(feature = "sandbox")]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod sandbox_terraform;
#[cfg(feature = "sandbox")]
mod sandbox_web;
#[cfg(feature = "sandbox")]
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod saved_plan;
#[cfg(feature = "sandbox")]
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod sealed;
#[cfg(feature = "sandbox")]
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod secret_life;
#[cfg(feature = "sandbox")]
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod sight;
#[cfg(feature = "sandbox")]
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod sign_in_harm;
#[cfg(feature = "sandbox")]
#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]
mod sign_in_matrix;
#[cfg(feature = "sandbox")]
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
mod sign_in_ways;
#[cfg(all(unix, feature = "sandbox"))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod team_faults;
#[cfg(feature = "sandbox")]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod team_state;
#[cfg(all(unix, feature = "sandbox"))]
#[expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, in its helpers too"
)]
mod two_at_once;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]
mod ways;
#[cfg(feature = "sandbox")]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod web_sessions;
#[cfg(feature = "sandbox")]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
mod windows;

/// A command line of the binary, for the matrices.
#[cfg(all(unix, feature = "sandbox"))]
fn program() -> std::process::Command {
    std::process::Command::new(env!("CARGO_BIN_EXE_setpoint"))
}
