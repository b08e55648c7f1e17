//! The flags that every command has.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use super::term;
#[cfg(feature = "sandbox")]
use crate::app::records::beside;
use crate::app::settings::Settings;

/// Flags of all commands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Configuration file
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        default_value = "setpoint.toml",
        env = "SETPOINT_CONFIG",
        hide_env = true,
        hide_short_help = true
    )]
    pub(crate) config: PathBuf,

    /// Use the embedded GitLab and Factory; they keep their world in FILE
    /// [default: .setpoint/sandbox.json]
    #[cfg(feature = "sandbox")]
    #[arg(long, global = true, value_name = "FILE", num_args = 0..=1, require_equals = true, env = "SETPOINT_SANDBOX", hide_env = true, hide_short_help = true)]
    #[expect(
        clippy::option_option,
        reason = "not given, given, and given with a file are three things"
    )]
    pub(crate) sandbox: Option<Option<PathBuf>>,

    /// Form of what goes to standard output
    #[arg(long, global = true, value_enum, value_name = "FORM", default_value_t = Format::Human, env = "SETPOINT_FORMAT", hide_env = true, hide_short_help = true)]
    pub(crate) format: Format,

    /// When to use colours; `NO_COLOR`, `FORCE_COLOR` and `CLICOLOR_FORCE` are honoured
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto, env = "SETPOINT_COLOR", hide_env = true, hide_short_help = true)]
    pub(crate) color: Color,

    /// Log what is done to standard error; repeat for more
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet", env = "SETPOINT_VERBOSE", hide_env = true, hide_short_help = true)]
    pub(crate) verbose: u8,

    /// Say nothing on standard error but errors and questions
    #[arg(
        short,
        long,
        global = true,
        env = "SETPOINT_QUIET",
        value_parser = clap::builder::FalseyValueParser::new(),
        hide_env = true,
        hide_short_help = true
    )]
    pub(crate) quiet: bool,

    /// Form of the log
    #[arg(long, global = true, value_enum, value_name = "FORM", default_value_t = LogFormat::Text, env = "SETPOINT_LOG_FORMAT", hide_env = true, hide_short_help = true)]
    pub(crate) log_format: LogFormat,

    /// How many requests may be under way at once
    #[arg(
        long,
        global = true,
        value_name = "N",
        default_value = "8",
        value_parser = at_least_one,
        env = "SETPOINT_PARALLELISM",
        hide_env = true,
        hide_short_help = true
    )]
    pub(crate) parallelism: NonZeroUsize,

    /// How long to wait for the state lock, such as 30s or 5m
    #[arg(long, global = true, value_name = "DUR", default_value = "0s", value_parser = duration, env = "SETPOINT_LOCK_TIMEOUT", hide_env = true, hide_short_help = true)]
    pub(crate) lock_timeout: Duration,
}

impl Globals {
    /// What of this a use case is told.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            config: self.config.clone(),
            #[cfg(feature = "sandbox")]
            sandbox: self.sandbox.as_ref().map(|_| self.world_file()),
            #[cfg(not(feature = "sandbox"))]
            sandbox: None,
            parallelism: self.parallelism,
            lock_timeout: self.lock_timeout,
            to_a_person: term::is_seen(),
        }
    }

    /// The file that keeps the sandbox's world.
    #[cfg(feature = "sandbox")]
    pub(crate) fn world_file(&self) -> PathBuf {
        match &self.sandbox {
            Some(Some(file)) => file.clone(),
            Some(None) | None => beside(&self.config, ".setpoint/sandbox.json"),
        }
    }
}

// The values speak for themselves: with a description each, `--help` would give every one a line.

/// Form of standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Human,
    Json,
    Markdown,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    /// Settles it for what is said before the command line is understood.
    pub(crate) fn of_environment() {
        Self::Auto.choose();
    }

    /// Settles it for the whole process.
    pub(crate) fn choose(self) {
        match self {
            // The rest of the environment (CLICOLOR, CLICOLOR_FORCE, TERM) is anstream's to find out.
            Self::Auto if is_on("NO_COLOR") => anstream::ColorChoice::Never,
            Self::Auto if is_on("FORCE_COLOR") => anstream::ColorChoice::Always,
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// Whether a variable is set and says no `0`.
fn is_on(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty() && value != "0")
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

fn at_least_one(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse().map_err(|_| "it takes a whole number, at least 1")
}

/// Nobody waits for longer, and no clock runs over.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

fn duration(text: &str) -> Result<Duration, String> {
    let duration = match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => text
            .parse::<jiff::SignedDuration>()
            .ok()
            .and_then(|duration| Duration::try_from(duration).ok()),
    };
    match duration {
        None => Err("it is no duration; write 30s, 5m or 1h".to_owned()),
        Some(duration) if duration > LONGEST => Err("it is longer than 30 days".to_owned()),
        Some(duration) => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn durations_have_units_or_are_seconds() {
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert!(duration("-5m").is_err());
        assert!(duration("soon").is_err());
        assert!(duration(&u64::MAX.to_string()).is_err() && duration("720h").is_ok());
    }
}
