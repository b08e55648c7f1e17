//! The commands: the only place that knows the terminal, the clock and exit codes.
//!
//! Data goes to standard output, everything else to standard error. Each command is one file with its flags beside it.

mod adoption_text;
mod commands;
mod console;
mod diagnostic;
mod globals;
mod help;
mod journal_text;
mod logging;
mod next;
mod operator;
mod panic;
mod progress;
mod rebuild_text;
mod signals;
mod spellings;
mod term;
mod toml_text;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use self::globals::Globals;
use crate::app::error::{Failure, Result};
use crate::app::exit::Exit;
use crate::render::text::wrap;
use crate::secrets;

/// Keeps the integration of a self-hosted GitLab with Factory as one TOML file says
///
/// Setpoint reads how GitLab and Factory are, shows how that differs from the configuration, and applies the smallest
/// set of changes.
#[derive(Debug, Parser)]
#[command(
    name = "setpoint",
    version = env!("SETPOINT_VERSION")
)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(commands::init::Args),
    Validate(commands::validate::Args),
    Doctor(commands::doctor::Args),
    Plan(commands::plan::Args),
    Show(commands::show::Args),
    Apply(commands::apply::Args),
    Drift(commands::drift::Args),
    Confirm(commands::confirm::Args),
    Adopt(commands::adopt::Args),
    Rotate(commands::rotate::Args),
    Export(commands::export::Args),
    Destroy(commands::destroy::Args),
    State(commands::state::Args),
    #[cfg(feature = "sandbox")]
    Sandbox(commands::sandbox::Args),
    Schema(commands::schema::Args),
    Completions(commands::completions::Args),
    Man(commands::man::Args),
}

/// The whole command line as clap knows it, for completions, manual pages and documentation.
pub fn command() -> clap::Command {
    help::complete(Cli::command(), "").term_width(term::width())
}

/// Runs the command line and gives its exit code.
pub fn main() -> ExitCode {
    secrets::keep_memory_private();
    panic::keep_silent();
    run(std::env::args_os()).code().into()
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    globals::Color::of_environment();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let typed: Vec<String> = arguments
        .iter()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    if let Some(failure) = spellings::answer(&typed) {
        term::err(&diagnostic::error(&failure));
        return Exit::of(&failure);
    }
    let parsed = command().try_get_matches_from(arguments);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    cli.globals.color.choose();
    logging::start(&cli.globals);
    match panic::contain(|| execute(cli)) {
        Ok(exit) => exit,
        Err(failure) => {
            term::err(&diagnostic::error(&failure));
            Exit::of(&failure)
        }
    }
}

/// Help and version are data and succeed. A wrong flag is an error like any other: 1, for 2 means differences.
fn usage(error: &clap::Error) -> Exit {
    if error.use_stderr() && error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let rendered = error.render().ansi().to_string();
        for line in rendered.lines() {
            term::err(&format!("{}\n", wrap(line, term::width(), "", "       ")));
        }
        return Exit::Error;
    }
    // A reader that went away is no reason to complain.
    let unread = error
        .print()
        .is_err_and(|error| error.kind() != std::io::ErrorKind::BrokenPipe);
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion if !unread => Exit::Done,
        _ => Exit::Error,
    }
}

fn execute(cli: Cli) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(error.to_string()).context("the program cannot start"))?;
    let ended = runtime.block_on(Box::pin(dispatch(cli)));
    // A thread that still waits for an answer on the terminal must not keep the program.
    runtime.shutdown_background();
    ended
}

async fn dispatch(cli: Cli) -> Result<Exit> {
    let Cli { globals, command } = cli;
    match command {
        Command::Init(args) => args.run(&globals).await,
        Command::Validate(args) => args.run(&globals),
        Command::Doctor(args) => Box::pin(args.run(globals)).await,
        Command::Plan(args) => args.run(globals).await,
        Command::Show(args) => args.run(&globals),
        Command::Apply(args) => args.run(globals).await,
        Command::Drift(args) => args.run(globals).await,
        Command::Confirm(args) => args.run(globals).await,
        Command::Adopt(args) => args.run(globals).await,
        Command::Rotate(args) => args.run(globals).await,
        Command::Export(args) => Box::pin(args.run(globals)).await,
        Command::Destroy(args) => args.run(globals).await,
        Command::State(args) => Box::pin(args.run(globals)).await,
        #[cfg(feature = "sandbox")]
        Command::Sandbox(args) => args.run(globals).await,
        Command::Schema(args) => args.run(),
        Command::Completions(args) => args.run().await,
        Command::Man(args) => args.run(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Exit, command, run};

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn a_wrong_flag_is_an_error_and_not_a_difference() {
        assert_eq!(run(["setpoint", "plan", "--no-such-flag"].map(Into::into)), Exit::Error);
        assert_eq!(run(["setpoint"].map(Into::into)), Exit::Error);
    }
}
