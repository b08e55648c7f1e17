//! A server that gives prepared answers, one to a connection, byte by byte as a test wants them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// A prepared answer.
#[derive(Clone)]
pub(super) struct Answer {
    head: String,
    body: Vec<u8>,
    ending: Ending,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Whole,
    Half,
    Drop,
    Hang,
    Endless,
}

impl Answer {
    pub(super) fn new(status: u16, kind: &str, body: &str) -> Self {
        Self {
            head: format!("HTTP/1.1 {status} Prepared\r\nContent-Type: {kind}\r\nConnection: close\r\n"),
            body: body.as_bytes().to_vec(),
            ending: Ending::Whole,
        }
    }

    pub(super) fn bytes(status: u16, kind: &str, body: Vec<u8>) -> Self {
        Self {
            body,
            ..Self::new(status, kind, "")
        }
    }

    pub(super) fn json(status: u16, body: &str) -> Self {
        Self::new(status, "application/json", body)
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.head = format!("{}{name}: {value}\r\n", self.head);
        self
    }

    /// Announces its body, sends half of it, and closes.
    pub(super) fn half(self) -> Self {
        self.ending(Ending::Half)
    }

    /// Reads the request and closes.
    pub(super) fn drop() -> Self {
        Self::json(200, "").ending(Ending::Drop)
    }

    /// Reads the request and says nothing.
    pub(super) fn hang() -> Self {
        Self::json(200, "").ending(Ending::Hang)
    }

    /// Sends until nobody reads any more.
    pub(super) fn endless() -> Self {
        Self::json(200, "").ending(Ending::Endless)
    }

    fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    async fn send(self, stream: &mut TcpStream) -> std::io::Result<()> {
        let Self { head, body, ending } = self;
        match ending {
            Ending::Drop => Ok(()),
            Ending::Hang => std::future::pending().await,
            Ending::Endless => {
                stream.write_all(format!("{head}\r\n").as_bytes()).await?;
                loop {
                    stream.write_all(&[b' '; 4096]).await?;
                }
            }
            Ending::Whole | Ending::Half => {
                let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
                stream.write_all(head.as_bytes()).await?;
                let end = if ending == Ending::Half {
                    body.len() / 2
                } else {
                    body.len()
                };
                stream.write_all(&body[..end]).await?;
                stream.shutdown().await
            }
        }
    }
}

/// The server. It ends with the test's runtime.
pub(super) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Serves these answers in this order; a request beyond them is dropped.
    pub(super) async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            let mut answers = VecDeque::from(answers);
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(request) = read(&mut stream).await else {
                    continue;
                };
                seen.lock().unwrap().push(request);
                let answer = answers.pop_front().unwrap_or_else(Answer::drop);
                tokio::spawn(async move { answer.send(&mut stream).await });
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    pub(super) fn url(&self) -> Url {
        format!("http://{}", self.address).parse().unwrap()
    }

    /// The requests so far, head and body.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Ends it and gives the address where nobody listens any more.
    pub(super) async fn stop(self) -> Url {
        let url = self.url();
        self.task.abort();
        let _ = self.task.await;
        url
    }
}

/// A whole request.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.trim().parse().unwrap_or(0)) {
                return Some(text);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
