//! Whom a client talks to and how it gets there, which is also what its errors are worded with.

use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use super::cookies::Cookies;
use super::proxy::{Passage, ProxyChoice};
use super::sight::Sight;
use super::{Error, Response, Said, Side};
use crate::certificates::ClientCertificate;
use crate::secrets::Secret;

/// Whom a client talks to, as messages call it, and what its refusals mean where that is known.
#[derive(Debug)]
pub struct Peer {
    pub side: Side,
    /// At the beginning of a sentence.
    pub name: &'static str,
    /// The configuration's name for its address.
    pub url_key: &'static str,
    /// The configuration's section that says how to get there.
    pub section: &'static str,
    /// What an answer means that is none of success; none leaves it to the status.
    pub meaning: fn(&Response, &Said) -> Option<Error>,
}

/// How a client gets to its server, and what it shows there beside its credential.
#[derive(Debug, Clone, Default)]
pub struct Way {
    /// The configuration's section that says so.
    pub section: &'static str,
    /// Certificates in PEM that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The certificate that it shows where it is asked for one.
    pub client_certificate: Option<ClientCertificate>,
    /// Headers of each request beside those that it has anyway, such as a gateway's token.
    pub headers: Vec<(String, Secret)>,
    /// Which proxy is between.
    pub proxy: ProxyChoice,
}

impl Way {
    /// The same to another server, which is shown nothing that is this one's.
    #[must_use]
    pub fn elsewhere(&self) -> Self {
        Self {
            section: self.section,
            ca_file: self.ca_file.clone(),
            client_certificate: None,
            headers: Vec::new(),
            proxy: self.proxy.clone(),
        }
    }

    /// A key of the section, for messages.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.section)
    }
}

/// What errors need to know about the client that met them.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) peer: &'static Peer,
    pub(super) base: Url,
    pub(super) way: Way,
    pub(super) has_credential: bool,
    /// How requests get there.
    pub(super) passage: Passage,
    /// What was seen of them.
    pub(super) sight: Arc<Sight>,
    /// The cookies of a web session.
    pub(super) cookies: Option<Cookies>,
}

impl Context {
    /// Of a client that carries nothing, for answers that nobody sent.
    #[cfg(any(test, fuzzing))]
    pub(super) fn of(peer: &'static Peer, base: Url) -> Self {
        Self {
            peer,
            base,
            way: Way::default(),
            has_credential: true,
            passage: Passage::Direct(String::new()),
            sight: Arc::default(),
            cookies: None,
        }
    }
}
