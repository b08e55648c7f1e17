//! The attributes of a resource, said once for what is declared, live and recorded of it, and an edit as some of them.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// The attributes of one kind of resource, in one type for what is declared, live and recorded.
pub trait Fields {
    /// One attribute with its value: an enum with a variant for each, which serializes as `{ "name": value }`. Values
    /// that mean the same to the other side are equal, however they are spelled.
    type Attribute: Clone + PartialEq + Serialize + DeserializeOwned;

    /// All attributes that are known here, in the order in which they are shown.
    fn attributes(&self) -> Vec<Self::Attribute>;

    /// Takes an attribute over.
    fn set(&mut self, attribute: Self::Attribute);

    /// The attribute's name in plans and in the configuration, where the record has another.
    fn path(name: &str) -> &str {
        name
    }
}

/// The name and the value of an attribute.
pub(crate) fn entry<A: Serialize>(attribute: &A) -> (String, Value) {
    match serde_json::to_value(attribute) {
        Ok(Value::Object(object)) => object.into_iter().next().unwrap_or_default(),
        Ok(_) | Err(_) => <(String, Value)>::default(),
    }
}

/// The attributes that change, with their new values; in JSON an object by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit<A>(pub(crate) BTreeMap<String, A>);

impl<A: Serialize> FromIterator<A> for Edit<A> {
    fn from_iter<I: IntoIterator<Item = A>>(attributes: I) -> Self {
        let named = attributes.into_iter().map(|attribute| (entry(&attribute).0, attribute));
        Self(named.collect())
    }
}

impl<A> Edit<A> {
    pub fn iter(&self) -> impl Iterator<Item = &A> {
        self.0.values()
    }

    /// Whether an attribute for which this holds changes.
    pub fn has(&self, what: impl Fn(&A) -> bool) -> bool {
        self.iter().any(what)
    }

    /// Whether nothing of this is left to change in these fields.
    pub fn is_done<F: Fields<Attribute = A>>(&self, fields: &F) -> bool
    where
        A: Clone + PartialEq + Serialize + DeserializeOwned,
    {
        let present = by_name(Some(fields));
        self.0.iter().all(|(name, wanted)| present.get(name) == Some(wanted))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<A: Clone> Edit<A> {
    pub fn apply<F: Fields<Attribute = A>>(&self, fields: &mut F) {
        for attribute in self.iter() {
            fields.set(attribute.clone());
        }
    }
}

impl<A: Serialize> Edit<A> {
    /// The new values by name.
    pub fn values(&self) -> Map<String, Value> {
        self.iter().map(entry).collect()
    }
}

impl<A: Serialize> Serialize for Edit<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(entry))
    }
}

impl<'de, A: Serialize + DeserializeOwned> Deserialize<'de> for Edit<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Map::<String, Value>::deserialize(deserializer)?;
        let attributes = object.into_iter().map(|entry| {
            let one = Value::Object(Map::from_iter([entry]));
            serde_json::from_value(one).map_err(D::Error::custom)
        });
        attributes.collect()
    }
}

/// The known attributes by the names that the record has for them.
pub(crate) fn by_name<F: Fields>(fields: Option<&F>) -> BTreeMap<String, F::Attribute> {
    let attributes = fields.map(Fields::attributes).unwrap_or_default();
    let named = attributes.into_iter().map(|attribute| (entry(&attribute).0, attribute));
    named.collect()
}
