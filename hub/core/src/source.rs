//! The door in.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::{BoxError, Code, FacilityId, LocalId, MessageId, NewMessage, Receipt, SourceName};

/// Brings messages in from one outside system, until `shutdown` fires.
///
/// Acknowledge the peer only after [`Inbox::accept`] has returned `Ok`; on `Err` answer with the peer
/// protocol's own "try again". Retry your own connection; return `Err` only when an operator must act.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// Runs until `shutdown` fires.
    async fn run(&self, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), SourceError>;
}

/// The only door into the hub.
#[async_trait]
pub trait Inbox: Send + Sync + 'static {
    /// The intake gate: whether messages about this patient may be kept at this source. A reader of
    /// storages asks before it opens a file, so that nothing of others is read or remembered.
    fn admits(&self, source: &SourceName, facility: &FacilityId, subject: &LocalId) -> bool;
    /// A number that changes whenever the set of admitted patients changes, so that a reader knows when
    /// to look again at what it passed over. The same set has the same number after a restart.
    fn admission_epoch(&self) -> u64;
    /// Commits the message. [`Receipt::Duplicate`] and [`Receipt::NotEnrolled`] are success: the peer is
    /// acknowledged.
    async fn accept(&self, message: NewMessage) -> Result<Receipt, AcceptError>;
    /// Waits until a message has been processed, for peers that want that in their ACK.
    async fn processed(&self, id: MessageId) -> Result<Processed, AcceptError>;
    /// What this source wrote down earlier ([`Inbox::remember`]), all of it.
    async fn recall(&self, source: &SourceName) -> Result<Vec<Note>, AcceptError>;
    /// Writes down a source's own state (files seen, cursors). Committed when it returns. Call it after
    /// the messages it speaks of were accepted: a crash in between only makes duplicates.
    async fn remember(&self, source: &SourceName, notes: Vec<Note>) -> Result<(), AcceptError>;
}

/// One line of a source's own memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What it is about, unique within the source.
    pub key: String,
    /// What is known; `None` forgets the key.
    pub value: Option<String>,
}

/// How a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processed {
    /// All effects are committed.
    Processed,
    /// Waits for a person.
    Parked(Code),
    /// Will never be processed as it is.
    Failed(Code),
}

/// The inbox did not take it. Nothing was promised: the peer must try again.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// Disk or queue full, database busy: answer AE and read on slowly.
    #[error("no room now")]
    Full,
    /// The hub is stopping.
    #[error("the hub is stopping")]
    Stopping,
    /// An I/O error at write or sync: no answer at all, the process ends.
    #[error("the ledger failed")]
    Broken(#[source] BoxError),
}

/// A source cannot go on without an operator.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct SourceError {
    /// The reason.
    pub code: Code,
    /// In words, without patient data.
    pub reason: String,
    /// What happened below.
    #[source]
    pub source: Option<BoxError>,
}

/// Fires once, when the hub stops. Cheap to clone; made by the hub's runtime from its own token.
#[derive(Clone)]
pub struct Shutdown {
    fired: Arc<dyn Fn() -> bool + Send + Sync>,
    wait: Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>,
}

impl Shutdown {
    /// Wraps the runtime's token: `fired` tells without waiting, `wait` resolves when it fires.
    pub fn new(
        fired: impl Fn() -> bool + Send + Sync + 'static,
        wait: impl Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            fired: Arc::new(fired),
            wait: Arc::new(wait),
        }
    }
    /// Whether it has fired.
    pub fn is_fired(&self) -> bool {
        (self.fired)()
    }
    /// Resolves when it fires.
    pub async fn fired(&self) {
        (self.wait)().await;
    }
}
