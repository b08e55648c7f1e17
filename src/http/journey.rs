//! The way to a server as `doctor` tells it.

use std::net::IpAddr;
use std::path::PathBuf;

use reqwest::Version;

use super::context::Context;
use super::proxy::Passage;
use crate::certificates::Terms;
use crate::urls;

/// The way from here to a server, as far as it is known.
#[derive(Debug, Clone)]
pub struct Journey {
    /// Which way requests go, such as `directly (no proxy is named)`.
    pub passage: String,
    /// The host that connections are made to, the proxy's where there is one, and its port.
    pub next: (String, u16),
    pub origin: String,
    /// The address that connections were made to; none where none came about.
    pub address: Option<IpAddr>,
    /// What is spoken, such as `HTTP/2 over TLS 1.3`; none before an answer.
    pub protocol: Option<String>,
    /// What the server's certificate says of itself; none where it showed none.
    pub certificate: Option<Terms>,
    /// The client certificate's file, and what that says of itself.
    pub client_certificate: Option<(PathBuf, Option<Terms>)>,
    /// Whether somebody on the way asked for a client certificate.
    pub asked_for_certificate: bool,
}

impl Journey {
    /// What is known of a client's way.
    pub(super) fn of(context: &Context) -> Self {
        let seen = context.sight.seen();
        let (passage, next) = match &context.passage {
            Passage::Direct(why) => (format!("directly ({why})"), &context.base),
            Passage::Through(proxy) => (format!("through {proxy}"), &proxy.address),
        };
        let host = next.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let tls = match (context.base.scheme(), seen.tls) {
            ("http", _) => " without TLS".to_owned(),
            (_, Some(version)) => format!(" over {version}"),
            (_, None) => String::new(),
        };
        let client_certificate = context.way.client_certificate.as_ref().map(|pair| {
            let certificates = pair.certificates().unwrap_or_default();
            (
                pair.certificate.clone(),
                certificates.first().and_then(|first| Terms::of(first)),
            )
        });
        Self {
            passage,
            next: (host, next.port_or_known_default().unwrap_or(443)),
            origin: urls::origin(&context.base),
            address: seen.address.map(|address| address.ip().to_canonical()),
            protocol: seen.http.map(|version| format!("{}{tls}", name(version))),
            certificate: seen.certificate.as_deref().and_then(Terms::of),
            client_certificate,
            asked_for_certificate: seen.asked_for_certificate,
        }
    }
}

fn name(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}
