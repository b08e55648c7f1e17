//! `export`: what is live, as a configuration.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use toml::{Table, Value};

use crate::app::context::Context;
use crate::app::error::{Failure, Result, warning};
use crate::app::operations::{self, View};
use crate::cli::exit::Exit;
use crate::cli::globals::Globals;
use crate::cli::{term, toml_text};
use crate::gitlab::GitlabRead;
use crate::model::{Command, Known, Observed, ObservedMembership, RecordedState, identify_application};
use crate::render::text::sanitize;

/// Print what is live as a configuration whose plan is empty
///
/// How to reach both sides, where secrets are and what is guarded is taken from the configuration as it is. The
/// application, the user, all of its direct memberships and the enabled repositories are as they are live.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// The sections in the order of the documentation.
const SECTIONS: [&str; 8] = [
    "gitlab",
    "factory",
    "application",
    "user",
    "repositories",
    "guards",
    "change_windows",
    "state",
];

impl Args {
    pub(crate) async fn run(self, globals: Globals) -> Result<Exit> {
        let Self {} = self;
        let context = Context::open(globals).await?;
        let ended = export(&context).await;
        context.close(ended).await
    }
}

async fn export(context: &Context) -> Result<Exit> {
    let (view, readers) = operations::refresh_and_plan_connected(context, &context.policy(Command::Plan)).await?;
    let found = memberships(readers.sources().gitlab, &view.observed.gitlab.memberships);
    let memberships = context.interrupts.guard(async { Ok(found.await?) }).await;
    readers.end().await;
    let memberships = memberships?;
    let file = &context.config.file;
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::of(&error).context(format!("{} cannot be read", file.display())))?;
    let mut table: Table = text.parse().map_err(|error: toml::de::Error| {
        Failure::new(error.message()).context(format!("{} is no TOML", file.display()))
    })?;
    let View { record, observed, .. } = view;
    application(&mut table, context, &observed, &record);
    user(&mut table, &observed, memberships);
    repositories(&mut table, &observed);
    let mut out = String::new();
    for name in SECTIONS {
        if let Some(section) = table.remove(name) {
            let one = Table::from_iter([(name.to_owned(), section)]);
            let text = toml_text::render(one).map_err(|error| Failure::of(&error))?;
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(&text);
        }
    }
    term::out(&out)?;
    Ok(Exit::Done)
}

/// Changes one section of the file.
fn edit(table: &mut Table, name: &str, change: impl FnOnce(&mut Table)) {
    if let Some(Value::Table(section)) = table.get_mut(name) {
        change(section);
    }
}

fn texts<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> Value {
    Value::Array(items.into_iter().map(|item| Value::from(item.as_ref())).collect())
}

fn application(table: &mut Table, context: &Context, observed: &Observed, record: &RecordedState) {
    let desired = &context.config.desired.application;
    let used = observed
        .factory
        .integration
        .as_ref()
        .map(|integration| &integration.application);
    let found = identify_application(&desired.name, &observed.gitlab.applications, record, used);
    let Some(live) = found.found() else {
        return;
    };
    edit(table, "application", |section| {
        section.insert("name".to_owned(), live.name.clone().into());
        let uris: Vec<&String> = live.redirect_uris.iter().collect();
        let uris = match uris.as_slice() {
            [one] => Value::from(one.as_str()),
            several => texts(several),
        };
        section.insert("redirect_uri".to_owned(), uris);
        section.insert("confidential".to_owned(), live.confidential.into());
        if let Known::Known(trusted) = live.trusted {
            section.insert("trusted".to_owned(), trusted.into());
        }
        if let Known::Known(scopes) = &live.scopes {
            section.insert("scopes".to_owned(), texts(scopes));
        }
    });
}

fn user(table: &mut Table, observed: &Observed, memberships: Table) {
    let Some(live) = &observed.gitlab.user else {
        return;
    };
    edit(table, "user", |section| {
        section.insert("name".to_owned(), live.name.clone().into());
        section.insert("username".to_owned(), live.username.clone().into());
        section.insert("email".to_owned(), live.email.clone().into());
        section.remove("previously");
        section.insert("memberships".to_owned(), memberships.into());
    });
}

/// The droid's direct memberships by their paths. One that a configuration has no word for is left out, and said: it
/// stays as it is, for only what is declared is touched.
async fn memberships(gitlab: &dyn GitlabRead, live: &[ObservedMembership]) -> crate::http::Result<Table> {
    let paths = try_join_all(live.iter().map(|membership| gitlab.path_of(membership.source))).await?;
    let mut named = BTreeMap::new();
    for (membership, path) in live.iter().zip(paths) {
        match (path, membership.role()) {
            (Some(path), Some(role)) => drop(named.insert(path.to_string(), Value::from(role.as_str()))),
            (Some(path), None) => {
                let (path, level) = (sanitize(path.as_str()), membership.access_level);
                term::err(&warning(
                    &format!("{path} is left out: GitLab's access level {level} is no role of a configuration"),
                    "the membership stays as it is, for only what is declared is touched",
                ));
            }
            (None, _) => {}
        }
    }
    Ok(named.into_iter().collect())
}

fn repositories(table: &mut Table, observed: &Observed) {
    let Known::Known(listed) = &observed.factory.repositories else {
        return;
    };
    let mut enabled: Vec<&str> = listed
        .values()
        .filter(|repository| repository.enabled)
        .map(|repository| repository.path.as_str())
        .collect();
    enabled.sort_unstable();
    edit(table, "repositories", |section| {
        section.insert("enable".to_owned(), texts(enabled));
        section.remove("except");
    });
}
