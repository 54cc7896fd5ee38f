//! A wire between the hub and a peer, which can be cut.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of what is said over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// It arrives.
    Whole,
    /// Connections are taken, and nothing ever comes of them.
    Silent,
    /// What was open stays open in silence, for ever; what is new arrives.
    Forgotten,
    /// Connections break at once.
    Cut,
}

/// A listener that hands everything on to a peer. It ends with the test.
pub(crate) struct Proxy {
    address: SocketAddr,
    wire: watch::Sender<Wire>,
}

impl Proxy {
    /// A wire to the peer at `url`.
    pub(crate) async fn to(url: &str) -> Self {
        Self::between(url.strip_prefix("http://").unwrap().parse().unwrap()).await
    }

    /// A wire to whoever listens there.
    pub(crate) async fn between(peer: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (wire, state) = watch::channel(Wire::Whole);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(carry(stream, peer, state.clone()));
            }
        });
        Self { address, wire }
    }

    /// Where the wire begins.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the hub reaches the peer over this wire.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, also for connections that are open.
    pub(crate) fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }
}

async fn carry(mut near: TcpStream, peer: SocketAddr, mut state: watch::Receiver<Wire>) {
    let wire = *state.borrow_and_update();
    let mut far = None;
    if matches!(wire, Wire::Whole | Wire::Forgotten)
        && let Ok(stream) = TcpStream::connect(peer).await
    {
        let far = far.insert(stream);
        tokio::select! {
            _ended = copy_bidirectional(&mut near, far) => return,
            _changed = state.changed() => {}
        }
    }
    let wire = *state.borrow_and_update();
    match wire {
        // Held open in silence until the wire changes; then it was lost long ago.
        Wire::Silent => {
            let _changed = state.changed().await;
        }
        // Until this end gives it up; the other end hears nothing of that either.
        Wire::Forgotten => {
            let mut swallowed = [0; 4096];
            while matches!(near.read(&mut swallowed).await, Ok(1..)) {}
        }
        Wire::Whole | Wire::Cut => {}
    }
    // A reset, not an orderly end.
    let _abrupt = near.set_zero_linger();
}
