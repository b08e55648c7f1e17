//! Whom a client trusts: the system's authorities, those of `ca_file`, and a server's own certificate where `ca_file` holds
//! that very one.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme, WantsVerifier,
};
use rustls_platform_verifier::Verifier;

use super::context::Way;
use super::sight::Sight;
use crate::certificates::{self, ClientCertificate};
use crate::model::Diagnostic;

/// The settings of TLS on the way to a host; what is seen of it is told.
pub(super) fn settings(way: &Way, host: &str, sight: &Arc<Sight>) -> Result<ClientConfig, Diagnostic> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificates = way.ca_file.as_deref().map(certificates::authorities).transpose()?;
    let certificates = certificates.unwrap_or_default();
    let authorities = Verifier::new_with_extra_roots(certificates.iter().cloned(), Arc::clone(&provider));
    let authorities = authorities.map_err(|error| {
        Diagnostic::new(format!("the system's certificate authorities cannot be read: {error}"))
            .hint("install the system's root certificates, or name a file with them in SSL_CERT_FILE")
    })?;
    let trusted = Trusted {
        authorities,
        pinned: certificates,
        host: host.to_owned(),
        sight: Arc::clone(sight),
    };
    let shown = Shown {
        pair: way
            .client_certificate
            .as_ref()
            .map(ClientCertificate::load)
            .transpose()?,
        sight: Arc::clone(sight),
    };
    let mut config = versions(provider)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trusted))
        .with_client_cert_resolver(Arc::new(shown));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Settings that trust the public authorities alone: what somebody elsewhere makes of a certificate, who has neither
/// `ca_file` nor what was added to this machine. The list is Mozilla's.
pub(super) fn of_the_public() -> Result<ClientConfig, Diagnostic> {
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let mut config = versions(Arc::new(rustls::crypto::ring::default_provider()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Settings for where there is no TLS.
pub(super) fn none() -> Result<ClientConfig, Diagnostic> {
    let config = versions(Arc::new(rustls::crypto::ring::default_provider()))?;
    Ok(config
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

fn versions(provider: Arc<CryptoProvider>) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Diagnostic> {
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| {
            Diagnostic::new(format!("TLS cannot be set up: {error}")).hint("this is a defect of Setpoint: report it")
        })
}

/// Whether the only fault of a certificate is that it is an authority's, and not a server's.
fn is_an_authoritys(error: &rustls::Error) -> bool {
    // webpki's own words, for its type is not passed on.
    matches!(error, rustls::Error::InvalidCertificate(CertificateError::Other(cause))
        if cause.to_string() == "CaUsedAsEndEntity")
}

/// Authorities, and certificates that are trusted as they are. A certificate that its server signed itself is mostly marked
/// as an authority's, which no server's may be: it is accepted where it is, byte for byte, one that was named. Its
/// dates and its name are judged like those of any other.
#[derive(Debug)]
struct Trusted {
    authorities: Verifier,
    pinned: Vec<CertificateDer<'static>>,
    /// Whose certificate is remembered: a proxy before it may show one of its own.
    host: String,
    sight: Arc<Sight>,
}

impl ServerCertVerifier for Trusted {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if name.to_str().trim_matches(['[', ']']) == self.host {
            self.sight.change(|seen| seen.certificate = Some(certificate.to_vec()));
        }
        let judged = self
            .authorities
            .verify_server_cert(certificate, intermediates, name, ocsp, now);
        match judged {
            Err(error) if is_an_authoritys(&error) && self.pinned.iter().any(|known| known == certificate) => {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.sight.change(|seen| seen.tls = Some("TLS 1.2"));
        self.authorities.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.sight.change(|seen| seen.tls = Some("TLS 1.3"));
        self.authorities.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// The client certificate, if there is one, and whether anybody asked for it.
#[derive(Debug)]
struct Shown {
    pair: Option<Arc<CertifiedKey>>,
    sight: Arc<Sight>,
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.sight.change(|seen| seen.asked_for_certificate = true);
        self.pair.clone()
    }

    fn has_certs(&self) -> bool {
        self.pair.is_some()
    }
}
