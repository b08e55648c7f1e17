//! `init`: a starter configuration, and what belongs beside it.

use std::io::{ErrorKind, Write as _};
use std::path::Path;

use crate::app::error::{Failure, Result};
use crate::app::exit::Exit;
use crate::app::records::beside;
use crate::cli::globals::Globals;
use crate::cli::term;
use crate::config::{self, Answers, Driver, Region};
use crate::files;

/// What is never committed: the record's lock and journal, a secret that is kept in a file, the sandbox's world.
const IGNORED: &str = "/.setpoint/";

/// Write a commented starter configuration
///
/// The file is written where -c/--config points. An existing file is never overwritten. Beside it a .gitignore keeps
/// .setpoint/ out of the repository, and the schema is put there for editors.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ask for GitLab's address, the driver, the droid's e-mail address and the paths
    #[arg(long, short)]
    interactive: bool,
}

impl Args {
    pub(crate) async fn run(self, globals: &Globals) -> Result<Exit> {
        let Self { interactive } = self;
        let path = &globals.config;
        if path.exists() {
            return Err(is_there(path));
        }
        let text = if interactive {
            config::starter_for(&ask_for_all().await?)
        } else {
            config::starter().to_owned()
        };
        create(path, &text)?;
        let ignored = ignore(path);
        let schema = beside(path, ".setpoint/setpoint.schema.json");
        if let Some(folder) = schema.parent()
            && std::fs::create_dir_all(folder).is_ok()
        {
            // An editor does without it.
            let _ = create(&schema, &format!("{:#}\n", config::schema()));
        }
        if !globals.quiet {
            let adapt = if interactive { "Look it over" } else { "Adapt it" };
            term::err(&format!(
                "Wrote {}. {adapt}, then try `setpoint validate` and `setpoint doctor`.\n",
                path.display()
            ));
            if !ignored {
                term::err(&format!("Add {IGNORED} to .gitignore: it may hold a secret.\n"));
            }
        }
        Ok(Exit::Done)
    }
}

fn is_there(path: &Path) -> Failure {
    Failure::new(format!("{} is there already and is left as it is", path.display()))
        .hint("name another file with -c FILE")
}

/// Writes a file that is not there yet.
fn create(path: &Path, text: &str) -> Result<()> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => is_there(path),
            _ => Failure::new(error.to_string()).context(format!("{} cannot be written", path.display())),
        })
}

/// More than anybody writes by hand.
const MAX_IGNORED_BYTES: u64 = 1024 * 1024;

/// Whether git leaves out what must not be committed, after a .gitignore was made where there was none. One that is
/// there is its owner's.
fn ignore(config: &Path) -> bool {
    let file = beside(config, ".gitignore");
    match files::read(&file, MAX_IGNORED_BYTES) {
        Ok(text) => String::from_utf8_lossy(&text)
            .lines()
            .any(|line| line.trim().trim_matches('/') == ".setpoint"),
        Err(error) if error.kind() == ErrorKind::NotFound => create(&file, &format!("{IGNORED}\n")).is_ok(),
        Err(_) => false,
    }
}

async fn ask_for_all() -> Result<Answers> {
    if !term::can_ask() {
        return Err(
            Failure::new("`init --interactive` asks questions, and there is no terminal to ask on")
                .hint("leave --interactive out, and edit the starter"),
        );
    }
    let mut answers = Answers {
        url: String::new(),
        driver: Driver::Assisted,
        region: Region::Us,
        email: String::new(),
        paths: Vec::new(),
    };
    answers.url = until("GitLab's address", "https://gitlab.example.com", |url| {
        sound(&Answers {
            url: url.to_owned(),
            ..example()
        })
    })
    .await?;
    let driver = until(
        "Who does Factory's half: a person (assisted), or a gateway (api)",
        "assisted",
        |word| one_of(word, &["assisted", "api"]),
    )
    .await?;
    if driver == "api" {
        answers.driver = Driver::Api;
    }
    let region = until("Factory's region: us or eu", "us", |word| one_of(word, &["us", "eu"])).await?;
    if region == "eu" {
        answers.region = Region::Eu;
    }
    answers.email = until(
        "An e-mail address for the droid's account",
        "factory-droid@example.com",
        |email| {
            sound(&Answers {
                email: email.to_owned(),
                ..example()
            })
        },
    )
    .await?;
    let paths = until(
        "Groups on which Droids shall work, by full path, with spaces between",
        "platform",
        |text| {
            sound(&Answers {
                paths: words(text),
                ..example()
            })
        },
    )
    .await?;
    answers.paths = words(&paths);
    Ok(answers)
}

fn words(text: &str) -> Vec<String> {
    text.split([' ', ','])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn one_of(word: &str, words: &[&str]) -> std::result::Result<(), String> {
    if words.contains(&word) {
        Ok(())
    } else {
        Err(format!("answer {}", words.join(" or ")))
    }
}

/// Answers that have no fault, to try one at a time.
fn example() -> Answers {
    Answers {
        url: "https://gitlab.example.com".to_owned(),
        driver: Driver::Assisted,
        region: Region::Us,
        email: "factory-droid@example.com".to_owned(),
        paths: vec!["platform".to_owned()],
    }
}

/// What `validate` would say.
fn sound(answers: &Answers) -> std::result::Result<(), String> {
    config::parse(&config::starter_for(answers), Path::new("setpoint.toml")).map_or_else(
        |error| {
            let fault = error.faults().first();
            Err(fault.map_or_else(String::new, |fault| format!("{}: {}", fault.message, fault.hint)))
        },
        |_| Ok(()),
    )
}

/// Asks until the answer fits. An empty answer takes the default.
async fn until(
    question: &str,
    default: &str,
    fits: impl Fn(&str) -> std::result::Result<(), String>,
) -> Result<String> {
    loop {
        let Some(answer) = term::ask(format!("{question} [{default}]: ")).await? else {
            return Err(Failure::new("the input ended before all was answered").hint("nothing was written"));
        };
        let answer = if answer.is_empty() { default.to_owned() } else { answer };
        match fits(&answer) {
            Ok(()) => return Ok(answer),
            Err(why) => term::err(&format!("  {}\n", crate::render::text::sanitize(&why))),
        }
    }
}
