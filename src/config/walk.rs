//! The structural walk: the JSON Schema held against the tree of values, which finds unknown keys, wrong types, words
//! that are no choice and missing keys, all of them and with their places.
//!
//! What is wrong is taken out of the tree, so that the rest can still be parsed and its meaning checked in the same run.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Finding;
use super::reference::{self, name_of};

/// What the walk found.
#[derive(Debug, Default)]
pub(super) struct Structure {
    /// The faults, in no order.
    pub(super) findings: Vec<Finding>,
    /// Dotted paths of known keys that are there, but wrong or misspelled: not to be reported as missing again.
    pub(super) broken: BTreeSet<String>,
}

/// Walks the whole document. Faults of the top level that have no place are put at `end`.
pub(super) fn walk(schema: &Value, document: &mut DeTable<'_>, end: usize) -> Structure {
    let mut walk = Walk {
        root: schema,
        structure: Structure::default(),
    };
    walk.table(schema, document, &Path::default(), end..end);
    walk.structure
}

/// Where the walk stands: the dotted path for lookups, the header for messages.
#[derive(Debug, Clone, Default)]
struct Path {
    dotted: String,
    in_array: bool,
}

impl Path {
    fn key(&self, key: &str) -> Self {
        let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let key = if bare { key.to_owned() } else { format!("{key:?}") };
        let dotted = if self.dotted.is_empty() {
            key
        } else {
            format!("{}.{key}", self.dotted)
        };
        Self {
            dotted,
            in_array: false,
        }
    }

    fn element(&self) -> Self {
        Self {
            dotted: self.dotted.clone(),
            in_array: true,
        }
    }

    /// Such as ` in [gitlab]`; nothing at the top level.
    fn within(&self) -> String {
        match (self.dotted.is_empty(), self.in_array) {
            (true, _) => String::new(),
            (false, false) => format!(" in `[{}]`", self.dotted),
            (false, true) => format!(" in `[[{}]]`", self.dotted),
        }
    }
}

struct Walk<'s> {
    root: &'s Value,
    structure: Structure,
}

impl<'s> Walk<'s> {
    /// Follows a reference to a named type.
    fn resolve(&self, schema: &'s Value) -> &'s Value {
        let target = match schema.get("allOf").and_then(|all| all.get(0)) {
            Some(inner) => inner,
            None => schema,
        };
        target
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|name| name.strip_prefix('#'))
            .and_then(|pointer| self.root.pointer(pointer))
            .unwrap_or(target)
    }

    fn find(&mut self, finding: Finding) {
        self.structure.findings.push(finding);
    }

    /// A table with known keys.
    fn table(&mut self, schema: &'s Value, table: &mut DeTable<'_>, path: &Path, place: Range<usize>) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return;
        };
        let known: Vec<&str> = properties.keys().map(String::as_str).collect();
        let mut present: BTreeSet<String> = BTreeSet::new();
        for (key, mut value) in std::mem::take(table) {
            let name = key.get_ref().as_ref();
            let Some(property) = properties.get(name) else {
                let meant = self.unknown_key(name, key.span(), &known, path);
                present.extend(meant);
                continue;
            };
            present.insert(name.to_owned());
            let path = path.key(name);
            if self.value(property, &mut value, &path) {
                table.insert(key, value);
            } else {
                self.structure.broken.insert(path.dotted);
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        for key in required.into_iter().flatten().filter_map(Value::as_str) {
            if !present.contains(key) {
                let description = properties.get(key).map_or("", description);
                self.find(missing_key(key, description, path, place.clone()));
            }
        }
    }

    /// Reports an unknown key and returns the known one that it probably stands for.
    fn unknown_key(&mut self, name: &str, span: Range<usize>, known: &[&str], path: &Path) -> Option<String> {
        let nearest = super::nearest::nearest(name, known.iter().copied());
        let hint = match nearest {
            Some(nearest) if nearest.is_close => format!("the nearest known key is `{}`", nearest.word),
            Some(nearest) => {
                let known = known.join("`, `");
                let elsewhere = homes(self.root, name)
                    .map(|home| format!("`{name}` belongs in `[{home}]`; "))
                    .unwrap_or_default();
                format!(
                    "{elsewhere}the nearest known key is `{}`; the known ones are `{known}`",
                    nearest.word
                )
            }
            None => "remove it".to_owned(),
        };
        let message = format!("unknown key `{}`{}", name.escape_debug(), path.within());
        self.find(Finding::new(span, message, hint));
        let meant = nearest.filter(|nearest| nearest.is_close)?.word;
        self.structure.broken.insert(path.key(meant).dotted);
        Some(meant.to_owned())
    }

    /// Any value. Returns whether it may stay in the tree.
    fn value(&mut self, schema: &'s Value, value: &mut Spanned<DeValue<'_>>, path: &Path) -> bool {
        let schema = self.resolve(schema);
        let span = value.span();
        if let Some(kinds) = reference::kinds(schema) {
            let faults = reference::faults(value, &kinds, &path.dotted);
            let sound = faults.is_empty();
            self.structure.findings.extend(faults);
            return sound;
        }
        if let Some(choices) = choices(schema) {
            return self.choice(&choices, value, path);
        }
        if let Some([short, long]) = schema.get("anyOf").and_then(Value::as_array).map(Vec::as_slice) {
            return self.either(short, long, value, path);
        }
        match (schema.get("type").and_then(Value::as_str), value.get_mut()) {
            (Some("object"), DeValue::Table(table)) => {
                match schema.get("additionalProperties") {
                    Some(any @ Value::Object(_)) => self.map(any, table, path),
                    _ => self.table(schema, table, path, span),
                }
                true
            }
            (Some("array"), DeValue::Array(array)) => {
                if let Some(items) = schema.get("items") {
                    let path = path.element();
                    for mut item in std::mem::replace(array, std::iter::empty().collect()) {
                        if self.value(items, &mut item, &path) {
                            array.push(item);
                        } else {
                            self.structure.broken.insert(path.dotted.clone());
                        }
                    }
                }
                true
            }
            (Some("integer"), DeValue::Integer(number)) => {
                let number = i128::from_str_radix(number.as_str(), number.radix()).ok();
                self.range(schema, number, span, path)
            }
            (Some("string"), DeValue::String(_)) | (Some("boolean"), DeValue::Boolean(_)) | (None, _) => true,
            (Some(wanted), found) => {
                let finding = wrong_type(wanted, schema, found, path, span);
                self.find(finding);
                false
            }
        }
    }

    /// One of several, or a table of which one key is required, may stand alone; it is put into the longer form.
    fn either(&mut self, short: &'s Value, long: &'s Value, value: &mut Spanned<DeValue<'_>>, path: &Path) -> bool {
        let long = self.resolve(long);
        let main = match reference::kinds(long) {
            // An address that may be written out, or be a reference.
            Some(_) => Some("address"),
            None => long.pointer("/required/0").and_then(Value::as_str),
        };
        let span = value.span();
        match (main, value.get_ref()) {
            (None, DeValue::String(_)) => {
                let one = std::mem::replace(value.get_mut(), DeValue::Boolean(false));
                *value.get_mut() = DeValue::Array([Spanned::new(span, one)].into_iter().collect());
                true
            }
            (None, _) | (Some(_), DeValue::Table(_)) => self.value(long, value, path),
            (Some(main), _) => {
                let sound = self.value(short, value, path);
                let one = std::mem::replace(value.get_mut(), DeValue::Boolean(false));
                let mut table = DeTable::new();
                table.insert(
                    Spanned::new(span.clone(), main.to_owned().into()),
                    Spanned::new(span, one),
                );
                *value.get_mut() = DeValue::Table(table);
                sound
            }
        }
    }

    /// The rest of a name that was written without quotes, so that its dots made tables: keys that nothing there is
    /// called, one in the other.
    fn unquoted<'v>(&self, schema: &'s Value, value: &'v Spanned<DeValue<'_>>) -> Option<Vec<&'v str>> {
        let long = self.resolve(schema).get("anyOf").and_then(|forms| forms.get(1))?;
        let known = self.resolve(long).get("properties").and_then(Value::as_object)?;
        let mut parts = Vec::new();
        let mut value = value.get_ref();
        while let DeValue::Table(table) = value {
            let mut entries = table.iter();
            let (Some((key, inner)), None) = (entries.next(), entries.next()) else {
                return None;
            };
            let key = key.get_ref().as_ref();
            let nearest = super::nearest::nearest(key, known.keys().map(String::as_str));
            if known.contains_key(key) {
                break;
            }
            if nearest.is_some_and(|nearest| nearest.is_close) {
                return None;
            }
            parts.push(key);
            value = inner.get_ref();
        }
        (!parts.is_empty()).then_some(parts)
    }

    /// A table whose keys are names of other things.
    fn map(&mut self, schema: &'s Value, table: &mut DeTable<'_>, path: &Path) {
        for (key, mut value) in std::mem::take(table) {
            if let Some(parts) = self.unquoted(schema, &value) {
                let meant = [&[key.get_ref().as_ref()], &parts[..]].concat();
                let message = format!(
                    "`{}` is a path without quotes{}",
                    meant.join(".").escape_debug(),
                    path.within()
                );
                let hint = format!(
                    "a dot begins a table: write `\"{}\" = …`, or `\"{}\" = …` where the dot is part of a name",
                    meant.join("/").escape_debug(),
                    meant.join(".").escape_debug(),
                );
                self.find(Finding::new(key.span(), message, hint));
                continue;
            }
            if self.value(schema, &mut value, &path.key(key.get_ref())) {
                table.insert(key, value);
            }
        }
    }

    fn choice(&mut self, choices: &[&str], value: &mut Spanned<DeValue<'_>>, path: &Path) -> bool {
        let listed = choices.join("`, `");
        let finding = match value.get_ref() {
            DeValue::String(word) if choices.contains(&word.as_ref()) => return true,
            DeValue::String(word) => {
                let hint = match super::nearest::nearest(word, choices.iter().copied()) {
                    Some(nearest) if nearest.is_close => {
                        format!("the nearest choice is `{}`; the choices are `{listed}`", nearest.word)
                    }
                    _ => format!("the choices are `{listed}`"),
                };
                Finding::new(value.span(), format!("unknown choice for `{}`", path.dotted), hint)
            }
            other => {
                let message = format!("`{}` has to be a string, not {}", path.dotted, name_of(other));
                Finding::new(value.span(), message, format!("the choices are `{listed}`"))
            }
        };
        self.find(finding);
        false
    }

    fn range(&mut self, schema: &Value, number: Option<i128>, span: Range<usize>, path: &Path) -> bool {
        let bound = |name| schema.get(name).and_then(Value::as_u64).map(i128::from);
        let (least, most) = (
            bound("minimum").unwrap_or(0),
            bound("maximum").unwrap_or(i128::from(i64::MAX)),
        );
        if number.is_some_and(|number| (least..=most).contains(&number)) {
            return true;
        }
        let hint = match bound("maximum") {
            Some(most) => format!("write a whole number from {least} to {most}"),
            None => format!("write a whole number, at least {least}"),
        };
        self.find(Finding::new(span, format!("`{}` is out of range", path.dotted), hint));
        false
    }
}

/// The section, of those right below the top level, to which a key belongs.
fn homes<'s>(root: &'s Value, name: &str) -> Option<&'s str> {
    let sections = root.get("properties")?.as_object()?;
    let definitions = root.get("definitions");
    sections.iter().find_map(|(section, schema)| {
        let named = schema
            .pointer("/allOf/0/$ref")
            .and_then(Value::as_str)
            .and_then(|pointer| definitions?.get(pointer.rsplit('/').next()?));
        let properties = named.unwrap_or(schema).get("properties")?;
        properties.get(name).map(|_| section.as_str())
    })
}

/// The words of a type that is a choice of words.
fn choices(schema: &Value) -> Option<Vec<&str>> {
    schema
        .get("oneOf")?
        .as_array()?
        .iter()
        .map(|choice| choice.get("const").and_then(Value::as_str))
        .collect()
}

fn description(schema: &Value) -> &str {
    schema.get("description").and_then(Value::as_str).unwrap_or("")
}

fn missing_key(key: &str, description: &str, path: &Path, place: Range<usize>) -> Finding {
    if path.dotted.is_empty() {
        let hint = format!("add `[{key}]`: {description}");
        return Finding::new(place, format!("the section `[{key}]` is missing"), hint);
    }
    let message = format!("the key `{key}` is missing{}", path.within());
    Finding::new(place, message, format!("add `{key}`: {description}"))
}

fn wrong_type(wanted: &str, schema: &Value, found: &DeValue<'_>, path: &Path, span: Range<usize>) -> Finding {
    let of_tables =
        schema.pointer("/items/type").is_some_and(|kind| kind == "object") || schema.pointer("/items/$ref").is_some();
    let key = path.dotted.rsplit('.').next().unwrap_or_default();
    let (wanted_name, hint) = match (wanted, found) {
        ("boolean", DeValue::String(_)) => ("true or false", "write `true` or `false`, without quotes".to_owned()),
        ("boolean", _) => ("true or false", "write `true` or `false`".to_owned()),
        ("integer", DeValue::String(_)) => ("a whole number", "write the number without quotes".to_owned()),
        ("integer", _) => ("a whole number", "write a whole number".to_owned()),
        ("string", DeValue::Array(_) | DeValue::Table(_)) => ("a string", "write one text in quotes".to_owned()),
        ("string", _) => ("a string", "put it into quotes".to_owned()),
        ("array", DeValue::Table(_)) if of_tables => {
            ("an array of tables", format!("write `[[{key}]]`, with two brackets"))
        }
        ("array", DeValue::String(_)) => ("an array", "put it into brackets: `[\"…\"]`".to_owned()),
        ("array", _) => ("an array", "write an array: `[\"…\"]`".to_owned()),
        ("object", DeValue::Array(_)) => ("a table", format!("write `[{}]` once, with one bracket", path.dotted)),
        (_, _) => ("a table", format!("write `[{}]` and the keys below it", path.dotted)),
    };
    let element = if path.in_array { "an element of " } else { "" };
    let message = format!(
        "{element}`{}` has to be {wanted_name}, not {}",
        path.dotted,
        name_of(found)
    );
    Finding::new(span, message, hint)
}
