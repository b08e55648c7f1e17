//! Roles in a group or project.

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

/// A role, as GitLab's access levels name it (GitLab: lib/gitlab/access.rb). Planner came with 17.7, Security Manager
/// with 19; Minimal Access is in groups of the Enterprise Edition only, and shows no project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// 5
    MinimalAccess,
    /// 10
    Guest,
    /// 15
    Planner,
    /// 20
    Reporter,
    /// 25
    SecurityManager,
    /// 30
    Developer,
    /// 40
    Maintainer,
    /// 50
    Owner,
    /// A level that the configuration has no word for: 0 is none.
    #[serde(untagged)]
    Other(u64),
}

impl Role {
    /// All roles that have a word, lowest first.
    pub const ALL: [Self; 8] = [
        Self::MinimalAccess,
        Self::Guest,
        Self::Planner,
        Self::Reporter,
        Self::SecurityManager,
        Self::Developer,
        Self::Maintainer,
        Self::Owner,
    ];

    /// The least with which a Droid can work: who has less pushes nothing (GitLab: `doc/user/permissions.md`).
    pub const LEAST_OF_A_DROID: Self = Self::Developer;

    /// GitLab's number for it.
    pub fn access_level(self) -> u64 {
        match self {
            Self::MinimalAccess => 5,
            Self::Guest => 10,
            Self::Planner => 15,
            Self::Reporter => 20,
            Self::SecurityManager => 25,
            Self::Developer => 30,
            Self::Maintainer => 40,
            Self::Owner => 50,
            Self::Other(level) => level,
        }
    }

    /// The role of a number.
    pub fn from_access_level(level: u64) -> Self {
        let named = Self::ALL.into_iter().find(|role| role.access_level() == level);
        named.unwrap_or(Self::Other(level))
    }

    /// Whether it shows the projects of its group: Minimal Access does not.
    pub fn shows_projects(self) -> bool {
        self >= Self::Guest
    }
}

/// By name, or by number where there is none.
impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Level;
        impl Visitor<'_> for Level {
            type Value = Role;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a role")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Role, E> {
                name.parse().map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, level: u64) -> Result<Role, E> {
                Ok(Role::from_access_level(level))
            }
        }
        deserializer.deserialize_any(Level)
    }
}

/// What the configuration takes: the roles with a name.
impl schemars::JsonSchema for Role {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Role".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let named = Self::ALL.map(|role| {
            let level = role.access_level().to_string();
            serde_json::json!({ "const": role, "description": level, "type": "string" })
        });
        schemars::json_schema!({
            "description": "A role, as GitLab's access levels name it (GitLab: lib/gitlab/access.rb). Planner came with 17.7, \
                            Security Manager with 19; Minimal Access is in groups of the Enterprise Edition only, and shows no \
                            project.",
            "oneOf": named,
        })
    }
}

impl PartialOrd for Role {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Role {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.access_level().cmp(&other.access_level())
    }
}

/// The name in the configuration, or the number where it has none.
impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}

/// The text names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no role; the roles are minimal_access, guest, planner, reporter, security_manager, developer, maintainer and owner"
)]
pub struct ParseRoleError(pub String);

impl std::str::FromStr for Role {
    type Err = ParseRoleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.to_string() == text)
            .ok_or_else(|| ParseRoleError(text.to_owned()))
    }
}
