//! The `setpoint` binary. Everything it does is in the library.

fn main() -> std::process::ExitCode {
    setpoint::cli::main()
}
