//! `man`: one manual page with all commands.

use clap_mangen::Man;

use crate::app::error::{Failure, Result};
use crate::app::exit::Exit;
use crate::cli::term;

/// Print the manual page
///
/// Read it with `setpoint man | man -l -`, or install it as setpoint.1.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

const CLOSING: &str = r#".SH "EXIT STATUS"
.TP
\fB0\fR
Done, or nothing to do.
.TP
\fB1\fR
An error, wrong flags included.
.TP
\fB2\fR
There are differences (\fBplan \-\-detailed\-exitcode\fR, \fBdrift\fR).
.TP
\fB3\fR
Applied what could be; something is left: operator steps, blocked or failed changes.
.TP
\fB4\fR
Refused before the first write: a guard, a window, a stale plan, a lock, or declined.
.SH FILES
.TP
\fIsetpoint.toml\fR
The configuration.
.TP
\fI.setpoint/state.json\fR
The state record, beside the configuration unless it says otherwise.
.TP
\fI.setpoint/sandbox.json\fR
The world of the embedded GitLab and Factory.
.SH ENVIRONMENT
.TP
\fBNO_COLOR\fR, \fBFORCE_COLOR\fR, \fBCLICOLOR_FORCE\fR
The first turns colours off, the others on, where \fB\-\-color\fR does not say.
.TP
\fBSETPOINT_CONFIG\fR, \fBSETPOINT_FORMAT\fR, \fBSETPOINT_LOCK_TIMEOUT\fR, \&...
Stand for the global option of that name where it is not given.
"#;

impl Args {
    pub(crate) fn run(self) -> Result<Exit> {
        let Self {} = self;
        let page = page().map_err(|error| Failure::of(&error))?;
        term::out(&page)?;
        Ok(Exit::Done)
    }
}

fn page() -> std::io::Result<String> {
    let mut command = crate::cli::command();
    command.build();
    let mut out = Vec::new();
    let main = Man::new(command.clone());
    main.render_title(&mut out)?;
    main.render_name_section(&mut out)?;
    main.render_synopsis_section(&mut out)?;
    main.render_description_section(&mut out)?;
    main.render_options_section(&mut out)?;
    out.extend_from_slice(b".SH COMMANDS\n");
    subcommands(&command, &mut out)?;
    out.extend_from_slice(CLOSING.as_bytes());
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// Each command as a subsection: its description and the options that are its own.
fn subcommands(command: &clap::Command, out: &mut Vec<u8>) -> std::io::Result<()> {
    for subcommand in command.get_subcommands().filter(|one| one.get_name() != "help") {
        let name = subcommand.get_display_name().unwrap_or_default().replace('-', " ");
        out.extend_from_slice(format!(".SS \"{name}\"\n").as_bytes());
        let own = own_arguments(subcommand);
        let page = Man::new(own);
        let mut text = Vec::new();
        page.render_synopsis_section(&mut text)?;
        page.render_description_section(&mut text)?;
        page.render_options_section(&mut text)?;
        for line in String::from_utf8_lossy(&text).lines() {
            match line.strip_prefix(".SH ") {
                Some(_) => out.extend_from_slice(b".PP\n"),
                None => out.extend_from_slice(format!("{line}\n").as_bytes()),
            }
        }
        subcommands(subcommand, out)?;
    }
    Ok(())
}

/// The command without the flags that all commands share: these stand once, in the page's own section.
fn own_arguments(command: &clap::Command) -> clap::Command {
    command.clone().mut_args(|argument| {
        let shared = argument.is_global_set() || argument.get_id() == "help";
        if shared { argument.hide(true) } else { argument }
    })
}
