//! Addresses of resources: how people and scripts name them, and the order in which they are shown.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::FullPath;

/// The kinds of resources, in the order in which they are shown. What is listed by kind anywhere is derived from
/// [`Kind::ALL`] or matches without a wildcard, so that a new kind does not compile before it has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `gitlab.application`: the instance-wide OAuth application.
    Application,
    /// `gitlab.user`: the droid user.
    User,
    /// `gitlab.membership["PATH"]`: the droid's direct role in a group or project.
    Membership,
    /// `factory.connection`: domain, application id and secret as saved in Factory.
    Connection,
    /// `factory.authorization`: the OAuth grant, and whose it is.
    Authorization,
    /// `factory.repository["PATH"]`: a repository enabled in Factory.
    Repository,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Application,
        Self::User,
        Self::Membership,
        Self::Connection,
        Self::Authorization,
        Self::Repository,
    ];

    /// The side that it lives on, and its name there: the two halves of an address.
    pub fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Application => ("gitlab", "application"),
            Self::User => ("gitlab", "user"),
            Self::Membership => ("gitlab", "membership"),
            Self::Connection => ("factory", "connection"),
            Self::Authorization => ("factory", "authorization"),
            Self::Repository => ("factory", "repository"),
        }
    }

    /// Whether there are several of it, told apart by their paths.
    pub fn has_path(self) -> bool {
        match self {
            Self::Membership | Self::Repository => true,
            Self::Application | Self::User | Self::Connection | Self::Authorization => false,
        }
    }

    /// Whether the guards count its removals. The application has a guard of its own, and what else there is one of goes
    /// only where `destroy` is asked for it.
    pub(crate) fn is_guarded(self) -> bool {
        match self {
            Self::Membership | Self::Repository => true,
            Self::Application | Self::User | Self::Connection | Self::Authorization => false,
        }
    }

    /// What all of this kind are called together, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Application => "OAuth application",
            Self::User => "Droid user",
            Self::Membership => "Memberships",
            Self::Connection => "Connection",
            Self::Authorization => "Authorization",
            Self::Repository => "Repositories",
        }
    }

    /// The kinds that have to be there before it.
    pub fn follows(self) -> &'static [Self] {
        match self {
            Self::Application | Self::User => &[],
            Self::Membership => &[Self::User],
            Self::Connection => &[Self::Application],
            Self::Authorization => &[Self::User, Self::Connection],
            Self::Repository => &[Self::Membership, Self::Authorization],
        }
    }

    /// The address of one of this kind; none without the path that it needs, or with one that it has not.
    fn at(self, path: Option<FullPath>) -> Option<Address> {
        match (self, path) {
            (Self::Application, None) => Some(Address::Application),
            (Self::User, None) => Some(Address::User),
            (Self::Membership, Some(path)) => Some(Address::Membership(path)),
            (Self::Connection, None) => Some(Address::Connection),
            (Self::Authorization, None) => Some(Address::Authorization),
            (Self::Repository, Some(path)) => Some(Address::Repository(path)),
            (Self::Application | Self::User | Self::Connection | Self::Authorization, Some(_))
            | (Self::Membership | Self::Repository, None) => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (side, name) = self.parts();
        write!(f, "{side}.{name}")
    }
}

/// The address of a resource. The derived order is the canonical one: by kind, then by path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// The one [`Kind::Application`].
    Application,
    /// The one [`Kind::User`].
    User,
    /// A [`Kind::Membership`], by the full path of its group or project.
    Membership(FullPath),
    /// The one [`Kind::Connection`].
    Connection,
    /// The one [`Kind::Authorization`].
    Authorization,
    /// A [`Kind::Repository`], by the full path of its project.
    Repository(FullPath),
}

impl Address {
    /// What it is the address of.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Application => Kind::Application,
            Self::User => Kind::User,
            Self::Membership(_) => Kind::Membership,
            Self::Connection => Kind::Connection,
            Self::Authorization => Kind::Authorization,
            Self::Repository(_) => Kind::Repository,
        }
    }

    /// Whether it lives in Factory.
    pub fn is_factory(&self) -> bool {
        self.kind().parts().0 == "factory"
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
        write!(f, "{}", self.kind())?;
        match self.path() {
            Some(path) => write!(f, "[\"{}\"]", escaped(path.as_str())),
            None => Ok(()),
        }
    }
}

/// So that the text can be read back whatever the path is. Those that GitLab can have are as they were.
fn escaped(path: &str) -> String {
    path.replace('\\', "\\\\").replace('"', "\\\"")
}

/// The path between quotation marks; none where a mark or a backslash stands alone.
fn unescaped(text: &str) -> Option<String> {
    let mut path = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        path.push(match c {
            '"' => return None,
            '\\' => rest.next().filter(|c| matches!(c, '"' | '\\'))?,
            c => c,
        });
    }
    Some(path)
}

/// The text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address; addresses are {forms}", forms = forms())]
pub struct ParseAddressError(pub String);

/// What addresses look like, as a list in a sentence.
fn forms() -> String {
    let forms = Kind::ALL.map(|kind| format!("{kind}{}", if kind.has_path() { "[\"PATH\"]" } else { "" }));
    match forms.split_last() {
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

impl FromStr for Address {
    type Err = ParseAddressError;

    /// Takes the path with or without its quotation marks, which shells like to eat.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = || ParseAddressError(text.to_owned());
        let (name, path) = match text.split_once('[') {
            None => (text, None),
            Some((name, rest)) => {
                let inner = rest.strip_suffix(']').ok_or_else(fail)?;
                let quoted = inner.strip_prefix('"').and_then(|inner| inner.strip_suffix('"'));
                let path = match quoted {
                    Some(quoted) => unescaped(quoted).ok_or_else(fail)?,
                    None if inner.is_empty() || inner.contains(['"', '[', ']', '\\']) => return Err(fail()),
                    None => inner.to_owned(),
                };
                (name, Some(FullPath::new(path)))
            }
        };
        let kind = Kind::ALL.into_iter().find(|kind| kind.to_string() == name);
        kind.and_then(|kind| kind.at(path)).ok_or_else(fail)
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
        let names_of = |side: &str| {
            let of_side = Kind::ALL.into_iter().filter(|kind| kind.parts().0 == side);
            let names: Vec<String> = of_side
                .map(|kind| format!("{}{}", kind.parts().1, if kind.has_path() { r#"\[".+"\]"# } else { "" }))
                .collect();
            format!(r"{side}\.({})", names.join("|"))
        };
        schemars::json_schema!({
            "type": "string",
            "pattern": format!("^({}|{})$", names_of("gitlab"), names_of("factory")),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn every_path_survives_the_text(path in any::<String>(), hard in "[a\"\\\\\\[\\]/]{0,8}") {
            for path in [path, hard] {
                for address in [Address::Membership(FullPath::new(&path)), Address::Repository(FullPath::new(&path))] {
                    prop_assert_eq!(address.to_string().parse(), Ok(address.clone()));
                    let json = serde_json::to_string(&address).unwrap();
                    prop_assert_eq!(serde_json::from_str::<Address>(&json).unwrap(), address);
                }
            }
        }
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
            "factory.repository[\"a\"b\"]",
            "factory.repository[\"a\\b\"]",
            "factory.repository[\"\\\"]",
            "factory.repository[a\\b]",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
