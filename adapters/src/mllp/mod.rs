//! HL7 v2 over MLLP: the listener that hospital systems and laboratories send to.
//!
//! Each connection is one task ([`connection`]) that frames, cuts batches, asks the inbox and
//! answers in order. Nothing is mapped here, and nothing is acknowledged before the inbox has
//! committed it (ARCHITECTURE.md "Intake" is the law: AR only for what can never be read or is nobody's,
//! AE while there is no room, no answer at all when the ledger failed).
//!
//! A batch (FHS/BHS) or several messages in one frame are answered one by one, in their order: every
//! message has its own fate, and senders that write batches read acknowledgments per message.

mod ahead;
mod answer;
mod codec;
mod config;
mod connection;
mod settle;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use renkei_core::{
    Clock, Code, FacilityId, Inbox, Shutdown, Source, SourceError, SourceName, SystemClock, limits,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, error, info, warn};

use crate::{exposure, tls};

pub use codec::{Codec, Frame};
pub use config::{Ack, Config};

/// Wait before accepting again when the system has no room for another connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// One bound listener.
pub struct Mllp {
    name: SourceName,
    config: Arc<Config>,
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    clock: Arc<dyn Clock>,
}

/// Who is at the other end.
#[derive(Debug, Clone)]
struct Peer {
    address: SocketAddr,
    /// The name of its certificate in `facility_by_client`, and the facility written there.
    known: Option<(String, FacilityId)>,
}

impl Mllp {
    /// Binds the listener and reads the certificates. Nothing is accepted before [`Source::run`].
    ///
    /// # Errors
    /// [`SourceError`] when the configuration cannot be used, a file cannot be read, or the address
    /// is taken.
    pub async fn bind(name: SourceName, config: Config) -> Result<Self, SourceError> {
        let problems = config.validate();
        if !problems.is_empty() {
            let exposed = problems
                .iter()
                .any(|problem| problem.starts_with(Code::CFG_EXPOSED.as_str()));
            return Err(SourceError {
                code: if exposed {
                    Code::CFG_EXPOSED
                } else {
                    Code::CFG_INVALID
                },
                reason: problems.join("; "),
                source: None,
            });
        }
        let acceptor = tls::acceptor(config.tls.as_ref())?;
        let bound = TcpListener::bind(config.listen).await;
        let listener = bound.map_err(|error| SourceError {
            code: Code::CFG_INVALID,
            reason: format!("cannot listen on `{}`", config.listen),
            source: Some(error.into()),
        })?;
        Ok(Self {
            name,
            config: Arc::new(config),
            listener,
            acceptor,
            clock: Arc::new(SystemClock),
        })
    }

    /// The same listener with another clock, for the time in its answers.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where it listens; tells the port when the configured one was 0.
    ///
    /// # Errors
    /// The operating system's, when it does not know.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[async_trait]
impl Source for Mllp {
    async fn run(&self, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), SourceError> {
        let room = Arc::new(connection::Room {
            source: self.name.clone(),
            config: Arc::clone(&self.config),
            inbox,
            shutdown: shutdown.clone(),
            answers: answer::Writer::new(Arc::clone(&self.clock)),
        });
        info!(source = %self.name, listen = %self.config.listen, "listening for MLLP");
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(shutdown.fired());
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(ended) = connections.join_next(), if !connections.is_empty() => self.ended(ended)?,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, address)) => {
                        if connections.len() < self.config.max_connections {
                            self.open(stream, address, &room, &mut connections);
                        } else {
                            warn!(source = %self.name, "too many connections, one was closed");
                        }
                    }
                    Err(problem) => {
                        warn!(source = %self.name, error = %problem, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_AGAIN).await;
                    }
                },
            }
        }
        let drained = tokio::time::timeout(limits::DRAIN, async {
            while let Some(ended) = connections.join_next().await {
                self.ended(ended)?;
            }
            Ok(())
        });
        match drained.await {
            Ok(result) => result,
            Err(_) => {
                warn!(source = %self.name, "connections were cut when the time to drain was over");
                Ok(())
            }
        }
    }
}

impl Mllp {
    fn open(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        room: &Arc<connection::Room>,
        connections: &mut JoinSet<Result<(), SourceError>>,
    ) {
        if !exposure::admits(self.config.plaintext.as_ref(), address.ip()) {
            warn!(source = %self.name, peer = %address, "a peer outside the allowed networks was disconnected");
            return;
        }
        // Without it every small answer waits for the peer's delayed TCP acknowledgment.
        if let Err(problem) = stream.set_nodelay(true) {
            debug!(source = %self.name, error = %problem, "cannot switch off Nagle's algorithm");
        }
        let room = Arc::clone(room);
        let acceptor = self.acceptor.clone();
        connections.spawn(async move {
            let Some(acceptor) = acceptor else {
                let peer = Peer { address, known: None };
                return connection::serve(stream, peer, &room).await;
            };
            match tokio::time::timeout(tls::HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let known = known_client(stream.get_ref().1, &room.config);
                    connection::serve(stream, Peer { address, known }, &room).await
                }
                Ok(Err(problem)) => {
                    warn!(source = %room.source, peer = %address, error = %problem, "a TLS handshake failed");
                    Ok(())
                }
                Err(_) => {
                    warn!(source = %room.source, peer = %address, "a TLS handshake took too long");
                    Ok(())
                }
            }
        });
    }

    /// A panic in one connection ends that connection only; a failed ledger ends the source.
    fn ended(
        &self,
        ended: Result<Result<(), SourceError>, tokio::task::JoinError>,
    ) -> Result<(), SourceError> {
        match ended {
            Ok(result) => result,
            Err(problem) => {
                error!(source = %self.name, code = %Code::INB_PANIC, panicked = problem.is_panic(), "a connection ended inside the hub");
                Ok(())
            }
        }
    }
}

fn known_client(tls: &rustls::ServerConnection, config: &Config) -> Option<(String, FacilityId)> {
    let certificate = tls.peer_certificates()?.first()?;
    config
        .facility_by_client
        .iter()
        .find(|(name, _)| tls::goes_by(certificate, name))
        .map(|(name, facility)| (name.clone(), facility.clone()))
}
