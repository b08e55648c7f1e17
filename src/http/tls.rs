//! Whom a client trusts: the system's authorities, those of `ca_file`, and a server's own certificate where `ca_file` holds
//! that very one.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme, WantsVerifier,
};
use rustls_platform_verifier::Verifier;

use crate::files;
use crate::model::Diagnostic;

/// A bundle larger than this is none: that of a whole operating system is a quarter of a mebibyte.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The settings of TLS with these further certificates.
pub(super) fn settings(ca_file: Option<&Path>) -> Result<ClientConfig, Diagnostic> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificates = ca_file.map(read).transpose()?.unwrap_or_default();
    let authorities = Verifier::new_with_extra_roots(certificates.iter().cloned(), Arc::clone(&provider));
    let authorities = authorities.map_err(|error| {
        Diagnostic::new(format!("the system's certificate authorities cannot be read: {error}"))
            .hint("install the system's root certificates, or name a file with them in SSL_CERT_FILE")
    })?;
    let trusted = Trusted {
        authorities,
        pinned: certificates,
    };
    let mut config = versions(provider)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trusted))
        .with_no_client_auth();
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

/// All certificates of a file in PEM form. One that cannot be read is named by its place.
fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>, Diagnostic> {
    let shown = file.display();
    let bad = |message: String| {
        Diagnostic::new(message)
            .hint("it has to hold one or more whole blocks that begin with -----BEGIN CERTIFICATE-----")
    };
    let pem = files::read(file, MAX_BYTES).map_err(|error| {
        Diagnostic::new(format!("ca_file {shown} cannot be read: {error}"))
            .hint("name the file that holds the certificates, readable for the user that runs Setpoint")
    })?;
    let mut certificates = Vec::new();
    for (number, block) in (1..).zip(blocks(&pem)) {
        let read = CertificateDer::from_pem_slice(block.text)
            .map_err(|error| error.to_string())
            .and_then(|certificate| {
                let checked = RootCertStore::empty().add(certificate.clone());
                checked.map(|()| certificate).map_err(|error| error.to_string())
            });
        match read {
            Ok(certificate) => certificates.push(certificate),
            Err(why) => {
                return Err(bad(format!(
                    "certificate {number} of ca_file {shown}, which begins at line {}, cannot be read: {why}",
                    block.line
                )));
            }
        }
    }
    if certificates.is_empty() {
        return Err(bad(format!("ca_file {shown} holds no certificate in PEM form")));
    }
    Ok(certificates)
}

/// A block of a PEM file.
struct Block<'a> {
    /// From its first line on, up to the next block.
    text: &'a [u8],
    /// Where that is, from 1.
    line: usize,
}

/// Each certificate by itself, so that one that is damaged hides no other.
fn blocks(pem: &[u8]) -> Vec<Block<'_>> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    let mut starts: Vec<(usize, usize)> = Vec::new();
    let (mut at, mut line) = (0, 1);
    for part in pem.split_inclusive(|byte| *byte == b'\n') {
        if part.trim_ascii().starts_with(BEGIN) {
            starts.push((at, line));
        }
        at += part.len();
        line += 1;
    }
    let ends = starts.iter().skip(1).map(|(start, _)| *start).chain([pem.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|((start, line), end)| Block {
            text: &pem[*start..end],
            line: *line,
        })
        .collect()
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
        self.authorities.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}
