//! The only comparison there is: what is desired, what is live and what was recorded, attribute by attribute, and which
//! side moved.
//!
//! | desired | live | recorded | origin |
//! |---|---|---|---|
//! | a | b | b | `pending`: the file changed |
//! | a | b | a | `drift`: the live side changed |
//! | a | b | c | `both` |
//! | a | b | – | `unrecorded` |
//! | a | – | – | `pending`: nothing is there yet |
//!
//! A kind of resource says once what its attributes are ([`Fields`]). How it is compared, shown, edited, adopted into
//! the record and looked at again before a saved plan is carried out follows from that.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::model::{AttributeChange, Edit, Fields, Origin, by_name, entry};

/// All known attributes by the names that the record has for them.
pub fn recorded_values<F: Fields>(fields: &F) -> Map<String, Value> {
    fields.attributes().iter().map(entry).collect()
}

/// All known attributes by the names that the configuration has for them, in the order in which they are shown.
pub fn declared_values<F: Fields>(fields: &F) -> Vec<(String, Value)> {
    let named = fields.attributes().into_iter().map(|attribute| entry(&attribute));
    named.map(|(name, value)| (F::path(&name).to_owned(), value)).collect()
}

/// How the sides of one resource differ.
#[derive(Debug, Clone)]
pub struct Difference<A> {
    /// What has to change.
    pub edit: Edit<A>,
    /// The same for the reader.
    pub attributes: Vec<AttributeChange>,
    pub origins: Origins,
    /// What cannot be compared, because it is neither shown nor recorded.
    pub unobservable: Vec<String>,
}

/// Compares a resource that is there. An attribute that the live side does not show is taken to be as recorded.
pub fn compare<F: Fields>(desired: &F, live: &F, recorded: Option<&F>) -> Difference<F::Attribute> {
    let (live, recorded) = (by_name(Some(live)), by_name(recorded));
    let mut difference = Difference {
        edit: Edit(BTreeMap::new()),
        attributes: Vec::new(),
        origins: Origins::default(),
        unobservable: Vec::new(),
    };
    for wanted in desired.attributes() {
        let (name, after) = entry(&wanted);
        let remembered = recorded.get(&name);
        let Some(seen) = live.get(&name).or(remembered) else {
            difference.unobservable.push(F::path(&name).to_owned());
            continue;
        };
        if difference.origins.compare(Some(&wanted), Some(seen), remembered) {
            let before = entry(seen).1;
            difference
                .attributes
                .push(AttributeChange::new(F::path(&name), before, after));
            difference.edit.0.insert(name, wanted);
        }
    }
    difference
}

/// A resource that is not there: all that it will have. The file moved, too, where it says something else than what was
/// recorded.
pub fn missing<F: Fields>(desired: &F, recorded: Option<&F>) -> (Origins, Vec<AttributeChange>) {
    let remembered = by_name(recorded);
    let mut origins = Origins::default();
    origins.compare(Some(&()), None, recorded.map(|_| &()));
    let wanted = desired.attributes();
    for attribute in &wanted {
        if remembered
            .get(&entry(attribute).0)
            .is_some_and(|recorded| recorded != attribute)
        {
            origins.add(Origin::Pending);
        }
    }
    let attributes = wanted.iter().map(entry).filter(|(_, after)| !after.is_null());
    let attributes = attributes.map(|(name, after)| AttributeChange::new(F::path(&name), Value::Null, after));
    (origins, attributes.collect())
}

/// A resource that is there and not declared: all that goes.
pub fn unlisted<F: Fields>(live: &F, recorded: Option<&F>) -> (Origins, Vec<AttributeChange>) {
    let remembered = by_name(recorded);
    let mut origins = Origins::default();
    let seen = live.attributes();
    for attribute in &seen {
        origins.compare(None, Some(attribute), remembered.get(&entry(attribute).0));
    }
    let attributes = seen.iter().map(entry).filter(|(_, before)| !before.is_null());
    let attributes = attributes.map(|(name, before)| AttributeChange::new(F::path(&name), before, Value::Null));
    (origins, attributes.collect())
}

/// Brings a record up to date: what is as declared is adopted, and so is what was not recorded before. What differs
/// keeps its recorded value, for that is what tells drift from a changed file.
pub fn adopt<F: Fields>(recorded: &mut F, desired: &F, live: &F) {
    let (remembered, wanted) = (by_name(Some(recorded)), by_name(Some(desired)));
    for seen in live.attributes() {
        let name = entry(&seen).0;
        if wanted.get(&name) == Some(&seen) || !remembered.contains_key(&name) {
            recorded.set(seen);
        }
    }
}

/// Takes over all that is known.
pub fn take_over<F: Fields>(fields: &mut F, from: &F) {
    for attribute in from.attributes() {
        fields.set(attribute);
    }
}

/// What the attributes of one resource say, gathered.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origins {
    file_moved: bool,
    live_moved: bool,
    unrecorded: bool,
}

impl Origins {
    /// Compares one attribute; `None` stands for "there is none". Returns whether desired and live differ.
    pub fn compare<T: PartialEq + ?Sized>(
        &mut self,
        desired: Option<&T>,
        live: Option<&T>,
        recorded: Option<&T>,
    ) -> bool {
        if desired == live {
            return false;
        }
        match (live, recorded) {
            (None, None) => self.file_moved = true,
            (Some(_), None) => self.unrecorded = true,
            (_, Some(_)) => {
                self.file_moved |= desired != recorded;
                self.live_moved |= live != recorded;
            }
        }
        true
    }

    /// Adds what is known from elsewhere.
    pub fn add(&mut self, origin: Origin) {
        match origin {
            Origin::Pending => self.file_moved = true,
            Origin::Drift => self.live_moved = true,
            Origin::Both => {
                self.file_moved = true;
                self.live_moved = true;
            }
            Origin::Unrecorded => self.unrecorded = true,
        }
    }

    /// The resource's origin. What an interrupted run of ours left half done and unrecorded is pending.
    pub fn resolve(self, interrupted: bool) -> Origin {
        let Self {
            file_moved,
            live_moved,
            unrecorded,
        } = self;
        match (file_moved, live_moved, unrecorded) {
            (true, true, _) => Origin::Both,
            (true, false, true) if !interrupted => Origin::Both,
            (false, true, _) => Origin::Drift,
            (false, false, true) if !interrupted => Origin::Unrecorded,
            (true | false, false, _) => Origin::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Origins;
    use crate::model::Origin;

    fn of(attributes: &[(Option<&str>, Option<&str>, Option<&str>)], interrupted: bool) -> Origin {
        let mut origins = Origins::default();
        for (desired, live, recorded) in attributes {
            origins.compare(*desired, *live, *recorded);
        }
        origins.resolve(interrupted)
    }

    #[test]
    fn one_attribute() {
        let (a, b, c) = (Some("a"), Some("b"), Some("c"));
        for (attribute, expected) in [
            ((a, b, b), Origin::Pending),
            ((a, b, a), Origin::Drift),
            ((a, b, c), Origin::Both),
            ((a, b, None), Origin::Unrecorded),
            ((a, None, None), Origin::Pending),
            ((a, None, a), Origin::Drift),
            ((a, None, b), Origin::Both),
            ((None, a, a), Origin::Pending),
            ((None, a, b), Origin::Both),
            ((None, a, None), Origin::Unrecorded),
        ] {
            assert_eq!(of(&[attribute], false), expected, "{attribute:?}");
        }
    }

    #[test]
    fn several_attributes_add_up_and_equal_ones_say_nothing() {
        let (a, b) = (Some("a"), Some("b"));
        assert_eq!(of(&[(a, b, b), (a, b, a)], false), Origin::Both);
        assert_eq!(of(&[(a, b, a), (a, a, b)], false), Origin::Drift);
        assert_eq!(of(&[(a, b, None), (a, b, a)], false), Origin::Drift);
        assert_eq!(of(&[(a, b, None), (a, b, b)], false), Origin::Both);
    }

    #[test]
    fn what_an_interrupted_run_left_is_pending() {
        let (a, b) = (Some("a"), Some("b"));
        assert_eq!(of(&[(a, b, None)], true), Origin::Pending);
        assert_eq!(of(&[(a, b, a)], true), Origin::Drift);
    }
}
