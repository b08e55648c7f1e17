//! Addresses of resources: how people and scripts name them, and the order in which they are shown.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::FullPath;

/// The address of a resource. The derived order is the canonical one: by kind as listed here, then by path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// `gitlab.application`: the instance-wide OAuth application.
    Application,
    /// `gitlab.user`: the droid user.
    User,
    /// `gitlab.membership["PATH"]`: the droid's direct role in a group or project.
    Membership(FullPath),
    /// `factory.connection`: domain, application id and secret as saved in Factory.
    Connection,
    /// `factory.authorization`: the OAuth grant, and whose it is.
    Authorization,
    /// `factory.repository["PATH"]`: a repository enabled in Factory.
    Repository(FullPath),
}

impl Address {
    /// The address without its path, such as `factory.repository`: the kind that counts are kept by.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Application => "gitlab.application",
            Self::User => "gitlab.user",
            Self::Membership(_) => "gitlab.membership",
            Self::Connection => "factory.connection",
            Self::Authorization => "factory.authorization",
            Self::Repository(_) => "factory.repository",
        }
    }

    /// Whether it lives in Factory.
    pub fn is_factory(&self) -> bool {
        matches!(self, Self::Connection | Self::Authorization | Self::Repository(_))
    }

    /// The path, of those that have one.
    pub fn path(&self) -> Option<&FullPath> {
        match self {
            Self::Membership(path) | Self::Repository(path) => Some(path),
            Self::Application | Self::User | Self::Connection | Self::Authorization => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self.path() {
            Some(path) => write!(f, "[\"{path}\"]"),
            None => Ok(()),
        }
    }
}

/// The text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no address; addresses are gitlab.application, gitlab.user, gitlab.membership[\"PATH\"], \
     factory.connection, factory.authorization and factory.repository[\"PATH\"]"
)]
pub struct ParseAddressError(pub String);

impl FromStr for Address {
    type Err = ParseAddressError;

    /// Takes the path with or without its quotation marks, which shells like to eat.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = || ParseAddressError(text.to_owned());
        let (kind, path) = match text.split_once('[') {
            None => (text, None),
            Some((kind, rest)) => {
                let inner = rest.strip_suffix(']').ok_or_else(fail)?;
                let inner = inner
                    .strip_prefix('"')
                    .and_then(|i| i.strip_suffix('"'))
                    .unwrap_or(inner);
                if inner.is_empty() || inner.contains(['"', '[', ']']) {
                    return Err(fail());
                }
                (kind, Some(FullPath::new(inner)))
            }
        };
        match (kind, path) {
            ("gitlab.application", None) => Ok(Self::Application),
            ("gitlab.user", None) => Ok(Self::User),
            ("gitlab.membership", Some(path)) => Ok(Self::Membership(path)),
            ("factory.connection", None) => Ok(Self::Connection),
            ("factory.authorization", None) => Ok(Self::Authorization),
            ("factory.repository", Some(path)) => Ok(Self::Repository(path)),
            _ => Err(fail()),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Address {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r#"^(gitlab\.(application|user|membership\[".+"\])|factory\.(connection|authorization|repository\[".+"\]))$"#
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Address;
    use crate::model::FullPath;

    #[test]
    fn text_and_back() {
        for address in [
            Address::Application,
            Address::User,
            Address::Membership(FullPath::new("web/storefront")),
            Address::Connection,
            Address::Authorization,
            Address::Repository(FullPath::new("platform/a.b-c_d")),
        ] {
            assert_eq!(address.to_string().parse(), Ok(address));
        }
        assert_eq!(
            "factory.repository[a/b]".parse(),
            Ok(Address::Repository(FullPath::new("a/b")))
        );
    }

    #[test]
    fn what_is_no_address() {
        for text in [
            "",
            "gitlab",
            "gitlab.user[\"a\"]",
            "factory.repository",
            "factory.repository[]",
            "factory.repository[\"a\"",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
