//! TLS in front of a server, with certificates of authorities that a test makes for itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// An authority that signs certificates.
pub(crate) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// One of this name.
    pub(crate) fn named(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, name);
        let certificate = authority.self_signed(&key).expect("a certificate");
        Self {
            certificate,
            issuer: Issuer::new(authority, key),
        }
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for a host, or a client, of this name, and its key.
    pub(crate) fn sign(&self, name: &str) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(vec![name.to_owned()])
            .and_then(|leaf| leaf.signed_by(&key, &self.issuer))
            .expect("a certificate");
        (certificate, key)
    }

    /// Writes such a pair as `client.pem` and `client.key`, which only its owner may read.
    pub(crate) fn write_client(&self, folder: &Path) {
        let (certificate, key) = self.sign("setpoint.example.com");
        std::fs::write(folder.join("client.pem"), certificate.pem()).expect("a file");
        write_private(&folder.join("client.key"), &key.serialize_pem());
    }
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its rights");
    }
}

/// Passes what comes by TLS on to a server, as `localhost` by the first authority; only from clients with a certificate of
/// the second, where there is one.
pub(crate) fn front(listener: TcpListener, target: &str, servers: &Authority, clients: Option<&Authority>) {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("protocol versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.certificate.der().clone()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
    };
    let (certificate, key) = servers.sign("localhost");
    let config = builder
        .with_single_cert(
            vec![certificate.der().clone()],
            key.serialize_der().try_into().expect("a private key"),
        )
        .expect("a server");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let target = target.trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, target) = (acceptor.clone(), target.clone());
            tokio::spawn(async move {
                // A client that does not trust the authority, or is not trusted, is gone here; a connection that breaks is
                // the client's to see.
                let Ok(mut client) = acceptor.accept(client).await else {
                    return;
                };
                if let Ok(mut server) = TcpStream::connect(target).await {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
}

/// A proxy that makes the connections it is asked for, and keeps for which it was asked.
pub(crate) async fn tunnel() -> (String, Arc<Mutex<BTreeSet<String>>>) {
    let (listener, port) = listener().await;
    let asked: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let kept = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let read = client.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
                assert!(!request.to_ascii_lowercase().contains("canary"), "{request}");
                kept.lock().expect("the names").insert(target.clone());
                if let Ok(mut server) = TcpStream::connect(target).await {
                    let _ = client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    (format!("http://127.0.0.1:{port}"), asked)
}

/// A free port of this machine.
pub(crate) async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}
