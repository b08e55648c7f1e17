//! What a client saw of its connections: which way they went, to which address, and what the server showed. `doctor` tells
//! it, and a failure is explained by it.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use reqwest::Version;

/// What is kept of a client's connections.
#[derive(Debug, Default)]
pub(super) struct Sight(Mutex<Seen>);

/// The last of each.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// The other end: the server's, or the proxy's.
    pub(super) address: Option<SocketAddr>,
    /// The version of HTTP of an answer.
    pub(super) http: Option<Version>,
    /// The version of TLS.
    pub(super) tls: Option<&'static str>,
    /// The certificate that the server showed, whatever was made of it.
    pub(super) certificate: Option<Vec<u8>>,
    /// Whether somebody on the way asked for a client certificate.
    pub(super) asked_for_certificate: bool,
}

impl Sight {
    pub(super) fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn seen(&self) -> Seen {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
