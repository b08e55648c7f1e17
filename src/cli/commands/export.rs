//! `export`: what is live, as a configuration.

use std::collections::BTreeMap;

use futures_util::future::{self, try_join_all};
use toml::{Table, Value};

use crate::app::context::Context;
use crate::app::error::{Failure, Result};
use crate::app::exit::Exit;
use crate::app::operations::{self, View};
use crate::cli::diagnostic::warning;
use crate::cli::globals::Globals;
use crate::cli::{term, toml_text};
use crate::diff::declared_values;
use crate::gitlab::{GitlabRead, Membership};
use crate::model::{Command, Diagnostic, Fields, Known, Observed, ObservedGitlab, RecordedState, identify_application};
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
        let context = globals.open().await?;
        let ended = export(&context).await;
        context.close(ended).await
    }
}

async fn export(context: &Context) -> Result<Exit> {
    let (view, readers) = operations::refresh_and_plan_connected(context, &context.policy(Command::Plan)).await?;
    let found = memberships(readers.sources().gitlab, &view.observed.gitlab);
    let memberships = context.interrupts.guard(async { Ok(found.await?) }).await;
    readers.sign_out().await;
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
        declare(section, &live.fields);
        // One URI is written without brackets.
        if let Some(Value::Array(uris)) = section.get_mut("redirect_uri")
            && let [uri] = uris.as_mut_slice()
        {
            let uri = std::mem::replace(uri, Value::Boolean(false));
            section.insert("redirect_uri".to_owned(), uri);
        }
    });
}

/// Writes what is known of a resource as a configuration has it.
fn declare<F: Fields>(section: &mut Table, fields: &F) {
    for (name, value) in declared_values(fields) {
        // TOML has no null: what is none is left out.
        match Value::try_from(value) {
            Ok(value) => drop(section.insert(name, value)),
            Err(_) => drop(section.remove(&name)),
        }
    }
}

fn user(table: &mut Table, observed: &Observed, memberships: Table) {
    let Some(live) = &observed.gitlab.user else {
        return;
    };
    edit(table, "user", |section| {
        declare(section, &live.fields);
        section.remove("previously");
        section.insert("memberships".to_owned(), memberships.into());
    });
}

/// The droid's direct memberships by their paths. One that a configuration has no word for is left out, and said: it
/// stays as it is, for only what is declared is touched.
async fn memberships(gitlab: &dyn GitlabRead, observed: &ObservedGitlab) -> crate::http::Result<Table> {
    let Some(user) = &observed.user else {
        return Ok(Table::new());
    };
    let sources = observed.memberships.iter().map(|membership| membership.source);
    let live = sources.map(|source| future::try_join(gitlab.path_of(source), gitlab.membership(source, user.id)));
    let mut named = BTreeMap::new();
    for live in try_join_all(live).await? {
        let (Some(path), Some(Membership { fields, custom_role })) = live else {
            continue;
        };
        if let Some(custom) = custom_role {
            let path = sanitize(path.as_str());
            term::err(&warning(
                &Diagnostic::new(format!(
                    "{path} is written as {}: the droid has the custom role `{custom}` there, which is based on that",
                    fields.role
                ))
                .hint("plan compares the role that it is based on, and leaves the custom role alone"),
            ));
        }
        let mut declared = Table::new();
        declare(&mut declared, &fields);
        let role = fields.role;
        if role.name().is_none() {
            let path = sanitize(path.as_str());
            term::err(&warning(
                &Diagnostic::new(format!(
                    "{path} is left out: GitLab's access level {role} is no role of a configuration"
                ))
                .hint("the membership stays as it is, for only what is declared is touched"),
            ));
            continue;
        }
        // A role that is all there is stands alone.
        let value = match declared.remove("role") {
            Some(role) if declared.is_empty() => role,
            Some(role) => {
                declared.insert("role".to_owned(), role);
                declared.into()
            }
            None => continue,
        };
        named.insert(path.to_string(), value);
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
