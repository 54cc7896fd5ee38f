//! Connections for the web server: TCP, behind TLS where that is configured. A handshake holds up nobody else.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::exposure::{self, Plaintext};
use crate::tls;

/// Wait before accepting again when the system has no room for another connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);
/// Handshakes under way at once.
const HANDSHAKES: usize = 64;

/// A stream of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Open = (Box<dyn Stream>, SocketAddr);

/// Gives connections that are ready to be served.
pub(super) struct Doorway {
    address: SocketAddr,
    ready: mpsc::Receiver<Open>,
    accepting: JoinHandle<()>,
}

impl Doorway {
    /// Begins to accept.
    pub(super) fn open(
        listener: std::net::TcpListener,
        acceptor: Option<TlsAcceptor>,
        plaintext: Option<Plaintext>,
    ) -> io::Result<Self> {
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let (tell, ready) = mpsc::channel(HANDSHAKES);
        let accepting = tokio::spawn(accept(listener, acceptor, plaintext, tell));
        Ok(Self {
            address,
            ready,
            accepting,
        })
    }
}

impl Drop for Doorway {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Listener for Doorway {
    type Io = Box<dyn Stream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(open) => open,
            // Accepting ends only with the doorway itself.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    plaintext: Option<Plaintext>,
    tell: mpsc::Sender<Open>,
) {
    let mut handshakes = JoinSet::new();
    loop {
        while handshakes.try_join_next().is_some() {}
        if handshakes.len() >= HANDSHAKES {
            handshakes.join_next().await;
        }
        let Ok((stream, address)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        if !exposure::admits(plaintext.as_ref(), address.ip()) {
            continue;
        }
        let (acceptor, tell) = (acceptor.clone(), tell.clone());
        handshakes.spawn(async move {
            if let Some(open) = greeted(stream, acceptor).await {
                let _gone = tell.send((open, address)).await;
            }
        });
    }
}

async fn greeted(stream: TcpStream, acceptor: Option<TlsAcceptor>) -> Option<Box<dyn Stream>> {
    match acceptor {
        None => Some(Box::new(stream)),
        Some(acceptor) => {
            let greeting = tokio::time::timeout(tls::HANDSHAKE, acceptor.accept(stream));
            let stream = greeting.await.ok()?.ok()?;
            Some(Box::new(stream))
        }
    }
}
