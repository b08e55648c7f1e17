//! What `--help` says beyond the flags: two examples and the page to read for each command, and the flags of all commands
//! in one line where the short help is asked for.

use std::fmt::Write as _;

/// Two command lines with what each is for, and the page of the documentation that goes with them.
struct Guide {
    command: &'static str,
    examples: [(&'static str, &'static str); 2],
    page: &'static str,
}

const fn guide(
    command: &'static str,
    first: (&'static str, &'static str),
    second: (&'static str, &'static str),
    page: &'static str,
) -> Guide {
    Guide {
        command,
        examples: [first, second],
        page,
    }
}

/// By the words after `setpoint`.
const GUIDES: &[Guide] = &[
    guide(
        "",
        ("setpoint init", "begin with a commented setpoint.toml"),
        (
            "setpoint apply --sandbox",
            "try it against the embedded GitLab and Factory",
        ),
        "docs/first-time.md",
    ),
    guide(
        "init",
        ("setpoint init", "write setpoint.toml"),
        ("setpoint init -c gitlab/setpoint.toml", "write it somewhere else"),
        "docs/first-time.md",
    ),
    guide(
        "validate",
        ("setpoint validate", "say all faults at once, each with its place"),
        (
            "setpoint validate --format json",
            "the same for an editor or a pipeline",
        ),
        "docs/first-time.md",
    ),
    guide(
        "doctor",
        ("setpoint doctor", "what stands in the way of an apply, with fixes"),
        (
            "setpoint doctor --pages shapes.json",
            "for a report: the shapes of GitLab's pages",
        ),
        "docs/troubleshooting.md",
    ),
    guide(
        "plan",
        ("setpoint plan --out plan.json", "save it, to be approved and applied"),
        ("setpoint plan --format markdown", "as a note on a merge request"),
        "docs/preview-in-ci.md",
    ),
    guide(
        "show",
        ("setpoint show plan.json", "read what is to be approved"),
        ("setpoint show plan.json --format json", "hold it against a policy"),
        "docs/change-window.md",
    ),
    guide(
        "apply",
        ("setpoint apply", "show the plan, ask, carry it out"),
        ("setpoint apply plan.json", "carry out the plan that was approved"),
        "docs/change-window.md",
    ),
    guide(
        "adopt",
        ("setpoint adopt", "take over what was set up by hand"),
        ("setpoint adopt --sandbox", "see first what it asks"),
        "docs/adopt.md",
    ),
    guide(
        "drift",
        ("setpoint drift", "2 if something changed outside of Setpoint"),
        (
            "setpoint drift --metrics setpoint.prom",
            "for Prometheus's textfile collector",
        ),
        "docs/drift-from-cron.md",
    ),
    guide(
        "confirm",
        (
            "setpoint confirm --all",
            "record that everything on the prompts is done",
        ),
        ("setpoint confirm factory.connection", "record one step"),
        "docs/assisted.md",
    ),
    guide(
        "rotate",
        ("setpoint rotate", "show what is renewed, ask, renew"),
        ("setpoint rotate --auto-approve", "from a job, without a question"),
        "docs/change-window.md",
    ),
    guide(
        "export",
        ("setpoint export", "what is live, as a setpoint.toml"),
        ("setpoint export > live.toml", "and keep it"),
        "docs/adopt.md",
    ),
    guide(
        "destroy",
        ("setpoint destroy", "show what goes, ask, take it down"),
        ("setpoint destroy --block-user", "and block the droid"),
        "docs/change-window.md",
    ),
    guide(
        "state",
        ("setpoint state show", "the record, and who holds its lock"),
        ("setpoint state list", "the addresses in it"),
        "docs/troubleshooting.md",
    ),
    guide(
        "state show",
        ("setpoint state show", "what is remembered, a line to a resource"),
        ("setpoint state show --format json", "the record itself"),
        "docs/troubleshooting.md",
    ),
    guide(
        "state list",
        ("setpoint state list", "one address to a line"),
        ("setpoint state list --format json", "the same for a script"),
        "docs/troubleshooting.md",
    ),
    guide(
        "state rm",
        (
            "setpoint state rm gitlab.user",
            "forget the droid, which stays in GitLab",
        ),
        (
            "setpoint state rm 'factory.repository[\"web/old\"]'",
            "quoted for the shell",
        ),
        "docs/troubleshooting.md",
    ),
    guide(
        "state unlock",
        ("setpoint state unlock", "show who holds the lock, ask, release it"),
        (
            "setpoint state unlock 11111111-2222-3333-4444-555555555555",
            "that lock only",
        ),
        "docs/troubleshooting.md",
    ),
    guide(
        "state journal",
        ("setpoint state journal", "who changed what, and when"),
        ("setpoint state journal --format json", "the same for a script"),
        "docs/security.md",
    ),
    guide(
        "state rebuild",
        ("setpoint state rebuild", "show what a new record would hold, and ask"),
        ("setpoint state rebuild --replace", "also where there is a sound one"),
        "docs/troubleshooting.md",
    ),
    guide(
        "state push",
        ("setpoint state push backup.json", "put a backup back"),
        (
            "setpoint state push .setpoint/state.json.unwritten-1",
            "what a run could not write",
        ),
        "docs/troubleshooting.md",
    ),
    guide(
        "sandbox",
        ("setpoint sandbox", "serve a GitLab and a Factory on this machine"),
        (
            "setpoint sandbox --memory --set gitlab=19.3",
            "of that generation, and forget it",
        ),
        "docs/sandbox.md",
    ),
    guide(
        "schema",
        (
            "setpoint schema > setpoint.schema.json",
            "of the configuration, for an editor",
        ),
        ("setpoint schema plan", "of what plan --format json prints"),
        "docs/json.md",
    ),
    guide(
        "completions",
        ("source <(setpoint completions bash)", "for this shell"),
        ("setpoint completions zsh > _setpoint", "into a folder of $fpath"),
        "README.md",
    ),
    guide(
        "man",
        ("setpoint man | man -l -", "read it"),
        ("setpoint man > setpoint.1", "install it"),
        "README.md",
    ),
];

/// What folds the flags of all commands into a line.
const GLOBAL: &str = "Global options: -c FILE, --sandbox[=FILE], --format, --color, -v, -q, --log-format, \
    --parallelism N, --lock-timeout DUR (`--help` explains them)";

/// What the flags of all commands have in common.
const VARIABLES: &str = "Each global option has a variable, such as SETPOINT_CONFIG for --config and \
    SETPOINT_LOCK_TIMEOUT for --lock-timeout. What is typed counts for more.";

/// Where the pages are, and what else leads somewhere.
const PAGES: &str = "The pages are in the repository; packages put them into /usr/share/doc/setpoint. Where the terminal is \
    known to show links, addresses lead to their pages in GitLab; FORCE_HYPERLINK=0 leaves them out.";

/// The exit codes, below the help of the whole.
const EXIT_CODES: &str = "Exit codes:
  0  done, or nothing to do
  1  error
  2  there are differences (plan --detailed-exitcode, drift)
  3  something is left: operator steps, blocked or failed changes
  4  refused before the first write";

/// Adds it to a command and all below it.
pub(super) fn complete(command: clap::Command, words: &str) -> clap::Command {
    let mut below = command;
    let names: Vec<String> = below
        .get_subcommands()
        .map(|subcommand| subcommand.get_name().to_owned())
        .collect();
    for name in names {
        let words = format!("{words} {name}");
        below = below.mut_subcommand(name, |subcommand| complete(subcommand, words.trim_start()));
    }
    let examples = GUIDES
        .iter()
        .find(|guide| guide.command == words)
        .map_or_else(String::new, Guide::text);
    let (codes, pages) = if words.is_empty() {
        (format!("{EXIT_CODES}\n\n"), format!("\n\n{PAGES}"))
    } else {
        (String::new(), String::new())
    };
    below
        .after_help(format!("{GLOBAL}\n\n{codes}{examples}"))
        .after_long_help(format!("{VARIABLES}\n\n{codes}{examples}{pages}"))
}

impl Guide {
    fn text(&self) -> String {
        let mut out = String::from("Examples:\n");
        for (line, purpose) in self.examples {
            let _ = writeln!(out, "  {line}\n      {purpose}");
        }
        let _ = write!(out, "\nMore: {}", self.page);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::GUIDES;

    fn paths(command: &clap::Command, words: &str, all: &mut Vec<String>) {
        all.push(words.to_owned());
        for subcommand in command.get_subcommands() {
            paths(
                subcommand,
                format!("{words} {}", subcommand.get_name()).trim_start(),
                all,
            );
        }
    }

    #[test]
    fn each_command_has_examples_that_it_takes_and_a_page_that_is_there() {
        let mut all = Vec::new();
        paths(&super::super::command(), "", &mut all);
        for words in all {
            let Some(guide) = GUIDES.iter().find(|guide| guide.command == words) else {
                panic!("`{words}` has no examples");
            };
            let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(guide.page);
            assert!(page.is_file(), "{}", guide.page);
            for (line, _) in guide.examples {
                let line = line.replace("source <(", "").replace([')', '\''], "");
                let arguments: Vec<&str> = line
                    .split([' '])
                    .take_while(|word| !matches!(*word, ">" | "|"))
                    .collect();
                assert!(line.contains(&words), "{line} is no example of {words}");
                let parsed = super::super::command().try_get_matches_from(arguments);
                assert!(
                    parsed.is_ok(),
                    "{line}: {}",
                    parsed.err().map_or_else(String::new, |e| e.to_string())
                );
            }
        }
    }
}
