//! `completions`: for shells. Where an address belongs, the scripts ask the program itself for those that there are.

use std::collections::BTreeSet;
use std::path::Path;

use clap::FromArgMatches as _;
use clap_complete::Shell;

use crate::app::context;
use crate::app::error::Result;
use crate::app::exit::Exit;
use crate::app::records::Records;
use crate::cli::globals::Globals;
use crate::cli::term;
use crate::kinds;
use crate::model::Address;
use crate::render::text::sanitize;

/// Print a shell completion script
///
/// In bash, zsh and fish it completes addresses too: those of the configuration and the record that the command line
/// names.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,

    /// What the scripts ask: the addresses for a command line that is being typed
    #[arg(long, hide = true, num_args = 0.., allow_hyphen_values = true, value_name = "WORD")]
    addresses_for: Option<Vec<String>>,
}

impl Args {
    pub(crate) async fn run(self) -> Result<Exit> {
        let text = match self.addresses_for {
            None => script(self.shell),
            Some(words) => {
                let found = addresses(&words).await.into_iter();
                let lines: Vec<String> = found
                    .map(|address| sanitize(&address.to_string()).into_owned())
                    .collect();
                lines.join("\n") + "\n"
            }
        };
        term::out(&text)?;
        Ok(Exit::Done)
    }
}

/// Those that can be meant, as far as that is known: who waits for a completion is told of no error.
async fn addresses(words: &[String]) -> BTreeSet<Address> {
    let recorded_only = words.windows(2).any(|pair| pair == ["state", "rm"]);
    let mut all = BTreeSet::new();
    if !recorded_only {
        all.extend([
            Address::Application,
            Address::User,
            Address::Connection,
            Address::Authorization,
        ]);
    }
    let parsed = crate::cli::command()
        .ignore_errors(true)
        .try_get_matches_from(typed(words));
    let Some(globals) = parsed.ok().and_then(|matches| Globals::from_arg_matches(&matches).ok()) else {
        return all;
    };
    let settings = globals.settings();
    let Ok(config) = context::load(&settings.config) else {
        return all;
    };
    if !recorded_only {
        all.extend(config.desired.memberships.keys().cloned().map(Address::Membership));
    }
    if let Ok(records) = Records::open(&config, &settings).await
        && let Ok(Some(record)) = records.read().await
    {
        all.extend(kinds::remembered(&record).into_iter().map(|(address, ..)| address));
    }
    all
}

/// The words of our own command, with those put together again that bash takes apart at an `=`.
fn typed(words: &[String]) -> Vec<String> {
    let ours = |word: &String| Path::new(word).file_name().is_some_and(|name| name == "setpoint");
    let start = words.iter().rposition(ours).unwrap_or(0);
    let mut whole: Vec<String> = Vec::new();
    let mut joined = false;
    for word in &words[start..] {
        match whole.last_mut() {
            Some(last) if word == "=" || joined => last.push_str(word),
            Some(_) | None => whole.push(word.clone()),
        }
        joined = word == "=";
    }
    whole
}

/// Within quotation marks an address is what it is; elsewhere its brackets and quotation marks are escaped.
const BASH: &str = r#"
_setpoint_addresses() {
    local word=${COMP_WORDS[COMP_CWORD]} address
    COMPREPLY=()
    while IFS= read -r address; do
        case ${word} in
            \'*) ;;
            \"*) address=${address//\"/\\\"} ;;
            *) address=$(printf '%q' "${address}") ;;
        esac
        [[ ${address} == "$1"* ]] && COMPREPLY+=("${address}")
    done < <("${COMP_WORDS[0]}" completions bash --addresses-for "${COMP_WORDS[@]:0:COMP_CWORD}" 2>/dev/null)
}

_setpoint_and_addresses() {
    local flag=$3 words=" ${COMP_WORDS[*]:1:COMP_CWORD-1} " valued='^(VALUED)$' taking=' (confirm|state rm) '
    [[ ${flag} == = ]] && flag=${COMP_WORDS[COMP_CWORD - 2]}
    if [[ ${flag} == --target || ($2 != -* && ! ${flag} =~ ${valued} && ${words} =~ ${taking}) ]]; then
        _setpoint_addresses "$2"
    else
        _setpoint "$@"
    fi
}
"#;

const ZSH: &str = r#"
_setpoint_addresses() {
    local -a addresses
    addresses=("${(@f)$(setpoint completions zsh --addresses-for "${(@Q)${(z)LBUFFER}}" 2>/dev/null)}")
    compadd -a addresses
}
"#;

const FISH: &str = r#"
function __setpoint_addresses
    setpoint completions fish --addresses-for (commandline -opc) 2>/dev/null
end

complete -c setpoint -n "__fish_setpoint_using_subcommand confirm" -f -a "(__setpoint_addresses)"
complete -c setpoint -n "__fish_setpoint_using_subcommand state; and __fish_seen_subcommand_from rm" -f -a "(__setpoint_addresses)"
"#;

/// The script that clap makes, with addresses in the places of `--target` and of what commands take.
fn script(shell: Shell) -> String {
    let mut made = Vec::new();
    clap_complete::generate(shell, &mut crate::cli::command(), "setpoint", &mut made);
    let made = String::from_utf8_lossy(&made);
    match shell {
        Shell::Bash => {
            let ours = made.replace("complete -F _setpoint ", "complete -F _setpoint_and_addresses ");
            format!("{ours}{}", BASH.replace("VALUED", &valued()))
        }
        Shell::Zsh => {
            let (head, rest) = made.split_once('\n').unwrap_or((&made, ""));
            let rest = rest
                .replace(":ADDR:_default", ":ADDR:_setpoint_addresses")
                // Its value stands behind the `=` only: the next word is something else.
                .replace("'--sandbox=[", "'--sandbox=-[")
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
            // Its value stands behind the `=` only: the next word is something else.
            let made = made.replace(" sandbox= ", " 'sandbox=?' ");
            let lines = made.lines().map(|line| match line.strip_suffix(" -r -F") {
                Some(start) if line.contains(" -l sandbox ") => format!("{start}\n"),
                _ if target(line) => format!("{line} -f -a \"(__setpoint_addresses)\"\n"),
                _ => format!("{line}\n"),
            });
            format!("{}{FISH}", lines.collect::<String>())
        }
        _ => made.into_owned(),
    }
}

/// The flags behind which a value follows as a word of its own, as alternatives.
fn valued() -> String {
    fn collect(command: &clap::Command, all: &mut BTreeSet<String>) {
        let valued = command
            .get_arguments()
            .filter(|argument| argument.get_action().takes_values() && !argument.is_require_equals_set())
            .filter(|argument| !argument.is_hide_set());
        for argument in valued {
            all.extend(argument.get_long().map(|long| format!("--{long}")));
            all.extend(argument.get_short().map(|short| format!("-{short}")));
        }
        for subcommand in command.get_subcommands() {
            collect(subcommand, all);
        }
    }
    let mut all = BTreeSet::new();
    collect(&crate::cli::command(), &mut all);
    all.into_iter().collect::<Vec<_>>().join("|")
}

#[cfg(test)]
mod tests {
    use super::{Shell, script, typed};

    #[test]
    fn addresses_are_asked_for_in_the_scripts_as_they_are_generated() {
        for (shell, asked) in [
            (Shell::Bash, "complete -F _setpoint_and_addresses -o"),
            (Shell::Bash, "valued='^(--allow-removals|"),
            (Shell::Zsh, ":ADDR:_setpoint_addresses"),
            (Shell::Zsh, "'*::addresses -- "),
            (Shell::Zsh, "'--sandbox=-["),
            (Shell::Fish, "-l target "),
        ] {
            let script = script(shell);
            assert!(script.contains(asked), "{asked} is not in the script for {shell}");
            assert!(!script.contains("ADDR:_default"), "{shell}");
            assert!(!script.contains("complete -F _setpoint -o"), "{shell}");
        }
    }

    #[test]
    fn the_words_of_our_command_are_put_together_again() {
        let words = [
            "cd",
            "x",
            "/usr/bin/setpoint",
            "--config",
            "=",
            "a.toml",
            "--target",
            "=",
        ]
        .map(str::to_owned);
        let ours = ["/usr/bin/setpoint", "--config=a.toml", "--target="];
        assert_eq!(typed(&words), ours);
    }
}
