//! The TCP side of the servers: connections that can be cut after a given number of bytes, which an ordinary
//! handler cannot do, and an end that does not wait for ever.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

/// The largest body that is taken, in bytes.
pub(crate) const BODY_LIMIT: usize = 64 << 20;
/// How long a connection may finish what it does after the stop.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// After how long an accept or a bind is tried again.
const RETRY: Duration = Duration::from_millis(20);
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A handle on the connection that a request came by.
#[derive(Clone)]
pub(crate) struct Wire {
    budget: Arc<AtomicUsize>,
    pub(crate) peer: SocketAddr,
}

impl Wire {
    /// Lets so many more bytes out, then cuts the connection.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.budget.store(bytes, Ordering::SeqCst);
    }
}

impl Connected<IncomingStream<'_, Tap>> for Wire {
    fn connect_info(stream: IncomingStream<'_, Tap>) -> Self {
        Self {
            budget: Arc::clone(&stream.io().budget),
            peer: *stream.remote_addr(),
        }
    }
}

/// A listener whose connections can be cut, and that can be away for a while.
pub(crate) struct Tap {
    /// None while it is away.
    listener: Option<TcpListener>,
    address: SocketAddr,
    away: watch::Receiver<bool>,
}

impl Tap {
    /// A listener that is away whenever `away` says so.
    pub(crate) fn new(listener: TcpListener, away: watch::Receiver<bool>) -> io::Result<Self> {
        Ok(Self {
            address: listener.local_addr()?,
            listener: Some(listener),
            away,
        })
    }

    /// Refuses connections until it is back. The port is kept meanwhile, so that nobody else listens there.
    async fn stay_away(&mut self) {
        let socket = loop {
            match bound(self.address) {
                Ok(socket) => break socket,
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        };
        until(&mut self.away, false).await;
        self.listener = socket.listen(BACKLOG).ok();
    }
}

/// A socket that has the address and does not listen.
fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Waits until it says so.
async fn until(said: &mut watch::Receiver<bool>, what: bool) {
    // Without a sender there is nobody left to say it.
    if said.wait_for(|said| *said == what).await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl Listener for Tap {
    type Io = Cuttable;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Some(listener) = &self.listener else {
                self.stay_away().await;
                continue;
            };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = until(&mut self.away, true) => {
                    self.listener = None;
                    continue;
                }
            };
            match accepted {
                Ok((stream, peer)) => {
                    // Small answers must not wait for each other's acknowledgement.
                    let _ = stream.set_nodelay(true);
                    let mut away = self.away.clone();
                    let cuttable = Cuttable {
                        stream,
                        budget: Arc::new(AtomicUsize::new(usize::MAX)),
                        away: Some(Box::pin(async move { until(&mut away, true).await })),
                    };
                    return (cuttable, peer);
                }
                // Out of file descriptors, or a client that left before it was accepted: try again shortly.
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

/// A connection with a number of bytes that it may still send.
pub(crate) struct Cuttable {
    stream: TcpStream,
    budget: Arc<AtomicUsize>,
    /// Ends when the server goes away; none once it has.
    away: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl AsyncRead for Cuttable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.away.as_mut().is_none_or(|away| away.as_mut().poll(cx).is_ready()) {
            self.away = None;
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let budget = self.budget.load(Ordering::SeqCst);
        if budget == usize::MAX {
            return Pin::new(&mut self.stream).poll_write(cx, bytes);
        }
        if budget == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let allowed = bytes.len().min(budget);
        let written = Pin::new(&mut self.stream).poll_write(cx, &bytes[..allowed]);
        if let Poll::Ready(Ok(count)) = written {
            self.budget.store(budget - count, Ordering::SeqCst);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Serves until `stopped` says so, then gives the connections a moment to end.
pub(crate) async fn serve(listener: Tap, router: Router, mut stopped: watch::Receiver<bool>) -> io::Result<()> {
    let mut end = stopped.clone();
    let server = axum::serve(listener, router.into_make_service_with_connect_info::<Wire>()).with_graceful_shutdown(
        async move {
            // An error means that the handle is gone without a stop: serve on, as long as the runtime lives.
            if end.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
        },
    );
    tokio::select! {
        ended = server => ended,
        () = async {
            if stopped.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(LAST_WORDS).await;
        } => Ok(()),
    }
}
