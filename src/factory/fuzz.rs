//! Factory's JSON and pages as they are read, for fuzzing.

use crate::fuzz::expect_clean;
use crate::http::Response;

use super::{page, wire};

/// Reads a body as the answer of one endpoint.
pub(crate) fn fuzz_json(endpoint: u8, status: u8, body: &[u8]) {
    let answer = Response::made(&super::PEER, status, body);
    expect_clean(&answer.error().message);
    let error = match endpoint % 5 {
        0 => {
            let wrapped = answer.json::<wire::Wrapped>();
            wrapped
                .map(|wrapped| {
                    let observed = wrapped.integration.observed();
                    assert!(!observed.domain.as_str().ends_with('/'), "{observed:?}");
                    expect_clean(&observed.detail.unwrap_or_default());
                })
                .err()
        }
        1 => answer.json::<wire::Attempt>().err(),
        2 => {
            let listed = answer.json::<wire::Page>();
            listed
                .map(|page| page.repositories.into_iter().map(wire::Repository::observed).count())
                .err()
        }
        3 => answer.json::<wire::Changes>().err(),
        _ => answer.json::<wire::Problem>().err(),
    };
    if let Some(error) = error {
        expect_clean(&error.message);
    }
}

/// Reads a page for what it says.
pub(crate) fn fuzz_page(html: &str) {
    let answer = Response::made(&super::PEER, 3, html.as_bytes());
    if let Some(reason) = page::reason(&answer) {
        expect_clean(reason.as_str());
    }
}
