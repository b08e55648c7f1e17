//! Which GitLab is new enough.

use crate::http::{Error, ErrorKind, Response};
use crate::model::GitlabVersion;
use crate::secrets::RemoteText;

/// The oldest GitLab that has all that is needed: renewal of application secrets came with it.
const OLDEST: (u32, u32) = (16, 11);

pub(super) fn parse_version(text: &str) -> Option<GitlabVersion> {
    let mut parts = text.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.split('-').next()?.parse().ok()?;
    Some(GitlabVersion {
        major,
        minor,
        text: RemoteText::within(text, 40).into(),
    })
}

/// Whether a version is at least the oldest that is supported.
pub(super) fn is_new_enough(text: &str) -> bool {
    parse_version(text).is_some_and(|version| (version.major, version.minor) >= OLDEST)
}

pub(super) fn too_old(answer: &Response, version: &str) -> Error {
    let (major, minor) = OLDEST;
    answer
        .failed(
            ErrorKind::Refused,
            format!("this GitLab is {version}; Setpoint needs {major}.{minor} or newer"),
        )
        .with_hint("renewing an application's secret is not possible in older versions: upgrade GitLab")
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn versions_are_compared_by_number() {
        for (text, expected) in [
            ("18.5.1-ee", (18, 5)),
            ("16.11.0", (16, 11)),
            ("19.0-pre", (19, 0)),
            ("17.10.0-rc42-ee", (17, 10)),
        ] {
            let version = parse_version(text).unwrap();
            assert_eq!((version.major, version.minor), expected, "{text}");
        }
        for text in ["", "18", "x.y"] {
            assert_eq!(parse_version(text), None, "{text}");
        }
    }
}
