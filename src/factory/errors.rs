//! What Factory's refusals mean, and what to do about each.

use crate::http::{Error, ErrorKind, Peer, Response, Said, Side};

/// Factory, as messages call it.
pub static PEER: Peer = Peer {
    side: Side::Factory,
    name: "Factory",
    url_key: "factory.api_url",
    section: "factory",
    meaning,
};

fn meaning(answer: &Response, said: &Said) -> Option<Error> {
    match answer.status().as_u16() {
        407 => Some(answer.from_between()),
        // The contract answers JSON; its pages are where a browser is sent.
        401 | 403 if answer.is_html() && !answer.asked_for_page() => Some(answer.from_between()),
        401 if answer.has_credential() => {
            let message = said.with_reason("Factory does not accept the API key");
            Some(answer.failed(ErrorKind::Unauthorized, message).with_hint(
                "give factory.token an API key of an Owner or Manager, and check that factory.region is the organization's",
            ))
        }
        402 => {
            let message = said.with_reason("Factory says that the plan is too small");
            Some(
                answer
                    .failed(ErrorKind::PaymentRequired, message)
                    .with_hint("give factory.token a key of an organization with the Enterprise plan"),
            )
        }
        403 if answer.has_credential() => {
            let message = said.with_reason(format!("Factory forbids {}", answer.label()));
            Some(
                answer
                    .failed(ErrorKind::Forbidden, message)
                    .with_hint("give factory.token the API key of an Owner or a Manager"),
            )
        }
        _ => None,
    }
}

/// Adds what to do about answers of a server that does not speak the contract.
pub(super) fn explained(error: Error) -> Error {
    match error.kind {
        ErrorKind::NotFound | ErrorKind::Status(404 | 405 | 501) | ErrorKind::Unexpected | ErrorKind::Redirect => error
            .with_hint(
                "the driver \"api\" needs a server that speaks Setpoint's contract, and factory.ai as it is today does not: \
                 set factory.driver = \"assisted\", or factory.api_url to a server that does",
            ),
        _ => error,
    }
}
