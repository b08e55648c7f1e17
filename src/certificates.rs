//! Certificates and private keys in PEM files, and what a certificate says of itself: who issued it, and until when it is
//! valid. One reader for the checks of the configuration, for the clients and for `doctor`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};
use secrecy::zeroize::Zeroizing;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::name::DirectoryString;

use crate::files;
use crate::model::Diagnostic;
use crate::secrets::RemoteText;

/// A bundle larger than this is none: that of a whole operating system is a quarter of a mebibyte.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// No key is larger; the file may hold the certificates, too.
const MAX_KEY_BYTES: u64 = 1024 * 1024;

/// All authorities of a `ca_file`.
pub(crate) fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, Diagnostic> {
    read("ca_file", file)
}

/// A client certificate and its key, each a file in PEM form; one file may be both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, followed by those of the authorities between it and one that the server knows.
    pub certificate: PathBuf,
    /// Its private key, without a passphrase.
    pub key: PathBuf,
}

impl ClientCertificate {
    /// The certificate by itself.
    pub(crate) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Diagnostic> {
        read("client_cert_file", &self.certificate)
    }

    /// The two together, which have to belong together.
    pub(crate) fn load(&self) -> Result<Arc<CertifiedKey>, Diagnostic> {
        let certificates = self.certificates()?;
        let key = self.private_key()?;
        let (certificate, file) = (self.certificate.display(), self.key.display());
        CertifiedKey::from_der(certificates, key, &rustls::crypto::ring::default_provider())
            .map(Arc::new)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Diagnostic::new(format!(
                    "the key in client_key_file {file} is not that of the certificate in client_cert_file {certificate}"
                ))
                .hint("name the key that the certificate was made with; the client's own certificate comes first in its file"),
                other => Diagnostic::new(format!("the key in client_key_file {file} cannot be used: {other}"))
                    .hint("RSA of 2048 to 8192 bits, ECDSA over P-256 or P-384 and Ed25519 are known"),
            })
    }

    /// Nothing of the file is ever repeated.
    fn private_key(&self) -> Result<PrivateKeyDer<'static>, Diagnostic> {
        let shown = self.key.display();
        let pem = files::read(&self.key, MAX_KEY_BYTES).map(Zeroizing::new).map_err(|error| {
            Diagnostic::new(format!("client_key_file {shown} cannot be read: {error}"))
                .hint("name the file that holds the private key, readable for the user that runs Setpoint and nobody else")
        })?;
        let has = |word: &str| pem.windows(word.len()).any(|part| part == word.as_bytes());
        if has("BEGIN ENCRYPTED PRIVATE KEY") || has("Proc-Type: 4,ENCRYPTED") {
            return Err(
                Diagnostic::new(format!("the key in client_key_file {shown} is protected by a passphrase")).hint(
                    "write it without one, for example with `openssl pkey -in KEY -out NEW`, into a file that only the user \
                     that runs Setpoint may read",
                ),
            );
        }
        PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
            Diagnostic::new(format!("client_key_file {shown} holds no private key in PEM form"))
                .hint("it has to hold one whole block such as -----BEGIN PRIVATE KEY-----; `openssl pkcs12` and `openssl pkey` make it")
        })
    }
}

/// All certificates of a file in PEM form. One that cannot be read is named by its place.
fn read(key: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Diagnostic> {
    let shown = file.display();
    let bad = |message: String| {
        Diagnostic::new(message)
            .hint("it has to hold one or more whole blocks that begin with -----BEGIN CERTIFICATE-----")
    };
    let pem = files::read(file, MAX_BYTES).map_err(|error| {
        Diagnostic::new(format!("{key} {shown} cannot be read: {error}"))
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
                    "certificate {number} of {key} {shown}, which begins at line {}, cannot be read: {why}",
                    block.line
                )));
            }
        }
    }
    if certificates.is_empty() {
        return Err(bad(format!("{key} {shown} holds no certificate in PEM form")));
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

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The common name and the organization of who issued it.
    pub issuer: RemoteText,
    /// The last moment at which it is valid.
    pub ends: Timestamp,
}

impl Terms {
    /// Reads them; none where it is no certificate.
    pub(crate) fn of(certificate: &[u8]) -> Option<Self> {
        // Not all rules of RFC 5280: the private authorities of companies break some, and a server is judged elsewhere.
        let certificate = CertificateInner::<Raw>::from_der(certificate).ok()?;
        let certificate = certificate.tbs_certificate();
        let issuer = certificate.issuer();
        let parts = [issuer.common_name(), issuer.organization()];
        let parts = parts.iter().filter_map(|part| part.as_ref().ok()?.as_ref());
        let words: Vec<_> = parts.map(DirectoryString::value).collect();
        let issuer = if words.is_empty() {
            "somebody without a name".to_owned()
        } else {
            words.join(", ")
        };
        let ends = certificate.validity().not_after.to_unix_duration();
        Some(Self {
            issuer: RemoteText::within(&issuer, 120),
            ends: Timestamp::UNIX_EPOCH.checked_add(ends).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{ClientCertificate, Terms};

    fn terms(of: impl FnOnce(&mut rcgen::CertificateParams)) -> Option<Terms> {
        let mut parameters = rcgen::CertificateParams::new(vec!["gitlab.example.com".to_owned()]).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        of(&mut parameters);
        let key = rcgen::KeyPair::generate().unwrap();
        Terms::of(parameters.self_signed(&key).unwrap().der())
    }

    #[test]
    fn issuer_and_end_are_read_from_each_form_of_them() {
        let of = |year, day: u8, name: &str| {
            let found = terms(|parameters| {
                parameters.not_after = rcgen::date_time_ymd(year, 3, day);
                let names = &mut parameters.distinguished_name;
                names.push(rcgen::DnType::CountryName, "XX");
                names.push(rcgen::DnType::OrganizationName, "Example Bank");
                names.push(rcgen::DnType::CommonName, name);
            })
            .unwrap();
            format!("{} until {}", found.issuer, found.ends)
        };
        assert_eq!(
            of(2031, 7, "Issuing CA 2"),
            "Issuing CA 2, Example Bank until 2031-03-07T00:00:00Z"
        );
        // From 2050 on the year has four digits.
        let long = "Ä".repeat(100);
        assert!(of(2055, 1, &long).ends_with(" until 2055-03-01T00:00:00Z"));
        assert_eq!(terms(|_| {}).unwrap().issuer.as_str(), "somebody without a name");
        let hostile = of(2031, 7, "CA\u{1b}[2J\u{202e}");
        assert!(!hostile.contains(['\u{1b}', '\u{202e}']), "{hostile}");
    }

    #[test]
    fn what_is_no_certificate_says_nothing() {
        let key = rcgen::KeyPair::generate().unwrap();
        let whole = rcgen::CertificateParams::new(Vec::new())
            .unwrap()
            .self_signed(&key)
            .unwrap();
        assert!(Terms::of(whole.der()).is_some());
        for end in 0..whole.der().len() {
            assert_eq!(Terms::of(&whole.der()[..end]), None, "{end}");
        }
    }

    #[test]
    fn a_certificate_and_a_key_have_to_belong_together() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(Vec::new())
            .unwrap()
            .self_signed(&key)
            .unwrap();
        std::fs::write(
            path("both.pem"),
            format!("{}{}", certificate.pem(), key.serialize_pem()),
        )
        .unwrap();
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        std::fs::write(path("other.key"), &other).unwrap();
        std::fs::write(
            path("locked.key"),
            other.replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE"),
        )
        .unwrap();
        std::fs::write(path("half.key"), &other[..80]).unwrap();
        std::fs::write(path("certificate.pem"), certificate.pem()).unwrap();
        let load = |certificate: &str, key: &str| {
            let pair = ClientCertificate {
                certificate: path(certificate),
                key: path(key),
            };
            pair.load().map(|pair| pair.cert.len()).map_err(|error| error.message)
        };
        assert_eq!(load("both.pem", "both.pem"), Ok(1));
        for (certificate, key, said) in [
            ("both.pem", "other.key", "is not that of the certificate"),
            ("both.pem", "locked.key", "protected by a passphrase"),
            ("both.pem", "half.key", "no private key in PEM form"),
            ("both.pem", "certificate.pem", "no private key in PEM form"),
            ("both.pem", "none.key", "client_key_file"),
            ("other.key", "other.key", "client_cert_file"),
            ("none.pem", "other.key", "client_cert_file"),
        ] {
            let error = load(certificate, key).unwrap_err();
            assert!(error.contains(said), "{certificate} {key}: {error}");
            assert!(!error.contains(&other[40..60]), "{error}");
        }
    }
}
