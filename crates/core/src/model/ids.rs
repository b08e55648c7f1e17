//! Ids of different kinds are different types, so that an application's row id can never be sent where its uid is
//! meant, or a project's where a user's is.

use serde::{Deserialize, Serialize};

macro_rules! numeric_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

numeric_id! {
    /// The row id of an OAuth application in GitLab: what its API and admin pages have in their paths.
    ApplicationId
}
numeric_id! {
    /// The id of a GitLab user.
    UserId
}
numeric_id! {
    /// The id of a GitLab project; Factory names a repository by it, as a string.
    ProjectId
}
numeric_id! {
    /// The id of a GitLab group.
    GroupId
}

/// The public id of an OAuth application: GitLab's `application_id`, OAuth's `client_id`, Factory's "Application ID".
/// 64 hexadecimal digits on GitLab, but nothing depends on that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApplicationUid(pub String);

impl std::fmt::Display for ApplicationUid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
