//! GitLab's JSON as it is read, for fuzzing.

use crate::fuzz::expect_clean;
use crate::http::Response;
use crate::model::FullPath;

use super::{graphql, wire};

/// Reads a body as the answer of one endpoint.
pub(crate) fn fuzz_json(endpoint: u8, status: u8, body: &[u8]) {
    let answer = Response::made(&super::PEER, status, body);
    expect_clean(&answer.error().message);
    let error = match endpoint % 10 {
        0 => answer.json::<wire::Metadata>().err(),
        1 => answer.json::<Vec<wire::Application>>().map(applications).err(),
        2 => answer.json::<wire::User>().map(wire::User::observed).err(),
        3 => {
            let users = answer.json::<Vec<wire::User>>();
            users
                .map(|users| users.into_iter().map(wire::User::observed).count())
                .err()
        }
        4 => answer.json::<wire::Namespace>().map(|namespace| namespace.kind()).err(),
        5 => {
            let rows = answer.json::<Vec<wire::Membership>>();
            rows.map(|rows| rows.into_iter().map(wire::Membership::observed).count())
                .err()
        }
        6 => answer.json::<super::members::Member>().err(),
        7 => {
            let projects = answer.json::<Vec<wire::Project>>();
            projects
                .map(|all| all.into_iter().map(wire::Project::observed).count())
                .err()
        }
        8 => answer.json::<wire::Discovery>().err(),
        _ => {
            let groups = [FullPath::new("platform"), FullPath::new("web")];
            let asked: Vec<&FullPath> = groups.iter().collect();
            let found = answer.json().and_then(|body| graphql::read(&answer, body, &asked));
            found
                .map(|found| assert!(found.groups.keys().all(|group| groups.contains(group))))
                .err()
        }
    };
    if let Some(error) = error {
        expect_clean(&error.message);
    }
}

fn applications(all: Vec<wire::Application>) {
    for application in all {
        let observed = application.observed();
        let whole = |uri: &String| !uri.is_empty() && !uri.contains(char::is_whitespace);
        assert!(observed.fields.redirect_uris.iter().all(whole), "{observed:?}");
    }
}
