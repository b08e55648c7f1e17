//! What `setpoint init` writes.

/// A commented `setpoint.toml` that has no faults as it stands: the names and addresses in it are examples to replace.
pub fn starter() -> &'static str {
    include_str!("starter.toml")
}
