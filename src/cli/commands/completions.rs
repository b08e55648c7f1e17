//! `completions`: for shells. Addresses are completed from the record, where the shell can be told to ask for them.

use clap_complete::Shell;

use crate::app::error::Result;
use crate::app::exit::Exit;
use crate::cli::term;

/// Print a shell completion script
///
/// In bash, zsh and fish it completes addresses too, from the record of ./setpoint.toml.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Args {
    pub(crate) fn run(self) -> Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::cli::command(), "setpoint", &mut script);
        term::out(&with_addresses(self.shell, &String::from_utf8_lossy(&script)))?;
        Ok(Exit::Done)
    }
}

/// Each address is quoted for the shell: it holds brackets and quotation marks.
const BASH: &str = r#"
_setpoint_addresses() {
    local address
    COMPREPLY=()
    while IFS= read -r address; do
        address=$(printf '%q' "${address}")
        [[ ${address} == "$1"* ]] && COMPREPLY+=("${address}")
    done < <(setpoint state list 2>/dev/null)
}
"#;

const ZSH: &str = r#"
_setpoint_addresses() {
    local -a addresses
    addresses=("${(@f)$(setpoint state list 2>/dev/null)}")
    compadd -a addresses
}
"#;

const FISH: &str = r#"
complete -c setpoint -n "__fish_setpoint_using_subcommand confirm" -f -a "(setpoint state list 2>/dev/null)"
complete -c setpoint -n "__fish_setpoint_using_subcommand state; and __fish_seen_subcommand_from rm" -f -a "(setpoint state list 2>/dev/null)"
"#;

/// The script with addresses from the record in the places of `--target` and of what commands take.
fn with_addresses(shell: Shell, script: &str) -> String {
    match shell {
        Shell::Bash => {
            let files = "--target)\n                    COMPREPLY=($(compgen -f \"${cur}\"))";
            let ours = "--target)\n                    _setpoint_addresses \"${cur}\"";
            format!("{}{BASH}", script.replace(files, ours))
        }
        Shell::Zsh => {
            let (head, rest) = script.split_once('\n').unwrap_or((script, ""));
            let rest = rest
                .replace(":ADDR:_default", ":ADDR:_setpoint_addresses")
                .lines()
                .map(|line| match line.strip_suffix(":_default' \\") {
                    Some(start) if start.starts_with("'*::addresses") => format!("{start}:_setpoint_addresses' \\\n"),
                    _ => format!("{line}\n"),
                })
                .collect::<String>();
            format!("{head}\n{ZSH}{rest}")
        }
        Shell::Fish => {
            let target = |line: &str| line.contains(" -l target ");
            let lines = script.lines().map(|line| {
                if target(line) {
                    format!("{line} -f -a \"(setpoint state list 2>/dev/null)\"\n")
                } else {
                    format!("{line}\n")
                }
            });
            format!("{}{FISH}", lines.collect::<String>())
        }
        _ => script.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Shell, with_addresses};

    #[test]
    fn addresses_are_asked_for_in_the_scripts_as_they_are_generated() {
        for (shell, asked) in [
            (Shell::Bash, "_setpoint_addresses \"${cur}\""),
            (Shell::Zsh, ":ADDR:_setpoint_addresses"),
            (Shell::Zsh, "'*::addresses -- "),
            (Shell::Fish, "-l target "),
        ] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut crate::cli::command(), "setpoint", &mut script);
            let script = with_addresses(shell, &String::from_utf8_lossy(&script));
            assert!(script.contains(asked), "{asked} is not in the script for {shell}");
            assert!(!script.contains("ADDR:_default"), "{shell}");
        }
    }
}
