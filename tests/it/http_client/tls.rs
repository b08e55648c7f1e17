//! A private authority: refused without `ca_file`, accepted with it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};
use setpoint::http::{Client, ClientOptions, ErrorKind};

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/fixtures")
        .join(name)
}

/// Serves so many connections over TLS, with the certificate of a private authority; gives the port.
pub(crate) fn serve(connections: usize) -> u16 {
    let certificate = CertificateDer::from_pem_file(fixture("server.pem")).unwrap();
    serve_as(
        certificate,
        PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap(),
        connections,
    )
}

/// The same with another certificate.
fn serve_as(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>, connections: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let chain = vec![certificate];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for mut socket in listener.incoming().take(connections).flatten() {
            let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = Stream::new(&mut connection, &mut socket);
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
            // A client that does not trust the certificate hangs up here.
            if stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                let _ = stream.write_all(answer);
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    port
}

fn client(port: u16, ca_file: Option<PathBuf>) -> Client {
    let mut options = ClientOptions::new(
        &setpoint::gitlab::PEER,
        format!("https://localhost:{port}").parse().unwrap(),
    );
    options.way.ca_file = ca_file;
    Client::new(options).unwrap()
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_it_is_named() {
    let port = serve(1);
    let client = client(port, Some(fixture("ca.pem")));
    client.call(client.get(&["api"])).await.unwrap();
}

#[tokio::test]
async fn an_unknown_authority_is_refused_and_the_way_out_named() {
    let port = serve(1);
    // Another authority, so that this works on a machine without any of the system's.
    let client = client(port, Some(fixture("server.pem")));
    let error = client.call(client.get(&["api"])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Tls);
    assert!(error.message.contains("TLS"), "{}", error.message);
    assert!(error.hint.unwrap().contains("ca_file"), "{}", error.message);
}

#[test]
fn a_ca_file_has_to_hold_certificates() {
    for (file, said) in [("server.key", "no certificate"), ("missing.pem", "cannot be read")] {
        let mut options = ClientOptions::new(&setpoint::gitlab::PEER, "https://localhost".parse().unwrap());
        options.way.ca_file = Some(fixture(file));
        let error = Client::new(options).unwrap_err();
        assert!(error.message.contains(said), "{}", error.message);
    }
}

/// A certificate that its server signed itself, as `openssl req -x509` makes it: marked as an authority's.
fn self_signed(name: &str) -> (rcgen::Certificate, rcgen::KeyPair) {
    let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    (parameters.self_signed(&key).unwrap(), key)
}

#[tokio::test]
async fn a_certificate_that_its_server_signed_itself_is_trusted_where_it_is_the_very_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.pem");
    let (certificate, key) = self_signed("localhost");
    let (twin, _) = self_signed("localhost");
    let (elsewhere, its_key) = self_signed("gitlab.example.com");
    let key_of = |key: &rcgen::KeyPair| PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let ask = async |served: &rcgen::Certificate, key: &rcgen::KeyPair, named: &[&rcgen::Certificate]| {
        let port = serve_as(served.der().clone(), key_of(key), 1);
        std::fs::write(&file, named.iter().map(|one| one.pem()).collect::<String>()).unwrap();
        let client = client(port, Some(file.clone()));
        client.call(client.get(&["api"])).await
    };
    ask(&certificate, &key, &[&twin, &certificate]).await.unwrap();
    // Another certificate of the same name, and the right one of another host.
    let error = ask(&certificate, &key, &[&twin]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Tls, "{error}");
    let error = ask(&elsewhere, &its_key, &[&elsewhere]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Tls, "{error}");
    assert!(error.hint.unwrap().contains("another host name"), "{}", error.message);
}

#[test]
fn a_bundle_with_a_bad_block_says_which_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.pem");
    let good = std::fs::read_to_string(fixture("ca.pem")).unwrap();
    let lines = good.lines().count();
    let begin = "-----BEGIN CERTIFICATE-----";
    let end = "-----END CERTIFICATE-----";
    for bad in [
        format!("{begin}\nMIIB not base64!\n{end}\n"),
        format!("{begin}\nTUlJQg==\n{end}\n"),
        format!("{begin}\n{end}\n"),
        format!("{begin}\nTUlJQg==\n"),
    ] {
        std::fs::write(&file, format!("{good}# the second\n{bad}{good}")).unwrap();
        let mut options = ClientOptions::new(&setpoint::gitlab::PEER, "https://localhost".parse().unwrap());
        options.way.ca_file = Some(file.clone());
        let error = Client::new(options).unwrap_err();
        let place = format!(
            "certificate 2 of ca_file {}, which begins at line {}",
            file.display(),
            lines + 2
        );
        assert!(error.message.starts_with(&place), "{bad}\n{}", error.message);
    }
}

/// Answers one connection with these bytes, and gives what the client said first.
fn answering(bytes: Vec<u8>) -> (u16, std::thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut hello = vec![0; 4096];
        let read = socket.read(&mut hello).unwrap();
        hello.truncate(read);
        let _ = socket.write_all(&bytes);
        // Until the client has read it and hung up.
        let _ = socket.read(&mut [0; 64]);
        hello
    });
    (port, heard)
}

#[tokio::test]
async fn nothing_older_than_tls_1_2_is_offered_or_taken() {
    let versions: Vec<_> = rustls::ALL_VERSIONS.iter().map(|known| known.version).collect();
    assert!(versions.iter().all(|version| matches!(
        version,
        rustls::ProtocolVersion::TLSv1_2 | rustls::ProtocolVersion::TLSv1_3
    )));
    // A server that has nothing above TLS 1.1 chooses it, or says that it has none of what was offered.
    let mut chosen = vec![0x02, 0, 0, 38, 0x03, 0x02];
    chosen.extend([7; 32]);
    chosen.extend([0, 0x00, 0x2f, 0]);
    let mut hello = vec![0x16, 0x03, 0x02, 0, u8::try_from(chosen.len()).unwrap()];
    hello.extend(chosen);
    let alert = vec![0x15, 0x03, 0x02, 0, 2, 2, 70];
    for answer in [hello, alert] {
        let (port, heard) = answering(answer);
        let client = client(port, Some(fixture("ca.pem")));
        let error = client.call(client.get(&["api"])).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Tls, "{error}");
        assert!(error.hint.as_ref().unwrap().contains("TLS 1.2 or 1.3"), "{error:?}");
        drop(client);
        let said = heard.join().unwrap();
        // The extension supported_versions (43): five bytes, of which four are the two versions.
        let offered = said
            .windows(9)
            .find(|bytes| bytes.starts_with(&[0, 43, 0, 5, 4]))
            .unwrap();
        let mut offered = [&offered[5..7], &offered[7..9]];
        offered.sort_unstable();
        assert_eq!(offered, [[3, 3], [3, 4]], "TLS 1.2 and 1.3");
    }
}
