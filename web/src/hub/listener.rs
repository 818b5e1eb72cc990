//! Connections whose certificates are good; the others are told and counted.

use crate::hub::counters::Counters;
use crate::hub::tls::{node_of, why};
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustls::ServerConfig;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use taptrail_store::ship::{NODES_MAX, NodeName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Connections held at once; further ones wait in the system's queue.
pub(crate) const CONNECTIONS_MAX: usize = NODES_MAX;

/// How long both sides have to agree.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A connection on which nothing comes for so long is closed.
const IDLE: Duration = Duration::from_secs(120);

/// How long a refused peer has to read why.
const FAREWELL: Duration = Duration::from_secs(1);

/// Who is at the other end.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// From where.
    pub address: SocketAddr,
    /// The node that its certificate names, or why it names none.
    pub node: Result<NodeName, String>,
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// Gives connections once their certificates have been seen.
pub(crate) struct TlsListener {
    ready: mpsc::Receiver<(Secure, Peer)>,
    address: SocketAddr,
}

impl TlsListener {
    /// Begins to accept; a slow handshake keeps nobody else waiting.
    pub fn new(
        listener: TcpListener,
        address: SocketAddr,
        config: Arc<ServerConfig>,
        counters: Arc<Counters>,
    ) -> Self {
        let (sender, ready) = mpsc::channel(1);
        tokio::spawn(accept(listener, TlsAcceptor::from(config), counters, sender));
        Self { ready, address }
    }
}

async fn accept(
    mut listener: TcpListener,
    acceptor: TlsAcceptor,
    counters: Arc<Counters>,
    ready: mpsc::Sender<(Secure, Peer)>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while !ready.is_closed() {
        let place = places.clone().acquire_owned().await.ok();
        // Waits and goes on where the system has no more descriptors.
        let (stream, address) = Listener::accept(&mut listener).await;
        let (acceptor, counters, ready) = (acceptor.clone(), counters.clone(), ready.clone());
        tokio::spawn(async move {
            match timeout(HANDSHAKE, secure(&acceptor, stream)).await {
                Ok(Ok((stream, node))) => {
                    let idle = Box::pin(sleep(IDLE));
                    let secure = Secure { stream, idle, _place: place };
                    // Where nobody listens any more the connection just ends.
                    let _ = ready.send((secure, Peer { address, node })).await;
                }
                Ok(Err((label, text))) => counters.refused_peer(address, label, &text),
                Err(_) => counters.refused_peer(address, "timeout", "it does not finish"),
            }
        });
    }
}

type Node = Result<NodeName, String>;

/// Agrees on a connection, or says why not.
async fn secure(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
) -> Result<(TlsStream<TcpStream>, Node), (&'static str, String)> {
    match acceptor.accept(stream).into_fallible().await {
        Ok(stream) => {
            let certificates = stream.get_ref().1.peer_certificates();
            let first = certificates.and_then(|certificates| certificates.first());
            let node = first.ok_or_else(|| "no certificate".to_owned()).and_then(node_of);
            Ok((stream, node))
        }
        Err((error, mut stream)) => {
            // A reset would take the alert, which says why, from the peer.
            let farewell = async {
                let _ = stream.shutdown().await;
                let mut rest = [0; 4096];
                while stream.read(&mut rest).await.is_ok_and(|len| len > 0) {}
            };
            let _ = timeout(FAREWELL, farewell).await;
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            // A peer that does not trust us may go without a word.
            let gone = error.kind() == io::ErrorKind::UnexpectedEof;
            let words = "it went away: does it trust the authority of our certificate?";
            let other =
                || if gone { ("went_away", words.into()) } else { ("other", error.to_string()) };
            Err(inner.map_or_else(other, why))
        }
    }
}

impl Listener for TlsListener {
    type Io = Secure;
    type Addr = Peer;

    async fn accept(&mut self) -> (Secure, Peer) {
        match self.ready.recv().await {
            Some(ready) => ready,
            // The task that accepts ends after this one only.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer { address: self.address, node: Err("the hub itself".to_owned()) })
    }
}

/// A connection, its place, and how long it may still be silent.
pub(crate) struct Secure {
    stream: TlsStream<TcpStream>,
    idle: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl AsyncRead for Secure {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            self.idle.as_mut().reset(Instant::now() + IDLE);
            return Poll::Ready(read);
        }
        ready!(self.idle.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Secure {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
