//! What people type who know Terraform, answered with what it is called here.

use crate::app::error::Failure;

/// Flags that begin with one dash. Some of them would be taken for our short ones, so they are looked for before anything
/// else: `-chdir=x` would be the configuration `hdir=x`.
const FLAGS: &[(&str, &str)] = &[
    ("-target", "write `--target ADDR`"),
    ("-out", "write `--out FILE`"),
    (
        "-chdir",
        "name the configuration instead: `-c DIR/setpoint.toml`; paths in it start at its folder",
    ),
    ("-auto-approve", "write `--auto-approve`"),
    ("-detailed-exitcode", "write `--detailed-exitcode`"),
    ("-json", "write `--format json`"),
    ("-no-color", "write `--color never`"),
    ("-parallelism", "write `--parallelism N`"),
    ("-lock-timeout", "write `--lock-timeout DUR`"),
    (
        "-refresh-only",
        "`setpoint drift` compares what is live with the record",
    ),
    ("-destroy", "`setpoint destroy` takes the integration down"),
    (
        "-replace",
        "write `--allow-replace`: it is planned where an edit in place is impossible",
    ),
    ("-input", "leave it out: without a terminal nothing is asked"),
    ("-lock", "leave it out: what writes takes the lock"),
    ("-refresh", "leave it out: every plan reads both sides"),
    ("-compact-warnings", "leave it out"),
    (
        "-var",
        "there are no variables: secrets are references, such as `{ env = \"NAME\" }`",
    ),
    ("-var-file", "there are no variables: name another file with `-c FILE`"),
    ("-help", "write `--help`"),
    ("-version", "write `--version`"),
];

/// Commands, by the words after `setpoint`.
const COMMANDS: &[(&[&str], &str)] = &[
    (
        &["refresh"],
        "every plan reads both sides; `setpoint drift` shows what changed outside of Setpoint",
    ),
    (
        &["import"],
        "`setpoint adopt` takes over what was made by hand; `setpoint export` writes what is live as a file",
    ),
    (&["output"], "`setpoint state show --format json` has what is recorded"),
    (&["fmt"], "there is none: any TOML formatter will do"),
    (&["force-unlock"], "write `setpoint state unlock ID`"),
    (&["taint"], "`setpoint rotate` renews the secret"),
    (&["untaint"], "nothing is ever tainted"),
    (
        &["workspace"],
        "use one configuration with one record for each integration, by `-c FILE`",
    ),
    (&["graph"], "`setpoint plan --format markdown` has the graph"),
    (&["test"], "try it with `--sandbox`"),
    (&["version"], "write `setpoint --version`"),
    (&["state", "pull"], "write `setpoint state show --format json`"),
    (
        &["state", "mv"],
        "a resource keeps its id: what is renamed in GitLab is followed, and `user.previously` renames the droid",
    ),
    (&["state", "replace-provider"], "there are no providers"),
];

/// The answer to a command line that is Terraform's, if it is one.
pub(super) fn answer(arguments: &[String]) -> Option<Failure> {
    let typed = arguments.iter().take_while(|argument| *argument != "--");
    for argument in typed.clone() {
        let name = argument.split('=').next().unwrap_or_default();
        if let Some((flag, ours)) = FLAGS.iter().find(|(flag, _)| *flag == name) {
            return Some(failure(flag, ours));
        }
    }
    let words: Vec<&str> = typed
        .map(String::as_str)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let (command, ours) = COMMANDS.iter().find(|(command, _)| words.starts_with(command))?;
    Some(failure(&command.join(" "), ours))
}

fn failure(theirs: &str, ours: &str) -> Failure {
    Failure::new(format!("`{theirs}` is Terraform's, not Setpoint's")).hint(ours)
}

#[cfg(test)]
mod tests {
    use super::{COMMANDS, FLAGS, answer};

    fn said(line: &str) -> Option<String> {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        answer(&arguments).map(|failure| failure.to_string())
    }

    #[test]
    fn terraforms_spellings_are_told_and_ours_are_not() {
        assert!(said("plan -target=gitlab.user").unwrap().contains("`-target`"));
        assert!(said("-chdir=there plan").unwrap().contains("`-chdir`"));
        assert!(said("state mv a b").unwrap().contains("`state mv`"));
        assert!(said("refresh").unwrap().contains("`refresh`"));
        for ours in [
            "plan --target gitlab.user",
            "state list",
            "plan -c setpoint.toml -vv -q",
            "apply -- -out",
        ] {
            assert_eq!(said(ours), None, "{ours}");
        }
    }

    #[test]
    fn nothing_of_ours_is_called_terraforms() {
        let command = super::super::command();
        for (words, _) in COMMANDS {
            let mut at = Some(&command);
            for word in *words {
                at = at.and_then(|command| command.find_subcommand(word));
            }
            assert!(at.is_none(), "{words:?}");
        }
        // One dash and a word is no flag that clap knows.
        assert!(
            FLAGS
                .iter()
                .all(|(flag, _)| flag.starts_with('-') && !flag.starts_with("--") && flag.len() > 2)
        );
    }
}
