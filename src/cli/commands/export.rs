//! `export`: what is live, as a configuration. It is the file that the run began from, with the values in it that
//! differ, so that its comments and its order stay.

use std::collections::BTreeMap;

use futures_util::future::{self, try_join_all};
use serde_json::Value as Json;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, TomlError, Value};

use crate::app::context::Context;
use crate::app::error::{Failure, Result};
use crate::app::exit::Exit;
use crate::app::operations::{self, View};
use crate::cli::diagnostic::warning;
use crate::cli::globals::Globals;
use crate::cli::{term, toml_text};
use crate::config;
use crate::diff::declared_values;
use crate::gitlab::{GitlabRead, Membership};
use crate::model::{
    ApplicationMatch, Command, Diagnostic, Fields, FullPath, Known, Observed, ObservedGitlab, RecordedState, Role,
};
use crate::render::text::sanitize;

/// Print what is live as a configuration whose plan is empty
///
/// It is the configuration as it is, with its comments: how to reach both sides, where secrets are and what is guarded
/// stays. The application, the user, all of its direct memberships and the enabled repositories are as they are live.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

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
    let path = &context.config.file;
    let mut file: DocumentMut = config::text(path)?
        .parse()
        .map_err(|error: TomlError| Failure::new(error.message()).context(format!("{} is no TOML", path.display())))?;
    let View { record, observed, .. } = view;
    application(&mut file, context, &observed, &record);
    user(&mut file, &observed, &memberships);
    repositories(&mut file, &observed);
    term::out(&toml_text::tame(&file.to_string()))?;
    Ok(Exit::Done)
}

/// Changes one section of the file, whichever way it is written.
fn edit(file: &mut DocumentMut, name: &str, change: impl FnOnce(&mut dyn TableLike)) {
    if let Some(section) = file.get_mut(name).and_then(Item::as_table_like_mut) {
        change(section);
    }
}

/// Says which value a key has: in its place and with the comment behind it, or at the end of its section; with none the
/// key goes. What means the same stays as it is written.
fn set(section: &mut dyn TableLike, key: &str, value: Option<Value>) {
    let Some(value) = value else {
        section.remove(key);
        return;
    };
    let old = section.get(key).and_then(|old| old.clone().into_value().ok());
    if old.is_some_and(|old| meaning(&old) == meaning(&value)) {
        return;
    }
    match section.get_mut(key) {
        Some(Item::Value(old)) => {
            let decor = old.decor().clone();
            *old = value;
            *old.decor_mut() = decor;
        }
        _ => drop(section.insert(key, Item::Value(value))),
    }
}

/// A value without the ways to write it. Lists of the configuration have no order; one URI may stand without its brackets,
/// and so may the role of a membership that has nothing else.
fn meaning(value: &Value) -> Json {
    match value {
        Value::String(text) => text.value().as_str().into(),
        Value::Boolean(yes) => (*yes.value()).into(),
        Value::Array(items) => {
            let mut items: Vec<Json> = items.iter().map(meaning).collect();
            items.sort_by_key(Json::to_string);
            match items.as_slice() {
                [one] => one.clone(),
                _ => items.into(),
            }
        }
        Value::InlineTable(entries) => match entries.get("role") {
            Some(role) if entries.len() == 1 => meaning(role),
            _ => entries
                .iter()
                .map(|(key, value)| (key.to_owned(), meaning(value)))
                .collect(),
        },
        Value::Integer(_) | Value::Float(_) | Value::Datetime(_) => value.to_string().trim().into(),
    }
}

/// A declared value as TOML. It has no null: what is none is left out.
fn written(value: &Json) -> Option<Value> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(yes) => (*yes).into(),
        Json::Number(number) => number.as_i64().map_or_else(|| number.to_string().into(), Value::from),
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => list(items.iter().filter_map(written)),
        Json::Object(entries) => {
            let entries = entries.iter().filter_map(|(key, value)| Some((key, written(value)?)));
            entries.collect::<InlineTable>().into()
        }
    })
}

/// A list, with each item on a line of its own where there are several.
fn list(items: impl IntoIterator<Item = Value>) -> Value {
    let mut list: Array = items.into_iter().collect();
    if list.len() > 1 {
        list.iter_mut().for_each(|item| item.decor_mut().set_prefix("\n    "));
        list.set_trailing("\n");
        list.set_trailing_comma(true);
    }
    list.into()
}

fn application(file: &mut DocumentMut, context: &Context, observed: &Observed, record: &RecordedState) {
    let desired = &context.config.desired;
    let live = match ApplicationMatch::of(desired, observed, record) {
        ApplicationMatch::Found(live) => live,
        ApplicationMatch::None => return,
        ApplicationMatch::Ambiguous(candidates) => {
            let ids: Vec<String> = candidates.iter().map(|candidate| candidate.id.to_string()).collect();
            let several = format!(
                "[application] is left as the file has it: {} applications of GitLab are named `{}` (ids {}), and neither \
                 the state record nor Factory tells which one is meant",
                ids.len(),
                sanitize(&desired.application.name),
                ids.join(", ")
            );
            let hint = "delete or rename the others in GitLab's admin area, then export again";
            term::err(&warning(&Diagnostic::new(several).hint(hint)));
            return;
        }
    };
    edit(file, "application", |section| {
        for (key, value) in declared(&live.fields) {
            // One URI is written without brackets.
            let value = match value {
                Some(Value::Array(uris)) if key == "redirect_uri" && uris.len() == 1 => uris.into_iter().next(),
                value => value,
            };
            set(section, &key, value);
        }
    });
}

/// What is known of a resource as a configuration has it, by its keys.
fn declared<F: Fields>(fields: &F) -> impl Iterator<Item = (String, Option<Value>)> {
    let values = declared_values(fields).into_iter();
    values.map(|(key, value)| (key, written(&value)))
}

fn user(file: &mut DocumentMut, observed: &Observed, memberships: &BTreeMap<FullPath, Value>) {
    let Some(live) = &observed.gitlab.user else {
        return;
    };
    edit(file, "user", |section| {
        for (key, value) in declared(&live.fields) {
            set(section, &key, value);
        }
        section.remove("previously");
        if section.get("memberships").is_none() && !memberships.is_empty() {
            section.insert("memberships", Item::Table(Table::new()));
        }
        let Some(section) = section.get_mut("memberships").and_then(Item::as_table_like_mut) else {
            return;
        };
        let keys = section.iter().map(|(key, _)| (FullPath::new(key), key.to_owned()));
        let keys: BTreeMap<FullPath, String> = keys.collect();
        for (path, key) in &keys {
            if !memberships.contains_key(path) {
                section.remove(key);
            }
        }
        for (path, value) in memberships {
            // A path that GitLab spells otherwise is the same one.
            let key = keys.get(path).map_or(path.as_str(), String::as_str);
            set(section, key, Some(value.clone()));
        }
    });
}

/// The droid's direct memberships by their paths. One that a configuration has no word for is left out, and said: it
/// stays as it is, for only what is declared is touched.
async fn memberships(
    gitlab: &dyn GitlabRead,
    observed: &ObservedGitlab,
) -> crate::http::Result<BTreeMap<FullPath, Value>> {
    let mut named = BTreeMap::new();
    let Some(user) = &observed.user else {
        return Ok(named);
    };
    let sources = observed.memberships.iter().map(|membership| membership.source);
    let live = sources.map(|source| future::try_join(gitlab.path_of(source), gitlab.membership(source, user.id)));
    for live in try_join_all(live).await? {
        let (Some(path), Some(Membership { fields, custom_role })) = live else {
            continue;
        };
        if let Some(custom) = custom_role {
            let path = sanitize(path.as_str());
            let custom = Diagnostic::new(format!(
                "{path} is written as {}: the droid has the custom role `{custom}` there, which is based on that",
                fields.role
            ));
            let hint = "plan compares the role that it is based on, and leaves the custom role alone";
            term::err(&warning(&custom.hint(hint)));
        }
        let role = fields.role;
        if matches!(role, Role::Other(_)) {
            let path = sanitize(path.as_str());
            let left_out = Diagnostic::new(format!(
                "{path} is left out: GitLab's access level {role} is no role of a configuration"
            ));
            let hint = "the membership stays as it is, for only what is declared is touched";
            term::err(&warning(&left_out.hint(hint)));
            continue;
        }
        let declared: InlineTable = declared(&fields)
            .filter_map(|(key, value)| Some((key, value?)))
            .collect();
        // A role that is all there is stands alone.
        let role = declared.get("role").filter(|_| declared.len() == 1).cloned();
        named.insert(path, role.unwrap_or_else(|| declared.into()));
    }
    Ok(named)
}

fn repositories(file: &mut DocumentMut, observed: &Observed) {
    let Known::Known(listed) = &observed.factory.repositories else {
        return;
    };
    let enabled = listed.values().filter(|repository| repository.enabled);
    let mut enabled: Vec<&str> = enabled.map(|repository| repository.path.as_str()).collect();
    enabled.sort_unstable();
    edit(file, "repositories", |section| {
        set(section, "enable", Some(list(enabled.into_iter().map(Value::from))));
        section.remove("except");
    });
}
