//! The shapes that GitLab's pages had over the years: each page can be served as one generation had it.
//!
//! What differs between generations is not a setting of an instance but its age, so that a client must read all of
//! them. By default the pages are those of the version that the instance reports; a switch can serve a single page in
//! another shape, also in one that no GitLab has ever had.

use serde::{Deserialize, Serialize};

/// A generation of pages, under the version of GitLab that stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Generation {
    /// Forms of Rails; the settings of an account below `/-/profile`.
    #[serde(rename = "16.11")]
    V16_11,
    /// The settings of an account below `/-/user_settings`.
    #[serde(rename = "17.11")]
    V17_11,
    /// The admin form of an application has another prefix.
    #[serde(rename = "18.5")]
    V18_5,
    /// Sign-in and terms are Vue applications; Authorize stands before Cancel.
    #[serde(rename = "19.3")]
    V19_3,
    /// The second factor is a Vue application without a form.
    #[serde(rename = "19.5")]
    V19_5,
    /// A shape that no generation has, for clients to be tried on.
    #[serde(rename = "unknown")]
    Unknown,
}

impl Generation {
    /// All that there are, oldest first.
    pub const ALL: [Self; 6] = [
        Self::V16_11,
        Self::V17_11,
        Self::V18_5,
        Self::V19_3,
        Self::V19_5,
        Self::Unknown,
    ];

    /// The generation that a version belongs to.
    pub fn of(version: (u32, u32)) -> Self {
        match version {
            (0..=16, _) => Self::V16_11,
            (17, _) => Self::V17_11,
            (18, _) => Self::V18_5,
            (19, 0..=3) => Self::V19_3,
            _ => Self::V19_5,
        }
    }

    /// The name by which it is set.
    pub fn name(self) -> &'static str {
        match self {
            Self::V16_11 => "16.11",
            Self::V17_11 => "17.11",
            Self::V18_5 => "18.5",
            Self::V19_3 => "19.3",
            Self::V19_5 => "19.5",
            Self::Unknown => "unknown",
        }
    }

    /// The generation of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|generation| generation.name() == name)
    }
}

/// A page that has had several shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageKind {
    SignIn,
    /// The page that asks for the second factor, at sign-in and for Admin Mode.
    SecondFactor,
    /// The page that asks for the password before Admin Mode.
    AdminMode,
    /// An application in the admin area: its page and its form.
    Application,
    /// An account in the admin area.
    User,
    /// The page on which a user lets an application in.
    Consent,
    /// The applications that an account has let in.
    AuthorizedApplications,
    /// The terms of service.
    Terms,
}

impl PageKind {
    pub const ALL: [Self; 8] = [
        Self::SignIn,
        Self::SecondFactor,
        Self::AdminMode,
        Self::Application,
        Self::User,
        Self::Consent,
        Self::AuthorizedApplications,
        Self::Terms,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_the_pages_of_its_time() {
        for (version, generation) in [
            ((15, 9), Generation::V16_11),
            ((17, 0), Generation::V17_11),
            ((18, 11), Generation::V18_5),
            ((19, 3), Generation::V19_3),
            ((19, 4), Generation::V19_5),
            ((20, 0), Generation::V19_5),
        ] {
            assert_eq!(Generation::of(version), generation, "{version:?}");
        }
    }

    #[test]
    fn a_generation_is_kept_under_its_name() {
        for generation in Generation::ALL {
            let kept = serde_json::to_value(generation).unwrap();
            assert_eq!(kept, generation.name());
            assert_eq!(Generation::named(generation.name()), Some(generation));
        }
    }
}
